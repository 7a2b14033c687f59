"""The bundles of the open epoch, kept for peers that lack them: the newest in memory, all of them in the
journal.

Certificates travel as whole bundles (protocol.md 4), so whatever a peer missed is found here by signer and
sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from timecoin.p2p.messages import MAX_BUNDLES


class BundleShelf:
    """Encoded bundles by (signer, sequence), at most ``max_bytes`` of them; when full the oldest leave
    memory.

    What left memory is told by :attr:`evicted` and can still be read from the journal by its position.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._held: dict[tuple[int, int], bytes] = {}
        self._order: deque[tuple[int, int]] = deque()
        self._positions: dict[tuple[int, int], int] = {}
        self.highest: dict[int, int] = {}

    def clear(self) -> None:
        """The epoch closed."""
        self._held.clear()
        self._order.clear()
        self._positions.clear()
        self.highest.clear()
        self._bytes = 0

    def add(self, signer: int, sequence: int, encoded: bytes) -> None:
        """A verified bundle of the open epoch."""
        key = (signer, sequence)
        if key in self._held:
            return
        self._held[key] = encoded
        self._order.append(key)
        self._bytes += len(encoded)
        self.highest[signer] = max(sequence, self.highest.get(signer, 0))
        while self._bytes > self._max_bytes and len(self._order) > 1:
            self._bytes -= len(self._held.pop(self._order.popleft()))

    def journaled(self, signer: int, sequence: int, position: int) -> None:
        """The bundle is durable at a position of the journal."""
        self._positions[(signer, sequence)] = position

    def get(self, signer: int, sequence: int) -> bytes | None:
        """The bundle if it is still in memory."""
        return self._held.get((signer, sequence))

    def position(self, signer: int, sequence: int) -> int | None:
        """Where the journal holds the bundle."""
        return self._positions.get((signer, sequence))

    def after(self, signer: int, sequence: int, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
        """The bundles of a signer above ``sequence``, ascending, as many as one message takes.

        Of about ``max_bytes``, but one at least; None: only in the journal.
        """
        size = 0
        last = min(self.highest.get(signer, 0), sequence + MAX_BUNDLES)
        for number in range(sequence + 1, last + 1):
            encoded = self.get(signer, number)
            if encoded is None and self.position(signer, number) is None:
                return
            size += len(encoded) if encoded is not None else 4096
            if size > max_bytes and number > sequence + 1:
                return
            yield number, encoded

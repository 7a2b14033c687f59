"""Which transactions were asked for a moment ago, and of whom: nothing is asked for twice at once, and no single
source that does not answer keeps the others from being asked."""

from __future__ import annotations

from collections.abc import Iterable

LIFETIME_MS = 2_000
"""So long an answer is waited for before the same peer is asked again, or one that only announced it."""


class Requests:
    """``source`` is a masternode's signer index, None where that is not known.

    Another masternode that named a transaction is asked after less than ``sync_interval`` milliseconds: their turn goes
    on once in that time, and a longer wait, met by the same one each time, would leave out all the others.
    """

    def __init__(self, sync_interval: int) -> None:
        self._other_ms = min(LIFETIME_MS, sync_interval * 4 // 5)
        self._asked: dict[bytes, tuple[int, int | None]] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def due(self, ids: Iterable[bytes], now: int, source: int | None = None) -> list[bytes]:
        """Those of ``ids`` that may be asked of ``source`` at ``now`` (milliseconds); they count as asked."""
        found = [key for key in ids if self._is_due(key, now, source)]
        self._asked.update(dict.fromkeys(found, (now, source)))
        return found

    def _is_due(self, key: bytes, now: int, source: int | None) -> bool:
        at, before = self._asked.get(key, (now - LIFETIME_MS, None))
        waits = LIFETIME_MS if source is None or source == before else self._other_ms
        return now - at >= waits

    def answered(self, key: bytes) -> None:
        """It came, or a peer says that it has it not."""
        self._asked.pop(key, None)

    def forget_old(self, now: int) -> None:
        """Drop what nothing depends on any more."""
        self._asked = {key: asked for key, asked in self._asked.items() if now - asked[0] < LIFETIME_MS}

    def clock_moved(self, step: int) -> None:
        """The clock was set back by ``step`` milliseconds."""
        self._asked = {key: (at - step, source) for key, (at, source) in self._asked.items()}

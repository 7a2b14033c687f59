"""From a trusted block downwards, header by header: each is what the one above names as its parent.

That proves a past without a single signature, so that keys whose collateral is free forge nothing. Commits do not:
whoever had a quorum once signs another closing block that names the true set after its own, and the true commits lead
on from there, up to the trusted block itself (``docs/decisions/snapshots.rst``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from timecoin.node.header_path import HeaderPath
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display, sha256d

HEADERS_AT_ONCE = 512
RANGES_AHEAD = 16
"""Ranges that are under way or wait for one above them: 3 MB."""

_Range = tuple[int, int]


class ForeignHeader(Exception):
    """Not the block that its successor names."""


class Descent:
    """The headers below ``top``, from the peers that have it: who shows another one of them lies."""

    def __init__(
        self, desk: Desk, top: Header, holders: Callable[[], Iterable[JoinPeer]], snapshot_epochs: int
    ) -> None:
        """Only what a snapshot may be of is kept of the headers, besides the nearest closing one, and all hashes."""
        self._desk, self._snapshot_epochs = desk, snapshot_epochs
        self.path = HeaderPath(top)
        self.lowest = top
        self.closings: dict[int, Header] = {}
        self.nearest: Header | None = None
        self.moved_at = desk.now
        self._target: int | None = None
        self._next = top.height - 1
        self._here: dict[int, tuple[JoinPeer, tuple[bytes, ...]]] = {}
        self._checking = False
        self.fetch = Fetch[_Range](desk, holders, lambda each: wire.GetHeaders(*each))
        self._reached(top)

    def seek(self, height: int | None) -> None:
        """Go down to a height; None: to the nearest closing block."""
        if height != self._target:
            self._target, self.moved_at = height, self._desk.now

    @property
    def is_there(self) -> bool:
        """Is it as low as wanted?"""
        return self.nearest is not None if self._target is None else self.lowest.height <= self._target

    @property
    def progress(self) -> tuple[int, int]:
        """Headers that were followed, of how many."""
        done = self.path.highest - self.lowest.height
        return done, done if self._target is None else max(done, self.path.highest - self._target)

    def work(self) -> None:
        """Ask for what comes next, downwards."""
        if self.is_there:
            return
        floor, ahead = (0, 1) if self._target is None else (self._target, RANGES_AHEAD)
        while self._next >= floor and self.fetch.waiting + len(self._here) + self._checking < ahead:
            count = min(HEADERS_AT_ONCE, self._next - floor + 1)
            self.fetch.add([(self._next, count)])
            self._next -= count
        self.fetch.work()
        self._check_next()

    def takes(self, peer: JoinPeer, message: wire.Headers) -> bool:
        """An answer; False when it is not for this."""
        key = next((each for each in self.fetch.asked_of(peer) if each[0] == message.through), None)
        if key is None:
            return False
        through, count = key
        headers = message.headers[:count]
        came = bool(headers) and self.fetch.came(peer, key)
        if len(headers) < count:
            # It has none from before it joined, and may say so; others go on from there.
            self.fetch.lacks(peer, key)
        if came:
            self._here[through] = (peer, headers)
            if len(headers) < count:
                self.fetch.add([(through - len(headers), count - len(headers))], first=True)
        return True

    def _check_next(self) -> None:
        due = self.lowest.height - 1, self.lowest.previous
        found = self._here.pop(due[0], None) if not self._checking else None
        if found is None:
            return
        peer, encoded = found
        self._checking = True
        self._desk.work(
            Work(
                lambda _: descend(due, encoded),
                then=self._checked,
                wrong=lambda problem: self._refused(peer, due[0], len(encoded), problem),
                expected=(DecodeError, ForeignHeader),
            )
        )

    def _checked(self, headers: Sequence[tuple[Hash, Header]]) -> None:
        self._checking = False
        self.moved_at = self._desk.now
        for block_hash, header in headers:
            self.path.add(block_hash)
            self._reached(header)

    def _reached(self, header: Header) -> None:
        self.lowest = header
        if header.closing:
            self.nearest = self.nearest or header
            if header is self.nearest or header.epoch % self._snapshot_epochs == 0:
                self.closings[header.height] = header

    def _refused(self, peer: JoinPeer, through: int, count: int, problem: Exception) -> None:
        self._checking = False
        self._desk.drop(peer, f"false headers: {problem}")
        self.lost(peer)
        again = [(through, count)]
        for height in [height for height, (sender, _) in self._here.items() if sender is peer]:
            again.append((height, len(self._here.pop(height)[1])))
        self.fetch.add(sorted(again, reverse=True), first=True)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.fetch.lost(peer)


def descend(due: tuple[int, Hash], encoded: Sequence[bytes]) -> list[tuple[Hash, Header]]:
    """Hashes and headers downwards from height and hash ``due``; ``ForeignHeader``, ``DecodeError``. For a thread."""
    height, block_hash = due
    found: list[tuple[Hash, Header]] = []
    for raw in encoded:
        if sha256d(raw) != block_hash:
            raise ForeignHeader(f"not {display(block_hash)}, which block {height + 1} names as its parent")
        header = Header.decode(raw)
        if header.height != height:
            raise ForeignHeader(f"a header of height {header.height} as that of block {height}")
        found.append((block_hash, header))
        height, block_hash = height - 1, header.previous
    return found

"""Which bundles of a signer were seen: the gap-free sequence, its seal, double numbers (protocol.md 4)."""

from __future__ import annotations

from enum import Enum

from timecoin.consensus.bundle import Bundle, BundleHead

MAX_AHEAD = 1_024
"""How far ahead of the gap-free part a bundle's number is remembered; it counts in any case."""

RECENT = 512
"""Bundles per signer whose heads stay at hand as evidence: 350 bytes each, 18 MB an epoch with 100 signers."""

MAX_FORKS = 64
"""Second bundles with one number that are remembered and passed on, per signer and epoch."""

_MARK = 8


class Seen(Enum):
    """What a bundle is to the sequence of its signer."""

    NEW = "new"
    KNOWN = "known"
    FORK = "fork"
    FAR_AHEAD = "far ahead"


class Sequence:
    """The bundles of one signer in one epoch, by eight bytes of their digests.

    ``highest`` is the end of the gap-free part; ``sealed_at`` the number of the first seal bundle, if known.
    ``fork_told``: the signer was seen to use a number twice, ``forked``: and that was proved; ``late_acks``: it was
    found to have acked behind its seal.
    """

    __slots__ = (
        "_ahead",
        "_forks",
        "_last_acks",
        "_marks",
        "_recent",
        "_seal",
        "fork_told",
        "forked",
        "highest",
        "late_acks",
        "sealed_at",
    )

    def __init__(self) -> None:
        self.highest = 0
        self.sealed_at: int | None = None
        self._forks: set[bytes] = set()
        self.late_acks = self.forked = self.fork_told = False
        self._marks = bytearray()
        self._ahead: dict[int, bytes] = {}
        self._recent: dict[int, bytes] = {}
        self._last_acks: tuple[int, bytes] = (0, b"")
        self._seal: BundleHead | None = None

    @property
    def sealed(self) -> bool:
        """The seal and everything before it are here."""
        return self.sealed_at is not None and self.highest >= self.sealed_at

    @property
    def seal(self) -> BundleHead | None:
        """The first seal bundle, if one was seen."""
        return self._seal

    def look(self, bundle: Bundle) -> Seen:
        """Tell what ``bundle`` would be, without keeping it."""
        number, mark = bundle.sequence, bundle.digest[:_MARK]
        held = self._mark_of(number)
        if held is not None:
            return Seen.KNOWN if held == mark or mark in self._forks else Seen.FORK
        return Seen.NEW if number <= self.highest + MAX_AHEAD else Seen.FAR_AHEAD

    def _mark_of(self, number: int) -> bytes | None:
        if number <= self.highest:
            return bytes(self._marks[(number - 1) * _MARK : number * _MARK])
        return self._ahead.get(number)

    def fork(self, bundle: Bundle) -> int:
        """Remember a fork that ``look`` found; return their number, at most one above the cap."""
        if len(self._forks) < MAX_FORKS:
            self._forks.add(bundle.digest[:_MARK])
            return len(self._forks)
        return MAX_FORKS + 1

    def keep(self, bundle: Bundle) -> None:
        """Enter a bundle that ``look`` found new."""
        number, mark = bundle.sequence, bundle.digest[:_MARK]
        if number == self.highest + 1 and not self._ahead:
            self._marks += mark
            self.highest = number
        else:
            self._ahead[number] = mark
            self._close_gap()
        self._keep_head(bundle)
        if bundle.seal and (self.sealed_at is None or number < self.sealed_at):
            self.sealed_at, self._seal = number, bundle.head()

    def _close_gap(self) -> None:
        while (mark := self._ahead.pop(self.highest + 1, None)) is not None:
            self._marks += mark
            self.highest += 1

    def _keep_head(self, bundle: Bundle) -> None:
        number, head = bundle.sequence, bundle.body() + bundle.signature
        self._recent[number] = head
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        if bundle.acks and number > self._last_acks[0]:
            self._last_acks = number, head

    def recent(self, number: int) -> BundleHead | None:
        """Return the head of the bundle of that number if it is still at hand."""
        head = self._recent.get(number)
        return None if head is None else BundleHead.decode(head)

    @property
    def last_acks(self) -> BundleHead | None:
        """The head of the bundle with the highest number that has acks."""
        number, head = self._last_acks
        return BundleHead.decode(head) if number else None

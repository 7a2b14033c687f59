"""From a trusted block to the newest closing header (protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from timecoin.ledger.closing_chain import BadClosingLink, ClosingLink, Trusted, follow_all
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.p2p import messages as wire
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import SignatureBackend, check_all

LINKS_AT_ONCE = 256
ANSWER_MS = 8_000
QUICK_MS, FEW_LINKS = 2_000, 32
"""An honest answer has 58 links or more, unless its sender has no more: a mebibyte of headers, commits and sets."""


class ForgedLinks(Exception):
    """A signature of a commit does not verify."""


@dataclass(slots=True)
class Followed:
    """A verified stretch of closing headers, one an epoch; ``links`` carry their sets."""

    trusted: list[Trusted]
    links: list[ClosingLink] = field(default_factory=list)

    @classmethod
    def begin(cls, origin: Trusted, link: ClosingLink | None = None) -> Followed:
        """Only the trusted block; ``link`` is the link of it, for who needs it."""
        return cls([origin], [] if link is None else [link])

    @property
    def newest(self) -> Trusted:
        """The last one."""
        return self.trusted[-1]

    @property
    def epoch(self) -> int:
        """The epoch that it closed."""
        return self.newest.header.epoch

    def at(self, epoch: int) -> Trusted | None:
        """The one that closed an epoch."""
        index = epoch - self.trusted[0].header.epoch
        return self.trusted[index] if 0 <= index < len(self.trusted) else None

    def extended(self, reached: list[Trusted], links: list[ClosingLink]) -> None:
        """More was verified."""
        self.trusted += reached
        self.links += [link._replace(members=one.members) for link, one in zip(links, reached, strict=True)]


class Follower:
    """Follows the closing headers that peers show, from what is trusted already, one answer at a time.

    ``ended(peer)`` is told when a peer shows no more. A peer that shows a false one is dropped; one that shows few, or
    takes its time, counts as slow, so that whoever chooses can ask another one next.
    """

    def __init__(self, desk: Desk, chain: Followed, ended: Callable[[JoinPeer], None]) -> None:
        self._desk = desk
        self.chain = chain
        self._ended = ended
        self.peer: JoinPeer | None = None
        self._asked: int | None = None

    @property
    def is_free(self) -> bool:
        """Is nobody being asked?"""
        return self.peer is None

    def follow(self, peer: JoinPeer) -> None:
        """Ask a peer for the next headers."""
        self.peer, self._asked = peer, self._desk.now
        self._desk.send(peer, wire.GetClosingHeaders(self.chain.epoch + 1, LINKS_AT_ONCE))

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders) -> bool:
        """An answer of the peer that is followed; False when it is not for this."""
        if peer is not self.peer or self._asked is None:
            return False
        took, self._asked = self._desk.now - self._asked, None
        if not message.links:
            self.peer = None
            self._ended(peer)
            return True
        newest, encoded = self.chain.newest, message.links
        self._desk.work(
            Work(
                lambda backend: verify_links(newest, encoded, backend),
                then=lambda found: self._verified(peer, took, newest, *found),
                wrong=lambda problem: self._refused(peer, problem),
                expected=(BadClosingLink, DecodeError, ForgedLinks),
            )
        )
        return True

    def _verified(
        self, peer: JoinPeer, took: int, before: Trusted, reached: list[Trusted], links: list[ClosingLink]
    ) -> None:
        peer.delivered()
        if self.chain.newest is before:
            self.chain.extended(reached, links)
        if took > QUICK_MS or (len(reached) < FEW_LINKS and self.chain.epoch < peer.epoch - 1):
            peer.slow += 1
        self.lost(peer)

    def _refused(self, peer: JoinPeer, problem: Exception) -> None:
        self._desk.drop(peer, f"false closing headers: {problem}")
        self.lost(peer)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        if peer is self.peer:
            self.peer, self._asked = None, None

    def look_at_clock(self) -> None:
        """Leave a peer that does not answer."""
        if self.peer is not None and self._asked is not None and self._desk.now - self._asked > ANSWER_MS:
            self.peer.failed(self._desk.now)
            self.lost(self.peer)


def verify_links(
    trusted: Trusted, encoded: tuple[tuple[bytes, bytes, bytes], ...], backend: SignatureBackend
) -> tuple[list[Trusted], list[ClosingLink]]:
    """The headers reached from a trusted one; ``DecodeError``, ``BadClosingLink``, ``ForgedLinks``. For a thread."""
    links = [ClosingLink.decode(*each) for each in encoded]
    reached, checks = follow_all(trusted, links)
    if not check_all(backend, checks):
        raise ForgedLinks("a signature does not verify")
    return reached, links

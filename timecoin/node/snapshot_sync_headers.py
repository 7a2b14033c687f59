"""From a trusted block to the newest closing header, and whether everybody tells the same (protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from timecoin.ledger.closing_chain import Anchor, BadClosingLink, ClosingLink, Trusted, follow_all, start
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.p2p import messages as wire
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.signing import SignatureBackend, check_all

LINKS_AT_ONCE = 256
ANSWER_MS = 8_000


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
    """Follows the closing headers that one peer shows, from what is trusted already.

    ``ended(peer)`` is told when the peer shows no more, ``moved()`` after each step. A peer that shows a false one is
    dropped.
    """

    def __init__(
        self,
        desk: Desk,
        chain: Followed,
        ended: Callable[[JoinPeer], None],
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._desk = desk
        self.chain = chain
        self._ended = ended
        self._moved = moved
        self.peer: JoinPeer | None = None
        self._asked: int | None = None

    @property
    def is_free(self) -> bool:
        """Is no peer being followed?"""
        return self.peer is None

    def follow(self, peer: JoinPeer) -> None:
        """Begin, or go on, with a peer."""
        self.peer = peer
        self._ask()

    def _ask(self) -> None:
        assert self.peer is not None
        self._asked = self._desk.now
        self._desk.send(self.peer, wire.GetClosingHeaders(self.chain.epoch + 1, LINKS_AT_ONCE))

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders) -> bool:
        """An answer of the peer that is followed; False when it is not for this."""
        if peer is not self.peer or self._asked is None:
            return False
        self._asked = None
        if not message.links:
            self.peer = None
            self._ended(peer)
            return True
        newest, encoded = self.chain.newest, message.links
        self._desk.work(
            Work(
                lambda backend: _verify(newest, encoded, backend),
                then=lambda found: self._verified(peer, newest, *found),
                wrong=lambda problem: self._refused(peer, problem),
                expected=(BadClosingLink, DecodeError, ForgedLinks),
            )
        )
        return True

    def _verified(self, peer: JoinPeer, before: Trusted, reached: list[Trusted], links: list[ClosingLink]) -> None:
        peer.delivered()
        if self.peer is peer and self.chain.newest is before:
            self.chain.extended(reached, links)
            self._moved()
            # What was told there may have stopped it.
            if self.peer is peer:
                self._ask()

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


def _verify(
    trusted: Trusted, encoded: tuple[tuple[bytes, bytes, bytes], ...], backend: SignatureBackend
) -> tuple[list[Trusted], list[ClosingLink]]:
    links = [ClosingLink.decode(*each) for each in encoded]
    reached, checks = follow_all(trusted, links)
    if not check_all(backend, checks):
        raise ForgedLinks("a signature does not verify")
    return reached, links


class AnchorSearch:
    """Finds the epoch of a trusted block whose height alone is known, by halving; its hash decides in the end.

    ``found(trusted, link)`` is told once.
    """

    def __init__(self, desk: Desk, anchor: Anchor, found: Callable[[Trusted, ClosingLink], None]) -> None:
        self._desk = desk
        self._anchor = anchor
        self._found = found
        self._peer: JoinPeer | None = None
        self._asked = 0
        self._low = self._high = 0

    def work(self) -> None:
        """Ask the next peer, unless one is being asked."""
        now = self._desk.now
        if self._peer is not None and now - self._asked > ANSWER_MS:
            self._peer.failed(now)
            self._peer = None
        if self._peer is None:
            able = [each for each in self._desk.peers.values() if each.epoch > 1 and each.rests_until <= now]
            if able:
                self._peer = min(able, key=lambda each: each.failures)
                self._low, self._high = 1, min(self._anchor.height, self._peer.epoch - 1)
                self._ask()

    @property
    def _middle(self) -> int:
        return (self._low + self._high) // 2

    def _ask(self) -> None:
        assert self._peer is not None
        if self._low > self._high:
            # It lacks the block, or knows another one: no offence, as its operator may trust another network.
            self._desk.note(f"{self._peer.name} does not know the trusted block of height {self._anchor.height}")
            self._peer.failed(self._desk.now)
            self._peer = None
            return
        self._asked = self._desk.now
        self._desk.send(self._peer, wire.GetClosingHeaders(self._middle, 1))

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders) -> bool:
        """An answer; False when it is not for this."""
        if peer is not self._peer:
            return False
        try:
            self._narrow(message)
        except (DecodeError, BadClosingLink) as error:
            self._desk.drop(peer, f"false closing headers: {error}")
            self._peer = None
        return True

    def _narrow(self, message: wire.ClosingHeaders) -> None:
        if not message.links:
            self._low = self._middle + 1
        else:
            link = ClosingLink.decode(*message.links[0])
            if (link.header.height, link.header.hash) == self._anchor:
                self._peer = None
                self._found(start(self._desk.chain_id, self._anchor, link), link)
                return
            if link.header.height < self._anchor.height:
                self._low = self._middle + 1
            else:
                self._high = self._middle - 1
        self._ask()

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        if peer is self._peer:
            self._peer = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a peer says: the closing header of an epoch, by its hash; ``agrees`` with the chain followed here."""

    name: str
    group: bytes
    epoch: int
    block_hash: Hash
    agrees: bool

    def __str__(self) -> str:
        return f"{self.name} says that epoch {self.epoch} was closed by {display(self.block_hash)}"


class Opinions:
    """Asks every peer for its newest closing header and compares it with the chain that was followed.

    Who dissents must show its chain from the trusted block on: if that holds, nothing here can tell which of the two is
    the right one; if it does not, the peer is dropped.
    """

    def __init__(self, desk: Desk, chain: Followed) -> None:
        self._desk = desk
        self._chain = chain
        self.opinions: dict[bytes, Opinion] = {}
        self._asked: dict[bytes, tuple[int, int]] = {}
        self._branches: dict[bytes, Follower] = {}

    @property
    def conflicts(self) -> list[Opinion]:
        """Those that were proven to differ."""
        return [each for each in self.opinions.values() if not each.agrees]

    @property
    def groups(self) -> int:
        """Network groups of those that agree."""
        return len({each.group for each in self.opinions.values() if each.agrees})

    @property
    def is_complete(self) -> bool:
        """Has everybody who is connected told, or been given up?"""
        return not self._branches and all(
            key in self.opinions or (key in self._asked and self._desk.now - self._asked[key][1] > ANSWER_MS)
            for key in self._desk.peers
        )

    def work(self) -> None:
        """Ask those that were not asked."""
        for key, peer in self._desk.peers.items():
            if key not in self._asked:
                epoch = min(self._chain.epoch, max(1, peer.epoch - 1))
                self._asked[key] = (epoch, self._desk.now)
                self._desk.send(peer, wire.GetClosingHeaders(epoch, 1))
        for branch in list(self._branches.values()):
            branch.look_at_clock()
        self._branches = {key: branch for key, branch in self._branches.items() if not branch.is_free}

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders) -> bool:
        """An answer; False when it is not for this."""
        branch = self._branches.get(peer.key)
        if branch is not None:
            return branch.takes(peer, message)
        asked = self._asked.get(peer.key)
        if asked is None or peer.key in self.opinions:
            return False
        if message.links:
            self._judge(peer, asked[0], message.links[0])
        return True

    def _judge(self, peer: JoinPeer, epoch: int, encoded: tuple[bytes, bytes, bytes]) -> None:
        try:
            header = ClosingLink.decode(*encoded).header
        except DecodeError as error:
            self._desk.drop(peer, f"malformed closing header: {error}")
            return
        own = self._chain.at(epoch)
        if own is not None and own.header.hash == header.hash:
            self.opinions[peer.key] = Opinion(peer.name, peer.group, epoch, header.hash, True)
            return
        branch = Follower(self._desk, Followed.begin(self._chain.trusted[0]), self._ended, lambda: self._compare(peer))
        self._branches[peer.key] = branch
        branch.follow(peer)

    def _compare(self, peer: JoinPeer) -> None:
        branch = self._branches[peer.key]
        for one in branch.chain.trusted:
            own = self._chain.at(one.header.epoch)
            if own is not None and own.header.hash != one.header.hash:
                opinion = Opinion(peer.name, peer.group, one.header.epoch, one.header.hash, False)
                self.opinions[peer.key] = opinion
                branch.lost(peer)
                return

    def _ended(self, peer: JoinPeer) -> None:
        # Its chain is the same, so what it told before was a slip or a lie; either way it is no other opinion.
        self._branches.pop(peer.key, None)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone; what it said still counts."""
        self._branches.pop(peer.key, None)
        self._asked.pop(peer.key, None)

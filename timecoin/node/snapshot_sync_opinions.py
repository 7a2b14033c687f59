"""Whether all peers tell the closing headers that were followed, and who can prove others (protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timecoin.ledger.closing_chain import BadClosingLink, ClosingLink
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_headers import ANSWER_MS, Followed, ForgedLinks, verify_links
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a peer says: the closing header of an epoch, by its hash; ``agrees`` with the chain followed here."""

    name: str
    group: bytes
    epoch: int
    block_hash: Hash
    agrees: bool
    chosen: bool = True

    def __str__(self) -> str:
        return f"{self.name} says that epoch {self.epoch} was closed by {display(self.block_hash)}"


class Dispute:
    """Where the chain of a peer that dissents parts from the one followed here: found by halving, which takes its word,
    and then proven by the first header that differs. A dozen questions, however long the chains are.

    ``settled(peer, header)`` is told once: the header that another chain begins with, None when the peer showed none.
    """

    def __init__(
        self,
        desk: Desk,
        chain: Followed,
        peer: JoinPeer,
        epoch: int,
        settled: Callable[[JoinPeer, Header | None], None],
    ) -> None:
        """``epoch``: one of which the peer showed another closing header."""
        self._desk, self._chain, self._peer, self._settled = desk, chain, peer, settled
        self._low, self._high = chain.trusted[0].header.epoch, epoch
        self._asked: int | None = None
        self._ask()

    @property
    def _next(self) -> int:
        return max(self._low + 1, (self._low + self._high) // 2)

    def _ask(self) -> None:
        self._asked = self._desk.now
        self._desk.send(self._peer, wire.GetClosingHeaders(self._next, 1))

    def takes(self, message: wire.ClosingHeaders) -> None:
        """An answer of the peer."""
        if self._asked is None:
            return
        self._asked = None
        if not message.links:
            self._settled(self._peer, None)
            return
        header, epoch = ClosingLink.decode(*message.links[0]).header, self._next
        own = self._chain.at(epoch)
        same = own is not None and own.header.hash == header.hash
        if epoch < self._high:
            self._low, self._high = (epoch, self._high) if same else (self._low, epoch)
            self._ask()
        elif same:
            self._settled(self._peer, None)
        else:
            self._prove(message.links[0])

    def _prove(self, encoded: tuple[bytes, bytes, bytes]) -> None:
        common, peer = self._chain.at(self._low), self._peer
        assert common is not None
        self._desk.work(
            Work(
                lambda backend: verify_links(common, (encoded,), backend),
                then=lambda found: self._settled(peer, found[0][0].header),
                wrong=lambda problem: self._refused(problem),
                expected=(BadClosingLink, DecodeError, ForgedLinks),
            )
        )

    def _refused(self, problem: Exception) -> None:
        self._desk.drop(self._peer, f"false closing headers: {problem}")
        self._settled(self._peer, None)

    def look_at_clock(self) -> None:
        """A peer that does not answer shows no other chain."""
        if self._asked is not None and self._desk.now - self._asked > ANSWER_MS:
            self._peer.failed(self._desk.now)
            self._settled(self._peer, None)


class Opinions:
    """Asks every peer for its newest closing header and compares it with the chain that was followed.

    Who dissents must prove another chain from a header on that both have (:class:`Dispute`): if it does, nothing here
    can tell which of the two is the right one; if it does not, its word is nothing. Each is heard once.
    """

    def __init__(self, desk: Desk, chain: Followed) -> None:
        self._desk = desk
        self._chain = chain
        self.opinions: dict[bytes, Opinion] = {}
        self._seen: dict[bytes, int] = {}
        self._asked: dict[bytes, int] = {}
        self._heard: set[bytes] = set()
        self._disputes: dict[bytes, Dispute] = {}

    @property
    def conflicts(self) -> list[Opinion]:
        """Those that were proven to differ."""
        return [each for each in self.opinions.values() if not each.agrees]

    def groups(self, *, chosen: bool = True) -> int:
        """Network groups of those that agree; ``chosen``: only of those that were dialled from here.

        Who is behind says nothing of what came since.
        """
        agreeing = [each for each in self.opinions.values() if each.agrees and each.epoch >= self._chain.epoch - 1]
        return len({each.group for each in agreeing if each.chosen or not chosen})

    @property
    def is_complete(self) -> bool:
        """Has everybody who is connected told, or been given up?"""
        return not self._disputes and all(
            key in self._heard or (key in self._seen and self._desk.now - self._seen[key] > ANSWER_MS)
            for key in self._desk.peers
        )

    def work(self) -> None:
        """Ask those that were not asked, each once it told how far it is: of earlier epochs all say the same."""
        first = self._chain.trusted[0].header.epoch + 1
        for key, peer in self._desk.peers.items():
            self._seen.setdefault(key, self._desk.now)
            if key not in self._asked and peer.epoch:
                self._seen[key] = self._desk.now
                epoch = min(self._chain.epoch, max(first, peer.epoch - 1))
                self._asked[key] = epoch
                self._desk.send(peer, wire.GetClosingHeaders(epoch, 1))
        for dispute in list(self._disputes.values()):
            dispute.look_at_clock()

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders) -> bool:
        """An answer; False when it is not for this."""
        dispute, asked = self._disputes.get(peer.key), self._asked.get(peer.key)
        if dispute is None and (asked is None or peer.key in self._heard):
            return False
        try:
            if dispute is not None:
                dispute.takes(message)
            elif asked is not None:
                self._heard.add(peer.key)
                self._judge(peer, asked, message)
        except DecodeError as error:
            self._desk.drop(peer, f"malformed closing header: {error}")
            self.lost(peer)
        return True

    def _judge(self, peer: JoinPeer, epoch: int, message: wire.ClosingHeaders) -> None:
        own = self._chain.at(epoch)
        if own is None or not message.links:
            return
        header = ClosingLink.decode(*message.links[0]).header
        if own.header.hash == header.hash:
            self._note(peer, header, agrees=True)
        elif own is not self._chain.trusted[0]:
            self._disputes[peer.key] = Dispute(self._desk, self._chain, peer, epoch, self._settled)

    def _settled(self, peer: JoinPeer, header: Header | None) -> None:
        self._disputes.pop(peer.key, None)
        if header is not None:
            self._note(peer, header, agrees=False)

    def _note(self, peer: JoinPeer, header: Header, *, agrees: bool) -> None:
        self.opinions[peer.key] = Opinion(peer.name, peer.group, header.epoch, header.hash, agrees, peer.chosen)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone; what it said still counts."""
        self._disputes.pop(peer.key, None)
        self._asked.pop(peer.key, None)
        self._seen.pop(peer.key, None)
        self._heard.discard(peer.key)

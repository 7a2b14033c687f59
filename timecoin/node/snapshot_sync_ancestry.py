"""What a trusted block proves of the blocks below it: their hashes, and closing headers with their sets.

:class:`Ancestry` finds the block (:mod:`timecoin.node.snapshot_sync_anchor`), goes down from it
(:mod:`timecoin.node.snapshot_sync_descent`), and fetches set and commit of closing blocks that were reached.
"""

from __future__ import annotations

from typing import NamedTuple

from timecoin.ledger.closing_chain import Anchor, BadClosingLink, ClosingLink, Trusted, decided, start
from timecoin.node.snapshot_sync_anchor import AnchorSearch
from timecoin.node.snapshot_sync_descent import Descent
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.node.snapshot_sync_headers import ForgedLinks
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import SignatureBackend, check_all


class Rooted(NamedTuple):
    """A closing block that the trusted one vouches for; ``link`` is None for one that was known before."""

    trusted: Trusted
    link: ClosingLink | None


class Ancestry:
    """The past of one trusted block."""

    def __init__(self, desk: Desk, anchor: Anchor, origin: Trusted, snapshot_epochs: int) -> None:
        """``origin``: block 0, or another closing block that is known here, with its set."""
        self._desk, self.anchor, self._origin, self._snapshot_epochs = desk, anchor, origin, snapshot_epochs
        self.search = AnchorSearch(desk, anchor)
        self.descent: Descent | None = None
        self._rooted: dict[int, Rooted] = {}
        self._links: Fetch[int] = Fetch(desk, self.search.holders, lambda epoch: wire.GetClosingHeaders(epoch, 1))
        self._wanted: Header | None = None

    def work(self) -> None:
        """Ask for what is missing."""
        self.search.work()
        if self.descent is None and self.search.header is not None:
            self.descent = Descent(self._desk, self.search.header, self.search.holders, self._snapshot_epochs)
        if self.descent is not None:
            self.descent.work()
            self._links.work()

    @property
    def moved_at(self) -> int:
        """When it came further last; now, as long as the block is not found."""
        return self._desk.now if self.descent is None else max(self.descent.moved_at, self._links.answered_at)

    def rooted(self, header: Header) -> Rooted | None:
        """A closing block that was reached, with its set and a commit; None: they are being fetched."""
        if header.hash == self._origin.header.hash:
            return Rooted(self._origin, None)
        found = self._rooted.get(header.height)
        if found is None and self._wanted is not header:
            self._wanted = header
            self._links.stop()
            self._links.add([header.epoch])
            self._links.work()
        return found

    def takes(self, peer: JoinPeer, message: wire.Message) -> bool:
        """An answer; False when it is not for this."""
        if isinstance(message, wire.Headers):
            return self.search.takes(peer, message) or (self.descent is not None and self.descent.takes(peer, message))
        if not isinstance(message, wire.ClosingHeaders) or message.from_epoch not in self._links.asked_of(peer):
            return False
        wanted = self._wanted
        if not message.links:
            self._links.lacks(peer, message.from_epoch)
        elif self._links.came(peer, message.from_epoch) and wanted is not None:
            self._check(peer, wanted, message.links[0])
        return True

    def _check(self, peer: JoinPeer, header: Header, encoded: tuple[bytes, bytes, bytes]) -> None:
        self._desk.work(
            Work(
                lambda backend: check_rooted(header, encoded, backend),
                then=lambda found: self._rooted.__setitem__(header.height, found),
                wrong=lambda problem: self._refused(peer, header, problem),
                expected=(BadClosingLink, DecodeError, ForgedLinks),
            )
        )

    def _refused(self, peer: JoinPeer, header: Header, problem: Exception) -> None:
        self._desk.drop(peer, f"a false closing header: {problem}")
        self.lost(peer)
        if header is self._wanted:
            self._links.add([header.epoch])

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.search.lost(peer)
        self._links.lost(peer)
        if self.descent is not None:
            self.descent.lost(peer)


def check_rooted(header: Header, encoded: tuple[bytes, bytes, bytes], backend: SignatureBackend) -> Rooted:
    """Set and commit of a block whose header is known; ``DecodeError``, ``BadClosingLink``, ``ForgedLinks``.

    The header vouches for the set, the set for the commit, which this node will hand on to others. For a thread.
    """
    link = ClosingLink.decode(*encoded)
    trusted = start(header.chain_id, Anchor(header.height, header.hash), link)
    if not check_all(backend, decided(link, trusted.members)):
        raise ForgedLinks("a signature does not verify")
    return Rooted(trusted, link._replace(members=trusted.members))

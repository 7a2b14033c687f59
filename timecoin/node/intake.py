"""What peers send, on its way to the participant: decoded, bounded, verified in batches, then handed over in order.

A peer that sends what no honest node sends is reported with ``misbehaved``; what a lagging honest node may send
never is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import SignedMessage
from timecoin.consensus.participant import Participant
from timecoin.consensus.proposal import Proposal, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.errors import BadEvidence, EarlyEvidence, LateEvidence, TxInvalid
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.evidence_kinds import decode as decode_evidence
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import StatementError
from timecoin.ledger.witness import Check
from timecoin.mempool.admission import Prepared
from timecoin.mempool.errors import AlreadyKnown, MissingParents, NotAdmitted
from timecoin.node.gossip import Gossip
from timecoin.node.peer_view import GossipPeer, PeerView
from timecoin.node.shelf import BundleShelf
from timecoin.p2p import messages as wire
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import CloseReason
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.transaction import MalformedTransaction, Transaction

MAX_AHEAD = 2_000
MAX_AHEAD_BYTES = 16 << 20
"""Messages for the next height or epoch wait here until it opens; when full the oldest are dropped (peers send them
again)."""
BACKLOG_HIGH, BACKLOG_LOW = 4_000, 1_000
"""Unverified questions above which no peer is read, and below which reading goes on."""


_OF_SNAPSHOTS = (
    wire.GetClosingHeaders,
    wire.ClosingHeaders,
    wire.GetSnapshots,
    wire.Snapshots,
    wire.GetManifest,
    wire.ManifestPage,
    wire.GetState,
    wire.StatePart,
    wire.GetChunk,
    wire.Chunk,
    wire.GetHeaders,
    wire.Headers,
)


class Host(Protocol):
    """What drives the participant: it gives the time, carries out effects, and holds inputs back while it is busy."""

    participant: Participant

    def now_ms(self) -> int:
        """The clock."""
        ...

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input now, or after the block that is being applied; then carry out the effects."""
        ...

    def ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        """Verify signatures off the reactor; the answer comes in order."""
        ...


class BlockReceiver(Protocol):
    """Block sync, as far as peers' messages go."""

    def on_status(self, view: PeerView) -> None:
        """A peer told its height."""
        ...

    def on_blocks(self, view: PeerView, message: wire.Blocks) -> None:
        """Blocks came."""
        ...

    def on_get_blocks(self, view: PeerView, message: wire.GetBlocks) -> None:
        """A peer asks for blocks."""
        ...

    def peer_lost(self, view: PeerView) -> None:
        """A peer is gone."""
        ...


class Guard(Protocol):
    """What stands before all of this while the chain here is too old to be gone on with (``node.returning``)."""

    def connected(self, peer: Peer) -> None:
        """A peer was admitted."""
        ...

    def lost(self, peer: Peer) -> None:
        """A peer is gone."""
        ...

    def takes(self, view: PeerView, message: wire.Message) -> bool:
        """Is a message not for anybody else?"""
        ...


class _Early(NamedTuple):
    """A message of the height, or for a bundle the epoch, after the present one."""

    number: int
    view: PeerView
    kind: type[SignedMessage]
    raw: bytes


@implementer(IPeerListener)
class Intake:
    """The listener of the P2P service."""

    log = Logger()

    def __init__(self, host: Host, gossip: Gossip, shelf: BundleShelf, blocks: BlockReceiver) -> None:
        self._host = host
        self._gossip = gossip
        self._shelf = shelf
        self._blocks = blocks
        self.guard: Guard | None = None
        self._ahead: deque[_Early] = deque()
        self._ahead_bytes = 0
        self._backlog = 0
        self._paused: set[GossipPeer] = set()
        self._checking: set[bytes] = set()
        self._dispatch: dict[type[wire.Message], Callable[[PeerView, wire.Message], None]] = {
            wire.Tx: self._on_tx,
            wire.Inv: self._on_inv,
            wire.GetTx: self._on_get_tx,
            wire.NotFound: self._ignore,
            wire.Bundles: self._on_bundles,
            wire.GetBundles: self._on_get_bundles,
            wire.Proposal: self._on_proposal,
            wire.GetProposal: self._on_get_proposal,
            wire.Votes: self._on_votes,
            wire.Status: self._on_status,
            wire.GetPol: self._on_get_pol,
            wire.Pol: self._on_pol,
            wire.GetBlocks: self._on_get_blocks,
            wire.Blocks: self._on_blocks,
            wire.Evidence: self._on_evidence,
            **dict.fromkeys(_OF_SNAPSHOTS, self._ignore),
        }

    def add_handlers(self, handlers: Mapping[type[wire.Message], Callable[[PeerView, wire.Message], None]]) -> None:
        """Give the messages of these types to others from now on; those of snapshots are ignored otherwise."""
        self._dispatch.update(handlers)

    # IPeerListener

    def peer_connected(self, peer: Peer) -> None:
        """A peer was admitted."""
        self._host.feed(lambda: self._connected(peer))

    def _connected(self, peer: Peer) -> None:
        if peer.is_established:
            if self.guard is not None:
                self.guard.connected(peer)
            self._gossip.peer_connected(peer)

    def peer_lost(self, peer: Peer, reason: CloseReason) -> None:
        """A peer is gone."""
        self._paused.discard(peer)
        self._host.feed(lambda: self._lost(peer))

    def _lost(self, peer: Peer) -> None:
        if self.guard is not None:
            self.guard.lost(peer)
        view = self._gossip.view(peer)
        if view is not None:
            self._host.participant.finality.orphans.forget_source(peer.node_id)
            self._blocks.peer_lost(view)
        self._gossip.peer_lost(peer)

    def message(self, peer: Peer, message: wire.Message) -> None:
        """Take one message."""
        self._host.feed(lambda: self._handle(peer, message))

    def _handle(self, peer: Peer, message: wire.Message) -> None:
        view = self._gossip.view(peer)
        if view is not None and not (self.guard is not None and self.guard.takes(view, message)):
            self._dispatch[type(message)](view, message)

    def _ignore(self, view: PeerView, message: wire.Message) -> None:
        """Nothing follows from it: what is not found is asked for again."""

    # Transactions

    def _on_tx(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Tx)
        for raw in message.transactions:
            try:
                tx = Transaction.decode(raw)
            except MalformedTransaction as error:
                self._accuse(view, f"malformed transaction: {error}")
                return
            self._gossip.relay.known_to(view, tx.txid)
            if tx.wtxid not in self._checking:
                self.offer(tx, view)

    def offer(self, tx: Transaction, view: PeerView | None) -> None:
        """A transaction of a peer (or an orphan whose parents turned up) to be prepared, verified and admitted."""
        participant, now = self._host.participant, self._host.now_ms()
        try:
            prepared = participant.prepare(tx)
        except AlreadyKnown:
            self._offer_to_proposals(tx)
        except MissingParents as missing:
            self._offer_to_proposals(tx)
            source = view.peer.node_id if view is not None else b""
            participant.keep_orphan(tx, missing.txids, source)
            self._gossip.want_parents(view, missing.txids, now)
        except (TxInvalid, NotAdmitted):
            self._offer_to_proposals(tx)
        else:
            self._verify_transaction(prepared, view)

    def _offer_to_proposals(self, tx: Transaction) -> None:
        participant = self._host.participant
        if participant.wants_body(tx.wtxid):
            participant.body_fetched(tx, self._host.now_ms())

    def _verify_transaction(self, prepared: Prepared, view: PeerView | None) -> None:
        key = prepared.tx.wtxid
        if key in self._checking:
            return
        self._checking.add(key)
        self._gossip.arriving.add(prepared.tx.txid)
        self._ask(prepared.checks, lambda good: self._transaction_verified(prepared, view, good))

    def _transaction_verified(self, prepared: Prepared, view: PeerView | None, good: bool) -> None:
        self._checking.discard(prepared.tx.wtxid)
        self._gossip.arriving.discard(prepared.tx.txid)
        if good:
            self._host.feed(lambda: self._admit(prepared))
        elif self._host.participant.wants_body(prepared.tx.wtxid):
            # Its proposer chose this witness; whoever passes it on need not have verified it yet.
            self._host.feed(lambda: self._offer_to_proposals(prepared.tx))
        elif view is not None:
            self._accuse(view, "a transaction's signature does not verify")

    def _admit(self, prepared: Prepared) -> None:
        try:
            self._host.participant.admit(prepared, self._host.now_ms(), local=False)
        except (TxInvalid, NotAdmitted):
            self._offer_to_proposals(prepared.tx)

    def _on_inv(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Inv)
        self._gossip.on_inv(view, message, self._host.now_ms())

    def _on_get_tx(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.GetTx)
        self._gossip.answers.on_get_tx(view, message)

    # Signed messages

    def _on_bundles(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Bundles)
        for raw in message.bundles:
            self._on_signed(view, Bundle, raw)

    def _on_proposal(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Proposal)
        self._on_signed(view, Proposal, message.proposal)

    def _on_votes(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Votes)
        for raw in message.prevotes:
            self._on_signed(view, Prevote, raw)
        for raw in message.precommits:
            self._on_signed(view, Precommit, raw)

    def _on_signed(self, view: PeerView, kind: type[SignedMessage], raw: bytes) -> None:
        try:
            if not self._is_new(kind, raw):
                return
            signed = kind.decode(raw)
        except DecodeError as error:
            self._accuse(view, f"malformed {kind.__name__.lower()}: {error}")
            return
        number = signed.epoch if isinstance(signed, Bundle) else signed.height
        if number == self._current(kind) + 1:
            self._keep_early(_Early(number, view, kind, raw))
        elif self._is_wanted(signed):
            self._verify_signed(view, signed, self._members_of(signed))

    def _is_new(self, kind: type[SignedMessage], raw: bytes) -> bool:
        """Look at the large ones before they are decoded: most come from several peers."""
        if kind is Bundle:
            return self._shelf.get(*Bundle.key_of(raw)) != raw
        if kind is Proposal:
            head = ProposalHead.decode(raw)
            height = self._host.participant.height
            return head.height != height.height or height.needs(head)
        return True

    def _current(self, kind: type[SignedMessage]) -> int:
        participant = self._host.participant
        return participant.ledger.epoch if kind is Bundle else participant.height.height

    def _keep_early(self, early: _Early) -> None:
        self._ahead.append(early)
        self._ahead_bytes += len(early.raw)
        while len(self._ahead) > MAX_AHEAD or self._ahead_bytes > MAX_AHEAD_BYTES:
            self._ahead_bytes -= len(self._ahead.popleft().raw)

    def height_opened(self) -> None:
        """A block was applied: what came too early may be of use now."""
        ahead, self._ahead, self._ahead_bytes = self._ahead, deque(), 0
        for early in ahead:
            if early.number > self._current(early.kind):
                self._keep_early(early)
            else:
                self._on_signed(early.view, early.kind, early.raw)

    def _is_wanted(self, signed: SignedMessage) -> bool:
        participant = self._host.participant
        if isinstance(signed, Bundle):
            return signed.epoch == participant.ledger.epoch or participant.finality.wants_late(signed)
        if signed.height == participant.height.height:
            return participant.height.needs(signed.head if isinstance(signed, Proposal) else signed)
        return isinstance(signed, Precommit) and signed.height == participant.ledger.height

    def _members_of(self, signed: SignedMessage) -> PowerSet:
        ledger = self._host.participant.ledger
        if isinstance(signed, Bundle):
            return ledger.current if signed.epoch == ledger.epoch else ledger.previous_set
        late = isinstance(signed, Precommit) and signed.height == ledger.height
        return ledger.tip_set if late else ledger.current

    def _verify_signed(self, view: PeerView, signed: SignedMessage, members: PowerSet) -> None:
        try:
            check = signed.check(members)
        except StatementError:
            self._accuse(view, "a message of no member of the set")
            return
        self._ask([check], lambda good: self._signed_verified(view, signed, good))

    def _signed_verified(self, view: PeerView, signed: SignedMessage, good: bool) -> None:
        if not good:
            self._accuse(view, "a masternode's signature does not verify")
            return
        self._host.feed(lambda: self._deliver(view, signed))

    def _deliver(self, view: PeerView, signed: SignedMessage) -> None:
        if isinstance(signed, Bundle) and signed.epoch == self._host.participant.ledger.epoch:
            self._gossip.bundle_from(view, signed)
        self._host.participant.receive(signed, self._host.now_ms())

    def _on_pol(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Pol)
        try:
            votes = [Prevote.decode(raw) for raw in message.prevotes]
            checks = [vote.check(self._host.participant.members) for vote in votes]
        except DecodeError as error:
            self._accuse(view, f"malformed prevote: {error}")
            return
        except StatementError:
            return
        if votes:
            self._ask(checks, lambda good: self._pol_verified(view, votes, good))

    def _pol_verified(self, view: PeerView, votes: list[Prevote], good: bool) -> None:
        if not good:
            self._accuse(view, "a prevote's signature does not verify")
            return
        first, participant = votes[0], self._host.participant
        self._host.feed(lambda: participant.pol(first.round, first.block_hash, votes, self._host.now_ms()))

    # Evidence

    def _on_evidence(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Evidence)
        encoded = message.evidence
        if encoded in view.evidence:
            return
        try:
            piece = decode_evidence(encoded)
            checks = self._host.participant.examine(piece)
        except (EarlyEvidence, LateEvidence):
            # Honest peers may be further than we are, or less far; they send it again when we are where they are.
            return
        except (NoOffence, BadEvidence) as error:
            self._accuse(view, f"a false accusation: {error}")
            return
        self._ask(checks, lambda good: self._evidence_verified(view, piece, encoded, good))

    def _evidence_verified(self, view: PeerView, piece: Evidence, encoded: bytes, good: bool) -> None:
        if not good:
            self._accuse(view, "a false accusation: a signature does not verify")
            return
        self._host.feed(lambda: self._take_evidence(view, piece, encoded))

    def _take_evidence(self, view: PeerView, piece: Evidence, encoded: bytes) -> None:
        try:
            self._host.participant.accuse(piece, self._host.now_ms())
        except BadEvidence as error:
            self._accuse(view, f"a false accusation: {error}")
        else:
            self._gossip.evidence_from(view, encoded)

    # The rest

    def _on_status(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Status)
        # Behind the signatures of what came before it: that its sender has shown something must not be known earlier.
        self._ask([], lambda _: self._host.feed(lambda: self._take_status(view, message)))

    def _take_status(self, view: PeerView, status: wire.Status) -> None:
        if self._gossip.view(view.peer) is view:
            self._gossip.on_status(view, status, self._host.now_ms())
            self._blocks.on_status(view)

    def _on_get_bundles(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.GetBundles)
        self._gossip.answers.on_get_bundles(view, message)

    def _on_get_proposal(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.GetProposal)
        self._gossip.answers.on_get_proposal(view, message)

    def _on_get_pol(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.GetPol)
        self._gossip.answers.on_get_pol(view, message)

    def _on_get_blocks(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.GetBlocks)
        self._blocks.on_get_blocks(view, message)

    def _on_blocks(self, view: PeerView, message: wire.Message) -> None:
        assert isinstance(message, wire.Blocks)
        self._blocks.on_blocks(view, message)

    def _accuse(self, view: PeerView, what: str) -> None:
        self.log.warn("{peer} misbehaved: {what}", peer=view.peer, what=what)
        view.peer.misbehaved(what)

    def _ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        self._backlog += 1
        if self._backlog > BACKLOG_HIGH:
            self._pause_all()

        def answered(good: bool) -> None:
            self._backlog -= 1
            if self._backlog < BACKLOG_LOW and self._paused:
                self._resume_all()
            answer(good)

        self._host.ask(checks, answered)

    def _pause_all(self) -> None:
        for view in self._gossip.peers:
            if view.peer not in self._paused:
                self._paused.add(view.peer)
                view.peer.pause()

    def _resume_all(self) -> None:
        paused, self._paused = self._paused, set()
        for peer in paused:
            peer.resume()

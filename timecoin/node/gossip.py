"""Who gets told what: relaying, asking and answering, so that nothing is lost for good (protocol.md 8).

Pure as the participant is: it looks at no clock and owns no socket; peers are handed in and
:meth:`Gossip.tick` brings the time. What a peer has is known from what it sent, from its status, and from its
votes; what it lacks is sent to it, at once where it has no connection of its own to the source, else when its
status shows that it missed it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.participant import Participant
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.standing import Pol, Standing, messages_for, pol_of
from timecoin.consensus.steps import Step
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.node.answers import Answers
from timecoin.node.bundle_sync import BundleSync
from timecoin.node.masks import from_wire, to_wire
from timecoin.node.peer_view import SEND_QUEUE_LIMIT, GossipPeer, PeerView, broadcast
from timecoin.node.requests import Requests
from timecoin.node.shelf import BundleShelf
from timecoin.node.tx_relay import TransactionRelay
from timecoin.p2p import messages as wire

NAMED_DELAY_MS = 150
"""A body that a bundle names is asked for when it has not come by itself after this long."""
STATUS_IDLE_MS = 5_000
_MAX_NAMED = 10_000
_ASKED_AT_ONCE = 3
"""Peers of whom the same thing is asked at the same time, when nobody is known to have it."""


class Gossip:
    """The relay of one node. ``read_bundle(position, sequence, peer)`` sends a bundle that only the journal
    still holds.
    """

    def __init__(
        self,
        participant: Participant,
        shelf: BundleShelf,
        read_bundle: Callable[[GossipPeer, int, int], None],
    ) -> None:
        self._participant = participant
        self._shelf = shelf
        self._peers: dict[bytes, PeerView] = {}
        self._bundles = BundleSync(shelf, read_bundle)
        self.relay = TransactionRelay(participant, self._peers)
        self.answers = Answers(participant, self._bundles, self._peers)
        self._named: deque[tuple[int, fx.WantTransactions]] = deque()
        self._requests = Requests(participant.params.sync_interval)
        self.arriving: set[bytes] = set()
        """Transactions that are here and being verified."""
        self._turn = 0
        self._last_status = self._now = 0
        self._last_sent: wire.Status | None = None

    def carry_out(self, effect: fx.Effect, now: int) -> bool:
        """Do an effect of the participant if it is one of gossip's; else False."""
        match effect:
            case fx.Announce(message):
                self.announce(message)
            case fx.AnnounceTransaction(txid, local):
                self._requests.answered(txid)
                self.relay.announce(txid, local, now)
            case fx.WantTransactions():
                self.want_transactions(effect, now)
            case fx.WantProposal():
                self._want_proposal(effect)
            case fx.WantPol():
                self._want_pol(effect)
            case fx.ShowTransactions():
                self.answers.show_transactions(effect)
            case _:
                return False
        return True

    # Peers

    @property
    def peers(self) -> Iterable[PeerView]:
        """Every connected peer."""
        return self._peers.values()

    def peer_connected(self, peer: GossipPeer) -> PeerView:
        """The handshake is through: tell where we are, and what was submitted here and may have reached
        nobody yet.
        """
        view = PeerView(peer)
        view.inventory.extend(self._participant.pending())
        self._identify(view)
        self._peers[peer.node_id] = view
        self._update_reachable()
        peer.send(self._status())
        return view

    def view(self, peer: GossipPeer) -> PeerView | None:
        """What is believed of a connected peer."""
        view = self._peers.get(peer.node_id)
        return view if view is not None and view.peer is peer else None

    def peer_lost(self, peer: GossipPeer) -> None:
        """The connection ended."""
        view = self._peers.get(peer.node_id)
        if view is not None and view.peer is peer:
            del self._peers[peer.node_id]
            if view.operator_key is not None:
                self._participant.permit.forget(view.operator_key)
            self._update_reachable()

    def _identify(self, view: PeerView) -> None:
        """Which member of the current set a peer is, by the masternode id that it proved."""
        view.operator_key, view.signer = None, None
        if view.peer.masternode_id is None:
            return
        for index, member in enumerate(self._participant.members.members):
            if member.masternode_id == view.peer.masternode_id:
                view.operator_key, view.signer = member.operator_key, index

    def connected_mask(self) -> int:
        """The members of the current set to which there is a connection, and myself."""
        mask = 0
        for view in self._peers.values():
            if view.signer is not None:
                mask |= 1 << view.signer
        own = self._participant.signer
        return mask if own is None else mask | 1 << own

    def _update_reachable(self) -> None:
        self._participant.reachable(self.connected_mask())

    def epoch_opened(self) -> None:
        """A closing block was applied: signer indexes and sequences are new."""
        self._shelf.clear()
        for view in self._peers.values():
            self._identify(view)
            view.sequences.clear()
            view.told.clear()
            view.sent.clear()
            view.resends.clear()
            view.connected = 0
        self._update_reachable()

    # Statuses

    def _status(self) -> wire.Status:
        participant = self._participant
        height = participant.height
        return wire.Status(
            epoch=participant.ledger.epoch,
            height=height.height,
            round=height.round,
            step=int(height.step),
            tip_hash=participant.ledger.block_hash,
            prevotes=to_wire(height.ballots.prevotes(height.round).mask),
            precommits=to_wire(height.ballots.precommits(height.round).mask),
            sequences=tuple(enumerate(participant.finality.highest_sequences)),
            connected=to_wire(self.connected_mask()),
        )

    def tick(self, now: int) -> None:
        """Send what is due: call it every few tens of milliseconds."""
        if now < self._now:
            self._set_back(self._now - now)
        self._now = now
        self.relay.flush()
        self._fetch_named(now)
        self.relay.relay_due(now)
        self._send_status_if_due(now)

    def _set_back(self, step: int) -> None:
        """The clock was set back: what was planned is as far away as it was before."""
        self._last_status -= step
        self._requests.clock_moved(step)
        self.relay.clock_set_back(step)
        self._named = deque([(at - step, wanted) for at, wanted in self._named])

    def _send_status_if_due(self, now: int) -> None:
        waited = now - self._last_status
        if waited < self._participant.params.sync_interval:
            return
        if not self._participant.active and waited < STATUS_IDLE_MS:
            return
        self._last_status = now
        self.broadcast(self._status())
        self._requests.forget_old(now)

    def status_now(self) -> None:
        """Tell everybody where we are: after a block, so that those behind ask at once."""
        self.broadcast(self._status())

    def broadcast(self, message: wire.Message) -> None:
        """Send a message to every peer, encoded once."""
        broadcast(message, self._peers.values())

    def on_status(self, view: PeerView, status: wire.Status, now: int) -> None:
        """A peer told what it has: send what it lacks."""
        participant = self._participant
        view.status, view.height, view.epoch = status, status.height, status.epoch
        view.statuses += 1
        if view.operator_key is not None:
            complete = view.statuses > 1 and self._has_shown_mine(status)
            participant.hear(view.operator_key, status.epoch, now, complete=complete)
        self._send_missing(view, status)
        if view.statuses == 1:
            # Behind what it lacked: now it knows what I have of its own making, and may count on that.
            view.peer.send(self._status())

    def _has_shown_mine(self, status: wire.Status) -> bool:
        """Has the peer, no further than I, nothing of my own making that I lack?

        Its second status of a connection comes behind all that my first made it send, but tells of the round
        at hand only.
        """
        participant = self._participant
        height, mine = participant.height, participant.signer
        if (status.epoch, status.height) > (participant.ledger.epoch, height.height):
            return False
        if mine is None or status.epoch < participant.ledger.epoch:
            return True
        if dict(status.sequences).get(mine, 0) > participant.finality.highest_sequences[mine]:
            return False
        if status.height < height.height:
            return True
        votes = height.ballots.prevotes(status.round).mask, height.ballots.precommits(status.round).mask
        claimed = from_wire(status.prevotes), from_wire(status.precommits)
        return not any(theirs & ~held & 1 << mine for theirs, held in zip(claimed, votes, strict=True))

    def _send_missing(self, view: PeerView, status: wire.Status) -> None:
        participant = self._participant
        if status.epoch != participant.ledger.epoch:
            return
        view.connected = from_wire(status.connected)
        sequences = dict(status.sequences)
        for signer, highest in sequences.items():
            view.sequences[signer] = max(highest, view.sequences.get(signer, 0))
        self._bundles.send_missing(view, sequences)
        if status.height == participant.height.height:
            self._send_missing_votes(view, status)
            self._send_evidence(view)

    def _send_evidence(self, view: PeerView) -> None:
        """Whoever is where we are judges evidence as we do; others get it once they have told that they are."""
        pending = [piece.encode() for piece in self._participant.pending_evidence()]
        view.evidence.intersection_update(pending)
        for encoded in pending:
            if encoded not in view.evidence and view.peer.queued_bytes < SEND_QUEUE_LIMIT:
                view.evidence.add(encoded)
                view.peer.send(wire.Evidence(encoded))

    def evidence_from(self, view: PeerView, encoded: bytes) -> None:
        """A peer sent verified evidence: if it is kept here, the peer has it."""
        if any(encoded == piece.encode() for piece in self._participant.pending_evidence()):
            view.evidence.add(encoded)

    def _send_missing_votes(self, view: PeerView, status: wire.Status) -> None:
        held = from_wire(status.prevotes), from_wire(status.precommits)
        step = Step(min(status.step, Step.DECIDED))
        standing = Standing(status.round, step, step > Step.PROPOSE, *held)
        prevotes: list[bytes] = []
        precommits: list[bytes] = []
        for message in messages_for(self._participant.height, standing):
            if isinstance(message, Pol):
                view.peer.send(wire.Pol(tuple(vote.encode() for vote in message.prevotes)))
            elif isinstance(message, Proposal):
                if view.peer.queued_bytes < SEND_QUEUE_LIMIT:
                    view.peer.send(wire.Proposal(message.encode()))
            elif isinstance(message, Prevote):
                prevotes.append(message.encode())
            else:
                precommits.append(message.encode())
        if prevotes or precommits:
            view.peer.send(wire.Votes(tuple(prevotes), tuple(precommits)))

    # Announcing

    def announce(self, message: fx.SignedMessage | Evidence) -> None:
        """A verified or durable message: to every peer that does not get it from its signer directly."""
        if isinstance(message, Evidence):
            for view in self._peers.values():
                if (view.epoch, view.height) == (self._participant.ledger.epoch, self._participant.height.height):
                    self._send_evidence(view)
            return
        if isinstance(message, Bundle):
            self._announce_bundle(message)
            return
        mine = message.signer == self._participant.signer
        views = [view for view in self._peers.values() if mine or not self._gets_it(view, message)]
        if not (mine or isinstance(message, Proposal)):
            views += self._witness(message, views)
        if views:
            for part in self._parts(message):
                broadcast(part, views)

    def _witness(self, vote: Prevote | Precommit, told: list[PeerView]) -> list[PeerView]:
        """One more peer, another for each vote, though it gets it from the signer: or is it told something else there?

        So whoever shows different votes to different nodes is found out, at the price of one small message for each.
        """
        others = [view for view in self._peers.values() if view not in told and view.signer != vote.signer]
        return [others[vote.signature[-1] % len(others)]] if others else []

    def _parts(self, message: Proposal | Prevote | Precommit) -> Iterable[wire.Message]:
        if isinstance(message, Proposal) and not message.head.is_fresh:
            pol = pol_of(self._participant.height, message.valid_round, message.block_hash)
            if pol is not None:
                yield wire.Pol(tuple(vote.encode() for vote in pol.prevotes))
        yield _wire_message(message)

    def _announce_bundle(self, bundle: Bundle) -> None:
        participant, encoded = self._participant, bundle.encode()
        to_all = bundle.signer == participant.signer
        # One of mine may become durable only after the border: it is sent, but it is on no shelf any more.
        if bundle.epoch == participant.ledger.epoch:
            to_all = to_all or self._is_beyond_sync(bundle, encoded)
            if participant.finality.holds_bundle(bundle):
                self._shelf.add(bundle.signer, bundle.sequence, encoded)
        views = [view for view in self._peers.values() if to_all or not self._has_bundle(view, bundle)]
        for view in views:
            self._raise_sequence(view, bundle)
        broadcast(wire.Bundles((encoded,)), views)

    def _is_beyond_sync(self, bundle: Bundle, encoded: bytes) -> bool:
        """Sync goes by numbers without a gap: it brings nobody a bundle behind a gap, or a second one of its number.

        No honest signer makes such ones, but what they certify must be known to all that it may bind.
        """
        held = self._shelf.get(bundle.signer, bundle.sequence)
        highest = self._participant.finality.highest_sequences[bundle.signer]
        return bundle.sequence > highest or (held is not None and held != encoded)

    @staticmethod
    def _gets_it(view: PeerView, message: fx.SignedMessage) -> bool:
        return view.signer == message.signer or bool(view.connected >> message.signer & 1)

    def _has_bundle(self, view: PeerView, bundle: Bundle) -> bool:
        return self._gets_it(view, bundle) or view.sequences.get(bundle.signer, 0) >= bundle.sequence

    @staticmethod
    def _raise_sequence(view: PeerView, bundle: Bundle) -> None:
        if view.sequences.get(bundle.signer, 0) == bundle.sequence - 1:
            view.sequences[bundle.signer] = bundle.sequence

    def bundle_from(self, view: PeerView, bundle: Bundle) -> None:
        """A peer sent a bundle: it has it."""
        self._raise_sequence(view, bundle)

    # Asking

    def want_transactions(self, wanted: fx.WantTransactions, now: int) -> None:
        """Fetch bodies from whoever named them, else from everybody who could have them.

        What a bundle named is mostly under way already, on another connection: it gets a moment to arrive.
        """
        if wanted.by_wtxid or wanted.signer is None:
            self._fetch(wanted, now)
        elif len(self._named) < _MAX_NAMED:
            self._named.append((now + NAMED_DELAY_MS, wanted))

    def _fetch_named(self, now: int) -> None:
        while self._named and self._named[0][0] <= now:
            wanted = self._named.popleft()[1]
            unknown = tuple([txid for txid in wanted.ids if not self._participant.knows(txid)])
            if unknown:
                self._fetch(replace(wanted, ids=unknown), now)

    def _fetch(self, wanted: fx.WantTransactions, now: int) -> None:
        if not self._peers:
            return
        ids = self._unrequested(wanted.ids, now, wanted.signer)
        if not ids:
            return
        views = [view for view in self._peers.values() if wanted.signer is not None and view.signer == wanted.signer]
        for view in views or self._next_peers():
            for start in range(0, len(ids), wire.MAX_IDS):
                view.peer.send(wire.GetTx(tuple(ids[start : start + wire.MAX_IDS]), wanted.by_wtxid))

    def _next_peers(self) -> list[PeerView]:
        """A few peers, others each time: one that does not answer is not the only one asked."""
        views = list(self._peers.values())
        self._turn += _ASKED_AT_ONCE
        return [views[(self._turn + n) % len(views)] for n in range(min(_ASKED_AT_ONCE, len(views)))]

    def want_parents(self, view: PeerView | None, txids: Iterable[bytes], now: int) -> None:
        """Ask whoever sent a child for its unknown parents."""
        wanted = fx.WantTransactions(tuple(txids), False, None if view is None else view.signer)
        if view is None or view.signer is not None:
            self.want_transactions(wanted, now)
            return
        ids = self._unrequested(wanted.ids, now)
        if ids:
            view.peer.send(wire.GetTx(tuple(ids)))

    def _unrequested(self, ids: Iterable[bytes], now: int, signer: int | None = None) -> list[bytes]:
        return self._requests.due([key for key in ids if key not in self.arriving], now, signer)

    def on_inv(self, view: PeerView, message: wire.Inv, now: int) -> None:
        """A peer announces transactions: ask for those that are unknown."""
        for txid in message.txids:
            self.relay.known_to(view, txid)
        unknown = self._unrequested([txid for txid in message.txids if not self._participant.knows(txid)], now)
        if unknown:
            view.peer.send(wire.GetTx(tuple(unknown)))

    def _want_proposal(self, wanted: fx.WantProposal) -> None:
        # Of a few peers only: proposals are large.
        self._ask_some(wire.GetProposal(wanted.height, block_hash=wanted.block_hash))

    def _want_pol(self, wanted: fx.WantPol) -> None:
        self._ask_some(wire.GetPol(wanted.height, wanted.round, wanted.block_hash))

    def _ask_some(self, message: wire.Message) -> None:
        if self._peers:
            for view in self._next_peers():
                view.peer.send(message)


def _wire_message(message: Proposal | Prevote | Precommit) -> wire.Message:
    if isinstance(message, Proposal):
        return wire.Proposal(message.encode())
    if isinstance(message, Prevote):
        return wire.Votes(prevotes=(message.encode(),))
    return wire.Votes(precommits=(message.encode(),))

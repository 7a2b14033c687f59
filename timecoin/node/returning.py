"""A node whose own chain is older than the unbonding time is one that joins (protocol.md section 10).

Whoever had a quorum when its chain ended may have the collateral back, and loses nothing by signing another future:
so nothing that follows is believed for its commits alone. :class:`Returning` stands before the intake. As long as it is
on, peers are asked for headers and for nothing else: what they tell of blocks, votes and their own state goes unheard,
so that the node adopts nothing and signs nothing; it answers them, and readers, as ever. The same state machine as in
joining finds out which chain is to be believed, and the hashes of the blocks that lead from the tip here to it; block
sync takes no others.

It begins at the start, and when the first peer comes after there was none; a fresh node that fetches all blocks of an
old network, or those above a snapshot, goes through it, too, from what joining found. Not where the own key alone is a
quorum, as then nobody else can have signed; nor if the operator trusts the genesis block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.consensus.participant import Participant
from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted
from timecoin.ledger.state import LedgerState
from timecoin.node.anchor import TrustSetting, is_recent
from timecoin.node.chain_sync import ChainSync
from timecoin.node.joining import known_as, send_or_drop
from timecoin.node.peer_view import PeerView
from timecoin.node.snapshot_sync import SnapshotSync
from timecoin.node.snapshot_sync_desk import Effect, Note, Work
from timecoin.node.snapshot_sync_stages import Outcome, Plan
from timecoin.p2p import messages as wire
from timecoin.p2p.peer import Peer
from timecoin.primitives.signing import SignatureBackend

_ANSWERED = (
    wire.GetTx,
    wire.GetBundles,
    wire.GetProposal,
    wire.GetPol,
    wire.GetBlocks,
    wire.GetClosingHeaders,
    wire.GetSnapshots,
    wire.GetManifest,
    wire.GetState,
    wire.GetChunk,
    wire.GetHeaders,
)
"""What is answered meanwhile, as it is about what is here."""


class ReturnHost(Protocol):
    """What drives the participant."""

    participant: Participant

    def now_ms(self) -> int:
        """The clock."""
        ...

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input of the participant."""
        ...


class OwnChain(Protocol):
    """What is read of the chain here, and where work is done: ``node.storage_service.StorageService``."""

    def closings(self, first_epoch: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes, bytes]]]:
        """(header, commit, set) of consecutive closing blocks, encoded."""
        ...

    def in_reading_thread(self, work: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        """Run work off the reactor."""
        ...


class Returning:
    """On until it is known which chain leads on from the tip here."""

    log = Logger()

    def __init__(
        self,
        host: ReturnHost,
        chain: OwnChain,
        sync: ChainSync,
        backend: SignatureBackend,
        trust: TrustSetting,
        anchor: Anchor | None,
        abort: Callable[[str], None],
        *,
        private: bool,
    ) -> None:
        """``anchor`` is the operator's block, the release's, or what joining found; ``private``: peers without routable
        addresses count by their keys; ``abort(reason)`` ends the node, when the chain here is not the trusted block's.
        """
        self._host, self._chain, self._sync, self._backend = host, chain, sync, backend
        self._trust, self._anchor, self._abort, self._private = trust, anchor, abort, private
        self._machine: SnapshotSync | None = None
        self._peers: dict[bytes, Peer] = {}
        self._round = 0
        self.is_on = False

    @property
    def state(self) -> str | None:
        """For people; None when it is off."""
        if not self.is_on:
            return None
        return "beginning" if self._machine is None else str(self._machine)

    # Beginning and end

    def look(self) -> None:
        """Begin, if the chain here is too old; at the start, and before the first peer after there was none."""
        if not self.is_on and self._is_called_for():
            self._begin()

    def _is_called_for(self) -> bool:
        participant, ledger = self._host.participant, self._host.participant.ledger
        own = 0 if participant.signer is None else participant.members.members[participant.signer].power
        if self._trust.genesis or participant.members.is_quorum(own):
            return False
        path = self._sync.path
        if path is not None and path.highest > ledger.height and path.hash_at(ledger.height) == ledger.block_hash:
            # Joining found it out, on the way to a snapshot that is older than the trusted block.
            return False
        closed = ledger.epoch - 1
        return not is_recent(participant.params, closed, ledger.last_closing_slot, closed, self._host.now_ms())

    def _begin(self) -> None:
        self._hold(True)
        ledger = self._host.participant.ledger
        self.log.warn(
            "the chain here, at block {height}, is older than {epochs} epochs: what its masternodes sign proves "
            "nothing any more. Nothing is adopted or signed before it is known what leads on from it",
            height=ledger.height,
            epochs=self._host.participant.params.unbonding_epochs,
        )
        self._round += 1
        work = self._chain.closings(ledger.epoch - 1, 1, 1 << 24)
        work.addCallback(self._read, ledger, self._round)
        work.addErrback(self._failed)

    def _read(self, found: Sequence[tuple[bytes, bytes, bytes]], ledger: LedgerState, number: int) -> None:
        if number != self._round:
            return
        link = ClosingLink.decode(*found[0])
        assert link.members is not None
        origin = Trusted(link.header, link.members)
        now = self._host.now_ms()
        self._machine = SnapshotSync(self._host.participant.params, origin, self._plan(ledger), None, None, now)
        for peer in tuple(self._peers.values()):
            self._introduce(peer)
        self._pump()

    def _plan(self, ledger: LedgerState) -> Plan:
        # One that is no newer than the chain here is as old.
        newer = self._anchor is not None and self._anchor.height > ledger.height
        return Plan(
            anchor=self._anchor if newer else None,
            genesis_will_do=False,
            snapshot=False,
            ahead_epochs=0,
            own_epoch=ledger.epoch,
            own_tip=Anchor(ledger.height, ledger.block_hash),
        )

    def _end(self, outcome: Outcome) -> None:
        self._machine = None
        if outcome.contradiction is not None:
            self._abort(
                f"{outcome.contradiction}: the data directory holds a false chain, or the trusted hash is wrong"
            )
            return
        self.log.info("returning ends: {reason}", reason=outcome.reason)
        self._sync.path = outcome.path or self._sync.path
        self._sync.checkpoint = outcome.checkpoint or self._sync.checkpoint
        self._hold(False)

    def _hold(self, held: bool, /) -> None:
        self.is_on = held
        self._sync.hold(held)
        host = self._host
        host.feed(lambda: host.participant.hold(held, host.now_ms()))

    def _failed(self, failure: Failure) -> None:
        self.log.failure("it is not found out what leads on from the chain here", failure)
        self._abort("it is not found out what leads on from the chain here: see the log")

    # What the intake hands over

    def connected(self, peer: Peer) -> None:
        """A peer was admitted."""
        if not self._peers:
            self.look()
        self._peers[peer.node_id] = peer
        if self.is_on:
            self._introduce(peer)
            self._pump()

    def lost(self, peer: Peer) -> None:
        """A peer is gone."""
        if self._peers.get(peer.node_id) is peer:
            del self._peers[peer.node_id]
            if self._machine is not None:
                self._machine.lost(peer.node_id, self._host.now_ms())
                self._pump()

    def takes(self, view: PeerView, message: wire.Message) -> bool:
        """Is it not for anybody else, as long as this is on?"""
        if not self.is_on or isinstance(message, _ANSWERED):
            return False
        if self._machine is not None:
            self._machine.message(view.peer.node_id, message, self._host.now_ms())
            self._pump()
        return True

    def tick(self) -> None:
        """Call it some times a second."""
        if self._machine is not None:
            self._machine.tick(self._host.now_ms())
            self._pump()

    def _introduce(self, peer: Peer) -> None:
        if self._machine is not None:
            known = known_as(peer, private=self._private, chosen=not peer.inbound)
            self._machine.connected(known, self._host.now_ms())

    # The state machine's surroundings

    def _pump(self) -> None:
        machine = self._machine
        while machine is not None and (effects := machine.take_effects()):
            for effect in effects:
                self._carry_out(effect, machine)
        if machine is not None and machine is self._machine and machine.outcome is not None:
            self._end(machine.outcome)

    def _carry_out(self, effect: Effect, machine: SnapshotSync) -> None:
        if isinstance(effect, Note):
            (self.log.warn if effect.loud else self.log.info)("{text}", text=effect.text)
        elif isinstance(effect, Work):
            result = self._chain.in_reading_thread(effect.run, self._backend)
            result.addBoth(self._worked, effect, machine)
            result.addErrback(self._failed)
        else:
            send_or_drop(self.log, self._peers.get(effect.peer), effect)

    def _worked(self, outcome: Any, work: Work, machine: SnapshotSync) -> None:
        if machine is self._machine:
            machine.worked(work, outcome.value if isinstance(outcome, Failure) else outcome, self._host.now_ms())
            self._pump()

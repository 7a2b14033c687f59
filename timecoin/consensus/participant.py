"""The participant: finality and Tendermint joined into one node of the protocol (protocol.md 4 to 6).

Pure: inputs carry ``now`` in milliseconds, outputs are the effects of :mod:`timecoin.consensus.effects` and
the journal ticks of :meth:`Participant.take_tick`. All messages given to it were verified by their
signatures. The node and the simulator drive the same object:

* after every input, carry out :meth:`Participant.take_effects`;
* when no journal write is under way, :meth:`Participant.take_tick`, write its records in one transaction,
then
  :meth:`Participant.persisted`;
* while :attr:`Participant.busy`, give no input but :meth:`Participant.step`, so that a large block never
makes a long tick.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing

from timecoin.consensus import asking, events, steps
from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.context import ChainSource, Context
from timecoin.consensus.current_height import CurrentHeight
from timecoin.consensus.deciding import Deciding
from timecoin.consensus.finality import Finality
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.outbox import Tick, Urgency
from timecoin.consensus.permit import SigningPermit
from timecoin.consensus.records import RecordKind
from timecoin.consensus.restoration import Restoration
from timecoin.consensus.restoring import Restored
from timecoin.consensus.submissions import Submissions
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.errors import BadEvidence
from timecoin.ledger.evidence import accused, is_refuted, signature_checks
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.state import LedgerState
from timecoin.mempool.admission import Prepared
from timecoin.primitives.block import Block, Commit
from timecoin.primitives.signing import SignatureCheck
from timecoin.primitives.transaction import Transaction


class Participant:
    """One node of the protocol: a masternode when ``identity`` is a member of the current set, else a
    follower.
    """

    def __init__(
        self,
        *,
        params: Parameters,
        source: ChainSource,
        ledger: LedgerState,
        last_commit: Commit,
        identity: OperatorIdentity | None,
        permit: SigningPermit,
        max_pool_bytes: int,
    ) -> None:
        self._context = Context(
            params=params,
            source=source,
            ledger=ledger,
            identity=identity,
            permit=permit,
            max_pool_bytes=max_pool_bytes,
        )
        self._deciding = Deciding(self._context, last_commit, self._halt)
        self._submissions = Submissions(self._context)
        self._final_ms: dict[bytes, int] = {}
        self._untold: dict[bytes, fx.Report] = {}
        self._holding = False
        self._next_asking = 0
        self._askings = 0

    # What others look at

    @property
    def params(self) -> Parameters:
        """The network's parameters."""
        return self._context.params

    @property
    def permit(self) -> SigningPermit:
        """Whether and why I may sign."""
        return self._context.permit

    @property
    def finality(self) -> Finality:
        """The votes, acks and transactions of the open epoch."""
        return self._context.finality

    @property
    def _current(self) -> CurrentHeight:
        return self._deciding.current

    @property
    def height(self) -> Height:
        """Tendermint's machine of the height at hand."""
        return self._current.machine

    @property
    def ledger(self) -> LedgerState:
        """The state after the decided tip."""
        return self._context.ledger

    @property
    def members(self) -> PowerSet:
        """S(e) of the open epoch."""
        return self._context.members

    @property
    def signer(self) -> int | None:
        """My signer index in the open epoch, or None for a follower."""
        return self._context.signer

    @property
    def may_sign(self) -> bool:
        """Am I a member whose journal and exchange allow it to sign?"""
        return self._context.may_sign

    @property
    def silenced(self) -> bool:
        """Does the state of my journal keep me from signing in the open epoch?"""
        return self.permit.silences(self.ledger.epoch)

    @property
    def clock_is_wrong(self) -> bool:
        """Do I propose nothing because my clock is off by more than the tolerance?"""
        return self._context.clock_is_wrong

    @property
    def halted(self) -> bool:
        """Did I stop for good (R12)?"""
        return self._context.halted

    @property
    def busy(self) -> bool:
        """A decided block is being applied in slices: only :meth:`step` may be called."""
        return self._deciding.busy

    @property
    def syncing(self) -> bool:
        """A block is being judged or stored: :meth:`adopt` would refuse another."""
        return self._deciding.syncing

    @property
    def active(self) -> bool:
        """Is anything open that peers should be told about?"""
        return self._current.machine.started or self.finality.has_unarchived()

    @property
    def slot_ms(self) -> int:
        """When the open epoch ends, in milliseconds."""
        return self._context.slot_ms

    def body(self, key: bytes, *, by_wtxid: bool) -> Transaction | None:
        """An unarchived transaction by txid, or by wtxid if a proposal of the height at hand names it."""
        if not by_wtxid:
            entry = self.finality.pool.get(key)
            return None if entry is None else entry.tx
        return self._current.body(key)

    def take_effects(self) -> list[fx.Effect]:
        """What the inputs since the last call ask for, in order."""
        return self._context.take_effects()

    # Start and clock

    def restore(self, restored: Restored) -> None:
        """Before :meth:`start`: what the journal holds of the open epoch and height."""
        context, finality, now = self._context, self.finality, restored.started
        context.now = now
        self._submissions.restore(restored.pending)
        self._final_ms.update((txid, ms) for txid, ms in restored.finals.items() if not finality.is_archived(txid))
        for tx in restored.bodies.values():
            context.outbox.has_body(tx)
        Restoration(finality, context, self._submissions).bring_back(restored.transactions(), now)
        for piece in restored.evidence:
            context.docket.add(self.ledger, piece)
        for bundle in restored.bundles(self.ledger.epoch, self.members.set_hash):
            finality.restore_bundle(bundle, now)
            context.emit(fx.Announce(bundle))
        self._current.restore(restored.messages(self._current.number), restored.bodies)
        self._take_events()

    def start(self, now: int) -> None:
        """Begin."""
        self._context.now = now
        self._context.started = True
        self._wake_at_slot()
        self.tick(now)

    def tick(self, now: int) -> None:
        """Look at the clock: call it a few times a second, and at every ``WakeAt`` without a token."""
        self._context.now = now
        self._settle_permit()
        self._seal_if_due()
        self._current.tick()
        # A clock that was set back is no reason to wait for what it showed before.
        if not self._next_asking - self.params.sync_interval <= now < self._next_asking:
            self._next_asking = now + self.params.sync_interval
            self._ask_again()
        self._after()

    def _ask_again(self) -> None:
        """What was asked for may have been lost, or its source be gone: whoever named a body in turn, every
        sync interval.
        """
        self._askings += 1
        wanted = self.finality.counter.tallies.bodies_wanted()
        for signer, txids in asking.by_signer(wanted, self._askings):
            self._context.emit(fx.WantTransactions(txids, False, signer))
        self._current.ask_again()

    def wake(self, token: object, now: int) -> None:
        """A time asked for with ``WakeAt`` has come."""
        self._context.now = now
        if isinstance(token, steps.Timeout):
            self._current.timeout(token)
        else:
            self._seal_if_due()
            self._current.tick()
        self._after()

    def reachable(self, mask: int) -> None:
        """Which masternodes of the current set are believed alive: those connected."""
        self._context.alive = mask

    def clock_offset(self, milliseconds: int | None) -> None:
        """The median of other clocks minus mine (None: too few are known); it counts from the next input on."""
        self._context.clock_offset = milliseconds

    def hear(self, operator_key: bytes, epoch: int, now: int, *, complete: bool = True) -> None:
        """An authenticated masternode told its open epoch, and (``complete``) has shown what it has of
        mine.
        """
        self._context.now = now
        self.permit.hear(operator_key, epoch, complete=complete)
        self._settle_permit()
        self._after()

    def sign_anyway(self, now: int) -> None:
        """The operator ends the silence that the journal's state imposes; the journal was told before."""
        self._context.now = now
        self.permit.override(self.ledger.epoch)
        self._settle_permit()
        self._after()

    def hold(self, held: bool, now: int) -> None:
        """Sign nothing as long as it is not known whether the chain here is the network's (protocol.md 10)."""
        self._context.now = now
        self.permit.held = held
        self._settle_permit()
        self._after()

    def _wake_at_slot(self) -> None:
        context = self._context
        context.emit(fx.WakeAt(context.slot_ms - context.params.seal_lead, None))
        context.emit(fx.WakeAt(context.slot_ms, None))

    # May I sign?

    def _settle_permit(self) -> None:
        context = self._context
        has_key = context.identity is not None
        if has_key and self.permit.settle(context.members, context.signer, context.ledger.epoch):
            self._record_silence()
        self._apply_permit()

    def _apply_permit(self) -> None:
        context = self._context
        allowed = (
            context.started
            and not context.halted
            and context.signer is not None
            and self.permit.allows(context.ledger.epoch, context.members)
        )
        if allowed != self.finality.may_sign:
            self.finality.may_sign = allowed
            if allowed:
                self.finality.retry_all(context.now)
            self._current.permission_changed()

    def _record_silence(self) -> None:
        self._context.emit(fx.SettleJournal(self.permit.silent_until))

    def _contradicted(self, epoch: int) -> None:
        if self.permit.contradicted(epoch):
            self._record_silence()
        self._apply_permit()

    # Transactions

    def prepare(self, tx: Transaction) -> Prepared:
        """Everything but the signatures of a transaction; raises as ``Finality.prepare``."""
        return self.finality.prepare(tx)

    def admit(self, prepared: Prepared, now: int, *, local: bool) -> None:
        """A prepared transaction whose signatures were found good; raises as ``Finality.admit``."""
        context, tx = self._context, prepared.tx
        context.now = now
        local = local or tx.txid in self._submissions
        self.finality.admit(prepared, now, local=local)
        if local:
            self._submissions.keep(tx)
        context.emit(fx.AnnounceTransaction(tx.txid, local))
        self._current.body_admitted(tx)
        self._after()

    def keep(self, txid: bytes, now: int) -> None:
        """A transaction that peers brought was submitted here, too: keep and announce it as one's own (R5)."""
        self._context.now = now
        entry = self.finality.pool.get(txid)
        if entry is not None:
            entry.local = True
            self._submissions.keep(entry.tx)

    def reported_final(self) -> Collection[bytes]:
        """Txids of unarchived transactions that were reported final, in this life of the node or, as the journal says,
        in the one before.
        """
        return self._final_ms.keys()

    def told_final(self, txid: bytes) -> int | None:
        """The milliseconds until an unarchived transaction was final, if that is durable and told.

        It holds also while its acks are not here again after a restart.
        """
        return None if txid in self._untold else self._final_ms.get(txid)

    def pending(self) -> Iterable[bytes]:
        """Txids of what was submitted here and is not settled yet."""
        return self._submissions

    def keep_orphan(self, tx: Transaction, missing: tuple[bytes, ...], source: bytes) -> None:
        """Keep a transaction until one of its unknown parents turns up; ``source`` bounds how many."""
        self.finality.orphans.add(tx, missing, source)

    def knows(self, txid: bytes) -> bool:
        """Is the transaction unarchived and known, archived, or waiting for its parents?"""
        finality = self.finality
        return txid in finality.pool or txid in finality.orphans or finality.is_archived(txid)

    def wants_body(self, wtxid: bytes) -> bool:
        """Does a proposal wait for this body?"""
        return self._current.wants_body(wtxid)

    def body_fetched(self, tx: Transaction, now: int) -> None:
        """A body that a proposal waits for and that the pool does not take."""
        self._context.now = now
        self._current.body_fetched(tx)
        self._after()

    # Messages

    def receive(self, message: fx.SignedMessage, now: int) -> None:
        """A message whose signature was verified against the set of its epoch."""
        self._context.now = now
        if isinstance(message, Bundle):
            self._receive_bundle(message)
        elif message.height == self._current.number:
            if self._current.receive(message):
                self._context.emit(fx.Announce(message))
        elif isinstance(message, Precommit):
            self._deciding.late_precommit(message)
        self._after()

    def _receive_bundle(self, bundle: Bundle) -> None:
        finality = self.finality
        if bundle.epoch == self.ledger.epoch and bundle.signer == self.signer and not finality.holds_bundle(bundle):
            self._contradicted(bundle.epoch)
            return
        if finality.receive(bundle, self._context.now):
            self._context.outbox.record(RecordKind.BUNDLE, bundle.encode())
            self._context.emit(fx.Announce(bundle))
        self._look_for_left_out(bundle)

    def _look_for_left_out(self, bundle: Bundle) -> None:
        context = self._context
        context.accuse(context.left_out.acked(bundle, self.finality.tallies_of(bundle.epoch)))

    def pol(self, round_: int, block_hash: bytes, prevotes: Iterable[Prevote], now: int) -> None:
        """Verified prevotes of the height at hand that are said to be a POL."""
        self._context.now = now
        self._current.pol(round_, block_hash, prevotes)
        self._after()

    # Evidence

    def pending_evidence(self) -> Iterable[Evidence]:
        """Verified evidence that no block holds yet: what a peer of this height may lack."""
        return self._context.docket

    def examine(self, piece: Evidence) -> list[SignatureCheck]:
        """The signature checks of a peer's evidence; if they hold, give it to :meth:`accuse`.

        Raises ``LateEvidence`` when it is of no use, ``EarlyEvidence`` when it cannot be judged yet: neither speaks
        against the peer. Any other ``BadEvidence`` is a false accusation, which no honest node makes or passes on.
        """
        self._context.docket.check_use(self.ledger, piece)
        return signature_checks(piece, accused(self.ledger, piece))

    def accuse(self, piece: Evidence, now: int) -> bool:
        """Evidence whose signatures were verified; True when it was of use. Raises ``BadEvidence`` when the chain
        refutes it: it was a false accusation all the same.
        """
        context = self._context
        context.now = now
        if piece.claim is not None:
            with closing(context.source.coin_reader()) as reader:
                if is_refuted(piece, reader.archived_in):
                    raise BadEvidence("what was acked is archived")
        taken = context.accuse(piece)
        self._after()
        return taken

    # Journal ticks

    @property
    def wants_tick(self) -> bool:
        """Is there anything to make durable?"""
        return bool(self._context.outbox) or (self.may_sign and self.finality.has_draft)

    @property
    def urgency(self) -> Urgency:
        """How soon the next tick is wanted."""
        return self._context.outbox.urgency

    def take_tick(self, now: int, *, bundles: bool = True) -> Tick | None:
        """What has to be made durable now, or None. My new ``bundles`` are signed here: not before each tick, as
        each one costs."""
        self._context.now = now
        if bundles:
            self._context.sign_bundles()
        return self._context.outbox.take() if self._context.outbox else None

    def persisted(self, tick: Tick, now: int) -> None:
        """The records of a tick are durable: count my messages, send them, tell the users."""
        self._context.now = now
        for message in tick.messages:
            self._context.emit(fx.Announce(message))
            if isinstance(message, Bundle):
                self.finality.receive(message, now)
            elif message.height == self._current.number:
                self._current.receive(message)
            elif isinstance(message, Precommit):
                self._deciding.late_precommit(message)
        for report in self.still_to_tell(tick.reports):
            self._context.emit(report)
        self._after()

    def still_to_tell(self, reports: Iterable[fx.Report]) -> list[fx.Report]:
        """Those of a durable tick's reports that nobody was told; they count as told from now on."""
        # A block may have been durable before the journal: then it was told with that.
        return [
            report
            for report in reports
            if report.change is not fx.Change.FINAL or self._untold.pop(report.txid, None) is not None
        ]

    # What follows every input

    def begin(self) -> None:
        """Several inputs of one instant follow: what follows from them is done once, by :meth:`end`."""
        self._holding = True

    def end(self, now: int) -> None:
        """The last input of the instant was given."""
        self._holding = False
        self._context.now = now
        self._after()

    def _after(self) -> None:
        if self._holding:
            return
        self._take_events()
        self._seal_if_due()
        self._current.enter_if_due()
        self._current.build_if_due()
        self._current.pump()
        self._heed_alarms()
        self._commit_if_decided()

    def _heed_alarms(self) -> None:
        current = self._current
        if current.unjournaled:
            current.unjournaled = False
            self._contradicted(self.ledger.epoch)
        if current.broken is not None:
            self._halt("a quorum precommitted what cannot be decided", current.broken)

    def _seal_if_due(self) -> None:
        context, finality = self._context, self.finality
        if finality.sealed or not context.started:
            return
        lead = context.now >= context.slot_ms - context.params.seal_lead
        sealed_power = context.members.power_of(finality.seals_mask)
        if context.now >= context.slot_ms or (lead and context.members.exceeds_third(sealed_power)):
            context.seal()

    def _take_events(self) -> None:
        backed: list[bytes] = []
        while happened := self.finality.take_events():
            for event in happened:
                self._on_event(event, backed)
        # While a block is applied the height is over, and its checks would seal the next epoch.
        if backed and not self.busy:
            self._current.certificates_changed(backed)

    def _on_event(self, event: events.Event, backed: list[bytes]) -> None:
        context = self._context
        if isinstance(event, events.Certified):
            backed.append(event.txid)
            # What the journal brings back was told in the life before; it may be final by now.
            if context.started:
                context.emit(fx.Report(event.txid, fx.Change.CERTIFIED))
        elif isinstance(event, events.Backed):
            backed.append(event.txid)
        elif isinstance(event, events.Final):
            self._report_final(event)
        elif isinstance(event, events.Rejected):
            self._submissions.settled(event.txid)
            context.outbox.report(fx.Report(event.txid, fx.Change.REJECTED, reason=event.code))
        elif isinstance(event, events.Reopened):
            self._announce_again(event.txids)
        elif isinstance(event, events.Fresh):
            context.outbox.record(RecordKind.BUNDLE, event.bundle.encode())
            context.emit(fx.Announce(event.bundle))
            self._look_for_left_out(event.bundle)
        elif isinstance(event, events.Unknown):
            context.emit(fx.WantTransactions(event.txids, False, event.signer))
        elif isinstance(event, events.ParentsKnown):
            context.emit(fx.OfferAgain(tuple(orphan.tx for orphan in event.orphans)))
        elif isinstance(event, events.Violation):
            self._halt(event.breach.value, tuple(bundle.encode() for bundle in event.bundles))
        elif isinstance(event, events.Equivocation | events.RivalVotes | events.AckAfterSeal):
            context.offence(event)

    def _report_final(self, event: events.Final) -> None:
        # After a restart the tallies make it final again: what the journal says was reported is not told
        # twice.
        if event.txid not in self._final_ms:
            self._final_ms[event.txid] = event.milliseconds
            self._untold[event.txid] = report = fx.Report(event.txid, fx.Change.FINAL, event.milliseconds)
            self._context.outbox.report(report)

    def _announce_again(self, txids: Iterable[bytes]) -> None:
        for txid in txids:
            self._context.emit(fx.AnnounceTransaction(txid, True))

    def _halt(self, reason: str, proofs: tuple[bytes, ...]) -> None:
        if not self._context.halted:
            self._context.halted = True
            self._apply_permit()
            self._context.emit(fx.Halt(reason, proofs))

    # Blocks (R11)

    def job_done(self, job: fx.Job, outcome: Assembled | Exception, now: int) -> None:
        """A job asked for with ``RunJob`` came back, with its result or the exception that it raised."""
        self._context.now = now
        self._deciding.job_done(job, outcome)
        self._after()

    def adopt(self, block: Block, commit: Commit, now: int, *, checked: bool = False) -> bool:
        """The next decided block came from a peer; False when it is not the next, or one is being dealt
        with. ``checked``: its commit was found to be a quorum's of the set that its header names, and to be for exactly
        this block (``consensus.decided.check_decided``).
        """
        self._context.now = now
        return self._deciding.adopt(block, commit, checked=checked)

    def decided_twice(self, reason: str, proofs: tuple[bytes, ...], now: int) -> None:
        """Block sync was shown a quorum's commit, of this epoch or the one before, that cannot stand beside the chain
        here (R12): stop for good.
        """
        self._context.now = now
        self._halt(reason, proofs)
        self._after()

    def _commit_if_decided(self) -> None:
        self._deciding.commit_if_decided(self._final_ms)

    def committed(self, now: int) -> None:
        """The block of ``CommitBlock`` is durable and the source shows it: apply it, by calling :meth:`step`
        while busy.
        """
        self._context.now = now
        self._deciding.committed()

    def step(self, now: int) -> None:
        """One slice of applying the decided block."""
        self._context.now = now
        applied = self._deciding.step()
        if applied is None:
            self._take_events()
        else:
            self._applied(*applied)
            self._after()

    def _applied(self, block: Block, commit: Commit) -> None:
        context, header = self._context, block.header
        self._take_events()
        self._report_archived(block)
        context.outbox.forget([tx.wtxid for tx in block.transactions])
        self._deciding.next_height(block, commit)
        if header.closing:
            self._open_epoch()
        count = len(block.transactions) - 1
        context.emit(fx.BlockArchived(header.height, header.hash, header.closing, count, commit.round, header.epoch))

    def _report_archived(self, block: Block) -> None:
        height = block.header.height
        for tx in block.transactions[1:]:
            txid = tx.txid
            self._submissions.settled(txid)
            milliseconds = self._final_ms.pop(txid, None)
            untold = self._untold.pop(txid, None)
            if untold is not None:
                self._context.emit(untold._replace(tx=tx))
            self._context.emit(fx.Report(txid, fx.Change.ARCHIVED, milliseconds, height, None, tx))

    def _open_epoch(self) -> None:
        context = self._context
        context.outbox.rotate()
        context.left_out.epoch_opened(self.ledger.epoch)
        self._submissions.count_openings()
        context.emit(fx.RotateJournal((*self._submissions.records(), *context.docket.records())))
        self._wake_at_slot()
        self._settle_permit()

"""Drives the participant: clock, threads and disk in, effects out. The one place where consensus meets the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.outbox import Tick
from timecoin.consensus.participant import Participant
from timecoin.consensus.permit import SigningPermit
from timecoin.consensus.records import RecordKind
from timecoin.consensus.restoring import Restored
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.params import Parameters
from timecoin.ledger.witness import Check
from timecoin.node.gossip import Gossip
from timecoin.node.pacing import FlushPace
from timecoin.node.peer_view import GossipPeer
from timecoin.node.pump import Pump
from timecoin.node.reports import Reports
from timecoin.node.root import StartRefused
from timecoin.node.shelf import BundleShelf
from timecoin.node.storage_service import StorageService
from timecoin.node.verifier import Verifier
from timecoin.p2p import messages as wire
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import display
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction

TICK = 0.05
"""Seconds between two looks at the clock."""
SHELF_BYTES = 16 << 20


class ConsensusService(Service):
    """Holds the participant of this node and everything that it asks for.

    ``halt(reason)`` ends the process (protocol.md R12, or a disk that does not write any more). ``wall`` is the system
    clock in Unix seconds, which slots are measured by; the reactor's is for everything that takes a while.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        params: Parameters,
        storage: StorageService,
        backend: SignatureBackend,
        identity: OperatorIdentity | None,
        reports: Reports,
        halt: Callable[[str], None],
        *,
        max_pool_bytes: int,
        wall: Callable[[], float] | None = None,
        keep_proof: Callable[[str, Sequence[bytes]], None],
    ) -> None:
        self._reactor = reactor
        self._params = params
        self._storage = storage
        self._backend = backend
        self._identity = identity
        self._reports = reports
        self._halt = halt
        self._keep_proof = keep_proof
        self._max_pool_bytes = max_pool_bytes
        self._wall = wall or reactor.seconds
        self._signature_pool = ThreadPool(1, 1, name="signatures")
        self._job_pool = ThreadPool(1, 1, name="blocks")
        self._verifier = Verifier(reactor, self._signature_pool, backend, self.in_one_go)
        self._writing: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._written: list[Deferred[None]] = []
        self._flush_call: IDelayedCall | None = None
        self._pace = FlushPace()
        self._failed = False
        self._timers: set[IDelayedCall] = set()
        self._clock = LoopingCall(self._tick)
        self._clock.clock = reactor
        self.shelf = BundleShelf(SHELF_BYTES)
        self.gossip: Gossip
        self.participant: Participant
        self.height_opened: Callable[[], None] = lambda: None
        self.epoch_opened: Callable[[], None] = lambda: None
        self.offer: Callable[[Transaction], None] = lambda tx: None
        self.bad_block: Callable[[fx.BadBlock], None] = lambda bad: None
        self.ticked: Callable[[], None] = lambda: None
        self.clock_offset_ms: Callable[[], int | None] = lambda: None
        self.retells: Callable[[], bool] = lambda: False

    # Life cycle

    def build(self) -> None:
        """Make the participant from what storage holds; before everything that refers to it is wired."""
        storage, journal = self._storage, self._storage.journal
        if not (journal.intact or journal.fresh):
            self.log.warn("the journal is not intact: {reason}", reason=journal.reason)
        permit = SigningPermit(intact=journal.intact, fresh=journal.fresh, silent_until=journal.barred_through)
        self.participant = Participant(
            params=self._params,
            source=storage,
            ledger=storage.ledger,
            last_commit=storage.last_commit,
            identity=self._identity,
            permit=permit,
            max_pool_bytes=self._max_pool_bytes,
        )
        self._pump = Pump(self.participant, self._carry_out, self._schedule_flush, self._late_failure, self.now_ms)
        self._reports.feed.body = lambda txid: self.participant.body(txid, by_wtxid=False)
        self.gossip = Gossip(self.participant, self.shelf, self._send_journaled_bundle)

    def startService(self) -> Deferred[None]:
        """Restore the journal and begin; fails with ``StartRefused``."""
        super().startService()
        self._signature_pool.start()
        self._job_pool.start()
        try:
            self._restore()
        except BaseException:
            # Their threads would keep a process alive that has nothing left to do.
            self._stop_pools()
            raise
        self._clock.start(TICK, now=False)
        return succeed(None)

    def _restore(self) -> None:
        replayed, self._storage.replayed = self._storage.replayed, []
        try:
            restored = Restored((record for _, record in replayed), self.now_ms())
        except DecodeError as error:
            raise StartRefused(f"the journal does not read back: {error}") from error
        self._remember_positions(replayed)
        self.participant.restore(restored)
        self._pump.drain()
        self.participant.start(self.now_ms())
        if self.retells():
            self._reports.tell_again(self.participant, self.now_ms())
        self._pump.settle()

    def _stop_pools(self) -> None:
        self._signature_pool.stop()
        self._job_pool.stop()

    def stopService(self) -> Deferred[None]:
        """Write what is signed already, then stop; nothing that was acknowledged is lost."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._clock.running:
            self._clock.stop()
        if self._flush_call is not None and self._flush_call.active():
            self._flush_call.cancel()
        for timer in tuple(self._timers):
            timer.cancel()
        self._timers.clear()
        if self._writing is not None:
            await self._writing
        if not (self._failed or self.participant.busy):
            # In the middle of a block it gives no ticks; what is left to write then, nobody was told.
            tick = self.participant.take_tick(self.now_ms())
            if tick is not None and tick.records:
                await self._storage.in_journal_thread(self._storage.journal.append, tick.records)
                self._tell_at_last(tick)
        self._stop_pools()

    def _tell_at_last(self, tick: Tick) -> None:
        # The journal says now that these were told.
        for report in self.participant.still_to_tell(tick.reports):
            self._reports.add(report, self.now_ms())

    # For those who look

    @property
    def connected_power(self) -> int:
        """Voting power of the current set: of this node and of members that it is connected to."""
        return self.participant.members.power_of(self.gossip.connected_mask())

    @property
    def flush_pause(self) -> float:
        """Seconds between two journal ticks with bundles, as the load and the disk ask for."""
        return self._pace.pause

    # Host

    def now_ms(self) -> int:
        """The clock, milliseconds since the Unix epoch."""
        return int(self._wall() * 1000)

    def ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        """Verify signatures off the reactor; answers come in the order of the questions."""
        self._verifier.ask(checks, answer)

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input now, or after the block that is being applied, then carry out the effects."""
        if self.running and not self._failed:
            self._pump.feed(work)

    def in_one_go(self, work: Callable[[], None]) -> None:
        """Run several inputs; what follows from them is done once. Not to be nested."""
        if self.running and not self._failed:
            self._pump.in_one_go(work)
        else:
            work()

    def _tick(self) -> None:
        self.feed(self._look_at_clock)

    def _look_at_clock(self) -> None:
        now = self.now_ms()
        self._compare_clocks()
        self.participant.tick(now)
        self.gossip.tick(now)
        self.ticked()

    def _compare_clocks(self) -> None:
        participant, offset = self.participant, self.clock_offset_ms()
        was_wrong = participant.clock_is_wrong
        participant.clock_offset(offset)
        if participant.clock_is_wrong == was_wrong or self._identity is None:
            return
        if was_wrong:
            self.log.warn("the clock is right enough to propose blocks again")
        else:
            self.log.error("no blocks are proposed: the clock is off by {offset} ms", offset=offset)

    async def sign_anyway(self) -> bool:
        """The operator's override (protocol.md 4, *Journal*): end the silence that the journal imposes, durably; False
        when it imposes none. Fails as a write of the journal does.
        """
        if not self.participant.silenced:
            return False
        self.log.critical(
            "SIGN ANYWAY: by the operator's word this node signs again from epoch {epoch} on, though its journal may "
            "lack what its key signed before; if it signed something else then, that is misbehaviour",
            epoch=self.participant.ledger.epoch,
        )
        await self._storage.in_journal_thread(self._storage.journal.sign_anyway)
        self.feed(lambda: self.participant.sign_anyway(self.now_ms()))
        return True

    # Journal ticks

    def _schedule_flush(self) -> None:
        if self._writing is not None or self._failed or not self.running:
            return
        if not (self.participant.wants_tick or self.gossip.relay.has_push):
            return
        wait = max(0.0, self._pace.due(self.participant.urgency) - self._reactor.seconds())
        if self._flush_call is None:
            self._flush_call = self._reactor.callLater(wait, self._flush)
        elif self._flush_call.getTime() > self._reactor.seconds() + wait:
            self._flush_call.reset(wait)

    def _flush(self) -> None:
        self._flush_call = None
        self.gossip.relay.flush()
        if self.participant.busy:
            return
        bundles = self._pace.taken(self._reactor.seconds())
        tick = self.participant.take_tick(self.now_ms(), bundles=bundles)
        self._written, self._waiting = self._waiting, []
        if tick is not None and tick.records:
            self._writing = Deferred()
            work = Deferred.fromCoroutine(self._write(tick, self._writing))
            work.addErrback(lambda failure: self._fail("what became durable is not taken in", failure))
        else:
            self._durable(tick)

    async def _write(self, tick: Tick, ended: Deferred[None]) -> None:
        began = self._reactor.seconds()
        try:
            first = await self._storage.in_journal_thread(self._storage.journal.append, tick.records)
        except Exception:
            self._disk_failed(Failure())
            return
        finally:
            self._writing = None
            ended.callback(None)
        self._remember_positions(enumerate(tick.records, first))
        self._pace.wrote(len(tick.records), self._reactor.seconds() - began)
        self._durable(tick)

    def _durable(self, tick: Tick | None) -> None:
        written, self._written = self._written, []
        for waiter in written:
            waiter.callback(None)
        if tick is not None and (self._failed or not self.running):
            self._tell_at_last(tick)
        elif tick is not None:
            self.feed(lambda: self.participant.persisted(tick, self.now_ms()))
            self._schedule_flush()

    def when_durable(self) -> Deferred[None]:
        """Fires when all that was recorded up to now is on disk: whoever is told more must not lose it by a crash."""
        if self.participant.wants_tick:
            waiters = self._waiting
        elif self._writing is not None:
            waiters = self._written
        else:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        waiters.append(waiter)
        return waiter

    def _remember_positions(self, records: Iterable[tuple[int, bytes]]) -> None:
        for position, record in records:
            if record[0] == RecordKind.BUNDLE:
                self.shelf.journaled(*Bundle.key_of(record[1:]), position)

    def _disk_failed(self, failure: Failure) -> None:
        self._fail(f"the disk does not take what has to be durable: {failure.getErrorMessage()}", failure)

    def _fail(self, reason: str, failure: Failure | None = None) -> None:
        if failure is not None:
            self.log.failure("stopping", failure)
        self._failed = True
        self._halt(reason)

    # Effects

    def _carry_out(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Announce):
            self._log_height(effect.message)
        elif isinstance(effect, fx.AnnounceTransaction):
            self._tell_admitted(effect.txid)
        if self.gossip.carry_out(effect, self.now_ms()):
            return
        if isinstance(effect, fx.Report):
            self._reports.add(effect, self.now_ms())
        elif isinstance(effect, fx.WakeAt):
            self._wake_at(effect)
        elif isinstance(effect, fx.RunJob):
            self._run_job(effect.job)
        elif isinstance(effect, fx.CommitBlock):
            self._commit(effect)
        elif isinstance(effect, fx.BlockArchived):
            self._block_archived(effect)
        else:
            self._carry_out_rare(effect)

    def _tell_admitted(self, txid: bytes) -> None:
        # What is announced again when an epoch opens was told when it came.
        entry = self.participant.finality.pool.get(txid)
        if entry is not None and not entry.openings:
            self._reports.admitted(entry.tx, self.now_ms(), final=self.participant.told_final(txid) is not None)

    def _log_height(self, message: fx.SignedMessage | Evidence) -> None:
        if not isinstance(message, Bundle | Evidence):
            self.log.debug(
                "{kind} of signer {signer}: height {height} round {round} block {block}",
                kind=type(message).__name__.lower(),
                signer=message.signer,
                height=message.height,
                round=message.round,
                block=display(message.block_hash)[:16],
            )

    def _carry_out_rare(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.OfferAgain):
            for tx in effect.txs:
                self.offer(tx)
        elif isinstance(effect, fx.BadBlock):
            self.bad_block(effect)
        elif isinstance(effect, fx.RotateJournal):
            self._change_journal(self._storage.journal.rotate, effect.carry)
        elif isinstance(effect, fx.SettleJournal):
            self.log.info("nothing is signed in epochs up to {through}", through=effect.through)
            self._change_journal(self._storage.journal.settle, effect.through)
        elif isinstance(effect, fx.Misbehaviour):
            self._tell_misbehaviour(effect.proof)
        elif isinstance(effect, fx.Halt):
            self._broken(effect)

    def _tell_misbehaviour(self, proof: object) -> None:
        if not isinstance(proof, Evidence):
            self.log.error("a masternode broke the protocol: {proof}", proof=proof)
            return
        ledger, place = self.participant.ledger, proof.place
        members = ledger.current if place.epoch == ledger.epoch else ledger.previous_set
        member = members.members[place.signer]
        who = display(member.masternode_id)
        self.log.error("a masternode broke the protocol: {proof}, masternode {who}", proof=str(proof), who=who)
        if self._identity is not None and member.operator_key == self._identity.operator_key:
            self.log.critical("THIS masternode is accused, with its own signatures; it will be jailed")

    def _broken(self, halt: fx.Halt) -> None:
        failure: Failure | None = None
        try:
            self._keep_proof(halt.reason, halt.proofs)
        except OSError:
            failure = Failure()
        self._fail(f"a third or more of the voting power broke the protocol: {halt.reason}", failure)

    def _change_journal(self, work: Callable[..., object], *arguments: object) -> None:
        self._storage.in_journal_thread(work, *arguments).addErrback(self._disk_failed)

    def _wake_at(self, effect: fx.WakeAt) -> None:
        delay = max(0.0, effect.at / 1000 - self._wall())
        timer: IDelayedCall

        def wake() -> None:
            self._timers.discard(timer)
            self.feed(lambda: self.participant.wake(effect.token, self.now_ms()))

        timer = self._reactor.callLater(delay, wake)
        self._timers.add(timer)

    def _run_job(self, job: fx.Job) -> None:
        began = self._reactor.seconds()

        def done(outcome: Any) -> None:
            took = round(1000 * (self._reactor.seconds() - began))
            self.log.debug("{job} took {took} ms", job=type(job).__name__, took=took)
            result = outcome
            if isinstance(outcome, Failure):
                outcome.trap(BlockInvalid)
                result = outcome.value
            self.feed(lambda: self.participant.job_done(job, result, self.now_ms()))

        work = deferToThreadPool(self._reactor, self._job_pool, job.run, self._backend)
        work.addBoth(done)
        work.addErrback(lambda failure: self._fail("a block job failed", failure))

    # Blocks

    def _commit(self, effect: fx.CommitBlock) -> None:
        work = Deferred.fromCoroutine(self._storage.commit(effect.assembled, effect.commit, effect.final_ms))
        work.addErrback(self._disk_failed)
        work.addCallback(self._committed)

    def _committed(self, _: None) -> None:
        if not self.running or self._failed:
            return
        self.participant.committed(self.now_ms())
        self._step()

    def _step(self) -> None:
        if not self.running or self._failed:
            return
        try:
            self.participant.step(self.now_ms())
        except Exception:
            self._fail("a decided block cannot be applied", Failure())
            return
        if self.participant.busy:
            self._reactor.callLater(0, self._step)
            return
        self._pump.release()

    def _late_failure(self, error: Exception) -> None:
        self.log.failure("an input failed that was held back", Failure(error))

    def _block_archived(self, effect: fx.BlockArchived) -> None:
        self._reports.block(effect, self.now_ms())
        self.log.info(
            "block {height} {kind}: {count} transactions, round {round}",
            height=effect.height,
            kind="closes the epoch" if effect.closing else "is archived",
            count=effect.transactions,
            round=effect.round,
        )
        if effect.closing:
            self.gossip.epoch_opened()
            self.epoch_opened()
        self.height_opened()
        self.gossip.status_now()

    # Bundles that only the journal holds

    def _send_journaled_bundle(self, peer: GossipPeer, signer: int, sequence: int) -> None:
        position = self.shelf.position(signer, sequence)
        if position is None:
            return

        def send(record: bytes) -> None:
            peer.send(wire.Bundles((record[1:],)))

        work = self._storage.in_reading_thread(self._storage.journal.read, position)
        work.addCallbacks(send, lambda failure: self.log.failure("a journaled bundle does not read back", failure))

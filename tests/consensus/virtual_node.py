"""A whole node over virtual time: the participant with its gossip, intake and sync, and connections that
carry messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tests.consensus.memory_disk import Disk
from tests.ledger import builders
from timecoin.consensus import effects as fx
from timecoin.consensus.effects import Change
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.outbox import Tick
from timecoin.consensus.participant import Participant
from timecoin.consensus.permit import SigningPermit
from timecoin.consensus.restoring import Restored
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.errors import BlockInvalid, TxInvalid
from timecoin.ledger.witness import Check
from timecoin.mempool.errors import NotAdmitted
from timecoin.node.chain_sync import ChainSync
from timecoin.node.gossip import Gossip
from timecoin.node.intake import Intake
from timecoin.node.pump import Pump
from timecoin.node.shelf import BundleShelf
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.disk import Crash
from timecoin.simulation.memory_chain import Reader, ReadsChain
from timecoin.simulation.node import fail_at_once

if TYPE_CHECKING:
    from tests.consensus.participants import Network

TICK_MS = 100


class Link:
    """One direction of a connection, as ``source`` holds it: what it sends goes to ``target``."""

    is_established = True
    queued_bytes = 0

    def __init__(self, source: Node, target: Node) -> None:
        self.source, self.target = source, target
        self.lives = (source.life, target.life)
        self.node_id = target.name
        self.masternode_id = target.masternode_id

    def send(self, message: wire.Message | bytes) -> bool:
        frame = message if isinstance(message, bytes) else wire.encode_frame(message)
        self.source.network.carry(self, wire.decode(frame[4], memoryview(frame)[5:]))
        return True

    def misbehaved(self, code: str) -> None:
        self.source.accused.append((self.target.index, code))

    def pause(self) -> None:
        """Nothing is carried so fast that it would matter."""

    def resume(self) -> None:
        """As :meth:`pause`."""


class Node(ReadsChain):
    """One participant with its gossip, intake and sync; also what these need of the storage."""

    participant: Participant
    gossip: Gossip
    intake: Intake
    sync: ChainSync

    def __init__(self, network: Network, index: int, secret: bytes | None) -> None:
        self.network, self.index = network, index
        self.name = b"node %d" % index
        self.identity = None if secret is None else OperatorIdentity(secret, builders.BACKEND)
        self.disk = Disk(network.genesis)
        members = {m.operator_key: m.masternode_id for m in self.disk.ledger.current.members}
        self.masternode_id = None if self.identity is None else members[self.identity.operator_key]
        self.reports: list[fx.Report] = []
        self.alarms: list[fx.Effect] = []
        self.accused: list[tuple[int, str]] = []
        self.readers: list[Reader] = []
        self.wakes = 0
        self.up, self.life = False, 0
        self.clock_error = self.disk_lag = 0
        self.links: dict[int, Link] = {}

    # Life

    def boot(self) -> None:
        """Start from the disk."""
        disk = self.disk
        self.up, self.life = True, self.life + 1
        self.links = {}
        self.writing = False
        self.participant = Participant(
            params=self.network.genesis.parameters,
            source=self,
            ledger=disk.ledger,
            last_commit=disk.commits[-1],
            identity=self.identity,
            permit=SigningPermit(intact=disk.intact, fresh=disk.fresh, silent_until=disk.barred),
            max_pool_bytes=100_000_000,
        )
        self._pump = Pump(self.participant, self._carry_out, self._flush, fail_at_once, self.now_ms)
        shelf = BundleShelf(32 << 20)
        self.gossip = Gossip(self.participant, shelf, lambda peer, signer, sequence: None)
        self.sync = ChainSync(self, self)  # type: ignore[arg-type]
        self.intake = Intake(self, self.gossip, shelf, self.sync)
        self.guard(self._begin)

    def _begin(self) -> None:
        self.participant.restore(Restored(list(self.disk.journal), self.now_ms()))
        self.participant.start(self.now_ms())
        self._pump.settle()
        for other in self.network.nodes:
            if other.up and other is not self:
                for one, two in ((self, other), (other, self)):
                    one.links[two.index] = Link(one, two)
                    one.guard(partial(one.intake.peer_connected, one.links[two.index]))
        self._tick()

    def crash(self) -> None:
        """Lose everything but the disk."""
        self.up = False
        for other in self.network.nodes:
            link = other.links.pop(self.index, None)
            if link is not None and other.up:
                other.guard(partial(other.intake.peer_lost, link, None))

    def guard(self, work: Callable[[], None]) -> None:
        """Run something of this node's; a crash inside is its end."""
        try:
            work()
        except Crash:
            self.crash()
            if self.network.restart_after is not None:
                self.network.after(self.network.restart_after, self.boot)

    def later(self, delay: int, work: Callable[[], None]) -> None:
        """Run something after ``delay`` milliseconds, if this life lasts so long."""
        life = self.life
        self.network.after(delay, lambda: self.guard(work) if self.up and self.life == life else None)

    def _tick(self) -> None:
        self.feed(self._look_at_clock)
        self.later(TICK_MS, self._tick)

    def _look_at_clock(self) -> None:
        self.participant.tick(self.now_ms())
        self.gossip.tick(self.now_ms())
        self.sync.tick()

    # Host

    def now_ms(self) -> int:
        return self.network.now + self.clock_error

    def feed(self, work: Callable[[], None]) -> None:
        self._pump.feed(work)

    def ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        good = not self.network.verifies or check_all(builders.BACKEND, checks)
        self.later(0, lambda: answer(good))

    def _flush(self) -> None:
        if self.writing or not (self.participant.wants_tick or self.gossip.relay.has_push):
            return
        self.writing = True
        self.later(self.disk_ms(), self._write)

    def _write(self) -> None:
        self.writing = False
        self.gossip.relay.flush()
        tick = None if self.participant.busy else self.participant.take_tick(self.now_ms())
        if tick is not None:
            self.writing = True
            self.later(self.disk_ms(), lambda: self._written(tick))

    def _written(self, tick: Tick) -> None:
        if tick.records:
            self.disk.write(lambda: self._append(tick.records))
        self.writing = False
        self.feed(lambda: self.participant.persisted(tick, self.now_ms()))

    def _append(self, records: Sequence[bytes]) -> None:
        self.disk.journal.extend(records)
        self.network.watch.journaled(records)

    def disk_ms(self) -> int:
        """How long a write takes."""
        return self.network.disk_ms() + self.disk_lag

    # Effects

    def _carry_out(self, effect: fx.Effect) -> None:
        now = self.now_ms()
        if self.gossip.carry_out(effect, now):
            return
        match effect:
            case fx.Report():
                self.reports.append(effect)
                self.network.watch.report(self.index, effect)
            case fx.WakeAt(at, token):
                self.wakes += 1
                wake = lambda: self.feed(lambda: self.participant.wake(token, self.now_ms()))  # noqa: E731
                self.later(max(0, at - now), wake)
            case fx.RunJob(job):
                self._run(job)
            case fx.CommitBlock(assembled, commit):
                self.later(self.disk_ms(), lambda: self._store(assembled, commit))
            case fx.BlockArchived():
                if effect.closing:
                    self.gossip.epoch_opened()
                self.intake.height_opened()
                self.sync.work()
                self.gossip.status_now()
            case fx.OfferAgain(txs):
                for tx in txs:
                    self.intake.offer(tx, None)
            case fx.RotateJournal(carry):
                self.disk.write(lambda: self.disk.rotate(carry))
            case fx.SettleJournal(through):
                self.disk.write(lambda: self.disk.settle(through))
            case _:
                self.alarms.append(effect)
                if isinstance(effect, fx.BadBlock):
                    self.sync.bad_block(effect)

    def _run(self, job: fx.Job) -> None:
        outcome: Assembled | Exception
        try:
            outcome = job.run(builders.BACKEND)
        except BlockInvalid as error:
            outcome = error
        done = lambda: self.participant.job_done(job, outcome, self.now_ms())  # noqa: E731
        self.later(self.network.job_ms(), lambda: self.feed(done))

    def _store(self, assembled: Assembled, commit: Commit) -> None:
        self.disk.write(lambda: self.disk.store(assembled, commit))
        self.network.watch.stored(self.index, assembled)
        self.participant.committed(self.now_ms())
        self._step()

    def _step(self) -> None:
        self.participant.step(self.now_ms())
        if self.participant.busy:
            self.later(0, self._step)
            return
        self._pump.release()

    def coin_reader(self) -> Reader:
        self.readers.append(super().coin_reader())
        return self.readers[-1]

    # What tests do and ask

    def submit(self, *txs: Transaction) -> None:
        """As a user's call: prepare, admit as local."""
        for tx in txs:
            self.network.watch.transactions[tx.txid] = tx
            prepared = self.participant.prepare(tx)
            self.feed(partial(self.participant.admit, prepared, self.now_ms(), local=True))

    def offer(self, tx: Transaction) -> None:
        """As :meth:`submit`, but whoever is down or does not take it now has not accepted it."""
        if self.up:
            with contextlib.suppress(TxInvalid, NotAdmitted):
                self.guard(lambda: self.submit(tx))

    def told(self, change: Change) -> list[bytes]:
        return [report.txid for report in self.reports if report.change is change]

    @property
    def height(self) -> int:
        return self.disk.ledger.height

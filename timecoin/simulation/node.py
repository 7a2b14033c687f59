"""One simulated node: the real participant, gossip, intake, block sync and journal, driven as the node's services drive
them, on virtual time and a simulated disk."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.outbox import Tick
from timecoin.consensus.participant import Participant
from timecoin.consensus.permit import SigningPermit
from timecoin.consensus.records import RecordKind
from timecoin.consensus.restoring import Restored
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.errors import BlockInvalid, TxInvalid
from timecoin.ledger.witness import Check
from timecoin.mempool.admission import Prepared
from timecoin.mempool.errors import AlreadyKnown, NotAdmitted
from timecoin.node.chain_sync import ChainSync
from timecoin.node.gossip import Gossip
from timecoin.node.intake import Intake
from timecoin.node.pacing import FlushPace
from timecoin.node.peer_view import GossipPeer
from timecoin.node.pump import Pump
from timecoin.node.shelf import BundleShelf
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.disk import Crash, Disk, Ending
from timecoin.simulation.keys import BACKEND, Key
from timecoin.simulation.link import Link
from timecoin.simulation.memory_chain import ReadsChain
from timecoin.simulation.trace import Records, on_disk

if TYPE_CHECKING:
    from timecoin.simulation.world import World

TICK = 100 * MILLISECOND
COMPARE = SECOND
"""Between two looks at the peers' clocks."""
MAX_POOL_BYTES = 32 << 20
SHELF_BYTES = 8 << 20

Writes = deque[tuple[Callable[[], None], Callable[[], None]]]


class Node(ReadsChain):
    """A masternode when ``operator``'s key is in the set, else a follower.

    ``clock_error`` (microseconds) and ``drift`` (parts per million since ``drift_since``) make its clock wrong,
    ``disk_time`` (microseconds) its writes slow. ``honest`` is what the observer judges it by. ``moments`` counts its
    inputs and effects; when it reaches ``doom`` the node dies. ``frozen`` holds what happens while the process is
    stopped.
    """

    disk: Disk
    participant: Participant
    gossip: Gossip
    intake: Intake
    sync: ChainSync

    def __init__(self, world: World, index: int, operator: Key | None) -> None:
        self.world, self.index = world, index
        self.node_id = b"\x02" + index.to_bytes(32, "big")
        self.operator: Key | None = None
        self.identity: OperatorIdentity | None = None
        if operator is not None:
            self.take_key(operator)
        self.chance = world.chance.stream(f"node {index}")
        self.disk = Disk(world.genesis, self.chance.stream("lease").data)
        self.honest = True
        self.up, self.life = False, 0
        self.writes = 0
        self.clock_error = self.drift = self.drift_since = 0
        self.disk_time = 2 * MILLISECOND
        self.ending: Ending | None = None
        self.links: dict[int, Link] = {}
        self.moments = 0
        self.doom: int | None = None
        self.frozen: list[Callable[[], None]] | None = None

    def take_key(self, operator: Key) -> None:
        """Sign with this operator key from the next start on."""
        self.operator, self.identity = operator, OperatorIdentity(operator.secret, BACKEND)

    @property
    def masternode_id(self) -> bytes | None:
        """The masternode whose operator key this node has, by the registry of its tip."""
        if self.operator is None:
            return None
        ledger = self.disk.ledger
        for members in (ledger.current, ledger.following):
            index = members.index_of_key(self.operator.public)
            if index is not None:
                return members.members[index].masternode_id
        return None

    @property
    def height(self) -> int:
        """The decided tip on disk."""
        return self.disk.ledger.height

    @property
    def epoch(self) -> int:
        """The open epoch on disk."""
        return self.disk.ledger.epoch

    @property
    def responds(self) -> bool:
        """Is the process running?"""
        return self.up and self.frozen is None

    # Life

    def boot(self) -> None:
        """Start from the disk and connect; a node whose disk is full tries again later."""
        if self.disk.full:
            self.world.died(self)
            return
        disk, journal = self.disk, self.disk.open()
        self.up, self.life = True, self.life + 1
        self.links = {}
        self.frozen = None
        self.world.note(self, "starts", on_disk(disk))
        self._questions: list[tuple[Callable[[bool], None], bool]] = []
        self._journal_writes: Writes = deque()
        self._chain_writes: Writes = deque()
        self._ticking = False
        self._compare_at = 0
        self._flush_due: int | None = None
        self._pace = FlushPace()
        self.participant = Participant(
            params=self.world.genesis.parameters,
            source=self,
            ledger=disk.ledger,
            last_commit=disk.commits[-1],
            identity=self.identity,
            permit=SigningPermit(intact=journal.intact, fresh=journal.fresh, silent_until=journal.barred_through),
            max_pool_bytes=MAX_POOL_BYTES,
        )
        self._pump = Pump(self.participant, self._carry_out, self._schedule_flush, fail_at_once, self.now_ms)
        shelf = BundleShelf(SHELF_BYTES)
        self._shelf = shelf
        self.gossip = Gossip(self.participant, shelf, self._send_journaled_bundle)
        self.sync = ChainSync(self, self, self.world.signatures)  # type: ignore[arg-type]
        self.intake = Intake(self, self.gossip, shelf, self.sync)
        self.world.observer.booted(self)
        self.guard(self._begin)

    def _begin(self) -> None:
        entries = list(self.disk.journal.entries())
        for position, record in entries:
            self._remember_position(record, position)
        self.participant.restore(Restored([record for _, record in entries], self.now_ms()))
        self._pump.drain()
        self.participant.start(self.now_ms())
        self._pump.settle()
        self.world.connect_all(self)
        self._tick()

    def crash(self) -> None:
        """Lose everything but the disk; the write under way is lost or done, as ``ending`` says."""
        if not self.up:
            return
        self.up, self.frozen = False, None
        for writes in (self._journal_writes, self._chain_writes):
            if writes and not self.disk.full:
                self._end_under_way(writes[0][0])
            writes.clear()
        self.world.note(self, "DIES", on_disk(self.disk))
        self.world.stamp(b"dies %d" % self.index)
        self.world.observer.crashed(self)
        for link in list(self.links.values()):
            self.world.disconnect(link)

    def _end_under_way(self, work: Callable[[], None]) -> None:
        """A transaction on disk is there or not; a torn one is cut off at the next start."""
        ending = self.ending or self.chance.pick((Ending.LOST, Ending.DONE))
        self.world.note(self, "write", f"under way: {ending.value}")
        if ending is Ending.DONE:
            work()
        elif ending is Ending.DAMAGED:
            self.disk.log.damage()

    def freeze(self) -> None:
        """SIGSTOP: what arrives and what is due waits."""
        if self.responds:
            self.frozen = []

    def thaw(self) -> None:
        """SIGCONT: all that waited happens now."""
        waiting, self.frozen = self.frozen, None
        for work in waiting or ():
            work()
        if self.up:
            self.world.connect_all(self)

    def guard(self, work: Callable[[], None]) -> None:
        """Run something of this node's; a crash inside is its end."""
        try:
            self._live_on()
            work()
        except Crash:
            self.crash()
            self.world.died(self)

    def _live_on(self) -> None:
        self.moments += 1
        if self.moments == self.doom:
            self.doom = None
            raise Crash

    def later(self, delay: int, work: Callable[[], None]) -> None:
        """Run something after ``delay`` microseconds, if this life lasts so long."""
        life = self.life

        def due() -> None:
            if not self.up or self.life != life:
                return
            if self.frozen is not None:
                self.frozen.append(due)
            else:
                self.guard(work)

        self.world.clock.after(delay, due)

    def _tick(self) -> None:
        self.feed(self._look_at_clock)
        self.later(TICK, self._tick)

    def _look_at_clock(self) -> None:
        now = self.world.clock.now
        if now >= self._compare_at:
            self._compare_at = now + COMPARE
            self.participant.clock_offset(self.world.clock_offset_of(self))
        self.participant.tick(self.now_ms())
        self.gossip.tick(self.now_ms())
        self.sync.tick()

    # Peers

    def connected(self, link: Link) -> None:
        """A connection was made."""
        self.links[link.target.index] = link
        self.world.note(self, "connected", f"to {link.target.index}")
        self.guard(partial(self.intake.peer_connected, link))  # type: ignore[arg-type]

    def lost(self, link: Link) -> None:
        """A connection ended."""
        if self.links.get(link.target.index) is link:
            del self.links[link.target.index]
        if self.frozen is not None:
            self.frozen.append(partial(self._peer_lost, link, self.life))
        else:
            self._peer_lost(link, self.life)

    def _peer_lost(self, link: Link, life: int) -> None:
        if self.up and self.life == life:
            self.guard(partial(self.intake.peer_lost, link, None))  # type: ignore[arg-type]

    def transmit(self, link: Link, frame: bytes) -> None:
        """Something is sent; dishonest nodes do otherwise."""
        self.world.carry(link, frame)

    def take(self, link: Link, message: wire.Message) -> None:
        """A message arrived over a connection of this node."""
        if self.frozen is not None:
            self.frozen.append(partial(self._take_late, link, message))
            return
        if link.paused:
            link.waiting.append(message)
            return
        self.guard(partial(self.intake.message, link, message))  # type: ignore[arg-type]

    def _take_late(self, link: Link, message: wire.Message) -> None:
        if link.is_established:
            self.take(link, message)

    def accuse(self, link: Link, code: str) -> None:
        """A peer misbehaved: the connection is closed."""
        self.world.note(self, "ACCUSES", f"node {link.target.index}: {code}")
        self.world.observer.accused(self, link.target, code)
        self.world.disconnect(link)

    # Host

    def now_ms(self) -> int:
        """This node's clock, right or wrong, in milliseconds since the Unix epoch."""
        now = self.world.clock.now
        if self.drift:
            now += (now - self.drift_since) * self.drift // 1_000_000
        return (now + self.clock_error) // MILLISECOND

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input now, or after the block that is being applied."""
        self._pump.feed(work)

    def ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        """Verify signatures; the answers come a moment later, in the order of the questions and in one go."""
        self._questions.append((answer, self.world.signatures.all_hold(checks)))
        if len(self._questions) == 1:
            self.later(self.world.verify_time, self._answer)

    def _answer(self) -> None:
        questions, self._questions = self._questions, []
        self._pump.in_one_go(lambda: _answer_all(questions))

    # Journal ticks, as the consensus service does them

    def _schedule_flush(self) -> None:
        if self._ticking or not (self.participant.wants_tick or self.gossip.relay.has_push):
            return
        due = max(self.world.clock.now, int(self._pace.due(self.participant.urgency) * SECOND))
        if self._flush_due is None or due < self._flush_due:
            self._flush_due = due
            self.later(due - self.world.clock.now, partial(self._flush, due))

    def _flush(self, due: int) -> None:
        if self._flush_due != due:
            return
        self._flush_due = None
        self.gossip.relay.flush()
        if self.participant.busy:
            return
        moment = self.world.clock.now
        tick = self.participant.take_tick(self.now_ms(), bundles=self._pace.taken(moment / SECOND))
        if tick is None:
            return
        if not tick.records:
            self._durable(tick)
            return
        self._ticking = True
        self._write(self._journal_writes, partial(self._append, tick), partial(self._written, tick, moment))

    def _append(self, tick: Tick) -> None:
        first = self.disk.journal.append(tick.records)
        for position, record in enumerate(tick.records, first):
            self._remember_position(record, position)
        self.world.note(self, "journals", Records(tick.records))
        self.world.stamp(b"journal %d %d" % (self.index, len(tick.records)))
        self.world.observer.journaled(self, tick.records)

    def _remember_position(self, record: bytes, position: int) -> None:
        if record[0] == RecordKind.BUNDLE:
            self._shelf.journaled(*Bundle.key_of(record[1:]), position)

    def _written(self, tick: Tick, began: int) -> None:
        self._ticking = False
        self._pace.wrote(len(tick.records), (self.world.clock.now - began) / SECOND)
        self._durable(tick)

    def _durable(self, tick: Tick) -> None:
        self.feed(lambda: self.participant.persisted(tick, self.now_ms()))
        self._schedule_flush()

    # Writes: those of the journal one after the other, and those of the chain, each in a thread of its own

    def _write(self, writes: Writes, work: Callable[[], None], done: Callable[[], None]) -> None:
        """Do ``work`` on the disk, in its turn; ``done`` follows when it is durable."""
        writes.append((work, done))
        if len(writes) == 1:
            self.later(self.disk_time, partial(self._end_write, writes))

    def _end_write(self, writes: Writes) -> None:
        self.writes += 1
        self.world.before_write(self)
        if self.disk.full:
            # The node's service stops the process when the disk does not take what has to be durable.
            self.world.note(self, "disk full")
            raise Crash
        work, done = writes[0]
        work()
        writes.popleft()
        self.world.after_write(self)
        if writes:
            self.later(self.disk_time, partial(self._end_write, writes))
        done()

    # Effects

    def _carry_out(self, effect: fx.Effect) -> None:
        self._live_on()
        now = self.now_ms()
        if self.gossip.carry_out(effect, now):
            return
        match effect:
            case fx.Report():
                self.world.reported(self, effect)
            case fx.WakeAt(at, token):
                delay = max(0, at * MILLISECOND - now * MILLISECOND)
                self.later(delay, partial(self._wake, token))
            case fx.RunJob(job):
                self._run(job)
            case fx.CommitBlock(assembled, commit):
                self._write(self._chain_writes, partial(self._store, assembled, commit), self._stored)
            case fx.BlockArchived():
                self._block_archived(effect)
            case fx.OfferAgain(txs):
                for tx in txs:
                    self.intake.offer(tx, None)
            case fx.RotateJournal(carry):
                self._write(self._journal_writes, partial(self._rotate, carry), _nothing_more)
            case fx.SettleJournal(through):
                self._write(self._journal_writes, partial(self._settle, through), _nothing_more)
            case fx.BadBlock():
                self.world.note(self, "bad block", f"{effect.height}: {effect.reason}")
                self.world.observer.bad_block(self, effect)
                self.sync.bad_block(effect)
            case fx.Misbehaviour():
                self.world.note(self, "catches", type(effect.proof).__name__)
                self.world.observer.misbehaviour(self, effect)
            case fx.Halt():
                self.world.note(self, "HALTS", effect.reason)
                self.world.observer.halted(self, effect)
                self.world.stopped(self)
                raise Crash

    def _wake(self, token: object) -> None:
        self.feed(lambda: self.participant.wake(token, self.now_ms()))

    def _rotate(self, carry: Sequence[bytes]) -> None:
        self.disk.journal.rotate(carry)
        self.world.note(self, "rotates", f"{len(carry)} records carried")
        self.world.observer.rotated(self, carry)

    def _settle(self, through: int) -> None:
        self.disk.journal.settle(through)
        self.world.note(self, "settles", f"signs nothing through e{through}")

    def _block_archived(self, effect: fx.BlockArchived) -> None:
        if effect.closing:
            self.gossip.epoch_opened()
        self.intake.height_opened()
        self.sync.work()
        self.gossip.status_now()
        self.world.observer.applied(self, effect)

    def _run(self, job: fx.Job) -> None:
        outcome: Assembled | Exception
        try:
            outcome = job.run(self.world.signatures)
        except BlockInvalid as error:
            outcome = error
        answer = partial(self._job_done, job, outcome)
        self.later(self.world.job_time, answer)

    def _job_done(self, job: fx.Job, outcome: Assembled | Exception) -> None:
        self.feed(lambda: self.participant.job_done(job, outcome, self.now_ms()))

    def _store(self, assembled: Assembled, commit: Commit) -> None:
        self.disk.store(assembled, commit)
        header = assembled.block.header
        kind = "closing" if header.closing else "interim"
        what = f"{kind} block {header.height} of {header.tx_count - 1} payments, decided in round {commit.round}"
        self.world.note(self, "stores", what, header.hash)
        self.world.stamp(b"block %d %b" % (self.index, header.hash))
        self.world.observer.stored(self, assembled, commit)

    def _stored(self) -> None:
        self.participant.committed(self.now_ms())
        self._step()

    def _step(self) -> None:
        self.participant.step(self.now_ms())
        if self.participant.busy:
            self.later(0, self._step)
            return
        self._pump.release()

    def _send_journaled_bundle(self, peer: GossipPeer, signer: int, sequence: int) -> None:
        position = self._shelf.position(signer, sequence)
        if position is not None:
            peer.send(wire.Bundles((self.disk.journal.read(position)[1:],)))

    # Users

    def submit(self, tx: Transaction) -> bool:
        """As a user's ``sendrawtransaction``; False when this node does not take it now."""
        if not self.responds:
            return False
        try:
            prepared = self.participant.prepare(tx)
        except AlreadyKnown as known:
            if not known.archived:
                self.guard(lambda: self.feed(lambda: self.participant.keep(tx.txid, self.now_ms())))
            return True
        except (TxInvalid, NotAdmitted):
            return False
        if not self.world.signatures.all_hold(prepared.checks):
            return False
        self.world.note(self, "is given", tx.txid)
        self.guard(lambda: self.feed(lambda: self._admit(prepared)))
        return True

    def sign_anyway(self) -> None:
        """As its operator's ``masternode sign-anyway``."""
        self.world.note(self, "SIGNS ANYWAY", f"from e{self.epoch} on")
        self.disk.journal.sign_anyway()
        self.guard(lambda: self.feed(lambda: self.participant.sign_anyway(self.now_ms())))

    def _admit(self, prepared: Prepared) -> None:
        with contextlib.suppress(TxInvalid, NotAdmitted):
            self.participant.admit(prepared, self.now_ms(), local=True)


def _answer_all(questions: Sequence[tuple[Callable[[bool], None], bool]]) -> None:
    for answer, good in questions:
        answer(good)


def fail_at_once(error: Exception) -> None:
    """Nothing may fail late in a simulated node."""
    raise error


def _nothing_more() -> None:
    """Nobody waits for this write."""

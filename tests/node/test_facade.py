"""RPC's view of a real node: a network of one, wired as ever, on a clock in the test's hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import NoExit, NotedPeer, Pools, ThreadClock
from tests.storage.samples import scratch
from timecoin.consensus.records import Record, RecordKind, encode_final
from timecoin.consensus.status import Status
from timecoin.ledger.errors import SignatureInvalid, TxInvalid
from timecoin.ledger.params import Parameters
from timecoin.mempool.errors import AlreadyKnown, MissingParents, NotAdmitted
from timecoin.node import consensus_service, event_service, storage_service, wiring
from timecoin.node.config import parse
from timecoin.node.feed import BlockApplied, TransactionChanged
from timecoin.node.root import Phase
from timecoin.node.wiring import Node
from timecoin.p2p import messages as wire
from timecoin.p2p.service import P2PService
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import sha256
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.storage.errors import UnknownBlock
from timecoin.storage.journal import LEASE_NAME

EPOCH_SECONDS = 8
INI = """
[node]
data_dir = data
[p2p]
listen = none
[rpc]
enabled = no
[wallet]
enabled = no
[masternode]
enabled = yes
operator_key_file = operator.key
"""
TO = builders.key("somebody")


class ReactorClock(ThreadClock):
    """What the root service asks of a reactor besides."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1

    def callWhenRunning(self, work: Callable[..., object], *arguments: object) -> None:
        work(*arguments)


class FacadeTestCase(SynchronousTestCase):
    ini = INI

    def setUp(self) -> None:
        self.path = scratch(self)
        parameters = Parameters.for_epoch_seconds(EPOCH_SECONDS)
        self.genesis = builders.network(1, accounts=6, parameters=parameters)
        self.chain = builders.Chain(self.genesis)
        (self.path / "operator.key").write_text(builders.operator(0).secret.hex())
        self.clock = ReactorClock()
        self.clock.advance(self.genesis.slot_time + 0.5)
        self.patch(wiring, "tune_interpreter", lambda: None)
        self.exit = NoExit()
        self.patch(wiring, "ExitStatus", lambda: self.exit)
        self.start()

    def start(self) -> None:
        self.disks, self.workers = Pools(self, storage_service), Pools(self, consensus_service)
        self.logs = Pools(self, event_service)
        self.node = Node(parse(self.ini, "node.ini", self.path), self.genesis, self.clock, self.clock.seconds)
        self.node.root.startService()
        self.assertIs(self.node.root.phase, Phase.RUNNING)
        self.facade = self.node.facade
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.node.root.phase is Phase.RUNNING:
            for pool in (*self.disks.made.values(), *self.workers.made.values()):
                pool.held = False
                pool.run()
            stopped = self.node.root.stopService()
            self.run_for(1)
            self.successResultOf(stopped)

    def run_for(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))

    def payment(self, number: int = 0, value: int = COIN) -> Transaction:
        chain = builders.Chain(self.genesis)
        return chain.payment(builders.account(number), TO, value)

    def forged(self, tx: Transaction) -> Transaction:
        """The same with the signature of another payment."""
        witness = (self.payment(1).inputs[0].witness[0], tx.inputs[0].witness[1])
        return Transaction(tx.version, (tx.inputs[0]._replace(witness=witness),), tx.outputs, tx.lock_time)

    def submit(self, tx: Transaction) -> Any:
        answer = self.facade.submit(tx)
        self.run_for(0.3)
        return answer

    def status(self, tx: Transaction) -> str | None:
        found = self.facade.status(tx.txid)
        return None if found is None else found.status


class SubmitTest(FacadeTestCase):
    def test_from_submission_to_the_chain(self) -> None:
        tx = self.payment()
        self.assertIsNone(self.facade.status(tx.txid))
        waiting = self.facade.wait_final(tx.txid, 60_000)
        self.assertEqual(self.successResultOf(self.submit(tx)), tx.txid)
        final = self.successResultOf(waiting)
        assert final is not None
        power = self.facade.tip().current.total
        self.assertEqual((final.status, final.votes, final.acks, final.total_power), ("final", power, power, power))
        self.assertTrue(0 < (final.final_ms or 0) < 1_000)
        self.assertEqual((final.height, final.block_hash), (None, None))
        self.run_for(EPOCH_SECONDS)
        archived = self.successResultOf(self.facade.wait_final(tx.txid, 60_000))
        assert archived is not None
        tip = self.facade.tip()
        self.assertEqual(
            (archived.status, archived.height, archived.block_hash), ("archived", tip.height, tip.block_hash)
        )
        self.assertEqual(archived.final_ms, final.final_ms)
        self.assertEqual([event.status for event in self.events()], ["certified", "final", "archived"])

    def events(self) -> Any:
        return self.successResultOf(self.facade.events(0, 100, 0)).events

    def test_times_to_finality_outlive_a_restart(self) -> None:
        tx = self.payment()
        self.submit(tx)
        self.run_for(EPOCH_SECONDS)
        before = self.facade.status(tx.txid)
        assert before is not None and before.final_ms is not None
        self.stop()
        self.start()
        self.assertEqual(self.facade.status(tx.txid), before)

    def test_acknowledged_when_it_is_on_disk(self) -> None:
        self.run_for(0.2)
        disk = self.disks["journal"]
        disk.held = True
        tx = self.payment()
        answer = self.submit(tx)
        self.assertIn(tx.txid, self.facade.pool_ids())
        self.assertNoResult(answer)
        disk.run(1)
        self.assertEqual(self.successResultOf(answer), tx.txid)
        # Whatever happens now: it is there after a crash.
        records = list(self.node.storage.journal.replay())
        self.assertTrue(any(tx.raw in record for record in records))

    def test_again(self) -> None:
        tx = self.payment()
        self.successResultOf(self.submit(tx))
        self.assertEqual(self.successResultOf(self.submit(tx)), tx.txid)
        self.run_for(EPOCH_SECONDS)
        known = self.failureResultOf(self.submit(tx), AlreadyKnown)
        self.assertTrue(known.value.archived)

    def test_what_peers_brought_is_kept_from_then_on(self) -> None:
        """A follower has no vote of its own in its journal that would bring it back (protocol.md R5)."""
        tx = self.payment()
        self.bring(tx)
        self.run_for(0.3)
        self.assertNotIn(tx.txid, self.node.consensus.participant.pending())
        self.successResultOf(self.submit(tx))
        self.assertIn(tx.txid, self.node.consensus.participant.pending())
        entry = self.node.consensus.participant.finality.pool.get(tx.txid)
        self.assertTrue(entry is not None and entry.local)

    def bring(self, tx: Transaction) -> NotedPeer:
        peer = NotedPeer(1)
        self.node.intake.peer_connected(peer)
        self.node.intake.message(peer, wire.Tx((tx.raw,)))
        return peer

    def test_refused(self) -> None:
        tx = self.payment()
        spent = builders.Chain(self.genesis).coins_of(builders.account(2))[0]
        poor = builders.spend([(*spent, builders.account(2))], [TxOutput(spent[1].value + 1, TO.script)])
        orphan = builders.spend([(tx.outpoint(0), spent[1], builders.account(0))], [TxOutput(COIN, TO.script)])
        for bad, error in ((poor, TxInvalid), (orphan, MissingParents), (self.forged(tx), SignatureInvalid)):
            self.failureResultOf(self.submit(bad), error)
        rivals = [self.payment(0, value) for value in (COIN, 2 * COIN, 3 * COIN)]
        self.successResultOf(self.submit(rivals[0]))
        for rival in rivals[1:]:
            self.failureResultOf(self.submit(rival), NotAdmitted, TxInvalid)

    def test_a_child_need_not_wait_for_its_parent(self) -> None:
        parent = self.payment()
        coin = self.chain.coins_of(builders.account(0))[0][1]._replace(value=COIN, script=TO.script)
        child = builders.spend([(parent.outpoint(0), coin, TO)], [TxOutput(COIN - 10**6, TO.script)])
        answers = [self.facade.submit(tx) for tx in (parent, child)]
        self.run_for(0.5)
        self.successResultOf(answers[0])
        self.successResultOf(answers[1])
        self.assertEqual(self.facade.pool_children(parent.txid), (child.txid,))
        self.assertEqual((self.status(parent), self.status(child)), ("final", "final"))

    def test_a_whole_family_at_once(self) -> None:
        txs = [self.payment()]
        holder, value = TO, COIN
        coin = self.chain.coins_of(builders.account(0))[0][1]
        for _ in range(4):
            spent = coin._replace(value=value, script=holder.script)
            value -= 10**6
            txs.append(builders.spend([(txs[-1].outpoint(0), spent, holder)], [TxOutput(value, holder.script)]))
        stranger = builders.spend([(bytes(36), coin, TO)], [TxOutput(COIN, TO.script)])
        answers = [self.facade.submit(tx) for tx in (*txs, stranger)]
        self.run_for(0.5)
        self.assertEqual([self.successResultOf(answer) for answer in answers[:-1]], [tx.txid for tx in txs])
        self.failureResultOf(answers[-1], MissingParents)
        self.assertEqual(self.facade._under_way, {})

    def test_a_child_whose_parent_is_refused(self) -> None:
        parent = self.payment()
        coin = self.chain.coins_of(builders.account(0))[0][1]._replace(value=COIN, script=TO.script)
        child = builders.spend([(parent.outpoint(0), coin, TO)], [TxOutput(COIN - 10**6, TO.script)])
        answers = [self.facade.submit(tx) for tx in (self.forged(parent), child)]
        self.run_for(0.5)
        self.failureResultOf(answers[0], SignatureInvalid)
        self.failureResultOf(answers[1], MissingParents)

    def test_while_a_block_is_applied(self) -> None:
        chain = self.disks["chain"]
        chain.held = True
        self.run_for(EPOCH_SECONDS + 1)
        chain.run(1)
        chain.held = False
        self.assertTrue(self.node.consensus.participant.busy)
        tx = self.payment()
        answer = self.facade.submit(tx)
        self.assertNoResult(answer)
        self.run_for(0.5)
        self.assertEqual(self.successResultOf(answer), tx.txid)

    def test_preview(self) -> None:
        tx, rival = self.payment(), self.payment(0, 2 * COIN)
        self.assertEqual(self.previews(tx), [(None, builders.FEE)])
        self.assertEqual(self.previews(self.forged(tx)), [(SignatureInvalid.code, 0)])
        self.assertEqual(list(self.facade.pool_ids()), [])
        self.submit(tx)
        self.assertEqual([reason for reason, _ in self.previews(tx, rival)], ["txn-already-known", "txn-double-spend"])

    def previews(self, *txs: Transaction) -> list[tuple[str | None, int]]:
        answer = self.facade.preview(txs)
        self.run_for(0.1)
        return [(each.reason, each.fee) for each in self.successResultOf(answer)]


class LookTest(FacadeTestCase):
    def test_the_node(self) -> None:
        facade = self.facade
        self.assertEqual((facade.network, facade.hrp), ("devnet", "timed"))
        self.assertEqual(facade.parameters, self.genesis.parameters)
        self.assertIsNone(facade.warming_up())
        self.assertEqual(facade.started_ms(), (self.genesis.slot_time * 1000) + 500)
        self.run_for(1)
        self.assertIn(facade.now_ms() - facade.started_ms(), (999, 1_000))
        self.assertGreater(facade.reactor().samples, 0)
        facade.stop()
        self.assertEqual(self.clock.stops, 1)

    def test_the_chain(self) -> None:
        facade = self.facade
        self.run_for(EPOCH_SECONDS + 1)
        tip, chain = facade.tip(), facade.chain()
        self.assertEqual((tip.height, chain.best_height, chain.syncing), (1, 1, False))
        self.assertGreater(chain.size_on_disk, 1_000)
        self.assertEqual(chain.coins, sum(facade.coin(o, False) is not None for o in self.all_coins()))
        header = self.successResultOf(facade.header_at(1))
        self.assertEqual((header.hash, header.epoch, header.closing), (tip.block_hash, 1, True))
        self.assertEqual(self.successResultOf(facade.block_at(1)).header, header)
        self.assertEqual(self.successResultOf(facade.height_of(tip.block_hash)), 1)
        self.assertIsNone(self.successResultOf(facade.height_of(bytes(32))))
        for read in (facade.header_at, facade.block_at):
            self.failureResultOf(read(2), UnknownBlock)
        coinbase = self.successResultOf(facade.block_at(1)).transactions[0]
        self.assertEqual(facade.location(coinbase.txid), (1, 0))
        self.assertIsNone(facade.location(bytes(32)))

    def all_coins(self) -> list[bytes]:
        reward = self.successResultOf(self.facade.block_at(1)).transactions[0]
        return [*self.chain.coins, *(reward.outpoint(n) for n in range(len(reward.outputs)))]

    def test_coins_with_and_without_the_pool(self) -> None:
        tx = self.payment()
        spent, made = tx.inputs[0].outpoint, tx.outpoint(0)
        self.submit(tx)
        facade = self.facade
        self.assertIsNotNone(facade.coin(spent, False))
        self.assertIsNone(facade.coin(spent, True))
        self.assertIsNone(facade.coin(made, False))
        coin = facade.coin(made, True)
        assert coin is not None
        self.assertEqual((coin.value, coin.code >> 1), (COIN, 0x7FFFFFFF))
        self.assertIsNone(facade.coin(tx.outpoint(9), True))
        other = self.payment(1).inputs[0].outpoint
        self.assertEqual(facade.coin(other, True), facade.coin(other, False))

    def test_the_pool(self) -> None:
        txs = [self.payment(number) for number in range(3)]
        for tx in txs:
            self.submit(tx)
        facade = self.facade
        pool = facade.pool()
        self.assertEqual((pool.count, pool.bytes, pool.total_fee), (3, sum(tx.size for tx in txs), 3 * builders.FEE))
        self.assertGreater(pool.usage, pool.bytes)
        self.assertEqual(set(facade.pool_ids()), {tx.txid for tx in txs})
        entry = facade.pool_entry(txs[0].txid)
        assert entry is not None
        self.assertEqual((entry.tx, entry.fee, entry.height, entry.status), (txs[0], builders.FEE, 0, "final"))
        self.assertIsNone(facade.pool_entry(bytes(32)))
        self.assertEqual((facade.pool_children(txs[0].txid), facade.pool_children(bytes(32))), ((), ()))
        self.run_for(EPOCH_SECONDS)
        pool = facade.pool()
        self.assertEqual((pool.count, pool.bytes, pool.total_fee, pool.usage), (0, 0, 0, 0))

    def test_consensus(self) -> None:
        facade = self.facade
        first = facade.consensus()
        self.assertEqual((first.height, first.epoch, first.sealed, first.seals), (1, 1, False, 0))
        self.assertEqual((first.pending, first.certified, first.final), (0, 0, 0))
        self.assertEqual((first.signer, first.voting, first.abstains), (0, True, None))
        self.assertEqual(first.power, first.connected_power)
        self.assertEqual(first.next_slot, self.genesis.slot_time + EPOCH_SECONDS)
        self.assertEqual(first.masternode_id, facade.tip().current.members[0].masternode_id)
        self.disks["journal"].held = True
        self.facade.submit(self.payment())
        self.run_for(0.3)
        self.assertEqual(facade.consensus().pending, 1)
        self.disks["journal"].held = False
        self.disks["journal"].run()
        self.run_for(0.5)
        settled = facade.consensus()
        self.assertEqual((settled.pending, settled.certified, settled.final), (0, 0, 1))
        self.node.consensus.feed(lambda: self.node.consensus.participant._halt("?", ()))
        self.assertIn("a third or more", facade.consensus().abstains or "")
        self.assertEqual(self.exit.code, 1)

    def test_sign_anyway(self) -> None:
        self.assertFalse(self.successResultOf(self.facade.sign_anyway()))
        self.stop()
        (self.path / "data" / LEASE_NAME).unlink()
        self.start()
        self.run_for(0.2)
        self.assertIn("silent through epoch 2", self.facade.consensus().abstains or "")
        disk = self.disks["journal"]
        disk.held = True
        with capturedLogs() as events:
            answer = self.facade.sign_anyway()
            self.assertFalse(self.facade.consensus().voting)
            disk.held = False
            disk.run()
            self.assertTrue(self.successResultOf(answer))
        self.assertEqual(sum(event["log_level"] is LogLevel.critical for event in events), 1)
        self.assertTrue(self.facade.consensus().voting)
        self.stop()
        self.start()
        self.run_for(0.2)
        self.assertTrue(self.facade.consensus().voting)

    def test_a_wrong_clock(self) -> None:
        offset = self.genesis.parameters.clock_tolerance + 1
        self.assertTrue(self.facade.consensus().proposing)
        self.patch(P2PService, "clock_offset_ms", property(lambda service: offset))
        with capturedLogs() as events:
            self.run_for(2 * EPOCH_SECONDS)
        info = self.facade.consensus()
        self.assertEqual((info.height, info.sealed, info.proposing, info.abstains), (1, True, False, None))
        told = [event["offset"] for event in events if "no blocks are proposed" in (event["log_format"] or "")]
        self.assertEqual(told, [offset])
        offset = 0
        with capturedLogs() as events:
            self.run_for(EPOCH_SECONDS)
        self.assertTrue(self.facade.consensus().proposing)
        self.assertGreater(self.facade.consensus().height, 1)
        self.assertEqual(sum("propose blocks again" in (event["log_format"] or "") for event in events), 1)

    def test_the_network(self) -> None:
        info = self.facade.network_info()
        self.assertEqual(len(info.node_id), 33)
        self.assertEqual((info.inbound, info.outbound, info.active, info.local_addresses), (0, 0, True, ()))
        self.assertEqual(self.facade.peers(), [])

    def test_events_are_waited_for(self) -> None:
        poll: Deferred[Any] = self.facade.events(0, 10, 5_000)
        self.assertNoResult(poll)
        self.submit(self.payment())
        # Number 1 is that it came in.
        self.assertEqual(self.successResultOf(poll).events[0].number, 2)

    def test_what_nobody_ever_saw(self) -> None:
        waiting = self.facade.wait_final(sha256(b"?"), 2_000)
        self.run_for(1.9)
        self.assertNoResult(waiting)
        self.run_for(0.2)
        self.assertIsNone(self.successResultOf(waiting))


class MetricsTest(FacadeTestCase):
    def figures(self) -> dict[str, float]:
        lines = self.node.metrics.render().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    def test_gauges(self) -> None:
        self.submit(self.payment())
        figures = self.figures()
        power = float(self.facade.tip().current.total)
        expected = {
            "height": 0, "epoch": 1, "peers": 0, "pool_transactions": 1, "syncing": 0, "signing": 1,
            "connected_power": power, "total_power": power, "pool_bytes": self.facade.pool().usage,
        }  # fmt: skip
        for name, figure in expected.items():
            self.assertEqual(figures[f"timecoin_{name}"], figure, name)
        self.assertGreater(figures["timecoin_unmerged_keys"], 0)
        self.assertGreater(figures["timecoin_journal_pause_seconds"], 0)
        self.run_for(EPOCH_SECONDS)
        figures = self.figures()
        self.assertEqual((figures["timecoin_height"], figures["timecoin_epoch"]), (1, 2))

    def test_bytes_of_peers(self) -> None:
        self.node.p2p.traffic.came(18, 700)
        self.node.p2p.traffic.went(32, 99)
        figures = self.figures()
        self.assertEqual(figures['timecoin_p2p_bytes_total{direction="in",message="tx"}'], 700)
        self.assertEqual(figures['timecoin_p2p_bytes_total{direction="out",message="bundles"}'], 99)
        self.assertEqual(figures['timecoin_p2p_messages_total{direction="in",message="tx"}'], 1)


class FollowerTest(FacadeTestCase):
    ini = INI.partition("[masternode]")[0]

    def test_says_why_it_signs_nothing(self) -> None:
        info = self.facade.consensus()
        self.assertEqual((info.signer, info.power, info.voting, info.masternode_id), (None, 0, False, None))
        self.assertEqual(info.abstains, "not a member of the current set")

    def test_what_is_submitted_survives_a_restart(self) -> None:
        tx = self.payment()
        self.successResultOf(self.submit(tx))
        self.assertEqual(self.status(tx), "pending")
        self.stop()
        self.start()
        self.assertEqual(self.status(tx), "pending")
        self.assertEqual(list(self.node.consensus.participant.pending()), [tx.txid])

    def test_what_was_told_as_final_is_shown_as_final_before_its_acks_are_here_again(self) -> None:
        tx, told = self.payment(), Statuses()
        record = Record(RecordKind.FINAL, encode_final(tx.txid, 31)).encode()
        self.node.storage.in_journal_thread(self.node.storage.journal.append, [record])
        self.stop()
        self.start()
        self.node.reports.feed.listen(told)
        self.successResultOf(self.submit(tx))
        self.assertEqual(told.events, [(tx.txid, Status.FINAL, tx)])
        found, entry = self.facade.status(tx.txid), self.facade.pool_entry(tx.txid)
        assert found is not None and entry is not None
        self.assertEqual((found.status, found.final_ms, found.reason, entry.status), ("final", 31, None, "final"))


class Statuses:
    """What the feed told of transactions."""

    def __init__(self) -> None:
        self.events: list[tuple[bytes, Status, Transaction | None]] = []

    def transaction(self, event: TransactionChanged) -> None:
        self.events.append((event.txid, event.status, event.tx))

    def block(self, event: BlockApplied) -> None:
        raise AssertionError("no block comes")

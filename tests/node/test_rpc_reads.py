"""What RPC reads and steers of a real node: single transactions, coins, counts, packages, waiting, scans, the index."""

from __future__ import annotations

from typing import Self

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import Pools
from tests.node.test_facade import EPOCH_SECONDS, INI, TO, FacadeTestCase
from timecoin.ledger.coins import encode_coin
from timecoin.ledger.errors import SignatureInvalid
from timecoin.node import address_service
from timecoin.node.address_service import AddressService
from timecoin.node.block_watch import BlockWatch
from timecoin.node.chain_reads import MAX_LOOKUPS
from timecoin.node.coin_scans import CoinScans, count_coins, find_coins
from timecoin.node.coin_scans import _Search as Search
from timecoin.node.feed import BlockApplied
from timecoin.primitives.amounts import COIN
from timecoin.rpc.errors import RpcError
from timecoin.rpc.facade import FeeAboveLimit
from timecoin.rpc.face_addresses import IndexNotReady
from timecoin.rpc.face_scans import ScanAborted, ScanUnderWay
from timecoin.storage.address_index import AddressIndex
from timecoin.storage.database import committing


class ReadTests(FacadeTestCase):
    def test_transactions_and_what_they_spend(self) -> None:
        tx = self.payment()
        self.submit(tx)
        coins = self.later(self.facade.outputs([tx.outpoint(0), *tx.outpoints()]))
        self.assertEqual(coins[tx.outpoint(0)].height, 0x7FFFFFFF)
        self.run_for(EPOCH_SECONDS)
        place = self.facade.location(tx.txid)
        assert place is not None
        self.assertEqual(self.later(self.facade.transaction_at(*place)), tx)
        coins = self.later(self.facade.outputs([tx.outpoint(0), *tx.outpoints(), b"\1" * 36, tx.outpoint(9)]))
        self.assertEqual(set(coins), {tx.outpoint(0), *tx.outpoints()})
        self.assertEqual(coins[tx.outpoint(0)].code, 2 * place[0])
        self.assertTrue(coins[tx.outpoints()[0]].is_coinbase)

    def test_many_who_look_open_few_views_of_the_coins(self) -> None:
        opened: list[object] = []
        chain = self.node.storage.chain
        open_one = chain.coin_lookup
        self.patch(chain, "coin_lookup", lambda: opened.append(1) or open_one())
        outpoints = self.payment().outpoints()
        reading = self.disks.made["reading"]
        reading.held = True
        answers = [self.facade.outputs(outpoints) for _ in range(50)]
        self.assertEqual(len(opened), MAX_LOOKUPS)
        reading.held = False
        reading.run()
        self.run_for(1)
        self.assertEqual([len(self.successResultOf(each)) for each in answers], [1] * 50)

    def test_counts_and_subsidies(self) -> None:
        self.submit(self.payment())
        self.run_for(2 * EPOCH_SECONDS)
        tip = self.facade.tip()
        self.assertEqual(self.later(self.facade.tx_count(tip.height)), tip.height + 2)
        self.assertEqual(self.later(self.facade.tx_count(0)), 1)
        subsidies = [self.later(self.facade.subsidy(self.header(height))) for height in range(tip.height + 1)]
        self.assertEqual(subsidies[0], sum(each.value for each in self.genesis.allocations))
        self.assertEqual(set(subsidies[1:]), {self.genesis.parameters.base_reward})

    def header(self, height: int):  # type: ignore[no-untyped-def]
        return self.later(self.facade.header_at(height))

    def later(self, answer):  # type: ignore[no-untyped-def]
        self.run_for(0.1)
        return self.successResultOf(answer)

    def test_the_next_block(self) -> None:
        waiting = self.facade.next_block(None)
        self.run_for(0.5)
        self.assertNoResult(waiting)
        self.run_for(EPOCH_SECONDS)
        self.successResultOf(waiting)

    def test_a_fee_above_the_limit_is_not_admitted(self) -> None:
        tx = self.payment()
        rate = builders.FEE * 1000 // tx.vsize
        answer = self.facade.submit(tx, rate)
        self.run_for(0.3)
        self.failureResultOf(answer, FeeAboveLimit)
        self.assertEqual(list(self.facade.pool_ids()), [])
        answer = self.facade.submit(tx, rate + 1)
        self.run_for(0.3)
        self.assertEqual(self.successResultOf(answer), tx.txid)
        self.assertEqual(self.facade.pool_spender(tx.outpoints()[0]), tx.txid)
        self.assertIsNone(self.facade.pool_spender(tx.outpoint(0)))

    def test_children_are_judged_after_their_parents(self) -> None:
        parent = self.payment()
        change = parent.outputs[1]
        spent = builders.Chain(self.genesis).coins_of(builders.account(0))[0][1]._replace(value=change.value)
        child = builders.spend(
            [(parent.outpoint(1), spent, builders.account(0))], [parent.outputs[0]._replace(value=COIN)]
        )
        self.assertEqual(self.reasons(parent, child), [None, None])
        self.assertEqual(self.reasons(child), ["missing-inputs"])
        self.assertEqual(self.reasons(self.forged(parent), child), [SignatureInvalid.code, "missing-inputs"])
        self.assertEqual(self.reasons(parent, self.payment(0, 2 * COIN)), [None, "txn-mempool-conflict"])
        self.assertEqual(list(self.facade.pool_ids()), [])

    def reasons(self, *txs):  # type: ignore[no-untyped-def]
        return [each.reason for each in self.later(self.facade.preview(txs))]


class WatchTests(SynchronousTestCase):
    def test_which_block_was_the_tip(self) -> None:
        watch = BlockWatch(None)
        self.assertEqual(watch.height_at(5, 9), 9)
        for height, time_ms in ((4, 100), (5, 200)):
            watch.block(BlockApplied(1, height, b"", 1, True, time_ms))
        self.assertEqual([watch.height_at(ms, 9) for ms in (50, 100, 150, 200, 999)], [3, 4, 4, 5, 5])

    def test_not_too_many_wait(self) -> None:
        watch = BlockWatch(None)
        waiting = [watch.next_block(None) for _ in range(1_000)]
        with self.assertRaises(RpcError):
            watch.next_block(None)
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        waiting.append(watch.next_block(None))
        watch.block(BlockApplied(1, 1, b"", 1, True, 1))
        self.assertTrue(all(each.called for each in waiting))

    def test_a_time_limit(self) -> None:
        clock = Clock()
        watch = BlockWatch(clock)
        over, cancelled, woken = (watch.next_block(1_000) for _ in range(3))
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        clock.advance(1)
        self.successResultOf(over)
        self.successResultOf(woken)
        late = watch.next_block(1_000)
        watch.block(BlockApplied(1, 1, b"", 1, True, 1))
        self.successResultOf(late)
        self.assertEqual(clock.getDelayedCalls(), [])


class _Coins:
    def __init__(self, chain: builders.Chain) -> None:
        self.items = sorted((outpoint, encode_coin(coin)) for outpoint, coin in chain.coins.items())
        self.count = len(self.items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to let go."""

    def steps(self, limit: int):  # type: ignore[no-untyped-def]
        for start in range(0, self.count, 2):
            yield self.items[start : start + 2]


class ScanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = builders.Chain(builders.network(1, accounts=4))
        self.coins = _Coins(self.chain)

    def test_figures(self) -> None:
        found = count_coins(self.coins, self.chain.state)
        self.assertEqual((found.count, found.transactions), (len(self.chain.coins), 1))
        self.assertEqual(found.total, sum(coin.value for coin in self.chain.coins.values()))
        self.assertEqual(found.bogosize, sum(50 + len(coin.script) for coin in self.chain.coins.values()))

    def test_coins_of_scripts(self) -> None:
        wanted = builders.account(1).script
        found = list(find_coins(self.coins, frozenset([wanted]), 9, Search(self.coins.count)))
        self.assertEqual(found, self.chain.coins_of(builders.account(1)))
        self.assertRaises(ValueError, list, find_coins(self.coins, frozenset([wanted]), 0, Search(5)))

    def test_ended(self) -> None:
        search = Search(self.coins.count)
        search.ended = True
        self.assertRaises(ScanAborted, list, find_coins(self.coins, frozenset(), 9, search))
        self.assertRaises(ScanAborted, count_coins, self.coins, self.chain.state, lambda: True)


class _Storage:
    """A scanning thread in the test's hand."""

    running = True

    def __init__(self, chain: builders.Chain) -> None:
        self.chain, self._state, self.work = self, chain.state, []  # type: ignore[var-annotated]
        self.coins = chain

    def tip_state(self):  # type: ignore[no-untyped-def]
        return self._state

    def snapshot(self):  # type: ignore[no-untyped-def]
        return _Coins(self.coins)

    def in_scanning_thread(self, work):  # type: ignore[no-untyped-def]
        answer: Deferred[object] = Deferred()
        self.work.append((work, answer))
        return answer

    def go_on(self) -> None:
        for work, answer in self.work:
            try:
                answer.callback(work())
            except Exception:
                answer.errback()
        self.work = []


class CoinScansTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.storage = _Storage(builders.Chain(builders.network(1, accounts=4)))
        self.scans = CoinScans(self.storage)  # type: ignore[arg-type]
        self.wanted = [builders.account(1).script]

    def test_one_search_at_a_time(self) -> None:
        answer = self.scans.find(self.wanted, 9)
        self.assertEqual(self.scans.progress(), 0)
        self.assertRaises(ScanUnderWay, self.scans.find, self.wanted, 9)
        self.storage.go_on()
        self.assertEqual(len(self.successResultOf(answer).coins), 1)
        self.assertIsNone(self.scans.progress())
        self.assertFalse(self.scans.abort())

    def test_aborted(self) -> None:
        answer = self.scans.find(self.wanted, 9)
        self.assertTrue(self.scans.abort())
        self.storage.go_on()
        self.failureResultOf(answer, ScanAborted)

    def test_who_asked_leaves(self) -> None:
        answer = self.scans.find(self.wanted, 9)
        work = self.storage.work[0][0]
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertIsNone(self.scans.progress())
        self.assertRaises(ScanAborted, work)

    def test_a_count_serves_all_who_ask_meanwhile(self) -> None:
        first, second, third = (self.scans.figures() for _ in range(3))
        first.cancel()
        third.cancel()
        for left in (first, third):
            self.failureResultOf(left, CancelledError)
        self.assertEqual(len(self.storage.work), 1)
        self.storage.go_on()
        self.assertGreater(self.successResultOf(second).count, 0)


class AddressTests(FacadeTestCase):
    ini = INI.replace("[p2p]", "[storage]\naddress_index = yes\n[p2p]")

    def start(self) -> None:
        self.indexing = Pools(self, address_service)
        super().start()

    @property
    def index(self) -> AddressService:
        assert self.node.addresses is not None
        return self.node.addresses

    def later(self, answer):  # type: ignore[no-untyped-def]
        self.run_for(0.2)
        return self.successResultOf(answer)

    def test_from_the_pool_into_blocks(self) -> None:
        tx = self.payment()
        self.submit(tx)
        [found] = self.index.pool([TO.script])
        self.assertEqual((found.txid, found.status, found.outputs, found.inputs), (tx.txid, "final", ((0, COIN),), ()))
        self.assertEqual(self.later(self.index.totals([TO.script])).balance, 0)
        self.run_for(EPOCH_SECONDS)
        self.assertEqual(list(self.index.pool([TO.script])), [])
        totals = self.later(self.index.totals([TO.script]))
        self.assertEqual((totals.balance, totals.received, totals.transactions), (COIN, COIN, 1))
        [coin] = self.later(self.index.unspent([TO.script]))
        self.assertEqual((coin.outpoint, coin.value), (tx.outpoint(0), COIN))
        payer = builders.account(0).script
        history = self.later(self.index.history([payer], 0, 2**32))
        self.assertEqual([each.txid for each in history][1:], [tx.txid])
        self.assertTrue(self.index.state().synced)

    def test_a_restart(self) -> None:
        self.submit(self.payment())
        self.run_for(EPOCH_SECONDS)
        self.stop()
        self.start()
        totals = self.later(self.index.totals([TO.script]))
        self.assertEqual(totals.balance, COIN)
        self.submit(self.payment(1))
        self.run_for(EPOCH_SECONDS)
        totals = self.later(self.index.totals([TO.script]))
        self.assertEqual(totals.balance, 2 * COIN)

    def test_an_index_of_another_chain(self) -> None:
        self.run_for(EPOCH_SECONDS)
        self.stop()
        index = AddressIndex.open(self.path / "data" / "addresses.fs", self.genesis.chain_id)
        with committing(index._writer) as root:
            root["progress"].block_hash = b"\1" * 32
        index.close()
        with capturedLogs() as logged:
            self.start()
        self.assertIn("of no use", " ".join(formatEvent(event) for event in logged))
        self.flushLoggedErrors()
        self.assertFalse(self.index.state().synced)
        answer = self.index.totals([TO.script])
        self.run_for(0.2)
        self.assertIn("delete addresses.fs", str(self.failureResultOf(answer, IndexNotReady).value))

    def test_a_node_without_the_oldest_blocks(self) -> None:
        self.node.storage.chain.base = 3
        self.assertIn("joined with a snapshot", self.index._misfit(self.index._opened()) or "")

    def test_switched_on_later(self) -> None:
        self.stop()
        self.ini = INI
        self.start()
        self.submit(self.payment())
        self.run_for(EPOCH_SECONDS)
        self.stop()
        self.ini = type(self).ini
        self.start()
        self.run_for(1)
        self.assertEqual(self.later(self.index.totals([TO.script])).balance, COIN)

"""What a wallet can pay between two blocks, against the real pool and the rule by which masternodes vote."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.node.test_wallet_service import OTHER, WalletCase
from tests.node.wallet_world import BACKEND, COIN, FakeChain
from tests.rpc.fake_node import FakeNode
from tests.rpc.purses import OTHER_ADDRESS
from timecoin.consensus.status import Status
from timecoin.consensus.voter import ancestors
from timecoin.ledger.validation import verify_transaction
from timecoin.mempool.admission import prepare
from timecoin.mempool.entry import Entry
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.rpc.face_wallet import Funding
from timecoin.rpc.methods import all_methods
from timecoin.rpc.methods_wallet_fund import send
from timecoin.rpc.methods_wallet_send import sendmany, sendtoaddress
from timecoin.rpc.table import Context


class PoolChain(FakeChain):
    """A chain whose pool is the node's; what no masternode would vote for now is an error of the test's."""

    real: Pool

    def admit(self, tx: Transaction) -> None:
        made = prepare(self.parameters, View(self), self.real, tx, epoch=self.state.epoch, version=0)
        verify_transaction(BACKEND, tx, made.coins)
        entry = Entry(tx, made.coins, made.fee, 0)
        self.real.add(entry, [each for txid in made.parents if (each := self.real.get(txid)) is not None])
        assert ancestors(entry, self.parameters.max_chain) is not None, "nobody votes for it before the next block"
        self.pool[tx.txid] = (tx, "pending")
        self._tell(tx, Status.PENDING)

    def archive(self, closing: bool = False) -> None:
        """All of the pool."""
        self.block(closing=closing)
        self.real = Pool(self.real.max_bytes)


class View:
    """The chain as the pool sees it."""

    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.registry, self.epoch = chain.state.registry, chain.state.epoch
        self.height, self.last_closing_slot = chain.state.height, 0

    def coin(self, outpoint: OutPoint) -> Any:
        return self._chain.coins.get(outpoint)

    def archived(self, txid: Hash) -> tuple[int, int] | None:
        return (0, 0) if self._chain.status(txid) == ("archived", "") else None


class LimitsCase(WalletCase):
    """A wallet that splits its change, with the pool of a node."""

    def setUp(self) -> None:
        super().setUp()
        self.chain.__class__ = PoolChain
        self.pool_chain: Any = self.chain
        self.pool_chain.real = Pool(64 << 20)
        self.wallet._funder._gatherer._random = self.wallet._funder._random = random.Random(7)

    def often(self, count: int, amount: int = COIN, status: Status | None = None) -> list[Transaction]:
        made = []
        for _ in range(count):
            made.append(self.pay(amount, split_change=True))
            if status is not None:
                self.chain.reach(made[-1].txid, status)
        return made

    def coins(self) -> int:
        return int(self.wallet.state.history.count_unspent())

    def trying(self, amount: int = COIN, **funding: Any) -> Deferred[Any]:
        waiting: Deferred[Any] = self.wallet.fund([TxOutput(amount, OTHER)], Funding(**funding))
        return waiting


class OneCoin(LimitsCase):
    """A shop's wallet that holds one coin."""

    def test_200_payments_while_all_are_pending(self) -> None:
        self.give(1_000 * COIN)
        txs = self.often(200)
        extra = sum(len(tx.outputs) - 2 for tx in txs)
        self.assertLess(extra, 60)
        self.assertLessEqual(max(len(tx.outputs) for tx in txs), 9)
        self.assertEqual(sum(len(tx.inputs) for tx in txs), 200)

    def test_200_payments_while_all_are_final(self) -> None:
        self.give(1_000 * COIN)
        self.often(200, status=Status.FINAL)
        self.chain.reach(self.often(1)[0].txid, Status.FINAL)
        self.pool_chain.archive()
        before = self.coins()
        self.often(60)
        self.assertLessEqual(self.coins(), before)

    def test_26_payments_without_splitting(self) -> None:
        self.world.service.set_payments_ahead(0)
        self.give(1_000 * COIN)
        self.often(26)
        self.fails(-4, self.trying(split_change=True), "sendmany")
        self.pool_chain.archive()
        self.often(1)

    def test_who_pays_now_and_then_keeps_one_coin(self) -> None:
        self.give(1_000 * COIN)
        for _ in range(5):
            self.often(3)
            self.assertEqual(self.coins(), 1)
            self.pool_chain.archive()

    def test_large_payments_split_nothing(self) -> None:
        self.give(1_000 * COIN)
        self.often(4, 150 * COIN)
        self.assertEqual(self.coins(), 1)

    def test_a_payment_larger_than_any_part(self) -> None:
        self.give(1_000 * COIN)
        self.often(12)
        largest = max(coin.value for coin in self.wallet.state.history.unspent())
        self.assertLess(largest, 900 * COIN)
        self.assertGreater(len(self.often(1, 900 * COIN)[0].inputs), 1)

    def test_parts_have_addresses_of_their_own(self) -> None:
        self.give(1_000 * COIN)
        scripts = [each.script for tx in self.often(30) for each in tx.outputs if each.script != OTHER]
        self.assertEqual(len(set(scripts)), len(scripts))
        restored = self.make("two", words=self.wait(self.wallet.words()))
        self.pool_chain.archive()
        self.world.settle()
        self.assertEqual(self.mine(restored), self.mine())

    def test_drafts_that_came_to_nothing_leave_addresses_for_parts(self) -> None:
        self.give(1_000 * COIN)
        for _ in range(40):
            self.wallet.release(self.wait(self.trying()))
        scripts = [each.script for tx in self.often(6) for each in tx.outputs if each.script != OTHER]
        self.assertEqual(len(set(scripts)), len(scripts))

    def test_the_receiver_does_not_pay_for_parts(self) -> None:
        self.give(1_000 * COIN)
        self.often(3)
        tx = self.pay(COIN, split_change=True, subtract_from=(0,))
        self.assertGreater(len(tx.outputs), 2)
        (received,) = [each.value for each in tx.outputs if each.script == OTHER]
        self.assertEqual(COIN - received, 100 * 141)

    def test_only_who_asks_for_it(self) -> None:
        self.give(1_000 * COIN)
        for _ in range(6):
            self.assertEqual(len(self.pay(COIN).outputs), 2)
        self.assertEqual(len(self.pay(COIN, split_change=True, change_position=0).outputs), 2)
        self.assertEqual(len(self.pay(COIN, split_change=True, change_script=self.address()).outputs), 2)


class Methods(LimitsCase):
    """Which methods split change: those that name nothing but amounts."""

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        node: Any = FakeNode(self.world.clock)
        context = Context(node, all_methods(), wallets=self.world.service)
        return self.wait(Deferred.fromCoroutine(method(context, *arguments)))

    def test_payments_of_amounts_do(self) -> None:
        self.give(1_000 * COIN)
        for _ in range(3):
            self.call(sendtoaddress, OTHER_ADDRESS, COIN)
        self.assertEqual(self.coins(), 1)
        self.call(sendmany, "", [(OTHER_ADDRESS, COIN)])
        self.assertEqual(self.coins(), 5)

    def test_two_at_once_with_one_coin(self) -> None:
        self.give(1_000 * COIN)
        held: list[Deferred[None]] = []
        signer, at_once = self.wallet._signer, self.wallet._signer._in_thread

        def slowly(work: Any, *arguments: Any) -> Any:
            held.append(Deferred())
            return held[-1].addCallback(lambda _: at_once(work, *arguments))

        signer._in_thread = slowly
        node: Any = FakeNode(self.world.clock)
        context = Context(node, all_methods(), wallets=self.world.service)
        paying = [Deferred.fromCoroutine(sendtoaddress(context, OTHER_ADDRESS, COIN)) for _ in range(3)]
        for _ in range(60):
            self.world.clock.advance(0.02)
            while held:
                held.pop().callback(None)
        self.assertEqual(len({self.successResultOf(each) for each in paying}), 3)

    def test_who_waits_is_told_after_a_while(self) -> None:
        self.give(1_000 * COIN)
        self.wait(self.trying())
        node: Any = FakeNode(self.world.clock)
        context = Context(node, all_methods(), wallets=self.world.service)
        paying = Deferred.fromCoroutine(sendtoaddress(context, OTHER_ADDRESS, COIN))
        self.world.settle()
        self.assertNoResult(paying)
        self.world.clock.advance(5)
        self.fails(-6, paying, "are held by payments under way")
        leaving = Deferred.fromCoroutine(sendtoaddress(context, OTHER_ADDRESS, COIN)).addErrback(lambda _: None)
        leaving.cancel()
        self.give(3 * COIN)
        self.wait(self.trying())

    def test_send_does_not(self) -> None:
        self.give(1_000 * COIN)
        for _ in range(6):
            self.call(send, [(OTHER_ADDRESS, COIN)])
        self.assertEqual(self.coins(), 1)


class Drafts(LimitsCase):
    """What a draft leaves behind."""

    def test_no_timers_of_those_that_were_sent_or_given_up(self) -> None:
        self.give(1_000 * COIN)
        self.often(5)
        self.wallet.release(self.wait(self.trying()))
        self.world.clock.advance(2)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_no_timers_of_a_wallet_that_is_closed(self) -> None:
        self.give(1_000 * COIN)
        self.wait(self.trying())
        self.wait(self.world.service.unload("one", None))
        self.assertEqual(self.world.clock.getDelayedCalls(), [])


class Choosing(LimitsCase):
    """Which coins pay when some stand deep in a line."""

    def test_low_ones_are_spent_first(self) -> None:
        self.give(50 * COIN)
        for _ in range(14):
            last = self.pay(COIN)
            self.chain.reach(last.txid, Status.FINAL)
        other = self.give_archived(5 * COIN)
        self.assertEqual(self.pay(COIN).outpoints(), (other.outpoint(0),))

    def give_archived(self, value: int) -> Transaction:
        tx = self.chain.gift(self.address(), value)
        self.chain.block(tx)
        self.world.settle()
        return tx

    def test_but_not_many_small_ones(self) -> None:
        self.give(50 * COIN)
        for _ in range(14):
            last = self.pay(COIN)
            self.chain.reach(last.txid, Status.FINAL)
        for _ in range(12):
            self.give_archived(COIN)
        self.assertEqual(len(self.pay(9 * COIN).inputs), 1)

    def test_a_coin_of_others_at_the_end_of_their_line(self) -> None:
        tx = self.chain.gift(b"\x00\x14" + b"\x55" * 20, 10 * COIN)
        for _ in range(26):
            tx = Transaction(2, (TxInput(tx.outpoint(0)),), (TxOutput(10 * COIN, self.address()),))
            self.chain.pool[tx.txid] = (tx, "final")
        self.chain.feed.transaction(tx.txid, Status.FINAL, self.chain.now_ms(), tx)
        self.fails(-4, self.trying(), "too-long-mempool-chain")

    def test_two_lines_that_add_up_beside_one_that_suffices(self) -> None:
        coins = [self.give_archived(value * COIN).outpoint(0) for value in (30, 31, 32)]
        for n, times in enumerate((14, 14, 3)):
            where = coins[n]
            for _ in range(times):
                tx = self.pay(COIN // 10, inputs=(where,), add_inputs=False, change_position=0)
                where = tx.outpoint(0)
        self.assertLessEqual(len(self.pay(45 * COIN).inputs), 2)

    def test_a_coin_that_is_locked_while_coins_are_chosen(self) -> None:
        first, second = self.give_archived(2 * COIN).outpoint(0), self.give_archived(2 * COIN).outpoint(0)
        held: list[Deferred[None]] = []
        funder, at_once = self.wallet._funder, self.wallet._funder._in_thread

        def slowly(work: Any, *arguments: Any) -> Any:
            held.append(Deferred())
            return held[-1].addCallback(lambda _: at_once(work, *arguments))

        for chosen in (first, second):
            if self.coins() == 2:
                self.wallet.state.lock_coin(chosen, durable=False)
                funder._in_thread = slowly
                waiting = self.trying()
                self.wallet.state.unlock_coin(chosen)
                self.wallet.state.lock_coin(second if chosen is first else first, durable=False)
                while held:
                    held.pop().callback(None)
                funder._in_thread = at_once
                draft = self.wait(waiting)
                self.assertEqual(draft.tx.outpoints(), (chosen,))
                self.wallet.release(draft)
                for each in (first, second):
                    self.wallet.state.unlock_coin(each)

    def test_coins_that_are_held_are_named(self) -> None:
        self.give_archived(2 * COIN)
        draft = self.wait(self.trying())
        self.fails(-6, self.trying(), "2.00000000 TIME are held")
        self.wallet.release(draft)
        self.fails(-6, self.trying(5 * COIN), "Insufficient funds")

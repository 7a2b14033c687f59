"""Each checker says nothing of an honest life, and names the first thing that must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import Change
from timecoin.consensus.records import Record, RecordKind
from timecoin.consensus.votes import Prevote
from timecoin.ledger.params import Parameters
from timecoin.ledger.tiers import Tier
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.simulation.checkers.bounds import check_bounds
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.genesis import account, make_genesis, operator
from timecoin.simulation.keys import BACKEND
from timecoin.simulation.node import Node
from timecoin.simulation.payments import FEE, genesis_coins, pay, spend
from timecoin.simulation.violation import INVARIANTS, Violation
from timecoin.simulation.world import World

ACCOUNTS = 4
EPOCH = 8


class WorldTest(SynchronousTestCase):
    """A quiet network of four."""

    def setUp(self) -> None:
        genesis = make_genesis([Tier.GOLD] * 4, ACCOUNTS, Parameters.for_epoch_seconds(EPOCH))
        self.world = World(1, genesis, [operator(number) for number in range(4)])
        self.observer = self.world.observer
        for node in self.world.nodes:
            node.boot()
        self.coins = genesis_coins(genesis, [account(number) for number in range(ACCOUNTS)])
        self.world.clock.run_until(self.world.began + SECOND)

    def run_for(self, milliseconds: int) -> None:
        clock = self.world.clock
        clock.run_until(clock.now + milliseconds * MILLISECOND)

    def made(self, number: int, value: int = 50_000) -> Transaction:
        tx, _ = pay(self.coins[number], account(number), value)
        self.observer.made(tx)
        return tx

    def submit(self, number: int, node: int = 0) -> Transaction:
        tx = self.made(number)
        self.assertTrue(self.world.nodes[node].submit(tx))
        return tx

    def broken(self, invariant: str, work: Callable[[], object]) -> None:
        self.assertIn(invariant, INVARIANTS)
        self.assertEqual(self.assertRaises(Violation, work).invariant, invariant)


class StatementsTest(WorldTest):
    def bundle(
        self, signer: int, sequence: int, votes: tuple[Transaction, ...] = (), acks: tuple[Transaction, ...] = (),
        *, seal: bool = False,
    ) -> Bundle:  # fmt: skip
        ledger = self.world.nodes[0].disk.ledger
        bare = Bundle(
            ledger.chain_id, ledger.epoch, ledger.current.set_hash, signer, sequence, seal,
            tuple([tx.txid for tx in votes]), tuple([tx.txid for tx in acks]),
        )  # fmt: skip
        return bare.signed(BACKEND.sign_compact(self.secret(signer), bare.digest))

    def secret(self, signer: int) -> bytes:
        key = self.world.nodes[0].disk.ledger.current.members[signer].operator_key
        return next(operator(number).secret for number in range(4) if operator(number).public == key)

    def see(self, bundle: Bundle) -> None:
        self.observer.statements.see(Bundle, bundle.encode(), durable=True, own_key=None)

    def node_of(self, signer: int) -> Node:
        key = self.world.nodes[0].disk.ledger.current.members[signer].operator_key
        return next(node for node in self.world.nodes if node.operator is not None and node.operator.public == key)

    def test_two_bundles_of_one_number(self) -> None:
        self.see(self.bundle(1, 1, (self.made(0),)))
        self.see(self.bundle(2, 1, (self.made(1),)))
        self.broken("contradiction", lambda: self.see(self.bundle(1, 1, (self.made(1),))))

    def test_votes_for_rivals(self) -> None:
        one, two = self.made(0), self.made(0, 60_000)
        self.see(self.bundle(1, 1, (one,)))
        self.broken("contradiction", lambda: self.see(self.bundle(1, 2, (two,))))

    def test_votes_for_rivals_whose_bodies_come_late(self) -> None:
        one, _ = pay(self.coins[0], account(1), 50_000)
        two, _ = pay(self.coins[0], account(1), 60_000)
        self.see(self.bundle(1, 1, (one, two)))
        self.observer.made(one)
        self.observer.made(two)
        self.broken("contradiction", lambda: self.observer.statements.close(1, {}))

    def test_ack_after_the_seal_in_whatever_order_they_are_seen(self) -> None:
        late, sealed = self.bundle(1, 3, acks=(self.made(0),)), self.bundle(1, 2, seal=True)
        self.see(late)
        self.broken("contradiction", lambda: self.see(sealed))

    def test_the_dishonest_and_the_forged_are_not_judged(self) -> None:
        self.node_of(1).honest = False
        self.observer.sets.judge(self.world.nodes)
        self.see(self.bundle(1, 1, (self.made(0),)))
        self.see(self.bundle(1, 1, (self.made(1),)))
        self.see(self.bundle(2, 1, (self.made(0),)))
        self.see(self.bundle(2, 1, (self.made(1),)).signed(bytes(64)))
        self.assertEqual(self.observer.statements.voters(1, self.made(1).txid), [1])

    def test_closing_block_without_what_its_voter_acked(self) -> None:
        tx = self.submit(0)
        self.run_for(500)
        self.assertIn(tx.txid, self.observer.promises.final)
        self.run_for(EPOCH * 1000)
        book = self.observer.statements.books[1]
        self.assertTrue(book.prevotes)
        self.observer.statements.close(1, self.observer.chain.archived)
        for proposal in book.proposals.values():
            object.__setattr__(proposal.content, "txs", ())
        self.broken("accusable", lambda: self.observer.statements.close(1, self.observer.chain.archived))

    def test_sent_before_durable(self) -> None:
        node, bundle = self.node_of(1), self.bundle(1, 9, (self.made(0),))
        link = next(iter(node.links.values()))
        message = wire.Bundles((bundle.encode(),))
        self.broken("durable", lambda: self.observer.sent(link, message))

    def test_relaying_what_is_not_durable_is_nobodys_fault(self) -> None:
        bundle = self.bundle(1, 9, (self.made(0),))
        link = next(iter(self.node_of(2).links.values()))
        self.observer.sent(link, wire.Bundles((bundle.encode(),)))

    def test_two_prevotes_of_a_round(self) -> None:
        ledger = self.world.nodes[0].disk.ledger
        for block_hash in (b"\1" * 32, b"\2" * 32):
            bare = Prevote(ledger.chain_id, 1, ledger.current.set_hash, 1, 1, 0, block_hash, fresh=True)
            raw = bare.signed(BACKEND.sign_compact(self.secret(1), bare.digest)).encode()
            see = lambda raw=raw: self.observer.journaled(  # noqa: E731
                self.world.nodes[0], [Record(RecordKind.PREVOTE, raw).encode()]
            )
            if block_hash[0] == 1:
                see()
            else:
                self.broken("contradiction", see)


class PromisesTest(WorldTest):
    def report(self, change: Change, tx: Transaction, node: int = 0) -> None:
        self.observer.reported(self.world.nodes[node], fx.Report(tx.txid, change))

    def test_final_without_acks(self) -> None:
        self.broken("final_quorum", lambda: self.report(Change.FINAL, self.made(0)))

    def test_final_with_less_than_a_quorum_of_acks(self) -> None:
        tx = self.submit(0)
        self.run_for(500)
        acks = self.observer.statements.book(1).acks
        self.assertEqual(acks[tx.txid].bit_count(), 4)
        self.report(Change.FINAL, tx)
        acks[tx.txid] = 0b0011
        self.broken("final_quorum", lambda: self.report(Change.FINAL, tx))

    def test_a_parent_is_final_by_its_child(self) -> None:
        parent, change = pay(self.coins[0], account(1), 50_000)
        child, _ = pay(change, account(1), 50_000)
        for tx in (parent, child):
            self.observer.made(tx)
        self.observer.statements.book(1).acks[child.txid] = 0b1111
        self.report(Change.FINAL, parent)

    def test_rivals(self) -> None:
        one, two = self.made(0), self.made(0, 60_000)
        for tx in (one, two):
            self.observer.statements.book(1).acks[tx.txid] = 0b1111
        self.report(Change.FINAL, one)
        self.broken("rivals_final", lambda: self.report(Change.FINAL, two))

    def test_final_and_then_rejected(self) -> None:
        tx = self.submit(0)
        self.run_for(500)
        self.broken("final_archived", lambda: self.report(Change.REJECTED, tx, node=2))

    def test_final_and_in_no_block_when_the_epoch_closes(self) -> None:
        self.observer.statements.book(1).acks[self.made(0).txid] = 0b1111
        self.report(Change.FINAL, self.made(0))
        self.broken("final_archived", lambda: self.run_for(EPOCH * 1000))

    def test_told_only_after_the_epoch_closed(self) -> None:
        tx = self.made(0)
        self.run_for(EPOCH * 1000)
        self.observer.statements.book(2).acks[tx.txid] = 0b1111
        self.observer.chain.closed = 2
        self.broken("final_archived", lambda: self.report(Change.FINAL, tx))

    def test_the_rival_of_a_final_one_in_a_block(self) -> None:
        one = self.made(0, 60_000)
        self.observer.statements.book(1).acks[one.txid] = 0b1111
        self.report(Change.FINAL, one)
        rival = self.made(0)
        self.broken("rival_archived", lambda: self.observer.promises.archived([rival.txid], closes=None))

    def test_final_when_its_rival_is_in_a_block(self) -> None:
        rival = self.submit(0)
        self.run_for(EPOCH * 1000)
        one = self.made(0, 60_000)
        self.assertIn(rival.txid, self.observer.chain.archived)
        self.observer.promises._spends.clear()
        self.observer.statements.book(2).acks[one.txid] = 0b1111
        self.broken("rival_archived", lambda: self.report(Change.FINAL, one))

    def test_lost(self) -> None:
        node = self.world.nodes[0]
        tx = self.submit(0)
        self.run_for(100)
        self.assertIn(tx.txid, set(node.participant.pending()))
        self.observer.finish()
        node.participant._submissions.settled(tx.txid)
        self.broken("lost", self.observer.finish)
        self.observer.replaced(node)
        self.observer.finish()


class ChainTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.tx = self.submit(0)
        self.run_for(EPOCH * 1000)
        self.assertEqual(self.observer.chain.archived[self.tx.txid], 1)
        self.node = self.world.nodes[0]

    def test_another_block_at_a_height(self) -> None:
        disk = self.node.disk
        block = disk.blocks[1]
        disk.blocks[1] = replace(block, header=replace(block.header, round=7))
        self.broken("one_block_per_height", self.observer.finish)

    def test_coins_that_are_not_the_chains(self) -> None:
        coins = self.node.disk.coins
        coins.pop(next(iter(coins)))
        self.broken("supply", self.observer.finish)

    def test_an_uncertified_payment(self) -> None:
        tx = self.submit(1)
        self.run_for(500)
        self.observer.statements.book(2).votes[tx.txid] = 0b0011
        self.broken("certified", lambda: self.run_for(EPOCH * 1000))

    def test_a_decision_of_less_than_a_quorum(self) -> None:
        self.observer.sets.is_quorum = lambda epoch, signers: len(set(signers)) > 4  # type: ignore[method-assign]
        self.broken("one_block_per_height", lambda: self.run_for(EPOCH * 1000))

    def test_coins_made_of_nothing(self) -> None:
        self.observer.chain.unspent[b"\0" * 36] = 1
        self.broken("supply", lambda: self.run_for(EPOCH * 1000))

    def test_a_coin_spent_twice(self) -> None:
        second = spend([self.coins[0]], [TxOutput(self.coins[0].value - FEE, account(2).script)])
        self.observer.made(second)
        self.submit(1)
        self.observer.chain.unspent.pop(self.coins[1].outpoint)
        self.broken("rival_archived", lambda: self.run_for(EPOCH * 1000))


class OthersTest(WorldTest):
    def test_bounds(self) -> None:
        finality = self.world.nodes[0].participant.finality
        finality.orphans.bytes = 1 << 40
        self.broken("bounds", lambda: self.run_for(EPOCH * 1000))

    def test_votes_kept_for_what_is_archived(self) -> None:
        tx = self.submit(0)
        self.run_for(EPOCH * 1000)
        node = self.world.nodes[1]
        check_bounds(node)
        finality = node.participant.finality
        finality.counter.tallies.open(tx.txid)
        check_bounds(node)
        finality._archived.add(tx.txid)
        self.broken("bounds", lambda: check_bounds(node))

    def test_false_alarms(self) -> None:
        one, two = self.world.nodes[:2]
        self.broken("false_alarm", lambda: self.observer.accused(one, two, "nothing"))
        self.broken("false_alarm", lambda: self.observer.halted(one, fx.Halt("nothing", ())))
        two.honest = False
        self.observer.accused(one, two, "something")

    def test_liveness_kept(self) -> None:
        tx = self.submit(0)
        liveness = self.observer.liveness
        liveness.begin(self.world.nodes, [tx.txid], faulty=0, delay_ms=20)
        self.assertTrue(self.world.clock.run_until(liveness.deadline, lambda: liveness.kept(self.world.nodes)))
        liveness.judge(self.world.nodes)
        self.assertEqual(liveness.slowest, 0)

    def test_liveness_broken(self) -> None:
        liveness = self.observer.liveness
        liveness.begin(self.world.nodes, [self.made(0).txid], faulty=0, delay_ms=20)
        for node in self.world.nodes[:2]:
            node.crash()
        self.world.clock.run_until(liveness.deadline)
        self.broken("stuck", lambda: liveness.judge(self.world.nodes))

    def test_a_payment_that_never_becomes_final(self) -> None:
        liveness = self.observer.liveness
        liveness.begin(self.world.nodes, [self.made(0).txid], faulty=0, delay_ms=20)
        self.world.clock.run_until(liveness.deadline)
        self.broken("stuck", lambda: liveness.judge(self.world.nodes))

"""R5, R12 and restarts: what crosses the border of an epoch, what a journal brings back."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import CHAIN_ID, Network, Node, power_set
from tests.consensus.payments import VALUE, genesis_outpoint, spend
from tests.consensus.test_finality_rules import PARAMS, Lone, chain_of, said
from timecoin.consensus import tally
from timecoin.consensus.archiving import Room, fill
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import (
    AckAfterSeal,
    Breach,
    Certified,
    Equivocation,
    Final,
    Fresh,
    ParentsKnown,
    Rejected,
    Reopened,
    RivalVotes,
    Unknown,
    Violation,
)
from timecoin.consensus.status import Status
from timecoin.ledger.errors import MissingInputs
from timecoin.mempool.errors import AlreadyKnown, Conflict, MissingParents
from timecoin.primitives.transaction import Transaction

COIN, OTHER = genesis_outpoint(0), genesis_outpoint(1)


def rivals() -> list[Transaction]:
    """Two spends of one coin, lowest txid first."""
    return sorted([spend([COIN]), spend([COIN], salt=2)], key=lambda tx: tx.txid[::-1])


class RivalTests(SynchronousTestCase):
    def finals(self, node: Node) -> set[bytes]:
        return {event[0] for event in node.told(Final)}

    def test_split_rivals_are_never_both_final_and_the_lowest_wins_next_epoch(self) -> None:
        network = Network()
        low, high = rivals()
        for node, order in zip(network.nodes, [(low, high), (high, low)] * 2, strict=True):
            for tx in order:
                node.submit(tx)
        network.settle()
        for node in network.nodes:
            self.assertEqual(self.finals(node), set())
        self.assertEqual(network.block(closing=True), [])
        network.settle()
        for node in network.nodes:
            self.assertEqual(self.finals(node), {low.txid})
            status = node.finality.status(high.txid)
            assert status is not None
            self.assertEqual(status.status, Status.REJECTED)

    def test_the_owner_of_a_blocked_coin_can_use_it_in_the_next_epoch(self) -> None:
        network = Network()
        low, high = rivals()
        network.submit(low, to=(0, 1))
        network.submit(high, to=(2, 3))
        network.settle()
        network.block(closing=True)
        network.submit(low, to=(2, 3))
        network.submit(high, to=(0, 1))
        network.settle()
        self.assertEqual(len(set.union(*[self.finals(node) for node in network.nodes])), 0)
        network.block(closing=True)
        network.settle()
        self.assertEqual([self.finals(node) for node in network.nodes], [{low.txid}] * 4)
        self.assertEqual(network.block(closing=True), [low])
        change = spend([low.outpoint(0)], value=low.outputs[0].value)
        network.submit(change)
        network.settle()
        self.assertIn(change.txid, self.finals(network[2]))

    def test_rival_chains_resolve_the_same_way_everywhere(self) -> None:
        network = Network()
        coins = [genesis_outpoint(n) for n in range(6)]
        linked = [spend([coins[n], coins[n + 1]]) for n in range(5)]
        for shift, node in enumerate(network.nodes):
            for tx in linked[shift:] + linked[:shift]:
                node.finality.may_sign = False
                node.submit(tx)
        network.block(closing=True)
        for node in network.nodes:
            node.finality.may_sign = True
            node.finality.retry_all(0)
        network.settle()
        finals = [self.finals(node) for node in network.nodes]
        self.assertEqual(finals, [finals[0]] * 4)
        expected: set[bytes] = set()
        taken: set[bytes] = set()
        for tx in sorted(linked, key=lambda tx: tx.txid[::-1]):
            if taken.isdisjoint(tx.outpoints()):
                expected.add(tx.txid)
                taken.update(tx.outpoints())
        self.assertEqual(finals[0], expected)

    def test_third_spender_is_kept_only_with_votes_of_a_third(self) -> None:
        node = Network()[0]
        txs = [spend([COIN], salt=2 * n) for n in range(3)]
        node.submit(txs[0])
        node.submit(txs[1])
        error = self.assertRaises(Conflict, node.submit, txs[2])
        self.assertEqual(set(error.rivals), {txs[0].txid, txs[1].txid})
        other = Network()
        for signer in (1, 2):
            node.hear(other[signer].bundle(1, [txs[2].txid]))
        self.assertEqual(node.told(Unknown), [Unknown((txs[2].txid,), 1)])
        node.submit(txs[2])
        node.hear(other[3].bundle(1, [txs[2].txid]))
        self.assertEqual(said(node)[1], {txs[2].txid})

    def test_a_refused_rival_is_asked_for_once_a_third_voted(self) -> None:
        network = Network()
        node = network[0]
        txs = [spend([COIN], salt=2 * n) for n in range(3)]
        node.submit(txs[0])
        node.submit(txs[1])
        node.hear(network[1].bundle(1, [txs[2].txid]))
        self.assertRaises(Conflict, node.submit, txs[2])
        self.assertEqual(list(node.finality.bodies_wanted()), [])
        self.assertEqual(node.finality.counter.tallies.unknown, [0, 0, 0, 0])
        node.hear(network[2].bundle(1, [txs[2].txid]))
        self.assertEqual(node.told(Unknown)[-1], Unknown((txs[2].txid,), 2))
        self.assertEqual(list(node.finality.bodies_wanted()), [txs[2].txid])


class BorderTests(Lone):
    def test_pending_expires_after_its_openings(self) -> None:
        tx = spend([COIN], lock_time=1_000)
        self.node.submit(tx)
        for _ in range(PARAMS.pending_epochs):
            self.node.apply([], closing=True)
            self.assertEqual(self.status(tx), Status.PENDING)
        self.node.apply([], closing=True)
        status = self.node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual((status.status, status.reason), (Status.REJECTED, "expired"))
        self.assertEqual(self.node.told(Rejected), [Rejected(tx.txid, "expired")])

    def test_local_ones_are_announced_again_at_each_opening(self) -> None:
        mine, foreign = spend([COIN], lock_time=1_000), spend([OTHER])
        self.node.submit(mine, local=True)
        self.node.submit(foreign)
        self.node.apply([], closing=False)
        self.assertEqual(self.node.told(Reopened), [])
        self.node.apply([], closing=True)
        self.assertEqual(self.node.told(Reopened), [Reopened((mine.txid,))])

    def test_pending_is_voted_anew_parents_first(self) -> None:
        chain = chain_of(3)
        for tx in chain:
            self.node.submit(tx)
        said(self.node)
        self.node.apply([], closing=True)
        (bundle,) = self.node.speak()
        self.assertEqual(bundle.votes, tuple(tx.txid for tx in chain))
        self.assertEqual((bundle.epoch, bundle.sequence), (2, 1))

    def test_everything_of_the_old_epoch_lapses(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.certify(tx)
        said(self.node)
        self.node.finality.seal(0)
        said(self.node)
        self.tell(1, seal=True)
        self.assertEqual(self.node.finality.seals_mask, 0b11)
        self.node.apply([], closing=True)
        finality = self.node.finality
        self.assertFalse(finality.sealed)
        self.assertEqual(finality.seals_mask, 0)
        self.assertEqual(finality.next_sequence, 1)
        self.assertEqual(finality.highest_sequences, (0, 0, 0, 0))
        self.assertEqual(set(finality.acked_unarchived()), set())
        self.assertEqual((finality.certified_count, finality.certified_bytes), (0, 0))
        self.assertFalse(finality.has_certificate(tx.txid))

    def test_collateral_locked_at_the_opening_is_rejected(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.node.chain.registry.closed.add(COIN)
        self.node.apply([], closing=True)
        status = self.node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual((status.status, status.reason), (Status.REJECTED, "collateral-locked"))

    def test_acks_queued_but_not_signed_die_with_the_epoch(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.certify(tx)
        self.node.apply([], closing=True)
        self.assertEqual(said(self.node), ({tx.txid}, set()))

    def test_final_but_not_archived_is_a_violation(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        for signer in (1, 2, 3):
            self.tell(signer, votes=[tx], acks=[tx])
        self.node.apply([], closing=True)
        (violation,) = self.node.told(Violation)
        assert isinstance(violation, Violation)
        self.assertEqual(violation.breach, Breach.FINAL_NOT_ARCHIVED)
        self.assertEqual(violation.txids, (tx.txid,))
        self.assertEqual({bundle.signer for bundle in violation.bundles}, {1, 2, 3})

    def test_an_ack_quorum_seen_after_the_border_is_a_violation(self) -> None:
        tx, archived = spend([COIN]), spend([OTHER])
        self.node.submit(tx)
        self.node.submit(archived)
        self.tell(1, acks=[tx])
        self.node.apply([archived], closing=True)
        self.tell(2, acks=[tx, archived])
        self.assertEqual(self.node.told(Violation), [])
        self.tell(3, acks=[tx, archived])
        (violation,) = self.node.told(Violation)
        assert isinstance(violation, Violation)
        self.assertEqual((violation.breach, violation.txids), (Breach.FINAL_NOT_ARCHIVED, (tx.txid,)))
        self.assertEqual(self.status(tx), Status.PENDING)
        self.node.apply([], closing=True)
        self.tell(0, acks=[archived])
        self.assertEqual(len(self.node.told(Violation)), 1)

    def test_rival_certificates_seen_after_the_border_are_a_violation(self) -> None:
        low, high = rivals()
        self.node.submit(low)
        self.node.submit(high)
        self.certify(low)
        self.node.apply([], closing=True)
        self.tell(1, votes=[high])
        self.tell(2, votes=[high])
        self.assertEqual({event[0] for event in self.node.told(RivalVotes)}, {1, 2})
        self.assertEqual(self.node.told(Violation), [])
        self.tell(3, votes=[high])
        (violation,) = self.node.told(Violation)
        assert isinstance(violation, Violation)
        self.assertEqual(violation.breach, Breach.RIVAL_CERTIFICATES)
        self.assertEqual(len(violation.bundles), 6)

    def test_rival_certificates_are_a_violation(self) -> None:
        for settle in ("pool", "block"):
            self.setUp()
            low, high = rivals()
            self.node.submit(low)
            self.node.submit(high)
            self.certify(low)
            if settle == "block":
                self.node.apply([low], closing=False)
            self.certify(high)
            (violation,) = self.node.told(Violation)
            assert isinstance(violation, Violation)
            self.assertEqual(violation.breach, Breach.RIVAL_CERTIFICATES)
            self.assertEqual(set(violation.txids), {low.txid, high.txid})

    def test_late_votes_for_archived_transactions_are_ignored(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.node.apply([tx], closing=False)
        self.node.finality._archived.complete = True
        self.tell(1, votes=[tx], acks=[tx])
        self.assertEqual(self.node.told(Unknown), [])
        self.assertEqual(len(self.node.finality.counter.tallies), 0)

    def test_children_keep_true_coins_when_parents_are_archived(self) -> None:
        parent, child = chain_of(2)
        self.node.submit(parent)
        self.node.submit(child)
        entry = self.node.finality.pool.get(child.txid)
        assert entry is not None
        self.assertEqual(entry.coins[0].code, 0)
        self.node.apply([parent], closing=False)
        self.assertEqual(entry.coins, (self.node.chain.coin(parent.outpoint(0)),))

    def test_statements_while_a_block_is_applied_count_after_it(self) -> None:
        tx, other = spend([COIN]), spend([OTHER])
        self.node.submit(tx)
        self.node.chain.add([tx], closing=True)
        finality = self.node.finality
        applying = finality.apply([tx], closing=True, members=self.members, signer=0, now=0)
        self.assertIsNone(finality.draft())
        finality.admit(finality.prepare(other), 0)
        early = Bundle(b"\x11" * 32, 2, self.members.set_hash, 1, 1, False, (other.txid,), ())
        self.assertFalse(finality.receive(early, 0))
        next(applying)
        self.assertIsNone(finality.draft())
        for _ in applying:
            continue
        self.node.collect()
        self.assertEqual(self.node.told(Fresh), [Fresh(early)])
        self.assertEqual(said(self.node)[0], {other.txid})

    def test_a_certificate_that_comes_while_the_border_is_crossed(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.node.chain.add([], closing=True)
        finality = self.node.finality
        applying = finality.apply([], closing=True, members=self.members, signer=0, now=0)
        next(applying)
        for signer in (1, 2, 3):
            vote = Bundle(CHAIN_ID, 2, self.members.set_hash, signer, 1, False, (tx.txid,), ())
            finality.receive(vote, 0)
        for _ in applying:
            continue
        self.assertEqual(self.status(tx), Status.CERTIFIED)
        self.assertEqual(said(self.node), ({tx.txid}, {tx.txid}))

    def test_a_change_of_set(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.node.members = self.members = power_set((5, 1, 1), salt=3)
        self.node.signer = None
        self.node.apply([], closing=True)
        self.assertIsNone(self.node.finality.draft())
        self.sequences = [0] * 8
        self.tell(0, votes=[tx], epoch=2)
        self.assertEqual(self.status(tx), Status.CERTIFIED)


class JournalTests(SynchronousTestCase):
    def test_no_contradicting_vote_after_a_restart(self) -> None:
        node = Network()[0]
        first, second = spend([COIN]), spend([COIN], salt=2)
        node.submit(first)
        said(node)
        node.restart()
        node.submit(second)
        self.assertEqual(said(node), (set(), set()))
        self.assertEqual(node.finality.next_sequence, 2)

    def test_votes_of_lost_bodies_stop_all_votes_until_their_locks_are_known(self) -> None:
        node = Network()[0]
        first, second, third = spend([COIN]), spend([COIN], salt=2), spend([OTHER])
        node.submit(first)
        said(node)
        node.bodies.clear()
        node.restart()
        node.submit(second)
        node.submit(third)
        self.assertEqual(said(node)[0], set())
        node.submit(first)
        self.assertEqual(said(node)[0], {third.txid})
        self.assertEqual(node.finality.voter.locks.holder(COIN), first.txid)

    def test_locks_of_a_vote_whose_rival_was_archived(self) -> None:
        for bundles_first in (True, False):
            node = Network()[0]
            loser, winner, third = spend([COIN, OTHER]), spend([COIN]), spend([OTHER])
            fourth = spend([genesis_outpoint(2)])
            node.submit(loser)
            said(node)
            node.apply([winner], closing=False)
            node.bodies.clear()
            if bundles_first:
                node.restart()
                node.finality.restore_locks(loser)
            else:
                journal, node.journal = node.journal, []
                node.restart()
                node.finality.restore_locks(loser)
                for bundle in journal:
                    node.finality.restore_bundle(bundle, 0)
            node.submit(third)
            node.submit(fourth)
            self.assertEqual(said(node)[0], {fourth.txid})

    def test_a_lost_body_that_comes_back_too_late_still_gives_its_locks(self) -> None:
        node = Network()[0]
        loser, third, fourth = spend([COIN, OTHER]), spend([OTHER]), spend([genesis_outpoint(2)])
        node.submit(loser)
        said(node)
        node.apply([spend([COIN])], closing=False)
        node.bodies.clear()
        node.restart()
        node.submit(third)
        node.submit(fourth)
        self.assertEqual(said(node)[0], set())
        self.assertRaises(MissingInputs, node.submit, loser)
        self.assertEqual(said(node)[0], {fourth.txid})

    def test_acks_seal_and_certificates_come_back(self) -> None:
        network = Network()
        txs = [spend([COIN]), spend([OTHER])]
        network.submit(txs[0])
        network.round()
        node = network[0]
        self.assertEqual(said(node)[1], {txs[0].txid})
        node.finality.seal(0)
        said(node)
        network.round()
        for _ in range(2):
            node.restart()
            finality = node.finality
            self.assertTrue(finality.sealed)
            self.assertEqual(set(finality.acked_unarchived()), {txs[0].txid})
            self.assertTrue(finality.has_certificate(txs[0].txid))
            self.assertEqual(finality.next_sequence, 4)
            self.assertEqual(said(node), (set(), set()))
        for signer in (1, 2, 3):
            node.hear(network[signer].bundle(9, [txs[1].txid]))
        node.submit(txs[1])
        self.assertEqual(said(node), ({txs[1].txid}, set()))

    def test_archived_acks_are_not_demanded_after_a_restart(self) -> None:
        network = Network()
        tx = spend([COIN])
        network.submit(tx)
        network.settle()
        network.block([tx], closing=False)
        network[0].restart()
        self.assertEqual(set(network[0].finality.acked_unarchived()), set())
        self.assertEqual(network[0].finality.voter.unlocked, set())

    def test_votes_go_on_when_the_lost_body_is_archived(self) -> None:
        """What a missing body held up is looked at again, not only at the next opening."""
        network = Network()
        tx, other = spend([COIN]), spend([OTHER])
        network.submit(tx)
        network.settle()
        node = network[0]
        node.bodies.clear()
        node.restart()
        node.submit(other)
        self.assertEqual(said(node), (set(), set()))
        network.block([tx], closing=False)
        self.assertEqual(said(node), ({other.txid}, set()))

    def test_refused_own_votes_use_up_no_allowance(self) -> None:
        """However many rivals won meanwhile: every own bundle counts after a restart, the last number too."""
        network = Network()
        node = network[0]
        with patch.object(tally, "MAX_UNKNOWN", 2):
            losers = [spend([genesis_outpoint(n)]) for n in range(3)]
            winners = [spend([genesis_outpoint(n)], salt=2) for n in range(3)]
            for tx in losers:
                node.submit(tx)
                node.speak()
            node.apply(winners, closing=False)
            node.restart()
            self.assertEqual(node.finality.next_sequence, 4)
            self.assertEqual(node.finality.highest_sequences[0], 3)

    def test_an_ack_of_a_lost_body_is_still_demanded(self) -> None:
        network = Network()
        tx = spend([COIN])
        network.submit(tx)
        network.settle()
        network[0].bodies.clear()
        network[0].restart()
        self.assertEqual(set(network[0].finality.acked_unarchived()), {tx.txid})

    def test_openings_come_back(self) -> None:
        node = Network()[0]
        tx = spend([COIN], lock_time=999)
        finality = node.finality
        finality.restore_body(finality.prepare(tx), 5, local=True, openings=PARAMS.pending_epochs)
        node.apply([], closing=True)
        status = node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual(status.reason, "expired")


class OffenceTests(Lone):
    def test_two_bundles_with_one_sequence(self) -> None:
        first = self.node.bundle(1, [b"\x01" * 32])
        low, high = rivals()
        self.node.submit(low)
        one = Bundle(first.chain_id, 1, first.set_hash, 1, 1, False, (low.txid,), ())
        two = Bundle(first.chain_id, 1, first.set_hash, 1, 1, False, (high.txid,), ())
        self.assertEqual([self.node.hear(each) for each in (one, two)], [True, True])
        self.assertEqual(self.node.told(Equivocation), [Equivocation(1, 1, one.head(), two.head())])
        tally = self.node.finality.counter.tallies.get(high.txid)
        assert tally is not None
        self.assertEqual(tally.votes, 0b10, "a quorum shown to one must be one for all")
        self.assertEqual([self.node.hear(each) for each in (one, two)], [False, False])
        self.assertEqual(len(self.node.told(Equivocation)), 1)

    def test_votes_for_rivals(self) -> None:
        low, high = rivals()
        self.node.submit(low)
        self.tell(1, votes=[low])
        self.tell(1, votes=[high])
        self.assertEqual(self.node.told(RivalVotes), [])
        self.node.submit(high)
        self.assertEqual([event[:2] for event in self.node.told(RivalVotes)], [(1, (low.txid, high.txid))])
        self.tell(2, votes=[low])
        self.tell(2, votes=[high])
        (_, second) = self.node.told(RivalVotes)
        assert isinstance(second, RivalVotes)
        self.assertEqual((second.signer, [each.sequence for each in second.bundles]), (2, [1, 2]))

    def test_ack_after_the_own_seal(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.tell(1, acks=[tx], seal=True)
        self.assertEqual(self.node.told(AckAfterSeal), [])
        self.tell(1, votes=[tx])
        self.assertEqual(self.node.told(AckAfterSeal), [])
        self.tell(1, acks=[tx])
        (event,) = self.node.told(AckAfterSeal)
        assert isinstance(event, AckAfterSeal)
        self.assertEqual((event.signer, event.seal.sequence, event.late.sequence), (1, 1, 3))

    def test_the_seal_comes_after_the_acks_behind_it(self) -> None:
        chain_id, set_hash = self.node.bundle(1).chain_id, self.members.set_hash
        said = {
            number: Bundle(chain_id, 1, set_hash, 2, number, seal, (), acks)
            for number, seal, acks in ((1, False, (b"\1" * 32,)), (2, True, ()), (4, False, (b"\2" * 32,)))
        }
        for number in (1, 4):
            self.node.hear(said[number])
            self.assertEqual(self.node.told(AckAfterSeal), [])
        self.node.hear(said[2])
        self.assertEqual(self.node.told(AckAfterSeal), [AckAfterSeal(2, said[2].head(), said[4].head())])

    def test_a_seal_with_acks_and_acks_behind_it(self) -> None:
        chain_id, set_hash = self.node.bundle(1).chain_id, self.members.set_hash
        late = Bundle(chain_id, 1, set_hash, 2, 3, False, (), (b"\2" * 32,))
        seal = Bundle(chain_id, 1, set_hash, 2, 2, True, (), (b"\1" * 32,))
        for bundle in (late, seal):
            self.node.hear(bundle)
        self.assertEqual(self.node.told(AckAfterSeal), [AckAfterSeal(2, seal.head(), late.head())])

    def test_a_seal_is_seen_with_everything_before_it(self) -> None:
        set_hash, chain_id = self.members.set_hash, self.node.bundle(1).chain_id
        seal = Bundle(chain_id, 1, set_hash, 2, 3, True, (), ())
        self.node.hear(seal)
        self.assertEqual(self.node.finality.seals_mask, 0)
        for number in (1, 2):
            self.node.hear(Bundle(chain_id, 1, set_hash, 2, number, False, (bytes([number]) * 32,), ()))
        self.assertEqual(self.node.finality.seals_mask, 0b100)
        self.assertEqual(self.node.finality.highest_sequences, (0, 0, 3, 0))


class AdmissionTests(Lone):
    def test_known_archived_and_orphaned(self) -> None:
        parent, child = chain_of(2)
        error = self.assertRaises(MissingParents, self.node.submit, child)
        self.assertEqual(error.txids, (parent.txid,))
        self.node.finality.orphans.add(child, error.txids, b"peer")
        self.node.submit(parent)
        (event,) = self.node.told(ParentsKnown)
        assert isinstance(event, ParentsKnown)
        self.assertEqual([orphan.tx for orphan in event.orphans], [child])
        self.assertFalse(self.assertRaises(AlreadyKnown, self.node.submit, parent).archived)
        self.node.apply([parent], closing=False)
        self.assertTrue(self.assertRaises(AlreadyKnown, self.node.submit, parent).archived)

    def test_an_archived_parent_wakes_orphans(self) -> None:
        parent, child = chain_of(2)
        self.node.finality.orphans.add(child, (parent.txid,), b"peer")
        self.node.apply([parent], closing=False)
        self.assertEqual(len(self.node.told(ParentsKnown)), 1)
        self.node.submit(child)

    def test_a_prepared_transaction_is_looked_at_again(self) -> None:
        finality = self.node.finality
        parent, child = chain_of(2)
        self.node.submit(parent)
        prepared = finality.prepare(child)
        self.node.apply([parent], closing=False)
        finality.admit(prepared, 0)
        entry = finality.pool.get(child.txid)
        assert entry is not None
        self.assertEqual(entry.coins[0].code, 2)
        self.assertEqual(dict(entry.parents), {})

    def test_prepared_but_its_coin_went_meanwhile(self) -> None:
        finality = self.node.finality
        prepared = finality.prepare(spend([COIN]))
        self.node.apply([spend([COIN], salt=2)], closing=False)
        self.assertRaises(MissingInputs, finality.admit, prepared, 0)

    def test_prepared_twice(self) -> None:
        finality = self.node.finality
        one, two = finality.prepare(spend([COIN])), finality.prepare(spend([COIN]))
        finality.admit(one, 0)
        self.assertRaises(AlreadyKnown, finality.admit, two, 0)

    def test_nothing_spends_the_coin_of_its_own_ancestor(self) -> None:
        parent = spend([COIN])
        self.node.submit(parent)
        greedy = spend([COIN, parent.outpoint(0)], value=VALUE // 4)
        self.assertRaises(MissingInputs, self.node.submit, greedy)


class ProposerTests(Lone):
    def test_certified_are_given_parents_first_and_with_certified_ancestors_only(self) -> None:
        chain = chain_of(3)
        for tx in chain:
            self.node.submit(tx)
        self.certify(chain[0], chain[2])
        self.assertEqual([entry.txid for entry in self.node.finality.certified()], [chain[0].txid])
        self.certify(chain[1])
        self.assertEqual([entry.tx for entry in self.node.finality.certified()], chain)
        self.assertEqual(self.node.finality.certified_count, 3)
        self.assertEqual(self.node.finality.certified_bytes, sum(tx.size for tx in chain))

    def test_owed_is_what_sealed_masternodes_and_i_acked(self) -> None:
        txs = [spend([genesis_outpoint(n)]) for n in range(4)]
        for tx in txs:
            self.node.submit(tx)
        self.node.finality.may_sign = False
        self.certify(*txs[:3])
        self.tell(1, acks=[txs[0], txs[3]])
        self.tell(2, acks=[txs[1]])
        self.assertEqual(self.node.finality.owed(), set())
        self.tell(1, seal=True)
        self.assertEqual(self.node.finality.owed(), {txs[0].txid}, "what is not certified cannot be owed")
        self.node.finality.may_sign = True
        self.node.finality.retry_all(0)
        self.assertEqual(self.node.finality.owed(), {tx.txid for tx in txs[:3]})

    def test_ancestors_are_owed_too(self) -> None:
        """A liar acks a child and not its parents: a block can hold what is owed all the same."""
        parent, child, grandchild = chain_of(3)
        for tx in (parent, child, grandchild):
            self.node.submit(tx)
        self.node.finality.may_sign = False
        self.certify(parent, child, grandchild)
        self.tell(1, acks=[child], seal=True)
        owed = self.node.finality.owed()
        self.assertEqual(owed, {parent.txid, child.txid})
        chosen, complete = fill(self.node.finality.certified(), owed, Room(1_000_000, 1_000))
        self.assertEqual(([entry.tx for entry in chosen], complete), ([parent, child, grandchild], True))

    def test_certificates_and_finality_proofs_are_bundles(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.certify(tx)
        self.tell(1, acks=[tx])
        self.assertEqual([each.signer for each in self.node.finality.certificate(tx.txid)], [1, 2, 3])
        self.assertEqual([each.signer for each in self.node.finality.ack_bundles(tx.txid)], [1])
        self.assertEqual(self.node.finality.ack_power(tx.txid), 1)
        self.assertEqual([event[0] for event in self.node.told(Certified)], [tx.txid])

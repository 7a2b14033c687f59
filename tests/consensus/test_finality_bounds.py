"""R6: whatever is sent, memory stays bounded; and what was pushed out can come back."""

from __future__ import annotations

from hashlib import sha256
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import CHAIN_ID, Network, Node, power_set
from tests.consensus.payments import genesis_outpoint, spend
from timecoin.consensus import nextepoch, sequences, tally, waste
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import Equivocation, Evicted, Unknown
from timecoin.consensus.nextepoch import NextEpoch
from timecoin.consensus.recent import GENERATIONS, RecentMap, RecentSet
from timecoin.consensus.sequences import Seen, Sequence
from timecoin.consensus.tally import Tallies, signers_of
from timecoin.consensus.waste import PER_ARCHIVED, Waste
from timecoin.ledger.params import Parameters
from timecoin.mempool.entry import OVERHEAD_BYTES
from timecoin.mempool.errors import Conflict, PoolFull

MEMBERS = power_set()
COIN = genesis_outpoint(0)


def bundle(signer: int, sequence: int, votes=(), acks=(), *, seal: bool = False, epoch: int = 1) -> Bundle:  # type: ignore[no-untyped-def]
    return Bundle(CHAIN_ID, epoch, MEMBERS.set_hash, signer, sequence, seal, tuple(votes), tuple(acks))


def names(count: int, salt: int = 0) -> list[bytes]:
    return [sha256(b"%d %d" % (salt, n)).digest() for n in range(count)]


class WasteTests(SynchronousTestCase):
    """Bundles of no use: repeated statements, statements about what is archived, seals without end."""

    def setUp(self) -> None:
        self.patch(waste, "SPARE", 1_000)
        self.node = Node(MEMBERS, 0, Parameters())
        self.node.apply([], closing=True)

    def bundle(self, sequence: int, votes=(), acks=(), **others) -> Bundle:  # type: ignore[no-untyped-def]
        return bundle(1, sequence, votes, acks, epoch=2, **others)

    def test_repeated_statements(self) -> None:
        said = names(10)
        taken = [self.node.hear(self.bundle(number, said)) for number in range(1, 20)]
        # The first is news; each other one costs ten txids and a head.
        self.assertEqual(taken.count(True), 3)
        self.assertEqual(taken[:3], [True] * 3)
        self.assertTrue(self.node.hear(bundle(2, 1, said, epoch=2)), "others pay for themselves")

    def test_one_new_statement_among_many_old_ones(self) -> None:
        said = names(20)
        taken = [self.node.hear(self.bundle(number, [*said, *names(1, number)])) for number in range(1, 20)]
        self.assertEqual(taken.count(True), 3)
        self.assertLess(len(self.node.finality.counter.tallies), 30)

    def test_seals_without_end(self) -> None:
        taken = [self.node.hear(self.bundle(number, seal=True)) for number in range(1, 20)]
        self.assertEqual(taken.count(True), 5)

    def test_what_counts_is_always_taken(self) -> None:
        """A validly signed statement counts, whatever its signer wasted."""
        said = names(10)
        for number in range(1, 20):
            self.node.hear(self.bundle(number, said))
        tx = spend([COIN])
        self.node.submit(tx)
        useful = self.bundle(50, [*said, tx.txid])
        self.assertTrue(self.node.hear(useful))
        tally_of = self.node.finality.counter.tallies.get(tx.txid)
        assert tally_of is not None
        self.assertEqual(tally_of.votes & 0b10, 0b10)
        self.assertFalse(self.node.hear(useful), "once")

    def test_unknown_bodies_beyond_it_count_when_they_are_here(self) -> None:
        for number in range(1, 20):
            self.node.hear(self.bundle(number, names(10)))
        tx = spend([COIN])
        late = self.bundle(60, [tx.txid])
        self.assertFalse(self.node.hear(late))
        self.node.submit(tx)
        self.assertTrue(self.node.hear(late))

    def test_honest_signers_cannot_use_it_up(self) -> None:
        """Everything they say may arrive when it is archived already, each statement in a bundle of its own."""
        txs = [spend([genesis_outpoint(number)]) for number in range(12)]
        for tx in txs:
            self.node.submit(tx)
        self.node.apply(txs, closing=False)
        number = 0
        for tx in txs:
            for statements in (([tx.txid], []), ([], [tx.txid])):
                number += 1
                self.assertTrue(self.node.hear(self.bundle(number, *statements)), number)
        self.assertTrue(self.node.hear(self.bundle(number + 1, seal=True)))
        self.assertEqual(self.node.finality.highest_sequences[1], number + 1)
        self.assertTrue(self.node.finality.seals_mask >> 1 & 1)

    def test_nobody_can_use_up_the_allowance_of_another(self) -> None:
        """Whoever has a bundle can show it to a node that is behind, once more with each body that comes there."""
        txs = [spend([genesis_outpoint(number)]) for number in range(8)]
        far_ahead = self.bundle(3_000, [*names(50), *[tx.txid for tx in txs]])
        for tx in txs:
            self.node.submit(tx)
            self.assertTrue(self.node.hear(far_ahead), "it is passed on for this one")
        self.assertTrue(self.node.finality.counter.waste.has_room(1))

    def test_a_node_that_did_not_see_the_whole_epoch(self) -> None:
        some = Waste(4, watched=False)
        self.assertTrue(some.has_room(1))
        repeated = bundle(1, 1, names(8_192))
        for _ in range(1_000):
            some.taken(repeated, 0)
        self.assertTrue(some.has_room(1))
        for _ in range(25):
            some.taken(repeated, 0)
        self.assertFalse(some.has_room(1))
        self.assertTrue(some.has_room(2))
        for _ in range(1 + 1_000 * 262_144 // PER_ARCHIVED):
            some.archived()
        self.assertTrue(some.has_room(1))

    def test_offences_of_whoever_used_it_up(self) -> None:
        for number in range(1, 20):
            self.node.hear(self.bundle(number, names(10)))
        self.assertEqual(self.node.told(Equivocation), [])
        self.node.hear(self.bundle(1, names(3)))
        self.assertEqual(len(self.node.told(Equivocation)), 1)


class UnknownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node(MEMBERS, 0, Parameters())

    def test_each_signer_has_an_allowance_of_its_own(self) -> None:
        with patch.object(tally, "MAX_UNKNOWN", 100):
            for number in range(1, 50):
                self.node.hear(bundle(1, number, names(10, number)))
            tallies = self.node.finality.counter.tallies
            self.assertEqual((len(tallies), tallies.unknown), (100, [0, 100, 0, 0]))
            self.assertEqual(self.node.finality.highest_sequences[1], 10)
            tx = spend([COIN])
            self.assertTrue(self.node.hear(bundle(2, 1, [tx.txid])))
            self.node.submit(tx)
            self.assertEqual(tallies.unknown, [0, 100, 0, 0])

    def test_a_refused_bundle_comes_again_when_bodies_have_come(self) -> None:
        txs = [spend([genesis_outpoint(n)]) for n in range(3)]
        with patch.object(tally, "MAX_UNKNOWN", 2):
            self.assertTrue(self.node.hear(bundle(1, 1, [tx.txid for tx in txs[:2]])))
            last = bundle(1, 2, [txs[2].txid])
            self.assertFalse(self.node.hear(last))
            self.assertFalse(self.node.finality.holds_bundle(last))
            self.node.submit(txs[0])
            self.assertTrue(self.node.hear(last))

    def test_archiving_and_the_border_give_allowance_back(self) -> None:
        tx = spend([COIN])
        self.node.hear(bundle(1, 1, [tx.txid], [tx.txid, *names(3)]))
        self.assertEqual(self.node.finality.counter.tallies.unknown[1], 5)
        self.node.apply([tx], closing=False)
        self.assertEqual(self.node.finality.counter.tallies.unknown[1], 3)
        self.node.apply([], closing=True)
        self.assertEqual(self.node.finality.counter.tallies.unknown[1], 0)

    def test_each_unknown_body_is_asked_for_once(self) -> None:
        some = names(2)
        self.node.hear(bundle(1, 1, some, some[:1]))
        self.node.hear(bundle(2, 1, some))
        self.assertEqual(self.node.told(Unknown), [Unknown(tuple(some), 1)])
        self.assertEqual(list(self.node.finality.bodies_wanted()), some)

    def test_unkept_tallies_are_bounded_and_spare_those_of_a_third(self) -> None:
        members = power_set((2, 1, 1, 1))
        tallies = Tallies(members)
        strong, *weak = names(8)
        for txid in (strong, *weak):
            tallies.open(txid)
        kept = tallies.get(strong)
        assert kept is not None
        kept.vote_power = 2
        with patch.object(tally, "MAX_UNKEPT", 3):
            for txid in (strong, *weak):
                tallies.unkeep(txid)
        self.assertEqual([each.txid for each in tallies], [strong, *weak[-2:]])

    def test_forgotten_statements_count_again_when_the_bundle_is_shown_again(self) -> None:
        network = Network()
        node = network[0]
        txs = [spend([COIN], salt=2 * n) for n in range(4)]
        node.submit(txs[0])
        node.submit(txs[1])
        votes = [network[signer].bundle(1, [txs[2].txid]) for signer in (1, 2, 3)]
        with patch.object(tally, "MAX_UNKEPT", 1):
            node.hear(votes[0])
            self.assertRaises(Conflict, node.submit, txs[2])
            node.hear(network[1].bundle(2, [txs[3].txid]))
            self.assertRaises(Conflict, node.submit, txs[3])
            self.assertIsNone(node.finality.counter.tallies.get(txs[2].txid))
            for each in votes:
                node.hear(each)
        self.assertTrue(node.finality.has_certificate(txs[2].txid))


class SequenceTests(SynchronousTestCase):
    def test_gaps(self) -> None:
        sequence = Sequence()
        bundles = {n: bundle(1, n, names(1, n)) for n in range(1, 6)}
        for number, highest in ((2, 0), (4, 0), (1, 2), (5, 2), (3, 5)):
            self.assertEqual(sequence.look(bundles[number]), Seen.NEW)
            sequence.keep(bundles[number])
            self.assertEqual(sequence.look(bundles[number]), Seen.KNOWN)
            self.assertEqual(sequence.highest, highest)
        self.assertEqual(sequence.look(bundle(1, 3, names(2))), Seen.FORK)

    def test_far_ahead_counts_and_is_not_kept(self) -> None:
        node = Node(MEMBERS, 0, Parameters())
        tx = spend([COIN])
        node.submit(tx)
        far = bundle(1, sequences.MAX_AHEAD + 1, [tx.txid])
        self.assertTrue(node.hear(far))
        self.assertFalse(node.hear(far))
        status = node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual(status.votes, 0b10)
        self.assertFalse(node.finality.holds_bundle(far))

    def test_forks_are_passed_on_a_bounded_number_of_times(self) -> None:
        node = Node(MEMBERS, 0, Parameters())
        fresh = [node.hear(bundle(1, 1, names(1, n))) for n in range(3 * sequences.MAX_FORKS)]
        self.assertEqual(sum(fresh), sequences.MAX_FORKS + 1)

    def test_what_counts_is_passed_on_though_its_mark_is_known(self) -> None:
        """Two bundles with one mark can be made in hours; what is said in the second one must not stay here alone."""
        txs = [spend([genesis_outpoint(number)]) for number in range(2)]
        self.patch(sequences, "_MARK", 1)
        node = Node(MEMBERS, 0, Parameters())
        for tx in txs:
            node.submit(tx)
        first = bundle(1, 1, [txs[0].txid])
        others = (bundle(1, 1, [txs[1].txid, *names(1, salt)]) for salt in range(10_000))
        second = next(each for each in others if each.digest[:1] == first.digest[:1])
        self.assertEqual([node.hear(each) for each in (first, second, second)], [True, True, False])
        self.assertIn(second, node.finality.certificate(txs[1].txid))

    def test_first_seal_counts(self) -> None:
        sequence = Sequence()
        sequence.keep(bundle(1, 2, seal=True))
        self.assertFalse(sequence.sealed)
        sequence.keep(bundle(1, 1, seal=True))
        self.assertEqual((sequence.sealed_at, sequence.sealed), (1, True))


class NextEpochTests(SynchronousTestCase):
    def test_bounded_per_signer_and_taken_in_order(self) -> None:
        early = NextEpoch()
        for number in range(nextepoch.MAX_BUNDLES + 5, 0, -1):
            early.keep(bundle(2, number, names(1), epoch=2))
        self.assertFalse(early.keep(bundle(2, 1, names(1), epoch=2)))
        self.assertTrue(early.keep(bundle(1, 1, names(1), epoch=2)))
        taken = early.take()
        self.assertEqual(len(taken), nextepoch.MAX_BUNDLES + 1)
        self.assertEqual([each.signer for each in taken[:2]], [1, 2])
        self.assertEqual([each.sequence for each in taken[1:]], list(range(6, nextepoch.MAX_BUNDLES + 6)))
        self.assertEqual(early.take(), [])

    def test_bounded_by_statements(self) -> None:
        early = NextEpoch()
        big = names(8_000)
        self.assertEqual([early.keep(bundle(1, n, big, epoch=2)) for n in (1, 2, 3)], [True, True, False])


class PoolTests(SynchronousTestCase):
    def room_for(self, count: int) -> Node:
        cost = 3 * spend([COIN]).size + OVERHEAD_BYTES
        return Node(MEMBERS, 0, Parameters(), max_bytes=count * cost)

    def test_the_lowest_rate_goes_first_and_only_for_a_higher_one(self) -> None:
        node = self.room_for(3)
        txs = [spend([genesis_outpoint(n)], fee=100_000 + 1_000 * n) for n in range(4)]
        for tx in (txs[2], txs[1], txs[3]):
            node.submit(tx)
        self.assertRaises(PoolFull, node.submit, txs[0])
        node.submit(spend([genesis_outpoint(5)], fee=200_000))
        self.assertEqual(node.told(Evicted), [Evicted(txs[1].txid)])
        self.assertEqual(len(node.finality.pool), 3)
        self.assertLessEqual(node.finality.pool.bytes, node.max_bytes)

    def test_descendants_go_along_and_the_own_parents_stay(self) -> None:
        node = self.room_for(2)
        parent = spend([COIN])
        child = spend([parent.outpoint(0)], value=parent.outputs[0].value, fee=150_000)
        node.submit(parent)
        node.submit(child)
        grandchild = spend([child.outpoint(0)], value=child.outputs[0].value, fee=300_000)
        self.assertRaises(PoolFull, node.submit, grandchild)
        node.submit(spend([genesis_outpoint(1)], fee=200_000))
        self.assertEqual({event[0] for event in node.told(Evicted)}, {parent.txid, child.txid})

    def test_certified_and_local_ones_stay(self) -> None:
        node = self.room_for(2)
        certified, local = spend([COIN]), spend([genesis_outpoint(1)])
        node.submit(certified)
        node.submit(local, local=True)
        for signer in (1, 2, 3):
            node.hear(bundle(signer, 1, [certified.txid]))
        self.assertRaises(PoolFull, node.submit, spend([genesis_outpoint(2)], fee=400_000))
        node.apply([], closing=True)
        node.submit(spend([genesis_outpoint(2)], fee=400_000))
        self.assertEqual(node.told(Evicted), [Evicted(certified.txid)])

    def test_what_a_third_voted_for_comes_in_at_any_price(self) -> None:
        node = self.room_for(1)
        node.submit(spend([COIN], fee=500_000), local=True)
        cheap = spend([genesis_outpoint(1)])
        self.assertRaises(PoolFull, node.submit, cheap)
        for signer in (1, 2):
            node.hear(bundle(signer, 1, [cheap.txid]))
        node.submit(cheap)
        self.assertIn(cheap.txid, node.finality.pool)

    def test_an_evicted_vote_keeps_its_locks(self) -> None:
        node = self.room_for(1)
        first, rival = spend([COIN]), spend([COIN], fee=300_000)
        node.submit(first)
        (mine,) = node.speak()
        node.submit(spend([genesis_outpoint(1)], fee=200_000))
        self.assertNotIn(first.txid, node.finality.pool)
        node.submit(rival)
        self.assertNotIn(rival.txid, [txid for each in node.speak() for txid in each.votes])
        self.assertEqual(node.finality.voter.locks.holder(COIN), first.txid)
        for signer in (1, 2):
            node.hear(bundle(signer, 1, [first.txid]))
        self.assertTrue(node.finality.has_certificate(first.txid), "my own vote still counts")
        node.submit(first)
        (ack,) = node.speak()
        self.assertEqual((ack.votes, ack.acks), ((), (first.txid,)))
        self.assertEqual(mine.votes, (first.txid,))

    def test_a_vote_evicted_before_it_was_signed_is_not_sent(self) -> None:
        node = self.room_for(1)
        node.submit(spend([COIN]))
        node.submit(spend([genesis_outpoint(1)], fee=200_000))
        (sent,) = node.speak()
        self.assertEqual(len(sent.votes), 1)

    def test_flood_of_conflicts(self) -> None:
        node = Node(MEMBERS, 0, Parameters())
        for salt in range(300):
            tx = spend([COIN], salt=2 * salt)
            node.hear(bundle(1 + salt % 3, 1 + salt // 3, [tx.txid]))
            try:
                node.submit(tx)
            except Conflict:
                continue
        self.assertEqual(len(node.finality.pool), 2)
        self.assertEqual(node.finality.counter.tallies.unknown, [0, 0, 0, 0])


class MemoryTests(SynchronousTestCase):
    def test_recent_map_forgets_the_oldest(self) -> None:
        recent: RecentMap[int] = RecentMap(2)
        for n, txid in enumerate(names(3)):
            recent[txid] = n
        self.assertEqual([recent.get(txid) for txid in names(3)], [None, 1, 2])
        recent.discard(names(3)[1])
        self.assertEqual(len(recent), 1)

    def test_recent_set_knows_when_it_is_not_complete(self) -> None:
        recent = RecentSet(2)
        some = names(2 * GENERATIONS + 1)
        for txid in some[:-1]:
            recent.add(txid)
        self.assertTrue(recent.complete and some[0] in recent)
        recent.add(some[-1])
        self.assertFalse(recent.complete)
        self.assertNotIn(some[0], recent)
        self.assertTrue(all(txid in recent for txid in some[2:]))

    def test_signers_of_a_mask(self) -> None:
        self.assertEqual(list(signers_of(0b101001)), [0, 3, 5])

    def test_nothing_stays_of_what_is_archived(self) -> None:
        network = Network()
        txs = [spend([genesis_outpoint(n)]) for n in range(10)]
        for tx in txs:
            network.submit(tx)
        network.settle()
        network.block(closing=False)
        for node in network.nodes:
            finality = node.finality
            self.assertEqual(len(finality.pool), 0)
            self.assertEqual(finality.pool.bytes, 0)
            self.assertEqual(len(finality.counter.tallies), 0)
            self.assertEqual(len(finality.voter.locks), 0)
            self.assertEqual(len(finality.acked_unarchived()), 0)
            self.assertEqual((finality.certified_count, finality.certified_bytes), (0, 0))
            self.assertFalse(finality.has_unarchived())

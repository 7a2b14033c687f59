"""R1 to R4: votes, acks, finality among four masternodes driven by hand."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import CHAIN_ID, Network, Node, power_set
from tests.consensus.payments import VALUE, genesis_outpoint, spend
from timecoin.consensus import voter
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import Backed, Certified, Final, Rejected
from timecoin.consensus.status import CoinStatus, Status
from timecoin.ledger.params import Parameters
from timecoin.mempool.errors import RivalFinal
from timecoin.primitives.transaction import Transaction

COIN, OTHER = genesis_outpoint(0), genesis_outpoint(1)
PARAMS = Parameters()


def chain_of(length: int) -> list[Transaction]:
    txs: list[Transaction] = []
    outpoint, value = COIN, VALUE
    for _ in range(length):
        tx = spend([outpoint], outputs=1, value=value)
        txs.append(tx)
        outpoint, value = tx.outpoint(0), tx.outputs[0].value
    return txs


def said(node: Node) -> tuple[set[bytes], set[bytes]]:
    """All votes and acks that ``node`` signs now."""
    bundles = node.speak()
    return {txid for each in bundles for txid in each.votes}, {txid for each in bundles for txid in each.acks}


class Lone(SynchronousTestCase):
    """One masternode out of four, told by hand what the others say."""

    def setUp(self) -> None:
        self.members = power_set()
        self.node = Node(self.members, 0, PARAMS)
        self.sequences = [0] * 8

    def tell(
        self, signer: int, votes=(), acks=(), *, seal: bool = False, epoch: int = 1, members=None
    ) -> bool:  # type: ignore[no-untyped-def]
        self.sequences[signer] += 1
        set_hash = (members or self.members).set_hash
        votes, acks = tuple(tx.txid for tx in votes), tuple(tx.txid for tx in acks)
        made = Bundle(CHAIN_ID, epoch, set_hash, signer, self.sequences[signer], seal, votes, acks)
        return self.node.hear(made)

    def certify(self, *txs: Transaction) -> None:
        for signer in (1, 2, 3):
            self.tell(signer, votes=txs)

    def status(self, tx: Transaction) -> Status:
        status = self.node.finality.status(tx.txid)
        assert status is not None
        return status.status


class VoteTests(Lone):
    def test_one_vote_for_a_valid_payment(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.assertEqual(said(self.node), ({tx.txid}, set()))
        self.assertEqual(said(self.node), (set(), set()))

    def test_never_two_for_one_outpoint(self) -> None:
        first, second = spend([COIN]), spend([OTHER, COIN])
        self.node.submit(first)
        self.node.submit(second)
        self.assertEqual(said(self.node)[0], {first.txid})
        status = self.node.finality.status(second.txid)
        assert status is not None
        self.assertEqual((status.status, status.reason), (Status.PENDING, "rival"))

    def test_a_blocked_rival_locks_nothing(self) -> None:
        first, second, third = spend([COIN]), spend([COIN, OTHER]), spend([OTHER])
        for tx in (first, second, third):
            self.node.submit(tx)
        self.assertEqual(said(self.node)[0], {first.txid, third.txid})

    def test_locks_stay_over_interim_blocks(self) -> None:
        first, second, other = spend([COIN]), spend([COIN], salt=2), spend([OTHER])
        for tx in (first, second, other):
            self.node.submit(tx)
        said(self.node)
        self.node.apply([other], closing=False)
        self.assertEqual(said(self.node)[0], set())
        self.assertEqual(self.node.finality.voter.locks.holder(COIN), first.txid)

    def test_locks_of_a_beaten_rival_stay_over_interim_blocks(self) -> None:
        winner, loser, third = spend([COIN]), spend([COIN, OTHER]), spend([OTHER])
        self.node.submit(loser)
        self.assertEqual(said(self.node)[0], {loser.txid})
        self.node.submit(winner)
        self.node.apply([winner], closing=False)
        self.node.submit(third)
        self.assertEqual(said(self.node)[0], set(), "OTHER is locked for the loser until the epoch closes")
        self.node.apply([], closing=True)
        self.assertEqual(said(self.node)[0], {third.txid})

    def test_a_rival_of_a_certified_one_gets_no_vote(self) -> None:
        first, second = spend([COIN]), spend([COIN], salt=2)
        self.node.finality.may_sign = False
        self.node.submit(first)
        self.node.submit(second)
        self.certify(second)
        self.node.finality.may_sign = True
        self.node.finality.retry_all(0)
        self.assertEqual(said(self.node), ({second.txid}, {second.txid}))

    def test_children_of_voted_parents(self) -> None:
        parent, child = chain_of(2)
        self.node.submit(parent)
        self.node.submit(child)
        bundles = self.node.speak()
        self.assertEqual(bundles[0].votes, (parent.txid, child.txid))

    def test_no_vote_for_children_of_mere_pending_parents(self) -> None:
        rival, parent = spend([COIN], salt=3), spend([COIN])
        child = spend([parent.outpoint(0)], value=parent.outputs[0].value)
        for tx in (rival, parent, child):
            self.node.submit(tx)
        self.assertEqual(said(self.node)[0], {rival.txid})
        status = self.node.finality.status(child.txid)
        assert status is not None
        self.assertEqual(status.reason, "parents")
        self.certify(parent)
        self.assertEqual(said(self.node), ({child.txid}, {parent.txid}))

    def test_chain_of_25_ancestors_but_not_26(self) -> None:
        chain = chain_of(PARAMS.max_chain + 2)
        for tx in chain:
            self.node.submit(tx)
        self.assertEqual(said(self.node)[0], {tx.txid for tx in chain[:-1]})
        status = self.node.finality.status(chain[-1].txid)
        assert status is not None
        self.assertEqual((status.status, status.reason), (Status.PENDING, "chain-length"))
        self.node.apply(chain[:1], closing=False)
        self.assertEqual(said(self.node)[0], {chain[-1].txid})

    def test_lock_time_is_tried_again_after_each_block(self) -> None:
        by_height, by_time = spend([COIN], lock_time=2), spend([OTHER], lock_time=500_000_600)
        self.node.chain.last_closing_slot = 500_000_000
        self.node.submit(by_height)
        self.node.submit(by_time)
        self.assertEqual(said(self.node)[0], set())
        status = self.node.finality.status(by_height.txid)
        assert status is not None
        self.assertEqual(status.reason, "lock-time")
        self.node.apply([], closing=False)
        self.assertEqual(said(self.node)[0], set())
        self.node.apply([], closing=False)
        self.assertEqual(said(self.node)[0], {by_height.txid})
        self.node.apply([], closing=True)
        self.assertEqual(said(self.node)[0], {by_height.txid, by_time.txid})

    def test_neither_followers_nor_the_forbidden_vote(self) -> None:
        follower = Node(self.members, None, PARAMS)
        self.node.finality.may_sign = False
        for node in (follower, self.node):
            node.submit(spend([COIN]))
            self.assertIsNone(node.finality.draft())

    def test_sealed_masternodes_still_vote(self) -> None:
        self.node.finality.seal(0)
        tx = spend([COIN])
        self.node.submit(tx)
        self.assertEqual(said(self.node)[0], {tx.txid})


class AckTests(Lone):
    def test_ack_needs_a_strict_quorum(self) -> None:
        members = power_set((2, 2, 1, 1))
        self.node = Node(members, 3, PARAMS)
        tx = spend([COIN])
        self.node.submit(tx)
        said(self.node)
        self.tell(0, votes=[tx], members=members)
        self.assertEqual(self.status(tx), Status.PENDING)
        self.tell(2, votes=[tx], members=members)
        self.assertEqual(
            (self.status(tx), said(self.node)[1]), (Status.PENDING, set()), "4 of 6 is no quorum"
        )
        self.tell(1, votes=[tx], members=members)
        self.assertEqual((self.status(tx), said(self.node)[1]), (Status.CERTIFIED, {tx.txid}))

    def test_exactly_two_thirds_is_no_quorum(self) -> None:
        members = power_set((1, 1, 1))
        self.node = Node(members, None, PARAMS)
        tx = spend([COIN])
        self.node.submit(tx)
        for signer in (0, 1):
            self.tell(signer, votes=[tx], acks=[tx], members=members)
        self.assertEqual(self.status(tx), Status.PENDING)
        self.tell(2, votes=[tx], acks=[tx], members=members)
        self.assertEqual(self.status(tx), Status.FINAL)

    def test_own_vote_counts_only_when_durable(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.tell(1, votes=[tx])
        self.tell(2, votes=[tx])
        draft = self.node.finality.draft()
        assert draft is not None
        self.assertEqual(self.status(tx), Status.PENDING)
        self.node.hear(self.node.bundle(draft.sequence, draft.votes, draft.acks))
        self.assertEqual(self.status(tx), Status.CERTIFIED)

    def test_one_signer_counts_once(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        for _ in range(4):
            self.tell(1, votes=[tx, tx], acks=[tx, tx])
        status = self.node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual((status.vote_power, status.ack_power), (1, 1))

    def test_no_ack_after_the_seal(self) -> None:
        before, after = spend([COIN]), spend([OTHER])
        self.node.submit(before)
        self.node.submit(after)
        said(self.node)
        self.certify(before)
        self.node.finality.seal(0)
        self.certify(after)
        (bundle,) = self.node.speak()
        self.assertEqual((bundle.acks, bundle.seal), ((before.txid,), True))
        self.assertEqual(said(self.node), (set(), set()))
        self.node.apply([before], closing=False)
        self.assertTrue(self.node.finality.sealed, "an interim block lifts no seal")
        self.assertEqual(said(self.node), (set(), set()))
        self.assertEqual(self.node.finality.acked_unarchived(), set())

    def test_the_seal_goes_out_once_even_with_nothing_to_ack(self) -> None:
        self.node.finality.seal(0)
        self.node.finality.seal(0)
        (bundle,) = self.node.speak()
        self.assertEqual((bundle.votes, bundle.acks, bundle.seal), ((), (), True))
        self.node.finality.seal(0)
        self.assertEqual(self.node.speak(), [])

    def test_child_is_acked_after_its_parent(self) -> None:
        parent, child = chain_of(2)
        self.node.submit(parent)
        self.node.submit(child)
        said(self.node)
        self.certify(child)
        self.assertEqual(said(self.node)[1], set(), "the parent is not certified")
        self.certify(parent)
        (bundle,) = self.node.speak()
        self.assertEqual(bundle.acks, (parent.txid, child.txid))

    def test_no_ack_over_an_ancestor_that_is_not_certified(self) -> None:
        chain = chain_of(3)
        for tx in chain:
            self.node.submit(tx)
        said(self.node)
        self.certify(chain[1], chain[2])
        self.assertEqual(said(self.node)[1], set())
        self.certify(chain[0])
        self.assertEqual(said(self.node)[1], {tx.txid for tx in chain})

    def test_all_acks_are_out_before_or_with_the_seal(self) -> None:
        txs = [spend([genesis_outpoint(n)]) for n in range(5)]
        for tx in txs:
            self.node.submit(tx)
        said(self.node)
        self.certify(*txs)
        self.node.finality.seal(0)
        with patch.object(voter, "MAX_TXIDS", 2):
            bundles = self.node.speak()
        sizes = [(len(each.acks), each.seal) for each in bundles]
        self.assertEqual(sizes, [(2, False), (2, False), (1, True)])

    def test_exactly_one_third_backs_nothing(self) -> None:
        members = power_set((1, 1, 1))
        self.node = Node(members, None, PARAMS)
        tx = spend([COIN])
        self.node.submit(tx)
        self.tell(0, acks=[tx], members=members)
        self.assertFalse(self.node.finality.is_backed(tx.txid))
        self.tell(1, acks=[tx], members=members)
        self.assertTrue(self.node.finality.is_backed(tx.txid))

    def test_an_archived_parent_needs_no_ack(self) -> None:
        parent, child = chain_of(2)
        self.node.submit(parent)
        self.node.submit(child)
        said(self.node)
        self.certify(child)
        self.node.apply([parent], closing=False)
        self.assertEqual(said(self.node)[1], {child.txid})

    def test_no_ack_without_the_body(self) -> None:
        tx = spend([COIN])
        self.certify(tx)
        self.assertTrue(self.node.finality.has_certificate(tx.txid))
        self.assertEqual(said(self.node), (set(), set()))
        self.node.submit(tx)
        self.assertEqual(said(self.node), ({tx.txid}, {tx.txid}))

    def test_no_ack_for_acks_alone(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        said(self.node)
        for signer in (1, 2):
            self.tell(signer, acks=[tx])
        self.assertEqual(said(self.node)[1], set())
        self.assertEqual(self.node.told(Backed), [Backed(tx.txid)])
        self.assertTrue(self.node.finality.is_backed(tx.txid))
        self.assertFalse(self.node.finality.has_certificate(tx.txid))

    def test_lapsed_certificate_is_not_acked(self) -> None:
        tx = spend([COIN])
        self.node.finality.may_sign = False
        self.node.submit(tx)
        self.certify(tx)
        self.node.apply([], closing=True)
        self.assertEqual(self.status(tx), Status.PENDING)
        self.node.finality.may_sign = True
        self.node.finality.retry_all(0)
        self.assertEqual(said(self.node), ({tx.txid}, set()))

    def test_acked_unarchived_shrinks_with_blocks_only(self) -> None:
        txs = [spend([COIN]), spend([OTHER])]
        for tx in txs:
            self.node.submit(tx)
        self.certify(*txs)
        said(self.node)
        self.assertEqual(set(self.node.finality.acked_unarchived()), {tx.txid for tx in txs})
        self.node.apply(txs[:1], closing=False)
        self.assertEqual(set(self.node.finality.acked_unarchived()), {txs[1].txid})
        self.node.apply(txs[1:], closing=True)
        self.assertEqual(set(self.node.finality.acked_unarchived()), set())


class FinalTests(Lone):
    def finalise(self, *txs: Transaction) -> None:
        for signer in (1, 2, 3):
            self.tell(signer, acks=txs)

    def test_a_certificate_is_not_final(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.certify(tx)
        self.assertEqual((self.status(tx), self.node.told(Final)), (Status.CERTIFIED, []))

    def test_final_is_told_once_with_its_time(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx, now=1_000)
        self.sequences[3] += 1
        for signer in (1, 2, 3):
            self.tell(signer, votes=[tx])
        for signer in (1, 2):
            self.tell(signer, acks=[tx])
        last = Bundle(CHAIN_ID, 1, self.members.set_hash, 3, 9, False, (), (tx.txid,))
        self.node.hear(last, now=1_650)
        said(self.node)
        self.node.apply([tx], closing=False, now=2_000)
        self.assertEqual(self.node.told(Final), [Final(tx.txid, 650, False)])
        self.assertEqual(self.node.finality.final_ms(tx.txid), 650)

    def test_inclusion_is_final_too(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx, now=5)
        self.node.apply([tx], closing=False, now=25)
        self.assertEqual(self.node.told(Final), [Final(tx.txid, 20, True)])
        self.assertEqual(self.status(tx), Status.ARCHIVED)

    def test_a_final_child_makes_its_ancestors_final(self) -> None:
        chain = chain_of(3)
        for tx in chain:
            self.node.submit(tx)
        self.finalise(chain[2])
        self.assertEqual([event[0] for event in self.node.told(Final)], [tx.txid for tx in chain])
        self.assertEqual(self.status(chain[0]), Status.FINAL)

    def test_rivals_are_rejected_by_an_ack_quorum_not_by_a_certificate(self) -> None:
        winner, loser = spend([COIN]), spend([COIN, OTHER])
        grandchild = spend([loser.outpoint(0)], value=loser.outputs[0].value)
        for tx in (loser, grandchild, winner):
            self.node.submit(tx)
        self.certify(winner)
        self.assertEqual(self.status(loser), Status.PENDING)
        self.finalise(winner)
        self.assertEqual((self.status(loser), self.status(grandchild)), (Status.REJECTED, Status.REJECTED))
        codes = {event[0]: event[1] for event in self.node.told(Rejected)}
        self.assertEqual(codes, {loser.txid: "txn-double-spend", grandchild.txid: "parent-rejected"})
        self.assertRaises(RivalFinal, self.node.submit, spend([COIN], salt=9))

    def test_rivals_are_rejected_by_a_block_even_of_unknown_transactions(self) -> None:
        loser = spend([COIN])
        self.node.submit(loser)
        self.node.apply([spend([COIN], salt=1)], closing=False)
        self.assertEqual(self.status(loser), Status.REJECTED)

    def test_statements_before_the_body_count_when_it_comes(self) -> None:
        tx = spend([COIN])
        self.certify(tx)
        self.finalise(tx)
        self.assertEqual(self.node.told(Final), [])
        self.node.submit(tx, now=7)
        self.assertEqual(self.status(tx), Status.FINAL)
        self.assertEqual([event[0] for event in self.node.told(Certified)], [tx.txid])

    def test_other_epochs_sets_chains_and_strangers_count_nowhere(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        other = power_set(salt=9)
        for signer in (1, 2, 3):
            self.tell(signer, votes=[tx], acks=[tx], members=other)
            self.tell(signer, votes=[tx], acks=[tx], epoch=0)
            self.tell(signer + 3, votes=[tx], acks=[tx])
            self.node.hear(
                Bundle(bytes(32), 1, self.members.set_hash, signer, 1, False, (tx.txid,), (tx.txid,))
            )
        status = self.node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual((status.status, status.votes, status.acks), (Status.PENDING, 0, 0))

    def test_bundles_of_the_next_epoch_count_after_its_opening_only(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.certify(tx)
        self.sequences = [0] * 8
        for signer in (1, 2, 3):
            self.tell(signer, acks=[tx], epoch=2)
        self.assertEqual(self.status(tx), Status.CERTIFIED)
        self.node.apply([], closing=True)
        status = self.node.finality.status(tx.txid)
        assert status is not None
        self.assertEqual((status.status, status.vote_power, status.ack_power), (Status.FINAL, 0, 3))

    def test_votes_lapse_with_their_epoch(self) -> None:
        tx = spend([COIN])
        self.node.submit(tx)
        self.tell(1, votes=[tx])
        self.tell(2, votes=[tx])
        self.node.apply([], closing=True)
        self.sequences = [0] * 8
        self.tell(3, votes=[tx], epoch=2)
        said(self.node)
        self.assertEqual(self.status(tx), Status.PENDING)


class CoinTests(Lone):
    def state(self, outpoint: bytes) -> CoinStatus:
        return self.node.finality.outpoint_state(outpoint).status

    def test_life_of_a_coin(self) -> None:
        tx = spend([COIN])
        states = [self.state(COIN), self.state(tx.outpoint(0))]
        self.node.submit(tx)
        states.append(self.state(COIN))
        self.certify(tx)
        states.append(self.state(COIN))
        for signer in (1, 2, 3):
            self.tell(signer, acks=[tx])
        states += [self.state(COIN), self.state(tx.outpoint(0))]
        self.node.apply([tx], closing=False)
        states += [self.state(COIN), self.state(tx.outpoint(1))]
        self.assertEqual(
            [state.value for state in states],
            [
                "unspent",
                "unknown",
                "locked",
                "spent_pending",
                "spent_final",
                "unspent",
                "spent",
                "unspent",
            ],
        )

    def test_spent_coins_of_archived_transactions(self) -> None:
        parent, child = chain_of(2)
        self.node.submit(parent)
        self.node.apply([parent], closing=False)
        self.node.submit(child)
        self.node.apply([child], closing=False)
        self.assertEqual(self.state(parent.outpoint(0)), CoinStatus.SPENT)


class NetworkTests(SynchronousTestCase):
    def test_three_delays(self) -> None:
        network = Network()
        tx = spend([COIN])
        network.submit(tx)
        self.assertEqual([network.round(), network.round(), network.round()], [4, 4, 0])
        for node in network.nodes:
            self.assertEqual([event[0] for event in node.told(Final)], [tx.txid])

    def test_one_of_four_may_be_away(self) -> None:
        network = Network()
        tx = spend([COIN])
        network.submit(tx, to=(0, 1, 2))
        for _ in range(2):
            network.round(speakers=(0, 1, 2), hearers=(0, 1, 2))
        self.assertEqual(len(network[0].told(Final)), 1)

    def test_two_of_four_are_not_enough(self) -> None:
        network = Network()
        tx = spend([COIN])
        network.submit(tx, to=(0, 1))
        for _ in range(3):
            network.round(speakers=(0, 1), hearers=(0, 1))
        self.assertEqual(network[0].told(Certified), [])

    def test_a_network_of_one(self) -> None:
        network = Network((1,))
        tx = spend([COIN])
        network.submit(tx)
        network.settle()
        self.assertEqual(len(network[0].told(Final)), 1)

    def test_a_long_chain_becomes_final_in_two_rounds(self) -> None:
        network = Network()
        chain = chain_of(26)
        for tx in chain:
            network.submit(tx)
        network.round()
        network.round()
        self.assertEqual(len(network[3].told(Final)), 26)

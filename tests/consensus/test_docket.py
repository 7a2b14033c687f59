"""Evidence that waits, rivalries and closing blocks that are watched: all bounded."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import genesis_outpoint, spend
from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import COIN, Chain, account, network
from timecoin.consensus import docket as docket_module
from timecoin.consensus import left_out, rivalries
from timecoin.consensus.docket import Docket
from timecoin.consensus.left_out import LeftOut
from timecoin.consensus.proposal import Content
from timecoin.consensus.records import RecordKind, decode_record
from timecoin.consensus.rivalries import Rivalries
from timecoin.consensus.tally import Tallies
from timecoin.ledger.evidence import convicted
from timecoin.ledger.evidence_kinds import decode
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.ledger.params import Parameters
from timecoin.primitives.block import Block
from timecoin.primitives.transaction import Transaction


class DocketTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))
        self.chain.close()
        self.docket = Docket(self.chain.params)
        self.culprit = Culprit(self.chain.state, 1)
        self.kinds = every_kind(self.chain, self.culprit)

    def add(self, name: str) -> bool:
        return self.docket.add(self.chain.state, self.kinds[name])

    def test_one_piece_against_each(self) -> None:
        self.assertTrue(self.add("DOUBLE_PREVOTE"))
        self.assertFalse(self.add("DOUBLE_PREVOTE"))
        self.assertFalse(self.add("DOUBLE_PRECOMMIT"))
        other = Culprit(self.chain.state, 2).double_prevote()
        self.assertTrue(self.docket.add(self.chain.state, other))
        self.assertEqual(list(self.docket), [self.kinds["DOUBLE_PREVOTE"], other])

    def test_a_much_smaller_one_takes_its_place(self) -> None:
        self.assertTrue(self.add("ACK_LEFT_OUT"))
        self.assertFalse(self.add("RIVAL_VOTES"))
        self.assertTrue(self.add("DOUBLE_PREVOTE"))
        self.assertFalse(self.add("ACK_LEFT_OUT"))
        self.assertEqual(list(self.docket), [self.kinds["DOUBLE_PREVOTE"]])

    def test_a_later_one_takes_its_place(self) -> None:
        self.add("DOUBLE_PREVOTE")
        self.chain.close()
        later = Culprit(self.chain.state, 1)
        self.assertTrue(self.docket.add(self.chain.state, later.double_bundle()))
        self.assertFalse(self.add("DOUBLE_PREVOTE"))

    def test_larger_than_a_message(self) -> None:
        with patch.object(docket_module, "MAX_PIECE_BYTES", 350):
            self.assertFalse(self.add("DOUBLE_PREVOTE"))
            self.assertTrue(self.add("DOUBLE_PRECOMMIT"))
        small = Docket(Parameters(max_evidence_bytes=350))
        self.assertFalse(small.add(self.chain.state, self.kinds["DOUBLE_PREVOTE"]))

    def test_settled(self) -> None:
        self.add("DOUBLE_PREVOTE")
        other = Culprit(self.chain.state, 2).double_bundle()
        self.docket.add(self.chain.state, other)
        self.chain.interim(
            [self.chain.payment(account(0), account(1), COIN)], evidence=[self.kinds["DOUBLE_PREVOTE"].encode()]
        )
        self.docket.settle(self.chain.state)
        self.assertEqual(list(self.docket), [other])
        self.chain.close()
        self.docket.settle(self.chain.state)
        self.assertEqual(len(self.docket), 1)
        self.chain.close()
        self.docket.settle(self.chain.state)
        self.assertEqual(len(self.docket), 0)

    def test_choice_and_records(self) -> None:
        pieces = [Culprit(self.chain.state, number).double_precommit() for number in range(4)]
        for piece in pieces:
            self.docket.add(self.chain.state, piece)
        chosen = self.docket.choose(self.chain.state)
        self.assertEqual(len(convicted(self.chain.params, self.chain.state, chosen)), 4)
        records = [decode_record(record) for record in self.docket.records()]
        self.assertEqual({record.kind for record in records}, {RecordKind.EVIDENCE})
        self.assertEqual([decode(record.payload) for record in records], pieces)


class RivalriesTest(SynchronousTestCase):
    def rivals(self, number: int) -> tuple[Transaction, Transaction]:
        coin = genesis_outpoint(number)
        return spend([coin]), spend([coin], salt=1)

    def setUp(self) -> None:
        chain = Chain(network(4))
        self.one, self.other = Culprit(chain.state, 0), Culprit(chain.state, 1)
        self.rivalries = Rivalries()

    def test_told_once_and_of_the_same_signer(self) -> None:
        winner, loser = self.rivals(0)
        self.assertEqual(self.rivalries.add(winner, loser, ((), ())), [])
        first, second = self.one.bundle(1, winner.txid), self.one.bundle(2, loser.txid)
        self.assertEqual(self.rivalries.voted(first, winner.txid), [])
        self.assertEqual(self.rivalries.voted(self.other.bundle(1, loser.txid), loser.txid), [])
        (found,) = self.rivalries.voted(second, loser.txid)
        self.assertEqual((found.signer, found.bundles), (self.one.signer, (first, second)))
        self.assertEqual(self.rivalries.voted(second, loser.txid), [])

    def test_what_was_said_before(self) -> None:
        winner, loser = self.rivals(0)
        first, second = self.one.bundle(1, winner.txid), self.one.bundle(2, loser.txid)
        (found,) = self.rivalries.add(winner, loser, ([first], [second, self.other.bundle(1, loser.txid)]))
        self.assertEqual(found.bundles, (first, second))
        self.assertEqual(self.rivalries.add(winner, loser, ([first], [second])), [])

    def test_bounded(self) -> None:
        pairs = [self.rivals(number) for number in range(20)]
        size = sum(tx.size for tx in pairs[0])
        with patch.object(rivalries, "MAX_BYTES", 5 * size):
            for winner, loser in pairs:
                self.rivalries.add(winner, loser, ((), ()))
        self.assertEqual(set(self.rivalries.by_txid), {tx.txid for pair in pairs[-5:] for tx in pair})


    def test_the_bundles_of_votes_are_bounded_too(self) -> None:
        """Each keeps all that its signer said with the vote, long after that was archived."""
        pairs = [self.rivals(number) for number in range(20)]
        size = sum(tx.size for tx in pairs[0])
        others = [bytes((number,)) * 32 for number in range(100)]
        with patch.object(rivalries, "MAX_BYTES", 5 * (size + 10_000)):
            for number, (winner, loser) in enumerate(pairs, 1):
                said = self.one.bundle(number, *others, winner.txid)
                self.rivalries.add(winner, loser, ([said], ()))
                self.rivalries.voted(self.other.bundle(number, winner.txid), winner.txid)
                self.assertLessEqual(self.rivalries.size, rivalries.MAX_BYTES)
        self.assertEqual(set(self.rivalries.by_txid), {tx.txid for pair in pairs[-5:] for tx in pair})
        with patch.object(rivalries, "MAX_BYTES", 0):
            self.rivalries.voted(self.other.bundle(40, pairs[-1][1].txid), pairs[-1][1].txid)
        self.assertEqual((self.rivalries.by_txid, self.rivalries.size), ({}, 0))

    def test_a_bundle_with_many_of_the_votes_is_one(self) -> None:
        pairs = [self.rivals(number) for number in range(20)]
        said = self.one.bundle(1, *[winner.txid for winner, _ in pairs])
        for winner, loser in pairs:
            self.rivalries.add(winner, loser, ([said], ()))
        txs = sum(tx.size for pair in pairs for tx in pair)
        self.assertEqual(self.rivalries.size, txs + 20 * rivalries.PER_VOTE + rivalries._memory(said))


class LeftOutTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))
        self.culprit = Culprit(self.chain.state, 1)
        self.wanted = True
        self.watched = LeftOut(lambda txid: None, lambda epoch, signer: self.wanted)
        self.tallies = Tallies(self.chain.state.current)

    def block(self, slots: int) -> Block:
        return self.chain.assemble(slot_time=self.chain.next_slot + slots * self.chain.params.epoch_seconds).block

    def prevote(self, block: Block, *, fresh: bool = True) -> object:
        header = block.header
        vote = self.culprit.prevote(header.height, header.hash, fresh=fresh)
        return self.watched.prevoted(vote, Content.of(block), self.tallies)

    def test_derived_prevotes_are_not_watched(self) -> None:
        self.prevote(self.block(0), fresh=False)
        self.assertIsNone(self.watched.acked(self.culprit.bundle(1, acks=(b"\1" * 32,)), self.tallies))
        self.prevote(self.block(0))
        self.assertIsNotNone(self.watched.acked(self.culprit.bundle(1, acks=(b"\1" * 32,)), self.tallies))

    def test_acks_of_others_and_of_other_epochs(self) -> None:
        self.prevote(self.block(0))
        self.assertIsNone(self.watched.acked(Culprit(self.chain.state, 2).bundle(1, acks=(b"\1" * 32,)), self.tallies))
        self.culprit.place = (self.culprit.place[0], 2, *self.culprit.place[2:])
        self.assertIsNone(self.watched.acked(self.culprit.bundle(1, acks=(b"\1" * 32,)), self.tallies))

    def test_archived_below(self) -> None:
        for height, guilty in ((0, False), (1, True), (2, True)):
            self.watched = LeftOut(lambda txid, height=height: (height, 1), lambda *_: True)  # type: ignore[misc]
            self.prevote(self.block(0))
            found = self.watched.acked(self.culprit.bundle(1, acks=(b"\1" * 32,)), self.tallies)
            self.assertEqual(found is not None, guilty)

    def test_acks_of_which_nothing_is_counted_are_not_kept(self) -> None:
        """A signer's bundles beyond its allowance come without end, each with thousands of acks of nothing."""
        self.prevote(self.block(0))
        other = Culprit(self.chain.state, 2)
        counted = self.tallies.open(b"\1" * 32)
        counted.acks, counted.ack_bundles = 1 << other.signer, [other.bundle(1, acks=(b"\1" * 32,))]
        for number in range(1, 50):
            acks = tuple([bytes((number, each)) * 16 for each in range(20)])
            self.assertIsNone(self.watched.acked(other.bundle(number, acks=(b"\1" * 32, *acks)), self.tallies))
        (block,) = self.watched._blocks.values()
        self.assertEqual(list(block.missing), [b"\1" * 32])

    def test_an_accusation_is_tried_once_a_bundle(self) -> None:
        """Branches of a large block take tens of milliseconds each, and a bundle may hold thousands of acks."""
        self.prevote(self.block(0))
        acks = tuple([bytes((each,)) * 32 for each in range(1, 100)])
        with patch.object(left_out, "ack_left_out", side_effect=NoOffence("nothing")) as tried:
            self.assertIsNone(self.watched.acked(self.culprit.bundle(1, acks=acks), self.tallies))
        self.assertEqual(tried.call_count, 1)

    def test_who_was_accused_is_not_accused_again(self) -> None:
        self.prevote(self.block(0))
        self.wanted = False
        with patch.object(left_out, "ack_left_out") as made:
            self.assertIsNone(self.watched.acked(self.culprit.bundle(1, acks=(b"\1" * 32,)), self.tallies))
        made.assert_not_called()

    def test_a_block_in_disorder_is_not_watched(self) -> None:
        """No honest member prevotes it, and nothing can be shown to be absent from it."""
        self.chain.close()
        self.culprit = Culprit(self.chain.state, 1)
        txs = [self.chain.payment(account(number), account(0), COIN) for number in range(1, 4)]
        content = Content.of(self.chain.assemble(txs, slot_time=self.chain.next_slot).block)
        content = replace(content, txs=content.txs[::-1])
        vote = self.culprit.prevote(content.header.height, content.header.hash)
        self.watched.prevoted(vote, content, self.tallies)
        self.assertEqual(self.watched._blocks, {})

    def test_bounded_and_forgotten(self) -> None:
        for slots in range(left_out.MAX_BLOCKS + 3):
            self.prevote(self.block(slots))
        self.assertEqual(len(self.watched._blocks), left_out.MAX_BLOCKS)
        self.watched.epoch_opened(2)
        self.assertEqual(len(self.watched._blocks), left_out.MAX_BLOCKS)
        self.watched.epoch_opened(3)
        self.assertEqual(self.watched._blocks, {})

"""Evidence in blocks: what proves an offence, when, against whom; what jail does (protocol.md section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import BACKEND, COIN, Chain, account, network, owner
from timecoin.consensus.accusing import absence, ack_after_seal, ack_left_out, double, rival_votes
from timecoin.consensus.votes import Prevote
from timecoin.ledger import errors
from timecoin.ledger.evidence import check_evidence, choose, convicted
from timecoin.ledger.evidence_kinds import Evidence, Kind, decode
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.ledger.first import first_state
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import Return
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Block
from timecoin.primitives.hashes import display_order, sha256
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.transaction import Transaction, TxOutput

CULPRIT = 2


class EvidenceCase(SynchronousTestCase):
    params = Parameters()

    def setUp(self) -> None:
        self.chain = Chain(network(4, parameters=self.params))
        self.chain.close()
        self.culprit = Culprit(self.chain.state, CULPRIT)

    def every_kind(self) -> dict[str, Evidence]:
        return every_kind(self.chain, self.culprit)

    def check(self, *pieces: Evidence | bytes, state: LedgerState | None = None) -> tuple[bytes, ...]:
        chain = self.chain
        state = state or chain.state
        encoded = [piece if isinstance(piece, bytes) else piece.encode() for piece in pieces]
        check_evidence(chain.params, state, encoded, chain.archived_in, BACKEND)
        return convicted(chain.params, state, encoded)

    def refuse(
        self, *pieces: Evidence | bytes, error: type[errors.BadEvidence] = errors.BadEvidence, **others: LedgerState
    ) -> None:
        with self.assertRaises(errors.BadEvidence) as caught:
            self.check(*pieces, **others)
        self.assertIs(type(caught.exception), error)


class KindTests(EvidenceCase):
    def test_every_kind_convicts(self) -> None:
        pieces = self.every_kind()
        self.assertEqual(set(pieces), {kind.name for kind in Kind})
        for name, piece in pieces.items():
            with self.subTest(name):
                self.assertEqual(self.check(piece), (self.culprit.id,))

    def test_one_encoding(self) -> None:
        for name, piece in self.every_kind().items():
            with self.subTest(name):
                self.assertEqual(decode(piece.encode()), piece)
                self.assertEqual(decode(piece.encode()).encode(), piece.encode())
                self.assertRaises(NoOffence, decode, piece.encode() + b"\0")
                self.assertRaises(NoOffence, decode, piece.encode()[:-1])

    def test_every_byte_counts(self) -> None:
        """Whatever is changed, nobody is convicted: all of it is signed, hashed or follows from the rest."""
        for name, piece in self.every_kind().items():
            raw = piece.encode()
            for at in range(0, len(raw), 7 if len(raw) > 400 else 3):
                with self.subTest(name, at=at):
                    self.refuse_changed(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :])

    def refuse_changed(self, raw: bytes) -> None:
        with self.assertRaises(errors.BadEvidence):
            self.check(raw)

    def test_swapped_halves(self) -> None:
        """A pair has one order."""
        for piece in (self.culprit.double_prevote(), self.culprit.double_bundle()):
            raw = piece.encode()
            half = (len(raw) - 1) // 2
            self.assertRaises(NoOffence, decode, raw[:1] + raw[1 + half :] + raw[1 : 1 + half])

    def test_number_of_another_kind(self) -> None:
        for piece in self.every_kind().values():
            for number in range(10):
                if number != piece.kind:
                    self.refuse_changed(bytes([number]) + piece.encode()[1:])

    def test_nothing(self) -> None:
        self.assertEqual(self.check(), ())
        self.assertRaises(NoOffence, decode, b"")
        self.assertRaises(NoOffence, decode, b"\1")

    def test_text(self) -> None:
        self.assertEqual(
            str(self.culprit.double_prevote()), f"double-prevote of signer {self.culprit.signer} in epoch 2"
        )


class PairTests(EvidenceCase):
    def refuse_pair(self, *messages: object) -> None:
        self.assertRaises(NoOffence, double, *messages)

    def test_one_body_signed_twice(self) -> None:
        """Bodies are compared, never signatures: anybody could say the same thing again with another one."""
        vote = self.culprit.prevote(7, bytes(32), fresh=False)
        self.refuse_pair(vote, vote)
        self.refuse_pair(vote, vote.signed(bytes(64)))
        bundle = self.culprit.bundle(1, b"\1" * 32).head()
        self.refuse_pair(bundle, bundle)

    def test_different_rounds_and_heights(self) -> None:
        one = self.culprit.prevote(7, b"\1" * 32)
        self.refuse_pair(one, self.culprit.prevote(7, b"\2" * 32, 1))
        self.refuse_pair(one, self.culprit.prevote(8, b"\2" * 32))
        self.refuse_pair(self.culprit.precommit(7, b"\1" * 32), self.culprit.precommit(7, b"\2" * 32, 1))
        self.refuse_pair(self.culprit.proposal(7, b"\1" * 32), self.culprit.proposal(7, b"\2" * 32, 1))
        self.refuse_pair(self.culprit.bundle(1, b"\1" * 32).head(), self.culprit.bundle(2, b"\2" * 32).head())

    def test_different_kinds(self) -> None:
        self.refuse_pair(self.culprit.prevote(7, b"\1" * 32), self.culprit.precommit(7, b"\2" * 32))

    def test_fresh_and_derived(self) -> None:
        """Two bodies for one round, whatever they differ in."""
        votes = self.culprit.prevote(7, b"\1" * 32), self.culprit.prevote(7, b"\1" * 32, fresh=False)
        self.assertEqual(self.check(double(*votes)), (self.culprit.id,))

    def test_two_signers(self) -> None:
        other = Culprit(self.chain.state, CULPRIT + 1)
        self.refuse_pair(self.culprit.prevote(7, b"\1" * 32), other.prevote(7, b"\2" * 32))

    def test_signature_of_another(self) -> None:
        """The body names its signer: nobody can speak for another."""
        other = Culprit(self.chain.state, CULPRIT + 1)
        forged = self.culprit.prevote(7, b"\2" * 32)
        forged = forged.signed(other.identity.sign(forged.digest))
        self.refuse(double(self.culprit.prevote(7, b"\1" * 32), forged))

    def test_one_good_signature_is_not_enough(self) -> None:
        for position in (0, 1):
            votes = [self.culprit.prevote(7, b"\1" * 32), self.culprit.prevote(7, b"\2" * 32)]
            votes[position] = votes[position].signed(bytes(64))
            self.refuse(double(*votes))


class RivalTests(EvidenceCase):
    def payments(self) -> tuple[Transaction, Transaction, Transaction]:
        chain = self.chain
        one = chain.payment(account(0), account(1), COIN)
        independent = chain.payment(account(1), account(2), COIN)
        chain.reserved.clear()
        return one, chain.payment(account(0), account(1), 2 * COIN), independent

    def test_in_one_bundle(self) -> None:
        one, other, _ = self.payments()
        bundle = self.culprit.bundle(1, one.txid, other.txid)
        self.assertEqual(self.check(rival_votes((other, one), (bundle, bundle))), (self.culprit.id,))

    def test_many_votes_around_them(self) -> None:
        one, other, _ = self.payments()
        others = tuple(sha256(bytes([n])) for n in range(200))
        first = self.culprit.bundle(1, *others[:133], one.txid, *others[133:])
        second = self.culprit.bundle(2, other.txid, *others)
        self.assertEqual(self.check(rival_votes((one, other), (first, second))), (self.culprit.id,))

    def test_no_common_coin(self) -> None:
        one, _, independent = self.payments()
        bundle = self.culprit.bundle(1, one.txid, independent.txid)
        self.assertRaises(NoOffence, rival_votes, (one, independent), (bundle, bundle))
        self.assertRaises(NoOffence, rival_votes, (one, one), (bundle, bundle))

    def test_acks_are_no_votes(self) -> None:
        one, other, _ = self.payments()
        bundle = self.culprit.bundle(1, one.txid, acks=(other.txid,))
        self.assertRaises(NoOffence, rival_votes, (one, other), (bundle, bundle))

    def test_another_transaction(self) -> None:
        """The outputs count as well: the vote was for one txid."""
        one, other, _ = self.payments()
        bundle = self.culprit.bundle(1, one.txid, other.txid)
        piece = rival_votes((one, other), (bundle, bundle))
        first = piece.first
        changed = Transaction(2, first.tx.inputs, (TxOutput(1, b""),), 0)
        self.assertRaises(NoOffence, replace, piece, first=first._replace(tx=changed))

    def test_witnesses(self) -> None:
        one, other, _ = self.payments()
        bundle = self.culprit.bundle(1, one.txid, other.txid)
        piece = rival_votes((one, other), (bundle, bundle))
        signed = next(tx for tx in (one, other) if tx.txid == piece.first.tx.txid)
        self.assertRaises(NoOffence, replace, piece, first=piece.first._replace(tx=signed))


class SealTests(EvidenceCase):
    def test_order(self) -> None:
        seal, acks = self.culprit.bundle(5, seal=True).head(), (b"\1" * 32,)
        self.check(ack_after_seal(seal, self.culprit.bundle(9, acks=acks).head()))
        self.check(ack_after_seal(seal, self.culprit.bundle(6, acks=acks, seal=True).head()))
        for bundle in (
            self.culprit.bundle(4, acks=acks),
            self.culprit.bundle(5, acks=acks, seal=True),
            self.culprit.bundle(6, b"\1" * 32),
            self.culprit.bundle(6, seal=True),
        ):
            self.assertRaises(NoOffence, ack_after_seal, seal, bundle.head())

    def test_no_seal(self) -> None:
        no_seal, late = self.culprit.bundle(1, b"\1" * 32), self.culprit.bundle(2, acks=(b"\1" * 32,))
        self.assertRaises(NoOffence, ack_after_seal, no_seal.head(), late.head())


class LeftOutTests(EvidenceCase):
    """Ack and fresh prevote for a closing block without the transaction."""

    def setUp(self) -> None:
        super().setUp()
        self.payments = [self.chain.payment(account(n), account(3), COIN) for n in range(4)]
        self.payments.sort(key=lambda tx: display_order(tx.txid))
        self.chain.reserved.clear()

    def block(self, *txs: Transaction, closing: bool = True) -> Block:
        return self.chain.assemble(txs, closing=closing).block

    def test_every_gap(self) -> None:
        for left_out in range(4):
            for others in (0, 1, 2, 3):
                block = self.block(*[tx for n, tx in enumerate(self.payments) if n != left_out][:others])
                with self.subTest(left_out=left_out, others=others):
                    piece = self.culprit.ack_left_out(self.payments[left_out].txid, block)
                    self.assertEqual(self.check(piece), (self.culprit.id,))

    def test_contained(self) -> None:
        block = self.block(*self.payments)
        for tx in self.payments:
            self.assertRaises(NoOffence, self.culprit.ack_left_out, tx.txid, block)

    def test_other_gaps_prove_nothing(self) -> None:
        """Neighbours of another gap, one neighbour only, none at all."""
        left_out, *others = self.payments
        block = self.block(*others)
        piece = self.culprit.ack_left_out(left_out.txid, block)
        leaves = [tx.txid for tx in block.transactions]
        assert hasattr(piece, "absence")
        for other in (absence(leaves, b"\0" * 31 + b"\xff"), absence(leaves, b"\xff" * 32)):
            if other != piece.absence:
                self.assertRaises(NoOffence, replace, piece, absence=other)
        middle = self.payments[2]
        block = self.block(*[tx for tx in self.payments if tx is not middle])
        piece = self.culprit.ack_left_out(middle.txid, block)
        assert hasattr(piece, "absence")
        for neighbours in ((), piece.absence.neighbours[:1], piece.absence.neighbours[::-1]):
            changed = piece.absence._replace(neighbours=neighbours)
            self.assertRaises(NoOffence, replace, piece, absence=changed)
        for before in (0, 1, 3):
            self.assertRaises(NoOffence, replace, piece, absence=piece.absence._replace(before=before))

    def test_interim_blocks_never_count(self) -> None:
        block = self.block(self.payments[0], closing=False)
        self.assertRaises(NoOffence, self.culprit.ack_left_out, self.payments[1].txid, block)

    def accuse(self, prevote: Prevote, block: Block, txid: bytes) -> Evidence:
        leaves = [tx.txid for tx in block.transactions]
        return ack_left_out(self.culprit.bundle(1, acks=(txid,)), txid, prevote, block.header, leaves)

    def test_derived_nil_and_other_prevotes_never_count(self) -> None:
        block, txid = self.block(), self.payments[0].txid
        header = block.header
        for prevote in (
            self.culprit.prevote(header.height, header.hash, fresh=False),
            self.culprit.prevote(header.height, bytes(32), fresh=False),
            self.culprit.prevote(header.height, b"\1" * 32),
            self.culprit.prevote(header.height + 1, header.hash),
        ):
            self.assertRaises(NoOffence, self.accuse, prevote, block, txid)
        later = self.culprit.prevote(header.height, header.hash, 3)
        self.assertEqual(self.check(self.accuse(later, block, txid)), (self.culprit.id,))

    def test_votes_are_no_acks(self) -> None:
        block, txid = self.block(), self.payments[0].txid
        prevote = self.culprit.prevote(block.header.height, block.header.hash)
        self.assertRaises(NoOffence, ack_left_out, self.culprit.bundle(1, txid), txid, prevote, block.header, [txid])

    def test_archived_below_is_no_offence(self) -> None:
        chain, acked = self.chain, self.payments[0]
        chain.interim([acked])
        piece = self.culprit.ack_left_out(acked.txid, self.block())
        self.refuse(piece)

    def test_archived_at_the_height_or_above_is_one(self) -> None:
        """What was prevoted at that height left it out, whatever was decided there."""
        chain, acked = self.chain, self.payments[0]
        piece = self.culprit.ack_left_out(acked.txid, self.block())
        chain.interim([acked])
        self.assertEqual(self.check(piece), (self.culprit.id,))
        chain.close()
        self.assertEqual(self.check(piece), (self.culprit.id,))

    def test_archived_in_an_earlier_epoch_does_not_excuse(self) -> None:
        """Nodes keep the txids of two epochs: what an earlier one archived, nobody could agree on."""
        chain, acked = self.chain, self.payments[0]
        chain.close([acked])
        self.culprit = Culprit(chain.state, CULPRIT)
        self.assertEqual(self.check(self.culprit.ack_left_out(acked.txid, self.block())), (self.culprit.id,))

    def test_height_not_reached(self) -> None:
        block = self.block(self.payments[1])
        header = replace(block.header, height=block.header.height + 1)
        ahead = Block(header, block.transactions, block.last_commit)
        self.refuse(self.culprit.ack_left_out(self.payments[0].txid, ahead), error=errors.EarlyEvidence)

    def test_header_of_another_place(self) -> None:
        block = self.block()
        for header in (
            replace(block.header, epoch=3),
            replace(block.header, set_hash=bytes(32)),
            replace(block.header, chain_id=bytes(32)),
        ):
            other = Block(header, block.transactions, block.last_commit)
            self.assertRaises(NoOffence, self.culprit.ack_left_out, self.payments[0].txid, other)

    def test_inner_nodes_are_no_neighbours(self) -> None:
        """The count fixes the depth: neither can a header without payments hide some, nor a node pass as a leaf."""
        block = self.block(*self.payments[:3])
        leaves = [tx.txid for tx in block.transactions]
        self.assertEqual(merkle_root(leaves), block.header.tx_root)
        fewer = Block(replace(block.header, tx_count=1), block.transactions[:1], block.last_commit)
        self.culprit.ack_left_out(self.payments[0].txid, fewer)
        prevote = self.culprit.prevote(block.header.height, block.header.hash)
        self.assertRaises(NoOffence, self.accuse, prevote, fewer, self.payments[0].txid)

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.integers(0, 39))
    def test_absence_of_any_txid(self, txids: set[bytes], chosen: int) -> None:
        ordered = sorted(txids, key=display_order)
        absent = ordered.pop(chosen % len(ordered))
        leaves = [sha256(b"coinbase"), *ordered]
        proof, root = absence(leaves, absent), merkle_root(leaves)
        self.assertTrue(proof.holds(absent, len(leaves), root))
        for contained in ordered:
            self.assertFalse(proof.holds(contained, len(leaves), root))
            self.assertFalse(absence(leaves, contained).holds(contained, len(leaves), root))


class TimeTests(EvidenceCase):
    def test_in_the_epoch_after(self) -> None:
        pieces = self.every_kind()
        self.chain.close()
        for name, piece in pieces.items():
            with self.subTest(name):
                self.assertEqual(self.check(piece), (self.culprit.id,))

    def test_too_late(self) -> None:
        pieces = self.every_kind()
        self.chain.close()
        self.chain.close()
        for piece in pieces.values():
            self.refuse(piece, error=errors.LateEvidence)

    def test_too_early(self) -> None:
        before = self.chain.state
        self.chain.close()
        self.refuse(Culprit(self.chain.state).double_prevote(), error=errors.EarlyEvidence, state=before)

    def test_no_epoch_before_the_first(self) -> None:
        """Nothing was signed in epoch 0, whatever set it would have had."""
        _, state, _ = first_state(network(4))
        culprit = Culprit(state)
        chain_id, _, set_hash, signer = culprit.place
        culprit.place = chain_id, 0, set_hash, signer
        self.refuse(culprit.double_prevote(), error=errors.LateEvidence, state=state)

    def test_other_network_set_and_signer(self) -> None:
        chain_id, epoch, set_hash, signer = self.culprit.place
        for place in (
            (bytes(32), epoch, set_hash, signer),
            (chain_id, epoch, bytes(32), signer),
            (chain_id, epoch, set_hash, 4),
            (chain_id, epoch, set_hash, 0xFFFF),
        ):
            self.culprit.place = place
            self.refuse(self.culprit.double_prevote())

    def test_each_epoch_has_its_own_set(self) -> None:
        """After one was jailed, the set of the epoch before is another one than that of the open epoch."""
        chain = self.chain
        chain.close(evidence=[self.culprit.double_prevote().encode()])
        chain.close()
        self.assertEqual(len(chain.state.previous_set), 4)
        self.assertEqual(len(chain.state.current), 3)
        other = Culprit(chain.state, 0)
        self.assertEqual(self.check(other.double_prevote()), (other.id,))
        chain_id, epoch, _, _ = other.place
        old = chain.state.previous_set
        index = old.index_of_id(other.id)
        assert index is not None
        other.place = chain_id, epoch - 1, old.set_hash, index
        self.assertEqual(self.check(other.double_prevote()), (other.id,))
        other.place = chain_id, epoch, old.set_hash, index
        self.refuse(other.double_prevote())


class LimitTests(EvidenceCase):
    params = Parameters(max_evidence=2, max_evidence_bytes=1_200)

    def setUp(self) -> None:
        super().setUp()
        culprits = [Culprit(self.chain.state, number) for number in range(4)]
        self.culprits = sorted(culprits, key=lambda culprit: display_order(culprit.id))

    def test_number(self) -> None:
        pieces = [culprit.double_precommit() for culprit in self.culprits]
        self.assertEqual(self.check(*pieces[:2]), tuple(culprit.id for culprit in self.culprits[:2]))
        self.refuse(*pieces[:3])

    def test_bytes(self) -> None:
        chain = self.chain
        large = Parameters(max_evidence=4, max_evidence_bytes=3 * 351)
        pieces = [culprit.double_prevote().encode() for culprit in self.culprits]
        self.assertEqual(len(convicted(large, chain.state, pieces[:3])), 3)
        small = Parameters(max_evidence=4, max_evidence_bytes=3 * 351 - 1)
        self.assertRaises(errors.BadEvidence, convicted, small, chain.state, pieces[:3])

    def test_order(self) -> None:
        one, two = [culprit.double_prevote() for culprit in self.culprits[:2]]
        self.refuse(two, one)

    def test_once_per_masternode(self) -> None:
        culprit = self.culprits[0]
        self.refuse(culprit.double_prevote(), culprit.double_prevote())
        self.refuse(culprit.double_prevote(), culprit.double_precommit())
        self.refuse(culprit.double_precommit(), culprit.double_prevote())

    def test_one_false_among_true_ones(self) -> None:
        one, two = self.culprits[:2]
        forged = two.prevote(7, b"\2" * 32)
        self.refuse(one.double_prevote(), double(two.prevote(7, b"\1" * 32), forged.signed(bytes(64))))

    def test_choice_of_a_proposer(self) -> None:
        chain = self.chain
        pieces = [culprit.double_precommit() for culprit in self.culprits]

        def chosen(*preferred: Evidence) -> Sequence[bytes]:
            found = choose(chain.params, chain.state, preferred)
            convicted(chain.params, chain.state, found)
            return found

        self.assertEqual(chosen(), ())
        self.assertEqual(chosen(pieces[3], pieces[1], pieces[0]), (pieces[1].encode(), pieces[3].encode()))
        same = self.culprits[0].double_prevote()
        self.assertEqual(chosen(same, pieces[0], pieces[1]), (same.encode(), pieces[1].encode()))
        other = Chain(network(3))
        foreign = Culprit(other.state).double_prevote()
        self.assertEqual(chosen(foreign, pieces[2]), (pieces[2].encode(),))
        block = self.culprits[0].ack_left_out(b"\1" * 32, chain.assemble().block)
        double_bundle = self.culprits[1].double_bundle()
        self.assertGreater(len(block.encode()) + len(double_bundle.encode()), 1_200)
        self.assertEqual(chosen(block, double_bundle, pieces[2]), (block.encode(), pieces[2].encode()))


class JailTests(EvidenceCase):
    params = Parameters(jail_epochs=3, unbonding_epochs=2, absent_epochs=50)

    def ids(self) -> set[bytes]:
        return {member.masternode_id for member in self.chain.state.current.members}

    def convict(self, *, closing: bool) -> None:
        chain, piece = self.chain, self.culprit.double_prevote().encode()
        if closing:
            chain.close(evidence=[piece])
        else:
            chain.interim([chain.payment(account(0), account(1), COIN)], evidence=[piece])
            self.assertEqual(chain.state.epoch_jailed, (self.culprit.id,))
            self.refuse(piece, error=errors.LateEvidence)
            chain.close()
        self.assertEqual(chain.state.epoch_jailed, ())

    def assert_jailed(self, closing: bool) -> None:
        chain = self.chain
        self.assertEqual(chain.state.epoch, 2)
        self.convict(closing=closing)
        entry = chain.state.registry.get(self.culprit.id)
        assert entry is not None
        self.assertEqual((entry.status, entry.jailed, entry.release), ("jailed", 2, 2 + 2 + 3))
        self.assertIn(self.culprit.id, self.ids())
        self.assertEqual(chain.state.epoch, 3)
        self.assertNotIn(self.culprit.id, {each.masternode_id for each in chain.state.following.members})
        self.refuse(self.culprit.double_precommit(), error=errors.LateEvidence)
        chain.close()
        self.assertNotIn(self.culprit.id, self.ids())
        self.assertEqual(len(chain.state.current), 3)

    def test_by_a_closing_block(self) -> None:
        self.assert_jailed(closing=True)

    def test_by_an_interim_block(self) -> None:
        self.assert_jailed(closing=False)

    def test_no_way_back(self) -> None:
        chain = self.chain
        self.convict(closing=True)
        chain.close([chain.carrier(account(0), Return(self.culprit.id), owner=owner(CULPRIT))])
        chain.close()
        entry = chain.state.registry.get(self.culprit.id)
        assert entry is not None
        self.assertEqual(entry.status, "jailed")
        self.assertNotIn(self.culprit.id, self.ids())

    def test_collateral_is_free_when_the_term_is_over(self) -> None:
        chain = self.chain
        entry = chain.state.registry.get(self.culprit.id)
        assert entry is not None and entry.collateral is not None
        self.convict(closing=True)
        while chain.state.epoch < 2 + 2 + 3:
            self.assertTrue(chain.state.registry.locked(entry.collateral, chain.state.epoch))
            chain.close()
        self.assertFalse(chain.state.registry.locked(entry.collateral, chain.state.epoch))
        self.assertIsNone(chain.state.registry.get(self.culprit.id))

    def test_gone(self) -> None:
        """Once the registration has left the registry there is nobody to jail."""
        state = self.chain.state
        registry = type(state.registry)(
            each for each in state.registry.entries if each.masternode_id != self.culprit.id
        )
        gone = replace(state, opening=replace(state.opening, registry=registry))
        self.refuse(self.culprit.double_prevote(), error=errors.LateEvidence, state=gone)

    def test_replay_comes_to_the_same_state(self) -> None:
        """From encoded blocks and from a state read back; coins and supply agree."""
        self.convict(closing=False)
        self.chain.close()
        chain, again = self.chain, Chain(self.chain.genesis)
        for block, commit in zip(chain.blocks[1:], chain.commits[1:], strict=True):
            decoded = Block.decode(block.encode())
            self.assertEqual(decoded, block)
            again.state = LedgerState.decode(again.state.encode())
            again.apply(decoded, commit)
        self.assertEqual(again.state.encode(), chain.state.encode())
        self.assertEqual(again.state.state_hash, chain.state.state_hash)
        self.assertEqual(sum(coin.value for coin in again.coins.values()), chain.state.supply)
        self.assertTrue(chain.state.is_committed())

    def test_the_jailed_is_still_paid_for_its_last_epochs(self) -> None:
        """No current set is changed: what it signs there counts and is paid."""
        chain = self.chain
        self.convict(closing=True)
        chain.close()
        chain.close()
        entry = chain.state.registry.get(self.culprit.id)
        assert entry is not None
        self.assertGreater(sum(c.value for c in chain.coins.values() if c.script == entry.payout), 0)

    def test_a_header_without_the_conviction_is_another_block(self) -> None:
        chain, piece = self.chain, self.culprit.double_prevote().encode()
        guilty, clean = chain.assemble(evidence=[piece]).block, chain.assemble().block
        self.assertNotEqual(guilty.header.state_hash, clean.header.state_hash)
        self.assertRaises(
            errors.BadEvidenceHash, chain.verify, Block(guilty.header, guilty.transactions, guilty.last_commit)
        )
        mixed = replace(guilty.header, state_hash=clean.header.state_hash)
        self.assertRaises(
            errors.BadStateHash, chain.verify, Block(mixed, guilty.transactions, guilty.last_commit, (piece,))
        )

    def test_a_forged_piece_makes_the_block_invalid(self) -> None:
        chain = self.chain
        forged = double(self.culprit.prevote(7, b"\1" * 32), self.culprit.prevote(7, b"\2" * 32).signed(bytes(64)))
        block = chain.assemble(evidence=[forged.encode()]).block
        self.assertRaises(errors.BadEvidence, chain.verify, block)

"""What proofs prove, and everything that must not pass for one."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import commit_by, key, operator
from tests.proofs.story import BACKEND, COIN, STORY
from timecoin.consensus.proof import prove
from timecoin.ledger.closing_chain import Anchor, ClosingLink, genesis_anchor
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import Transaction
from timecoin.proofs import errors
from timecoin.proofs.making import NoQuorum, finality_proof, foundation_of
from timecoin.proofs.values import FinalityProof, LinkedBlock, Proof, SignedBlock
from timecoin.proofs.verifying import Proved, verify


class ProofCase(SynchronousTestCase):
    anchor = STORY.anchor

    def verified(self, proof: Proof, anchor: Anchor | None = None, chain_id: bytes | None = None) -> Proved:
        return verify(proof, anchor or self.anchor, BACKEND, chain_id=chain_id)

    def refused(self, error: type[errors.BadProof], proof: Proof, anchor: Anchor | None = None) -> str:
        caught = self.assertRaises(error, self.verified, proof, anchor, STORY.chain.genesis.chain_id)
        self.assertIs(type(caught), error, caught)
        self.assertTrue(str(caught).startswith(error.code + ": "))
        return str(caught)


class FinalityTest(ProofCase):
    def changed(self, **changes: object) -> FinalityProof:
        return replace(STORY.finality(), **changes)  # type: ignore[arg-type]

    def test_from_genesis(self) -> None:
        self.assertEqual(genesis_anchor(STORY.chain.genesis), STORY.anchor)
        proved = self.verified(STORY.finality(), chain_id=STORY.chain.genesis.chain_id)
        self.assertEqual((proved.txid, proved.final, proved.epoch), (STORY.open.txid, True, 4))
        self.assertEqual((proved.height, proved.block_hash, proved.position), (None, None, None))
        self.assertEqual((proved.anchor, proved.anchor_epoch, proved.links), (STORY.anchor, 0, 3))
        self.assertEqual(proved.since, STORY.chain.state.header.slot_time)
        self.assertEqual(proved.outputs, STORY.open.outputs)
        self.assertEqual((proved.power, proved.total, len(proved.signers)), (300, 410, 3))
        self.assertTrue(proved.by_signatures)

    def test_from_later_closing_blocks(self) -> None:
        for epoch in (1, 2, 3):
            proved = self.verified(STORY.finality(epoch), STORY.anchor_of(epoch))
            self.assertEqual((proved.anchor_epoch, proved.links), (epoch, 3 - epoch))

    def test_another_anchor(self) -> None:
        self.refused(errors.NotAnchored, STORY.finality(1))
        height, block_hash = STORY.anchor
        self.refused(errors.NotAnchored, STORY.finality(), Anchor(height, block_hash[::-1]))

    def test_acks_of_an_epoch_that_the_trusted_block_closed_prove_nothing(self) -> None:
        before = Story4.closed_anchor()
        self.refused(errors.EpochClosed, STORY.finality(), before)

    def test_acks_of_an_earlier_epoch(self) -> None:
        for epoch in (1, 3):
            self.refused(errors.EpochClosed, self.changed(acks=STORY.acks(0, 1, 2, 3, epoch=epoch)))

    def test_acks_of_a_later_epoch(self) -> None:
        self.refused(errors.BadStatement, self.changed(acks=STORY.acks(0, 1, 2, 3, epoch=5)))

    def test_another_network(self) -> None:
        caught = self.assertRaises(errors.WrongNetwork, self.verified, STORY.finality(), None, bytes(32))
        self.assertIn(STORY.chain.genesis.chain_id[::-1].hex(), str(caught))
        self.refused(errors.WrongNetwork, self.changed(acks=STORY.acks(0, 1, 2, 3, chain_id=bytes(32))))

    def test_too_little_power(self) -> None:
        self.refused(errors.TooLittlePower, self.changed(acks=()))
        self.refused(errors.TooLittlePower, self.changed(acks=STORY.acks(0, 1)))
        # Two silver of four and the bronze one: 210 of 410.
        self.refused(errors.TooLittlePower, self.changed(acks=STORY.acks(0, 1, 4)))
        self.verified(self.changed(acks=STORY.acks(0, 1, 2)))

    def test_exactly_two_thirds_are_no_quorum(self) -> None:
        members = PowerSet([Member(bytes([n]) * 32, operator(n).public, 1, b"") for n in range(3)])
        bundles = [STORY.bundle(n, STORY.open.txid, members=members) for n in range(2)]
        foundation = STORY.finality().foundation
        self.assertRaises(NoQuorum, finality_proof, STORY.open.txid, foundation, members, bundles, None)

    def test_signers_count_once(self) -> None:
        ack = STORY.acks(0)
        self.refused(errors.BadStatement, self.changed(acks=ack * 4))
        again = STORY.acks(0, sequence=2)
        self.refused(errors.BadStatement, self.changed(acks=(*ack, *again, *STORY.acks(1, 2, 3))))
        self.refused(errors.BadStatement, self.changed(acks=STORY.acks(3, 2, 1, 0)))

    def test_votes_are_no_acks(self) -> None:
        txid = STORY.open.txid
        votes = tuple(prove(STORY.bundle(n, txid, acks=False), txid, ack=False) for n in range(4))
        self.refused(errors.BadStatement, self.changed(acks=votes))
        claimed = tuple(replace(vote, ack=True) for vote in votes)
        self.refused(errors.BadStatement, self.changed(acks=claimed))

    def test_acks_of_another_transaction(self) -> None:
        other = tuple(prove(STORY.bundle(n, STORY.open.txid), bytes([1]) * 32, ack=True) for n in range(4))
        self.refused(errors.BadStatement, self.changed(acks=other))
        self.refused(
            errors.BadStatement, self.changed(acks=tuple(replace(each, txid=STORY.open.txid) for each in other))
        )

    def test_paths_that_are_too_long_or_too_short(self) -> None:
        first, *rest = STORY.acks(0, 1, 2, 3)
        for path in ((*first.path, (bytes(32),)), first.path[:-1], ((*first.path[0], bytes(32)), *first.path[1:])):
            self.refused(errors.BadStatement, self.changed(acks=(replace(first, path=path), *rest)))

    def test_another_set(self) -> None:
        proof = STORY.finality()
        other = PowerSet(STORY.members.members[:4])
        self.refused(errors.BrokenChain, replace(proof, members=other))
        acks = STORY.acks(0, 1, 2, 3, members=other)
        self.refused(errors.BadStatement, replace(proof, acks=acks))
        # Of the epoch before the fifth joined, and true there.
        self.refused(errors.BrokenChain, replace(proof, members=STORY.links[1].members, acks=acks))

    def test_a_set_that_names_forgers(self) -> None:
        forgers = PowerSet([Member(bytes([n]) * 32, key(f"forger {n}").public, 9, b"") for n in range(4)])
        proof = STORY.finality()
        self.refused(errors.BrokenChain, replace(proof, foundation=replace(proof.foundation, members=forgers)))
        header = replace(proof.foundation.last, next_set_hash=forgers.set_hash)
        link = ClosingLink(header, proof.foundation.links[-1].commit, None)
        links = (*proof.foundation.links[:-1], link)
        self.refused(errors.BrokenChain, replace(proof, foundation=replace(proof.foundation, links=links)))
        resealed = link._replace(commit=Commit(header.height, 0, header.hash, link.commit.signatures))
        links = (*proof.foundation.links[:-1], resealed)
        foundation = replace(proof.foundation, links=links)
        self.refused(errors.BrokenChain, replace(proof, foundation=foundation, members=forgers))

    def test_a_bad_signature_beyond_the_quorum_counts(self) -> None:
        good = STORY.acks(0, 1, 2, 3)
        forged = replace(good[3], head=good[2].head)
        self.refused(errors.BadStatement, self.changed(acks=(*good[:3], forged)))
        last = type(good[3].head)(good[3].head.body(), good[2].head.signature)
        self.refused(errors.BadStatement, self.changed(acks=(*good[:3], replace(good[3], head=last))))

    def test_gaps_in_the_chain(self) -> None:
        proof = STORY.finality()
        links = proof.foundation.links
        for left in (links[1:], links[::-1], (*links, links[-1]), links[:1] + links[2:]):
            self.refused(errors.BrokenChain, replace(proof, foundation=replace(proof.foundation, links=left)))
        # Without the last one the acks are of a later epoch than the chain leads to.
        shorter = replace(proof.foundation, links=links[:-1])
        self.refused(errors.BrokenChain, replace(proof, foundation=shorter))

    def test_a_commit_below_the_quorum(self) -> None:
        proof = STORY.finality()
        first = proof.foundation.links[0]
        weak = first._replace(commit=commit_by(first.header, STORY.links[1].members or STORY.members, 0, [0, 1]))
        links = (weak, *proof.foundation.links[1:])
        self.refused(errors.BrokenChain, replace(proof, foundation=replace(proof.foundation, links=links)))

    def test_the_transaction_must_be_the_one(self) -> None:
        other = Transaction.decode(STORY.paid[1][0].stripped)
        self.refused(errors.WrongTransaction, self.changed(transaction=other))
        self.refused(errors.WrongTransaction, self.changed(transaction=STORY.open))
        self.assertIsNone(self.verified(self.changed(transaction=None)).outputs)


class Story4:
    """A closing block that is later than the acks' epoch began."""

    @staticmethod
    def closed_anchor() -> Anchor:
        return Anchor(STORY.chain.state.height + 1, bytes(32))


class InclusionTest(ProofCase):
    def test_signed_from_genesis(self) -> None:
        for epoch in (1, 2, 3):
            for number, tx in enumerate(STORY.paid[epoch]):
                proved = self.verified(STORY.signed(epoch, number), chain_id=STORY.chain.genesis.chain_id)
                header = STORY.chain.blocks[proved.height or 0].header
                self.assertEqual((proved.txid, proved.final, proved.epoch), (tx.txid, False, epoch))
                self.assertEqual((proved.block_hash, proved.since), (header.hash, header.slot_time))
                self.assertEqual(header.closing, not (epoch % 2 and number == 0))
                self.assertEqual(proved.outputs, tx.outputs)
                self.assertTrue(proved.by_signatures)

    def test_signed_from_later_anchors(self) -> None:
        for epoch in (2, 3):
            proved = self.verified(STORY.signed(epoch, 0, epoch - 1), STORY.anchor_of(epoch - 1))
            self.assertEqual((proved.links, proved.anchor_epoch), (0, epoch - 1))

    def test_linked_to_the_anchor(self) -> None:
        for epoch in (1, 2, 3):
            for since in range(epoch, 4):
                for number in (0, 1):
                    proof = STORY.linked(epoch, number, since)
                    proved = self.verified(proof, STORY.anchor_of(since))
                    self.assertEqual((proved.epoch, proved.by_signatures, proved.signers), (epoch, False, ()))

    def test_a_coinbase_and_block_0(self) -> None:
        genesis = STORY.chain.blocks[0].transactions[0]
        block = LinkedBlock(())
        proof = replace(
            STORY.linked(1, 0, 1), txid=genesis.txid, foundation=foundation_of(STORY.links[:1]), block=block,
            position=0, branch=(), transaction=genesis,
        )  # fmt: skip
        self.assertEqual(self.verified(proof).height, 0)

    def test_not_in_the_block(self) -> None:
        proof = STORY.signed(1, 0)
        other = STORY.paid[1][1]
        bare = Transaction.decode(other.stripped)
        self.refused(errors.NotInBlock, replace(proof, txid=other.txid, transaction=bare))
        for position in (0, 2, proof.position + 4):
            if position != proof.position:
                self.refused(errors.NotInBlock, replace(proof, position=position))
        for branch in ((*proof.branch, bytes(32)), proof.branch[:-1], proof.branch[::-1], ()):
            self.refused(errors.NotInBlock, replace(proof, branch=branch))

    def test_an_inner_node_is_no_transaction(self) -> None:
        proof = STORY.signed(1, 0)
        inner = replace(proof, txid=proof.branch[-1], branch=proof.branch[:-1], transaction=None)
        self.refused(errors.NotInBlock, inner)

    def test_commits(self) -> None:
        proof = STORY.signed(3, 0)
        assert isinstance(proof.block, SignedBlock)
        block, members = proof.block, STORY.links[3].members
        assert members is not None
        self.refused(
            errors.TooLittlePower,
            replace(proof, block=replace(block, commit=commit_by(block.header, members, 0, [0, 1, 4]))),
        )
        other = STORY.chain.commits[block.header.height - 1]
        self.refused(errors.BrokenChain, replace(proof, block=replace(block, commit=other)))
        moved = replace(block.commit, signatures=((0, bytes(64)), *block.commit.signatures[1:]))
        self.refused(errors.BrokenChain, replace(proof, block=replace(block, commit=moved)))
        later = replace(block.commit, round=1)
        self.refused(errors.BrokenChain, replace(proof, block=replace(block, commit=later)))

    def test_blocks_signed_by_a_set_of_their_own(self) -> None:
        proof = STORY.signed(3, 0)
        assert isinstance(proof.block, SignedBlock)
        forgers = PowerSet([Member(bytes([n]) * 32, key(f"forger {n}").public, 9, b"") for n in range(4)])
        header = replace(proof.block.header, set_hash=forgers.set_hash)
        commit = commit_by(
            header,
            forgers,
            keys=lambda public: next(k for k in map(key, [f"forger {n}" for n in range(4)]) if k.public == public),
        )
        self.refused(errors.BrokenChain, replace(proof, block=SignedBlock(header, commit, forgers)))
        # The set that is due, in a block that names another.
        due = STORY.links[3].members
        assert due is not None
        self.refused(errors.BrokenChain, replace(proof, block=SignedBlock(header, commit_by(header, due), None)))

    def test_headers_that_do_not_follow(self) -> None:
        proof = STORY.signed(3, 0)
        assert isinstance(proof.block, SignedBlock)
        members = STORY.links[3].members
        assert members is not None
        for changes in ({"epoch": 4}, {"epoch": 2}, {"height": 1}, {"previous": bytes(32)}):
            header = replace(proof.block.header, **changes)
            block = SignedBlock(header, commit_by(header, members), proof.block.members)
            self.refused(errors.BrokenChain, replace(proof, block=block))
        header = replace(proof.block.header, chain_id=bytes(32))
        block = SignedBlock(header, commit_by(header, members), proof.block.members)
        self.refused(errors.WrongNetwork, replace(proof, block=block))

    def test_linked_headers_with_a_gap(self) -> None:
        proof = STORY.linked(1, 0, 3)
        assert isinstance(proof.block, LinkedBlock)
        headers = proof.block.headers
        self.assertGreater(len(headers), 3)
        for left in (headers[1:], headers[:1] + headers[2:], headers[::-1]):
            self.refused(errors.BrokenChain, replace(proof, block=LinkedBlock(left)), STORY.anchor_of(3))
        self.refused(errors.NotInBlock, replace(proof, block=LinkedBlock(headers[:-1])), STORY.anchor_of(3))

    def test_amounts_are_those_of_the_transaction(self) -> None:
        proved = self.verified(STORY.signed(2, 1))
        assert proved.outputs is not None
        self.assertEqual(proved.outputs[0].value, 2 * COIN)

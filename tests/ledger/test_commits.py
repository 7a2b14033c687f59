"""Commits: quorum, order, membership, signatures."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, Chain, commit_by, network
from timecoin.consensus.votes import Precommit
from timecoin.ledger.commits import check_commit, precommit_digest, signer_ids
from timecoin.ledger.errors import BadCommit
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import Commit, Header


class CommitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))
        self.header: Header = self.chain.close().header
        self.members = self.chain.state.previous_set

    def check(self, commit: Commit, epoch: int = 1) -> None:
        check_commit(self.chain.state.chain_id, epoch, self.members, commit, BACKEND)

    def refuse(self, commit: Commit, epoch: int = 1) -> None:
        with self.assertRaises(BadCommit):
            self.check(commit, epoch)

    def by(self, *signers: int, round_: int = 0) -> Commit:
        return commit_by(self.header, self.members, round_, signers)

    def test_quorum_is_more_than_two_thirds(self) -> None:
        self.check(self.by(0, 1, 2, 3))
        self.check(self.by(0, 2, 3))
        self.refuse(self.by(0, 1))
        self.refuse(self.by())

    def test_exactly_two_thirds_is_no_quorum(self) -> None:
        self.chain = Chain(network(3))
        self.header, self.members = self.chain.close().header, self.chain.state.previous_set
        self.check(self.by(0, 1, 2))
        self.refuse(self.by(0, 1))

    def test_power_counts_not_heads(self) -> None:
        self.chain = Chain(network(tiers=[Tier.GOLD, Tier.BRONZE, Tier.BRONZE, Tier.BRONZE]))
        self.header, self.members = self.chain.close().header, self.chain.state.previous_set
        self.check(self.by(0))
        self.refuse(self.by(1, 2, 3))

    def test_any_round(self) -> None:
        self.check(self.by(0, 1, 2, round_=9))
        self.refuse(replace(self.by(0, 1, 2, round_=9), round=8))

    def test_body(self) -> None:
        good = self.by(0, 1, 2)
        self.refuse(replace(good, height=good.height + 1))
        self.refuse(replace(good, block_hash=bytes(32)))
        self.refuse(good, epoch=2)

    def test_one_bad_signature_among_enough_good_ones(self) -> None:
        good = self.by(0, 1, 2, 3)
        signer, signature = good.signatures[3]
        spoiled = (*good.signatures[:3], (signer, signature[:-1] + bytes([signature[-1] ^ 1])))
        self.refuse(replace(good, signatures=spoiled))

    def test_signer_swapped(self) -> None:
        good = self.by(0, 1, 2)
        self.refuse(replace(good, signatures=(*good.signatures[:2], (3, good.signatures[2][1]))))

    def test_signers_ascend_and_are_members(self) -> None:
        good = self.by(0, 1, 2)
        first, second, third = good.signatures
        for signatures in (
            (second, first, third),
            (first, first, second, third),
            (first, second, (4, third[1])),
        ):
            self.refuse(replace(good, signatures=signatures))

    def test_ids(self) -> None:
        ids = [member.masternode_id for member in self.members.members]
        self.assertEqual(signer_ids(self.members, self.by(0, 2, 3)), (ids[0], ids[2], ids[3]))

    def test_consensus_signs_the_same_bytes(self) -> None:
        args = (self.header.chain_id, 7, self.members.set_hash, 3)
        vote = Precommit(*args, 9, 2, self.header.hash)
        self.assertEqual(vote.digest, precommit_digest(*args, 9, 2, self.header.hash))

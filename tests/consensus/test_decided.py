"""A decided block of a peer: forged ones are told from decided ones that break a rule."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from timecoin.consensus.decided import DecidedInvalid, ForgedBlock, check_body, check_decided
from timecoin.consensus.jobs import JudgeDecided
from timecoin.ledger.errors import BadCommit
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit


class Lookup:
    def __init__(self, chain: builders.Chain) -> None:
        self._coins = dict(chain.coins)
        self.archived_in = chain.archived_in
        self.closed = False

    def __call__(self, outpoint: bytes) -> builders.Coin | None:
        return self._coins.get(outpoint)

    def close(self) -> None:
        self.closed = True


class DecidedTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = builders.Chain()
        self.chain.close()
        tx = self.chain.payment(builders.account(0), builders.account(1), COIN)
        self.block = self.chain.assemble([tx]).block
        self.commit = self.chain.commit(self.block)

    def check(self, block: Block, commit: Commit) -> None:
        state = self.chain.state
        check_decided(state.chain_id, block, commit, state.current, builders.BACKEND)

    def judge(self, block: Block, commit: Commit, *, checked: bool = False) -> Block:
        lookup = Lookup(self.chain)
        self.addCleanup(lambda: self.assertTrue(lookup.closed))
        job = JudgeDecided(self.chain.params, self.chain.state, block, commit, lookup, checked)
        return job.run(builders.BACKEND).block

    def changed(self, **fields: object) -> Block:
        """The block with other fields of its header, decided as it is."""
        return replace(self.block, header=replace(self.block.header, **fields))  # type: ignore[arg-type]

    def test_a_true_one(self) -> None:
        self.check(self.block, self.commit)
        self.assertEqual(self.judge(self.block, self.commit), self.block)
        self.assertEqual(self.judge(self.block, self.commit, checked=True), self.block)

    def test_bodies_of_other_blocks(self) -> None:
        block, txs = self.block, self.block.transactions
        unsigned = builders.Transaction(
            txs[1].version, tuple(each._replace(witness=()) for each in txs[1].inputs), txs[1].outputs
        )
        for other in (
            replace(block, transactions=txs[:1]),
            replace(block, transactions=(*txs, txs[1])),
            replace(block, transactions=(txs[1], txs[0])),
            replace(block, transactions=(txs[0], unsigned)),
            replace(block, transactions=()),
            replace(block, last_commit=EMPTY_COMMIT),
            replace(block, evidence=(b"?",)),
        ):
            self.assertRaises(ForgedBlock, check_body, other)
            self.assertRaises(ForgedBlock, self.check, other, self.commit)
            self.assertRaises(ForgedBlock, self.judge, other, self.commit)

    def test_commits_of_others(self) -> None:
        other = self.changed(slot_time=self.block.header.slot_time + 1)
        self.assertRaises(ForgedBlock, self.check, other, self.commit)
        self.assertRaises(ForgedBlock, self.check, self.block, replace(self.commit, height=9))
        few = self.chain.commit(self.block, signers=[0, 1])
        self.assertRaises(BadCommit, self.check, self.block, few)
        forged = replace(self.commit, signatures=tuple((n, bytes(64)) for n in range(4)))
        self.assertRaises(BadCommit, self.judge, self.block, forged)

    def test_another_network_with_the_same_masternodes(self) -> None:
        """Its commits hold by their own chain id, which proves nothing here."""
        block = self.changed(chain_id=bytes(32))
        self.assertRaises(ForgedBlock, self.check, block, self.chain.commit(block))

    def test_another_height(self) -> None:
        block = self.changed(height=7)
        self.assertRaises(ForgedBlock, self.judge, block, self.chain.commit(block))

    def test_decided_by_a_quorum_and_invalid_all_the_same(self) -> None:
        for block in (
            self.changed(previous=bytes(32)),
            self.changed(state_hash=bytes(32)),
            self.changed(epoch=self.block.header.epoch + 1),
        ):
            commit = self.chain.commit(block)
            self.check(block, commit)
            self.assertRaises(DecidedInvalid, self.judge, block, commit)
            self.assertRaises(DecidedInvalid, self.judge, block, commit, checked=True)

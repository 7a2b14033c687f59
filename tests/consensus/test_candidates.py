"""A proposal on its way to a verdict: which of its bodies are given to others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import genesis_outpoint, spend
from timecoin.consensus.candidates import Candidate
from timecoin.consensus.jobs import ForgedBlock
from timecoin.consensus.proposal import Content
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.blocktx import BlockTx


class BodyTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.mine, self.foreign = spend([genesis_outpoint(0)]), spend([genesis_outpoint(1)])
        ids = tuple((tx.txid, tx.wtxid) for tx in (self.mine, self.foreign))
        self.candidate = Candidate(cast(Content, SimpleNamespace(txs=ids)), 0)
        self.candidate.gather(
            lambda txid, wtxid: BlockTx(self.mine, (), 0) if wtxid == self.mine.wtxid else None
        )
        self.assertTrue(self.candidate.take_body(self.foreign))

    def test_unverified_ones_are_not_passed_on(self) -> None:
        """Whoever got one of them with a false signature would blame me for the proposer's lie."""
        self.assertIs(self.candidate.body(self.mine.wtxid), self.mine)
        self.assertIsNone(self.candidate.body(self.foreign.wtxid))
        self.candidate.judged(ForgedBlock())
        self.assertIsNone(self.candidate.body(self.foreign.wtxid))

    def test_those_of_a_valid_block_are(self) -> None:
        self.candidate.judged(cast(Assembled, SimpleNamespace()))
        self.assertIs(self.candidate.body(self.foreign.wtxid), self.foreign)
        self.assertIsNone(self.candidate.body(bytes(32)))

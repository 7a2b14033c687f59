"""Proofs and insight of a real node: a network of one, wired as ever, on a clock in the test's hand."""

from __future__ import annotations

from typing import Any

from tests.ledger import builders
from tests.node.test_facade import EPOCH_SECONDS, FacadeTestCase
from timecoin.ledger.closing_chain import Anchor, genesis_anchor
from timecoin.node import proofs as node_proofs
from timecoin.node.insight import NodeInsight
from timecoin.node.proofs import ProofSource
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import sha256
from timecoin.proofs.errors import EpochClosed
from timecoin.proofs.proof_file import decode, encode
from timecoin.proofs.values import LinkedBlock, Proof
from timecoin.proofs.verifying import Proved, verify
from timecoin.rpc.errors import RpcError


class ProofCase(FacadeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.proofs = ProofSource(self.node.consensus, self.node.storage)
        self.insight = NodeInsight(self.node.consensus, self.node.storage)

    def prove(self, txid: bytes, anchor: int = 0, with_transaction: bool = True) -> Proof:
        proof: Proof = self.successResultOf(self.proofs.prove(txid, anchor, with_transaction=with_transaction))
        self.assertEqual(decode(encode(proof)), proof)
        return proof

    def refused(self, code: int, txid: bytes, anchor: int = 0) -> str:
        failure = self.failureResultOf(self.proofs.prove(txid, anchor, with_transaction=True), RpcError)
        self.assertEqual(failure.value.code, code)
        return str(failure.value.message)

    def anchor(self, height: int) -> Anchor:
        return Anchor(height, self.node.storage.chain.archive.block_hash(height))

    def check(self, proof: Proof, height: int = 0) -> Proved:
        return verify(proof, self.anchor(height), builders.BACKEND, chain_id=self.genesis.chain_id)

    def pass_epochs(self, count: int) -> None:
        """Until so many more are closed; a closing block needs something to do."""
        before = self.facade.tip().epoch
        while self.facade.tip().epoch < before + count:
            self.run_for(1)


class ProveTest(ProofCase):
    def test_final_and_then_archived(self) -> None:
        self.pass_epochs(2)
        tx = self.payment()
        self.submit(tx)
        self.run_for(0.5)
        self.assertEqual(self.status(tx), "final")
        final = self.prove(tx.txid)
        proved = self.check(final)
        self.assertEqual((proved.final, proved.epoch, proved.links), (True, self.facade.tip().epoch, 2))
        self.assertEqual(proved.anchor, genesis_anchor(self.genesis))
        self.assertEqual(proved.outputs, tx.outputs)
        self.assertIsNone(self.check(self.prove(tx.txid, 0, False)).outputs)
        tip = self.facade.tip().height
        self.assertEqual(self.check(self.prove(tx.txid, tip), tip).links, 0)
        self.pass_epochs(1)
        self.assertEqual(self.status(tx), "archived")
        archived = self.check(self.prove(tx.txid))
        self.assertEqual((archived.final, archived.height), (False, self.facade.tip().height))
        self.assertEqual((archived.epoch, archived.outputs), (proved.epoch, tx.outputs))
        # The old proof is of no use to whoever knows the block that closed its epoch.
        self.assertRaises(EpochClosed, self.check, final, self.facade.tip().height)

    def test_by_a_later_anchor(self) -> None:
        tx = self.payment()
        self.submit(tx)
        self.pass_epochs(4)
        height = self.facade.tip().height
        proof = self.prove(tx.txid, height)
        self.assertIsInstance(proof.block if not hasattr(proof, "acks") else None, LinkedBlock)
        proved = self.check(proof, height)
        self.assertEqual((proved.by_signatures, proved.signers), (False, ()))
        place = self.facade.location(tx.txid)
        self.assertEqual(place, (proved.height, proved.position))

    def test_a_coinbase_and_block_0(self) -> None:
        self.pass_epochs(2)
        for height in (0, 1):
            block = self.successResultOf(self.facade.block_at(height))
            proved = self.check(self.prove(block.transactions[0].txid))
            self.assertEqual((proved.height, proved.position), (height, 0))

    def test_refused(self) -> None:
        self.assertIn("No such", self.refused(-5, bytes(32)))
        tx = self.payment()
        self.disks["journal"].held = True
        self.submit(tx)
        self.assertIn("only what is final", self.refused(-1, tx.txid))
        self.disks["journal"].held = False
        self.disks["journal"].run()
        self.run_for(0.5)
        self.assertIn("no block 99", self.refused(-8, tx.txid, 99))

    def test_anchors_that_are_too_far(self) -> None:
        first = self.payment()
        self.submit(first)
        self.pass_epochs(5)
        self.patch(node_proofs, "MAX_CHAIN_BYTES", 800)
        self.patch(node_proofs, "MAX_HEADERS", 2)
        tip = self.facade.tip().height
        second = self.payment(1)
        self.submit(second)
        self.run_for(0.5)
        self.assertIn("too long", self.refused(-8, second.txid))
        self.assertIn("More than 2 blocks", self.refused(-8, first.txid, tip))
        self.check(self.prove(second.txid, tip), tip)

    def test_an_interim_block_is_no_anchor(self) -> None:
        archive = self.node.storage.chain.archive
        tx = self.payment()
        self.submit(tx)
        self.pass_epochs(1)
        header = archive.header(1)
        flags = Header.decode(header)
        self.assertTrue(flags.closing)
        from dataclasses import replace

        interim = replace(flags, closing=False).encode()
        self.patch(archive, "header", lambda height: interim)
        self.assertIn("is not a closing block", self.refused(-8, tx.txid, 1))

    def test_without_the_acks(self) -> None:
        tx = self.payment()
        self.submit(tx)
        self.run_for(0.5)
        self.patch(self.node.consensus.participant.finality, "ack_bundles", lambda txid: ())
        self.assertIn("acks of a quorum are not here", self.refused(-1, tx.txid))


class InsightTest(ProofCase):
    def test_consensus(self) -> None:
        view = self.insight.consensus_view()
        (me,) = view.members
        self.assertTrue(me.connected)
        self.assertEqual((me.bundles, me.sealed, me.prevote, me.round), (0, False, None, None))
        self.assertEqual((view.round.started_ms, view.round.locked, view.round.timers), (None, None, ()))
        self.submit(self.payment())
        self.run_for(0.5)
        self.assertGreater(self.insight.consensus_view().members[0].bundles, 0)

    def test_a_height_under_way(self) -> None:
        self.run_for(1)
        self.disks["journal"].held = True
        self.run_for(EPOCH_SECONDS)
        view = self.insight.consensus_view()
        self.assertIsNotNone(view.round.started_ms)
        self.assertEqual(view.round.proposer, 0)
        self.assertTrue(all(kind in ("propose", "prevote", "precommit") for kind, _ in view.round.timers))

    def test_coins(self) -> None:
        tx = self.payment()
        spent = tx.inputs[0].outpoint

        def state(outpoint: bytes) -> Any:
            return self.insight.coin_view(outpoint)

        self.assertEqual((state(spent).state, state(spent).spender), ("unspent", None))
        self.assertEqual(state(tx.outpoint(0)).state, "unknown")
        self.assertEqual(state(sha256(b"") + bytes(4)).state, "unknown")
        self.submit(tx)
        self.run_for(0.5)
        found = state(spent)
        self.assertEqual((found.state, found.spender), ("spent_final", tx.txid))
        self.assertLess(self.facade.now_ms() - found.since_ms, 1_000)
        self.assertEqual(state(tx.outpoint(0)).state, "unspent")
        self.pass_epochs(1)
        self.assertEqual((state(spent).state, state(spent).spender), ("spent", None))

    def test_epoch(self) -> None:
        first = self.successResultOf(self.insight.epoch_figures())
        self.assertEqual((first.blocks, first.transactions), (0, 0))
        self.assertEqual(first.expected.members, self.facade.tip().current)
        self.pass_epochs(3)
        later = self.successResultOf(self.insight.epoch_figures())
        self.assertEqual((later.blocks, later.transactions), (0, 0))
        for number in range(4):
            self.submit(self.payment(number, COIN))
        self.run_for(0.5)
        self.pass_epochs(1)
        self.assertEqual(self.successResultOf(self.insight.epoch_figures()).blocks, 0)

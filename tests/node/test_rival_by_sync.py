"""R12 by block sync in a whole node: a peer shows a rival of the tip, the node keeps both and ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.solo import EPOCH_SECONDS, Solo
from timecoin.node.chain_sync import ChainSync
from timecoin.node.peer_view import PeerView
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block, Commit, Header


class RivalBySyncTest(SynchronousTestCase):
    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        self.solo = Solo(self, path).start()
        self.sync = ChainSync(self.solo.consensus, self.solo.storage, builders.BACKEND)
        self.solo.consensus.bad_block = self.sync.bad_block
        self.solo.consensus.height_opened = self.sync.work
        self.members = self.solo.participant.members
        self.solo.run(2 * EPOCH_SECONDS)
        self.tip = self.solo.participant.ledger.height
        self.assertGreater(self.tip, 0)
        self.block = Block.decode(self.solo.storage.chain.archive.block(self.tip))

    def rival(self, **fields: object) -> tuple[Block, Commit]:
        other = replace(self.block, header=replace(self.block.header, **fields))  # type: ignore[arg-type]
        return other, builders.commit_by(other.header, self.members)

    def show(self, block: Block, commit: Commit) -> None:
        """A peer whose tip is that block."""
        peer = self.solo.connect()
        view = PeerView(peer, height=block.header.height + 1)
        view.status = wire.Status(
            epoch=1, height=block.header.height + 1, round=0, step=0, tip_hash=block.header.hash
        )
        self.sync.on_status(view)
        (asked,) = peer.take(wire.GetBlocks)
        self.assertEqual(asked.from_height, block.header.height)
        self.sync.on_blocks(view, wire.Blocks((wire.BlockWithCommit(block.encode(), commit.encode()),)))
        self.accused = peer.accused

    def assertKept(self, block: Block, commit: Commit) -> None:
        ((reason, (own, other)),) = self.solo.proofs
        self.assertEqual(len(self.solo.halts), 1)
        self.assertIn(reason, self.solo.halts[0])
        self.assertEqual(self.accused, [])
        for data, header in ((own, self.solo.participant.ledger.header), (other, block.header)):
            self.assertEqual(Header.decode(data[:351]), header)
            self.assertEqual(Commit.decode(data[351:]).block_hash, header.hash)
        self.assertTrue(self.solo.participant.halted)
        self.assertFalse(self.solo.participant.may_sign)

    def test_a_rival_of_the_tip(self) -> None:
        block, commit = self.rival(round=1)
        self.show(block, commit)
        self.assertKept(block, commit)

    def test_a_decided_block_on_another_tip(self) -> None:
        ledger = self.solo.participant.ledger
        block, commit = self.rival(
            height=self.tip + 1, epoch=ledger.epoch, set_hash=ledger.current.set_hash, previous=bytes(32)
        )
        self.show(block, commit)
        self.assertKept(block, commit)

    def test_a_decided_block_that_is_invalid_here(self) -> None:
        ledger = self.solo.participant.ledger
        block, commit = self.rival(
            height=self.tip + 1, epoch=ledger.epoch, set_hash=ledger.current.set_hash, previous=ledger.block_hash
        )
        self.show(block, commit)
        self.solo.run(0.1)
        self.assertKept(block, commit)
        self.assertIn("invalid here", self.solo.halts[0])

    def test_without_a_quorum_it_is_a_lie(self) -> None:
        block, commit = self.rival(round=1)
        self.show(block, replace(commit, signatures=((0, bytes(64)),)))
        self.assertEqual((self.solo.halts, len(self.accused)), ([], 1))

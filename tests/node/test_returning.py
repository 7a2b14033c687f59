"""A node that comes back after the unbonding time, with storage, consensus and block sync: what it believes when."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import NotedPeer, Pools
from tests.node.joiners import Source
from tests.node.test_joining import Reactor
from tests.node.test_snapshot_sync_returning import false_past, false_present, past, present
from tests.storage.joined import StoredChain, grow
from timecoin.consensus.identity import OperatorIdentity
from timecoin.ledger.closing_chain import Anchor
from timecoin.node import consensus_service, storage_service
from timecoin.node.anchor import TrustSetting
from timecoin.node.chain_sync import ChainSync
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.header_path import HeaderPath
from timecoin.node.intake import Intake
from timecoin.node.reports import Reports
from timecoin.node.returning import Returning
from timecoin.node.snapshot_serving import SnapshotServing
from timecoin.node.snapshot_sync_trust import RETURN_WAIT_MS
from timecoin.node.storage_service import StorageService
from timecoin.ops.metrics import NodeMetrics
from timecoin.p2p import messages as wire
from timecoin.p2p.reasons import CloseReason, Code
from timecoin.storage.database import file_uri

_QUESTIONS = (wire.GetBlocks, wire.GetClosingHeaders, wire.GetHeaders)


class ChainPeer(NotedPeer):
    """Has a chain, tells it every second, and answers by way of the clock."""

    address = None
    inbound = False

    def __init__(self, number: int, source: Source, case: ReturningCase) -> None:
        super().__init__(number)
        self.source, self.case, self.connected = source, case, True

    def send(self, message: wire.Message | bytes) -> bool:
        super().send(message)
        if isinstance(message, _QUESTIONS):
            for answer in self.source.answer(message):
                self.case.clock.callLater(0.01, self.deliver, answer)
        return True

    def tell(self) -> None:
        if self.connected:
            state = self.source.chain.state
            self.deliver(wire.Status(state.epoch, state.height + 1, 0, 0, state.block_hash))
            self.case.clock.callLater(1, self.tell)

    def deliver(self, message: wire.Message) -> None:
        if self.connected:
            kind = wire.KIND_OF[type(message)].number
            self.case.intake.message(self, wire.decode(kind, wire.encode_payload(message)))


class ReturningCase(SynchronousTestCase):
    trust = TrustSetting()

    def setUp(self) -> None:
        for module in (os, sys.modules["ZODB.FileStorage.FileStorage"]):
            self.patch(module, "fsync", lambda descriptor: None)
        self.path = Path(self.mktemp()).absolute()
        self.path.mkdir()
        self.clock = Reactor()
        params = past().params
        self.clock.advance(past().state.last_closing_slot + (params.unbonding_epochs + 1) * params.epoch_seconds)
        self.pools = Pools(self, storage_service), Pools(self, consensus_service)
        self.aborts: list[str] = []

    def start(self, own: StoredChain, trust: TrustSetting | None = None) -> None:
        genesis = own.genesis
        uris = [file_uri(self.path / name) for name in ("blocks.fs", "coins.fs")]
        self.storage = StorageService(self.clock, genesis, self.path, *uris, merge_keys=300, pack_hours=0)
        self.successResultOf(self.storage.startService())
        own.fill(self.storage.chain)
        self.storage.read_tip()
        identity = OperatorIdentity(builders.operator(0).secret, builders.BACKEND)
        reports = Reports(self.clock, NodeMetrics())
        self.consensus = ConsensusService(
            self.clock,
            genesis.parameters,
            self.storage,
            builders.BACKEND,
            identity,
            reports,
            self.aborts.append,
            max_pool_bytes=10_000_000,
            keep_proof=lambda reason, proofs: None,
        )
        self.consensus.build()
        self.sync = ChainSync(self.consensus, self.storage, builders.BACKEND)
        self.intake = Intake(self.consensus, self.consensus.gossip, self.consensus.shelf, self.sync)
        self.intake.add_handlers(SnapshotServing(self.storage).handlers)
        trust = trust or self.trust
        self.returning = Returning(
            self.consensus,
            self.storage,
            self.sync,
            builders.BACKEND,
            trust,
            trust.anchor,
            self.aborts.append,
            private=True,
        )
        self.intake.guard = self.returning
        self.consensus.ticked = self.tick
        self.consensus.bad_block = self.sync.bad_block
        self.consensus.height_opened = self.sync.work
        self.successResultOf(self.consensus.startService())
        self.addCleanup(self.stop)

    def tick(self) -> None:
        self.sync.tick()
        self.returning.tick()

    def stop(self) -> None:
        self.successResultOf(self.consensus.stopService())
        self.successResultOf(self.storage.stopService())

    def connect(self, chain: StoredChain, *numbers: int) -> list[ChainPeer]:
        source = Source(self, chain)
        peers = [ChainPeer(number, source, self) for number in numbers]
        for peer in peers:
            self.intake.peer_connected(peer)
            peer.tell()
        return peers

    def lose(self, *peers: ChainPeer) -> None:
        for peer in peers:
            peer.connected = False
            self.intake.peer_lost(peer, CloseReason(Code.LOST, ""))

    def run_clock(self, seconds: float) -> None:
        self.clock.pump([0.1] * int(seconds * 10))

    @property
    def tip(self) -> bytes:
        return self.consensus.participant.ledger.block_hash

    def assertWaits(self) -> None:
        """Nothing is adopted, nothing is signed."""
        self.assertEqual(self.tip, past().state.block_hash)
        self.assertTrue(self.returning.is_on)
        self.assertTrue(self.sync.syncing)
        self.assertFalse(self.consensus.participant.may_sign)
        self.assertTrue(self.consensus.participant.permit.held)

    def assertCaughtUp(self) -> None:
        self.assertEqual(self.tip, present().state.block_hash)
        self.assertFalse(self.returning.is_on)
        self.assertFalse(self.sync.syncing)
        self.assertEqual(self.aborts, [])


class BackTest(ReturningCase):
    def test_peers_agree(self) -> None:
        self.start(past())
        peers = self.connect(present(), 1, 2, 3)
        self.assertWaits()
        self.assertIsNotNone(self.returning.state)
        self.run_clock(1)
        self.assertWaits()
        self.run_clock(20)
        self.assertCaughtUp()
        self.assertIsNone(self.returning.state)
        self.assertTrue(all(peer.accused == [] for peer in peers))

    def test_from_a_trusted_block_of_one_peer(self) -> None:
        tip = present().state
        self.start(past(), TrustSetting(Anchor(tip.height, tip.block_hash)))
        self.connect(present(), 1)
        self.run_clock(20)
        self.assertCaughtUp()

    def test_blocks_of_old_keys_are_not_adopted(self) -> None:
        """Before: whoever was asked first decided, as all commits are by the sets that this node knows."""
        tip = present().state
        self.start(past(), TrustSetting(Anchor(tip.height, tip.block_hash)))
        liars = self.connect(false_present(), 1, 2, 3, 4)
        self.run_clock(60)
        self.assertWaits()
        self.assertFalse(any(peer.take(wire.GetBlocks) for peer in liars))
        self.connect(present(), 5)
        self.run_clock(30)
        self.assertCaughtUp()

    def test_two_chains_and_no_trusted_block(self) -> None:
        self.start(past())
        liars = self.connect(false_present(), 1, 2)
        self.connect(present(), 5)
        self.run_clock(100)
        self.assertWaits()
        self.assertIn("different chains", self.returning.state or "")
        self.lose(*liars)
        self.connect(present(), 6, 7)
        self.run_clock(100)
        self.assertCaughtUp()

    def test_a_false_chain_here(self) -> None:
        tip = false_past().state
        self.start(past(), TrustSetting(Anchor(tip.height, tip.block_hash)))
        self.connect(false_past(), 1)
        self.run_clock(20)
        self.assertWaits()
        self.assertEqual(len(self.aborts), 1)
        self.assertIn("does not lead to the trusted", self.aborts[0])

    def test_votes_and_statuses_go_unheard(self) -> None:
        self.start(past())
        (peer,) = self.connect(present(), 1)
        self.run_clock(3)
        heard: list[object] = []
        for name in ("receive", "hear", "adopt", "admit"):
            self.patch(self.consensus.participant, name, lambda *rest, **more: heard.append(rest))
        for message in (wire.Votes((b"?",), (b"?",)), wire.Bundles((b"?",)), wire.Tx((b"?",)), wire.Evidence(b"?")):
            peer.deliver(message)
        self.assertEqual((heard, peer.accused), ([], []))

    def test_it_answers_meanwhile(self) -> None:
        self.start(past())
        (peer,) = self.connect(present(), 1)
        peer.deliver(wire.GetHeaders(past().state.height, 2))
        peer.deliver(wire.GetBlocks(1, 1))
        answers = [each for each in peer.sent if isinstance(each, wire.Headers | wire.Blocks)]
        self.assertEqual([type(each) for each in answers], [wire.Headers, wire.Blocks])


class FreshTest(ReturningCase):
    """All blocks of an old network: from block 0 the same holds."""

    def test_of_which_joining_found_out_nothing(self) -> None:
        self.start(grow(0))
        self.connect(present(), 1, 2, 3)
        self.assertTrue(self.returning.is_on)
        self.run_clock(30)
        self.assertCaughtUp()

    def test_blocks_up_to_what_joining_found(self) -> None:
        """Old keys cannot lead it astray on the way there."""
        tip = present().state
        self.start(grow(0), TrustSetting(Anchor(tip.height, tip.block_hash)))
        self.connect(false_past(), 1, 2, 3)
        self.connect(present(), 5)
        self.run_clock(30)
        self.assertCaughtUp()


class StoodStillTest(ReturningCase):
    """A network that nobody kept up goes on by itself."""

    def test_nobody_is_ahead(self) -> None:
        self.start(past())
        peer, _ = self.connect(past(), 1, 2)
        told = peer.take(wire.Status)[0]
        self.assertEqual(told.epoch, past().state.epoch, "they hear of it, too")
        self.run_clock(RETURN_WAIT_MS / 1000 - 1)
        self.assertWaits()
        self.run_clock(3)
        self.assertFalse(self.returning.is_on)
        self.assertFalse(self.consensus.participant.permit.held)


class NotCalledForTest(ReturningCase):
    def test_a_chain_that_is_young(self) -> None:
        self.start(present())
        self.connect(present(), 1)
        self.assertFalse(self.returning.is_on)

    def test_the_operator_says_that_genesis_will_do(self) -> None:
        self.start(past(), TrustSetting(genesis=True))
        self.connect(present(), 1)
        self.assertFalse(self.returning.is_on)

    def test_joining_found_out_already_what_leads_on(self) -> None:
        self.start(past())
        blocks = present().blocks
        self.sync.path = HeaderPath(blocks[-1].header)
        for block in blocks[-2 : past().state.height - 1 : -1]:
            self.sync.path.add(block.header.hash)
        self.connect(present(), 1)
        self.assertFalse(self.returning.is_on)
        self.run_clock(10)
        self.assertCaughtUp()

    def test_again_after_it_was_cut_off(self) -> None:
        """The process went on, but heard of nobody."""
        params = present().params
        self.start(present())
        peers = self.connect(present(), 1, 2)
        self.run_clock(5)
        self.lose(*peers)
        self.clock.advance((params.unbonding_epochs + 1) * params.epoch_seconds)
        self.connect(present(), 3)
        self.assertTrue(self.returning.is_on)
        self.assertTrue(self.consensus.participant.permit.held)
        self.run_clock(RETURN_WAIT_MS / 1000 + 5)
        self.assertFalse(self.returning.is_on)

    def test_who_is_a_quorum_alone(self) -> None:
        """Nobody else can have signed."""
        self.start(past())
        self.patch(type(self.consensus.participant.members), "is_quorum", lambda members, power: True)
        self.connect(present(), 1)
        self.assertFalse(self.returning.is_on)

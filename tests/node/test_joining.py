"""When a node joins before it starts, what it does with the outcome, and how that ends early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import NotedPeer, Pools, ThreadClock
from tests.node.joiners import EPOCHS, Source, shared_source
from tests.node.test_snapshot_sync_trusted import continued
from tests.storage.joined import links_of
from timecoin.ledger.closing_chain import Anchor
from timecoin.ledger.params import Parameters
from timecoin.node import joining, storage_service
from timecoin.node.anchor import TrustSetting
from timecoin.node.joining import Joining, JoinSettings, group_of
from timecoin.node.root import StartRefused
from timecoin.node.snapshot_sync import SnapshotSync
from timecoin.node.snapshot_sync_trust import ALONE_MS
from timecoin.node.storage_service import StorageService
from timecoin.node.warm_up import WarmingUp
from timecoin.p2p import messages as wire
from timecoin.p2p.netaddress import parse_address
from timecoin.p2p.reasons import CloseReason, Code
from timecoin.storage.database import file_uri


class Reactor(ThreadClock):
    def __init__(self) -> None:
        super().__init__()
        self.triggers: list[Any] = []

    def addSystemEventTrigger(self, phase: str, event: str, work: Any) -> Any:
        self.triggers.append(work)
        return work

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        self.triggers.remove(trigger)


class AnsweringPeer(NotedPeer):
    """Answers from a chain with a snapshot, by way of the clock."""

    address = None

    def __init__(self, number: int, source: Source, network: Net) -> None:
        super().__init__(number)
        self.source, self.network = source, network

    def send(self, message: wire.Message | bytes) -> bool:
        assert not isinstance(message, bytes)
        for answer in self.source.answer(message):
            kind = wire.KIND_OF[type(answer)].number
            decoded = wire.decode(kind, wire.encode_payload(answer))
            self.network.clock.callLater(0.01, self.network.deliver, self, decoded)
        return True


class SilentPeer(AnsweringPeer):
    """Lacks all snapshots."""

    def send(self, message: wire.Message | bytes) -> bool:
        return True if isinstance(message, wire.GetSnapshots | wire.GetChunk) else super().send(message)


class Net:
    def __init__(self, clock: Reactor) -> None:
        self.clock = clock
        self.joining: Joining
        self.known: dict[bytes, AnsweringPeer] = {}
        self.started = self.stopped = False

    def startService(self) -> None:
        self.started = True

    def stopService(self) -> Deferred[None]:
        self.stopped = True
        for peer in list(self.known.values()):
            self.joining.peer_lost(peer, CloseReason(Code.SHUTTING_DOWN, ""))
        return succeed(None)

    def peer(self, node_id: bytes) -> Any:
        return self.known.get(node_id)

    def connect(self, peer: AnsweringPeer) -> None:
        self.known[peer.node_id] = peer
        self.joining.peer_connected(peer)
        status = wire.Status(epoch=peer.source.epoch, height=1, round=0, step=0, tip_hash=bytes(32))
        self.deliver(peer, status)

    def deliver(self, peer: AnsweringPeer, message: wire.Message) -> None:
        self.joining.message(peer, message)


class JoiningCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = shared_source(self)
        self.genesis = self.source.chain.genesis
        self.clock, self.path = Reactor(), Path(self.mktemp()).absolute()
        self.path.mkdir()
        self.clock.advance(self.source.chain.state.last_closing_slot)
        self.pools = Pools(self, storage_service)
        self.network = Net(self.clock)

    def open(self) -> StorageService:
        uris = [file_uri(self.path / name) for name in ("blocks.fs", "coins.fs")]
        storage = StorageService(
            self.clock, self.genesis, self.path, *uris, merge_keys=300, pack_hours=0, snapshots=True
        )
        self.successResultOf(storage.startService())
        self.addCleanup(lambda: self.successResultOf(storage.stopService()) if storage.running else None)
        return storage

    def join(self, storage: StorageService, **options: Any) -> Deferred[None]:
        values = {"mode": "auto", "ahead_epochs": 2, "trust": TrustSetting()} | options
        knows = values.pop("knows_anybody", True)

        def connect(joining: Joining) -> Any:
            self.network.joining = joining
            return self.network

        self.joining = Joining(
            self.clock,
            self.genesis,
            storage,
            builders.BACKEND,
            JoinSettings(**values),
            connect,
            knows_anybody=knows,
        )
        return self.joining.startService()

    def run_clock(self, seconds: float) -> None:
        self.clock.pump([0.05] * int(seconds * 20))


class CalledForTest(JoiningCase):
    def test_not_on_a_young_network(self) -> None:
        self.clock = Reactor()
        self.clock.advance(self.genesis.slot_time + 2 * self.genesis.parameters.epoch_seconds)
        self.successResultOf(self.join(self.open()))
        self.assertFalse(self.network.started)

    def test_not_without_any_address(self) -> None:
        self.successResultOf(self.join(self.open(), knows_anybody=False))
        self.assertFalse(self.network.started)

    def test_not_with_a_chain(self) -> None:
        storage = self.open()
        self.source.chain.fill(storage.chain)
        self.successResultOf(self.join(storage))
        self.assertFalse(self.network.started)

    def test_a_trusted_block_that_contradicts_the_chain(self) -> None:
        storage = self.open()
        self.source.chain.fill(storage.chain)
        good = Anchor(2, self.source.chain.blocks[2].header.hash)
        self.successResultOf(self.join(storage, trust=TrustSetting(good)))
        failure = self.failureResultOf(self.join(storage, trust=TrustSetting(Anchor(2, bytes(32)))), StartRefused)
        self.assertIn("2:" + "0" * 64 + " is trusted", failure.getErrorMessage())


class OutcomeTest(JoiningCase):
    def test_nobody_answers(self) -> None:
        started = self.join(self.open())
        self.assertTrue(self.network.started)
        self.run_clock(ALONE_MS / 1000 + 1)
        self.successResultOf(started)
        self.assertTrue(self.network.stopped)
        self.assertEqual(self.clock.triggers, [])

    def test_no_snapshot_of_a_right_epoch(self) -> None:
        """They are of epochs that 144 divides: none yet. The newest closing header stays as a checkpoint."""
        started = self.join(self.open())
        self.network.connect(AnsweringPeer(1, self.source, self.network))
        self.run_clock(40)
        self.successResultOf(started)
        newest = self.source.chain.blocks[-1].header
        self.assertEqual(self.joining.checkpoint, Anchor(newest.height, newest.hash))
        self.assertEqual(self.joining.newest_trusted, self.joining.checkpoint)

    def test_the_node_is_stopped_meanwhile(self) -> None:
        started = self.join(self.open())
        self.run_clock(1)
        for trigger in self.clock.triggers:
            trigger()
        self.failureResultOf(started, CancelledError)
        self.assertTrue(self.network.stopped)

    def test_how_far_it_is(self) -> None:
        started = self.join(self.open())
        node = WarmingUp(self.genesis, lambda: self.joining.state, lambda: 7, lambda: None)
        self.assertEqual(node.warming_up(), "Joining the network: looking for peers")
        self.assertEqual((node.network, node.hrp, node.started_ms()), ("devnet", "timed", 7))
        self.assertEqual(node.parameters, self.genesis.parameters)
        self.run_clock(ALONE_MS / 1000 + 1)
        self.successResultOf(started)


class LeftOverTest(JoiningCase):
    """An import that an earlier run began."""

    def setUp(self) -> None:
        super().setUp()

        def often(params: Parameters, *rest: Any) -> SnapshotSync:
            return SnapshotSync(replace(params, snapshot_epochs=EPOCHS), *rest)

        self.patch(joining, "SnapshotSync", often)

    def begun(self) -> StorageService:
        storage = self.open()
        links = links_of(self.source.store)
        storage.chain.begin_import(self.source.manifest, self.source.store.tip.state, links, storage.snapshots).close()
        self.assertIsNotNone(storage.chain.unfinished_import())
        self.assertEqual([each.name for each in storage.snapshots.path.iterdir()], [self.place.name])
        return storage

    @property
    def place(self) -> Path:
        return self.path / "snapshots" / f"join-{self.source.manifest.height}"

    def assertGivenUp(self, storage: StorageService) -> None:
        self.assertIsNone(storage.chain.unfinished_import())
        self.assertEqual(list(storage.snapshots.path.iterdir()), [])

    def test_it_is_gone_on_with(self) -> None:
        storage = self.begun()
        started = self.join(storage)
        self.network.connect(AnsweringPeer(1, self.source, self.network))
        self.run_clock(20)
        self.successResultOf(started)
        self.assertEqual(storage.ledger.block_hash, self.source.manifest.block_hash)

    def test_it_waits_for_peers(self) -> None:
        started = self.join(self.begun())
        self.run_clock(3 * ALONE_MS / 1000)
        self.assertNoResult(started)
        self.network.connect(AnsweringPeer(1, self.source, self.network))
        self.run_clock(20)
        self.successResultOf(started)

    def test_the_operator_wants_blocks_now(self) -> None:
        storage = self.begun()
        self.successResultOf(self.join(storage, mode="blocks", knows_anybody=False))
        self.assertGivenUp(storage)

    def test_the_operator_trusts_another_chain_now(self) -> None:
        storage = self.begun()
        other = TrustSetting(Anchor(self.source.manifest.height, bytes(32)))
        self.successResultOf(self.join(storage, trust=other, knows_anybody=False))
        self.assertGivenUp(storage)

    def test_the_operator_trusts_a_block_of_it_now(self) -> None:
        storage = self.begun()
        header = self.source.store.archive.block_hash(self.source.manifest.height)
        self.join(storage, trust=TrustSetting(Anchor(self.source.manifest.height, header)))
        self.assertIsNotNone(storage.chain.unfinished_import())

    def test_the_operator_trusts_a_newer_block_now(self) -> None:
        """Whether the snapshot is of its chain is found out first; what is here of it stays."""
        storage = self.begun()
        later = Source(self, continued(self.source.chain, 1))
        later.files, later.manifest = self.source.files, self.source.manifest
        tip = later.chain.blocks[-1].header
        started = self.join(storage, trust=TrustSetting(Anchor(tip.height, tip.hash)))
        self.assertIsNotNone(storage.chain.unfinished_import())
        self.network.connect(AnsweringPeer(1, later, self.network))
        self.run_clock(20)
        self.successResultOf(started)
        self.assertEqual(storage.ledger.block_hash, self.source.manifest.block_hash)
        assert self.joining.path is not None
        self.assertEqual(self.joining.path.hash_at(tip.height), tip.hash)
        newest = self.joining.newest_trusted
        assert newest is not None
        self.assertGreaterEqual(newest.height, tip.height)

    def test_the_chain_went_on_without_it(self) -> None:
        storage = self.begun()
        self.source.chain.fill(storage.chain)
        self.successResultOf(self.join(storage))
        self.assertGivenUp(storage)

    def test_nobody_delivers_it(self) -> None:
        storage = self.begun()
        started = self.join(storage)
        self.network.connect(SilentPeer(1, self.source, self.network))
        self.run_clock(200)
        self.successResultOf(started)
        self.assertGivenUp(storage)


class GroupTest(SynchronousTestCase):
    def test_loopback_peers_count_by_their_keys(self) -> None:
        one, two = NotedPeer(1), NotedPeer(2)
        for peer in (one, two):
            peer.address = parse_address("127.0.0.1:1")
        self.assertNotEqual(group_of(one, private=True), group_of(two, private=True))
        self.assertEqual(group_of(one, private=False), group_of(two, private=False))
        for peer in (one, two):
            peer.address = parse_address("8.8.8.8:1")
        self.assertEqual(group_of(one, private=True), group_of(two, private=True))

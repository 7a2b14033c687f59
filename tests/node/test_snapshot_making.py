"""When a node makes a snapshot, what it does meanwhile, and what a stop leaves."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.test_storage_service import StorageTestCase
from timecoin.ledger.params import Parameters
from timecoin.ledger.snapshot_chunk import check_chunk
from timecoin.ledger.snapshot_manifest import Manifest, check_manifest
from timecoin.node import snapshot_making
from timecoin.node.snapshot_making import is_due
from timecoin.node.storage_service import BUSY_PAUSE, StorageService
from timecoin.storage.chain import ChainStore
from timecoin.storage.errors import SnapshotWrong

PARAMS = Parameters(snapshot_epochs=2)


class DueTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = builders.Chain(builders.network(4, parameters=PARAMS))

    def due(self, now: float | None = None) -> bool:
        state = self.chain.state
        return is_due(PARAMS, state, state.header.slot_time if now is None else now)

    def test_closing_blocks_of_every_second_epoch(self) -> None:
        found = [self.due()]
        for _ in range(5):
            self.chain.close()
            found.append(self.due())
        self.assertEqual(found, [False, False, True, False, True, False])

    def test_no_interim_block(self) -> None:
        for _ in range(2):
            self.chain.close()
        self.assertTrue(self.due())
        self.chain.interim([self.chain.payment(builders.account(0), builders.account(1), 10**8)])
        header = self.chain.state.header
        for epoch in (2, 3, 4):
            state = replace(self.chain.state, header=replace(header, epoch=epoch))
            self.assertFalse(is_due(PARAMS, state, header.slot_time))

    def test_not_of_blocks_that_are_long_past(self) -> None:
        for _ in range(2):
            self.chain.close()
        slot = self.chain.state.header.slot_time
        self.assertTrue(self.due(slot + 2 * PARAMS.epoch_seconds))
        self.assertFalse(self.due(slot + 2 * PARAMS.epoch_seconds + 1))


class MakingTestCase(StorageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.chain = builders.Chain(builders.network(4, parameters=PARAMS))
        self.patch(snapshot_making, "PAUSE", 0.0)

    def begun(self, *, snapshots: bool = True) -> StorageService:
        service = self.make(snapshots=snapshots, range_coins=3, pack_hours=1)
        self.successResultOf(service.startService())
        self.addCleanup(self.stop, service)
        return service

    def close_epochs(self, service: StorageService, count: int) -> None:
        for _ in range(count):
            self.successResultOf(self.commit(service))

    def whole(self, service: StorageService) -> Manifest:
        """The newest snapshot, if every part of it can be read and is right."""
        snapshot_id, head = service.snapshots_held()[0]
        page = self.successResultOf(service.manifest_page(snapshot_id, 0))
        manifest = Manifest.assemble(snapshot_id, head, [page or b""])
        for index in range(len(manifest.ranges)):
            check_chunk(manifest, index, self.successResultOf(service.chunk(snapshot_id, index)) or b"")
        header = self.chain.blocks[manifest.height].header
        check_manifest(manifest, header)
        return manifest


class MakingTest(MakingTestCase):
    def test_made_when_due_and_the_last_two_are_kept(self) -> None:
        service = self.begun()
        for epochs in range(1, 9):
            self.close_epochs(service, 1)
            due = list(range(2, epochs + 1, 2))
            self.assertEqual([held.height for held in service.snapshots_held()], due[-2:][::-1])
        self.assertEqual(self.whole(service).height, 8)
        part = self.successResultOf(service.state_part(service.snapshots_held()[0].snapshot_id, 0))
        self.assertEqual(part, self.chain.state.encode())

    def test_the_chain_goes_on_meanwhile(self) -> None:
        service = self.begun()
        self.pools["snapshots"].held = True
        self.close_epochs(service, 5)
        self.assertEqual(service.snapshots_held(), ())
        self.pools["snapshots"].run()
        manifest = self.whole(service)
        self.assertEqual(manifest.height, 2)
        self.close_epochs(service, 1)
        self.pools["snapshots"].run()
        self.assertEqual(self.whole(service).height, 6)

    def test_not_when_it_is_switched_off(self) -> None:
        service = self.begun(snapshots=False)
        self.close_epochs(service, 4)
        self.assertEqual(service.snapshots_held(), ())

    def test_held_after_a_restart(self) -> None:
        service = self.begun()
        self.close_epochs(service, 2)
        held = service.snapshots_held()
        self.stop(service)
        self.assertEqual(self.begun().snapshots_held(), held)

    def test_a_stop_ends_it_and_leaves_nothing(self) -> None:
        service = self.begun()
        self.pools["snapshots"].held = True
        self.close_epochs(service, 2)
        stopped = service.stopService()
        self.assertNoResult(stopped)
        self.pools["snapshots"].run()
        self.successResultOf(stopped)
        self.assertEqual(list((self.path / "snapshots").iterdir()), [])

    def test_a_failure_is_logged_and_the_next_one_is_made(self) -> None:
        service = self.begun()
        write = snapshot_making.write_snapshot

        def fail(*arguments: object) -> None:
            raise SnapshotWrong("they differ")

        patched = self.patch(snapshot_making, "write_snapshot", fail)
        self.close_epochs(service, 2)
        patched.restore()
        self.assertIs(snapshot_making.write_snapshot, write)
        self.close_epochs(service, 2)
        self.assertEqual(self.whole(service).height, 4)

    def test_it_pauses_between_slices(self) -> None:
        waits: list[float] = []
        self.patch(Event, "wait", lambda event, timeout: waits.append(timeout))
        service = self.begun()
        self.close_epochs(service, 2)
        self.assertEqual(waits, [snapshot_making.PAUSE] * len(waits))
        self.assertGreater(len(waits), 0)


class PackTest(MakingTestCase):
    def test_a_pack_waits_for_the_snapshot(self) -> None:
        service = self.begun()
        packed: list[str] = []
        pack = ChainStore.pack

        def noted(store: ChainStore) -> None:
            pack(store)
            packed.append("coins")

        self.patch(ChainStore, "pack", noted)
        self.pools["snapshots"].held = True
        self.close_epochs(service, 2)
        self.clock.advance(3600)
        self.assertEqual(packed, [])
        self.clock.advance(BUSY_PAUSE)
        self.assertEqual(packed, [])
        self.pools["snapshots"].run()
        self.clock.advance(BUSY_PAUSE)
        self.assertEqual(packed, ["coins"])
        self.whole(service)


class ServedBlocksTest(MakingTestCase):
    def test_what_is_not_stored_is_not_sent(self) -> None:
        service = self.begun()
        self.close_epochs(service, 3)
        blocks = self.successResultOf(service.blocks_with_commits(2, 8, 1 << 20))
        self.assertEqual([raw for raw, _ in blocks], [block.encode() for block in self.chain.blocks[2:]])
        with service.chain._writer._blocks.transaction_manager as manager:  # as after joining above block 2
            del service.chain._writer._blocks.root()["entries"][2]
            self.assertIsNotNone(manager)
        self.assertEqual(self.successResultOf(service.blocks_with_commits(2, 8, 1 << 20)), [])
        links = self.successResultOf(service.closings(0, 2, 1 << 20))
        self.assertEqual([link[0] for link in links], [block.header.encode() for block in self.chain.blocks[:2]])

"""Snapshots as files: whole or not there, the newest two, readable page by page."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.joined import RANGE_COINS, StoredChain, grow, grown, opened, snapshot_of
from tests.storage.samples import merge_all, scratch
from timecoin.ledger.coins import encode_coin
from timecoin.ledger.snapshot_chunk import check_chunk
from timecoin.ledger.snapshot_manifest import Manifest, check_manifest, check_state, read_head
from timecoin.storage import snapshot_files
from timecoin.storage.errors import SnapshotInterrupted, SnapshotWrong, WriteFailed
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.snapshot_writer import write_snapshot


class Power(Exception):
    """The machine stops here."""


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


class FilesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)
        self.chain = grown()

    def made(self, chain: StoredChain | None = None) -> tuple[SnapshotFiles, Manifest]:
        self.store = opened(self, self.path, chain or self.chain)
        (chain or self.chain).fill(self.store)
        return snapshot_of(self, self.path, chain or self.chain, self.store)


class ContentTest(FilesTestCase):
    def check(self, files: SnapshotFiles, manifest: Manifest) -> None:
        coins = {}
        for index in range(len(manifest.ranges)):
            data = files.chunk(manifest.snapshot_id, index)
            assert data is not None
            coins.update(check_chunk(manifest, index, data))
        self.assertEqual(coins, {o: encode_coin(coin) for o, coin in self.chain.coins.items()})

    def test_every_coin_is_in_it_and_the_header_vouches_for_it(self) -> None:
        files, manifest = self.made()
        header = self.chain.state.header
        check_manifest(manifest, header)
        self.assertEqual((manifest.height, manifest.coins), (header.height, len(self.chain.coins)))
        self.assertEqual([each.coins for each in manifest.ranges[:-1]], [RANGE_COINS] * (len(manifest.ranges) - 1))
        self.assertEqual(
            check_state(manifest, files.state_part(manifest.snapshot_id, 0) or b"", header), self.chain.state
        )
        self.check(files, manifest)

    def test_it_does_not_matter_what_is_merged(self) -> None:
        _, manifest = self.made()
        merge_all(self.store)
        for coins in (1, 7, 10_000):
            files, other = snapshot_of(self, self.path, self.chain, self.store, coins)
            self.check(files, other)
        files, again = snapshot_of(self, self.path, self.chain, self.store)
        self.assertEqual(again, manifest)

    def test_head_and_pages_make_the_manifest(self) -> None:
        self.patch(snapshot_files, "PAGE_RANGES", 2)
        files, manifest = self.made()
        held = files.held()[0]
        self.assertEqual((held.snapshot_id, held.height), (manifest.snapshot_id, manifest.height))
        self.assertEqual(read_head(held.head), manifest.head)
        pages = []
        while page := files.manifest_page(manifest.snapshot_id, len(pages)):
            pages.append(page)
        self.assertEqual(len(pages), -(-len(manifest.ranges) // 2))
        self.assertEqual(Manifest.assemble(held.snapshot_id, held.head, pages), manifest)

    def test_what_is_not_here(self) -> None:
        files, manifest = self.made()
        self.assertIsNone(files.chunk(manifest.snapshot_id, len(manifest.ranges)))
        self.assertEqual(files.state_part(manifest.snapshot_id, 1), b"")
        for read in (files.chunk, files.state_part, files.manifest_page):
            self.assertIsNone(read(bytes(32), 0))


class KeptTest(FilesTestCase):
    def test_the_newest_two(self) -> None:
        chain = grow(1)
        files, first = self.made(chain)
        made = [first]
        for _ in range(3):
            chain.epoch()
            chain.fill(self.store)
            with self.store.snapshot() as coins:
                made.append(write_snapshot(files, coins, self.store.tip_state(), lambda: None))
        self.assertEqual([held.snapshot_id for held in files.held()], [made[3].snapshot_id, made[2].snapshot_id])
        self.assertEqual(names(files.path), [f"{each.height:010}" for each in made[2:]])
        self.assertIsNone(files.chunk(first.snapshot_id, 0))

    def test_found_again_after_a_restart(self) -> None:
        files, manifest = self.made()
        again = SnapshotFiles(files.path)
        again.open()
        self.assertEqual(again.held(), files.held())
        self.assertEqual(again.chunk(manifest.snapshot_id, 0), files.chunk(manifest.snapshot_id, 0))

    def test_leftovers_go_at_the_start(self) -> None:
        files, manifest = self.made()
        for name in ("new-9", "join-7", "old-3", "0000000099"):
            (files.path / name).mkdir()
            (files.path / name / "chunk-000000").write_bytes(b"x")
        (files.path / "0000000098").mkdir()
        (files.path / "0000000098" / "manifest").write_bytes(b"x" * 100)
        (files.path / "stray").write_bytes(b"x")
        again = SnapshotFiles(files.path)
        again.open(joining=7)
        self.assertEqual(names(files.path), [f"{manifest.height:010}", "join-7"])
        self.assertEqual(again.held(), files.held())


class CrashTest(FilesTestCase):
    """Power fails at any step of writing: afterwards the snapshot is whole, or there is none."""

    def test_at_every_step(self) -> None:
        files, manifest = self.made()
        before = files.held()
        steps = 0
        while not self.crashes_at(steps, manifest):
            again = SnapshotFiles(files.path)
            again.open()
            self.assertIn(again.held(), (before, ()))
            self.assertEqual(len(names(files.path)), len(again.held()))
            for held in again.held():
                self.assertEqual(len(names(files.path / f"{held.height:010}")), len(manifest.ranges) + 2)
            steps += 1
        self.assertGreater(steps, len(manifest.ranges))

    def crashes_at(self, step: int, manifest: Manifest) -> bool:
        """Write once more with the power off from system call *step* on; whether it got through before that."""
        left = [step]

        def powered(call):  # type: ignore[no-untyped-def]
            def run(*arguments: object, **named: object) -> object:
                if left[0] <= 0:
                    raise Power
                left[0] -= 1
                return call(*arguments, **named)

            return run

        files = SnapshotFiles(self.path / "snapshots")
        files.open()
        patches = [
            self.patch(snapshot_files.os, "replace", powered(os.replace)),
            self.patch(snapshot_files.os, "fsync", powered(os.fsync)),
            self.patch(snapshot_files, "sync_directory", powered(snapshot_files.sync_directory)),
            self.patch(snapshot_files.shutil, "rmtree", powered(snapshot_files.shutil.rmtree)),
        ]
        try:
            with self.store.snapshot() as coins:
                write_snapshot(files, coins, self.store.tip_state(), lambda: None, RANGE_COINS)
        except Power:
            return False
        finally:
            for patch in patches:
                patch.restore()
        return True


class RefusedTest(FilesTestCase):
    def write(self, **replaced: object) -> SnapshotFiles:
        files = SnapshotFiles(self.path / "snapshots")
        files.open()
        self.store = opened(self, self.path, self.chain)
        self.chain.fill(self.store)
        return files

    def test_stopped_in_the_middle(self) -> None:
        files = self.write()

        def pause() -> None:
            raise SnapshotInterrupted("the node stops")

        with self.store.snapshot() as coins, self.assertRaises(SnapshotInterrupted):
            write_snapshot(files, coins, self.store.tip_state(), pause)
        self.assertEqual((names(files.path), files.held()), ([], ()))

    def test_coins_that_the_header_does_not_commit_to(self) -> None:
        files = self.write()
        with self.store.snapshot() as coins, self.assertRaises(SnapshotWrong):
            coins.steps = lambda limit: iter([[(bytes(36), bytes(34))]])  # type: ignore[method-assign]
            write_snapshot(files, coins, self.store.tip_state(), lambda: None)
        self.assertEqual(names(files.path), [])

    def test_a_full_disk(self) -> None:
        files = self.write()

        def full(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        self.patch(snapshot_files, "write_durably", full)
        with self.store.snapshot() as coins, self.assertRaises(WriteFailed):
            write_snapshot(files, coins, self.store.tip_state(), lambda: None)
        self.assertEqual(names(files.path), [])

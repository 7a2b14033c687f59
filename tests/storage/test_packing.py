"""Times to finality beside the blocks, and packs that end early."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import SampleChain, advance, merge_all, open_store, recomputed, scratch
from timecoin.storage.errors import PackInterrupted
from timecoin.storage.finaltimes import pack_times, time_at


class TimesTest(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        times = [None, 0, 43, 2**32 - 2, 2**32 - 1, 2**40]
        packed = pack_times(times)
        self.assertEqual(len(packed), 24)
        self.assertEqual(packed[8:12], b"\x2b\0\0\0")
        cut = 2**32 - 2
        self.assertEqual([time_at(packed, n) for n in range(6)], [None, 0, 43, cut, cut, cut])

    def test_not_there(self) -> None:
        self.assertIsNone(time_at(b"", 0))
        self.assertIsNone(time_at(pack_times([1]), 1))

    def test_kept_with_the_block(self) -> None:
        path, chain = scratch(self), SampleChain()
        store = open_store(self, path)
        advance(store, replace(chain.next(), times=pack_times([None, 71])))
        advance(store, chain.next())
        for _ in range(2):
            found = [store.archive.final_ms(height, n) for height, n in ((0, 0), (0, 1), (0, 2), (1, 1))]
            self.assertEqual(found, [None, 71, None, None])
            store.close()
            store = open_store(self, path)


class InterruptedPackTest(SynchronousTestCase):
    def test_leaves_everything_as_it_was(self) -> None:
        path, chain = scratch(self), SampleChain()
        store = open_store(self, path)
        for _ in range(10):
            advance(store, chain.next())
        merge_all(store)
        before = {file.name: file.stat().st_size for file in path.glob("*.fs")}
        store.end_packing()
        for pack in (store.pack, store.pack_blocks):
            self.assertRaises(PackInterrupted, pack, margin=-60.0)
        self.assertEqual({file.name: file.stat().st_size for file in path.glob("*.fs")}, before)
        self.assertEqual(list(path.glob("*.pack")), [])
        advance(store, chain.next())
        store.close()
        store = open_store(self, path)
        self.assertEqual(recomputed(store), chain.coins)
        store.pack_blocks(margin=-60.0)
        self.assertLess((path / "blocks.fs").stat().st_size, before["blocks.fs"])

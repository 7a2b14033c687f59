"""A process killed at random moments, and what the next one finds."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import (
    CHAIN_ID,
    SampleChain,
    advance,
    merge_all,
    open_store,
    recomputed,
    scratch,
    tree_of,
    uris,
)
from timecoin.storage.chain import ChainStore
from timecoin.storage.errors import DatabaseUnavailable, StorageError
from timecoin.storage.journal import Journal
from timecoin.storage.writer import Limits

LIMITS = Limits(start_keys=300, batch_keys=1_500, hard_keys=3_000, chunk_keys=40)
KILLS = 6


def killed(seconds: float, work: Callable[[int], None]) -> bytes:
    """Run *work* in a fork, SIGKILL it that long after its first report; everything that it reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(writing)
        finally:
            os._exit(1)
    os.close(writing)
    reported = os.read(reading, 65_536)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while more := os.read(reading, 65_536):
        reported += more
    os.close(reading)
    if not os.WIFSIGNALED(status):
        raise AssertionError("the child ended by itself")
    return reported


def run_chain(path: Path, report: int) -> None:
    store = ChainStore.open(*uris(path), CHAIN_ID, LIMITS)
    chain = SampleChain(payments=60)
    for _ in range(store.tip.height + 1):
        chain.next()
    while True:
        advance(store, chain.next())
        os.write(report, store.tip.height.to_bytes(4, "little"))
        for _ in range(7):
            token = store.merge(40)
            if token is not None:
                store.merged(token)


def run_journal(path: Path, first: int, report: int) -> None:
    journal, number = Journal.open(path, CHAIN_ID), first
    if not journal.intact:
        journal.settle(0)
    while True:
        journal.append([b"%d" % number, b"x" * 400])
        os.write(report, number.to_bytes(4, "little"))
        number += 1
        if number % 10 == 0:
            journal.rotate(list(journal.replay())[-6:])


def last_number(reported: bytes) -> int:
    return int.from_bytes(reported[len(reported) // 4 * 4 - 4 :][:4], "little")


class KillTest(SynchronousTestCase):
    def test_chain_and_coins_agree_after_every_kill(self) -> None:
        path, delays = scratch(self), random.Random(7)
        resumed = 0
        for _ in range(KILLS):
            reported = last_number(killed(delays.uniform(0, 0.12), lambda report: run_chain(path, report)))
            store = open_store(self, path, LIMITS)
            self.assertIn(store.tip.height - reported, (0, 1))
            resumed += store._writer._target > store._writer._merged
            self.check(store)
            store.close()
        self.assertGreater(resumed, 0, "no kill fell into a merge")
        store = open_store(self, path, LIMITS)
        merge_all(store)
        self.assertEqual(tree_of(store), recomputed(store))

    def check(self, store: ChainStore) -> None:
        chain, made = SampleChain(payments=60), set()
        for height in range(store.tip.height + 1):
            block = chain.next()
            made |= set(block.added)
            self.assertEqual(store.archive.block(height), block.block)
        self.assertEqual((store.tip.state, store.tip.block_hash), (block.state, block.block_hash))
        self.assertEqual(store.tip.coin_count, len(chain.coins))
        self.assertEqual(recomputed(store), chain.coins)
        found = {outpoint: coin for outpoint in made if (coin := store.coin_bytes(outpoint)) is not None}
        self.assertEqual(found, chain.coins)
        self.assertEqual({txid: store.location(txid) for txid in chain.txids}, chain.txids)

    def test_journal_holds_all_that_was_acknowledged(self) -> None:
        path, delays, number = scratch(self), random.Random(8), 0
        for _ in range(KILLS):
            reported = killed(delays.uniform(0, 0.06), lambda report, n=number: run_journal(path, n, report))
            number = last_number(reported)
            journal = Journal.open(path, CHAIN_ID)
            self.assertTrue(journal.intact, journal.reason)
            records = [int(record) for record in journal.replay() if record.isdigit()]
            journal.close()
            self.assertIn(records[-1] - number, (0, 1))
            self.assertEqual(records, list(range(records[0], records[-1] + 1)))
            number = records[-1] + 1


class PowerCutTest(SynchronousTestCase):
    """The file has its new length, but zeros stand for all or part of what was being written."""

    def test_every_cut_leaves_the_blocks_before(self) -> None:
        path, chain = scratch(self), SampleChain()
        store = open_store(self, path)
        for _ in range(3):
            advance(store, chain.next())
        file = path / "blocks.fs"
        before, fourth = file.stat().st_size, chain.next()
        advance(store, fourth)
        store.close()
        whole = bytearray(file.read_bytes())
        whole[before + 16 : before + 17] = b"c"  # marked as finished behind all else
        for cut in (0, 1, 9, 16, 17, 23, 60, 400, len(whole) - before - 9):
            file.write_bytes(bytes(whole[: before + cut]).ljust(len(whole), b"\0"))
            (path / "blocks.fs.index").unlink(missing_ok=True)
            store = open_store(self, path)
            self.assertEqual(store.tip.height, 2, cut)
            advance(store, fourth)
            store.close()

    def test_a_file_in_use_is_left_alone(self) -> None:
        path = scratch(self)
        open_store(self, path)
        before = (path / "blocks.fs").read_bytes()
        self.assertRaises(DatabaseUnavailable, ChainStore.open, *uris(path), CHAIN_ID)
        self.assertEqual((path / "blocks.fs").read_bytes(), before)

    def test_damage_in_the_middle_is_not_mended(self) -> None:
        path, chain = scratch(self), SampleChain()
        store = open_store(self, path)
        for _ in range(3):
            advance(store, chain.next())
        store.close()
        file = path / "blocks.fs"
        whole = file.read_bytes()
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
        (path / "blocks.fs.index").unlink(missing_ok=True)
        size = file.stat().st_size
        try:
            ChainStore.open(*uris(path), CHAIN_ID).close()
        except StorageError:
            self.assertEqual(file.stat().st_size, size)

"""The chain store beside a dictionary: commits, merges in steps, crashes at any point, views that stay as they were."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.stateful.running import run
from tests.storage.samples import CHAIN_ID, scratch, sealed, uris
from timecoin.ledger.coins import Coin as LedgerCoin
from timecoin.ledger.coins import decode_coin, encode_coin
from timecoin.storage.chain import ChainStore
from timecoin.storage.delta import CommittedBlock
from timecoin.storage.errors import StorageError, WrongHeight
from timecoin.storage.reader import CoinLookup
from timecoin.storage.writer import Committed, Limits, Merged

LIMITS = Limits(start_keys=12, batch_keys=40, hard_keys=90, hard_blocks=7, chunk_keys=9)
PREFIX = b"the same"


@dataclass
class View:
    """A pinned view of the coins, and what it must show for as long as it is open."""

    coins: dict[bytes, bytes]
    lookup: CoinLookup


class StoreMachine(RuleBasedStateMachine):
    """``coins`` and ``places`` are the model of the acknowledged tip; ``waiting`` what the disk has beyond it."""

    directory: ClassVar[Path]

    @initialize()
    def begin(self) -> None:
        self.life = 0
        self.path = self.directory / "store"
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        self.store = ChainStore.open(*uris(self.path), CHAIN_ID, LIMITS)
        self.blocks: list[CommittedBlock] = []
        self.coins: dict[bytes, bytes] = {}
        self.places: dict[bytes, tuple[int, int]] = {}
        self.ever: list[bytes] = []
        self.serial = 0
        self.token: Committed | None = None
        self.merge_tokens: list[Merged] = []
        self.views: list[View] = []
        self.snapshots: list[tuple[dict[bytes, bytes], object]] = []

    # Blocks

    def make(self, payments: int, spends: int, inside: bool, twins: bool, data: st.DataObject) -> CommittedBlock:
        txids = []
        for _ in range(payments + 1):
            self.serial += 1
            tail = self.serial.to_bytes(4, "big")
            txids.append(PREFIX + bytes(20) + tail if twins else tail * 8)
        added = {
            txid + bytes([n, 0, 0, 0]): encode_coin(LedgerCoin(2, self.serial, bytes([n]) * (22 + 12 * n)))
            for txid in txids
            for n in (0, 1)
        }
        spendable = sorted(self.coins)
        spent = data.draw(st.lists(st.sampled_from(spendable), max_size=spends, unique=True)) if spendable else []
        if inside:
            spent.append(txids[-1] + bytes(4))
        return sealed(len(self.blocks), added, tuple(spent), tuple(txids))

    def apply(self, block: CommittedBlock) -> None:
        self.coins.update(block.added)
        for outpoint in block.removed:
            del self.coins[outpoint]
        self.places.update({txid: (block.height, position) for position, txid in enumerate(block.txids)})
        self.ever += [outpoint for outpoint in block.added if outpoint not in self.ever]
        self.blocks.append(block)

    @precondition(lambda self: self.token is None)
    @rule(
        data=st.data(),
        payments=st.integers(0, 6),
        spends=st.integers(0, 8),
        inside=st.booleans(),
        twins=st.booleans(),
    )
    def commit(self, data: st.DataObject, payments: int, spends: int, inside: bool, twins: bool) -> None:
        """The storage thread's half: durable, not yet shown."""
        self.pending = self.make(payments, spends, inside, twins, data)
        self.token = self.store.commit_block(self.pending)

    @precondition(lambda self: self.token is not None)
    @rule()
    def acknowledge(self) -> None:
        """The reactor's half, behind the merges that came before it."""
        self.show_merges()
        assert self.token is not None
        self.store.committed(self.token)
        self.apply(self.pending)
        self.token = None

    @rule(number=st.integers(0, 12))
    def wrong_height(self, number: int) -> None:
        if number != len(self.blocks) + (self.token is not None):
            try:
                self.store.commit_block(sealed(number, {}, (), (b"x" * 32,)))
            except WrongHeight:
                return
            raise AssertionError(f"block {number} was taken behind {len(self.blocks)}")

    # Merging

    @rule(limit=st.integers(1, 25), force=st.booleans())
    def merge(self, limit: int, force: bool) -> None:
        token = self.store.merge(limit, force)
        if token is not None:
            assert 0 < token.keys <= limit or token.remaining == 0
            self.merge_tokens.append(token)

    @rule()
    def show_merges(self) -> None:
        for token in self.merge_tokens:
            self.store.merged(token)
        self.merge_tokens.clear()

    # Views

    @rule()
    def look(self) -> None:
        if len(self.views) < 3:
            self.views.append(View(dict(self.coins), self.store.coin_lookup()))

    @precondition(lambda self: self.views)
    @rule()
    def end_look(self) -> None:
        view = self.views.pop(0)
        for outpoint in self.ever:
            coin = view.lookup(outpoint)
            expected = view.coins.get(outpoint)
            assert coin == (None if expected is None else decode_coin(expected))
        view.lookup.close()

    @rule(step=st.integers(1, 7))
    def snapshot(self, step: int) -> None:
        """All coins in key order, while merges go on between its steps."""
        expected = dict(sorted(self.coins.items()))
        with self.store.snapshot() as snapshot:
            assert (snapshot.height, snapshot.count) == (len(self.blocks) - 1, len(expected))
            found: list[tuple[bytes, bytes]] = []
            for chunk in snapshot.steps(step):
                assert len(chunk) <= 2 * step
                found += chunk
                token = self.store.merge(step, True)
                if token is not None:
                    self.merge_tokens.append(token)
        assert found == list(expected.items())

    # Ends of lives

    def close_views(self) -> None:
        for view in self.views:
            view.lookup.close()
        self.views.clear()

    def reopen(self, path: Path) -> None:
        self.path = path
        self.store = ChainStore.open(*uris(path), CHAIN_ID, LIMITS)
        self.token = None
        self.merge_tokens.clear()

    @rule()
    def stop(self) -> None:
        self.close_views()
        self.store.close()
        if self.token is not None:
            self.apply(self.pending)
        self.reopen(self.path)

    @rule()
    def crash(self) -> None:
        """Between two transactions: what is on disk is what there is, shown to the reactor or not."""
        copy = self.copied()
        self.leave()
        if self.token is not None:
            self.apply(self.pending)
        self.reopen(copy)

    def leave(self) -> None:
        self.close_views()
        self.store.close()

    def copied(self) -> Path:
        self.life += 1
        copy = self.directory / f"life {self.life}"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self.path.glob("*.fs"):
            shutil.copy(file, copy / file.name)
        return copy

    def torn(self, name: str, work: Callable[[], object], part: int, zeros: bool) -> None:
        """Do something, lose power while it is written: ``part`` of 1,000 of what was to be written is there, and
        perhaps zeros for the rest.
        """
        before = (self.path / name).stat().st_size
        work()
        copy = self.copied()
        after = (copy / name).stat().st_size
        with (copy / name).open("r+b") as stream:
            stream.seek(before + 16)
            stream.write(b"c")  # a transaction is marked finished behind everything else
            stream.truncate(before + (after - before) * part // 1_000)
            if zeros:
                stream.truncate(after)
        self.leave()
        self.reopen(copy)

    @precondition(lambda self: self.token is None)
    @rule(data=st.data(), payments=st.integers(0, 4), part=st.integers(0, 999), zeros=st.booleans())
    def tear_block(self, data: st.DataObject, payments: int, part: int, zeros: bool) -> None:
        """Not reported, not there."""
        block = self.make(payments, 3, False, False, data)
        keys = self.store.unmerged_keys
        if keys < 60 and len(self.blocks) < 5:  # else it first merges, which writes the other file
            self.torn("blocks.fs", lambda: self.store.commit_block(block), part, zeros)

    @precondition(lambda self: self.token is None)
    @rule(limit=st.integers(1, 25), part=st.integers(0, 999), zeros=st.booleans())
    def tear_merge(self, limit: int, part: int, zeros: bool) -> None:
        """A step of a merge that is not whole on disk is taken again."""
        self.torn("coins.fs", lambda: self.store.merge(limit, True), part, zeros)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        if self.token is not None:
            self.acknowledge()
        while (token := self.store.merge(50, True)) is not None:
            self.store.merged(token)
        self.agrees()
        self.snapshot(step=5)
        self.leave()

    # What must hold at all times

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        store = self.store
        assert store.tip.height == len(self.blocks) - 1
        assert store.tip.coin_count == len(self.coins)
        for outpoint in self.ever:
            assert store.coin_bytes(outpoint) == self.coins.get(outpoint)
        for txid, place in self.places.items():
            assert store.location(txid) == place
        assert store.location(PREFIX + b"\xff" * 24) is None
        assert store.coin_bytes(b"\xff" * 36) is None
        if self.blocks:
            last = self.blocks[-1]
            assert (store.tip.block_hash, store.tip.state) == (last.block_hash, last.state)
            assert store.archive.block(last.height) == last.block

    @invariant()
    def views_stay(self) -> None:
        for view in getattr(self, "views", ()):
            for outpoint in self.ever[-6:]:
                coin, expected = view.lookup(outpoint), view.coins.get(outpoint)
                assert coin == (None if expected is None else decode_coin(expected))


class OverlayTest(SynchronousTestCase):
    def test_random_lives(self) -> None:
        StoreMachine.directory = scratch(self)
        run(StoreMachine, 25, 40)

    def test_a_file_from_elsewhere(self) -> None:
        """Sizes of nothing: an empty file is a new database, half of one is refused in one line."""
        path = scratch(self)
        store = ChainStore.open(*uris(path), CHAIN_ID, LIMITS)
        store.committed(store.commit_block(sealed(0, {}, (), (b"x" * 32,))))
        store.close()
        data = (path / "blocks.fs").read_bytes()
        (path / "blocks.fs").write_bytes(b"FS21" + bytes(len(data)))
        for suffix in (".index", ".lock", ".tmp"):
            (path / f"blocks.fs{suffix}").unlink(missing_ok=True)
        self.assertRaises(StorageError, ChainStore.open, *uris(path), CHAIN_ID, LIMITS)

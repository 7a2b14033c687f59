"""Making a snapshot of the coins at one tip, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from timecoin.ledger.coins import coin_bytes_element
from timecoin.ledger.snapshot_chunk import encode_chunk
from timecoin.ledger.snapshot_manifest import RANGE_COINS, CoinRange, Manifest, product
from timecoin.ledger.state import LedgerState
from timecoin.primitives.hashes import sha256
from timecoin.primitives.muhash import MuHash
from timecoin.storage.errors import SnapshotWrong, WriteFailed
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.storage.snapshot_files import SnapshotFiles, write_chunk, write_state

SLICE_COINS: Final = 200
"""Coins taken between two pauses: about 2 ms."""


def write_snapshot(
    files: SnapshotFiles,
    coins: CoinSnapshot,
    state: LedgerState,
    pause: Callable[[], None],
    range_coins: int = RANGE_COINS,
) -> Manifest:
    """
    Write the snapshot of the closing block that is the tip of *state* and of *coins*; durable and held on return.

    For a thread of its own: about 12 µs a coin, and what *pause* takes, which is called every :data:`SLICE_COINS` coins
    and may raise. All nodes of a network need the same *range_coins*. ``SnapshotWrong`` when the coins are not what the
    header commits to, ``WriteFailed``; nothing is left then.
    """
    try:
        return files.make(state.height, lambda place: _fill(place, coins, state, pause, range_coins))
    except OSError as error:
        raise WriteFailed(f"cannot write the snapshot of block {state.height}: {error.strerror or error}") from error


def _fill(
    place: Path, coins: CoinSnapshot, state: LedgerState, pause: Callable[[], None], range_coins: int
) -> Manifest:
    ranges = _Ranges(place, range_coins)
    for step in coins.steps(SLICE_COINS):
        ranges.add(step)
        pause()
    ranges.cut()
    blob = state.encode()
    write_state(place, blob)
    manifest = Manifest(state.height, state.block_hash, len(blob), sha256(blob), tuple(ranges.done))
    if product(manifest.ranges) != state.muhash or manifest.coins != coins.count:
        raise SnapshotWrong(f"the coins stored after block {state.height} are not those that its header commits to")
    return manifest


class _Ranges:
    """Cuts coins in key order into ranges and writes their chunks."""

    def __init__(self, place: Path, range_coins: int) -> None:
        self._place = place
        self._limit = range_coins
        self._coins: list[tuple[bytes, bytes]] = []
        self._muhash = MuHash.empty()
        self.done: list[CoinRange] = []

    def add(self, coins: list[tuple[bytes, bytes]]) -> None:
        """Take more coins, all above those before."""
        at = 0
        while at < len(coins):
            part = coins[at : at + self._limit - len(self._coins)]
            at += len(part)
            self._coins += part
            self._muhash = self._muhash.update([coin_bytes_element(*each) for each in part])
            if len(self._coins) == self._limit:
                self.cut()

    def cut(self) -> None:
        """End the range at hand, if there is anything in it."""
        if not self._coins:
            return
        data = encode_chunk(self._coins)
        write_chunk(self._place, len(self.done), data)
        self.done.append(CoinRange(self._coins[0][0], len(self._coins), len(data), self._muhash))
        self._coins, self._muhash = [], MuHash.empty()

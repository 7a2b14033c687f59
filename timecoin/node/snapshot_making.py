"""When a node makes a snapshot, and that it does so without anybody noticing (protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.ledger.params import Parameters
from timecoin.ledger.snapshot_manifest import RANGE_COINS, Manifest
from timecoin.ledger.state import LedgerState
from timecoin.storage.errors import SnapshotInterrupted, StorageError
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.snapshot_writer import write_snapshot

T = TypeVar("T")
PAUSE: Final = 0.004
"""Seconds between two slices of some 2 ms: the reactor has two thirds of the time for itself."""


def is_due(params: Parameters, state: LedgerState, now: float) -> bool:
    """Whether the tip of *state* is a closing block of which a snapshot is made; *now* in Unix seconds.

    None is made on the way through old blocks: when the next one must be due, peers hold newer ones.
    """
    header = state.header
    if not header.closing or not header.epoch or header.epoch % params.snapshot_epochs:
        return False
    return now - header.slot_time <= params.snapshot_epochs * params.epoch_seconds


class SnapshotThread(Protocol):
    """A thread for long work, awaited when the node stops."""

    def __call__(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run it; the Deferred fires on the reactor's thread."""
        ...


class SnapshotMaker:
    """Makes one snapshot at a time, in a thread; a stop ends it early and nothing of it is left."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        params: Parameters,
        files: SnapshotFiles,
        in_thread: SnapshotThread,
        range_coins: int = RANGE_COINS,
    ) -> None:
        """``range_coins`` is the same in all nodes of a network."""
        self._reactor = reactor
        self._params = params
        self._files = files
        self._in_thread = in_thread
        self._range_coins = range_coins
        self._ending = Event()
        self._busy = False
        self.last_seconds = 0.0
        """How long the last one took."""

    def committed(self, state: LedgerState, coins: Callable[[], CoinSnapshot]) -> None:
        """A block is the tip; ``coins`` opens the coins after it, in the reactor's thread, if a snapshot is due."""
        if not is_due(self._params, state, self._reactor.seconds()):
            return
        if self._busy:
            self.log.warn("no snapshot of block {height}: the one before is not through", height=state.height)
            return
        self._busy = True
        Deferred.fromCoroutine(self._make(state, coins())).addErrback(
            lambda failure: self.log.failure("a snapshot was not made", failure)
        )

    def end(self) -> None:
        """End the one under way, soon; none is made after that."""
        self._ending.set()

    async def _make(self, state: LedgerState, coins: CoinSnapshot) -> None:
        began = self._reactor.seconds()
        try:
            with suppress(SnapshotInterrupted):
                manifest = await self._in_thread(self._write, state, coins)
                self._made(manifest, self._reactor.seconds() - began)
        except StorageError as error:
            self.log.error("no snapshot of block {height}: {error}", height=state.height, error=error)
        finally:
            coins.close()
            self._busy = False

    def _write(self, state: LedgerState, coins: CoinSnapshot) -> Manifest:
        with coins:
            return write_snapshot(self._files, coins, state, self._pause, self._range_coins)

    def _pause(self) -> None:
        if self._ending.wait(PAUSE):
            raise SnapshotInterrupted("the node stops")

    def _made(self, manifest: Manifest, seconds: float) -> None:
        self.last_seconds = seconds
        self.log.info(
            "snapshot of block {height}: {coins} coins in {seconds} s",
            height=manifest.height,
            coins=manifest.coins,
            seconds=round(seconds, 1),
        )

"""The disk of one wallet: what changed is gathered and committed in a thread, one commit at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from timecoin.wallet.state import Changes

__all__ = ["LAZY_SECONDS", "InThread", "Store", "WalletWriter", "to_the_end"]

T = TypeVar("T")

LAZY_SECONDS = 1.0
"""What nobody waits for is on disk after so long."""

InThread = Callable[..., Deferred[Any]]
"""Calls a function with arguments in a thread."""


def to_the_end(work: Deferred[T]) -> Deferred[T]:
    """The result of work that goes on when nobody waits for it any more (a caller who left, a call that took too long):
    half-way, memory and disk would differ."""
    waiting: Deferred[T] = Deferred()
    work.addCallbacks(waiting.callback, waiting.errback)
    return waiting


class Store(Protocol):
    """The part of ``storage.wallet_store.WalletStore`` that is written to."""

    def commit(self, changes: Changes) -> None:
        """All or nothing, durable on return."""

    def rewrite(self, changes: Changes | None = None) -> None:
        """As ``commit``, and what was there before leaves the disk."""


class WalletWriter:
    """Writes what ``take_changes`` gives. What a failed commit held is tried again with the next one."""

    log = Logger()

    def __init__(self, reactor: Any, in_thread: InThread, store: Store, take_changes: Callable[[], Changes]) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._store = store
        self._take = take_changes
        self._lock = DeferredLock()
        self._unwritten: Changes = {}
        self._later: IDelayedCall | None = None

    def flush(self) -> Deferred[None]:
        """Fires when all that changed up to now is durable; fails with ``WriteFailed``."""
        return to_the_end(self._lock.run(lambda: Deferred.fromCoroutine(self._write(None))))

    def rewrite(self, changes: Changes) -> Deferred[None]:
        """As :meth:`flush`, with ``changes``, so that what they replace leaves the disk; they are not tried again."""
        return to_the_end(self._lock.run(lambda: Deferred.fromCoroutine(self._write(changes))))

    def soon(self) -> None:
        """Have it written within ``LAZY_SECONDS``."""
        if self._later is None:
            self._later = self._reactor.callLater(LAZY_SECONDS, self._lazily)

    def close(self) -> Deferred[None]:
        """Write what is left."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        return self.flush()

    def _lazily(self) -> None:
        self._later = None
        self.flush().addErrback(
            lambda failure: self.log.failure("a wallet was not written; it is tried again", failure)
        )

    async def _write(self, replaced: Changes | None) -> None:
        for table, records in self._take().items():
            self._unwritten.setdefault(table, {}).update(records)
        if replaced is None and not self._unwritten:
            return
        work = self._store.commit if replaced is None else self._store.rewrite
        taken, self._unwritten = self._unwritten, {}
        try:
            await self._in_thread(work, _merged(taken, replaced or {}))
        except BaseException:
            for table, records in self._unwritten.items():
                taken.setdefault(table, {}).update(records)
            self._unwritten = taken
            raise


def _merged(first: Changes, second: Changes) -> Changes:
    return {table: {**first.get(table, {}), **second.get(table, {})} for table in (*first, *second)}

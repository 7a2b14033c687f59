"""What happened, told inside the process: every change of a transaction's status and every applied block, numbered.

There is one numbering for all: that of push clients and of ``getfinalityevents``. Whoever listens is called on the
reactor's thread, in the order of the numbers, and must be quick: thousands of payments a second pass here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from twisted.logger import Logger

from timecoin.consensus.status import Status
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

E = TypeVar("E")


class TransactionChanged(NamedTuple):
    """A transaction has a new status (protocol.md 1), as of ``time_ms`` (milliseconds since the Unix epoch).

    *pending*: it was first admitted here, submitted or relayed; not durable yet. *certified* is not final. *final* and
    *archived* are durable: they hold after a crash of this node, too. ``tx`` is the transaction where this node still
    has it at hand: always for pending and archived ones, hardly ever for rejected ones. ``height`` is that of the block
    of an archived one; ``reason`` says why one was rejected.
    """

    number: int
    txid: Hash
    status: Status
    time_ms: int
    tx: Transaction | None = None
    height: int | None = None
    reason: str | None = None


class BlockApplied(NamedTuple):
    """A decided block is durable and applied; its transactions were told as archived just before."""

    number: int
    height: int
    block_hash: Hash
    epoch: int
    closing: bool
    time_ms: int


class Listener(Protocol):
    """Hears of everything. What it raises is logged and hurts nobody else."""

    def transaction(self, event: TransactionChanged) -> None:
        """A transaction has a new status."""
        ...

    def block(self, event: BlockApplied) -> None:
        """A block was applied."""
        ...


class Feed:
    """Numbers events, from ``last`` + 1 on without gaps, and tells them to who listens.

    ``body(txid)`` finds an unarchived transaction; the owner of the pool sets it.
    """

    log = Logger()

    def __init__(self, last: int = 0) -> None:
        self.last = last
        """The number of the newest event; 0 before the first."""
        self.body: Callable[[Hash], Transaction | None] = lambda txid: None
        self._listeners: tuple[Listener, ...] = ()
        self._hear_blocks: tuple[Callable[[BlockApplied], None], ...] = ()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of all that comes from now on; returns a call that ends it."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple([each for each in self._listeners if each is not listener])

        return stop

    def listen_to_blocks(self, hear: Callable[[BlockApplied], None]) -> None:
        """Tell ``hear`` of all blocks from now on, and of nothing else: payments cost such a one nothing."""
        self._hear_blocks = (*self._hear_blocks, hear)

    def transaction(
        self,
        txid: Hash,
        status: Status,
        time_ms: int,
        tx: Transaction | None = None,
        height: int | None = None,
        reason: str | None = None,
    ) -> int:
        """A transaction has a new status; returns the number of the event."""
        self.last = number = self.last + 1
        if self._listeners:
            event = TransactionChanged(number, txid, status, time_ms, tx or self.body(txid), height, reason)
            for listener in self._listeners:
                self._tell(listener.transaction, event)
        return number

    def block(self, height: int, block_hash: Hash, epoch: int, closing: bool, time_ms: int) -> int:
        """A block was applied; returns the number of the event."""
        self.last = number = self.last + 1
        event = BlockApplied(number, height, block_hash, epoch, closing, time_ms)
        for listener in self._listeners:
            self._tell(listener.block, event)
        for hear in self._hear_blocks:
            self._tell(hear, event)
        return number

    def _tell(self, hear: Callable[[E], None], event: E) -> None:
        try:
            hear(event)
        except Exception:
            self.log.failure("a listener failed to take event {number}", number=getattr(event, "number", None))

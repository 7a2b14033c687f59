"""What was submitted to this node: journaled, announced at each opening, kept until it is settled or expires (R5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from timecoin.consensus import effects as fx
from timecoin.consensus.context import Context
from timecoin.consensus.records import PendingTransaction, Record, RecordKind
from timecoin.consensus.settling import REJECTED_EXPIRED
from timecoin.primitives.transaction import Transaction


class Submissions:
    """The transactions by txid, in the order of their submission; iteration gives the txids."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pending: dict[bytes, PendingTransaction] = {}

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._pending

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pending)

    def __len__(self) -> int:
        return len(self._pending)

    def restore(self, pending: Mapping[bytes, PendingTransaction]) -> None:
        """What the journal holds of them."""
        self._pending.update(pending)

    def keep(self, tx: Transaction) -> None:
        """It is submitted now: write it down, unless it was before."""
        if tx.txid not in self._pending:
            pending = PendingTransaction(0, self._context.now, tx.raw)
            self._pending[tx.txid] = pending
            self._context.outbox.record(RecordKind.PENDING, pending.encode())

    def settled(self, txid: bytes) -> bool:
        """It is archived or rejected; was it submitted here?"""
        return self._pending.pop(txid, None) is not None

    def count_openings(self) -> None:
        """An epoch opened. Finality counts that for what is in the pool; what is not expires here."""
        context = self._context
        for txid, pending in list(self._pending.items()):
            entry = context.finality.pool.get(txid)
            openings = pending.openings + 1 if entry is None else entry.openings
            self._pending[txid] = pending._replace(openings=openings)
            if openings > context.params.pending_epochs:
                del self._pending[txid]
                context.outbox.report(fx.Report(txid, fx.Change.REJECTED, reason=REJECTED_EXPIRED))

    def records(self) -> tuple[bytes, ...]:
        """All of them, for a new segment of the journal."""
        return tuple(Record(RecordKind.PENDING, pending.encode()).encode() for pending in self._pending.values())

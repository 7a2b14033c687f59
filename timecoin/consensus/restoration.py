"""Bringing journaled transactions back into finality after a start (protocol.md 4, R5)."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.consensus import effects as fx
from timecoin.consensus.context import Context
from timecoin.consensus.finality import Finality
from timecoin.consensus.restoring import RestoredBody
from timecoin.consensus.submissions import Submissions
from timecoin.ledger.errors import TxInvalid
from timecoin.mempool.errors import AlreadyKnown, MissingParents, NotAdmitted


class Restoration:
    """Puts bodies into the pool; of those that it refuses now, my votes keep their locks.

    What was submitted to this node and can never be valid again is rejected and leaves ``submissions``.
    """

    def __init__(self, finality: Finality, context: Context, submissions: Submissions) -> None:
        self._finality = finality
        self._context = context
        self._submissions = submissions

    def bring_back(self, bodies: Iterable[RestoredBody], now: int) -> None:
        """All of them, in whatever order they were journaled."""
        left, waiting = list(bodies), 0
        while left and len(left) != waiting:
            waiting = len(left)
            left = [body for body in left if not self._enters(body, now)]
        for body in left:
            self._keep_orphan(body)

    def _enters(self, body: RestoredBody, now: int) -> bool:
        """False when its parents are not here yet."""
        finality, pending = self._finality, body.pending
        try:
            prepared = finality.prepare(body.tx)
            finality.restore_body(
                prepared,
                now if pending is None else pending.submitted_ms,
                local=pending is not None,
                openings=0 if pending is None else pending.openings,
            )
        except MissingParents:
            return False
        except (TxInvalid, NotAdmitted) as error:
            finality.restore_locks(body.tx)
            self._refused(body.tx.txid, error)
        return True

    def _refused(self, txid: bytes, error: TxInvalid | NotAdmitted) -> None:
        if not self._submissions.settled(txid) or isinstance(error, AlreadyKnown):
            return
        self._context.outbox.report(fx.Report(txid, fx.Change.REJECTED, reason=error.code))

    def _keep_orphan(self, body: RestoredBody) -> None:
        finality = self._finality
        finality.restore_locks(body.tx)
        try:
            finality.prepare(body.tx)
        except MissingParents as missing:
            finality.orphans.add(body.tx, missing.txids, b"")
            self._context.emit(fx.WantTransactions(missing.txids, False, None))

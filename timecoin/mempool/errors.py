"""Why a transaction is not taken into the pool although nothing is known to be wrong with it.

What breaks a rule for good is a :class:`timecoin.ledger.errors.TxInvalid` instead.
"""

from __future__ import annotations

from timecoin.ledger.errors import TxInvalid
from timecoin.primitives.hashes import Hash


class NotAdmitted(Exception):
    """The pool does not take the transaction now; ``.code`` says why, for users."""

    code = "not-admitted"


class AlreadyKnown(NotAdmitted):
    """The transaction is in the pool or archived; ``.archived`` tells which."""

    code = "txn-already-known"

    def __init__(self, txid: Hash, *, archived: bool) -> None:
        super().__init__(txid[::-1].hex())
        self.archived = archived


class MissingParents(NotAdmitted):
    """Transactions that made its coins are neither archived nor in the pool: ``.txids``, in input order."""

    code = "missing-parents"

    def __init__(self, txids: tuple[Hash, ...]) -> None:
        super().__init__(", ".join(txid[::-1].hex() for txid in txids))
        self.txids = txids


class Conflict(NotAdmitted):
    """A coin of it has two spenders in the pool already (protocol.md R5); ``.rivals`` are all its rivals."""

    code = "txn-mempool-conflict"

    def __init__(self, rivals: tuple[Hash, ...]) -> None:
        super().__init__(", ".join(txid[::-1].hex() for txid in rivals))
        self.rivals = rivals


class PoolFull(NotAdmitted):
    """The pool is full of transactions that pay no less or are certified."""

    code = "mempool-full"


class RivalFinal(TxInvalid):
    """A final transaction spends one of its coins (protocol.md R4)."""

    code = "txn-double-spend"

"""One unarchived transaction that is valid by all that is known."""

from __future__ import annotations

from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction

OVERHEAD_BYTES = 2_500
"""What an entry with its tally takes in memory besides three times its serialisation, as measured."""


class Entry:
    """A transaction in the pool, its family, and what consensus has marked on it.

    ``coins`` are those of its inputs; coins of unarchived parents have code 0 until the parent is
    archived.  ``rate`` is the fee in millionths of a base unit per vbyte, ``first_seen`` in milliseconds,
    ``order`` the place in the order of admission, in which parents always stand before children.
    ``openings`` counts the epochs that opened while it was pending.  ``parents`` and ``children`` are those
    in the pool, by txid.

    The marks belong to the open epoch: ``voted`` (my vote is queued or sent), ``certified``, ``acked`` (my
    ack is queued or sent); ``final`` lasts.
    """

    __slots__ = (
        "acked",
        "certified",
        "children",
        "coins",
        "fee",
        "final",
        "first_seen",
        "local",
        "openings",
        "order",
        "outpoints",
        "parents",
        "rate",
        "size",
        "tx",
        "txid",
        "voted",
        "vsize",
    )

    def __init__(self, tx: Transaction, coins: tuple[Coin, ...], fee: int, now: int) -> None:
        self.tx = tx
        self.txid: Hash = tx.txid
        self.outpoints: tuple[OutPoint, ...] = tx.outpoints()
        self.coins = coins
        self.fee = fee
        self.size = tx.size
        self.vsize = tx.vsize
        self.rate = fee * 1_000_000 // self.vsize
        self.first_seen = now
        self.local = False
        self.order = 0
        self.openings = 0
        self.parents: dict[Hash, Entry] = {}
        self.children: dict[Hash, Entry] = {}
        self.voted = self.certified = self.acked = self.final = False

    @property
    def memory(self) -> int:
        """Bytes that it counts for in the pool."""
        return 3 * self.size + OVERHEAD_BYTES

    def __repr__(self) -> str:
        marks = [name for name in ("voted", "certified", "acked", "final") if getattr(self, name)]
        return f"<Entry {self.txid[::-1].hex()[:12]} {' '.join(marks)}>"


def ancestors(entry: Entry, limit: int) -> list[Entry] | None:
    """Return all unarchived ancestors, nearest first, or None when there are more than ``limit``."""
    return _lineage(entry, limit)


def _lineage(entry: Entry, limit: int | None) -> list[Entry] | None:
    found: dict[Hash, Entry] = {}
    stack = list(entry.parents.values())
    while stack:
        parent = stack.pop()
        if parent.txid not in found:
            found[parent.txid] = parent
            if limit is not None and len(found) > limit:
                return None
            stack.extend(parent.parents.values())
    return list(found.values())


def descendants(entry: Entry) -> list[Entry]:
    """Return all descendants in the pool, in the order of admission."""
    found: dict[Hash, Entry] = {}
    stack = list(entry.children.values())
    while stack:
        child = stack.pop()
        if child.txid not in found:
            found[child.txid] = child
            stack.extend(child.children.values())
    return sorted(found.values(), key=lambda child: child.order)


def all_ancestors(entry: Entry) -> list[Entry]:
    """Return all unarchived ancestors, however many."""
    return _lineage(entry, None) or []

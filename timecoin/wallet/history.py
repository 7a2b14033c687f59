"""The transactions that touch a wallet, through their statuses, and the coins that follow from them.

A decided block is never undone, so nothing here is ever rolled back: *archived* is the end, *final* only becomes
archived, and everything else becomes whatever was heard last. A coin exists while the transaction that made it is not
rejected; it is unspent while no transaction that spends it is live. Of rival spends the settled one decides: then the
others are rejected, and with them what spends their outputs. Transactions of others that spend the wallet's coins
count like its own: another device may have the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.wallet.coins import Coin, Owner
from timecoin.wallet.records import ABANDONED, FoundCoin, Record
from timecoin.wallet.totals import Totals

__all__ = ["CONFLICT", "PARENT_REJECTED", "Archived", "CannotAbandon", "History"]

CONFLICT: Final = "conflict"
"""Rejected: a rival spend of one of its coins is final or archived."""

PARENT_REJECTED: Final = "parent-rejected"
"""Rejected: it spends an output of a transaction that was rejected."""


class CannotAbandon(Exception):
    """The transaction may still become final, or is."""


@dataclass(frozen=True, slots=True)
class Archived:
    """Where a transaction was archived: ``time`` in Unix seconds."""

    height: int
    block_hash: Hash
    time: int


class History:
    """All that a wallet knows of its transactions and coins.

    What changed since the last :meth:`take_changes` is for the store. ``version`` counts changes, for what is
    computed from the whole.
    """

    def __init__(self, owner: Owner, records: Iterable[Record] = (), found: Iterable[FoundCoin] = ()) -> None:
        self._owner = owner
        self._records: dict[Hash, Record] = {}
        self._coins: dict[OutPoint, Coin] = {}
        self._found: dict[OutPoint, FoundCoin] = {}
        self._unspent: dict[OutPoint, Coin] = {}
        self._spenders: dict[OutPoint, tuple[Hash, ...]] = {}
        self._order: list[Hash] = []
        self._open: dict[Hash, None] = {}
        self._totals = Totals()
        self._changed: dict[Hash, None] = {}
        self._changed_found: dict[OutPoint, None] = {}
        self.version = 0
        for coin in found:
            self._put_found(coin)
        for record in sorted(records, key=lambda each: each.order):
            self._put(record)
        self._changed.clear()
        self._changed_found.clear()

    # Reading

    def __contains__(self, txid: Hash) -> bool:
        return txid in self._records

    def __len__(self) -> int:
        return len(self._records)

    def get(self, txid: Hash) -> Record | None:
        """What is known of a transaction."""
        return self._records.get(txid)

    def newest_first(self) -> Iterator[Record]:
        """All transactions, the one that the wallet learnt of last first."""
        for txid in reversed(self._order):
            yield self._records[txid]

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """A coin that is or was the wallet's."""
        return self._coins.get(outpoint)

    def unspent(self) -> list[Coin]:
        """The coins that exist and that nothing live spends."""
        return list(self._unspent.values())

    def count_unspent(self) -> int:
        """How many coins :meth:`unspent` gives."""
        return len(self._unspent)

    @property
    def totals(self) -> Totals:
        """What the unspent coins are worth."""
        return self._totals

    def is_unspent(self, outpoint: OutPoint) -> bool:
        """Whether the coin exists and nothing live spends it."""
        return outpoint in self._unspent

    def status_of(self, coin: Coin) -> str:
        """The status of the transaction that made a coin."""
        record = self._records.get(coin.txid)
        return "archived" if record is None else record.status

    def height_of(self, coin: Coin) -> int | None:
        """The height at which a coin was archived; None before."""
        record = self._records.get(coin.txid)
        if record is None:
            return self._found[coin.outpoint].height
        return record.height if record.status == "archived" else None

    def found(self, outpoint: OutPoint) -> FoundCoin | None:
        """A coin of which only the coin is known."""
        return self._found.get(outpoint)

    def spenders(self, outpoint: OutPoint) -> tuple[Record, ...]:
        """The known transactions that spend an outpoint, whatever became of them."""
        return tuple([self._records[txid] for txid in self._spenders.get(outpoint, ())])

    def live_spender(self, outpoint: OutPoint) -> Record | None:
        """One that is not rejected, the furthest first."""
        live = [each for each in self.spenders(outpoint) if each.is_live]
        return max(live, key=lambda each: (each.is_settled, -each.order), default=None)

    def rivals(self, record: Record) -> list[Record]:
        """The other known transactions that spend a coin of this one."""
        found: dict[Hash, Record] = {}
        for outpoint in record.tx.outpoints():
            for each in self.spenders(outpoint):
                if each.txid != record.txid:
                    found[each.txid] = each
        return list(found.values())

    def children(self, record: Record) -> list[Record]:
        """The known transactions that spend its outputs."""
        found: dict[Hash, Record] = {}
        for n in range(len(record.tx.outputs)):
            for each in self.spenders(record.tx.outpoint(n)):
                found[each.txid] = each
        return list(found.values())

    def unarchived_ancestors(self, txids: Iterable[Hash]) -> set[Hash]:
        """Of these and of what they spend, those known and not archived (``max_chain`` counts them)."""
        found: set[Hash] = set()
        waiting = list(txids)
        while waiting:
            record = self._records.get(waiting.pop())
            if record is None or record.status == "archived" or record.txid in found:
                continue
            found.add(record.txid)
            waiting.extend(outpoint[:32] for outpoint in record.tx.outpoints())
        return found

    def is_trusted(self, txid: Hash, known: dict[Hash, bool] | None = None) -> bool:
        """Whether what it pays to the wallet can be relied on.

        It is final or archived, or else all its inputs, and those of its ancestors that are not, are the wallet's own
        to spend, and no rival is known to spend them too. ``known`` keeps what was found for the next question, until
        the wallet changes.
        """
        known = {} if known is None else known
        waiting, seen = [txid], dict[Hash, bool]()
        while waiting:
            record = self._records.get(waiting.pop())
            if record is None or record.is_settled or record.txid in seen:
                continue
            if not known.get(record.txid, True) or not self._is_relied_on(record):
                known[txid] = known[record.txid] = False
                return False
            seen[record.txid] = True
            if record.txid not in known:
                waiting.extend(outpoint[:32] for outpoint in record.tx.outpoints())
        known.update(seen)
        return True

    def _is_relied_on(self, record: Record) -> bool:
        return record.is_live and self._is_from_us(record) and not self._is_contested(record)

    def _is_from_us(self, record: Record) -> bool:
        coins = [self._coins.get(outpoint) for outpoint in record.tx.outpoints()]
        return all(coin is not None and coin.owned.spendable for coin in coins)

    def _is_contested(self, record: Record) -> bool:
        return any(rival.is_live for rival in self.rivals(record))

    def touches(self, tx: Transaction) -> bool:
        """Whether a transaction pays to the wallet or spends a coin of it."""
        owned = self._owner.owned
        for output in tx.outputs:
            if owned(output.script) is not None:
                return True
        coins = self._coins
        return any(each.outpoint in coins for each in tx.inputs)

    def to_send_again(self) -> list[Record]:
        """What the wallet signed and is not archived, rejected or abandoned, parents first."""
        return [each for each in self.unarchived() if each.own and each.status != "archived"]

    def unarchived(self) -> list[Record]:
        """The live transactions that are not archived, in order."""
        return sorted(map(self._records.__getitem__, self._open), key=lambda each: each.order)

    # Changing

    def heard(
        self, tx: Transaction, status: str, now_ms: int, *, place: Archived | None = None, reason: str = ""
    ) -> bool:
        """A transaction has a status, ``place`` with that of archived ones; returns whether that is news.

        The caller has made sure that it :meth:`touches` the wallet.
        """
        known = self._records.get(tx.txid)
        if known is not None and not _may_become(known, status):
            return False
        record = known or Record(tx=tx, status="", order=self._next_order(), seen_ms=now_ms)
        if place is not None:
            record = replace(record, height=place.height, block_hash=place.block_hash, block_time=place.time)
        record = replace(record, status=status, reason=reason if status == "rejected" else "")
        if not record.is_settled and any(rival.is_settled for rival in self.rivals(record)):
            record = replace(record, status="rejected", reason=reason or CONFLICT)
        return self._take(record, known)

    def _take(self, record: Record, known: Record | None) -> bool:
        if record == known:
            return False
        self._put(record)
        if record.is_settled:
            for rival in self.rivals(record):
                self._reject(rival, CONFLICT)
        elif record.status == "rejected":
            self._reject_children(record)
        return True

    def sign(self, tx: Transaction, now_ms: int, notes: Mapping[str, str]) -> Record:
        """The wallet signed a transaction that it is about to send: it is pending from now on."""
        known = self._records.get(tx.txid)
        if known is None:
            self._put(Record(tx=tx, status="pending", order=self._next_order(), seen_ms=now_ms, own=True, notes=notes))
        else:
            status = known.status if known.is_live else "pending"
            self._put(replace(known, tx=tx, status=status, own=True, notes=notes, reason=""))
        return self._records[tx.txid]

    def put_back(self, before: Record) -> None:
        """Take back what :meth:`sign` made of a transaction that was known already, unless there is other news."""
        if self._records[before.txid].status == "pending":
            self._put(before)

    def forget(self, txid: Hash) -> None:
        """Take back a transaction that the wallet signed and that never left it."""
        record = self._records.pop(txid)
        self._order.remove(txid)
        self._open.pop(txid, None)
        for outpoint in record.tx.outpoints():
            left = tuple([each for each in self._spenders[outpoint] if each != txid])
            self._spenders.pop(outpoint) if not left else self._spenders.update({outpoint: left})
            self._refresh(outpoint)
        for n in range(len(record.tx.outputs)):
            self._coins.pop(record.tx.outpoint(n), None)
            self._drop(record.tx.outpoint(n))
        self._note(txid)

    def abandon(self, txid: Hash) -> None:
        """Count a transaction that was never seen certified as given up, so that its coins may be spent again.

        :raises CannotAbandon: it is certified, final or archived. :raises KeyError: it is not known.
        """
        record = self._records[txid]
        if record.status not in ("pending", "rejected"):
            raise CannotAbandon(record.status)
        self._put(replace(record, status="rejected", reason=ABANDONED))
        self._reject_children(record)

    def find(self, coin: FoundCoin) -> bool:
        """Take over a coin of which only the coin is known; whether it is new."""
        if coin.outpoint in self._coins or coin.outpoint[:32] in self._records:
            return False
        self._put_found(coin)
        return coin.outpoint in self._coins

    def own_again(self) -> None:
        """The wallet has more scripts than before: look at all outputs again."""
        for _ in self.owning_again():
            pass

    def owning_again(self) -> Iterator[None]:
        """:meth:`own_again` in steps; what happens between them is taken over as ever."""
        for txid in tuple(self._records):
            record = self._records.get(txid)
            if record is not None:
                self._take_outputs(record)
            yield

    def take_changes(self) -> tuple[list[Hash], list[OutPoint]]:
        """The txids and the found coins that changed since the last call; what is not there any more is to go."""
        changes = list(self._changed), list(self._changed_found)
        self._changed.clear()
        self._changed_found.clear()
        return changes

    # Inside

    def _next_order(self) -> int:
        return self._records[self._order[-1]].order + 1 if self._order else 0

    def _note(self, txid: Hash) -> None:
        self._changed[txid] = None
        self.version += 1

    def _put(self, record: Record) -> None:
        txid = record.txid
        if txid not in self._records:
            self._order.append(txid)
            for outpoint in record.tx.outpoints():
                self._spenders[outpoint] = (*self._spenders.get(outpoint, ()), txid)
        self._records[txid] = record
        if record.is_live and record.height < 0:
            self._open[txid] = None
        else:
            self._open.pop(txid, None)
        self._take_outputs(record)
        for outpoint in record.tx.outpoints():
            self._refresh(outpoint)
        self._note(txid)

    def _take_outputs(self, record: Record) -> None:
        for n, output in enumerate(record.tx.outputs):
            if output.script[:1] == b"\x6a":
                continue
            owned = self._owner.owned(output.script)
            if owned is not None:
                outpoint = record.tx.outpoint(n)
                known = self._coins.get(outpoint)
                if known is None or known.owned != owned:
                    self._coins[outpoint] = Coin(outpoint, output.value, output.script, owned)
                    self.version += 1
                self._refresh(outpoint)

    def _put_found(self, found: FoundCoin) -> None:
        owned = self._owner.owned(found.script)
        if owned is None:
            return
        self._found[found.outpoint] = found
        self._coins[found.outpoint] = Coin(found.outpoint, found.value, found.script, owned)
        self._changed_found[found.outpoint] = None
        self._refresh(found.outpoint)
        self.version += 1

    def _refresh(self, outpoint: OutPoint) -> None:
        """Decide anew whether a coin is unspent."""
        coin = self._coins.get(outpoint)
        if coin is None:
            return
        maker = self._records.get(coin.txid)
        exists = outpoint in self._found if maker is None else maker.is_live
        if exists and self.live_spender(outpoint) is None:
            self._unspent[outpoint] = coin
            self._totals.count(coin, self.status_of(coin))
        else:
            self._drop(outpoint)

    def _drop(self, outpoint: OutPoint) -> None:
        self._unspent.pop(outpoint, None)
        self._totals.drop(outpoint)

    def _reject(self, record: Record, reason: str) -> None:
        if record.is_live and not record.is_settled:
            self._put(replace(record, status="rejected", reason=reason))
            self._reject_children(record)

    def _reject_children(self, record: Record) -> None:
        waiting = self.children(record)
        while waiting:
            child = waiting.pop()
            if child.is_live and not child.is_settled:
                self._put(replace(child, status="rejected", reason=PARENT_REJECTED))
                waiting.extend(self.children(child))


def _may_become(record: Record, status: str) -> bool:
    if record.status == "archived":
        return False
    if record.status == "final":
        return status == "archived"
    # A rejected transaction that is heard of again lives again, whatever the owner said of it.
    return True

"""What users are told, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from timecoin.consensus import effects as fx
from timecoin.consensus.effects import Change
from timecoin.consensus.records import RecordKind, decode_pending, decode_record
from timecoin.consensus.status import Status
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.checkers.chain import Chain
from timecoin.simulation.checkers.sets import Sets
from timecoin.simulation.checkers.statements import Statements
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.simulation.node import Node


class Promises:
    """``final`` maps what any honest node reported final to the epoch in which it did."""

    def __init__(self, sets: Sets, statements: Statements, chain: Chain) -> None:
        self._sets = sets
        self._statements = statements
        self._chain = chain
        self.final: dict[bytes, int] = {}
        self._spends: dict[bytes, bytes] = {}
        self._open: set[bytes] = set()
        self._taken: dict[int, set[bytes]] = {}
        self._rejected: dict[int, set[bytes]] = {}

    # Reports

    def reported(self, node: Node, report: fx.Report) -> None:
        """Users of an honest node are told something."""
        if report.change is Change.FINAL:
            self._final(node, report.txid)
        elif report.change is Change.REJECTED:
            self._rejected.setdefault(node.index, set()).add(report.txid)
            if report.txid in self.final:
                raise Violation("final_archived", f"node {node.index} rejects {_name(report.txid)}, which is final")

    def _final(self, node: Node, txid: bytes) -> None:
        epoch = node.participant.ledger.epoch
        if txid not in self._chain.archived:
            self._demand_quorum(node, txid, epoch)
        if epoch <= self._chain.closed:
            self._demand_archived(txid, epoch)
        if txid not in self.final:
            self.final[txid] = epoch
            self._open.add(txid)
            self._claim_coins(txid)

    def _demand_quorum(self, node: Node, txid: bytes, epoch: int) -> None:
        # A final child makes its ancestors final: then some descendant has the quorum.
        if self._sets.is_quorum(epoch, self._statements.ackers(epoch, txid)):
            return
        descendants = [tx for tx in self._statements.transactions.values() if self._descends(tx, txid)]
        if not any(self._sets.is_quorum(epoch, self._statements.ackers(epoch, tx.txid)) for tx in descendants):
            raise Violation("final_quorum", f"node {node.index} reports {_name(txid)} final without a quorum of acks")

    def _descends(self, tx: Transaction, ancestor: bytes) -> bool:
        todo, seen = [tx.txid], {tx.txid}
        while todo:
            current = self._statements.transactions.get(todo.pop())
            for outpoint in () if current is None else current.outpoints():
                parent = outpoint[:32]
                if parent == ancestor:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return False

    def _claim_coins(self, txid: bytes) -> None:
        tx = self._statements.transactions.get(txid)
        for outpoint in () if tx is None else tx.outpoints():
            if self._spends.setdefault(outpoint, txid) != txid:
                raise Violation("rivals_final", f"{_name(txid)} and {_name(self._spends[outpoint])} spend one coin")
            spender = self._chain.spent.get(outpoint)
            if spender not in (None, txid):
                raise Violation("rival_archived", f"a rival of {_name(txid)}, which is final, is in a block")

    def _demand_archived(self, txid: bytes, epoch: int) -> None:
        height = self._chain.archived.get(txid)
        if height is None or self._chain.epochs[height] > epoch:
            raise Violation("final_archived", f"{_name(txid)}, final in epoch {epoch}, is in no block of it")

    # Blocks

    def archived(self, txids: Iterable[bytes], *, closes: int | None) -> None:
        """A block with these was decided; it ``closes`` an epoch."""
        for txid in txids:
            tx = self._statements.transactions[txid]
            for outpoint in tx.outpoints():
                if self._spends.get(outpoint, txid) != txid:
                    raise Violation("rival_archived", f"{_name(txid)} is in a block, its rival is final")
        if closes is not None:
            for txid in sorted(self._open):
                if self.final[txid] <= closes:
                    self._demand_archived(txid, self.final[txid])
                    self._open.discard(txid)

    # What was taken from users

    def journaled(self, node: Node, records: Sequence[bytes]) -> None:
        """Records became durable: what was taken from a user may not be lost from here on."""
        for data in records:
            if data[0] == RecordKind.PENDING:
                raw = decode_pending(decode_record(data).payload).raw
                self._taken.setdefault(node.index, set()).add(Transaction.decode(raw).txid)

    def forgive(self, node: Node) -> None:
        """The node's disk was replaced: what it alone had taken is gone."""
        self._taken.pop(node.index, None)

    def finish(self, nodes: Iterable[Node]) -> None:
        """At a quiet end: what nodes took is archived, rejected, impossible, or still kept there."""
        for node in nodes:
            missing = self._taken.get(node.index, set()) - self._chain.archived.keys()
            missing -= self._rejected.get(node.index, set())
            kept = set(node.participant.pending()) if node.up else missing
            for txid in sorted(missing - kept):
                if _is_rejected(node, txid):
                    continue
                tx = self._statements.transactions[txid]
                if all(outpoint in self._chain.unspent for outpoint in tx.outpoints()):
                    raise Violation("lost", f"node {node.index} took {_name(txid)} and knows nothing of it any more")


def _is_rejected(node: Node, txid: bytes) -> bool:
    """It is rejected there, and the report of that waits for the disk."""
    status = node.participant.finality.status(txid) if node.up else None
    return status is not None and status.status is Status.REJECTED


def _name(txid: bytes) -> str:
    return txid[::-1].hex()[:16]

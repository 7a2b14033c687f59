"""
Transactions submitted to this node, kept until they are settled (protocol.md 5 R5).

A log of its own and not the journal: a node that signs nothing has one too, and a journal that is set aside
as damaged must not take the users' payments along. It costs one more small transaction in a tick in which
something was submitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Self

from timecoin.storage.errors import Damaged
from timecoin.storage.log import SegmentLog

PENDING_NAME = "pending"
_COMPACT_ABOVE = 1_000

_ADDED, _DROPPED = b"+", b"-"
_HEAD = Struct("<cI32s")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A transaction as submitted: id (wire order), the epoch open at the time, whole serialisation."""

    txid: bytes
    epoch: int
    raw: bytes


class PendingStore:
    """
    Built by :meth:`open`; all calls block and belong to the storage thread. Bodies stay on disk, 100 bytes
    each in memory.

    ``damaged`` says what was lost when the file did not read back (it stands aside then), None when nothing
    was.
    """

    def __init__(self, log: SegmentLog) -> None:
        self._log = log
        self._dead = 0
        self._positions: dict[bytes, int] = {}
        self.damaged = log.damaged
        for position, record in log.entries():
            self._note(position, record)

    @classmethod
    def open(cls, path: Path, chain_id: bytes) -> Self:
        """Open the store of data directory *path*; raises what :meth:`SegmentLog.open` raises."""
        return cls(SegmentLog.open(path / PENDING_NAME, "pending", chain_id))

    def _note(self, position: int, record: bytes) -> None:
        kind, _, txid = _HEAD.unpack_from(record)
        if kind == _ADDED:
            self._positions.setdefault(txid, position)
        elif self._positions.pop(txid, None) is not None:
            self._dead += 2

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._positions

    def add(self, submitted: Iterable[Submitted]) -> int:
        """
        Keep what is not kept yet, in one transaction, durable on return; how many were new. ``WriteFailed``:
        none is.
        """
        new = {one.txid: one for one in submitted if one.txid not in self._positions}
        self._append([_HEAD.pack(_ADDED, one.epoch, one.txid) + one.raw for one in new.values()])
        return len(new)

    def drop(self, txids: Iterable[bytes]) -> int:
        """
        Forget what is settled (archived or rejected), in one transaction; how many were kept.
        ``WriteFailed``: none is.
        """
        known = dict.fromkeys(txid for txid in txids if txid in self._positions)
        self._append([_HEAD.pack(_DROPPED, 0, txid) for txid in known])
        if self._dead > _COMPACT_ABOVE + 2 * len(self._positions):
            self._compact()
        return len(known)

    def _append(self, records: Sequence[bytes]) -> None:
        if records:
            for position, record in enumerate(records, self._log.append(records)):
                self._note(position, record)

    def _compact(self) -> None:
        kept = [self._log.read(position) for position in self._positions.values()]
        first = self._log.rotate(kept)
        self._dead = 0
        self._positions = {txid: first + i for i, txid in enumerate(self._positions)}

    def get(self, txid: bytes) -> Submitted | None:
        """What was submitted under *txid*, None when it is not kept; ``Damaged``."""
        position = self._positions.get(txid)
        return None if position is None else self._decode(self._log.read(position))

    @staticmethod
    def _decode(record: bytes) -> Submitted:
        if len(record) < _HEAD.size:
            raise Damaged("a submitted transaction is cut short")
        _, epoch, txid = _HEAD.unpack_from(record)
        return Submitted(txid, epoch, record[_HEAD.size :])

    def items(self) -> Iterator[Submitted]:
        """Everything kept, in the order of submission; nothing may be added or dropped meanwhile."""
        return (self._decode(self._log.read(position)) for position in list(self._positions.values()))

    def close(self) -> None:
        """Close the files."""
        self._log.close()

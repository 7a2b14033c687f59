"""What blocks change in the address index: its keys, its values, and how they follow from blocks. Pure.

A script is known by the first 16 bytes of its SHA-256. Three kinds of keys stand in one tree:

* ``h`` script height position → received, spent (u64 each): a transaction that touches the script;
* ``u`` script outpoint → value u64, height u32: an unspent output;
* ``m`` outpoint → script, value u64: the same by outpoint, so that spends find their script.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from timecoin.primitives.block import Block
from timecoin.primitives.hashes import sha256
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.storage.errors import CoinsOutOfStep

ID_BYTES: Final = 16
HISTORY, UNSPENT, MADE = b"h", b"u", b"m"
_PLACE = struct.Struct(">II")
_AMOUNTS = struct.Struct("<QQ")
_COIN = struct.Struct("<QI")
_VALUE = struct.Struct("<Q")
_OP_RETURN: Final = 0x6A

Changes = dict[bytes, bytes | None]
Lookup = Callable[[bytes], bytes | None]


class Touch(NamedTuple):
    """A transaction at a place of the chain, and what it paid a script and spent of its coins."""

    height: int
    position: int
    received: int
    spent: int


class IndexedCoin(NamedTuple):
    """An unspent output of a script."""

    outpoint: OutPoint
    value: int
    height: int


def script_id(script: bytes) -> bytes:
    """Under what a script stands in the index."""
    return sha256(script)[:ID_BYTES]


def history_bounds(ident: bytes, first: int, last: int) -> tuple[bytes, bytes]:
    """The lowest and highest key of what touched a script in blocks ``first`` to ``last``."""
    head = HISTORY + ident
    return head + _PLACE.pack(first, 0), head + _PLACE.pack(last, 2**32 - 1)


def unspent_bounds(ident: bytes) -> tuple[bytes, bytes]:
    """The lowest and highest key of the unspent outputs of a script."""
    return UNSPENT + ident, UNSPENT + ident + 36 * b"\xff"


def read_touch(key: bytes, value: bytes) -> Touch:
    """An ``h`` entry."""
    return Touch(*_PLACE.unpack(key[1 + ID_BYTES :]), *_AMOUNTS.unpack(value))


def read_coin(key: bytes, value: bytes) -> IndexedCoin:
    """A ``u`` entry."""
    return IndexedCoin(key[1 + ID_BYTES :], *_COIN.unpack(value))


class Gathering:
    """Collects the changes of consecutive blocks; ``stored`` reads ``m`` entries as they are before the first."""

    def __init__(self, stored: Lookup) -> None:
        self.changes: Changes = {}
        self._stored = stored

    def add(self, block: Block) -> None:
        """Take the next block: all outputs first, then all inputs, as the ledger does (protocol.md section 2).

        Raises ``CoinsOutOfStep`` when it spends what the index does not know.
        """
        height = block.header.height
        touches: list[dict[bytes, list[int]]] = [self._make(tx, height) for tx in block.transactions]
        for tx, touched in zip(block.transactions[1:], touches[1:], strict=True):
            self._spend(tx, touched)
        for position, touched in enumerate(touches):
            for ident, amounts in touched.items():
                self.changes[HISTORY + ident + _PLACE.pack(height, position)] = _AMOUNTS.pack(*amounts)

    def _make(self, tx: Transaction, height: int) -> dict[bytes, list[int]]:
        touched: dict[bytes, list[int]] = {}
        for n, output in enumerate(tx.outputs):
            if output.script[0] == _OP_RETURN:
                continue
            ident, outpoint = script_id(output.script), tx.outpoint(n)
            self.changes[MADE + outpoint] = ident + _VALUE.pack(output.value)
            self.changes[UNSPENT + ident + outpoint] = _COIN.pack(output.value, height)
            touched.setdefault(ident, [0, 0])[0] += output.value
        return touched

    def _spend(self, tx: Transaction, touched: dict[bytes, list[int]]) -> None:
        for outpoint in tx.outpoints():
            key = MADE + outpoint
            made = self.changes[key] if key in self.changes else self._stored(key)
            if made is None:
                raise CoinsOutOfStep(f"the address index lacks {outpoint.hex()}, which a block spends")
            ident, value = made[:ID_BYTES], _VALUE.unpack(made[ID_BYTES:])[0]
            self.changes[key] = self.changes[UNSPENT + ident + outpoint] = None
            touched.setdefault(ident, [0, 0])[1] += value


def in_order(changes: Changes) -> Sequence[tuple[bytes, bytes | None]]:
    """Changes by key: leaves next to each other are then written together."""
    # Many short sorts: one long one keeps the interpreter lock for tens of milliseconds and the reactor waiting.
    parts: dict[bytes, list[tuple[bytes, bytes | None]]] = {}
    for item in changes.items():
        parts.setdefault(item[0][:2], []).append(item)
    found: list[tuple[bytes, bytes | None]] = []
    for head in sorted(parts):
        found += sorted(parts[head], key=_key)
    return found


def _key(item: tuple[bytes, bytes | None]) -> bytes:
    return item[0]

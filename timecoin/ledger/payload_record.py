"""A registry payload as the chain carries it: kept from the block that archives it until its epoch closes."""

from __future__ import annotations

from typing import NamedTuple

from timecoin.primitives.codec import Reader, compact_size, var_bytes
from timecoin.primitives.script import op_return_data
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.transaction import Transaction, TxOutput

from .payload import parse

_MAX_PUSH = 520
_LEAST_OUTPUT_BYTES = 9


class PayloadRecord(NamedTuple):
    """What a closing block must know of one carrying transaction.

    ``height`` and ``position`` place it in the chain; ``hash_prevouts`` is BIP 143's; ``data`` is what the
    OP_RETURN pushes; ``outputs`` are all of the transaction's, because one may be the collateral.
    """

    txid: bytes
    height: int
    position: int
    hash_prevouts: bytes
    data: bytes
    outputs: tuple[TxOutput, ...]

    @classmethod
    def of(cls, tx: Transaction, height: int, position: int) -> PayloadRecord | None:
        """Return the record of ``tx``, or None when it carries no well-formed payload."""
        data = next((d for out in tx.outputs if (d := op_return_data(out.script)) is not None), None)
        if data is None or parse(data) is None:
            return None
        return cls(tx.txid, height, position, Bip143(tx).hash_prevouts, data, tuple(tx.outputs))

    def encode(self) -> bytes:
        """Txid ‖ height u32 ‖ position u32 ‖ hashPrevouts ‖ data and outputs, with compact sizes."""
        place = self.height.to_bytes(4, "little") + self.position.to_bytes(4, "little")
        outputs = compact_size(len(self.outputs)) + b"".join(output.encode() for output in self.outputs)
        return self.txid + place + self.hash_prevouts + var_bytes(self.data) + outputs

    @classmethod
    def read(cls, reader: Reader) -> PayloadRecord:
        """Inverse of `encode`; DecodeError on anything else."""
        txid, height, position, hash_prevouts = reader.take(32), reader.u32(), reader.u32(), reader.take(32)
        data = reader.var_bytes(_MAX_PUSH)
        count = reader.count(_LEAST_OUTPUT_BYTES)
        outputs = tuple(TxOutput(reader.i64(), reader.var_bytes(_MAX_PUSH + 4)) for _ in range(count))
        return cls(txid, height, position, hash_prevouts, data, outputs)

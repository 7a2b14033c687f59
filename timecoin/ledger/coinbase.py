"""The coinbase that the rules demand of a block, byte for byte (protocol.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from timecoin.primitives.script import op_return
from timecoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxInput, TxOutput

COINBASE_VERSION = 2

UNPAID = TxOutput(0, op_return(b"TimeCoin"))
"""The one output of a coinbase that pays nobody: a transaction has at least one."""

_U32 = Struct("<I")


def coinbase(chain_id: bytes, height: int, outputs: Sequence[TxOutput]) -> Transaction:
    """Return the coinbase of block ``height`` ≥ 1.

    Its scriptSig is 0x04 ‖ height u32 ‖ 0x20 ‖ chain_id, so that no coinbase txid, and with it no signature,
    is valid on two networks; without ``outputs`` it has the one of :data:`UNPAID`.
    """
    return _spending_nothing(b"\x04" + _U32.pack(height) + b"\x20" + chain_id, outputs or (UNPAID,))


def genesis_coinbase(chain_id: bytes, allocations: Sequence[TxOutput]) -> Transaction:
    """Return the coinbase of block 0, whose scriptSig pushes ``chain_id`` alone."""
    return _spending_nothing(b"\x20" + chain_id, allocations or (UNPAID,))


def _spending_nothing(script_sig: bytes, outputs: Sequence[TxOutput]) -> Transaction:
    return Transaction(COINBASE_VERSION, (TxInput(NULL_OUTPOINT, script_sig),), tuple(outputs), 0)

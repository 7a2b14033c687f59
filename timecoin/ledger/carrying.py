"""Putting a registry payload into the transaction that carries it (protocol.md section 3).

What the payload's signatures cover depends on the inputs of the transaction, and the index of the collateral on the
order of its outputs: so whoever funds it first puts a payload of the same size there (:func:`placeholder`), and when
inputs and outputs stand the real one (:func:`fill`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from timecoin.primitives.hashes import Hash
from timecoin.primitives.script import op_return
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.transaction import Transaction, TxOutput

from .payload import Payload, Register, Update, encode, signing_digest

Sign = Callable[[bytes], bytes]
"""Makes the 64-byte compact signature over a 32-byte digest."""
_UNSIGNED = bytes(64)


def _with_signatures(payload: Payload, owner: bytes, operator: bytes) -> Payload:
    if isinstance(payload, Register):
        return replace(payload, operator_signature=operator)
    if isinstance(payload, Update) and payload.operator_key is not None:
        return replace(payload, owner_signature=owner, operator_signature=operator)
    return replace(payload, owner_signature=owner)


def placeholder(payload: Payload) -> TxOutput:
    """The output that has the size of the signed payload's; ValueError for a payload that cannot be encoded."""
    return TxOutput(0, op_return(encode(_with_signatures(payload, _UNSIGNED, _UNSIGNED))))


def fill(
    tx: Transaction,
    held: TxOutput,
    payload: Payload,
    chain_id: Hash,
    *,
    owner: Sign | None = None,
    operator: Sign | None = None,
) -> Transaction:
    """``tx``, not signed yet, with the signed ``payload`` in place of the output ``held``.

    ``owner`` signs all but a registration, ``operator`` a registration and a new operator key. ValueError when ``held``
    is not there once, a signature is missing that is needed, or the sizes differ.
    """
    if tx.outputs.count(held) != 1:
        raise ValueError("the transaction does not hold the payload's place once")
    digest = signing_digest(chain_id, Bip143(tx).hash_prevouts, payload)
    signed = _with_signatures(payload, owner(digest) if owner else b"", operator(digest) if operator else b"")
    filled = TxOutput(0, op_return(encode(signed)))
    if len(filled.script) != len(held.script):
        raise ValueError("the payload has another size than its place")
    outputs = tuple([filled if each == held else each for each in tx.outputs])
    return Transaction(tx.version, tx.inputs, outputs, tx.lock_time)

"""What a transaction input signs: BIP 143 digests under SIGHASH_ALL, the ledger's only hash type."""

from __future__ import annotations

from struct import Struct
from typing import Final

from .codec import var_bytes
from .hashes import Hash, sha256d
from .transaction import Transaction

__all__ = ["SIGHASH_ALL", "Bip143", "join_signature", "split_signature"]

SIGHASH_ALL: Final = 1
"""The hash type byte behind every signature in a witness."""

_U32 = Struct("<I")
_VALUE_AND_SEQUENCE = Struct("<qI")
_HASH_TYPE: Final = _U32.pack(SIGHASH_ALL)


class Bip143:
    """Digests of one transaction's inputs; what they have in common is hashed once.

    Source: BIP 143, sections "Specification" and "Restrictions on public key type".
    """

    __slots__ = ("_head", "_inputs", "_tail", "hash_outputs", "hash_prevouts", "hash_sequence")

    def __init__(self, transaction: Transaction) -> None:
        inputs = transaction.inputs
        self._inputs = inputs
        self.hash_prevouts: Hash = sha256d(b"".join([spent.outpoint for spent in inputs]))
        self.hash_sequence: Hash = sha256d(b"".join([_U32.pack(spent.sequence) for spent in inputs]))
        self.hash_outputs: Hash = sha256d(b"".join([output.encode() for output in transaction.outputs]))
        self._head = _U32.pack(transaction.version) + self.hash_prevouts + self.hash_sequence
        self._tail = self.hash_outputs + _U32.pack(transaction.lock_time) + _HASH_TYPE

    def digest(self, index: int, script_code: bytes, value: int) -> Hash:
        """The 32 bytes that input ``index`` signs.

        ``script_code`` comes without a length prefix: ``script.p2wpkh_script_code(hash20)``, or the witness
        script for P2WSH. ``value`` is the spent coin's, in base units. Raises ``IndexError`` for an input
        that the transaction does not have.
        """
        if index < 0:
            raise IndexError(f"no input {index}")
        spent = self._inputs[index]
        amount = _VALUE_AND_SEQUENCE.pack(value, spent.sequence)
        return sha256d(self._head + spent.outpoint + var_bytes(script_code) + amount + self._tail)


def split_signature(item: bytes) -> bytes | None:
    """The DER signature in a witness item, or None when its last byte is not :data:`SIGHASH_ALL`."""
    return item[:-1] if item[-1:] == b"\x01" else None


def join_signature(der: bytes) -> bytes:
    """The witness item for a DER signature: the signature and :data:`SIGHASH_ALL`."""
    return der + b"\x01"

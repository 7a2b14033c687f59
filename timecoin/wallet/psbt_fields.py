"""The typed pairs of a PSBT that mean something here, each with the check of its key and its value.

Source: BIP 174 and its type registry. Pairs of version 2 (BIP 370) are refused, because that BIP forbids them in
version 0 and a reader that believes them sees other inputs and amounts than the unsigned transaction has. Everything
else that is not understood is kept as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from timecoin.primitives.codec import DecodeError, Reader, compact_size, var_bytes
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt_errors import MalformedPsbt
from timecoin.wallet.psbt_maps import Pairs

GLOBAL_TX: Final = 0x00
GLOBAL_XPUB: Final = 0x01
GLOBAL_VERSION: Final = 0xFB
IN_NON_WITNESS_UTXO: Final = 0x00
IN_WITNESS_UTXO: Final = 0x01
IN_PARTIAL_SIGNATURE: Final = 0x02
IN_SIGHASH: Final = 0x03
IN_REDEEM_SCRIPT: Final = 0x04
IN_WITNESS_SCRIPT: Final = 0x05
IN_DERIVATION: Final = 0x06
IN_FINAL_SCRIPT_SIG: Final = 0x07
IN_FINAL_WITNESS: Final = 0x08
OUT_REDEEM_SCRIPT: Final = 0x00
OUT_WITNESS_SCRIPT: Final = 0x01
OUT_DERIVATION: Final = 0x02
PROPRIETARY: Final = 0xFC

VERSION_2_GLOBAL: Final = frozenset(range(0x02, 0x07))
VERSION_2_INPUT: Final = frozenset(range(0x0E, 0x13))
VERSION_2_OUTPUT: Final = frozenset((0x03, 0x04))

MAX_SCRIPT_BYTES: Final = 10_000
MAX_SIGNATURE_BYTES: Final = 73
_XPUB_BYTES: Final = 78
_XPUB_KEY_AT: Final = 45

_backend: Final[SignatureBackend] = get_backend()
_T = TypeVar("_T")


class Fields:
    """Takes the typed pairs out of one map; what is left over at the end was not understood.

    ``foreign`` are the types that may not occur.
    """

    def __init__(self, pairs: Pairs, foreign: frozenset[int]) -> None:
        self.rest = dict(pairs)
        for key in pairs:
            if key[0] in foreign:
                raise MalformedPsbt(f"field {key[0]:#04x} is of PSBT version 2, this is version 0")
            if key[0] == PROPRIETARY:
                split_proprietary(key)

    def single(self, kind: int, read: Callable[[bytes], _T]) -> _T | None:
        """The value of the pair with this type, whose key is the type alone; None when it is not there."""
        for key in self.rest:
            if key[0] == kind and len(key) != 1:
                raise MalformedPsbt(f"key of field {kind:#04x} is more than one byte type")
        value = self.rest.pop(bytes((kind,)), None)
        return None if value is None else read(value)

    def by_key(self, kind: int, check: Callable[[bytes], bytes], read: Callable[[bytes], _T]) -> dict[bytes, _T]:
        """Values of the pairs of this type by their key data, in ascending order of it."""
        found = sorted(key for key in self.rest if key[0] == kind)
        return {check(key[1:]): read(self.rest.pop(key)) for key in found}


def put(pairs: Pairs, kind: int, value: bytes | None) -> None:
    """Add the pair of a type without key data, unless there is no value."""
    if value is not None:
        pairs[bytes((kind,))] = value


def put_all(pairs: Pairs, kind: int, values: Mapping[bytes, bytes]) -> None:
    """Add the pairs of a type with key data."""
    for key, value in values.items():
        pairs[bytes((kind,)) + key] = value


def public_key(data: bytes) -> bytes:
    """A public key as key data: compressed and on the curve, or in the uncompressed form of old scripts."""
    if len(data) == 33 and _backend.is_public_key(data):
        return data
    if len(data) == 65 and data[0] == 4:
        return data
    raise MalformedPsbt("Size or form of key was not expected for a public key")


def extended_key(data: bytes) -> bytes:
    """An extended public key as key data: 78 bytes whose last 33 are a point on the curve."""
    if len(data) != _XPUB_BYTES or not _backend.is_public_key(data[_XPUB_KEY_AT:]):
        raise MalformedPsbt("Size or form of key was not expected for an extended public key")
    return data


def signature(data: bytes) -> bytes:
    """A partial signature: DER and hash type; only its size is looked at."""
    if not 9 <= len(data) <= MAX_SIGNATURE_BYTES:
        raise MalformedPsbt("Signature is not a valid encoding")
    return data


def number(data: bytes) -> int:
    """A u32 that fills its value."""
    if len(data) != 4:
        raise MalformedPsbt("a number has four bytes")
    value: int = struct.unpack("<I", data)[0]
    return value


def encode_number(value: int) -> bytes:
    """A u32."""
    return struct.pack("<I", value)


def script(data: bytes) -> bytes:
    """A script of a length that Bitcoin allows."""
    if len(data) > MAX_SCRIPT_BYTES:
        raise MalformedPsbt(f"script of {len(data)} bytes")
    return data


def output(data: bytes) -> TxOutput:
    """A transaction output that fills its value, with an amount from 0."""
    return _whole(data, _read_output)


def transaction(data: bytes) -> Transaction:
    """A previous transaction, canonical."""
    return _whole(data, lambda reader: Transaction.decode(reader.take(reader.remaining)))


def unsigned(data: bytes) -> Transaction:
    """The transaction of the PSBT: without any scriptSig or witness, possibly without inputs.

    It stands in the form without witnesses, so that a zero where the number of inputs is means none.
    """
    tx = _whole(data, _read_bare) if data[4:5] == b"\x00" else transaction(data)
    if tx.has_witness or any(each.script_sig for each in tx.inputs):
        raise MalformedPsbt("Unsigned tx does not have empty scriptSigs and scriptWitnesses.")
    if any(each.value < 0 for each in tx.outputs):
        raise MalformedPsbt("negative amount")
    return tx


def witness(data: bytes) -> tuple[bytes, ...]:
    """A stack of witness items that fills its value."""
    return _whole(data, lambda reader: tuple([reader.var_bytes(len(data)) for _ in range(reader.count(1))]))


def encode_witness(items: tuple[bytes, ...]) -> bytes:
    """The stack as it stands in a transaction."""
    return compact_size(len(items)) + b"".join(var_bytes(each) for each in items)


def split_proprietary(key: bytes) -> tuple[bytes, int, bytes]:
    """Identifier, subtype and key data of a proprietary key (type 0xfc)."""
    reader = Reader(key, 1)
    try:
        return reader.var_bytes(len(key)), reader.compact_size(), reader.take(reader.remaining)
    except DecodeError as error:
        raise MalformedPsbt(f"proprietary key: {error}") from error


def _read_output(reader: Reader) -> TxOutput:
    found = TxOutput(reader.i64(), reader.var_bytes(MAX_SCRIPT_BYTES))
    if found.value < 0:
        raise MalformedPsbt("negative amount")
    return found


def _read_bare(reader: Reader) -> Transaction:
    version, inputs = reader.u32(), reader.compact_size()
    if inputs:
        raise MalformedPsbt("number of inputs is not in its shortest form")
    outputs = tuple([_read_output(reader) for _ in range(reader.count(9))])
    return Transaction(version, (), outputs, reader.u32())


def _whole(data: bytes, read: Callable[[Reader], _T]) -> _T:
    reader = Reader(data)
    try:
        value = read(reader)
        reader.finish()
    except MalformedPsbt:
        raise
    except DecodeError as error:
        raise MalformedPsbt(str(error)) from error
    return value

"""Transactions in Bitcoin's serialisation (BIP 144), decoded canonically.

A transaction is a value: its parts never change, and two are equal when their serialisations are. The ids are
computed at their first use and kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from .codec import DecodeError, Truncated, compact_size, read_compact_size, var_bytes
from .hashes import HASH_SIZE, ZERO, Hash, sha256d

__all__ = [
    "FINAL_SEQUENCE",
    "NULL_OUTPOINT",
    "MalformedTransaction",
    "OutPoint",
    "Transaction",
    "TxInput",
    "TxOutput",
    "make_outpoint",
    "split_outpoint",
]

OutPoint: TypeAlias = bytes
"""36 bytes: txid in wire order ‖ u32 output index."""

FINAL_SEQUENCE: Final = 0xFFFFFFFF
"""The sequence number that takes no part in ``lock_time``."""

NULL_OUTPOINT: Final[OutPoint] = ZERO + b"\xff\xff\xff\xff"
"""What a coinbase spends."""

_keep = object.__setattr__
_U32 = Struct("<I")
_I64 = Struct("<q")

_OUTPOINT_SIZE: Final = HASH_SIZE + 4
_SMALLEST_INPUT: Final = _OUTPOINT_SIZE + 1 + 4
_SMALLEST_OUTPUT: Final = 8 + 1
_WITNESS_MARK: Final = b"\x00\x01"
_WITNESS_SCALE: Final = 4


class MalformedTransaction(DecodeError):
    """Bytes are not the canonical serialisation of a transaction."""


def make_outpoint(txid: Hash, n: int) -> OutPoint:
    """The outpoint of output ``n`` of ``txid``.

    Raises ``ValueError`` for a txid that is not 32 bytes or an index outside u32.
    """
    if len(txid) != HASH_SIZE or not 0 <= n <= 0xFFFFFFFF:
        raise ValueError(f"no outpoint: {len(txid)} bytes of txid, index {n}")
    return txid + _U32.pack(n)


def split_outpoint(outpoint: OutPoint) -> tuple[Hash, int]:
    """``(txid, index)`` of an outpoint; ``ValueError`` when it is not 36 bytes."""
    if len(outpoint) != _OUTPOINT_SIZE:
        raise ValueError(f"an outpoint has {_OUTPOINT_SIZE} bytes, not {len(outpoint)}")
    return outpoint[:HASH_SIZE], _U32.unpack_from(outpoint, HASH_SIZE)[0]


class TxInput(NamedTuple):
    """What a transaction spends, and the proof that it may."""

    outpoint: OutPoint
    script_sig: bytes = b""
    sequence: int = FINAL_SEQUENCE
    witness: tuple[bytes, ...] = ()


class TxOutput(NamedTuple):
    """``value`` base units (i64, as on the wire: possibly negative before validation) for ``script``."""

    value: int
    script: bytes

    def encode(self) -> bytes:
        """Value i64 ‖ script behind its compact size; ``ValueError`` when the value is no i64."""
        return _signed(self.value) + var_bytes(self.script)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Transaction:
    """A transaction; ``version`` and ``lock_time`` are u32.

    Fields beginning with an underscore are kept results, not part of the value.
    """

    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    lock_time: int = 0
    _raw: bytes = field(default=b"", init=False)
    _stripped: bytes = field(default=b"", init=False)
    _txid: bytes = field(default=b"", init=False)
    _wtxid: bytes = field(default=b"", init=False)

    @classmethod
    def decode(cls, raw: bytes) -> Transaction:
        """The transaction whose whole serialisation is ``raw``.

        Raises :class:`MalformedTransaction` for anything but the one canonical form: BIP 144's with a
        witness, the legacy one without any. A transaction without inputs has no form of its own and is
        refused as well.
        """
        transaction, end = cls.decode_from(raw)
        if end != len(raw):
            raise MalformedTransaction(f"{len(raw) - end} bytes after the transaction")
        return transaction

    @classmethod
    def decode_from(cls, data: bytes, start: int = 0) -> tuple[Transaction, int]:
        """The transaction at ``start`` of ``data`` and the position behind it. Raises as :meth:`decode`."""
        try:
            return _decode(bytes(data), start)
        except MalformedTransaction:
            raise
        except DecodeError as error:
            raise MalformedTransaction(str(error)) from error

    @property
    def has_witness(self) -> bool:
        """Whether any input carries a witness, so that the BIP 144 form is the canonical one."""
        return any(tx_input.witness for tx_input in self.inputs)

    @property
    def stripped(self) -> bytes:
        """The serialisation without witnesses, which ``txid`` hashes."""
        if not self._stripped:
            _keep(self, "_stripped", _encode(self, with_witness=False))
        return self._stripped

    @property
    def raw(self) -> bytes:
        """The whole canonical serialisation.

        Raises ``ValueError`` when a field does not fit its width on the wire.
        """
        if not self._raw:
            has_witness = self.has_witness
            _keep(self, "_raw", _encode(self, with_witness=True) if has_witness else self.stripped)
        return self._raw

    @property
    def txid(self) -> Hash:
        """SHA256d of :attr:`stripped`."""
        if not self._txid:
            _keep(self, "_txid", sha256d(self.stripped))
        return self._txid

    @property
    def wtxid(self) -> Hash:
        """SHA256d of :attr:`raw`; equal to :attr:`txid` when there is no witness (BIP 141)."""
        if not self._wtxid:
            _keep(self, "_wtxid", sha256d(self.raw))
        return self._wtxid

    @property
    def size(self) -> int:
        """Bytes of :attr:`raw`."""
        return len(self.raw)

    @property
    def weight(self) -> int:
        """Three times the stripped size plus the whole size (BIP 141)."""
        return (_WITNESS_SCALE - 1) * len(self.stripped) + len(self.raw)

    @property
    def vsize(self) -> int:
        """A quarter of :attr:`weight`, rounded up: what fees are reckoned by."""
        return -(-self.weight // _WITNESS_SCALE)

    @property
    def is_coinbase(self) -> bool:
        """Whether the only input spends the null outpoint."""
        return len(self.inputs) == 1 and self.inputs[0].outpoint == NULL_OUTPOINT

    def outpoint(self, n: int) -> OutPoint:
        """The outpoint of output ``n``; whether there is such an output is not looked at."""
        return make_outpoint(self.txid, n)

    def outpoints(self) -> tuple[OutPoint, ...]:
        """What the inputs spend, in their order."""
        return tuple([tx_input.outpoint for tx_input in self.inputs])

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Transaction) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<Transaction {self.txid[::-1].hex()}>"


def _unsigned(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(f"{value} does not fit u32")
    return _U32.pack(value)


def _signed(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} does not fit i64")
    return _I64.pack(value)


def _encode_input(tx_input: TxInput) -> bytes:
    if len(tx_input.outpoint) != _OUTPOINT_SIZE:
        raise ValueError(f"an outpoint has {_OUTPOINT_SIZE} bytes, not {len(tx_input.outpoint)}")
    return tx_input.outpoint + var_bytes(tx_input.script_sig) + _unsigned(tx_input.sequence)


def _encode_items(items: Iterable[bytes], count: int) -> bytes:
    return compact_size(count) + b"".join(items)


def _encode(transaction: Transaction, *, with_witness: bool) -> bytes:
    inputs, outputs = transaction.inputs, transaction.outputs
    parts = [
        _unsigned(transaction.version),
        _WITNESS_MARK if with_witness else b"",
        _encode_items(map(_encode_input, inputs), len(inputs)),
        _encode_items(map(TxOutput.encode, outputs), len(outputs)),
    ]
    if with_witness:
        parts += [_encode_items(map(var_bytes, spent.witness), len(spent.witness)) for spent in inputs]
    parts.append(_unsigned(transaction.lock_time))
    return b"".join(parts)


# Decoding is the hottest path of the node, hence plain positions instead of a Reader. A slice beyond the end
# comes out short without an error, so each loop checks where its item ends before it keeps the item.


def _read_inputs(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes, int]], int]:
    count, at = read_compact_size(data, at)
    if count * _SMALLEST_INPUT > len(data) - at:
        raise Truncated(f"{count} inputs announced, {len(data) - at} bytes left")
    inputs: list[tuple[bytes, bytes, int]] = []
    for _ in range(count):
        script_at = at + _OUTPOINT_SIZE
        outpoint = data[at:script_at]
        size, script_at = read_compact_size(data, script_at)
        at = script_at + size + 4
        if at > len(data):
            raise Truncated("input is cut off")
        script_end = at - 4
        inputs.append((outpoint, data[script_at:script_end], _U32.unpack_from(data, script_end)[0]))
    return inputs, at


def _read_outputs(data: bytes, at: int) -> tuple[tuple[TxOutput, ...], int]:
    count, at = read_compact_size(data, at)
    if count * _SMALLEST_OUTPUT > len(data) - at:
        raise Truncated(f"{count} outputs announced, {len(data) - at} bytes left")
    outputs = []
    for _ in range(count):
        size, script_at = read_compact_size(data, at + 8)
        script_end = script_at + size
        if script_end > len(data):
            raise Truncated("output is cut off")
        outputs.append(TxOutput(_I64.unpack_from(data, at)[0], data[script_at:script_end]))
        at = script_end
    return tuple(outputs), at


def _read_witness(data: bytes, at: int) -> tuple[tuple[bytes, ...], int]:
    count, at = read_compact_size(data, at)
    if count > len(data) - at:
        raise Truncated(f"{count} witness items announced, {len(data) - at} bytes left")
    items = []
    for _ in range(count):
        size, start = read_compact_size(data, at)
        at = start + size
        if at > len(data):
            raise Truncated("witness is cut off")
        items.append(data[start:at])
    return tuple(items), at


def _read_witnesses(data: bytes, at: int, count: int) -> tuple[list[tuple[bytes, ...]], int]:
    witnesses = []
    for _ in range(count):
        witness, at = _read_witness(data, at)
        witnesses.append(witness)
    if not any(witnesses):
        raise MalformedTransaction("witness form without a witness")
    return witnesses, at


def _read_u32(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise Truncated("transaction is cut off")
    value: int = _U32.unpack_from(data, at)[0]
    return value


def _is_witness_form(data: bytes, at: int) -> bool:
    mark = data[at : at + 2]
    if mark[:1] != b"\x00":
        return False
    if mark != _WITNESS_MARK:
        raise MalformedTransaction("no inputs, or an unknown witness flag")
    return True


def _kept(transaction: Transaction, raw: bytes, stripped: bytes) -> Transaction:
    _keep(transaction, "_raw", raw)
    _keep(transaction, "_stripped", stripped)
    return transaction


def _decode(data: bytes, start: int) -> tuple[Transaction, int]:
    version = _read_u32(data, start)
    body = start + 4
    if not _is_witness_form(data, body):
        return _decode_legacy(data, start, version)
    bare, outputs_at = _read_inputs(data, body + 2)
    outputs, witness_at = _read_outputs(data, outputs_at)
    witnesses, lock_at = _read_witnesses(data, witness_at, len(bare))
    lock_time = _read_u32(data, lock_at)
    end = lock_at + 4
    inputs = tuple([TxInput(*fields, witness) for fields, witness in zip(bare, witnesses, strict=True)])
    stripped = data[start:body] + data[body + 2 : witness_at] + data[lock_at:end]
    return _kept(Transaction(version, inputs, outputs, lock_time), data[start:end], stripped), end


def _decode_legacy(data: bytes, start: int, version: int) -> tuple[Transaction, int]:
    bare, outputs_at = _read_inputs(data, start + 4)
    outputs, lock_at = _read_outputs(data, outputs_at)
    lock_time = _read_u32(data, lock_at)
    end = lock_at + 4
    raw = data[start:end]
    inputs = tuple([TxInput(*fields) for fields in bare])
    return _kept(Transaction(version, inputs, outputs, lock_time), raw, raw), end

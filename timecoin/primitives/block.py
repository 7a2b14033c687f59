"""Headers, commits and blocks: fixed-width, canonical, hashed as they are encoded (protocol.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from struct import Struct, error
from typing import Final

from .codec import NonCanonical, Reader, Truncated, compact_size, var_bytes
from .hashes import HASH_SIZE, ZERO, Hash, sha256d
from .transaction import Transaction

__all__ = [
    "COMPACT_SIGNATURE_SIZE",
    "EMPTY_COMMIT",
    "HEADER_SIZE",
    "Block",
    "Commit",
    "Header",
    "evidence_hash",
]

_HEADER = Struct("<I32s32sQI" + "32sIIB" + "32s32s32s32s32s32s32s" + "HI")
_COMMIT_HEAD = Struct("<II32s")
_COMMIT_ENTRY = Struct("<H64s")

HEADER_SIZE: Final = _HEADER.size
COMPACT_SIGNATURE_SIZE: Final = 64

_CLOSING: Final = 1
_SMALLEST_TRANSACTION: Final = 51
_HASH_FIELDS: Final = (
    "previous",
    "tx_root",
    "chain_id",
    "wtx_root",
    "last_commit_hash",
    "evidence_hash",
    "set_hash",
    "next_set_hash",
    "state_hash",
    "utxo_commitment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block header: 351 bytes, the first 80 laid out as Bitcoin's.

    All hashes are in wire order; ``slot_time`` is in seconds since the Unix epoch.
    """

    version: int
    previous: Hash
    tx_root: Hash
    slot_time: int
    tx_count: int
    chain_id: Hash
    height: int
    epoch: int
    closing: bool
    wtx_root: Hash
    last_commit_hash: Hash
    evidence_hash: Hash
    set_hash: Hash
    next_set_hash: Hash
    state_hash: Hash
    utxo_commitment: Hash
    proposer_index: int
    round: int
    _hash: bytes = field(default=b"", init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """The 351 bytes; ``ValueError`` when a hash is not 32 bytes or a number does not fit its width."""
        if any(len(getattr(self, name)) != HASH_SIZE for name in _HASH_FIELDS):
            raise ValueError(f"a header's hashes have {HASH_SIZE} bytes")
        try:
            return _HEADER.pack(*[getattr(self, name) for name in _HEADER_FIELDS])
        except error as reason:
            raise ValueError(f"a header field does not fit its width: {reason}") from reason

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """The header that ``data`` encodes; ``DecodeError`` for another length or unknown flags."""
        if len(data) < HEADER_SIZE:
            raise Truncated(f"a header has {HEADER_SIZE} bytes, not {len(data)}")
        if len(data) > HEADER_SIZE:
            raise NonCanonical(f"{len(data) - HEADER_SIZE} bytes after the header")
        values = dict(zip(_HEADER_FIELDS, _HEADER.unpack(data), strict=True))
        flags = values["closing"]
        if flags & ~_CLOSING:
            raise NonCanonical(f"unknown header flags {flags:#x}")
        values["closing"] = flags == _CLOSING
        return cls(**values)

    @property
    def hash(self) -> Hash:
        """SHA256d of :meth:`encode`: the block's hash."""
        if not self._hash:
            object.__setattr__(self, "_hash", sha256d(self.encode()))
        return self._hash


_HEADER_FIELDS: Final = tuple(part.name for part in fields(Header) if part.init)


@dataclass(frozen=True, slots=True)
class Commit:
    """A quorum's precommits for one block: ``(signer index, 64-byte signature)``, signers ascending.

    Whether the signatures are valid and make a quorum is not known here.
    """

    height: int
    round: int
    block_hash: Hash
    signatures: tuple[tuple[int, bytes], ...]
    _hash: bytes = field(default=b"", init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """Height u32 ‖ round u32 ‖ hash ‖ compact count ‖ (u16, 64 bytes) each.

        Raises ``ValueError`` for a hash or signature of another length, a number that does not fit, or
        signers that do not ascend.
        """
        if len(self.block_hash) != HASH_SIZE or not _ascends(self.signatures):
            raise ValueError("a commit names a block of 32 bytes and its signers in ascending order")
        if any(len(signature) != COMPACT_SIGNATURE_SIZE for _, signature in self.signatures):
            raise ValueError(f"a commit's signatures have {COMPACT_SIGNATURE_SIZE} bytes")
        try:
            head = _COMMIT_HEAD.pack(self.height, self.round, self.block_hash)
            entries = [_COMMIT_ENTRY.pack(*entry) for entry in self.signatures]
        except error as reason:
            raise ValueError(f"a commit field does not fit its width: {reason}") from reason
        return head + compact_size(len(entries)) + b"".join(entries)

    @classmethod
    def decode(cls, data: bytes) -> Commit:
        """The commit that ``data`` encodes; ``DecodeError`` otherwise, also when signers do not ascend."""
        reader = Reader(data)
        commit = cls.read(reader)
        reader.finish()
        return commit

    @classmethod
    def read(cls, reader: Reader) -> Commit:
        """The commit at the front of ``reader``; ``DecodeError`` as for :meth:`decode`."""
        height, round_, block_hash = _COMMIT_HEAD.unpack(reader.take(_COMMIT_HEAD.size))
        count = reader.count(_COMMIT_ENTRY.size)
        entries = reader.take(count * _COMMIT_ENTRY.size)
        signatures = tuple(_COMMIT_ENTRY.iter_unpack(entries))
        if not _ascends(signatures):
            raise NonCanonical("the signers of a commit do not ascend")
        return cls(height, round_, block_hash, signatures)

    @property
    def hash(self) -> Hash:
        """SHA256d of :meth:`encode`."""
        if not self._hash:
            object.__setattr__(self, "_hash", sha256d(self.encode()))
        return self._hash


def _ascends(signatures: Sequence[tuple[int, bytes]]) -> bool:
    return all(left[0] < right[0] for left, right in pairwise(signatures))


EMPTY_COMMIT: Final = Commit(0, 0, ZERO, ())
"""The last commit of blocks 0 and 1."""


def _encode_evidence(evidence: Sequence[bytes]) -> bytes:
    return compact_size(len(evidence)) + b"".join(map(var_bytes, evidence))


def evidence_hash(evidence: Sequence[bytes]) -> Hash:
    """SHA256d of the compact count and the pieces behind their sizes; ``ZERO`` when there is none."""
    return sha256d(_encode_evidence(evidence)) if evidence else ZERO


@dataclass(frozen=True, slots=True)
class Block:
    """A header and what it commits to; that they belong together is for the ledger to check."""

    header: Header
    transactions: tuple[Transaction, ...]
    last_commit: Commit
    evidence: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Header ‖ compact count ‖ transactions ‖ last commit ‖ compact count ‖ evidence with sizes."""
        return b"".join(
            (
                self.header.encode(),
                compact_size(len(self.transactions)),
                *(transaction.raw for transaction in self.transactions),
                self.last_commit.encode(),
                _encode_evidence(self.evidence),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """The block that ``data`` encodes; ``DecodeError`` otherwise. Its size is the caller's to bound."""
        reader = Reader(data)
        header = Header.decode(reader.take(HEADER_SIZE))
        transactions, end = _read_transactions(data, reader)
        rest = Reader(data, end)
        last_commit = Commit.read(rest)
        evidence = tuple([rest.var_bytes(rest.remaining) for _ in range(rest.count(1))])
        rest.finish()
        return cls(header, transactions, last_commit, evidence)


def _read_transactions(data: bytes, reader: Reader) -> tuple[tuple[Transaction, ...], int]:
    count = reader.count(_SMALLEST_TRANSACTION)
    position = reader.position
    transactions = []
    for _ in range(count):
        transaction, position = Transaction.decode_from(data, position)
        transactions.append(transaction)
    return tuple(transactions), position

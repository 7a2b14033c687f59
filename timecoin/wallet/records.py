"""What a wallet knows of one transaction, and its bytes in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction

__all__ = [
    "ABANDONED",
    "LIVE",
    "SETTLED",
    "STATUSES",
    "FoundCoin",
    "Record",
    "decode_found",
    "decode_record",
    "encode_found",
    "encode_record",
]

STATUSES: Final = ("pending", "certified", "final", "archived", "rejected")
"""The statuses of protocol.md section 1."""

LIVE: Final = frozenset(STATUSES[:4])
"""Those whose outputs exist and whose inputs are spent."""

SETTLED: Final = frozenset(("final", "archived"))
"""Those that are never taken back."""

ABANDONED: Final = "abandoned"
"""The reason of a rejection that is the owner's own word (abandontransaction)."""

NO_HEIGHT: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One transaction that touches the wallet.

    ``order``: the place in the order in which the wallet learnt of its transactions. ``seen_ms``: when it did,
    milliseconds since the Unix epoch. ``height`` (−1: in no block), ``block_hash`` and ``block_time`` (Unix seconds)
    are of the block that archived it. ``own``: the wallet signed it, so it sends it again until it is archived.
    ``notes`` are the caller's words, such as comment and to. ``reason`` says why it is rejected.
    """

    tx: Transaction
    status: str
    order: int
    seen_ms: int
    height: int = NO_HEIGHT
    block_hash: Hash = b""
    block_time: int = 0
    own: bool = False
    reason: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def txid(self) -> Hash:
        """The transaction's id."""
        return self.tx.txid

    @property
    def is_live(self) -> bool:
        """Whether it counts: it is not rejected."""
        return self.status in LIVE

    @property
    def is_settled(self) -> bool:
        """Whether it is final or archived."""
        return self.status in SETTLED

    @property
    def is_abandoned(self) -> bool:
        """Whether the owner gave it up."""
        return self.status == "rejected" and self.reason == ABANDONED


class FoundCoin(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An unspent coin of which only the coin is known: its transaction lies below what the node has of the chain."""

    outpoint: OutPoint
    value: int
    script: bytes
    height: int
    coinbase: bool


class _Stored(msgspec.Struct, array_like=True):
    raw: bytes
    status: str
    order: int
    seen_ms: int
    height: int
    block_hash: bytes
    block_time: int
    own: bool
    reason: str
    notes: dict[str, str]


_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(_Stored)
_found_decoder = msgspec.msgpack.Decoder(FoundCoin)


def encode_record(record: Record) -> bytes:
    """The record for the store; the transaction in it is the very bytes that are sent."""
    stored = _Stored(
        record.tx.raw,
        record.status,
        record.order,
        record.seen_ms,
        record.height,
        record.block_hash,
        record.block_time,
        record.own,
        record.reason,
        dict(record.notes),
    )
    return _encoder.encode(stored)


def decode_record(data: bytes) -> Record:
    """What :func:`encode_record` wrote; ValueError for anything else."""
    stored = _record_decoder.decode(data)
    if stored.status not in STATUSES:
        raise ValueError(f"unknown status {stored.status!r}")
    return Record(
        tx=Transaction.decode(stored.raw),
        status=stored.status,
        order=stored.order,
        seen_ms=stored.seen_ms,
        height=stored.height,
        block_hash=stored.block_hash,
        block_time=stored.block_time,
        own=stored.own,
        reason=stored.reason,
        notes=stored.notes,
    )


def encode_found(coin: FoundCoin) -> bytes:
    """The coin for the store."""
    return _encoder.encode(coin)


def decode_found(data: bytes) -> FoundCoin:
    """What :func:`encode_found` wrote; ValueError for anything else."""
    return _found_decoder.decode(data)

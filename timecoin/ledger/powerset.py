"""Masternode sets: who votes in an epoch, with what power, in which order (protocol.md sections 1 and 3)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Final, NamedTuple

from timecoin.primitives.codec import DecodeError, Reader, compact_size
from timecoin.primitives.hashes import sha256

_LEAST_MEMBER_BYTES: Final = 32 + 33 + 8 + 1


class Member(NamedTuple):
    """One masternode of a set: id (32 bytes), operator key (33 bytes), power ≥ 1, payout script."""

    masternode_id: bytes
    operator_key: bytes
    power: int
    payout: bytes

    def encode(self) -> bytes:
        """Id 32 ‖ operator key 33 ‖ power u64 ‖ payout script with u8 length: what the set hash covers."""
        power = self.power.to_bytes(8, "little")
        return self.masternode_id + self.operator_key + power + bytes([len(self.payout)]) + self.payout


class PowerSet:
    """An immutable set S(e): members in canonical order, which is the signer index.

    Raises ValueError when an id or an operator key occurs twice or a field has a wrong size.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self.members: tuple[Member, ...] = tuple(members)
        self.total: int = sum(member.power for member in self.members)
        for member in self.members:
            _check_member(member)
        self._index_of_key = {member.operator_key: i for i, member in enumerate(self.members)}
        self._index_of_id = {member.masternode_id: i for i, member in enumerate(self.members)}
        if len(self._index_of_key) != len(self.members) or len(self._index_of_id) != len(self.members):
            raise ValueError("a masternode occurs twice in a set")

    def __len__(self) -> int:
        return len(self.members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerSet) and self.members == other.members

    def __hash__(self) -> int:
        return hash(self.members)

    def __repr__(self) -> str:
        return f"<PowerSet of {len(self.members)}, total power {self.total}>"

    @cached_property
    def set_hash(self) -> bytes:
        """SHA-256 over the members' encodings (32 bytes)."""
        return sha256(b"".join(member.encode() for member in self.members))

    def index_of_key(self, operator_key: bytes) -> int | None:
        """Signer index of an operator key, or None when it is not a member's."""
        return self._index_of_key.get(operator_key)

    def index_of_id(self, masternode_id: bytes) -> int | None:
        """Signer index of a masternode id, or None when it is not a member."""
        return self._index_of_id.get(masternode_id)

    def is_quorum(self, power: int) -> bool:
        """Whether ``power`` is strictly more than two thirds of the registered total."""
        return 3 * power > 2 * self.total

    def exceeds_third(self, power: int) -> bool:
        """Whether ``power`` is strictly more than one third of the registered total."""
        return 3 * power > self.total

    def power_of(self, mask: int) -> int:
        """Total power of the signers in a bit mask; ValueError when it names a signer outside the set."""
        if mask < 0 or mask >> len(self.members):
            raise ValueError("mask names a signer outside the set")
        if not mask:
            return 0
        tables = self._byte_tables
        return sum([tables[i][byte] for i, byte in enumerate(mask.to_bytes(len(tables), "little"))])

    @cached_property
    def _byte_tables(self) -> list[list[int]]:
        powers = [member.power for member in self.members]
        return [_subset_sums(powers[start : start + 8]) for start in range(0, len(powers), 8)]

    def ids_of(self, mask: int) -> tuple[bytes, ...]:
        """Masternode ids of the signers in a bit mask, in signer order."""
        return tuple(member.masternode_id for i, member in enumerate(self.members) if mask >> i & 1)

    def encode(self) -> bytes:
        """Compact-size count and the members' encodings."""
        return compact_size(len(self.members)) + b"".join(member.encode() for member in self.members)

    @classmethod
    def read(cls, reader: Reader) -> PowerSet:
        """Read one set from ``reader``; DecodeError when it is not what `encode` writes."""
        count = reader.count(_LEAST_MEMBER_BYTES)
        members = [_read_member(reader) for _ in range(count)]
        try:
            return cls(members)
        except ValueError as error:
            raise DecodeError(str(error)) from error

    @classmethod
    def decode(cls, data: bytes) -> PowerSet:
        """Inverse of `encode`; DecodeError on anything else."""
        reader = Reader(data)
        result = cls.read(reader)
        reader.finish()
        return result


def _subset_sums(powers: list[int]) -> list[int]:
    sums = [0]
    for power in powers:
        sums += [known + power for known in sums]
    return sums


def _check_member(member: Member) -> None:
    if len(member.masternode_id) != 32 or len(member.operator_key) != 33:
        raise ValueError("masternode id or operator key has a wrong size")
    if not 0 < member.power < 2**64 or len(member.payout) > 0xFF:
        raise ValueError("power or payout out of range")


def _read_member(reader: Reader) -> Member:
    masternode_id, operator_key, power = reader.take(32), reader.take(33), reader.u64()
    return Member(masternode_id, operator_key, power, reader.take(reader.u8()))

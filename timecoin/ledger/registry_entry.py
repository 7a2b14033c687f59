"""One masternode as the registry knows it, and its canonical encoding (protocol.md section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timecoin.primitives.codec import DecodeError, Reader

from .payload import read_payout
from .powerset import Member
from .service_address import ServiceAddress
from .tiers import Tier

#: Shortest possible encoding in bytes: no collateral, IPv4, P2WPKH, no optional epoch.
LEAST_ENTRY_BYTES: Final = 32 + 33 + 33 + 23 + 8 + 1 + 8 + 1 + 12

_SUSPENDED, _COLLATERAL, _UNREGISTERED, _JAILED, _RELEASE = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered masternode.

    ``height`` and ``position`` (in its block) of the registration order the registry. ``collateral`` is
    None for Free. ``absent``: closing commits in a row without its signature. ``unregistered`` and
    ``jailed``: epochs in which that happened. ``release``: first epoch in which the collateral is free and
    the entry gone; None while neither happened.
    """

    masternode_id: bytes
    operator_key: bytes
    owner_key: bytes
    payout: bytes
    service: ServiceAddress
    tier: Tier
    power: int
    collateral: bytes | None
    height: int
    position: int
    suspended: bool = False
    absent: int = 0
    unregistered: int | None = None
    jailed: int | None = None
    release: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        """(Height, position) of the registration."""
        return self.height, self.position

    @property
    def is_paid(self) -> bool:
        """Whether collateral stands behind it."""
        return self.tier is not Tier.FREE

    @property
    def is_leaving(self) -> bool:
        """Whether it is unregistered or jailed, for good."""
        return self.unregistered is not None or self.jailed is not None

    @property
    def is_eligible(self) -> bool:
        """Whether a set may be chosen from it."""
        return not self.suspended and not self.is_leaving

    @property
    def status(self) -> str:
        """``jailed``, ``unregistered``, ``suspended`` or ``eligible``, the first that applies."""
        if self.jailed is not None:
            return "jailed"
        if self.unregistered is not None:
            return "unregistered"
        return "suspended" if self.suspended else "eligible"

    def member(self) -> Member:
        """Return what a set holds of it."""
        return Member(self.masternode_id, self.operator_key, self.power, self.payout)

    def encode(self) -> bytes:
        """Return the canonical encoding, part of the state hash."""
        optional = (self.unregistered, self.jailed, self.release)
        return b"".join(
            (
                self.masternode_id,
                self.operator_key,
                self.owner_key,
                bytes([len(self.payout)]),
                self.payout,
                self.service.encode(),
                bytes([self.tier]),
                self.power.to_bytes(8, "little"),
                bytes([self._flags()]),
                self.collateral or b"",
                _u32(self.height),
                _u32(self.position),
                _u32(self.absent),
                *(_u32(value) for value in optional if value is not None),
            )
        )

    def _flags(self) -> int:
        return (
            _SUSPENDED * self.suspended
            + _COLLATERAL * (self.collateral is not None)
            + _UNREGISTERED * (self.unregistered is not None)
            + _JAILED * (self.jailed is not None)
            + _RELEASE * (self.release is not None)
        )


def read_entry(reader: Reader) -> Entry:
    """Inverse of `Entry.encode`; DecodeError on anything else."""
    masternode_id, operator_key, owner_key = reader.take(32), reader.take(33), reader.take(33)
    payout, service, tier, power = read_payout(reader), ServiceAddress.read(reader), reader.u8(), reader.u64()
    flags = reader.u8()
    if tier > Tier.GOLD or flags >= 32 or not power:
        raise DecodeError("registry entry has an unknown tier or flag or no power")
    collateral = reader.take(36) if flags & _COLLATERAL else None
    height, position, absent = reader.u32(), reader.u32(), reader.u32()
    unregistered = reader.u32() if flags & _UNREGISTERED else None
    jailed = reader.u32() if flags & _JAILED else None
    release = reader.u32() if flags & _RELEASE else None
    if (collateral is None) != (tier == Tier.FREE):
        raise DecodeError("tier and collateral of a registry entry contradict each other")
    if (release is None) != (unregistered is None and jailed is None):
        raise DecodeError("release of a registry entry does not fit its state")
    return Entry(
        masternode_id,
        operator_key,
        owner_key,
        payout,
        service,
        Tier(tier),
        power,
        collateral,
        height,
        position,
        bool(flags & _SUSPENDED),
        absent,
        unregistered,
        jailed,
        release,
    )


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")

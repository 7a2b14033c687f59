"""From the genesis registrations to the first registry and the first set (protocol.md sections 2 and 3)."""

from __future__ import annotations

from timecoin.primitives.transaction import make_outpoint

from .genesis import Genesis, GenesisRegistration
from .powerset import PowerSet
from .registry import Registry
from .registry_entry import Entry
from .tiers import Tier


def first_registry(genesis: Genesis, coinbase_txid: bytes) -> Registry:
    """Return the registry of epoch 1; collaterals are outputs of block 0's coinbase, ``coinbase_txid``."""
    return Registry(
        _entry(genesis, position, item, coinbase_txid) for position, item in enumerate(genesis.registrations)
    )


def first_set(genesis: Genesis, registry: Registry) -> tuple[PowerSet, bool]:
    """Return (S(1) = S(2), Free mode): without paid masternodes a network starts in Free mode."""
    free_mode = not any(item.is_paid for item in genesis.registrations)
    return registry.choose_set(genesis.parameters, PowerSet(()), free_mode)


def _entry(genesis: Genesis, position: int, item: GenesisRegistration, coinbase_txid: bytes) -> Entry:
    tier = _tier(genesis, item)
    return Entry(
        genesis.registration_id(position),
        item.operator_key,
        item.owner_key,
        item.payout,
        item.service,
        tier,
        genesis.parameters.power(tier),
        make_outpoint(coinbase_txid, item.collateral) if item.is_paid else None,
        0,
        position,
    )


def _tier(genesis: Genesis, item: GenesisRegistration) -> Tier:
    if not item.is_paid:
        return Tier.FREE
    tier = genesis.parameters.paid_tier(genesis.allocations[item.collateral].value)
    if tier is None:
        raise ValueError("a genesis registration's collateral is below the lowest tier")
    return tier

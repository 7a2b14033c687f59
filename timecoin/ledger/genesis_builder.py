"""Building a genesis from keys, tiers and allocations that others chose; no randomness here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timecoin.primitives.transaction import TxOutput

from .genesis import Genesis, GenesisRegistration
from .params import Parameters
from .payload import FREE
from .service_address import ServiceAddress
from .tiers import Tier


@dataclass(frozen=True, slots=True)
class FirstMasternode:
    """A masternode of the first set.

    Keys are 33 bytes, scripts P2WPKH or P2WSH. ``collateral_script`` gets the tier's threshold; None pays
    it to ``payout``; without meaning for Free.
    """

    operator_key: bytes
    owner_key: bytes
    payout: bytes
    service: ServiceAddress
    tier: Tier = Tier.GOLD
    collateral_script: bytes | None = None


def build_genesis(
    network: str,
    time: int,
    masternodes: Sequence[FirstMasternode],
    *,
    parameters: Parameters | None = None,
    allocations: Iterable[TxOutput] = (),
    peers: Iterable[str] = (),
) -> Genesis:
    """Return a valid genesis: the masternodes' collaterals in their order, then ``allocations``.

    ``time`` in Unix seconds, amounts in base units. Raises GenesisError naming the key that makes it
    impossible.
    """
    params = parameters or Parameters()
    coins: list[TxOutput] = []
    registrations: list[GenesisRegistration] = []
    for node in masternodes:
        index = FREE
        if node.tier is not Tier.FREE:
            index = len(coins)
            coins.append(TxOutput(params.threshold(node.tier), node.collateral_script or node.payout))
        registrations.append(
            GenesisRegistration(index, node.operator_key, node.owner_key, node.payout, node.service)
        )
    genesis = Genesis(network, time, params, (*coins, *allocations), tuple(registrations), tuple(peers))
    genesis.validate()
    return genesis

"""The first block of a simulated network."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.genesis import Genesis
from timecoin.ledger.genesis_builder import FirstMasternode, build_genesis
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import COIN
from timecoin.primitives.transaction import TxOutput
from timecoin.simulation.keys import Key, key

GENESIS_TIME = 1_700_000_000
FUNDS = 1_000 * COIN
"""What each account holds at first, in base units."""
VILLAINS = 12
"""Accounts beside the users' own, for those who need coins that nobody else spends."""


def operator(number: int) -> Key:
    """The operator key of masternode ``number``."""
    return key(f"operator {number}")


def owner(number: int) -> Key:
    """The owner key of masternode ``number``; it also holds the collateral."""
    return key(f"owner {number}")


def account(number: int) -> Key:
    """The key of account ``number``."""
    return key(f"account {number}")


def villain(number: int) -> Key:
    """The key of account ``number`` of those that Byzantine schemes spend from."""
    return key(f"villain {number}")


def service(number: int) -> ServiceAddress:
    """Where masternode ``number`` is said to be reached."""
    return ServiceAddress.parse(f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}:24300")


def make_genesis(
    tiers: Sequence[Tier], accounts: int, parameters: Parameters, funds: int = FUNDS, more: Sequence[TxOutput] = ()
) -> Genesis:
    """A devnet of masternodes of these tiers, with ``funds`` base units for each of ``accounts``; ``more`` coins."""
    masternodes = [
        FirstMasternode(
            operator(number).public,
            owner(number).public,
            key(f"payout {number}").script,
            service(number),
            tier,
            owner(number).script,
        )
        for number, tier in enumerate(tiers)
    ]
    users = [account(number) for number in range(accounts)] + [villain(number) for number in range(VILLAINS)]
    allocations = [TxOutput(funds, user.script) for user in users]
    return build_genesis("devnet", GENESIS_TIME, masternodes, parameters=parameters, allocations=[*allocations, *more])

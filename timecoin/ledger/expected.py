"""What the closing block would lead to if it came now: for those who look ahead, never for consensus."""

from __future__ import annotations

from typing import NamedTuple

from timecoin.ledger.attendance import FIRST_EPOCH
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.rewards import payouts, reward
from timecoin.ledger.state import LedgerState
from timecoin.primitives.transaction import TxOutput


class Expected(NamedTuple):
    """The registry of the next epoch and S(epoch + 2), as far as the decided blocks tell."""

    registry: Registry
    members: PowerSet


class ExpectedReward(NamedTuple):
    """Base units: newly made, the fees so far, and what the closing block would pay, in set order.

    ``present`` masternodes share it; ``certain`` tells whether the blocks say by now who they are.
    """

    created: int
    fees: int
    outputs: tuple[TxOutput, ...]
    present: int
    certain: bool


def expected_sets(params: Parameters, state: LedgerState) -> Expected:
    """Apply the registry payloads of the open epoch's blocks so far; who is present counts once a block tells it."""
    unknown = state.epoch == FIRST_EPOCH or state.closing_signers is None
    registry = state.registry.close_epoch(
        params,
        state.epoch,
        state.epoch_payloads,
        frozenset(state.archived.collateral).__contains__,
        None if unknown else state.previous_set,
        None if unknown else frozenset(state.closing_signers or ()),
        state.epoch_jailed,
        None,
        state.chain_id,
    )
    members, _ = registry.choose_set(params, state.following, state.free_mode)
    return Expected(registry, members)


def expected_reward(params: Parameters, state: LedgerState) -> ExpectedReward:
    """The reward (protocol.md section 7) if no fees came any more; all of the set until a block tells who was present.

    Of the first epoch that is certain from the beginning.
    """
    signers = None if state.epoch == FIRST_EPOCH else state.closing_signers
    present = [each for each in state.current.members if signers is None or each.masternode_id in signers]
    ids = frozenset([each.masternode_id for each in present])
    outputs = payouts(params, state.current, ids, state.epoch_fees, state.supply)
    created = min(reward(len(present), params.base_reward), max(0, params.max_money - state.supply))
    certain = state.epoch == FIRST_EPOCH or state.closing_signers is not None
    return ExpectedReward(created, state.epoch_fees, outputs, len(present), certain)

"""Who was there when the last epoch closed, and what that earns when this one does (protocol.md 7)."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.commits import signer_ids
from timecoin.ledger.params import Parameters
from timecoin.ledger.rewards import payouts
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import TxOutput

FIRST_EPOCH = 1


def closing_signers(state: LedgerState, last_commit: Commit) -> tuple[bytes, ...]:
    """Return the ids in the commit of the closing block that opened the epoch, once ``last_commit`` is known.

    All of S(1) for the first epoch, which a block without a commit opened.
    """
    if state.closing_signers is not None:
        return state.closing_signers
    if state.epoch == FIRST_EPOCH:
        return tuple([member.masternode_id for member in state.current.members])
    return signer_ids(state.previous_set, last_commit)


def reward_outputs(
    params: Parameters, state: LedgerState, fees: int, signers: Sequence[bytes]
) -> tuple[TxOutput, ...]:
    """Return what the closing block's coinbase pays; ``fees``: of all blocks of the epoch, base units."""
    return payouts(params, state.current, frozenset(signers), fees, state.supply)

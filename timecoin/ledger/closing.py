"""What a closing block does besides archiving and paying: it opens the next epoch (protocol.md section 3)."""

from __future__ import annotations

from timecoin.ledger.attendance import FIRST_EPOCH
from timecoin.ledger.content import Content
from timecoin.ledger.opening import Opening
from timecoin.ledger.params import Parameters
from timecoin.ledger.registry import Registry
from timecoin.ledger.rotation import carry
from timecoin.ledger.state import LedgerState


def next_opening(
    params: Parameters,
    state: LedgerState,
    content: Content,
    slot_time: int,
    priorities: tuple[int, ...],
) -> Opening:
    """Return the opening of epoch + 1 that a closing block with ``content`` at ``slot_time`` leads to.

    ``priorities`` are those of S(epoch) after the step of the closing block's height.
    """
    registry = _next_registry(params, state, content)
    following, free_mode = registry.choose_set(params, state.following, state.free_mode)
    return Opening(
        epoch=state.epoch + 1,
        registry=registry,
        current=state.following,
        following=following,
        priorities=carry(state.current, priorities, state.following),
        supply=state.supply - content.fees + content.paid,
        last_closing_slot=slot_time,
        free_mode=free_mode,
    )


def _next_registry(params: Parameters, state: LedgerState, content: Content) -> Registry:
    # The payloads' signatures were judged in the blocks that archived them.
    # No commit opened the first epoch, so nobody was absent from it.
    is_first = state.epoch == FIRST_EPOCH
    return state.registry.close_epoch(
        params,
        state.epoch,
        content.archived.payloads,
        frozenset(content.archived.collateral).__contains__,
        None if is_first else state.previous_set,
        None if is_first else frozenset(content.signers),
        content.jailed,
        None,
        state.chain_id,
    )

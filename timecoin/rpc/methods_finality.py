"""RPC methods about finality: where a transaction stands, and waiting for it (protocol.md sections 1 and
5)."""

from __future__ import annotations

from typing import Any

from timecoin.primitives.hashes import Hash, display
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.facade import STATUSES, TxStatus
from timecoin.rpc.table import Context, method

_MAX_WAIT_MS = 3_600_000
_MAX_EVENTS = 10_000


def _status_json(txid: Hash, status: TxStatus | None) -> dict[str, Any]:
    if status is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction")
    return {
        "txid": display(txid),
        "status": status.status,
        "votes": status.votes,
        "acks": status.acks,
        "total_power": status.total_power,
        "final_ms": status.final_ms,
        "height": status.height,
        "blockhash": None if status.block_hash is None else display(status.block_hash),
        "reason": status.reason,
    }


def _check_wait(milliseconds: int) -> None:
    if not 0 <= milliseconds <= _MAX_WAIT_MS:
        raise RpcError(INVALID_PARAMETER, f"timeout_ms must be from 0 to {_MAX_WAIT_MS}")


def gettxstatus(context: Context, txid: HashArg) -> dict[str, Any]:
    """Where a transaction stands: pending, certified, final, archived, or rejected with the reason.

    votes and acks are the voting power seen in the open epoch, of total_power; final_ms is the time from its
    first sight here to final. Certified is not final.
    """
    return _status_json(txid, context.node.status(txid))


async def waitforfinality(context: Context, txid: HashArg, timeout_ms: int) -> dict[str, Any]:
    """gettxstatus's answer as soon as the transaction is final, archived or rejected, or when the time is
    over.

    A transaction that is not known yet is waited for, too.
    """
    _check_wait(timeout_ms)
    return _status_json(txid, await context.node.wait_final(txid, timeout_ms))


async def getfinalityevents(
    context: Context, since: int, timeout_ms: int = 0, limit: int = _MAX_EVENTS, status: str = ""
) -> dict[str, Any]:
    """Changes of status with numbers above ``since``, oldest first; with none yet, waits up to timeout_ms for
    one.

    Status is certified, final, archived or rejected; that a transaction is pending is no change and not told. With
    ``status`` only events of that one are told.

    Numbers count up from 1 without gaps while the node runs. missed tells that events after ``since`` are no
    longer held; ask with the answer's next to go on, or begin with its last to hear of new ones only.
    """
    _check_wait(timeout_ms)
    if since < 0 or not 1 <= limit <= _MAX_EVENTS:
        raise RpcError(INVALID_PARAMETER, f"since must not be negative, limit must be from 1 to {_MAX_EVENTS}")
    if status and status not in STATUSES:
        raise RpcError(INVALID_PARAMETER, f"status must be one of {', '.join(STATUSES)}")
    page = await context.node.events(since, limit, timeout_ms)
    return {
        "events": [
            {"n": each.number, "txid": display(each.txid), "status": each.status, "time_ms": each.time_ms}
            for each in page.events
            if not status or each.status == status
        ],
        "next": page.events[-1].number if page.events else since,
        "first": page.first,
        "last": page.last,
        "missed": page.missed,
    }


METHODS = (
    method("Finality", getfinalityevents),
    method("Finality", gettxstatus),
    method("Finality", waitforfinality),
)

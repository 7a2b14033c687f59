"""RPC methods about finality: where a transaction or an output stands, and waiting for it (protocol.md sections 1 and
5)."""

from __future__ import annotations

from typing import cast

from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.codec import amount
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, METHOD_NOT_FOUND, RpcError
from timecoin.rpc.facade import STATUSES, TxStatus
from timecoin.rpc.face_insight import CoinView, Insight
from timecoin.rpc.results_finality import (
    CoinText,
    FinalityEvents,
    OutputState,
    StatusText,
    TransactionStatus,
)
from timecoin.rpc.table import Context, method

_MAX_WAIT_MS = 3_600_000
_MAX_EVENTS = 10_000
_MAX_INDEX = 2**32


def insight_of(context: Context) -> Insight:
    """The node's insight; ``RpcError`` -32601 where there is none."""
    if context.insight is None:
        raise RpcError(METHOD_NOT_FOUND, "This node does not look into consensus")
    return context.insight


def _status_json(txid: Hash, status: TxStatus | None) -> TransactionStatus:
    if status is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction")
    return {
        "txid": display(txid),
        "status": cast(StatusText, status.status),
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


def gettxstatus(context: Context, txid: HashArg) -> TransactionStatus:
    """Where a transaction stands: pending, certified, final, archived, or rejected with the reason.

    Certified is not final: only final and archived payments can never be taken back.

    :param txid: the transaction
    :returns: its status; votes and acks are the voting power seen in the open epoch, of total_power; final_ms is the
        time from its first sight here to final; reason says why it was rejected, or not voted for so far
    :error -5: this node has never seen the transaction, or it was settled long ago
    """
    return _status_json(txid, context.node.status(txid))


async def waitforfinality(context: Context, txid: HashArg, timeout_ms: int) -> TransactionStatus:
    """Wait until a transaction is final, archived or rejected, or the time is over.

    A transaction that is not known yet is waited for, too.

    :param txid: the transaction
    :param timeout_ms: how long to wait at most, in milliseconds, up to an hour
    :returns: what gettxstatus answers then
    :error -5: the time is over and the transaction is still unknown
    :error -8: the time is out of range
    """
    _check_wait(timeout_ms)
    return _status_json(txid, await context.node.wait_final(txid, timeout_ms))


async def getfinalityevents(
    context: Context, since: int, timeout_ms: int = 0, limit: int = _MAX_EVENTS, status: str = ""
) -> FinalityEvents:
    """Changes of status with numbers above ``since``, oldest first; with none yet, wait for one.

    Numbers are those of push: one sequence for events of all kinds, which ascends, over restarts, too. Ask with the
    answer's next to go on, or begin with its last to hear of new ones only.

    :param since: the number after which to begin, 0 for the oldest held
    :param timeout_ms: how long to wait for an event at most, in milliseconds, up to an hour
    :param limit: how many events at most, up to 10,000
    :param status: only events of this status: certified, final, archived or rejected; empty for all
    :returns: the events; missed tells that events after ``since`` are no longer held
    :error -8: a number is out of range, or there is no such status
    """
    _check_wait(timeout_ms)
    if since < 0 or not 1 <= limit <= _MAX_EVENTS:
        raise RpcError(INVALID_PARAMETER, f"since must not be negative, limit must be from 1 to {_MAX_EVENTS}")
    if status and status not in STATUSES:
        raise RpcError(INVALID_PARAMETER, f"status must be one of {', '.join(STATUSES)}")
    page = await context.node.events(since, limit, timeout_ms)
    return {
        "events": [
            {
                "n": each.number,
                "txid": display(each.txid),
                "status": cast(StatusText, each.status),
                "time_ms": each.time_ms,
            }
            for each in page.events
            if not status or each.status == status
        ],
        "next": page.events[-1].number if page.events else since,
        "first": page.first,
        "last": page.last,
        "missed": page.missed,
    }


async def getutxostate(context: Context, txid: HashArg, vout: int) -> OutputState:
    """Where an output stands: unspent, locked, spent_pending, spent_final or spent.

    Locked is this masternode's own vote; spent_pending: a certified transaction spends it, which is not final;
    spent_final: a final one; spent: an archived one. A lock, and a certificate that is not archived, end with the
    epoch, what is final never does. Who archived the spending is not kept.

    :param txid: the transaction that made the output
    :param vout: its number, from 0
    :returns: the state; by whom and since when as long as the spender is not archived
    :error -5: no transaction known here makes such an output
    :error -8: vout is out of range
    """
    if not 0 <= vout < _MAX_INDEX:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, vout out of range")
    view = insight_of(context).coin_view(make_outpoint(txid, vout))
    if view.state == "unknown" or (view.state == "spent" and not await _was_made(context, txid, vout)):
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No transaction known here makes such an output")
    return _state_json(context, txid, vout, view)


def _state_json(context: Context, txid: Hash, vout: int, view: CoinView) -> OutputState:
    coin = context.node.coin(make_outpoint(txid, vout), False)
    maker = context.node.pool_entry(txid)
    value = coin.value if coin is not None else maker.tx.outputs[vout].value if maker is not None else None
    return {
        "txid": display(txid),
        "vout": vout,
        "state": cast(CoinText, view.state),
        "by": None if view.spender is None else display(view.spender),
        "since_ms": view.since_ms,
        "epoch": context.node.tip().epoch,
        "value": None if value is None else amount(value),
        "height": None if coin is None else coin.code >> 1,
    }


async def _was_made(context: Context, txid: Hash, vout: int) -> bool:
    """Whether an archived transaction has that output, and it was a coin."""
    place = context.node.location(txid)
    if place is None:
        return False
    outputs = (await context.node.block_at(place[0])).transactions[place[1]].outputs
    return vout < len(outputs) and classify(outputs[vout].script) is not Kind.OP_RETURN


METHODS = (
    method("Finality", getfinalityevents, waits=True),
    method("Finality", gettxstatus),
    method("Finality", getutxostate),
    method("Finality", waitforfinality, waits=True),
)

"""RPC methods about the pool of unarchived transactions.

Nothing here is replaced or reprioritised, so ``modified`` fees are the fees, and there is no ``prioritisetransaction``.
There is no ``savemempool`` either: what was submitted here is on disk before the answer comes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, NotRequired, TypedDict

from timecoin.primitives.hashes import Hash, display, display_order
from timecoin.primitives.transaction import make_outpoint, split_outpoint
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.codec import Amount, HashText, HexText, amount
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.rpc.facade import PoolEntry
from timecoin.rpc.table import Context, method

_LIST_COST: Final = 4
_VERBOSE_COST: Final = 20
#: Relatives beyond which a family is not followed: protocol R1 stops voting at 25 ancestors.
_MAX_FAMILY: Final = 1_000


class PoolInfo(TypedDict):
    """Figures of the pool; rates in TIME per 1,000 vbytes, ``bytes`` in vbytes, other sizes in bytes."""

    loaded: bool
    size: int
    bytes: int
    usage: int
    total_fee: Amount
    maxmempool: int
    mempoolminfee: Amount
    minrelaytxfee: Amount
    incrementalrelayfee: Amount
    unbroadcastcount: int
    fullrbf: bool


class PoolFees(TypedDict):
    """The fee of a transaction, with its ancestors, with its descendants."""

    base: Amount
    modified: Amount
    ancestor: Amount
    descendant: Amount


_PoolMember = TypedDict(
    "_PoolMember",
    {
        "vsize": int,
        "weight": int,
        "time": int,
        "height": int,
        "descendantcount": int,
        "descendantsize": int,
        "ancestorcount": int,
        "ancestorsize": int,
        "wtxid": HashText,
        "fees": PoolFees,
        "depends": list[HashText],
        "spentby": list[HashText],
        "bip125-replaceable": bool,
        "unbroadcast": bool,
        "status": str,
    },
)


class PoolMember(_PoolMember):
    """A transaction of the pool; ``status``: pending, certified or final."""


class SequencedPool(TypedDict):
    """The txids of the pool, and the number of the last change of anything."""

    txids: list[HashText]
    mempool_sequence: int


class Outpoint(TypedDict):
    """An output by its transaction and number."""

    txid: HashArg
    vout: int


class SpendingOptions(TypedDict):
    """``mempool_only`` false: it is an error when only a block can hold the spender; ``return_spending_tx``: add the
    spender in hex."""

    mempool_only: NotRequired[bool]
    return_spending_tx: NotRequired[bool]


class Spending(TypedDict):
    """An output, and the unarchived transaction that spends it, if any."""

    txid: HashText
    vout: int
    spendingtxid: NotRequired[HashText]
    spendingtx: NotRequired[HexText]


def getmempoolinfo(context: Context) -> PoolInfo:
    """Figures of the pool of unarchived transactions.

    ``mempoolminfee`` is above ``minrelaytxfee``, which is a constant of the network, only while the pool is full.
    Nothing is replaced here, so ``incrementalrelayfee`` is that constant, too.

    :returns: the figures
    """
    stats = context.node.pool()
    least = amount(context.node.parameters.min_fee_rate * 1000)
    return {
        "loaded": True,
        "size": stats.count,
        "bytes": stats.vsize,
        "usage": stats.usage,
        "total_fee": amount(stats.total_fee),
        "maxmempool": stats.max_bytes,
        "mempoolminfee": amount(stats.min_fee_rate * 1000),
        "minrelaytxfee": least,
        "incrementalrelayfee": least,
        "unbroadcastcount": 0,
        "fullrbf": False,
    }


async def getrawmempool(
    context: Context, verbose: bool = False, mempool_sequence: bool = False
) -> list[HashText] | SequencedPool | dict[str, PoolMember]:
    """The transactions of the pool, of which no two spend one coin.

    Of rivals it has the one nearest to final, or the first; the others wait outside, with what rests on them, where
    gettxstatus, getrawtransaction and getmempoolentry find them.

    :param verbose: an object of getmempoolentry's answers, instead of the txids in ascending order
    :param mempool_sequence: also the number of the newest event, as getfinalityevents counts
    :returns: the txids, or more of each
    :error -8: both are wanted
    """
    if verbose and mempool_sequence:
        raise RpcError(INVALID_PARAMETER, "Verbose results cannot contain mempool sequence values.")
    node = context.node
    back = node.pool_standing_back()
    ids = [txid for txid in node.pool_ids() if txid not in back] if back else node.pool_ids()
    if verbose:
        found = await context.sliced(_entries(context, sorted(ids, key=display_order)))
        return {display(txid): shown for each in found for txid, shown in each}
    sequence = node.pool_sequence()
    txids = await context.aside(lambda: [display(txid) for txid in sorted(ids, key=display_order)])
    return {"txids": txids, "mempool_sequence": sequence} if mempool_sequence else txids


def _entries(context: Context, txids: list[Hash]) -> Iterator[list[tuple[Hash, PoolMember]]]:
    for txid in txids:
        entry = context.node.pool_entry(txid)
        yield [] if entry is None else [(txid, _entry_json(context, entry))]


def _entry(context: Context, txid: Hash) -> PoolEntry:
    entry = context.node.pool_entry(txid)
    if entry is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Transaction not in mempool")
    return entry


def getmempoolentry(context: Context, txid: HashArg) -> PoolMember:
    """A transaction of the pool: fee, size, family, and its status.

    :param txid: the transaction
    :returns: what is known of it
    :error -5: it is not in the pool
    """
    return _entry_json(context, _entry(context, txid))


def getmempoolancestors(
    context: Context, txid: HashArg, verbose: bool = False
) -> list[HashText] | dict[str, PoolMember]:
    """The unarchived transactions that one rests on.

    :param txid: the transaction
    :param verbose: an object of getmempoolentry's answers, instead of the txids
    :returns: the ancestors, without itself
    :error -5: it is not in the pool
    """
    _entry(context, txid)
    return _relatives(context, _family(context, txid, lambda member: _parents(context, member))[1:], verbose)


def getmempooldescendants(
    context: Context, txid: HashArg, verbose: bool = False
) -> list[HashText] | dict[str, PoolMember]:
    """The unarchived transactions that rest on one.

    :param txid: the transaction
    :param verbose: an object of getmempoolentry's answers, instead of the txids
    :returns: the descendants, without itself
    :error -5: it is not in the pool
    """
    _entry(context, txid)
    return _relatives(context, _family(context, txid, context.node.pool_children)[1:], verbose)


def _relatives(context: Context, found: list[PoolEntry], verbose: bool) -> list[HashText] | dict[str, PoolMember]:
    if verbose:
        return {display(each.tx.txid): _entry_json(context, each) for each in found}
    return sorted(display(each.tx.txid) for each in found)


def gettxspendingprevout(
    context: Context, outputs: list[Outpoint], options: SpendingOptions | None = None
) -> list[Spending]:
    """Which unarchived transactions spend outputs. Which archived one does is not indexed.

    :param outputs: the outputs
    :param options: how to look
    :param options.mempool_only: false: an output that an archived transaction spends is an error
    :param options.return_spending_tx: add the spender in hex
    :returns: the outputs, with ``spendingtxid`` where one spends it
    :error -8: no outputs, or a wrong number
    :error -1: only a block can hold the spender that is asked for
    """
    if not outputs:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, outputs are missing")
    wishes = options or {}
    return [_spending(context, each, wishes) for each in outputs]


def _spending(context: Context, wanted: Outpoint, options: SpendingOptions) -> Spending:
    txid, n = wanted["txid"], wanted["vout"]
    if n < 0:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, vout cannot be negative")
    if n >= 2**32:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, vout is too large")
    shown: Spending = {"txid": display(txid), "vout": n}
    outpoint = make_outpoint(txid, n)
    spender = context.node.pool_spender(outpoint)
    if spender is None:
        if options.get("mempool_only", True) or context.node.coin(outpoint, True) is not None:
            return shown
        raise RpcError(MISC_ERROR, "Mempool lacks a relevant spend, and txospenderindex is unavailable.")
    shown["spendingtxid"] = display(spender)
    if options.get("return_spending_tx", False):
        shown["spendingtx"] = _entry(context, spender).tx.raw.hex()
    return shown


def _entry_json(context: Context, entry: PoolEntry) -> PoolMember:
    node, txid = context.node, entry.tx.txid
    parents = _parents(context, txid)
    children = node.pool_children(txid)
    ancestors = _family(context, txid, lambda member: _parents(context, member)) if parents else [entry]
    descendants = _family(context, txid, node.pool_children) if children else [entry]
    return {
        "vsize": entry.tx.vsize,
        "weight": entry.tx.weight,
        "time": entry.time_ms // 1000,
        "height": entry.height,
        "descendantcount": len(descendants),
        "descendantsize": sum(each.tx.vsize for each in descendants),
        "ancestorcount": len(ancestors),
        "ancestorsize": sum(each.tx.vsize for each in ancestors),
        "wtxid": display(entry.tx.wtxid),
        "fees": {
            "base": amount(entry.fee),
            "modified": amount(entry.fee),
            "ancestor": amount(sum(each.fee for each in ancestors)),
            "descendant": amount(sum(each.fee for each in descendants)),
        },
        "depends": sorted(display(parent) for parent in parents),
        "spentby": sorted(display(child) for child in children),
        "bip125-replaceable": False,
        "unbroadcast": False,
        "status": entry.status,
    }


def _parents(context: Context, txid: Hash) -> Collection[Hash]:
    entry = context.node.pool_entry(txid)
    if entry is None:
        return ()
    makers = {split_outpoint(outpoint)[0] for outpoint in entry.tx.outpoints()}
    return [maker for maker in makers if context.node.pool_entry(maker) is not None]


def _family(context: Context, txid: Hash, near: Callable[[Hash], Collection[Hash]]) -> list[PoolEntry]:
    """The transaction itself first, and all that ``near`` leads to, up to a bound."""
    found: dict[Hash, PoolEntry] = {}
    waiting = [txid]
    while waiting and len(found) < _MAX_FAMILY:
        member = waiting.pop()
        entry = context.node.pool_entry(member)
        if entry is not None and member not in found:
            found[member] = entry
            waiting.extend(near(member))
    return list(found.values())


def _raw_cost(verbose: bool = False, mempool_sequence: bool = False) -> int:
    return _VERBOSE_COST if verbose else _LIST_COST


METHODS = (
    method("Blockchain", getmempoolancestors, cost=_LIST_COST),
    method("Blockchain", getmempooldescendants, cost=_LIST_COST),
    method("Blockchain", getmempoolentry),
    method("Blockchain", getmempoolinfo),
    method("Blockchain", getrawmempool, cost=_raw_cost),
    method("Blockchain", gettxspendingprevout),
)

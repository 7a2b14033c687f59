"""RPC methods that count: transactions in a stretch of the chain, the figures of a block."""

from __future__ import annotations

from typing import Annotated, Any

from timecoin.primitives.hashes import Hash, display
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.block_stats import NAMES, block_stats
from timecoin.rpc.blocks import find_block, median_time, spent_coins
from timecoin.rpc.errors import INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.rpc.kinds import Kind, kind_of, read_integer
from timecoin.rpc.results_chain import BlockStats, ChainTxStats
from timecoin.rpc.table import Context, method

_MONTH_SECONDS = 30 * 24 * 3600
_STATS_COST = 15


def _hash_or_height(value: Any, name: str) -> int | Hash:
    if isinstance(value, str):
        return _HASH.read(value, name)  # type: ignore[no-any-return]
    return read_integer(value, name)


_HASH = kind_of(HashArg)
#: A block by its hash or its height.
HashOrHeight = Annotated[
    int | bytes,
    Kind(
        "string or numeric",
        frozenset({"string", "number"}),
        _hash_or_height,
        {"anyOf": [{"type": "integer"}, _HASH.schema]},
    ),
]


async def height_of(context: Context, which: int | Hash) -> int:
    """The height of a block given by either; RPC errors -8 and -5."""
    if isinstance(which, bytes):
        return await find_block(context, which)
    tip = context.node.tip().height
    if which < 0:
        raise RpcError(INVALID_PARAMETER, f"Target block height {which} is negative")
    if which > tip:
        raise RpcError(INVALID_PARAMETER, f"Target block height {which} after current tip {tip}")
    return which


async def getchaintxstats(
    context: Context, nblocks: int | None = None, blockhash: HashArg | None = None
) -> ChainTxStats:
    """How many transactions the chain holds, and how many came in a window of blocks.

    :param nblocks: size of the window in blocks; left out: about a month, or the whole chain
    :param blockhash: the block that ends the window; left out: the tip
    :returns: the counts; the rate in transactions a second
    :error -5: there is no such block
    :error -8: the window does not fit into the chain
    :error -1: the window reaches below what this node joined with
    """
    node = context.node
    final = node.tip().height if blockhash is None else await find_block(context, blockhash)
    window = _window(nblocks, final, node.parameters.epoch_seconds)
    last = await node.header_at(final)
    count = await node.tx_count(final)
    shown: ChainTxStats = {
        "time": last.slot_time,
        "window_final_block_hash": display(last.hash),
        "window_final_block_height": final,
        "window_block_count": window,
    }
    if count is not None:
        shown["txcount"] = count
    if window > 0:
        first = await node.header_at(final - window)
        interval = await median_time(context, last) - await median_time(context, first)
        shown["window_interval"] = interval
        before = await node.tx_count(final - window)
        if count is not None and before is not None:
            shown["window_tx_count"] = count - before
            if interval > 0:
                shown["txrate"] = (count - before) / interval
    return shown


def _window(asked: int | None, final: int, epoch_seconds: int) -> int:
    if asked is None:
        return max(0, min(_MONTH_SECONDS // epoch_seconds, final - 1))
    if asked < 0 or (asked > 0 and asked >= final):
        raise RpcError(INVALID_PARAMETER, "Invalid block count: should be between 0 and the block's height - 1")
    return asked


async def getblockstats(context: Context, hash_or_height: HashOrHeight, stats: list[str] | None = None) -> BlockStats:
    """Figures of a block: fees, fee rates, sizes, coins made and spent. Amounts are in base units.

    The coinbase counts in ``txs`` and ``outs`` only. ``subsidy`` is what the epoch that this block closes may create
    (protocol section 7); an interim block creates nothing.

    :param hash_or_height: the block
    :param stats: names of the figures wanted; left out: all
    :returns: the figures
    :error -5: there is no such block
    :error -8: there is no block at that height, or no figure of that name
    :error -1: the block, or one whose coins it spends, is below what this node joined with
    """
    height = await height_of(context, hash_or_height)
    for name in stats or ():
        if name not in NAMES:
            raise RpcError(INVALID_PARAMETER, f"Invalid selected statistic '{name[:80]}'")
    block = await context.node.block_at(height)
    coins = await spent_coins(context, block)
    subsidy, median = await context.node.subsidy(block.header), await median_time(context, block.header)
    try:
        found = await context.aside(block_stats, block, coins, subsidy, median)
    except KeyError:
        raise RpcError(MISC_ERROR, "Coins that the block spends are not available (pruned data)") from None
    wanted = set(stats) if stats else set(NAMES)
    return {name: found[name] for name in NAMES if name in wanted}  # type: ignore[literal-required,return-value]


METHODS = (
    method("Blockchain", getblockstats, cost=_STATS_COST),
    method("Blockchain", getchaintxstats),
)

"""Finding blocks for methods: by hash, by height, with their times and what they spend."""

from __future__ import annotations

from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import Hash
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, RpcError
from timecoin.rpc.facade import BlockPruned
from timecoin.rpc.render import Coins, header_json
from timecoin.rpc.results_chain import ShownHeader
from timecoin.rpc.table import Context

_MEDIAN_SPAN = 11


async def find_block(context: Context, block_hash: Hash) -> int:
    """The height of a block, or RPC error -5."""
    height = await context.node.height_of(block_hash)
    if height is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
    return height


def median_height(height: int) -> int:
    """The block whose time is the median of that of a block and the ten before it: times never decrease."""
    count = min(height + 1, _MEDIAN_SPAN)
    return height - (count - 1 - count // 2)


async def median_time(context: Context, header: Header) -> int:
    """The median of the times of a block and the ten before it, in Unix seconds.

    Where the node joined with a snapshot and lacks the block in the middle, it is the block's own time.
    """
    middle = median_height(header.height)
    if middle == header.height:
        return header.slot_time
    try:
        return (await context.node.header_at(middle)).slot_time
    except BlockPruned:
        return header.slot_time


async def _next_hash(context: Context, height: int) -> Hash | None:
    if height >= context.node.tip().height:
        return None
    try:
        return (await context.node.header_at(height + 1)).hash
    except BlockPruned:
        return None


async def shown_header(context: Context, header: Header) -> ShownHeader:
    """A header as getblockheader and getblock show it."""
    following, median = await _next_hash(context, header.height), await median_time(context, header)
    return header_json(header, context.node.tip().height, following, median)


async def spent_coins(context: Context, block: Block) -> Coins:
    """The coins that the transactions of a block spend, as far as this node has their blocks."""
    return await context.node.outputs([outpoint for tx in block.transactions[1:] for outpoint in tx.outpoints()])

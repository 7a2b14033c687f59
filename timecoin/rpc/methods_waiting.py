"""RPC methods that wait for blocks."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.ledger.state import LedgerState
from timecoin.primitives.hashes import display
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.errors import MISC_ERROR, RpcError
from timecoin.rpc.results_chain import BlockPlace
from timecoin.rpc.table import Context, method


async def _wait(context: Context, timeout: int, done: Callable[[LedgerState], bool]) -> BlockPlace:
    """The tip as soon as it is ``done``, or when ``timeout`` milliseconds are over (0: never)."""
    if timeout < 0:
        raise RpcError(MISC_ERROR, "Negative timeout")
    node, deadline = context.node, context.node.now_ms() + timeout
    while not done(node.tip()):
        left = deadline - node.now_ms() if timeout else None
        if left is not None and left <= 0:
            break
        await node.next_block(left)
    tip = node.tip()
    return {"hash": display(tip.block_hash), "height": tip.height}


async def waitfornewblock(context: Context, timeout: int = 0, current_tip: HashArg | None = None) -> BlockPlace:
    """Wait until there is a new block.

    :param timeout: at most so many milliseconds; 0: as long as it takes
    :param current_tip: wait until the tip is another than this block; left out: than the present one
    :returns: the tip
    :error -1: the timeout is negative, or as many calls wait as may
    """
    known = context.node.tip().block_hash if current_tip is None else current_tip
    return await _wait(context, timeout, lambda tip: tip.block_hash != known)


async def waitforblock(context: Context, blockhash: HashArg, timeout: int = 0) -> BlockPlace:
    """Wait until a block is the tip.

    :param blockhash: the block
    :param timeout: at most so many milliseconds; 0: as long as it takes
    :returns: the tip, whatever it is then
    :error -1: the timeout is negative, or as many calls wait as may
    """
    return await _wait(context, timeout, lambda tip: tip.block_hash == blockhash)


async def waitforblockheight(context: Context, height: int, timeout: int = 0) -> BlockPlace:
    """Wait until the chain has at least some height.

    :param height: of the block
    :param timeout: at most so many milliseconds; 0: as long as it takes
    :returns: the tip
    :error -1: the timeout is negative, or as many calls wait as may
    """
    return await _wait(context, timeout, lambda tip: tip.height >= height)


METHODS = (
    method("Blockchain", waitforblock, waits=True),
    method("Blockchain", waitforblockheight, waits=True),
    method("Blockchain", waitfornewblock, waits=True),
)

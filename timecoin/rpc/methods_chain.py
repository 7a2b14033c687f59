"""RPC methods about decided blocks and the coins in them."""

from __future__ import annotations

from typing import Any

from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.arguments import HashArg, Verbosity
from timecoin.rpc.codec import amount
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.facade import BlockPruned, ChainInfo
from timecoin.rpc.render import block_json, header_json, script_json
from timecoin.rpc.table import Context, method

_POOL_HEIGHT = 0x7FFFFFFF


def getblockchaininfo(context: Context) -> dict[str, Any]:
    """State of the chain: height, tip, epoch, supply, and how far synchronisation has come."""
    node, tip, chain = context.node, context.node.tip(), context.node.chain()
    best = max(chain.best_height, tip.height)
    return {
        "chain": node.network,
        "blocks": tip.height,
        "headers": best,
        "bestblockhash": display(tip.block_hash),
        "time": tip.header.slot_time,
        "mediantime": tip.header.slot_time,
        "verificationprogress": 1.0 if best == 0 else round(tip.height / best, 6),
        "initialblockdownload": chain.syncing,
        "syncprogress": _sync_json(chain),
        "size_on_disk": chain.size_on_disk,
        "pruned": chain.base > 0,
        **({"pruneheight": chain.base} if chain.base else {}),
        "snapshots": list(chain.snapshots),
        "chain_id": display(tip.chain_id),
        "epoch": tip.epoch,
        "epoch_seconds": node.parameters.epoch_seconds,
        "last_closing_slot": tip.last_closing_slot,
        "supply": amount(tip.supply),
        "state_hash": display(tip.state_hash),
        "warnings": [],
    }


def _sync_json(chain: ChainInfo) -> dict[str, Any] | None:
    """How catching up goes; null when there is nothing to catch up with."""
    if not chain.syncing:
        return None
    progress = chain.progress
    return {
        "blocks_per_second": None if progress.rate is None else round(progress.rate, 1),
        "seconds_left": progress.seconds_left,
        "sources": progress.sources,
    }


def getbestblockhash(context: Context) -> str:
    """The hash of the newest decided block."""
    return display(context.node.tip().block_hash)


def getblockcount(context: Context) -> int:
    """The height of the newest decided block; block 0 is the genesis block."""
    return context.node.tip().height


async def getblockhash(context: Context, height: int) -> str:
    """The hash of the block at a height."""
    tip = context.node.tip()
    if not 0 <= height <= tip.height:
        raise RpcError(INVALID_PARAMETER, "Block height out of range")
    if height == tip.height:
        return display(tip.block_hash)
    return display((await context.node.header_at(height)).hash)


async def find_block(context: Context, block_hash: Hash) -> int:
    """The height of a block, or RPC error -5."""
    height = await context.node.height_of(block_hash)
    if height is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
    return height


async def _next_hash(context: Context, height: int) -> Hash | None:
    if height >= context.node.tip().height:
        return None
    try:
        return (await context.node.header_at(height + 1)).hash
    except BlockPruned:
        return None


async def getblock(context: Context, blockhash: HashArg, verbosity: Verbosity = 1) -> Any:
    """A block: as hex (verbosity 0), decoded with txids (1), or decoded with whole transactions (2)."""
    height = await find_block(context, blockhash)
    block = await context.node.block_at(height)
    if verbosity <= 0:
        return block.encode().hex()
    following = await _next_hash(context, height)
    return block_json(block, context.node.tip().height, following, context.node.hrp, verbosity)


async def getblockheader(context: Context, blockhash: HashArg, verbose: bool = True) -> Any:
    """A header, decoded, or as hex (351 bytes) when verbose is false."""
    height = await find_block(context, blockhash)
    header = await context.node.header_at(height)
    if not verbose:
        return header.encode().hex()
    return header_json(header, context.node.tip().height, await _next_hash(context, height))


def gettxout(context: Context, txid: HashArg, n: int, include_mempool: bool = True) -> dict[str, Any] | None:
    """An unspent output, or null when it is spent or was never made.

    With include_mempool, outputs of unarchived transactions count and what they spend does not.
    """
    if not 0 <= n < 2**32:
        return None
    coin = context.node.coin(make_outpoint(txid, n), include_mempool)
    if coin is None:
        return None
    tip = context.node.tip()
    return {
        "bestblock": display(tip.block_hash),
        "confirmations": 0 if coin.height >= _POOL_HEIGHT else tip.height - coin.height + 1,
        "value": amount(coin.value),
        "scriptPubKey": script_json(coin.script, context.node.hrp),
        "coinbase": coin.is_coinbase,
    }


def gettxoutsetinfo(context: Context) -> dict[str, Any]:
    """Figures of all unspent coins. ``muhash`` is the commitment in the newest header."""
    tip, chain = context.node.tip(), context.node.chain()
    return {
        "height": tip.height,
        "bestblock": display(tip.block_hash),
        "txouts": chain.coins,
        "muhash": display(tip.header.utxo_commitment),
        "disk_size": chain.size_on_disk,
        "total_amount": amount(tip.supply - tip.epoch_fees),
    }


METHODS = (
    method("Blockchain", getbestblockhash),
    method("Blockchain", getblock, aliases={"verbose": "verbosity"}),
    method("Blockchain", getblockchaininfo),
    method("Blockchain", getblockcount),
    method("Blockchain", getblockhash),
    method("Blockchain", getblockheader),
    method("Blockchain", gettxout),
    method("Blockchain", gettxoutsetinfo),
)

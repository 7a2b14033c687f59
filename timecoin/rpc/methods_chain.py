"""RPC methods about the chain of decided blocks."""

from __future__ import annotations

from timecoin.ledger import networks
from timecoin.primitives.hashes import display
from timecoin.rpc.alerts import warnings
from timecoin.rpc.arguments import HashArg, Verbosity
from timecoin.rpc.blocks import find_block, median_time, shown_header, spent_coins
from timecoin.rpc.codec import HashText, HexText, amount
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.facade import ChainInfo
from timecoin.rpc.render import BITS, DIFFICULTY, TARGET, block_ids_json, block_tx_json, chainwork
from timecoin.rpc.results_chain import (
    BlockWithIds,
    BlockWithTransactions,
    ChainState,
    ChainTip,
    ShownHeader,
    SyncProgress,
)
from timecoin.rpc.table import Context, method

_CHAINS = {networks.MAINNET.name: "main", networks.TESTNET.name: "test"}
#: What a call costs, in units of some milliseconds of the node's time.
_RAW_COST, _IDS_COST, _WHOLE_COST = 4, 4, 20


def chain_name(network: str) -> str:
    """What tools made for Bitcoin know the network as: main, test or regtest."""
    return _CHAINS.get(network, "regtest")


async def getblockchaininfo(context: Context) -> ChainState:
    """State of the chain: height, tip, epoch, supply, and how far synchronisation has come.

    Blocks are decided, not mined: ``difficulty``, ``bits``, ``target`` and ``chainwork`` are there for the tools that
    insist on them.

    :returns: the state
    """
    node, tip, chain = context.node, context.node.tip(), context.node.chain()
    best = max(chain.best_height, tip.height)
    shown: ChainState = {
        "chain": chain_name(node.network),
        "blocks": tip.height,
        "headers": best,
        "bestblockhash": display(tip.block_hash),
        "bits": BITS,
        "target": TARGET,
        "difficulty": DIFFICULTY,
        "time": tip.header.slot_time,
        "mediantime": await median_time(context, tip.header),
        "verificationprogress": 1.0 if best == 0 else round(tip.height / best, 6),
        "initialblockdownload": chain.syncing,
        "chainwork": chainwork(tip.height),
        "size_on_disk": chain.size_on_disk,
        "pruned": chain.base > 0,
        "warnings": warnings(node),
        "network": node.network,
        "chain_id": display(tip.chain_id),
        "epoch": tip.epoch,
        "epoch_seconds": node.parameters.epoch_seconds,
        "last_closing_slot": tip.last_closing_slot,
        "supply": amount(tip.supply),
        "state_hash": display(tip.state_hash),
        "syncprogress": _sync_json(chain),
        "snapshots": list(chain.snapshots),
    }
    if chain.base > 0:
        shown |= {"pruneheight": chain.base, "automatic_pruning": False}
    return shown


def _sync_json(chain: ChainInfo) -> SyncProgress | None:
    """How catching up goes; null when there is nothing to catch up with."""
    if not chain.syncing:
        return None
    progress = chain.progress
    return {
        "blocks_per_second": None if progress.rate is None else round(progress.rate, 1),
        "seconds_left": progress.seconds_left,
        "sources": progress.sources,
    }


def getbestblockhash(context: Context) -> HashText:
    """The hash of the newest decided block.

    :returns: the hash
    """
    return display(context.node.tip().block_hash)


def getblockcount(context: Context) -> int:
    """The height of the newest decided block; block 0 is the genesis block.

    :returns: the height
    """
    return context.node.tip().height


def getdifficulty(context: Context) -> int:
    """The difficulty, which is 1: nothing is mined.

    :returns: 1
    """
    return DIFFICULTY


def getchaintips(context: Context) -> list[ChainTip]:
    """The tips of the chain: always one, as decided blocks never fork.

    :returns: the tip, as Core lists its active one
    """
    tip = context.node.tip()
    return [{"height": tip.height, "hash": display(tip.block_hash), "branchlen": 0, "status": "active"}]


async def getblockhash(context: Context, height: int) -> HashText:
    """The hash of the block at a height.

    :param height: from 0 to the tip's
    :returns: the hash
    :error -8: there is no block at that height
    :error -1: the block is below what this node joined with
    """
    tip = context.node.tip()
    if not 0 <= height <= tip.height:
        raise RpcError(INVALID_PARAMETER, "Block height out of range")
    if height == tip.height:
        return display(tip.block_hash)
    return display((await context.node.header_at(height)).hash)


async def getblock(
    context: Context, blockhash: HashArg, verbosity: Verbosity = 1
) -> HexText | BlockWithIds | BlockWithTransactions:
    """A block: as hex, or decoded.

    The hex is header (351 bytes, the first 80 as Bitcoin's), transactions, last commit and evidence, so that an indexer
    that reads Bitcoin's blocks finds header and transactions if it skips to byte 351.

    :param blockhash: the block
    :param verbosity: 0 (or false) hex, 1 (true) decoded with txids, 2 with whole transactions, 3 also with the outputs
        that inputs spend
    :returns: hex or the block
    :error -5: there is no such block
    :error -1: the block is below what this node joined with
    """
    height = await find_block(context, blockhash)
    if verbosity <= 0:
        return (await context.node.block_bytes(height)).hex()
    block = await context.node.block_at(height)
    header = await shown_header(context, block.header)
    ids = await context.aside(block_ids_json, block, header)
    if verbosity == 1:
        return ids
    coins, hrp = await spent_coins(context, block), context.node.hrp
    shown = (block_tx_json(tx, hrp, coins, with_prevouts=verbosity > 2) for tx in block.transactions)
    return {**ids, "tx": await context.written(shown)}


async def getblockheader(context: Context, blockhash: HashArg, verbose: bool = True) -> HexText | ShownHeader:
    """A header, decoded, or as hex.

    :param blockhash: the block
    :param verbose: decoded; false: the 351 bytes as hex
    :returns: the header
    :error -5: there is no such block
    :error -1: the block is below what this node joined with
    """
    height = await find_block(context, blockhash)
    header = await context.node.header_at(height)
    return await shown_header(context, header) if verbose else header.encode().hex()


def _block_cost(blockhash: bytes, verbosity: int = 1) -> int:
    return _WHOLE_COST if verbosity > 1 else _IDS_COST if verbosity == 1 else _RAW_COST


METHODS = (
    method("Blockchain", getbestblockhash),
    method("Blockchain", getblock, aliases={"verbose": "verbosity"}, cost=_block_cost),
    method("Blockchain", getblockchaininfo),
    method("Blockchain", getblockcount),
    method("Blockchain", getblockhash),
    method("Blockchain", getblockheader),
    method("Blockchain", getchaintips),
    method("Blockchain", getdifficulty),
)

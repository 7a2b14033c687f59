"""RPC methods about mining and its rules, for the tools that ask: nothing is mined here, and that is the answer."""

from __future__ import annotations

from typing import TypedDict

from timecoin.primitives.hashes import display
from timecoin.rpc.alerts import warnings
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.blocks import find_block
from timecoin.rpc.codec import HashText
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.methods_chain import chain_name
from timecoin.rpc.render import BITS, DIFFICULTY, TARGET
from timecoin.rpc.table import Context, method


class MiningInfo(TypedDict):
    """The chain as miners see it: no hash is ever computed for it, so ``networkhashps`` is 0."""

    blocks: int
    bits: str
    difficulty: int
    target: str
    networkhashps: int
    pooledtx: int
    chain: str
    warnings: list[str]


class Deployments(TypedDict):
    """Rules that were voted into force: there are none, all hold from block 0 on."""

    hash: HashText
    height: int
    deployments: dict[str, bool]


def getmininginfo(context: Context) -> MiningInfo:
    """The chain as miners see it. Nothing is mined: masternodes decide blocks.

    :returns: height, constants, and how many transactions wait
    """
    node = context.node
    return {
        "blocks": node.tip().height,
        "bits": BITS,
        "difficulty": DIFFICULTY,
        "target": TARGET,
        "networkhashps": 0,
        "pooledtx": node.pool().count,
        "chain": chain_name(node.network),
        "warnings": warnings(node),
    }


def getnetworkhashps(context: Context, nblocks: int = 120, height: int = -1) -> int:
    """How many hashes a second the network computes for its blocks: none, they are not mined.

    :param nblocks: there for Core's clients: over so many blocks; -1: since the last change of difficulty
    :param height: there for Core's clients: up to this block; -1: the tip
    :returns: 0
    :error -8: there is no such block, or the number is out of range
    """
    if nblocks < -1 or nblocks == 0:
        raise RpcError(INVALID_PARAMETER, "Invalid nblocks. Must be a positive number or -1.")
    if not -1 <= height <= context.node.tip().height:
        raise RpcError(INVALID_PARAMETER, "Block does not exist at specified height")
    return 0


async def getdeploymentinfo(context: Context, blockhash: HashArg | None = None) -> Deployments:
    """The rules in force at a block: those of the genesis file, from the first block on; none was voted in later.

    :param blockhash: the block; left out: the tip
    :returns: the block, and no deployments
    :error -5: there is no such block
    """
    tip = context.node.tip()
    if blockhash is None:
        return {"hash": display(tip.block_hash), "height": tip.height, "deployments": {}}
    return {"hash": display(blockhash), "height": await find_block(context, blockhash), "deployments": {}}


METHODS = (
    method("Blockchain", getdeploymentinfo),
    method("Mining", getmininginfo),
    method("Mining", getnetworkhashps),
)

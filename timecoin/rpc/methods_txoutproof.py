"""RPC methods that prove that transactions are in a block, in the form nearest to Bitcoin's.

Bitcoin's form is the 80 bytes of its header and a partial merkle tree. Here a block's hash covers all 351 bytes of its
header, so these stand in their place; the tree is Bitcoin's byte for byte. It is only as good as the answer of the
node that verifies it: whether the header is in *its* chain. A proof that stands alone is ``getfinalityproof``'s.
"""

from __future__ import annotations

from typing import Final

from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.partial_merkle import BadPartialTree, decode, encode
from timecoin.rpc.arguments import HashArg, HexArg
from timecoin.rpc.blocks import find_block
from timecoin.rpc.codec import HashText, HexText
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.table import Context, method

_HEADER_BYTES: Final = 351
_PROOF_COST: Final = 4


async def gettxoutproof(context: Context, txids: list[HashArg], blockhash: HashArg | None = None) -> HexText:
    """A proof that transactions are in a block: its header (351 bytes) and a partial merkle tree as Bitcoin's, in hex.

    :param txids: the transactions, all of one block
    :param blockhash: the block; left out: that of the first one that is archived
    :returns: the proof
    :error -5: there is no such block, or not all are in it
    :error -8: no txid, or one twice
    :error -1: the block is below what this node joined with
    """
    if not txids:
        raise RpcError(INVALID_PARAMETER, "Parameter 'txids' cannot be empty")
    seen: set[Hash] = set()
    for txid in txids:
        if txid in seen:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, duplicated txid: {display(txid)}")
        seen.add(txid)
    height = await find_block(context, blockhash) if blockhash is not None else _height_of_first(context, txids)
    block = await context.node.block_at(height)
    leaves = [tx.txid for tx in block.transactions]
    wanted = frozenset(seen)
    if not wanted <= set(leaves):
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Not all transactions found in specified or retrieved block")
    return (block.header.encode() + await context.aside(encode, leaves, wanted)).hex()


def _height_of_first(context: Context, txids: list[Hash]) -> int:
    for txid in txids:
        place = context.node.location(txid)
        if place is not None:
            return place[0]
    raise RpcError(INVALID_ADDRESS_OR_KEY, "Transaction not yet in block")


async def verifytxoutproof(context: Context, proof: HexArg) -> list[HashText]:
    """The transactions that a proof of gettxoutproof proves to be in a block of this node's chain.

    :param proof: the proof in hex
    :returns: their txids; none when the proof is wrong
    :error -5: the block is not in the chain
    :error -22: this is no proof
    """
    try:
        raw = bytes.fromhex(proof)
        header = Header.decode(raw[:_HEADER_BYTES])
    except (ValueError, DecodeError):
        raise RpcError(DESERIALIZATION_ERROR, "Proof decode failed") from None
    if await context.node.height_of(header.hash) is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found in chain")
    try:
        found = await context.aside(decode, raw[_HEADER_BYTES:], header.tx_root, header.tx_count)
    except BadPartialTree:
        return []
    except DecodeError:
        raise RpcError(DESERIALIZATION_ERROR, "Proof decode failed") from None
    return [display(txid) for txid in found]


METHODS = (
    method("Blockchain", gettxoutproof, cost=_PROOF_COST),
    method("Blockchain", verifytxoutproof),
)

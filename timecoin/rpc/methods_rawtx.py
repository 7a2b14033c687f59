"""RPC methods about single transactions: decode, fetch, submit, and to look before submitting."""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.defer import Deferred

from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.arguments import AmountArg, HashArg, HexArg, Verbosity
from timecoin.rpc.codec import HashText, HexText, amount
from timecoin.rpc.errors import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    VERIFY_ERROR,
    RpcError,
)
from timecoin.rpc.facade import PoolEntry
from timecoin.rpc.render import Coins, decoded_json, fee_of
from timecoin.rpc.results_tx import DecodedTransaction, ShownTransaction
from timecoin.rpc.table import Context, method

#: Core's default: TIME per 1,000 vbytes above which a fee is taken for a mistake.
DEFAULT_MAX_RATE: Final = 10_000_000
_HIGHEST_MAX_RATE: Final = 100_000_000
_OP_RETURN: Final = b"\x6a"
_USE_GETTRANSACTION: Final = ". Use gettransaction for wallet transactions."


def decode(text: str, complaint: str) -> Transaction:
    """The transaction of a hex text, or RPC error -22 with the complaint."""
    try:
        return Transaction.decode(bytes.fromhex(text) if text.isalnum() else b"")
    except (ValueError, DecodeError):
        raise RpcError(DESERIALIZATION_ERROR, complaint) from None


def check_max_rate(rate: int) -> int:
    """A limit of fee rates as given, or RPC error -8."""
    if rate >= _HIGHEST_MAX_RATE:
        raise RpcError(INVALID_PARAMETER, "Fee rates larger than or equal to 1TIME/kvB are not accepted")
    return rate


def check_burn(tx: Transaction, limit: int) -> None:
    """RPC error -25 when an output that nobody can spend has more than ``limit``."""
    if any(each.value > limit and each.script[:1] == _OP_RETURN for each in tx.outputs):
        raise RpcError(VERIFY_ERROR, "Unspendable output exceeds maximum configured by user (maxburnamount)")


def sendrawtransaction(
    context: Context, hexstring: HexArg, maxfeerate: AmountArg = DEFAULT_MAX_RATE, maxburnamount: AmountArg = 0
) -> Deferred[HashText]:
    """Submit a signed transaction: checked, stored and announced when the answer comes.

    Sending it again is no error while it is unarchived. See gettxstatus and waitforfinality for what becomes of it.

    :param hexstring: the transaction
    :param maxfeerate: refuse a higher fee rate, in TIME per 1,000 vbytes; 0: no limit
    :param maxburnamount: refuse OP_RETURN outputs of more TIME
    :returns: its txid
    :error -22: it cannot be decoded
    :error -25: an input is missing or spent, or a limit is exceeded
    :error -26: it breaks a rule, which is named
    :error -27: it is archived
    :error -8: maxfeerate is 1 or more
    """
    tx = decode(hexstring, "TX decode failed. Make sure the tx has at least one input.")
    check_burn(tx, maxburnamount)
    return context.node.submit(tx, check_max_rate(maxfeerate)).addCallback(display)


def decoderawtransaction(context: Context, hexstring: HexArg, iswitness: bool | None = None) -> DecodedTransaction:
    """A serialised transaction, decoded; nothing but its form is checked.

    :param hexstring: the transaction
    :param iswitness: there for Core's clients: the form is never in doubt here
    :returns: the transaction
    :error -22: it cannot be decoded
    """
    return decoded_json(decode(hexstring, "TX decode failed"), context.node.hrp)


async def getrawtransaction(
    context: Context, txid: HashArg, verbosity: Verbosity = 0, blockhash: HashArg | None = None
) -> HexText | ShownTransaction:
    """A transaction of the pool or of any block; no index has to be switched on for that.

    ``instantlock`` says that it is final, ``chainlock`` that it is archived in a decided block.

    :param txid: the transaction
    :param verbosity: 0 (or false) hex, 1 (true) decoded, 2 also with its fee and the outputs that inputs spend
    :param blockhash: look only into this block
    :returns: hex or the transaction
    :error -5: there is no such transaction, or no such block, or it is not in it
    :error -1: its block is below what this node joined with
    """
    entry = context.node.pool_entry(txid) if blockhash is None else None
    if entry is not None:
        return entry.tx.raw.hex() if verbosity <= 0 else await _of_pool(context, entry, verbosity)
    height, position = await _place(context, txid, blockhash)
    tx = await context.node.transaction_at(height, position)
    if verbosity <= 0:
        return tx.raw.hex()
    shown = await _of_block(context, tx, height, verbosity)
    if blockhash is not None:
        shown["in_active_chain"] = True
    return shown


async def _coins(context: Context, tx: Transaction, verbosity: int) -> Coins:
    if verbosity < 2 or tx.is_coinbase:
        return {}
    return await context.node.outputs(tx.outpoints())


async def _of_pool(context: Context, entry: PoolEntry, verbosity: int) -> ShownTransaction:
    final = entry.status == "final"
    shown = cast(
        ShownTransaction,
        {
            **decoded_json(entry.tx, context.node.hrp, await _coins(context, entry.tx, verbosity)),
            "hex": entry.tx.raw.hex(),
            "instantlock": final,
            "instantlock_internal": final,
            "chainlock": False,
        },
    )
    if verbosity > 1:
        shown["fee"] = amount(entry.fee)
    return shown


async def _of_block(context: Context, tx: Transaction, height: int, verbosity: int) -> ShownTransaction:
    header, coins = await context.node.header_at(height), await _coins(context, tx, verbosity)
    shown = cast(
        ShownTransaction,
        {
            **decoded_json(tx, context.node.hrp, coins),
            "hex": tx.raw.hex(),
            "blockhash": display(header.hash),
            "height": height,
            "confirmations": context.node.tip().height - height + 1,
            "time": header.slot_time,
            "blocktime": header.slot_time,
            "instantlock": True,
            "instantlock_internal": True,
            "chainlock": True,
        },
    )
    fee = fee_of(tx, coins) if coins else None
    if fee is not None:
        shown["fee"] = amount(fee)
    return shown


async def _place(context: Context, txid: Hash, blockhash: Hash | None) -> tuple[int, int]:
    """Height and position of an archived transaction, or RPC error -5."""
    place = context.node.location(txid)
    if blockhash is not None:
        height = await context.node.height_of(blockhash)
        if height is None:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "Block hash not found")
        if place is None or place[0] != height:
            text = "No such transaction found in the provided block"
            raise RpcError(INVALID_ADDRESS_OR_KEY, text + _USE_GETTRANSACTION)
    if place is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction" + _USE_GETTRANSACTION)
    return place


METHODS = (
    method("Rawtransactions", decoderawtransaction),
    method("Rawtransactions", getrawtransaction, aliases={"verbose": "verbosity"}),
    method("Rawtransactions", sendrawtransaction),
)

"""RPC methods about transactions and those that are not archived yet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred

from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display, display_order
from timecoin.primitives.transaction import Transaction, split_outpoint
from timecoin.rpc.arguments import AmountArg, HashArg, HexArg, HexList, Verbosity
from timecoin.rpc.codec import amount
from timecoin.rpc.errors import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    VERIFY_ERROR,
    RpcError,
)
from timecoin.rpc.facade import PoolEntry
from timecoin.rpc.render import transaction_json
from timecoin.rpc.table import Context, method

_MAX_PREVIEWS = 25
_NO_LIMIT = 0


def _decode(text: str, complaint: str) -> Transaction:
    try:
        return Transaction.decode(bytes.fromhex(text) if text.isalnum() else b"")
    except (ValueError, DecodeError):
        raise RpcError(DESERIALIZATION_ERROR, complaint) from None


def sendrawtransaction(
    context: Context, hexstring: HexArg, maxfeerate: AmountArg = _NO_LIMIT, maxburnamount: AmountArg = 0
) -> Deferred[str]:
    """Submit a signed transaction; the answer is its txid. Sending it again is no error while it is
    unarchived.

    maxfeerate (TIME per 1,000 vbytes) refuses a higher fee; 0, the default, is no limit. Errors: -22 it
    cannot be decoded, -25 an input is missing or spent or a limit is exceeded, -26 it breaks a rule (which),
    -27 it is archived.
    """
    tx = _decode(hexstring, "TX decode failed. Make sure the tx has at least one input.")
    if any(each.value > maxburnamount and each.script[:1] == b"\x6a" for each in tx.outputs):
        raise RpcError(VERIFY_ERROR, "Unspendable output exceeds maximum configured by user (maxburnamount)")
    if maxfeerate != _NO_LIMIT:
        return Deferred.fromCoroutine(_submit_within(context, tx, maxfeerate))
    return context.node.submit(tx).addCallback(display)


async def _submit_within(context: Context, tx: Transaction, max_rate: int) -> str:
    preview = (await context.node.preview([tx]))[0]
    if preview.reason is None and preview.fee * 1000 > max_rate * tx.vsize:
        raise RpcError(VERIFY_ERROR, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")
    return display(await context.node.submit(tx))


async def testmempoolaccept(
    context: Context, rawtxs: HexList, maxfeerate: AmountArg = _NO_LIMIT
) -> list[dict[str, Any]]:
    """Whether transactions (at most 25, parents first) would be admitted, without submitting them."""
    if not 1 <= len(rawtxs) <= _MAX_PREVIEWS:
        raise RpcError(INVALID_PARAMETER, f"Array must contain between 1 and {_MAX_PREVIEWS} transactions.")
    complaint = "TX decode failed: {} Make sure the tx has at least one input."
    txs = [_decode(each, complaint.format(each[:80])) for each in rawtxs]
    previews = await context.node.preview(txs)
    return [_preview_json(tx, each.reason, each.fee, maxfeerate) for tx, each in zip(txs, previews, strict=True)]


def _preview_json(tx: Transaction, reason: str | None, fee: int, max_rate: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"txid": display(tx.txid), "wtxid": display(tx.wtxid)}
    if reason is None and max_rate != _NO_LIMIT and fee * 1000 > max_rate * tx.vsize:
        reason = "max-fee-exceeded"
    if reason is not None:
        return shown | {"allowed": False, "reject-reason": reason}
    return shown | {"allowed": True, "vsize": tx.vsize, "fees": {"base": amount(fee)}}


def decoderawtransaction(context: Context, hexstring: HexArg, iswitness: bool = True) -> dict[str, Any]:
    """A serialised transaction, decoded; nothing but its form is checked. iswitness is there for Core's
    clients."""
    return transaction_json(_decode(hexstring, "TX decode failed"), context.node.hrp, with_hex=False)


async def getrawtransaction(
    context: Context, txid: HashArg, verbosity: Verbosity = 0, blockhash: HashArg | None = None
) -> Any:
    """A transaction of the pool or of any block: as hex (0), decoded (1), decoded with its fee while
    unarchived (2).

    With blockhash, only that block is looked at.
    """
    entry = context.node.pool_entry(txid) if blockhash is None else None
    if entry is not None:
        shown = transaction_json(entry.tx, context.node.hrp)
        return entry.tx.raw.hex() if verbosity <= 0 else shown | ({"fee": amount(entry.fee)} if verbosity > 1 else {})
    tx, height = await _archived(context, txid, blockhash)
    if verbosity <= 0:
        return tx.raw.hex()
    header = await context.node.header_at(height)
    shown = transaction_json(tx, context.node.hrp)
    if blockhash is not None:
        shown["in_active_chain"] = True
    return shown | {
        "blockhash": display(header.hash),
        "confirmations": context.node.tip().height - height + 1,
        "time": header.slot_time,
        "blocktime": header.slot_time,
    }


async def _archived(context: Context, txid: Hash, blockhash: Hash | None) -> tuple[Transaction, int]:
    """The transaction and the height of its block, or RPC error -5."""
    place = context.node.location(txid)
    if blockhash is not None:
        height = await context.node.height_of(blockhash)
        if height is None:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "Block hash not found")
        if place is None or place[0] != height:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "No such transaction found in the provided block")
    if place is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction")
    block = await context.node.block_at(place[0])
    return block.transactions[place[1]], place[0]


def getmempoolinfo(context: Context) -> dict[str, Any]:
    """Figures of the pool of unarchived transactions; fee rates are TIME per 1,000 vbytes."""
    stats = context.node.pool()
    return {
        "loaded": True,
        "size": stats.count,
        "bytes": stats.bytes,
        "usage": stats.usage,
        "total_fee": amount(stats.total_fee),
        "maxmempool": stats.max_bytes,
        "mempoolminfee": amount(stats.min_fee_rate * 1000),
        "minrelaytxfee": amount(context.node.parameters.min_fee_rate * 1000),
        "unbroadcastcount": 0,
        "fullrbf": False,
    }


def getrawmempool(context: Context, verbose: bool = False, mempool_sequence: bool = False) -> Any:
    """The txids of the pool in ascending order, or with verbose an object of getmempoolentry's answers."""
    if mempool_sequence:
        raise RpcError(INVALID_PARAMETER, "There is no mempool sequence here: use getfinalityevents.")
    txids = sorted(context.node.pool_ids(), key=display_order)
    if not verbose:
        return [display(txid) for txid in txids]
    entries = {txid: context.node.pool_entry(txid) for txid in txids}
    return {display(txid): _entry_json(context, entry) for txid, entry in entries.items() if entry is not None}


def getmempoolentry(context: Context, txid: HashArg) -> dict[str, Any]:
    """A transaction of the pool: fee, size, family, and its status (pending, certified or final)."""
    entry = context.node.pool_entry(txid)
    if entry is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Transaction not in mempool")
    return _entry_json(context, entry)


def _entry_json(context: Context, entry: PoolEntry) -> dict[str, Any]:
    node, txid = context.node, entry.tx.txid
    ancestors = _family(context, txid, lambda member: _parents(context, member))
    descendants = _family(context, txid, node.pool_children)
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
        "depends": sorted(display(parent) for parent in _parents(context, txid)),
        "spentby": sorted(display(child) for child in node.pool_children(txid)),
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
    """The transaction itself and all that ``near`` leads to."""
    found: dict[Hash, PoolEntry] = {}
    waiting = [txid]
    while waiting:
        member = waiting.pop()
        entry = context.node.pool_entry(member)
        if entry is not None and member not in found:
            found[member] = entry
            waiting.extend(near(member))
    return list(found.values())


METHODS = (
    method("Rawtransactions", decoderawtransaction),
    method("Rawtransactions", getrawtransaction, aliases={"verbose": "verbosity"}),
    method("Rawtransactions", sendrawtransaction),
    method("Rawtransactions", testmempoolaccept),
    method("Blockchain", getmempoolentry),
    method("Blockchain", getmempoolinfo),
    method("Blockchain", getrawmempool),
)

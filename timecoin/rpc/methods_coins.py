"""RPC methods about unspent coins: one of them, figures of all, those of some scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from timecoin.ledger import networks
from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.transaction import OutPoint, make_outpoint, split_outpoint
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.codec import Amount, HashText, HexText, amount
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, METHOD_NOT_FOUND, MISC_ERROR, RpcError
from timecoin.rpc.face_scans import Found, ScanAborted, Scans, ScanUnderWay
from timecoin.rpc.kinds import Kind, WrongType, expect, json_type
from timecoin.rpc.methods_chain_stats import HashOrHeight, height_of
from timecoin.rpc.render import script_json
from timecoin.rpc.results_tx import ScriptPubKey
from timecoin.rpc.table import Context, method
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.errors import BadDescriptor

_POOL_HEIGHT: Final = 0x7FFFFFFF
_DEFAULT_RANGE: Final = 1_000
_MAX_RANGE: Final = 1_000_000
_MAX_SCRIPTS: Final = 1_000_000
_MAX_FOUND: Final = 100_000
_SCAN_COST: Final = 20
_CHUNK: Final = 100
_MAX_HASHES: Final = 1_000


class UnspentOutput(TypedDict):
    """An unspent output; ``confirmations`` 0: its transaction is not archived."""

    bestblock: HashText
    confirmations: int
    value: Amount
    scriptPubKey: ScriptPubKey
    coinbase: bool


class CoinSetInfo(TypedDict):
    """Figures of all unspent coins. ``bogosize`` is Core's meaningless measure of size, ``muhash`` the commitment in
    the header of that block, ``disk_size`` of the plain files of all storages."""

    height: int
    bestblock: HashText
    txouts: int
    bogosize: int
    muhash: NotRequired[HashText]
    total_amount: Amount
    transactions: int
    disk_size: int


class FoundCoin(TypedDict):
    """A coin that a scan found; ``desc`` is the descriptor of just its script."""

    txid: HashText
    vout: int
    scriptPubKey: HexText
    desc: str
    amount: Amount
    coinbase: bool
    height: int
    blockhash: NotRequired[HashText]
    confirmations: int


class ScanResult(TypedDict):
    """What a scan found among all ``txouts`` coins after the block at ``height``."""

    success: bool
    txouts: int
    height: int
    bestblock: HashText
    unspents: list[FoundCoin]
    total_amount: Amount


class ScanProgress(TypedDict):
    """How much of the scan under way is done, in percent."""

    progress: int


def gettxout(context: Context, txid: HashArg, n: int, include_mempool: bool = True) -> UnspentOutput | None:
    """An unspent output, or null when it is spent or was never made.

    :param txid: of the transaction that made it
    :param n: its number
    :param include_mempool: outputs of unarchived transactions count, and what these spend does not
    :returns: the output
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


def _scans(context: Context) -> Scans:
    if context.scans is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    return context.scans


async def gettxoutsetinfo(
    context: Context,
    hash_type: str = "muhash",
    hash_or_height: HashOrHeight | None = None,
    use_index: bool = True,
) -> CoinSetInfo:
    """Figures of all unspent coins; walks through all of them, which takes a while on a large chain.

    Core's hash_serialized_3 does not exist here: the set's hash is MuHash, which is in every header.

    :param hash_type: muhash or none
    :param hash_or_height: only the tip: there is no index of the figures of other blocks
    :param use_index: there for Core's clients
    :returns: the figures
    :error -8: another hash is wanted, or another block than the tip
    :error -5: there is no such block
    """
    if hash_type not in ("muhash", "none"):
        raise RpcError(INVALID_PARAMETER, f"'{hash_type[:80]}' is not a valid hash_type")
    if hash_or_height is not None and await height_of(context, hash_or_height) != context.node.tip().height:
        raise RpcError(INVALID_PARAMETER, "Querying specific block heights requires coinstatsindex")
    found = await _scans(context).figures()
    shown: CoinSetInfo = {
        "height": found.height,
        "bestblock": display(found.block_hash),
        "txouts": found.count,
        "bogosize": found.bogosize,
        "total_amount": amount(found.total),
        "transactions": found.transactions,
        "disk_size": context.node.chain().size_on_disk,
    }
    if hash_type == "muhash":
        shown["muhash"] = display(found.commitment)
    return shown


def _scan_object(value: Any, name: str) -> tuple[str, tuple[int, int]]:
    """A descriptor as text, and its range; Core's EvalDescriptorStringOrObject and ParseDescriptorRange."""
    if isinstance(value, str):
        return value, (0, _DEFAULT_RANGE)
    expect(value, "string", "object")
    if not isinstance(value.get("desc"), str):
        raise RpcError(INVALID_PARAMETER, "Descriptor needs to be provided in scan object")
    given = value.get("range")
    return value["desc"], _range(_DEFAULT_RANGE if given is None else given)


def _range(value: Any) -> tuple[int, int]:
    bounds = [0, value] if json_type(value) == "number" else value
    if not isinstance(bounds, list) or len(bounds) != 2 or any(type(each) is not int for each in bounds):
        raise WrongType("Range must be specified as end or as [begin,end]")
    low, high = bounds
    if low > high:
        raise RpcError(INVALID_PARAMETER, "Range specified as [begin,end] must not have begin after end")
    if low < 0:
        raise RpcError(INVALID_PARAMETER, "Range should be greater or equal than 0")
    if high >= 2**31:
        raise RpcError(INVALID_PARAMETER, "End of range is too high")
    if high - low >= _MAX_RANGE:
        raise RpcError(INVALID_PARAMETER, "Range is too large")
    return low, high


ScanObject = Annotated[
    tuple[str, tuple[int, int]],
    Kind(
        "string or json object",
        frozenset({"string", "object"}),
        _scan_object,
        {"anyOf": [{"type": "string"}, {"type": "object", "required": ["desc"]}]},
    ),
]


async def scantxoutset(
    context: Context, action: Literal["start", "abort", "status"], scanobjects: list[ScanObject] | None = None
) -> ScanResult | ScanProgress | bool | None:
    """Search all unspent coins for those of some descriptors; needs no wallet and no index, but time.

    One scan at a time; the chain goes on meanwhile, the result is as of one block.

    :param action: start a scan and wait for its result; status of the one under way; abort it
    :param scanobjects: descriptors to search for: texts, or objects with desc and range (end or [begin, end])
    :returns: the result; the progress, or null when nothing is under way; whether there was something to abort
    :error -8: no scanobjects, a scan is under way, or a range is wrong
    :error -5: a descriptor is not valid
    :error -1: the scan was aborted, or found too much
    """
    scans = _scans(context)
    if action == "status":
        progress = scans.progress()
        return None if progress is None else {"progress": progress}
    if action == "abort":
        return scans.abort()
    if scanobjects is None:
        raise RpcError(INVALID_PARAMETER, "scanobjects argument is required for the start action")
    scripts = await context.sliced(_script_chunks(context, scanobjects))
    wanted = {script for chunk in scripts for script in chunk}
    try:
        found = await scans.find(wanted, _MAX_FOUND)
    except ScanUnderWay:
        raise RpcError(INVALID_PARAMETER, 'Scan already in progress, use action "abort" or "status"') from None
    except ScanAborted:
        raise RpcError(MISC_ERROR, "The scan was aborted") from None
    except ValueError:
        raise RpcError(MISC_ERROR, f"More than {_MAX_FOUND} coins were found") from None
    hashes = await _hashes(context, {coin.height for _, coin in found.coins})
    return _found_json(context, found, hashes)


def _script_chunks(context: Context, objects: Sequence[tuple[str, tuple[int, int]]]) -> Iterator[list[bytes]]:
    """The scripts of descriptors, some at a time; RPC error -5."""
    network, total = networks.get(context.node.network), 0
    for text, (low, high) in objects:
        try:
            descriptor = Descriptor.parse(text, network)
        except BadDescriptor as problem:
            raise RpcError(INVALID_ADDRESS_OR_KEY, str(problem)) from None
        last = high if descriptor.is_ranged else low
        total += last - low + 1
        if total > _MAX_SCRIPTS:
            raise RpcError(INVALID_PARAMETER, "Range is too large")
        for start in range(low, last + 1, _CHUNK):
            yield [each for n in range(start, min(start + _CHUNK, last + 1)) for each in descriptor.scripts(n)]


async def _hashes(context: Context, heights: set[int]) -> dict[int, Hash]:
    if not heights or len(heights) > _MAX_HASHES:
        return {}
    return {height: (await context.node.header_at(height)).hash for height in sorted(heights)}


def _found_json(context: Context, found: Found, hashes: dict[int, Hash]) -> ScanResult:
    return {
        "success": True,
        "txouts": found.count,
        "height": found.height,
        "bestblock": display(found.block_hash),
        "unspents": [_coin_json(context, outpoint, coin, found.height, hashes) for outpoint, coin in found.coins],
        "total_amount": amount(sum(coin.value for _, coin in found.coins)),
    }


def _coin_json(context: Context, outpoint: OutPoint, coin: Coin, tip_height: int, hashes: dict[int, Hash]) -> FoundCoin:
    txid, n = split_outpoint(outpoint)
    shown: FoundCoin = {
        "txid": display(txid),
        "vout": n,
        "scriptPubKey": coin.script.hex(),
        "desc": script_json(coin.script, context.node.hrp)["desc"],
        "amount": amount(coin.value),
        "coinbase": coin.is_coinbase,
        "height": coin.height,
        "confirmations": tip_height - coin.height + 1,
    }
    if coin.height in hashes:
        shown["blockhash"] = display(hashes[coin.height])
    return shown


METHODS = (
    method("Blockchain", gettxout),
    method("Blockchain", gettxoutsetinfo, cost=_SCAN_COST, waits=True),
    method("Blockchain", scantxoutset, waits=True),
)

"""RPC methods about addresses, for explorers: answered by an index that is off by default ([storage] address_index).

The forms are those of Dash and of insight: amounts are whole base units under ``satoshis``. What is archived and what
is not are kept apart: sums are of archived blocks, unarchived transactions stand beside them by their status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, NotRequired, TypedDict

from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import make_outpoint, split_outpoint
from timecoin.rpc.codec import HashText, HexText
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, METHOD_NOT_FOUND, MISC_ERROR, TYPE_ERROR, RpcError
from timecoin.rpc.face_addresses import Addresses, IndexNotReady, Occurrence, PoolOccurrence, TooMuch
from timecoin.rpc.kinds import Kind, expect
from timecoin.rpc.table import Context, method

_COST: Final = 6
_MAX_ADDRESSES: Final = 1_000
_HIGHEST: Final = 2**32 - 1
STATUSES: Final = ("pending", "certified", "final")


class Query(TypedDict):
    """Which addresses, and of which blocks: ``start`` to ``end``, both included."""

    addresses: list[str]
    start: NotRequired[int]
    end: NotRequired[int]


def _query(value: Any, name: str) -> Query:
    """One address as a text, or an object with addresses, start and end; other members are for other servers."""
    if isinstance(value, str):
        return {"addresses": [value]}
    expect(value, "string", "object")
    found = value.get("addresses")
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise RpcError(TYPE_ERROR, "Addresses is expected to be an array")
    query: Query = {"addresses": list(dict.fromkeys(found))}
    start, end = value.get("start"), value.get("end")
    for each in (start, end):
        if each is not None and type(each) is not int:
            raise RpcError(TYPE_ERROR, "Start and end are expected to be heights")
    if start is not None and end is not None and end < start:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "End value is expected to be greater than start")
    query["start"], query["end"] = start or 0, _HIGHEST if end is None else end
    return query


QueryArg = Annotated[
    Query,
    Kind(
        "string or json object",
        frozenset({"string", "object"}),
        _query,
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "addresses": {"type": "array", "items": {"type": "string"}},
                        "start": {"type": "integer"},
                        "end": {"type": "integer"},
                    },
                    "required": ["addresses"],
                },
            ]
        },
    ),
]


class Moved(TypedDict):
    """What unarchived transactions of one status pay to addresses and spend of theirs, in base units."""

    received: int
    spent: int


class AddressBalance(TypedDict):
    """Base units: ``balance`` unspent and ``received`` ever, both in archived blocks; ``balance_spendable`` is the
    balance without what unarchived transactions spend of it. Rewards can be spent at once: none is immature."""

    balance: int
    balance_immature: int
    balance_spendable: int
    received: int
    transactions: int
    pending: Moved
    certified: Moved
    final: Moved


class AddressOutput(TypedDict):
    """An output of an address. ``height`` -1 and ``status`` other than archived: its transaction is not archived.
    ``spent_by`` is an unarchived transaction that spends it."""

    address: str
    txid: HashText
    outputIndex: int
    script: HexText
    satoshis: int
    height: int
    status: str
    spent_by: NotRequired[HashText]


class AddressChange(TypedDict):
    """What one transaction does to an address: base units in, and out if negative; of unarchived ones with status."""

    address: str
    txid: HashText
    satoshis: int
    received: int
    spent: int
    height: int
    blockindex: int


class PoolChange(TypedDict):
    """The same of an unarchived transaction; ``timestamp``: when it came, Unix seconds."""

    address: str
    txid: HashText
    satoshis: int
    received: int
    spent: int
    timestamp: int
    status: str


def _index(context: Context) -> Addresses:
    if context.addresses is None:
        raise RpcError(METHOD_NOT_FOUND, "The address index is off: [storage] address_index = yes")
    return context.addresses


def _scripts(context: Context, query: Query) -> dict[bytes, str]:
    """The addresses by script, or RPC error -5."""
    wanted = query["addresses"]
    if len(wanted) > _MAX_ADDRESSES:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"At most {_MAX_ADDRESSES} addresses at a time")
    try:
        return {address.decode(each, context.node.hrp): each for each in wanted}
    except address.AddressError as problem:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"Invalid address: {problem}") from None


def _refusal(problem: Exception) -> RpcError:
    return RpcError(MISC_ERROR, str(problem))


def _sums(found: Sequence[PoolOccurrence], status: str) -> Moved:
    chosen = [each for each in found if each.status == status]
    return {
        "received": sum(value for each in chosen for _, value in each.outputs),
        "spent": sum(value for each in chosen for _, value in each.inputs),
    }


async def getaddressbalance(context: Context, addresses: QueryArg) -> AddressBalance:
    """What addresses have: archived, and apart from that what is pending, certified and final.

    :param addresses: an address, or an object {"addresses": [...]}
    :returns: sums in base units
    :error -5: one is no address of this network
    :error -1: the index is still being built, or cannot be
    :error -32601: the index is switched off
    """
    index, scripts = _index(context), _scripts(context, addresses)
    try:
        totals = await index.totals(scripts)
    except IndexNotReady as problem:
        raise _refusal(problem) from None
    pool = index.pool(scripts)
    unarchived = {(each.txid, n) for each in pool for n, _ in each.outputs}
    taken = {outpoint: value for each in pool for outpoint, value in each.inputs}
    archived = sum(value for outpoint, value in taken.items() if split_outpoint(outpoint) not in unarchived)
    pending, certified, final = (_sums(pool, status) for status in STATUSES)
    return {
        "balance": totals.balance,
        "balance_immature": 0,
        "balance_spendable": totals.balance - archived,
        "received": totals.received,
        "transactions": totals.transactions,
        "pending": pending,
        "certified": certified,
        "final": final,
    }


async def getaddresstxids(context: Context, addresses: QueryArg) -> list[HashText]:
    """The archived transactions that pay addresses or spend from them, in the order of the chain.

    :param addresses: an address, or an object {"addresses": [...], "start": height, "end": height}
    :returns: their txids
    :error -5: one is no address of this network, or the end is below the start
    :error -1: the index is still being built, or cannot be; or they are too many
    :error -32601: the index is switched off
    """
    found = await _history(context, addresses)
    return list(dict.fromkeys(display(each.txid) for each in found))


async def _history(context: Context, query: Query) -> Sequence[Occurrence]:
    index, scripts = _index(context), _scripts(context, query)
    try:
        return await index.history(scripts, query.get("start", 0), query.get("end", _HIGHEST))
    except (IndexNotReady, TooMuch) as problem:
        raise _refusal(problem) from None


async def getaddressdeltas(context: Context, addresses: QueryArg) -> list[AddressChange]:
    """What each archived transaction did to addresses, in the order of the chain.

    :param addresses: an address, or an object {"addresses": [...], "start": height, "end": height}
    :returns: the changes
    :error -5: one is no address of this network, or the end is below the start
    :error -1: the index is still being built, or cannot be; or they are too many
    :error -32601: the index is switched off
    """
    names = _scripts(context, addresses)
    return [
        {
            "address": names[each.script],
            "txid": display(each.txid),
            "satoshis": each.received - each.spent,
            "received": each.received,
            "spent": each.spent,
            "height": each.height,
            "blockindex": each.position,
        }
        for each in await _history(context, addresses)
    ]


async def getaddressutxos(context: Context, addresses: QueryArg) -> list[AddressOutput]:
    """The unspent outputs of addresses: archived ones oldest first, then those of unarchived transactions.

    One that an unarchived transaction spends is still listed, with ``spent_by``.

    :param addresses: an address, or an object {"addresses": [...]}
    :returns: the outputs
    :error -5: one is no address of this network
    :error -1: the index is still being built, or cannot be; or they are too many
    :error -32601: the index is switched off
    """
    index, names = _index(context), _scripts(context, addresses)
    try:
        archived = await index.unspent(names)
    except (IndexNotReady, TooMuch) as problem:
        raise _refusal(problem) from None
    pool = index.pool(names)
    spenders = {outpoint: display(each.txid) for each in pool for outpoint, _ in each.inputs}
    outputs = [(each.script, each.outpoint, each.value, each.height, "archived") for each in archived]
    outputs += [
        (each.script, make_outpoint(each.txid, n), value, -1, each.status) for each in pool for n, value in each.outputs
    ]
    return [_output(names[each[0]], *each, spenders.get(each[1])) for each in outputs]


def _output(
    name: str, script: bytes, outpoint: bytes, value: int, height: int, status: str, spender: str | None
) -> AddressOutput:
    txid, n = split_outpoint(outpoint)
    shown: AddressOutput = {
        "address": name,
        "txid": display(txid),
        "outputIndex": n,
        "script": script.hex(),
        "satoshis": value,
        "height": height,
        "status": status,
    }
    return shown if spender is None else shown | {"spent_by": spender}


def getaddressmempool(context: Context, addresses: QueryArg) -> list[PoolChange]:
    """What unarchived transactions do to addresses, in the order in which they came.

    :param addresses: an address, or an object {"addresses": [...]}
    :returns: the changes
    :error -5: one is no address of this network
    :error -32601: the index is switched off
    """
    index, names = _index(context), _scripts(context, addresses)
    found: list[PoolChange] = []
    for each in index.pool(names):
        received, spent = sum(value for _, value in each.outputs), sum(value for _, value in each.inputs)
        entry = context.node.pool_entry(each.txid)
        found.append(
            {
                "address": names[each.script],
                "txid": display(each.txid),
                "satoshis": received - spent,
                "received": received,
                "spent": spent,
                "timestamp": 0 if entry is None else entry.time_ms // 1000,
                "status": each.status,
            }
        )
    return found


METHODS = (
    method("Addressindex", getaddressbalance, cost=_COST),
    method("Addressindex", getaddressdeltas, cost=_COST),
    method("Addressindex", getaddressmempool),
    method("Addressindex", getaddresstxids, cost=_COST),
    method("Addressindex", getaddressutxos, cost=_COST),
)

"""``getblocktemplate``: what the next block would hold, for explorers that show it; nobody can mine with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NotRequired, TypedDict

from timecoin.ledger.expected import expected_reward
from timecoin.primitives.hashes import Hash, display, display_order
from timecoin.primitives.transaction import split_outpoint
from timecoin.rpc.codec import HashText, HexText
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.facade import PoolEntry
from timecoin.rpc.render import BITS, TARGET
from timecoin.rpc.table import Context, method

_COST: Final = 20
_READY: Final = ("final", "certified")
_WITNESS_SCALE: Final = 4
#: Header, coinbase, counts and last commit take less.
_BESIDES: Final = 20_000


class TemplateRequest(TypedDict):
    """What Core's clients send; only ``mode`` is looked at."""

    mode: NotRequired[str]
    capabilities: NotRequired[list[str]]
    rules: NotRequired[list[str]]
    longpollid: NotRequired[str]
    data: NotRequired[str]


class TemplateTransaction(TypedDict):
    """A transaction of the next block; ``fee`` in base units, ``depends``: places in the list, from 1."""

    data: HexText
    txid: HashText
    hash: HashText
    depends: list[int]
    fee: int
    weight: int


class Template(TypedDict):
    """The next block as it would be now (BIP 22): ``coinbasevalue`` in base units, times in Unix seconds.

    ``bits``, ``target`` and ``noncerange`` are constants, there for who insists on them.
    """

    capabilities: list[str]
    version: int
    rules: list[str]
    vbavailable: dict[str, int]
    vbrequired: int
    previousblockhash: HashText
    transactions: list[TemplateTransaction]
    coinbaseaux: dict[str, str]
    coinbasevalue: int
    longpollid: str
    target: str
    mintime: int
    mutable: list[str]
    noncerange: str
    sizelimit: int
    weightlimit: int
    curtime: int
    bits: str
    height: int


async def getblocktemplate(context: Context, template_request: TemplateRequest | None = None) -> Template:
    """What the next block would hold if it was made now and closed the epoch, for tools that show it.

    Blocks are decided by masternodes, not mined, so nothing can be submitted. Its transactions are the certified ones,
    final ones first where not all fit, in the order of a block, which is that of their txids.

    :param template_request: there for Core's clients
    :param template_request.mode: only template
    :param template_request.capabilities: there for Core's clients
    :param template_request.rules: there for Core's clients
    :param template_request.longpollid: there for Core's clients, the answer never waits
    :param template_request.data: there for Core's clients
    :returns: the block, without its coinbase
    :error -8: the mode is another
    """
    if (template_request or {}).get("mode", "template") != "template":
        raise RpcError(INVALID_PARAMETER, "Invalid mode")
    node, tip, parameters = context.node, context.node.tip(), context.node.parameters
    chosen = _Choice(context)
    await context.sliced(chosen.fill())
    transactions = await context.sliced(chosen.shown())
    expected = expected_reward(parameters, tip)
    return {
        "capabilities": [],
        "version": tip.header.version,
        "rules": ["!segwit"],
        "vbavailable": {},
        "vbrequired": 0,
        "previousblockhash": display(tip.block_hash),
        "transactions": transactions,
        "coinbaseaux": {},
        "coinbasevalue": expected.created + expected.fees + sum(each["fee"] for each in transactions),
        "longpollid": f"{display(tip.block_hash)}{node.pool_sequence()}",
        "target": TARGET,
        "mintime": tip.last_closing_slot,
        "mutable": [],
        "noncerange": "00000000ffffffff",
        "sizelimit": parameters.max_block_bytes,
        "weightlimit": _WITNESS_SCALE * parameters.max_block_bytes,
        "curtime": node.now_ms() // 1000,
        "bits": BITS,
        "height": tip.height + 1,
    }


class _Choice:
    """The pool's transactions that fit into a block, each with all that it rests on."""

    def __init__(self, context: Context) -> None:
        self._node = context.node
        self._entries: dict[Hash, PoolEntry] = {}
        self._left_out: set[Hash] = set()
        self._bytes = context.node.parameters.max_block_bytes - _BESIDES
        self._count = context.node.parameters.max_block_txs - 1

    def fill(self) -> Iterator[None]:
        """Take them, a few a step."""
        waiting = sorted(self._node.pool_ids(), key=display_order)
        for status in _READY:
            for txid in waiting:
                entry = self._node.pool_entry(txid)
                if entry is not None and entry.status == status:
                    self._take(txid, entry)
                yield

    def shown(self) -> Iterator[TemplateTransaction]:
        """As the answer shows them."""
        ordered = sorted(self._entries, key=display_order)
        places = {txid: n for n, txid in enumerate(ordered, 1)}
        for txid in ordered:
            tx = self._entries[txid].tx
            makers = {split_outpoint(each)[0] for each in tx.outpoints()}
            yield {
                "data": tx.raw.hex(),
                "txid": display(txid),
                "hash": display(tx.wtxid),
                "depends": sorted(places[maker] for maker in makers if maker in places),
                "fee": self._entries[txid].fee,
                "weight": tx.weight,
            }

    def _take(self, txid: Hash, entry: PoolEntry) -> bool:
        """Take one after its parents; whether it is in. A certified one rests on few (protocol.md R1)."""
        if txid in self._entries or txid in self._left_out:
            return txid in self._entries
        for maker in {split_outpoint(each)[0] for each in entry.tx.outpoints()}:
            parent = self._node.pool_entry(maker)
            if parent is not None and not (parent.status in _READY and self._take(maker, parent)):
                self._left_out.add(txid)
                return False
        if len(self._entries) >= self._count or entry.tx.size > self._bytes:
            self._left_out.add(txid)
            return False
        self._bytes -= entry.tx.size
        self._entries[txid] = entry
        return True


METHODS = (method("Mining", getblocktemplate, cost=_COST),)

"""Cases of ``methods_template``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs
from twisted.internet.task import Clock

from tests.rpc.cases import Case
from tests.rpc.fake_node import FakeNode
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display
from timecoin.rpc.errors import INVALID_PARAMETER


def all_certified(node: FakeNode) -> None:
    """The child, too."""
    txid = node.child.txid
    node.entries[txid] = replace(node.entries[txid], status="final")


def orphaned(node: FakeNode) -> None:
    """The child is certified, the parent it rests on is not."""
    all_certified(node)
    txid = node.parent.txid
    node.entries[txid] = replace(node.entries[txid], status="pending")


def tight(node: FakeNode) -> None:
    """There is room for one of them, and the final one needs the other."""
    all_certified(node)
    node.parameters = structs.replace(node.parameters, max_block_txs=2)


def _certified_alone(found: dict[str, Any]) -> bool:
    (only,) = found["transactions"]
    tx = FakeNode(Clock()).parent
    assert (only["txid"], only["hash"], only["data"]) == (display(tx.txid), display(tx.wtxid), tx.raw.hex())
    assert (only["fee"], only["weight"], only["depends"]) == (28_400, tx.weight, [])
    assert found["height"] == 2 and found["mintime"] <= found["curtime"]
    assert found["weightlimit"] == 4 * found["sizelimit"] and found["mutable"] == []
    # R(n) of section 7 is at least base_reward, 100 TIME, for n of 1 or more.
    return bool(found["coinbasevalue"] >= 100 * COIN + 28_400)


def _family(found: dict[str, Any]) -> bool:
    """In the order of a block, which is that of the txids; ``depends`` says where the parent stands."""
    node = FakeNode(Clock())
    txids = [each["txid"] for each in found["transactions"]]
    assert txids == sorted((display(node.parent.txid), display(node.child.txid)))
    child = txids.index(display(node.child.txid))
    assert found["transactions"][child]["depends"] == [2 - child]
    return bool(found["transactions"][1 - child]["depends"] == [])


CASES = [
    Case("getblocktemplate", [{"rules": ["segwit"]}], result=_certified_alone),
    Case("getblocktemplate", result=_certified_alone),
    Case("getblocktemplate", node=all_certified, result=_family),
    Case("getblocktemplate", node=orphaned, result=lambda found: found["transactions"] == []),
    Case("getblocktemplate", node=tight, result=lambda found: len(found["transactions"]) == 1),
    Case("getblocktemplate", [{"mode": "proposal", "data": "00"}], error=INVALID_PARAMETER, says="Invalid mode"),
]

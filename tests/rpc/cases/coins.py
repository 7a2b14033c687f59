"""Cases of ``methods_coins`` and ``methods_txoutproof``."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.rpc.cases import Case
from tests.rpc.cases.chain import NOWHERE, first, pruned, tip
from tests.rpc.fake_network import ABORTED, scanning
from tests.rpc.fake_node import NETWORK, FakeNode
from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.partial_merkle import encode
from timecoin.rpc.errors import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    METHOD_NOT_FOUND,
    MISC_ERROR,
)
from timecoin.rpc.table import Context

FUND = NETWORK.funds[0]
SCRIPT = NETWORK.genesis.allocations[FUND.vout].script
ADDRESS = address.encode(SCRIPT, "timed")
DESCRIPTOR = f"addr({ADDRESS})"


def during(percent: int) -> Callable[[Context], None]:
    def arrange(context: Context) -> None:
        scanning(context).under_way = percent

    return arrange


def failing(problem: Exception) -> Callable[[Context], None]:
    def arrange(context: Context) -> None:
        scanning(context).problem = problem

    return arrange


def archived(node: FakeNode) -> str:
    return display(node.archived.txid)


def proof(node: FakeNode) -> str:
    block = node.blocks[1]
    leaves = [tx.txid for tx in block.transactions]
    return (block.header.encode() + encode(leaves, frozenset(leaves[1:]))).hex()


def spoilt(node: FakeNode) -> str:
    raw = bytearray.fromhex(proof(node))
    raw[-3] ^= 1
    return raw.hex()


CASES = [
    Case("gettxout", [display(FUND.txid), FUND.vout, False], result=lambda coin: coin["confirmations"] == 2),
    Case("gettxout", [NOWHERE, 0], result=None),
    Case("gettxout", [NOWHERE, -1], result=None),
    Case(
        "gettxoutsetinfo",
        context=scanning,
        result=lambda info: (
            (info["txouts"], info["transactions"], info["bogosize"]) == (6, 2, 300)
            and str(info["total_amount"]) == "1.00000000"
            and info["muhash"] == "01" * 32
        ),
    ),
    Case("gettxoutsetinfo", ["none"], context=scanning, result=lambda info: "muhash" not in info),
    Case("gettxoutsetinfo", ["muhash", 1], context=scanning, result=lambda info: info["height"] == 1),
    Case("gettxoutsetinfo", ["hash_serialized_3"], error=INVALID_PARAMETER, says="is not a valid hash_type"),
    Case("gettxoutsetinfo", ["muhash", 0], error=INVALID_PARAMETER, says="requires coinstatsindex"),
    Case("gettxoutsetinfo", ["muhash", NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case("gettxoutsetinfo", error=METHOD_NOT_FOUND),
    Case(
        "scantxoutset",
        ["start", [DESCRIPTOR]],
        context=scanning,
        result=lambda found: (
            found["unspents"][0]["height"] == 1
            and found["unspents"][0]["confirmations"] == 1
            and found["total_amount"] == Decimal("0.00000005")
            and found["txouts"] == 6
        ),
    ),
    Case(
        "scantxoutset",
        ["start", [{"desc": f"raw({'00' * 1 + '14' + '11' * 20})", "range": 5}, {"desc": DESCRIPTOR, "range": None}]],
        context=scanning,
        result=lambda found: len(found["unspents"]) == 1 and found["success"],
    ),
    Case("scantxoutset", ["status"], context=scanning, result=None),
    Case("scantxoutset", ["status"], context=during(40), result={"progress": 40}),
    Case("scantxoutset", ["abort"], context=scanning, result=False),
    Case("scantxoutset", ["abort"], context=during(40), result=True),
    Case("scantxoutset", ["start"], context=scanning, error=INVALID_PARAMETER, says="scanobjects argument is required"),
    Case(
        "scantxoutset", ["start", [DESCRIPTOR]], context=during(1), error=INVALID_PARAMETER, says="already in progress"
    ),
    Case("scantxoutset", ["start", ["addr(x)"]], context=scanning, error=INVALID_ADDRESS_OR_KEY),
    Case("scantxoutset", ["start", [{}]], context=scanning, error=INVALID_PARAMETER, says="Descriptor needs"),
    Case(
        "scantxoutset", ["start", [{"desc": DESCRIPTOR, "range": [5, 2]}]], error=INVALID_PARAMETER, says="begin after"
    ),
    Case(
        "scantxoutset",
        ["start", [{"desc": DESCRIPTOR, "range": [-1, 2]}]],
        error=INVALID_PARAMETER,
        says="equal than 0",
    ),
    Case("scantxoutset", ["start", [{"desc": DESCRIPTOR, "range": 2**31}]], error=INVALID_PARAMETER, says="too high"),
    Case("scantxoutset", ["start", [{"desc": DESCRIPTOR, "range": 10**6}]], error=INVALID_PARAMETER, says="too large"),
    Case("scantxoutset", ["start", [DESCRIPTOR]], context=failing(ABORTED), error=MISC_ERROR, says="aborted"),
    Case("scantxoutset", ["start", [DESCRIPTOR]], context=failing(ValueError()), error=MISC_ERROR, says="More than"),
    Case("scantxoutset", ["frob"], error=INVALID_PARAMETER),
    Case("gettxoutproof", lambda node: [[archived(node)]], result=lambda found: len(found) > 702),
    Case("gettxoutproof", lambda node: [[archived(node)], tip(node)], result=lambda found: len(found) > 702),
    Case("gettxoutproof", [[]], error=INVALID_PARAMETER, says="cannot be empty"),
    Case("gettxoutproof", [[NOWHERE, NOWHERE]], error=INVALID_PARAMETER, says=f"duplicated txid: {NOWHERE}"),
    Case("gettxoutproof", [[NOWHERE]], error=INVALID_ADDRESS_OR_KEY, says="not yet in block"),
    Case("gettxoutproof", lambda node: [[archived(node)], first(node)], error=INVALID_ADDRESS_OR_KEY, says="Not all"),
    Case("gettxoutproof", lambda node: [[archived(node)], NOWHERE], error=INVALID_ADDRESS_OR_KEY, says="Block not"),
    Case("gettxoutproof", lambda node: [[archived(node)]], node=pruned, error=MISC_ERROR),
    Case("verifytxoutproof", lambda node: [proof(node)], result=lambda found: len(found) == 1 and len(found[0]) == 64),
    Case("verifytxoutproof", lambda node: [spoilt(node)], result=[]),
    Case("verifytxoutproof", ["00"], error=DESERIALIZATION_ERROR, says="Proof decode failed"),
    Case("verifytxoutproof", lambda node: [proof(node)[:-2]], error=DESERIALIZATION_ERROR),
    Case(
        "verifytxoutproof",
        lambda node: ["02" + proof(node)[2:]],
        error=INVALID_ADDRESS_OR_KEY,
        says="not found in chain",
    ),
]

"""Cases of ``methods_addresses``."""

from __future__ import annotations

from tests.rpc.cases import Case
from tests.rpc.fake_addresses import ADDRESS, building, indexed, overwhelmed
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, METHOD_NOT_FOUND, MISC_ERROR, TYPE_ERROR

QUERY = {"addresses": [ADDRESS]}
READS = ("getaddressbalance", "getaddressdeltas", "getaddresstxids", "getaddressutxos")

CASES = [
    Case(
        "getaddressbalance",
        [QUERY],
        context=indexed,
        result={
            "balance": 5,
            "balance_immature": 0,
            "balance_spendable": 0,
            "received": 7,
            "transactions": 2,
            "pending": {"received": 0, "spent": 0},
            "certified": {"received": 0, "spent": 0},
            "final": {"received": 3, "spent": 5},
        },
    ),
    Case("getaddressbalance", [ADDRESS], context=indexed, result=lambda found: found["balance"] == 5),
    Case("getaddresstxids", [QUERY], context=indexed, result=["07" * 32, "06" * 32]),
    Case("getaddresstxids", [{**QUERY, "start": 2, "end": 9}], context=indexed, result=["06" * 32]),
    Case(
        "getaddresstxids",
        [{**QUERY, "start": 9, "end": 2}],
        context=indexed,
        error=INVALID_ADDRESS_OR_KEY,
        says="greater",
    ),
    Case(
        "getaddressdeltas",
        [QUERY],
        context=indexed,
        result=lambda found: [each["satoshis"] for each in found] == [7, -2],
    ),
    Case("getaddressdeltas", [{**QUERY, "start": "x"}], context=indexed, error=TYPE_ERROR),
    Case(
        "getaddressutxos",
        [QUERY],
        context=indexed,
        result=lambda found: (
            [(each["satoshis"], each["status"], each["height"]) for each in found]
            == [(5, "archived", 1), (3, "final", -1)]
            and found[0]["spent_by"] == "05" * 32
            and "spent_by" not in found[1]
        ),
    ),
    Case(
        "getaddressmempool",
        [QUERY],
        context=indexed,
        result=lambda found: [(each["satoshis"], each["status"]) for each in found] == [(-2, "final")],
    ),
    Case("getaddressmempool", ["x"], context=indexed, error=INVALID_ADDRESS_OR_KEY),
    Case("getaddressmempool", [QUERY], error=METHOD_NOT_FOUND, says="address_index = yes"),
    *[Case(name, [QUERY], error=METHOD_NOT_FOUND) for name in READS],
    *[
        Case(name, [{"addresses": ["x"]}], context=indexed, error=INVALID_ADDRESS_OR_KEY, says="Invalid address")
        for name in READS
    ],
    *[Case(name, [{"addresses": []}], context=indexed, error=TYPE_ERROR) for name in READS],
    *[Case(name, [QUERY], context=building, error=MISC_ERROR, says="block 0 of 1") for name in READS],
    *[Case(name, [QUERY], context=overwhelmed, error=MISC_ERROR) for name in READS[1:]],
]

"""Cases of ``methods_mempool`` and ``methods_fees``."""

from __future__ import annotations

from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.chain import NOWHERE
from tests.rpc.fake_node import FakeNode
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import split_outpoint
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, MISC_ERROR
from timecoin.rpc.facade import PoolStats


def parent(node: FakeNode) -> str:
    return display(node.parent.txid)


def child(node: FakeNode) -> str:
    return display(node.child.txid)


def spent(node: FakeNode) -> dict[str, Any]:
    txid, n = split_outpoint(node.parent.outpoints()[0])
    return {"txid": display(txid), "vout": n}


def crowded(node: FakeNode) -> None:
    """10 MB wait, each payment of 1,000 vbytes; the first of them pay most."""
    node.pool_stats = PoolStats(10_000, 10_000_000, 10_000_000, 10_000_000, 1 << 28, 10**9, 100)
    node.rates = [(1_000_000 - n, 1_000) for n in range(10_000)]


def rivalled(node: FakeNode) -> None:
    """Another spender of its coin is nearer to final than the child."""
    node.standing_back = {node.child.txid}


def full(node: FakeNode) -> None:
    node.pool_stats = PoolStats(2, 444, 282, 5_332, 1 << 20, 56_800, 250)


CASES = [
    Case(
        "getmempoolinfo",
        result=lambda info: (
            (str(info["mempoolminfee"]), str(info["minrelaytxfee"])) == ("0.00100000",) * 2
            and info["incrementalrelayfee"] == info["minrelaytxfee"]
            # As Core's, virtual sizes: explorers add up those of getmempoolentry and compare.
            and info["bytes"] == 282
        ),
    ),
    Case("getmempoolinfo", node=full, result=lambda info: info["mempoolminfee"] > info["minrelaytxfee"]),
    Case("getrawmempool", result=lambda txids: len(txids) == 2 and txids == sorted(txids)),
    # Who reads pools of bitcoind relies on it that no coin is spent twice in them; ElectrumX ends otherwise.
    Case("getrawmempool", node=rivalled, result=lambda txids: len(txids) == 1),
    Case("getrawmempool", [True], node=rivalled, result=lambda pool: len(pool) == 1),
    Case(
        "getrawmempool",
        [True],
        result=lambda pool: sorted(each["status"] for each in pool.values()) == ["certified", "pending"],
    ),
    Case(
        "getrawmempool", [False, True], result=lambda found: found["mempool_sequence"] == 8 and len(found["txids"]) == 2
    ),
    Case("getrawmempool", [True, True], error=INVALID_PARAMETER, says="cannot contain mempool sequence"),
    Case(
        "getmempoolentry",
        lambda node: [parent(node)],
        result=lambda entry: (
            (entry["descendantcount"], entry["ancestorcount"], len(entry["spentby"])) == (2, 1, 1)
            and str(entry["fees"]["descendant"]) == "0.00056800"
        ),
    ),
    Case("getmempoolentry", [NOWHERE], error=INVALID_ADDRESS_OR_KEY, says="Transaction not in mempool"),
    Case("getmempoolancestors", lambda node: [child(node)], result=lambda found: len(found) == 1),
    Case("getmempoolancestors", lambda node: [parent(node)], result=[]),
    Case(
        "getmempoolancestors",
        lambda node: [child(node), True],
        result=lambda found: [each["descendantcount"] for each in found.values()] == [2],
    ),
    Case("getmempoolancestors", [NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case("getmempooldescendants", lambda node: [parent(node)], result=lambda found: len(found) == 1),
    Case("getmempooldescendants", lambda node: [parent(node), True], result=lambda found: len(found) == 1),
    Case("getmempooldescendants", [NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case(
        "gettxspendingprevout", lambda node: [[spent(node)]], result=lambda found: len(found[0]["spendingtxid"]) == 64
    ),
    Case(
        "gettxspendingprevout",
        lambda node: [[spent(node)], {"return_spending_tx": True, "mempool_only": False}],
        result=lambda found: found[0]["spendingtx"].startswith("02000000"),
    ),
    Case("gettxspendingprevout", [[{"txid": NOWHERE, "vout": 0}]], result=[{"txid": NOWHERE, "vout": 0}]),
    Case(
        "gettxspendingprevout",
        [[{"txid": NOWHERE, "vout": 0}], {"mempool_only": False}],
        error=MISC_ERROR,
        says="txospenderindex is unavailable",
    ),
    Case("gettxspendingprevout", [[]], error=INVALID_PARAMETER, says="outputs are missing"),
    Case("gettxspendingprevout", [[{"txid": NOWHERE, "vout": -1}]], error=INVALID_PARAMETER, says="cannot be negative"),
    Case("estimatesmartfee", [6], result=lambda fee: (str(fee["feerate"]), fee["blocks"]) == ("0.00100000", 6)),
    Case("estimatesmartfee", [1], result=lambda fee: str(fee["feerate"]) == "0.00100000"),
    Case("estimatesmartfee", [1, "ECONOMICAL"], node=crowded, result=lambda fee: fee["feerate"] * 10**8 == 998_001),
    Case("estimatesmartfee", [1, "conservative"], node=crowded, result=lambda fee: fee["feerate"] * 10**8 > 998_001),
    Case("estimatesmartfee", [6], node=crowded, result=lambda fee: fee["feerate"] * 10**8 == 10**5),
    Case("estimatesmartfee", [0], error=INVALID_PARAMETER, says="Invalid conf_target, must be between 1 and 1008"),
    Case("estimatesmartfee", [6, "frob"], error=INVALID_PARAMETER, says="Invalid estimate_mode parameter"),
    Case("estimaterawfee", [6], result=lambda found: set(found) == {"short", "medium", "long"}),
    Case("estimaterawfee", [30, 0.5], result=lambda found: set(found) == {"medium", "long"}),
    Case("estimaterawfee", [2000], error=INVALID_PARAMETER),
]

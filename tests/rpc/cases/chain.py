"""Cases of ``methods_chain``, ``methods_chain_stats``, ``methods_waiting`` and ``methods_mining``."""

from __future__ import annotations

from typing import Any

from tests.rpc.cases import Case
from tests.rpc.fake_node import NETWORK, FakeNode, pay
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import display
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, MISC_ERROR

NOWHERE = "ab" * 32
RATE = 28_400 * 4 // pay(2).weight
VALUE = NETWORK.genesis.allocations[NETWORK.funds[2].vout].value


def tip(node: FakeNode) -> str:
    return display(node.blocks[1].header.hash)


def first(node: FakeNode) -> str:
    return display(node.blocks[0].header.hash)


def pruned(node: FakeNode) -> None:
    node.base = 2


def _blockchaininfo(info: dict[str, Any]) -> bool:
    return (
        (info["chain"], info["network"]) == ("regtest", "devnet")
        and (info["difficulty"], info["bits"]) == (1, "1d00ffff")
        and int(info["chainwork"], 16) == 2
        and info["warnings"] == []
        and "pruneheight" not in info
    )


def _transactions(verbosity: int) -> Any:
    def check(block: dict[str, Any]) -> None:
        coinbase, payment = block["tx"]
        assert block["chainlock"] and block["nTx"] == len(block["tx"])
        assert "fee" not in coinbase and "coinbase" in coinbase["vin"][0]
        assert str(payment["fee"]) == "0.00028400", payment["fee"]
        assert payment["instantlock"] and payment["chainlock"]
        spent = payment["vin"][0]
        assert ("prevout" in spent) == (verbosity > 2)
        assert len(spent["txinwitness"]) == 2
        if verbosity > 2:
            assert spent["prevout"]["generated"] and spent["prevout"]["height"] == 0
            assert spent["prevout"]["scriptPubKey"]["address"].startswith("timed1")

    return check


def _stats(stats: dict[str, Any]) -> None:
    assert (stats["height"], stats["txs"], stats["ins"], stats["outs"]) == (
        1,
        2,
        1,
        len(NETWORK.genesis.allocations) + 2,
    )
    assert stats["totalfee"] == stats["avgfee"] == stats["minfee"] == 28_400
    assert stats["avgfeerate"] == RATE and stats["feerate_percentiles"] == [RATE] * 5
    assert stats["total_out"] == VALUE - 28_400 and stats["subsidy"] == 0
    assert stats["swtxs"] == 1 and stats["total_size"] == stats["swtotal_size"] == stats["maxtxsize"]


CASES = [
    Case("getblockchaininfo", result=_blockchaininfo),
    Case("getblockchaininfo", node=pruned, result=lambda info: info["pruned"] and info["pruneheight"] == 2),
    Case("getbestblockhash", result=lambda found: len(found) == 64),
    Case("getblockcount", result=1),
    Case("getdifficulty", result=1),
    Case("getchaintips", result=lambda tips: [(each["height"], each["status"]) for each in tips] == [(1, "active")]),
    Case("getblockhash", [0]),
    Case("getblockhash", {"height": 1}),
    Case("getblockhash", [2], error=INVALID_PARAMETER, says="Block height out of range"),
    Case("getblockhash", [-1], error=INVALID_PARAMETER),
    Case("getblockhash", [0], node=pruned, error=MISC_ERROR, says="pruned data"),
    Case(
        "getblock", lambda node: [tip(node), 0], result=lambda raw: Header.decode(bytes.fromhex(raw)[:351]).height == 1
    ),
    Case("getblock", lambda node: [tip(node), False], result=lambda raw: isinstance(raw, str)),
    Case("getblock", lambda node: [tip(node)], result=lambda block: len(block["tx"][1]) == 64 and block["chainlock"]),
    Case(
        "getblock", lambda node: {"blockhash": tip(node), "verbose": True}, result=lambda block: len(block["tx"]) == 2
    ),
    Case("getblock", lambda node: [tip(node), 2], result=_transactions(2)),
    Case("getblock", lambda node: [tip(node), 3], result=_transactions(3)),
    Case("getblock", [NOWHERE], error=INVALID_ADDRESS_OR_KEY, says="Block not found"),
    Case("getblock", lambda node: [tip(node)], node=pruned, error=MISC_ERROR),
    Case(
        "getblockheader",
        lambda node: [first(node)],
        result=lambda header: (
            header["nonce"] == 0 and len(header["target"]) == 64 and "previousblockhash" not in header
        ),
    ),
    Case("getblockheader", lambda node: [tip(node), False], result=lambda raw: len(raw) == 702),
    Case("getblockheader", [NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case("getblockheader", lambda node: [tip(node)], node=pruned, error=MISC_ERROR),
    Case("getblockstats", [1], result=_stats),
    Case("getblockstats", lambda node: [tip(node), ["txs", "height"]], result={"height": 1, "txs": 2}),
    Case("getblockstats", [0], result=lambda stats: stats["subsidy"] == 10_000_000_000 and stats["ins"] == 0),
    Case("getblockstats", [2], error=INVALID_PARAMETER, says="Target block height 2 after current tip 1"),
    Case("getblockstats", [-1], error=INVALID_PARAMETER, says="is negative"),
    Case("getblockstats", [1, ["frob"]], error=INVALID_PARAMETER, says="Invalid selected statistic 'frob'"),
    Case("getblockstats", [NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case("getblockstats", [1], node=lambda node: setattr(node, "base", 1), error=MISC_ERROR, says="Coins that"),
    Case("getchaintxstats", result=lambda it: it["txcount"] == 3 and it["window_block_count"] == 0),
    Case("getchaintxstats", lambda node: [0, first(node)], result=lambda it: it["txcount"] == 1),
    Case("getchaintxstats", [0], node=lambda node: setattr(node, "base", 1), result=lambda it: "txcount" not in it),
    Case("getchaintxstats", [1], error=INVALID_PARAMETER, says="Invalid block count"),
    Case("getchaintxstats", [0, NOWHERE], error=INVALID_ADDRESS_OR_KEY),
    Case("getchaintxstats", [0], node=pruned, error=MISC_ERROR),
    Case("waitfornewblock", [50], advance=0.05, result=lambda place: place["height"] == 1),
    Case("waitfornewblock", {"timeout": 50, "current_tip": NOWHERE}, result=lambda place: place["height"] == 1),
    Case("waitfornewblock", [-1], error=MISC_ERROR, says="Negative timeout"),
    Case("waitforblock", lambda node: [tip(node)], result=lambda place: place["height"] == 1),
    Case("waitforblock", [NOWHERE, 50], advance=0.05, result=lambda place: place["height"] == 1),
    Case("waitforblock", [NOWHERE, -1], error=MISC_ERROR),
    Case("waitforblockheight", [1], result=lambda place: place["height"] == 1),
    Case("waitforblockheight", [2, 50], advance=0.05, result=lambda place: place["height"] == 1),
    Case("waitforblockheight", [2, -1], error=MISC_ERROR),
    Case("getmininginfo", result=lambda info: info["networkhashps"] == 0 and info["pooledtx"] == 2),
    Case("getnetworkhashps", result=0),
    Case("getnetworkhashps", [1008], result=0),
    Case("getnetworkhashps", [0], error=INVALID_PARAMETER),
    Case("getnetworkhashps", [1, 9], error=INVALID_PARAMETER, says="Block does not exist at specified height"),
    Case("getdeploymentinfo", result=lambda info: info["height"] == 1 and info["deployments"] == {}),
    Case("getdeploymentinfo", lambda node: [first(node)], result=lambda info: info["height"] == 0),
    Case("getdeploymentinfo", [NOWHERE], error=INVALID_ADDRESS_OR_KEY),
]

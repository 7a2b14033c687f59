"""The RPC methods about chain, pool, network, fees and addresses against real nodes: live data in declared forms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.functional.load import BACKEND, Wallet, script_of
from tests.functional.support import Devnet, FunctionalCase, Node, until
from tests.rpc.cases import check_result
from timecoin.cli.payment import PAYMENT_VBYTES, OwnedCoin, make_payment
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, make_outpoint
from timecoin.rpc.client import RpcFailure
from timecoin.rpc.methods import all_methods

EPOCH_SECONDS = 4
RATE = 200
FEE = RATE * PAYMENT_VBYTES
SHOWN_FEE = Decimal(FEE) / COIN
METHODS = all_methods()


class Live:
    """Calls to a node whose answers are held against their schemas."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.called: set[str] = set()

    async def __call__(self, method: str, *params: Any) -> Any:
        found = await self.node.call(method, *params)
        check_result(METHODS[method], found)
        self.called.add(method)
        return found


class LiveTests(FunctionalCase):
    async def test_every_method(self) -> None:
        net = self.devnet(2, EPOCH_SECONDS, funds=8)
        for node in net.nodes:
            text = node.files.config.read_text() + "\n[storage]\naddress_index = yes\n"
            node.files.config.write_text(text)
        await net.up()
        call = Live(net.nodes[0])
        parent, child, owner = family(net)
        await self.before(call, parent, child)
        results = await call("submitpackage", [parent.raw.hex(), child.raw.hex()])
        self.assertEqual(results["package_msg"], "success")
        await self.in_the_pool(call, parent, child, owner)
        await until(lambda: archived(net.nodes[0], child), "the child is archived", 30)
        await self.in_the_chain(call, parent, child, owner)
        await self.chain(call)
        await self.network(call, net)
        self.assertEqual(WANTED - call.called, set())
        await self.index_after_kill(net, owner)

    async def before(self, call: Live, parent: Transaction, child: Transaction) -> None:
        judged = await call("testmempoolaccept", [parent.raw.hex(), child.raw.hex()])
        self.assertEqual([each["allowed"] for each in judged], [True, True])
        [alone] = await call("testmempoolaccept", [child.raw.hex()])
        self.assertEqual(alone["reject-reason"], "missing-inputs")
        await call("decoderawtransaction", parent.raw.hex())
        fee = await call("estimatesmartfee", 6, "CONSERVATIVE")
        self.assertEqual(fee["feerate"], Decimal("0.001"))
        await call("estimaterawfee", 6)

    async def in_the_pool(self, call: Live, parent: Transaction, child: Transaction, owner: bytes) -> None:
        where = address.encode(script_of(owner), "timed")
        txids = display(parent.txid), display(child.txid)
        listed = await call("getrawmempool")
        if not set(txids) <= set(listed):
            return  # an epoch closed meanwhile
        self.assertEqual((await call("getrawmempool", True))[txids[1]]["depends"], [txids[0]])
        await call("getmempoolentry", txids[0])
        self.assertEqual(await call("getmempoolancestors", txids[1]), [txids[0]])
        self.assertEqual(await call("getmempooldescendants", txids[0]), [txids[1]])
        [spending] = await call("gettxspendingprevout", [{"txid": txids[0], "vout": 0}], {"mempool_only": False})
        self.assertEqual(spending["spendingtxid"], txids[1])
        shown = await call("getrawtransaction", txids[1], 2)
        self.assertEqual((shown["fee"], shown["vin"][0]["prevout"]["value"]), (SHOWN_FEE, Decimal(1)))
        await call("getmempoolinfo")
        changes = await call("getaddressmempool", {"addresses": [where]})
        self.assertEqual(len(changes), 2)

    async def in_the_chain(self, call: Live, parent: Transaction, child: Transaction, owner: bytes) -> None:
        txid, where = display(child.txid), address.encode(script_of(owner), "timed")
        shown = await call("getrawtransaction", txid, 2)
        self.assertTrue(shown["instantlock"] and shown["chainlock"])
        self.assertEqual(shown["fee"], SHOWN_FEE)
        block = shown["blockhash"]
        whole = await call("getblock", block, 3)
        self.assertIn(txid, [tx["txid"] for tx in whole["tx"]])
        self.assertEqual([tx["fee"] for tx in whole["tx"][1:]], [SHOWN_FEE] * len(whole["tx"][1:]))
        for verbosity in (0, 1, 2, False, True):
            await call("getblock", block, verbosity)
        stats = await call("getblockstats", block)
        self.assertEqual((stats["totalfee"], stats["ins"]), (FEE * (stats["txs"] - 1), stats["txs"] - 1))
        self.assertEqual(stats["subsidy"] > 0, whole["closing"])
        proof = await call("gettxoutproof", [txid])
        self.assertEqual(await call("verifytxoutproof", proof), [txid])
        coin = await call("gettxout", txid, 0)
        self.assertEqual(coin["value"], Decimal("0.5"))
        balance = await call("getaddressbalance", {"addresses": [where]})
        self.assertEqual((balance["balance"], balance["transactions"]), (COIN - FEE, 2))
        self.assertEqual(
            await call("getaddresstxids", where), [display(parent.txid), txid][:: self.order(parent, child, whole)]
        )
        await call("getaddressdeltas", where)
        unspent = await call("getaddressutxos", where)
        self.assertEqual({(each["txid"], each["status"]) for each in unspent}, {(txid, "archived")})
        found = await call("scantxoutset", "start", [f"addr({where})"])
        self.assertEqual([each["txid"] for each in found["unspents"]], [txid, txid])
        await call("scantxoutset", "status")

    def order(self, parent: Transaction, child: Transaction, block: dict[str, Any]) -> int:
        """Transactions of one block stand in the order of their txids."""
        together = display(parent.txid) in [tx["txid"] for tx in block["tx"]]
        return -1 if together and display(child.txid) < display(parent.txid) else 1

    async def chain(self, call: Live) -> None:
        info = await call("getblockchaininfo")
        self.assertEqual((info["chain"], info["network"]), ("regtest", "devnet"))
        height = await call("getblockcount")
        waited = await call("waitfornewblock", 15_000)
        self.assertGreater(waited["height"], height - 1)
        await call("waitforblockheight", height, 1_000)
        await call("waitforblock", waited["hash"], 1)
        header = await call("getblockheader", await call("getblockhash", height))
        self.assertEqual(header["height"], height)
        stats = await call("getchaintxstats")
        self.assertGreater(stats["txcount"], height)
        figures = await call("gettxoutsetinfo")
        self.assertEqual(figures["txouts"] > 0, True)
        total = figures["total_amount"]
        self.assertLessEqual(total, (await call("getblockchaininfo"))["supply"])
        for method in ("getbestblockhash", "getdifficulty", "getchaintips", "getmininginfo", "getnetworkhashps"):
            await call(method)
        for method in ("getdeploymentinfo", "getmemoryinfo", "logging", "getrpcinfo", "uptime"):
            await call(method)
        indexes = await call("getindexinfo")
        self.assertEqual({name for name, state in indexes.items() if state["synced"]}, {"txindex", "addressindex"})

    async def network(self, call: Live, net: Devnet) -> None:
        [peer] = await call("getpeerinfo")
        self.assertEqual((peer["node_id"], peer["connection_type"] != ""), (net.files.nodes[1].node_id, True))
        self.assertEqual(sum(peer["bytesrecv_per_msg"].values()), peer["bytesrecv"])
        for method in ("getnetworkinfo", "getconnectioncount", "getnettotals", "ping", "getaddednodeinfo"):
            await call(method)
        for method in ("getnodeaddresses", "getaddrmaninfo", "listbanned"):
            await call(method)
        with self.assertRaises(RpcFailure) as caught:
            await call("addnode", peer["addr"], "remove")
        self.assertEqual(caught.exception.code, -24)
        await call("setban", peer["node_id"], "add", 600)
        await until(lambda: alone(net.nodes[0]), "the banned peer is gone", 10)
        [ban] = await call("listbanned")
        self.assertEqual(ban["address"], peer["node_id"])
        await call("clearbanned")
        await until(lambda: connected(net.nodes[0]), "the peer is back", 20)
        self.assertFalse(await call("setnetworkactive", False))
        await until(lambda: alone(net.nodes[0]), "nobody is connected", 10)
        self.assertTrue(await call("setnetworkactive", True))
        await until(lambda: connected(net.nodes[0]), "the peer is back", 20)
        [peer] = await call("getpeerinfo")
        await call("disconnectnode", "", peer["id"])
        await until(lambda: connected(net.nodes[0]), "the peer is back", 20)

    async def index_after_kill(self, net: Devnet, owner: bytes) -> None:
        node, where = net.nodes[0], address.encode(script_of(owner), "timed")
        node.kill()
        await until(lambda: not node.runs, "it is dead", 10)
        node.start()
        await node.answers()
        balance = await until(lambda: node.call("getaddressbalance", where), "the index is there", 20)
        self.assertEqual(balance["balance"], COIN - FEE)


WANTED = {
    name
    for name, method in METHODS.items()
    if method.category in ("Addressindex", "Blockchain", "Mining", "Network", "Rawtransactions")
    and method.call.__module__.rpartition(".")[2]
    in {
        "methods_addresses",
        "methods_chain",
        "methods_chain_stats",
        "methods_coins",
        "methods_mining",
        "methods_package",
        "methods_txoutproof",
        "methods_waiting",
    }
}


def family(net: Devnet) -> tuple[Transaction, Transaction, bytes]:
    """A payment of 1 TIME to a key of its own, one of that coin to itself, and the key."""
    owner = b"\x07" * 32
    coin = Wallet(net).take()
    parent = make_payment(coin, script_of(owner), COIN, RATE, BACKEND)
    made = OwnedCoin(make_outpoint(parent.txid, 0), COIN, owner)
    return parent, make_payment(made, script_of(owner), COIN // 2, RATE, BACKEND), owner


async def archived(node: Node, tx: Transaction) -> bool:
    return await node.status(display(tx.txid)) == "archived"


async def alone(node: Node) -> bool:
    return await node.call("getconnectioncount") == 0


async def connected(node: Node) -> bool:
    return await node.call("getconnectioncount") > 0

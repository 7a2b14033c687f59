"""ElectrumX indexes a devnet, follows its pool and sends payments, as an rpcauth user (e-x 2.0)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol

from tests.functional.clients.electrum import Electrum, scripthash
from tests.functional.load import Wallet, pay, script_of
from tests.functional.support import FunctionalCase, is_free, until
from timecoin.primitives.hashes import display
from timecoin.rpc.auth import Salted

reactor: Any = _reactor
PASSWORD = "electrumx-and-nobody-else"
METHODS = (
    "estimatesmartfee,getbestblockhash,getblock,getblockchaininfo,getblockcount,getblockhash,getblockheader,getindexinfo,"
    "getmempoolinfo,getnetworkinfo,getrawmempool,getrawtransaction,gettxspendingprevout,sendrawtransaction,submitpackage,"
    "testmempoolaccept"
)


class ElectrumXTests(FunctionalCase):
    async def test_it_indexes_follows_and_sends(self) -> None:
        net = self.devnet(4, 6)
        user = Salted.make("electrumx", PASSWORD)
        config = net.nodes[0].files.config
        text = config.read_text(encoding="utf-8")
        lines = f"auth = {user}\nwhitelist = electrumx:{METHODS}\nwhitelist_default = no\n"
        config.write_text(text.replace("[rpc]\n", f"[rpc]\n{lines}"), encoding="utf-8")
        await net.up()
        wallet = Wallet(net)
        first, second = wallet.take(), wallet.take()
        archived = pay(first, b"\1" * 32)
        await net.nodes[1].call("sendrawtransaction", archived.raw.hex())
        await until(lambda: self._is(net.nodes[0], archived.txid, "archived"), "the first payment is archived")
        electrum = await self._electrumx(net)

        # Indexed: the coins of block 0 and what was paid since.
        balance = await electrum.call("blockchain.scripthash.get_balance", scripthash(script_of(b"\1" * 32)))
        self.assertEqual(balance, {"confirmed": archived.outputs[0].value, "unconfirmed": 0})
        funds = await electrum.call("blockchain.scripthash.get_balance", scripthash(script_of(second.secret)))
        self.assertEqual(funds["confirmed"], second.value)
        history = await electrum.call("blockchain.scripthash.get_history", scripthash(script_of(first.secret)))
        self.assertEqual([each["tx_hash"] for each in history][-1], display(archived.txid))
        merkle = await electrum.call("blockchain.transaction.get_merkle", display(archived.txid), history[-1]["height"])
        self.assertEqual(merkle["block_height"], history[-1]["height"])

        # Sent by it, and seen by it before a block holds it.
        await electrum.call("blockchain.scripthash.subscribe", scripthash(script_of(b"\2" * 32)))
        sent = pay(second, b"\2" * 32)
        txid = await electrum.call("blockchain.transaction.broadcast", sent.raw.hex())
        self.assertEqual(txid, display(sent.txid))
        await until(lambda: electrum.noted, "the subscriber is told of the payment")
        shown = await electrum.call("blockchain.transaction.get", txid, True)
        self.assertEqual((shown["txid"], shown["instantlock"]), (txid, True))
        rival = pay(second, b"\3" * 32)
        failure = await self._failure(electrum.call("blockchain.transaction.broadcast", rival.raw.hex()))
        self.assertRegex(failure, "txn-(double-spend|mempool-conflict)")

        # Fees, as wallets ask for them.
        self.assertEqual(await electrum.call("blockchain.relayfee"), 0.001)
        self.assertGreaterEqual(await electrum.call("blockchain.estimatefee", 2), 0.001)

        # And through a block.
        await until(lambda: self._is(net.nodes[0], sent.txid, "archived"), "the second payment is archived")

        async def confirmed() -> bool:
            found = await electrum.call("blockchain.scripthash.get_balance", scripthash(script_of(b"\2" * 32)))
            return bool(found == {"confirmed": sent.outputs[0].value, "unconfirmed": 0})

        await until(confirmed, "it is indexed as confirmed", 40)

    async def _is(self, node: Any, txid: bytes, status: str) -> bool:
        return await node.status(display(txid)) == status

    async def _failure(self, answer: Any) -> str:
        try:
            await answer
        except Exception as problem:
            return str(problem)
        raise AssertionError("it was taken")

    async def _electrumx(self, net: Any) -> Electrum:
        node = net.nodes[0]
        port = next(port for port in range(33_000, 34_000) if is_free(port) and is_free(port + 1))
        database = self.directory()
        genesis = await node.call("getblockhash", 0)
        child = self.run_child(
            sys.executable,
            "-m",
            "tests.functional.clients.electrumx_server",
            cwd=Path(__file__).parents[3],
            GENESIS_HASH=genesis,
            DB_DIRECTORY=str(database),
            DB_ENGINE="leveldb",
            DAEMON_URL=f"http://electrumx:{PASSWORD}@127.0.0.1:{node.files.rpc_port}/",
            SERVICES=f"tcp://127.0.0.1:{port},rpc://127.0.0.1:{port + 1}",
            PEER_DISCOVERY="off",
            ALLOW_ROOT="1",
            COST_SOFT_LIMIT="0",
            COST_HARD_LIMIT="0",
            DAEMON_POLL_INTERVAL_BLOCKS="300",
            DAEMON_POLL_INTERVAL_MEMPOOL="300",
        )

        async def connected() -> Electrum | None:
            assert child.status is None, child.text[-3000:]
            try:
                return await connectProtocol(HostnameEndpoint(reactor, b"127.0.0.1", port), Electrum())
            except Exception:
                return None

        electrum = await until(connected, "ElectrumX serves", 60)
        self.addCleanup(electrum.transport.abortConnection)
        await electrum.call("server.version", "test", "1.4")
        return electrum

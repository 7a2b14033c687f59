"""python-bitcoinrpc 1.0 and python-bitcoinlib 0.12 as their users use them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import bitcoin
import bitcoin.rpc
from bitcoin.core import (
    COIN,
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
    CTxWitness,
    b2lx,
    lx,
    x,
)
from bitcoin.core import CTxInWitness as InputWitness
from bitcoin.core.script import (
    OP_CHECKSIG,
    OP_DUP,
    OP_EQUALVERIFY,
    OP_HASH160,
    SIGHASH_ALL,
    SIGVERSION_WITNESS_V0,
    CScript,
    CScriptWitness,
    SignatureHash,
)
from bitcoin.wallet import CBech32BitcoinAddress, CBitcoinSecret, P2WPKHBitcoinAddress
from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException
from twisted.internet.threads import deferToThread

from tests.functional.load import Wallet, pay, script_of
from tests.functional.support import Devnet, FunctionalCase, Node, until
from timecoin.ledger.first import first_block
from timecoin.primitives.hashes import display
from timecoin.rpc.cookie import read_cookie

T = TypeVar("T")


class DevnetParams(bitcoin.RegTestParams):
    """What python-bitcoinlib has to know of the devnet."""

    BECH32_HRP = "timed"
    BASE58_PREFIXES: ClassVar[dict[str, int]] = {"PUBKEY_ADDR": 111, "SCRIPT_ADDR": 196, "SECRET_KEY": 239}


def url_of(node: Node) -> str:
    """The node's address with the cookie's password, as these libraries want it."""
    return f"http://{read_cookie(node.files.cookie)}@127.0.0.1:{node.files.rpc_port}"


class PythonClientTests(FunctionalCase):
    async def aside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Both libraries block."""
        found: T = await deferToThread(work, *arguments)
        return found

    async def test_python_bitcoinrpc(self) -> None:
        net = self.devnet(1, 4)
        await net.up()
        coin = Wallet(net).take()
        payment = pay(coin, b"\1" * 32)
        await self.aside(self._bitcoinrpc, net, payment.raw.hex(), display(payment.txid))

    def _bitcoinrpc(self, net: Devnet, raw: str, txid: str) -> None:
        node = AuthServiceProxy(url_of(net.nodes[0]), timeout=30)
        info = node.getblockchaininfo()
        self.assertEqual(info["chain"], "regtest")
        self.assertEqual(node.getblockhash(0), display(first_block(net.genesis).block.header.hash))
        self.assertEqual(node.decoderawtransaction(raw)["vout"][0]["value"], Decimal("1.00000000"))
        self.assertTrue(node.testmempoolaccept([raw])[0]["allowed"])
        self.assertEqual(node.sendrawtransaction(raw), txid)
        self.assertIn(node.waitforfinality(txid, 10_000)["status"], ("final", "archived"))
        with self.assertRaises(JSONRPCException) as caught:
            node.getblockhash(1_000_000)
        self.assertEqual((caught.exception.code, caught.exception.message), (-8, "Block height out of range"))
        with self.assertRaises(JSONRPCException) as caught:
            node.nosuchmethod()
        self.assertEqual(caught.exception.code, -32601)

    async def test_python_bitcoinlib(self) -> None:
        net = self.devnet(1, 4)
        await net.up()
        before = bitcoin.params, bitcoin.core.coreparams
        bitcoin.params = bitcoin.core.coreparams = DevnetParams()
        self.addCleanup(self._put_back, *before)
        coin = Wallet(net).take()
        txid = await self.aside(self._bitcoinlib, net.nodes[0], coin)
        await until(lambda: self._archived(net.nodes[0], txid), "the payment is archived")

    def _put_back(self, params: Any, coreparams: Any) -> None:
        bitcoin.params, bitcoin.core.coreparams = params, coreparams

    async def _archived(self, node: Node, txid: str) -> bool:
        return await node.status(txid) == "archived"

    def _bitcoinlib(self, node: Node, coin: Any) -> str:
        proxy = bitcoin.rpc.Proxy(service_url=url_of(node), timeout=30)
        # The coin as the library reads it.
        unspent = proxy.gettxout(COutPoint(coin.outpoint[:32], int.from_bytes(coin.outpoint[32:], "little")))
        self.assertEqual(unspent["txout"].nValue, coin.value)
        self.assertEqual(unspent["txout"].scriptPubKey, script_of(coin.secret))

        # Made, signed and sent by the library alone.
        key = CBitcoinSecret.from_secret_bytes(coin.secret)
        signed = self._signed(coin, key)
        txid = proxy.sendrawtransaction(signed)
        self.assertEqual(txid, signed.GetTxid())
        shown = b2lx(txid)
        self.assertIn(proxy.call("waitforfinality", shown, 10_000)["status"], ("final", "archived"))

        # And read back, byte for byte.
        again = proxy.getrawtransaction(txid)
        self.assertEqual(again.serialize(), signed.serialize())
        self.assertEqual(CTransaction.deserialize(x(proxy.call("getrawtransaction", shown))), signed)
        verbose = proxy.call("getrawtransaction", shown, 1)
        address = str(P2WPKHBitcoinAddress.from_scriptPubKey(CScript(script_of(b"\1" * 32))))
        self.assertEqual(verbose["vout"][0]["scriptPubKey"]["address"], address)
        self.assertEqual(lx(verbose["txid"]), txid)
        self.assertTrue(proxy.call("validateaddress", address)["isvalid"])
        self.assertEqual(CBech32BitcoinAddress(address).to_scriptPubKey(), script_of(b"\1" * 32))
        self.assertIn(proxy.getblockcount(), range(1_000))
        with self.assertRaises(bitcoin.rpc.JSONRPCError) as caught:
            proxy.call("getblock", "00" * 32)
        self.assertEqual(caught.exception.error["code"], -5)
        return str(shown)

    def _signed(self, coin: Any, key: CBitcoinSecret) -> CTransaction:
        outpoint = COutPoint(coin.outpoint[:32], int.from_bytes(coin.outpoint[32:], "little"))
        target = CMutableTxOut(COIN, CScript(script_of(b"\1" * 32)))
        change = CMutableTxOut(coin.value - COIN - 100_000, CScript(script_of(coin.secret)))
        made = CMutableTransaction([CMutableTxIn(outpoint)], [target, change], nVersion=2)
        code = CScript([OP_DUP, OP_HASH160, script_of(coin.secret)[2:], OP_EQUALVERIFY, OP_CHECKSIG])
        digest = SignatureHash(code, made, 0, SIGHASH_ALL, amount=coin.value, sigversion=SIGVERSION_WITNESS_V0)
        signature = key.sign(digest) + bytes([SIGHASH_ALL])
        made.wit = CTxWitness([InputWitness(CScriptWitness([signature, key.pub]))])
        return CTransaction.from_tx(made)

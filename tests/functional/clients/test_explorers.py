"""What web explorers made for bitcoind ask and read, against a real node: all of it is there, and it is true.

btc-rpc-explorer and mempool's backend cannot be had from a registry, so this makes their calls the way they make
them; ``explorer_fields`` lists what they read, ``independent`` reads the same chain with python-bitcoinlib.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any

from bitcoin.core import CTransaction
from twisted.internet.threads import deferToThread

from tests.functional.clients.explorer_fields import ALSO_CALLED, FIELDS, missing
from tests.functional.clients.independent import Chain, txid, vsize, weight, wtxid
from tests.functional.load import BACKEND, Wallet, change_of, pay, script_of
from tests.functional.support import Devnet, FunctionalCase, Node, until
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import multisig, op_return, p2wpkh_script_code, p2wsh
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.rpc.auth import Salted

USER, PASSWORD = "explorer", "long enough for a test"
EPOCH_SECONDS = 10
_NOT_METHODS = ("archived", "spending", "coinbase")
_COSIGNERS = [bytes([n]) * 32 for n in (11, 12, 13)]
_WITNESS_SCRIPT = multisig(2, [BACKEND.public_key(secret) for secret in _COSIGNERS])
_NOTE = b"hello, explorer"


class RpcError(Exception):
    """The node answered with an error; ``args`` are the HTTP status and the code."""


class Explorer:
    """Calls as an explorer makes them: an rpcauth user, one kept connection; ``modern``: JSON-RPC 2.0, as jayson."""

    def __init__(self, port: int, modern: bool) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)
        self._modern = {"jsonrpc": "2.0"} if modern else {}
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json; charset=utf-8"}

    def call(self, method: str, *params: Any) -> Any:
        """The result, decimals exact; raises RpcError."""
        body = json.dumps({**self._modern, "id": "17-1", "method": method, "params": params})
        self._connection.request("POST", "/", body, self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read() or b"null", parse_float=Decimal)
        if answer is None or answer.get("error"):
            raise RpcError(response.status, answer and answer["error"]["code"])
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def allow(node: Node) -> None:
    """An rpcauth user that may call what explorers call; the cookie's user goes on as before."""
    methods = [*(name for name in FIELDS if name not in _NOT_METHODS), *ALSO_CALLED]
    lines = [
        f"auth = {Salted.make(USER, PASSWORD)}",
        f"whitelist = {USER}:{','.join(methods)}",
        "whitelist_default = no",
    ]
    config = node.files.config
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("[masternode]", "\n".join([*lines, "", "[masternode]"])), encoding="utf-8")


def share(coin: OwnedCoin) -> Transaction:
    """To two of three cosigners, with a note."""
    change = coin.value - 10 * COIN - 50_000
    outputs = (
        TxOutput(10 * COIN, p2wsh(sha256(_WITNESS_SCRIPT))),
        TxOutput(0, op_return(_NOTE)),
        TxOutput(change, script_of(coin.secret)),
    )
    own = hash160(BACKEND.public_key(coin.secret))
    digest = Bip143(Transaction(2, (TxInput(coin.outpoint),), outputs)).digest(0, p2wpkh_script_code(own), coin.value)
    witness = (join_signature(BACKEND.sign(coin.secret, digest)), BACKEND.public_key(coin.secret))
    return Transaction(2, (TxInput(coin.outpoint, witness=witness),), outputs)


def together_spend(shared: Transaction) -> Transaction:
    """The first and the third cosigner spend what :func:`share` gave them."""
    outputs = (TxOutput(10 * COIN - 60_000, script_of(b"\1" * 32)),)
    unsigned = Transaction(2, (TxInput(shared.outpoint(0)),), outputs)
    digest = Bip143(unsigned).digest(0, _WITNESS_SCRIPT, 10 * COIN)
    signatures = [join_signature(BACKEND.sign(_COSIGNERS[n], digest)) for n in (0, 2)]
    return Transaction(2, (TxInput(shared.outpoint(0), witness=(b"", *signatures, _WITNESS_SCRIPT)),), outputs)


def units(amount: Decimal) -> int:
    """An amount of an answer in base units."""
    return int(amount * COIN)


class ExplorerTests(FunctionalCase):
    async def test_what_explorers_read_is_there_and_true(self) -> None:
        net = self.devnet(2, EPOCH_SECONDS)
        allow(net.nodes[0])
        await net.up()
        self.wallet = Wallet(net)
        shared = share(self.wallet.take())
        archived = [shared, together_spend(shared), *(self.wallet.payment() for _ in range(3))]
        for tx in archived:
            await net.nodes[0].call("sendrawtransaction", tx.raw.hex())
        await until(lambda: self._archived(net.nodes[0], archived), "all are archived")
        # From here on the chain stands still for nearly an epoch; three blocks give rates a window.
        await net.nodes[0].reaches(max(3, await net.nodes[0].height() + 1))
        coin = self.wallet.take()
        parent = pay(coin, b"\3" * 32)
        family = [parent, pay(change_of(parent, coin), b"\4" * 32)]
        for tx in family:
            await net.nodes[0].call("sendrawtransaction", tx.raw.hex())
        await until(lambda: self._final(net.nodes[0], family), "both are final")
        await self._read(net, archived, family)

    async def _archived(self, node: Node, txs: Sequence[Transaction]) -> bool:
        return all([await node.status(tx.txid[::-1].hex()) == "archived" for tx in txs])

    async def _final(self, node: Node, txs: Sequence[Transaction]) -> bool:
        return all([await node.status(tx.txid[::-1].hex()) == "final" for tx in txs])

    async def _read(self, net: Devnet, archived: Sequence[Transaction], family: Sequence[Transaction]) -> None:
        for modern in (True, False):
            explorer = Explorer(net.nodes[0].files.rpc_port, modern)
            try:
                await deferToThread(self._look, explorer, archived, family)
            finally:
                explorer.close()

    def _look(self, explorer: Explorer, archived: Sequence[Transaction], family: Sequence[Transaction]) -> None:
        self.explorer = explorer
        height = explorer.call("getblockcount")
        self.chain = Chain([explorer.call("getblock", explorer.call("getblockhash", n), 0) for n in range(height + 1)])
        self._pool([CTransaction.deserialize(each.raw) for each in family])
        self._blocks(height)
        self._transactions([CTransaction.deserialize(each.raw) for each in archived])
        self._coins(height)
        self._node(height)
        self._constants(height)
        self._wrong_questions(height)
        self.assertEqual(explorer.call("getblockcount"), height, "an epoch was too short for this machine")

    def _asked(self, method: str, *params: Any, fields: str = "") -> Any:
        """An answer with all that explorers read of it."""
        answer = self.explorer.call(method, *params)
        self.assertEqual(missing(answer, FIELDS[fields or method]), [], (method, answer))
        return answer

    def _pool(self, family: Sequence[CTransaction]) -> None:
        for tx in family:
            self.chain.add(tx)
        names = [txid(tx) for tx in family]
        fees, sizes = [self.chain.fee(tx) for tx in family], [vsize(tx) for tx in family]
        info = self._asked("getmempoolinfo")
        self.assertEqual((info["size"], info["bytes"], units(info["total_fee"])), (2, sum(sizes), sum(fees)))
        self.assertEqual(sorted(self.explorer.call("getrawmempool", False)), sorted(names))
        self.assertEqual(sorted(self.explorer.call("getrawmempool", True)), sorted(names))
        for n, tx in enumerate(family):
            entry = self._asked("getmempoolentry", names[n])
            self.assertEqual((entry["vsize"], entry["weight"], entry["wtxid"]), (sizes[n], weight(tx), wtxid(tx)))
            self.assertEqual((units(entry["fees"]["base"]), units(entry["fees"]["modified"])), (fees[n], fees[n]))
            self.assertEqual(units(entry["fees"]["ancestor"]), sum(fees[: n + 1]))
            self.assertEqual(units(entry["fees"]["descendant"]), sum(fees[n:]))
            self.assertEqual((entry["ancestorsize"], entry["descendantsize"]), (sum(sizes[: n + 1]), sum(sizes[n:])))
            self.assertEqual((entry["depends"], entry["spentby"]), (names[:n], names[n + 1 :]))
            self.assertEqual(self.explorer.call("getmempoolancestors", names[n]), names[:n])
            self.assertEqual(self.explorer.call("getmempooldescendants", names[n]), names[n + 1 :])
            shown = self._asked("getrawtransaction", names[n], True)
            self.assertEqual((shown["instantlock"], shown["chainlock"]), (True, False))
            self.assertNotIn("blockhash", shown)
            self.assertNotIn("confirmations", shown)
        self._template(family)
        # mempool's backend sends null for what is not given.
        (judged,) = self._asked("testmempoolaccept", [self.wallet.payment().raw.hex()], None)
        self.assertTrue(judged["allowed"])

    def _template(self, family: Sequence[CTransaction]) -> None:
        template = self._asked("getblocktemplate", {"rules": ["segwit"]})
        expected = {txid(tx): (wtxid(tx), self.chain.fee(tx), weight(tx), tx.serialize().hex()) for tx in family}
        shown = template["transactions"]
        self.assertEqual(
            {each["txid"]: (each["hash"], each["fee"], each["weight"], each["data"]) for each in shown}, expected
        )
        order = [each["txid"] for each in shown]
        child = shown[order.index(txid(family[1]))]
        self.assertEqual([order[place - 1] for place in child["depends"]], [txid(family[0])])
        self.assertEqual(template["previousblockhash"], self.chain.blocks[-1].hash)
        self.assertEqual(template["height"], len(self.chain.blocks))
        # Two masternodes are present: 100 (1 + ln 2) TIME, and the fees.
        fees = sum(map(self.chain.fee, family))
        self.assertEqual(template["coinbasevalue"], 16_931_471_805 + fees)

    def _blocks(self, height: int) -> None:
        times = [block.time for block in self.chain.blocks]
        for n, block in enumerate(self.chain.blocks):
            self.assertEqual(self.explorer.call("getblockhash", n), block.hash)
            answers = [self.explorer.call(name, block.hash) for name in ("getblock", "getblockheader")]
            fields = FIELDS["getblock"].split()
            absent = ["previousblockhash"] * (n == 0) + ["nextblockhash"] * (n == height)
            self.assertEqual([each for each in fields if missing(answers[0], each)], absent)
            for shown in answers:
                self.assertEqual((shown["height"], shown["confirmations"]), (n, height - n + 1))
                self.assertEqual((shown["time"], shown["nTx"]), (block.time, len(block.txs)))
                self.assertEqual(shown["merkleroot"], block.merkle_root)
                self.assertEqual(shown.get("previousblockhash", "00" * 32), block.previous)
                self.assertEqual(shown["mediantime"], sorted(times[max(0, n - 10) : n + 1])[min(n + 1, 11) // 2])
            whole = answers[0]
            self.assertEqual(whole["tx"], [txid(tx) for tx in block.txs])
            stripped = sum(len(tx.serialize()) - len(tx.serialize({"include_witness": False})) for tx in block.txs)
            self.assertEqual((whole["size"], whole["strippedsize"]), (block.size, block.size - stripped))
            self.assertEqual(whole["weight"], 3 * whole["strippedsize"] + whole["size"])
            self.assertEqual(self.explorer.call("getblockheader", block.hash, False), block.header.hex())
            self._stats(n)
            for tx in self.explorer.call("getblock", block.hash, 2)["tx"][1:]:
                found = next(each for each in block.txs if txid(each) == tx["txid"])
                self.assertEqual(units(tx["fee"]), self.chain.fee(found))

    def _stats(self, height: int) -> None:
        block, expected = self.chain.blocks[height], self.chain.stats(height)
        for key in (height, block.hash):
            stats = self._asked("getblockstats", key)
            self.assertEqual({name: stats[name] for name in expected}, expected)
        created = sum(output.nValue for output in block.txs[0].vout)
        left = stats["subsidy"] + stats["totalfee"] - created
        # What does not divide evenly is not created; it is less than a unit for each masternode.
        self.assertIn(left, (0, 1), stats)

    def _transactions(self, archived: Sequence[CTransaction]) -> None:
        heights = {txid(tx): n for n, block in enumerate(self.chain.blocks) for tx in block.txs}
        for tx in archived:
            name = txid(tx)
            block = self.chain.blocks[heights[name]]
            for params in ((name, 1), (name, True), (name, 1, block.hash)):
                shown = self._asked("getrawtransaction", *params, fields="archived")
                self.assertEqual(missing(shown, FIELDS["spending"]), [])
                self._decoded(shown, tx)
                self.assertEqual((shown["blockhash"], shown["time"]), (block.hash, block.time))
                self.assertEqual(shown["confirmations"], len(self.chain.blocks) - heights[name])
                self.assertTrue(shown["instantlock"] and shown["chainlock"])
            self.assertIs(shown["in_active_chain"], True)
        note = self.explorer.call("getrawtransaction", txid(archived[0]), 1)["vout"][1]["scriptPubKey"]
        self.assertEqual((note["type"], note["asm"]), ("nulldata", f"OP_RETURN {_NOTE.hex()}"))
        self.assertNotIn("address", note)
        spend = self.explorer.call("getrawtransaction", txid(archived[1]), 1)["vin"][0]["txinwitness"]
        self.assertEqual((len(spend), spend[0], spend[3]), (4, "", _WITNESS_SCRIPT.hex()))
        for block in self.chain.blocks:
            coinbase = self._asked("getrawtransaction", txid(block.txs[0]), 1, fields="archived")
            self._decoded(coinbase, block.txs[0])
            self.assertEqual(missing(coinbase, FIELDS["coinbase"]), [])
            self.assertEqual(coinbase["vin"][0]["coinbase"], block.txs[0].vin[0].scriptSig.hex())

    def _decoded(self, shown: dict[str, Any], tx: CTransaction) -> None:
        """Everything of a transaction itself, as python-bitcoinlib reads it."""
        self.assertEqual((shown["txid"], shown["hash"], shown["hex"]), (txid(tx), wtxid(tx), tx.serialize().hex()))
        self.assertEqual((shown["size"], shown["vsize"]), (len(tx.serialize()), vsize(tx)))
        self.assertEqual((shown["weight"], shown["locktime"]), (weight(tx), tx.nLockTime))
        outputs = [(units(each["value"]), each["scriptPubKey"]["hex"]) for each in shown["vout"]]
        self.assertEqual(outputs, [(each.nValue, each.scriptPubKey.hex()) for each in tx.vout])
        for each in shown["vout"]:
            script = each["scriptPubKey"]
            if script["type"] == "nulldata":
                continue
            self.assertEqual(script["asm"], f"0 {script['hex'][4:]}")
            valid = self._asked("validateaddress", script["address"])
            self.assertEqual((valid["isvalid"], valid["scriptPubKey"]), (True, script["hex"]))
            self.assertEqual(
                (valid["isscript"], valid["witness_program"]), (len(script["hex"]) == 68, script["hex"][4:])
            )

    def _coins(self, height: int) -> None:
        info = self._asked("gettxoutsetinfo")
        coins = self.chain.unspent()
        self.assertEqual((info["height"], info["bestblock"]), (height, self.chain.blocks[-1].hash))
        # The pool's two made coins that no block holds yet.
        pool = [
            CTransaction.deserialize(bytes.fromhex(self.explorer.call("getrawtransaction", each)))
            for each in self.explorer.call("getrawmempool")
        ]
        made = sum(output.nValue for tx in pool for output in tx.vout)
        self.assertEqual(units(info["total_amount"]), sum(coin.nValue for coin in coins) - made)
        self.assertEqual(info["txouts"], len(coins) - sum(len(tx.vout) for tx in pool))
        last = self.chain.blocks[-1].txs[0]
        out = self._asked("gettxout", txid(last), 0)
        self.assertEqual((units(out["value"]), out["coinbase"]), (last.vout[0].nValue, True))
        spent = pool[0].vin[0].prevout
        self.assertIsNone(self.explorer.call("gettxout", spent.hash[::-1].hex(), spent.n))

    def _node(self, height: int) -> None:
        info = self._asked("getblockchaininfo")
        tip = self.chain.blocks[-1].hash
        self.assertEqual((info["blocks"], info["headers"], info["bestblockhash"]), (height, height, tip))
        self.assertEqual((info["chain"], info["initialblockdownload"], info["pruned"]), ("regtest", False, False))
        network = self._asked("getnetworkinfo")
        peers = self._asked("getpeerinfo")
        self.assertEqual(network["connections"], len(peers))
        self.assertGreaterEqual(network["version"], 230_000)
        self.assertTrue(all(each["addr"].startswith("127.0.0.1:") for each in peers))
        totals = self._asked("getnettotals")
        self.assertGreaterEqual(totals["totalbytesrecv"], sum(each["bytesrecv"] for each in peers) // 2)
        self.assertEqual(self._asked("getindexinfo")["txindex"], {"synced": True, "best_block_height": height})
        self.assertEqual([each["hash"] for each in self._asked("getchaintips")], [tip])
        self._asked("getdeploymentinfo")
        self._rates(height)
        for target, mode in ((1, "CONSERVATIVE"), (6, "ECONOMICAL"), (144, "CONSERVATIVE")):
            # 100 units a vbyte are the network's constant.
            self.assertEqual(units(self._asked("estimatesmartfee", target, mode)["feerate"]), 100_000)
        self.assertGreaterEqual(self.explorer.call("uptime"), 1)
        self.assertIn("== Blockchain ==", self.explorer.call("help"))
        self.assertIn("getblockstats", self.explorer.call("help", "getblockstats"))
        self.assertEqual(self.explorer.call("listwallets"), [])

    def _rates(self, height: int) -> None:
        window = height - 1
        stats = self._asked("getchaintxstats", window, self.chain.blocks[-1].hash)
        counts, times = [len(each.txs) for each in self.chain.blocks], [each.time for each in self.chain.blocks]
        self.assertEqual((stats["txcount"], stats["window_tx_count"]), (sum(counts), sum(counts[-window:])))
        # Between medians of eleven times, as Core counts.
        medians = [sorted(times[max(0, n - 10) : n + 1])[min(n + 1, 11) // 2] for n in (height - window, height)]
        self.assertEqual(stats["window_interval"], medians[1] - medians[0])

    def _constants(self, height: int) -> None:
        """Nothing is mined: what explorers show of that are constants that break nothing."""
        for block in (self.explorer.call("getblockheader", each.hash) for each in self.chain.blocks):
            self.assertEqual((block["difficulty"], block["bits"], block["nonce"]), (1, "1d00ffff", 0))
            self.assertEqual(int(block["chainwork"], 16), block["height"] + 1)
        self.assertEqual(self.explorer.call("getdifficulty"), 1)
        mining = self._asked("getmininginfo")
        self.assertEqual((mining["blocks"], mining["pooledtx"], mining["networkhashps"]), (height, 2, 0))
        for blocks in (1, 144, 1008, 4320):
            self.assertEqual(self.explorer.call("getnetworkhashps", blocks), 0)

    def _wrong_questions(self, height: int) -> None:
        """What explorers ask on a short chain or of their users' typing: errors with Core's codes, nothing worse."""
        for code, method, *params in (
            (-8, "getblockhash", height + 1),
            (-8, "getblockhash", -1),
            (-8, "getblockstats", -1),
            (-8, "getchaintxstats", 100_000),
            (-3, "getblockheader", None),
            (-5, "getblock", "00" * 32),
            (-5, "getrawtransaction", "11" * 32, 1),
            (-5, "getmempoolentry", "11" * 32),
            (
                -5,
                "validateaddress",
            ),
        ):
            if method == "validateaddress":
                self.assertFalse(self.explorer.call(method, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")["isvalid"])
                continue
            with self.assertRaises(RpcError) as caught:
                self.explorer.call(method, *params)
            self.assertEqual(caught.exception.args[1], code, (method, params))
        foreign = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
        self.assertFalse(self.explorer.call("validateaddress", foreign)["isvalid"])
        with self.assertRaises(RpcError) as caught:
            self.explorer.call("stop")
        self.assertEqual(caught.exception.args, (403, None))

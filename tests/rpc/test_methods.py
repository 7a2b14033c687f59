"""Every RPC method, called as a client's JSON calls it."""

from __future__ import annotations

import inspect
import json
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_insight import look
from tests.rpc.fake_node import NETWORK, NOW_MS, FakeNode, pay
from timecoin.ledger.errors import FeeTooLow, MissingInputs
from timecoin.mempool.errors import AlreadyKnown, Conflict, MissingParents, PoolFull
from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import display
from timecoin.rpc.dispatch import Dispatcher, Reply
from timecoin.rpc.facade import NodeFacade, Preview, TxStatus
from timecoin.rpc.methods import all_methods
from timecoin.rpc.table import Context


class MethodCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.node = FakeNode(self.clock)
        self.context = Context(self.node, all_methods())
        self.dispatcher = Dispatcher(self.clock, self.context)

    def reply(self, method: str, params: Any) -> dict[str, Any]:
        answer = self.dispatcher.answer(json.dumps({"method": method, "params": params, "id": 7}).encode())
        reply = self.successResultOf(answer) if isinstance(answer, Deferred) else answer
        assert isinstance(reply, Reply)
        found: dict[str, Any] = json.loads(reply.body, parse_float=Decimal)
        self.assertEqual(found["id"], 7)
        return found

    def call(self, method: str, *params: Any) -> Any:
        found = self.reply(method, list(params))
        self.assertIsNone(found["error"])
        return found["result"]

    def refusal(self, method: str, *params: Any) -> tuple[int, str]:
        found = self.reply(method, list(params))
        self.assertIsNone(found["result"])
        return found["error"]["code"], found["error"]["message"]


class TableTests(MethodCase):
    def test_every_method_has_help_and_types(self) -> None:
        for name, method in self.context.methods.items():
            self.assertIn(name, self.call("help"))
            self.assertGreater(len(inspect.getdoc(method.call) or ""), 15, name)
            self.assertTrue(self.call("help", name).startswith(name))

    def test_the_fake_is_the_facade(self) -> None:
        wanted = {name for name in vars(NodeFacade) if not name.startswith("_")}
        self.assertEqual(wanted - set(dir(self.node)), set())

    def test_help_of_nothing(self) -> None:
        self.assertEqual(self.refusal("help", "nothing"), (-32601, "help: unknown command: nothing"))

    def test_before_the_node_is_ready(self) -> None:
        self.node.warmup = "Loading block index..."
        self.assertEqual(self.refusal("getblockcount"), (-28, "Loading block index..."))
        self.assertEqual(self.call("uptime"), 61)
        self.assertIn("getblockcount", self.call("help"))
        self.assertEqual(self.call("stop"), "TimeCoin node stopping")
        self.assertTrue(self.node.stopped)


class ArgumentTests(MethodCase):
    def test_too_few_and_too_many_get_the_help(self) -> None:
        for params in ([], [0, 1]):
            code, message = self.refusal("getblockhash", *params)
            self.assertEqual(code, -1)
            self.assertTrue(message.startswith("getblockhash height\n"))

    def test_wrong_types(self) -> None:
        for value, name in (("0", "string"), (True, "bool"), (None, "null"), ([], "array"), ({}, "object")):
            code, message = self.refusal("getblockhash", value)
            self.assertEqual(code, -3)
            self.assertIn(f'"Position 1 (height)": "JSON value of type {name} is not of expected type number"', message)
        self.assertEqual(self.refusal("getblockhash", 1.5), (-3, "JSON integer out of range"))
        self.assertEqual(self.refusal("getblockhash", 2**63), (-3, "JSON integer out of range"))

    def test_hashes(self) -> None:
        self.assertEqual(self.refusal("gettxstatus", "abc"), (-8, "txid must be of length 64 (not 3, for 'abc')"))
        text = "g" * 64
        self.assertEqual(self.refusal("getblock", text), (-8, f"blockhash must be hexadecimal string (not '{text}')"))
        self.assertEqual(self.refusal("gettxstatus", 1)[0], -3)

    def test_named(self) -> None:
        first = display(self.node.blocks[0].header.hash)
        self.assertEqual(self.reply("getblockhash", {"height": 0})["result"], first)
        by_alias = self.reply("getblock", {"blockhash": first, "verbose": False})
        self.assertEqual(by_alias["result"], self.node.blocks[0].encode().hex())
        mixed = self.reply("getblock", {"args": [first], "verbosity": 0})
        self.assertEqual(mixed["result"], by_alias["result"])

    def test_named_mistakes(self) -> None:
        first = display(self.node.blocks[0].header.hash)
        for params, complaint in (
            ({"heigth": 0}, "Unknown named parameter heigth"),
            (
                {"args": [0], "height": 0},
                "Parameter height specified twice both as positional and named argument",
            ),
            ({"args": 0}, "Parameter args must be an array"),
        ):
            self.assertEqual(self.reply("getblockhash", params)["error"], {"code": -8, "message": complaint})
        twice = {"blockhash": first, "verbose": 1, "verbosity": 1}
        self.assertIn("specified multiple times", self.reply("getblock", twice)["error"]["message"])
        self.assertEqual(self.reply("getblock", {})["error"]["code"], -1)

    def test_null_is_left_out(self) -> None:
        first = display(self.node.blocks[0].header.hash)
        self.assertEqual(self.call("getblock", first, None)["height"], 0)


class ChainTests(MethodCase):
    def test_info(self) -> None:
        info = self.call("getblockchaininfo")
        self.assertEqual((info["chain"], info["blocks"], info["headers"]), ("regtest", 1, 3))
        self.assertEqual(info["bestblockhash"], display(self.node.blocks[1].header.hash))
        self.assertEqual(info["chain_id"], display(NETWORK.genesis.chain_id))
        self.assertEqual(info["supply"], Decimal(NETWORK.genesis.supply) / 10**8)
        self.assertTrue(info["initialblockdownload"])
        self.assertEqual(info["syncprogress"], {"blocks_per_second": Decimal("12.3"), "seconds_left": 7, "sources": 2})
        self.assertEqual(self.call("getblockcount"), 1)
        self.assertEqual(self.call("getbestblockhash"), info["bestblockhash"])

    def test_hash_at_a_height(self) -> None:
        for height in (0, 1):
            self.assertEqual(self.call("getblockhash", height), display(self.node.blocks[height].header.hash))
        for height in (-1, 2):
            self.assertEqual(self.refusal("getblockhash", height), (-8, "Block height out of range"))

    def test_block(self) -> None:
        first, second = (display(block.header.hash) for block in self.node.blocks)
        raw = self.call("getblock", first, 0)
        self.assertEqual(Block.decode(bytes.fromhex(raw)), self.node.blocks[0])
        self.assertEqual(self.call("getblock", first, False), raw)
        shown = self.call("getblock", first)
        self.assertEqual((shown["hash"], shown["confirmations"], shown["nextblockhash"]), (first, 2, second))
        self.assertNotIn("previousblockhash", shown)
        self.assertEqual(shown["tx"], [display(tx.txid) for tx in self.node.blocks[0].transactions])
        self.assertEqual((shown["size"], shown["weight"]), (len(raw) // 2, 2 * len(raw)))
        whole = self.call("getblock", second, 2)
        self.assertEqual((whole["previousblockhash"], whole["confirmations"]), (first, 1))
        self.assertNotIn("nextblockhash", whole)
        self.assertEqual(whole["tx"][1]["hex"], self.node.archived.raw.hex())
        self.assertLess(whole["strippedsize"], whole["size"])

    def test_header(self) -> None:
        first = display(self.node.blocks[0].header.hash)
        self.assertEqual(Header.decode(bytes.fromhex(self.call("getblockheader", first, False))).height, 0)
        shown = self.call("getblockheader", first)
        self.assertEqual((shown["closing"], shown["epoch"], shown["nTx"]), (True, 0, 1))

    def test_a_block_below_the_snapshot_that_the_node_joined_with(self) -> None:
        self.assertEqual(
            (self.call("getblockchaininfo")["pruned"], self.call("getblockchaininfo")["snapshots"]), (False, [8, 4])
        )
        self.assertNotIn("pruneheight", self.call("getblockchaininfo"))
        self.node.base = 1
        first, second = (display(block.header.hash) for block in self.node.blocks)
        pruned = (-1, "Block not available (pruned data)")
        for method, argument in (("getblock", first), ("getblockheader", first), ("getblockhash", 0)):
            self.assertEqual(self.refusal(method, argument), pruned)
        self.assertEqual(self.call("getblock", second)["previousblockhash"], first)
        info = self.call("getblockchaininfo")
        self.assertEqual((info["pruned"], info["pruneheight"]), (True, 1))

    def test_a_block_that_is_not_there(self) -> None:
        for method in ("getblock", "getblockheader"):
            self.assertEqual(self.refusal(method, "00" * 32), (-5, "Block not found"))

    def test_coins(self) -> None:
        fund = NETWORK.funds[1]
        shown = self.call("gettxout", display(fund.txid), fund.vout)
        self.assertEqual(shown["value"], Decimal("5"))
        self.assertEqual(shown["scriptPubKey"]["address"], fund.address)
        self.assertEqual((shown["confirmations"], shown["coinbase"]), (2, True))
        self.assertEqual(shown["bestblock"], display(self.node.blocks[1].header.hash))

    def test_coins_and_the_pool(self) -> None:
        spent = NETWORK.funds[0]
        self.assertIsNone(self.call("gettxout", display(spent.txid), spent.vout))
        self.assertIsNotNone(self.call("gettxout", display(spent.txid), spent.vout, False))
        self.assertEqual(self.call("gettxout", display(self.node.child.txid), 0)["confirmations"], 0)
        self.assertIsNone(self.call("gettxout", display(self.node.child.txid), 0, False))
        self.assertIsNone(self.call("gettxout", display(self.node.child.txid), -1))


class AmountTests(MethodCase):
    def test_amounts_have_eight_places(self) -> None:
        fund = NETWORK.funds[1]
        params = [display(fund.txid), fund.vout]
        answer = self.dispatcher.answer(json.dumps({"method": "gettxout", "params": params}).encode())
        assert isinstance(answer, Reply)
        self.assertIn(b'"value":5.00000000,', answer.body)


class TransactionTests(MethodCase):
    def test_decode(self) -> None:
        tx = pay(1)
        shown = self.call("decoderawtransaction", tx.raw.hex())
        self.assertEqual((shown["txid"], shown["hash"]), (display(tx.txid), display(tx.wtxid)))
        self.assertEqual((shown["size"], shown["vsize"], shown["weight"]), (tx.size, tx.vsize, tx.weight))
        self.assertEqual(shown["vin"][0]["txid"], display(NETWORK.funds[1].txid))
        self.assertEqual(shown["vin"][0]["txinwitness"], [item.hex() for item in tx.inputs[0].witness])
        output = shown["vout"][0]
        self.assertEqual((output["n"], output["value"]), (0, Decimal(1)))
        self.assertEqual(output["scriptPubKey"]["address"], NETWORK.funds[1].address)
        self.assertEqual(output["scriptPubKey"]["type"], "witness_v0_keyhash")
        self.assertEqual(output["scriptPubKey"]["asm"], "0 " + tx.outputs[0].script[2:].hex())
        self.assertRegex(output["scriptPubKey"]["desc"], rf"\Aaddr\({NETWORK.funds[1].address}\)#[a-z0-9]{{8}}\Z")
        self.assertNotIn("hex", shown)

    def test_what_cannot_be_decoded(self) -> None:
        raw = pay(1).raw.hex()
        for text in ("", "zz", "00", raw[:-2], raw + "00", " " + raw, raw[:-1], "\u0663" * 4):
            self.assertEqual(self.refusal("decoderawtransaction", text), (-22, "TX decode failed"))
            complaint = "TX decode failed. Make sure the tx has at least one input."
            self.assertEqual(self.refusal("sendrawtransaction", text), (-22, complaint))

    def test_get_from_the_pool(self) -> None:
        tx = self.node.parent
        txid = display(tx.txid)
        self.assertEqual(self.call("getrawtransaction", txid), tx.raw.hex())
        self.assertEqual(self.call("getrawtransaction", txid, False), tx.raw.hex())
        self.assertEqual(self.call("getrawtransaction", txid, True)["hex"], tx.raw.hex())
        self.assertEqual(self.call("getrawtransaction", txid, 2)["fee"], Decimal("0.00028400"))
        self.assertNotIn("blockhash", self.call("getrawtransaction", txid, 1))

    def test_get_from_a_block(self) -> None:
        tx, header = self.node.archived, self.node.blocks[1].header
        txid, block = display(tx.txid), display(header.hash)
        self.assertEqual(self.call("getrawtransaction", txid), tx.raw.hex())
        shown = self.call("getrawtransaction", txid, 1)
        self.assertEqual((shown["blockhash"], shown["confirmations"]), (block, 1))
        self.assertEqual((shown["blocktime"], shown["time"]), (header.slot_time, header.slot_time))
        self.assertTrue(self.call("getrawtransaction", txid, 1, block)["in_active_chain"])
        coinbase = self.call("getrawtransaction", display(self.node.blocks[0].transactions[0].txid), 1)
        self.assertIn("coinbase", coinbase["vin"][0])

    def test_get_what_is_not_there(self) -> None:
        first = display(self.node.blocks[0].header.hash)
        txid = display(self.node.archived.txid)
        self.assertEqual(self.refusal("getrawtransaction", "11" * 32)[0], -5)
        self.assertEqual(self.refusal("getrawtransaction", txid, 0, "11" * 32), (-5, "Block hash not found"))
        self.assertEqual(self.refusal("getrawtransaction", txid, 0, first)[0], -5)

    def test_send(self) -> None:
        tx = pay(1)
        self.assertEqual(self.call("sendrawtransaction", tx.raw.hex()), display(tx.txid))
        self.assertEqual(self.node.submitted, [tx])

    def test_send_refused(self) -> None:
        known = AlreadyKnown(b"\1" * 32, archived=True)
        for problem, expected in (
            (MissingInputs("x"), (-25, "bad-txns-inputs-missingorspent")),
            (MissingParents((b"\1" * 32,)), (-25, "bad-txns-inputs-missingorspent")),
            (FeeTooLow("1 < 2"), (-26, f"{FeeTooLow.code}: 1 < 2")),
            (Conflict((b"\1" * 32,)), (-26, "txn-mempool-conflict")),
            (PoolFull(), (-26, "mempool-full")),
            (known, (-27, "Transaction outputs already in utxo set")),
        ):
            self.node.submit_answer = problem
            self.assertEqual(self.refusal("sendrawtransaction", pay(1).raw.hex()), expected)

    def test_a_bug_is_logged_and_told_without_details(self) -> None:
        self.node.submit_answer = ZeroDivisionError("secret")
        self.assertEqual(
            self.refusal("sendrawtransaction", pay(1).raw.hex()), (-1, "Internal error: ZeroDivisionError")
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_fee_above_the_callers_limit(self) -> None:
        tx = pay(1)
        self.node.previews = [Preview(None, 28_400)]
        rate = Decimal(28_400 * 1000 // tx.vsize) / 10**8
        self.assertEqual(self.refusal("sendrawtransaction", tx.raw.hex(), str(rate))[0], -25)
        self.assertEqual(self.node.submitted, [])
        self.assertEqual(
            self.call("sendrawtransaction", tx.raw.hex(), str(rate + Decimal("0.00000001"))), display(tx.txid)
        )
        self.assertEqual(self.refusal("sendrawtransaction", tx.raw.hex(), "-1"), (-3, "Invalid amount"))

    def test_preview(self) -> None:
        txs = [pay(1), pay(2)]
        self.node.previews = [Preview(None, 28_400), Preview("dust")]
        good, bad = self.call("testmempoolaccept", [tx.raw.hex() for tx in txs])
        self.assertEqual(
            (good["allowed"], good["fees"]["base"], good["vsize"]), (True, Decimal("0.000284"), txs[0].vsize)
        )
        self.assertEqual((bad["allowed"], bad["reject-reason"]), (False, "dust"))
        self.assertEqual(
            self.call("testmempoolaccept", [txs[0].raw.hex()], "0.00000001")[0]["reject-reason"],
            "max-fee-exceeded",
        )
        self.assertEqual(self.refusal("testmempoolaccept", [])[0], -8)
        self.assertEqual(self.refusal("testmempoolaccept", ["00"])[0], -22)
        self.assertEqual(self.refusal("testmempoolaccept", [1])[0], -3)


class PoolTests(MethodCase):
    def test_info(self) -> None:
        info = self.call("getmempoolinfo")
        self.assertEqual((info["size"], info["bytes"], info["usage"]), (2, 282, 5_332))
        self.assertEqual((info["total_fee"], info["minrelaytxfee"]), (Decimal("0.000568"), Decimal("0.001")))

    def test_list(self) -> None:
        expected = sorted(display(txid) for txid in self.node.entries)
        self.assertEqual(self.call("getrawmempool"), expected)
        self.assertEqual(list(self.call("getrawmempool", True)), expected)
        self.assertEqual(self.refusal("getrawmempool", True, True)[0], -8)

    def test_entries(self) -> None:
        parent, child = display(self.node.parent.txid), display(self.node.child.txid)
        shown = self.call("getmempoolentry", parent)
        self.assertEqual((shown["ancestorcount"], shown["descendantcount"], shown["status"]), (1, 2, "certified"))
        self.assertEqual((shown["depends"], shown["spentby"]), ([], [child]))
        self.assertEqual(shown["fees"]["descendant"], Decimal("0.000568"))
        self.assertEqual((shown["time"], shown["height"]), (NOW_MS // 1000 - 5, 1))
        shown = self.call("getmempoolentry", child)
        self.assertEqual((shown["ancestorcount"], shown["depends"], shown["status"]), (2, [parent], "pending"))
        self.assertEqual(self.refusal("getmempoolentry", "11" * 32), (-5, "Transaction not in mempool"))


class FinalityTests(MethodCase):
    def status(self, status: str, **more: Any) -> TxStatus:
        return TxStatus(self.node.parent.txid, status, 100, 0, 110, **more)

    def test_status(self) -> None:
        txid = self.node.parent.txid
        self.node.statuses[txid] = self.status("certified")
        self.assertEqual(
            self.call("gettxstatus", display(txid)),
            {
                "txid": display(txid),
                "status": "certified",
                "votes": 100,
                "acks": 0,
                "total_power": 110,
                "final_ms": None,
                "height": None,
                "blockhash": None,
                "reason": None,
            },
        )
        self.node.statuses[txid] = self.status("archived", final_ms=41, height=1, block_hash=b"\1" + bytes(31))
        shown = self.call("gettxstatus", display(txid))
        self.assertEqual((shown["final_ms"], shown["height"], shown["blockhash"]), (41, 1, "00" * 31 + "01"))
        self.assertEqual(self.refusal("gettxstatus", "11" * 32)[0], -5)

    def test_wait(self) -> None:
        txid = self.node.parent.txid
        body = json.dumps({"method": "waitforfinality", "params": [display(txid), 1000]}).encode()
        answer = self.dispatcher.answer(body)
        assert isinstance(answer, Deferred)
        self.assertNoResult(answer)
        self.assertEqual([each.method for each in self.context.active.values()], ["waitforfinality"])
        self.clock.advance(0.25)
        shown = self.call("getrpcinfo")["active_commands"]
        self.assertEqual(shown, [{"method": "waitforfinality", "duration": 250_000}])
        self.node.waiting[0].callback(self.status("final", final_ms=40))
        self.assertIn(b'"status":"final"', self.successResultOf(answer).body)
        self.assertEqual(self.context.active, {})

    def test_wait_in_vain(self) -> None:
        txid = self.node.parent.txid
        self.node.statuses[txid] = self.status("pending")
        answer = self.dispatcher.answer(
            json.dumps({"method": "waitforfinality", "params": [display(txid), 1000]}).encode()
        )
        assert isinstance(answer, Deferred)
        self.clock.advance(1)
        self.assertIn(b'"status":"pending"', self.successResultOf(answer).body)
        self.assertEqual(self.refusal("waitforfinality", display(txid), -1)[0], -8)
        self.assertEqual(self.refusal("waitforfinality", display(txid), 3_600_001)[0], -8)

    def test_giving_up_cancels_the_waiting(self) -> None:
        answer = self.dispatcher.answer(json.dumps({"method": "waitforfinality", "params": ["11" * 32, 1000]}).encode())
        assert isinstance(answer, Deferred)
        answer.cancel()
        self.assertEqual(self.context.active, {})
        self.assertTrue(self.node.waiting[0].called)

    def test_events(self) -> None:
        shown = self.call("getfinalityevents", 3, 500, 10)
        event = {"n": 8, "txid": display(self.node.parent.txid), "status": "final", "time_ms": NOW_MS}
        self.assertEqual(shown, {"events": [event], "next": 8, "first": 5, "last": 8, "missed": True})
        self.assertEqual(self.call("getfinalityevents", 3, 500, 10, "final")["events"], [event])
        others = self.call("getfinalityevents", 3, 500, 10, "archived")
        self.assertEqual((others["events"], others["next"]), ([], 8))
        self.assertFalse(self.call("getfinalityevents", 7)["missed"])
        self.assertEqual(self.node.asked_events, [*[(3, 10, 500)] * 3, (7, 10_000, 0)])
        for params in ((-1,), (0, -1), (0, 0, 0), (0, 0, 10_001), (0, 0, 1, "settled")):
            self.assertEqual(self.refusal("getfinalityevents", *params)[0], -8)


class NetworkTests(MethodCase):
    def test_info(self) -> None:
        info = self.call("getnetworkinfo")
        self.assertEqual((info["connections"], info["connections_in"], info["connections_out"]), (2, 1, 1))
        self.assertEqual((info["version"], info["subversion"]), (280_000, "/Satoshi:28.0.0/timecoin:0.1.0/"))
        self.assertEqual(info["localaddresses"], [{"address": "127.0.0.1", "port": 25000, "score": 1}])
        self.assertEqual(self.call("getconnectioncount"), 2)


class MasternodeTests(MethodCase):
    def test_list(self) -> None:
        silver, bronze = self.call("masternode", "list")
        self.assertEqual((silver["tier"], silver["power"], silver["signer"]), ("silver", 100, 0))
        self.assertEqual((bronze["tier"], bronze["in_set"], bronze["connected"]), ("bronze", True, True))
        self.assertEqual(silver["id"], display(NETWORK.genesis.registration_id(0)))
        self.assertEqual(silver["collateral"]["vout"], 0)
        self.assertEqual(silver["service"], "127.0.0.1:25000")
        self.assertTrue(silver["payout"].startswith("timed1"))

    def test_count_and_status(self) -> None:
        count = self.call("masternode", "count")
        self.assertEqual((count["total"], count["in_set"], count["total_power"], count["connected"]), (2, 2, 110, 2))
        self.assertEqual(count["tiers"], {"free": 0, "bronze": 1, "silver": 1, "gold": 0})
        status = self.call("masternode", "status")
        self.assertEqual((status["masternode"], status["status"], status["voting"]), (True, "eligible", True))
        self.assertEqual(self.refusal("masternode", "start")[0], -8)

    def test_sign_anyway_must_be_confirmed(self) -> None:
        own, other = (display(NETWORK.genesis.registration_id(n)) for n in (0, 1))
        for confirmation in ((), ("",), (other,), (own.upper() + " ",)):
            self.assertEqual(self.refusal("masternode", "sign-anyway", *confirmation)[0], -8)
        for command in ("sign", "status"):
            self.assertEqual(self.refusal("masternode", command, own)[0], -8)
        self.assertTrue(self.node.silenced)
        self.assertTrue(self.call("masternode", "sign-anyway", own)["voting"])
        self.assertFalse(self.node.silenced)
        self.assertEqual(self.refusal("masternode", "sign-anyway", own)[0], -1)
        self.node.masternode_id = None
        self.assertEqual(self.refusal("masternode", "sign-anyway", own)[0], -1)

    def test_consensus(self) -> None:
        look(self.context)
        info = self.call("getconsensusinfo")
        self.assertEqual((info["height"], info["step"], info["epoch"]), (2, "propose", 1))
        self.assertEqual((info["power"], info["total_power"], info["set_size"]), (100, 110, 2))


class ControlTests(MethodCase):
    def test_lateness(self) -> None:
        self.assertEqual(self.call("getrpcinfo")["reactor"]["late_p99_ms"], Decimal("9.5"))

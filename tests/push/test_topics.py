"""Topics as text, who is found for an event, and which scripts a transaction touches."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.push.fakes import block, change, script, txid
from timecoin.primitives import address
from timecoin.primitives.hashes import display, hash160, sha256
from timecoin.primitives.script import multisig, op_return, p2wpkh, p2wsh
from timecoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxInput, TxOutput
from timecoin.push.topics import ALLOWED, BadTopic, Kind, Topic, TopicIndex, parse
from timecoin.push.touched import touched

HRP = "timed"


class ParseTest(SynchronousTestCase):
    def test_what_there_is(self) -> None:
        self.assertEqual(parse("blocks", HRP).kind, Kind.BLOCKS)
        self.assertEqual(len(parse("finality", HRP).keys), 5)
        self.assertEqual(
            parse("finality:rejected,final,final", HRP),
            Topic(Kind.FINALITY, ("final", "rejected"), "finality:final,rejected"),
        )
        shown = display(txid(7))
        self.assertEqual(
            parse(f"transaction:{shown.upper()}", HRP), Topic(Kind.TRANSACTION, (txid(7),), f"transaction:{shown}")
        )
        text = address.encode(script(3), HRP)
        self.assertEqual(parse(f"address:{text.upper()}", HRP), Topic(Kind.ADDRESS, (script(3),), f"address:{text}"))

    def test_what_is_none(self) -> None:
        other = address.encode(script(3), "time")
        for wrong in (
            "",
            "block",
            "blocks:",
            "blocks:1",
            "finality:",
            "finality:final,",
            "finality:done",
            "Blocks",
            "transaction",
            "transaction:",
            "transaction:00",
            "transaction:" + "g" * 64,
            "address",
            "address:",
            f"address:{other}",
            "address:x",
            "x" * 1_000,
            "finality:" + "é",
            "\ud800",
        ):
            self.assertRaises(BadTopic, parse, wrong, HRP)

    def test_a_wrong_one_is_told_what_there_is(self) -> None:
        told = str(self.assertRaises(BadTopic, parse, "bloks", HRP))
        self.assertEqual(told, f"'bloks' is no topic: {ALLOWED}")
        for kind in Kind:
            self.assertIn(kind.value, ALLOWED)


class IndexTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.index: TopicIndex[str] = TopicIndex()

    def add(self, who: str, text: str) -> Topic:
        topic = parse(text, HRP)
        self.index.add(who, topic)
        return topic

    def test_who_is_found(self) -> None:
        to = f"address:{address.encode(script(5), HRP)}"
        topics = [
            ("a", self.add("a", "blocks")),
            ("a", self.add("a", "finality:final")),
            ("a", self.add("a", "finality")),
            ("b", self.add("b", "finality:rejected,archived")),
            ("b", self.add("b", f"transaction:{display(txid(9))}")),
            ("c", self.add("c", to)),
        ]
        self.assertEqual(len(self.index), 6)
        self.assertEqual(self.index.find(block(1)), {"a": ["blocks"]})
        self.assertEqual(self.index.find(change(1, "final", 8)), {"a": ["finality:final", "finality"]})
        self.assertEqual(self.index.find(change(1, "pending", 8, [5])), {"a": ["finality"], "c": [to]})
        found = self.index.find(change(1, "archived", 9, [4, 5, 6]))
        self.assertEqual(
            found,
            {"a": ["finality"], "b": ["finality:archived,rejected", f"transaction:{display(txid(9))}"], "c": [to]},
        )
        for who, topic in topics:
            self.index.remove(who, topic)
        self.assertEqual(
            (len(self.index), self.index.find(change(1, "archived", 9, [5])), self.index.find(block(2))), (0, {}, {})
        )
        self.assertEqual((self.index._addresses, self.index._transactions), ({}, {}))


class TouchedTest(SynchronousTestCase):
    """The scripts of spent coins follow from the witness alone."""

    def test_a_payment(self) -> None:
        chain = builders.Chain(builders.network(1, accounts=2))
        sender, to = builders.account(0), builders.key("somebody")
        tx = chain.payment(sender, to, 100_000_000)
        expected = {p2wpkh(hash160(sender.public)), *[output.script for output in tx.outputs]}
        self.assertEqual(set(touched(tx)), expected)
        self.assertEqual(touched(tx)[0], p2wpkh(hash160(sender.public)))

    def test_multisig_and_the_rest(self) -> None:
        keys = [bytes([2]) + bytes([n]) * 32 for n in (1, 2)]
        witness_script = multisig(1, keys)
        spent = TxInput(b"o" * 36, b"", 0, (b"", b"signature", witness_script))
        outputs = (TxOutput(0, op_return(b"x")), TxOutput(1, script(1)), TxOutput(2, script(1)))
        self.assertEqual(touched(Transaction(2, (spent,), outputs, 0)), (p2wsh(sha256(witness_script)), script(1)))

    def test_a_coinbase(self) -> None:
        coinbase = Transaction(2, (TxInput(NULL_OUTPOINT, b"x", 0, ()),), (TxOutput(1, script(2)),), 0)
        self.assertEqual(touched(coinbase), (script(2),))

"""The chaos run's own parts: cuts that cut, schedules that repeat, invariants that can be violated."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.functional.chaos import invariants as inv
from tests.functional.chaos.cuts import FIRST_SYN, Links, next_retransmission
from tests.functional.chaos.faults import KINDS, QUORUMLESS
from tests.functional.chaos.payments import Book, Payment, RivalPair
from tests.functional.chaos.recovery import two_rounds
from tests.functional.chaos.schedule import plan
from tests.functional.chaos.watching import Watcher
from tests.functional.support import until
from timecoin.cli.devnet_files import HOST
from timecoin.ledger.params import Parameters
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

reactor: Any = _reactor


class PartsTests(SynchronousTestCase):
    def test_retransmissions_double(self) -> None:
        for now, expected in ((0.0, 0.0), (0.1, 0.2), (0.5, 0.6), (1.0, 1.4), (7.0, 12.6)):
            self.assertAlmostEqual(expected, next_retransmission(0.0, now))
        self.assertEqual(17.0, next_retransmission(10.0, 14.0, FIRST_SYN))

    def test_two_rounds(self) -> None:
        self.assertEqual(11.5, two_rounds(Parameters()))

    def test_schedules_repeat(self) -> None:
        for nodes, tolerated in ((4, 1), (5, 1), (7, 2)):
            drawn = list(plan(nodes, 3, list(KINDS), times=2))
            self.assertEqual(drawn, list(itertools.islice(plan(nodes, 3, list(KINDS)), len(drawn))))
            self.assertEqual(sorted(KINDS), sorted(each.kind for each in drawn[: len(KINDS)]))
            for each in drawn:
                if KINDS[each.kind] in QUORUMLESS:
                    self.assertGreater(len(each.victims), tolerated)
                elif each.kind != "blackout":
                    self.assertLessEqual(len(each.victims), tolerated)


def payment(value: int) -> Payment:
    tx = Transaction(2, (TxInput(make_outpoint(b"\x07" * 32, 0)),), (TxOutput(value, p2wpkh(bytes(20))),))
    return Payment(tx, 0.0, 1.0, "node0")


class InvariantTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one, self.two = payment(10_000), payment(20_000)
        self.book = Book(pairs=[RivalPair(self.one, self.two)])
        self.watcher = Watcher(None)  # type: ignore[arg-type]

    def found(self, archived: set[str]) -> set[str]:
        every = [
            *inv.rivals_final(self.book, self.watcher),
            *inv.rival_archived(self.book, self.watcher, archived),
            *inv.final_archived(self.watcher, archived),
            *inv.rejected_after_final(self.watcher),
        ]
        return {each.what for each in every}

    def tell(self, word: str, payment: Payment) -> None:
        self.watcher.told[word][payment.txid].add("node1")

    def test_an_honest_end(self) -> None:
        self.tell("final", self.one)
        self.tell("archived", self.one)
        self.tell("rejected", self.two)
        self.assertEqual(set(), self.found({self.one.txid}))

    def test_each(self) -> None:
        self.tell("final", self.one)
        self.assertEqual({"final_archived"}, self.found(set()))
        self.assertEqual({"final_archived", "rival_archived"}, self.found({self.two.txid}))
        self.assertEqual({"rival_archived"}, self.found({self.one.txid, self.two.txid}))
        self.tell("rejected", self.one)
        self.assertEqual({"final_rejected"}, self.found({self.one.txid}))
        self.tell("final", self.two)
        self.assertIn("rivals_final", self.found({self.one.txid}))


class End(Protocol):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def say(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)


class CutTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.ends: list[End] = []
        listening = reactor.listenTCP(0, Factory.forProtocol(self._end), interface=HOST)
        self.links = Links([1, listening.getHost().port], seed=1)
        self.port = self.links.open()[(0, 1)]
        self.addCleanup(listening.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.links.close()))

    def _end(self) -> End:
        self.ends.append(End())
        return self.ends[-1]

    async def dial(self) -> End:
        client: Any = await TCP4ClientEndpoint(reactor, HOST, self.port).connect(Factory.forProtocol(End))
        return client

    async def test_one_way(self) -> None:
        client = await self.dial()
        client.say(b"a")
        await until(lambda: self.ends and self.ends[0].received == b"a", "it comes through")
        self.links.set([(0, 1)], silent=True)
        client.say(b"b")
        self.ends[0].say(b"c")
        await until(lambda: client.received == b"c", "the other way is open")
        await deferLater(reactor, 0.25)
        self.assertEqual(b"a", self.ends[0].received)
        self.links.clear([(0, 1)])
        await until(lambda: self.ends[0].received == b"ab", "what was cut off is sent again", 5)

    async def test_an_end_behind_a_cut_is_not_heard_of(self) -> None:
        client = await self.dial()
        await until(lambda: self.ends, "it is connected")
        ways = self.links.between([0], [1]) + self.links.between([1], [0])
        self.links.set(ways, silent=True)
        client.transport.abortConnection()  # type: ignore[union-attr]
        await deferLater(reactor, 0.2)
        self.assertFalse(self.ends[0].lost)
        self.links.clear(ways)
        await until(lambda: self.ends[0].lost, "it hears of it", 5)

    async def test_dials(self) -> None:
        self.links.set([(1, 0)], silent=True)
        await self.dial()
        await deferLater(reactor, 0.2)
        self.assertEqual([], self.ends)
        self.links.clear([(1, 0)])
        await until(lambda: self.ends, "the next SYN comes through", 5)
        self.links.set([(1, 0)], refused=True)
        await until(lambda: self.ends[0].lost, "it is reset", 5)
        client = await self.dial()
        await until(lambda: client.lost, "dials are refused", 5)

    async def test_delay(self) -> None:
        client = await self.dial()
        self.links.set([(0, 1)], delay=0.3)
        client.say(b"slow")
        began = reactor.seconds()
        await until(lambda: self.ends and self.ends[0].received == b"slow", "it comes", 5, 0.01)
        self.assertGreater(reactor.seconds() - began, 0.25)

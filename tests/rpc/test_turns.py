"""Calls are answered a slice at a time, payments first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.test_server import COUNT, ServerCase
from timecoin.rpc.turns import SLICE, Turns, is_urgent

SEND = b'{"method":"sendrawtransaction","params":["00"],"id":1}'


class TurningClock:
    """As the reactor: what is planned in a turn for at once happens in the next one (``Clock`` does it all at once)."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[Callable[[], None]] = []

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, work: Callable[[], None]) -> None:
        assert delay == 0
        self._planned.append(work)

    def turn(self) -> None:
        planned, self._planned = self._planned, []
        for work in planned:
            work()


class TurnsTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = TurningClock()
        self.turns = Turns(self.clock)
        self.done: list[object] = []

    def work(self, name: object, seconds: float = 0.0) -> None:
        self.done.append(name)
        self.clock.now += seconds

    def later(self, name: object, urgent: bool = False, seconds: float = 0.0) -> None:
        self.turns.wait(lambda: self.work(name, seconds), urgent)

    def test_a_turn_ends_with_its_time(self) -> None:
        self.assertTrue(self.turns.is_open)
        self.work("first", SLICE)
        self.assertFalse(self.turns.is_open)
        self.clock.turn()
        self.assertTrue(self.turns.is_open)

    def test_what_waits_is_done_a_slice_a_turn_in_its_order(self) -> None:
        self.assertTrue(self.turns.is_open)
        for number in range(5):
            self.later(number, seconds=SLICE / 2)
        for expected in ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]):
            self.clock.turn()
            self.assertEqual(self.done, expected)

    def test_nothing_overtakes_what_waits(self) -> None:
        self.assertTrue(self.turns.is_open)
        self.later("waits")
        self.assertFalse(self.turns.is_open)
        self.clock.turn()
        self.assertTrue(self.turns.is_open)

    def test_payments_go_first(self) -> None:
        self.assertTrue(self.turns.is_open)
        self.later("one", seconds=SLICE)
        self.later("two", seconds=SLICE)
        self.later("payment", urgent=True, seconds=SLICE)
        self.clock.turn()
        self.assertEqual(self.done, ["payment"])
        self.clock.turn()
        self.assertEqual(self.done, ["payment", "one"])

    def test_what_is_urgent(self) -> None:
        self.assertTrue(is_urgent(SEND))
        self.assertTrue(is_urgent(b'[{"jsonrpc":"2.0","method":"send","params":[{}]}]'))
        self.assertFalse(is_urgent(b'{"method":"gettxstatus","params":["' + b"0" * 200 + b'","sendmany"]}'))


class ServerTurnsTest(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.answered: list[bytes] = []
        answer = self.factory.dispatcher.answer

        def slow(body: bytes, *rest: Any) -> Any:
            self.answered.append(body)
            # As time passes in a turn: nothing else is called meanwhile.
            self.clock.rightNow += SLICE * 0.6
            return answer(body, *rest)

        self.patch(self.factory.dispatcher, "answer", slow)

    def test_pipelined_requests_leave_the_reactor_its_turns(self) -> None:
        self.channel.dataReceived(self.request() * 5)
        self.assertAnswered(self.taken(), 2)
        self.clock.advance(0)
        self.assertAnswered(self.taken(), 3)

    def test_a_payment_of_another_client_goes_first(self) -> None:
        other, _ = self.connect()
        self.channel.dataReceived(self.request() * 3)
        other.dataReceived(self.request(SEND))
        self.clock.advance(0)
        self.assertEqual(self.answered[2], SEND)

    def test_the_long_way_waits_as_well(self) -> None:
        other, transport = self.connect()
        self.channel.dataReceived(self.request() * 3)
        other.dataReceived(self.request(COUNT, b"TE: trailers"))
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0)
        self.assertAnswered(transport.value())

    def test_who_left_is_not_answered(self) -> None:
        self.channel.dataReceived(self.request() * 3)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(0)
        self.assertEqual(len(self.answered), 2)

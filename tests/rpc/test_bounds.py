"""Bounds on the work of calls: heavy ones, many at a time, long ones, large answers; white lists at the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypedDict

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_node import FakeNode
from timecoin.rpc import codec
from timecoin.rpc.auth import Grant
from timecoin.rpc.caller import Caller
from timecoin.rpc.dispatch import Bounds, Dispatcher, Reply
from timecoin.rpc.pacing import WORK, write_paced
from timecoin.rpc.slices import REST, SLICE, Slices
from timecoin.rpc.table import Context, make_table, method


class Wide(TypedDict):
    """A long answer."""

    n: int
    items: list[int]


class Work:
    """Methods that wait until they are told."""

    def __init__(self) -> None:
        self.gates: list[Deferred[int]] = []
        self.running: list[tuple[str, str | None]] = []
        self.table = make_table(
            [
                [
                    method("Test", self.heavy, cost=50),
                    method("Test", self.sized, cost=lambda n: n),
                    method("Test", self.light),
                    method("Test", self.patient, waits=True),
                    method("Test", self.wide, cost=2),
                    method("Test", self.who),
                ]
            ]
        )

    def gate(self, context: Context) -> Deferred[int]:
        self.running.append((context.caller.user, context.caller.wallet))
        self.gates.append(Deferred())
        return self.gates[-1]

    def heavy(self, context: Context) -> Deferred[int]:
        """Heavy."""
        return self.gate(context)

    async def sized(self, context: Context, n: int) -> int:
        """As heavy as it says."""
        return await self.gate(context)

    def light(self, context: Context) -> Deferred[int]:
        """Light, but it waits."""
        return self.gate(context)

    def patient(self, context: Context) -> Deferred[int]:
        """Waits for something."""
        return self.gate(context)

    def wide(self, context: Context, n: int) -> Wide:
        """A long answer."""
        return {"n": n, "items": list(range(n))}

    def who(self, context: Context) -> str:
        """Who calls."""
        return f"{context.caller.user} {context.caller.wallet} {context.caller.address}"


class BoundsCase(SynchronousTestCase):
    bounds = Bounds(cost=100, queue=3, active=8, answer_bytes=2_000, seconds=10)

    def setUp(self) -> None:
        self.clock = Clock()
        self.work = Work()
        node = FakeNode(self.clock)
        self.context = Context(node, self.work.table, slices=Slices(self.clock).collect)
        self.dispatcher = Dispatcher(self.clock, self.context, self.bounds)

    def tearDown(self) -> None:
        # Left to the garbage collector they would give back their units one day, and wake each other as they die.
        for each in list(self.context.active.values()):
            each.waiting.cancel()

    def ask(self, *calls: tuple[Any, ...], user: str = "alice", batch: bool = False) -> Any:
        """A reply, or a list that gets it."""
        requests = [{"method": name, "params": list(params), "id": 1} for name, *params in calls]
        body = json.dumps(requests if batch else requests[0]).encode()
        answer = self.dispatcher.answer(body, Grant(Caller(user, None, "1.2.3.4:5")))
        if isinstance(answer, Reply):
            return answer
        got: list[Reply] = []
        answer.addCallback(got.append)
        self.deferred = answer
        return got

    def settle(self) -> None:
        self.clock.pump([0.002] * 20)


class HeavyTests(BoundsCase):
    def test_two_at_a_time_and_three_in_line(self) -> None:
        waiting = [self.ask(("heavy",)) for _ in range(5)]
        self.assertEqual(len(self.work.gates), 2)
        refused = self.ask(("heavy",))
        self.assertEqual(refused, Reply(503, b"Work queue depth exceeded"))
        self.assertEqual(self.ask(("heavy",), batch=True), refused)
        self.work.gates[0].callback(7)
        self.settle()
        self.assertEqual(waiting[0], [Reply(200, b'{"result":7,"error":null,"id":1}\n')])
        self.assertEqual(len(self.work.gates), 3)

    def test_light_calls_pass_by(self) -> None:
        for _ in range(5):
            self.ask(("heavy",))
        self.assertEqual(json.loads(self.ask(("who",)).body)["result"], "alice None 1.2.3.4:5")

    def test_users_in_fair_shares(self) -> None:
        for user in ("alice", "alice", "alice", "alice", "bob"):
            self.ask(("heavy",), user=user)
        self.work.gates[0].callback(0)
        self.work.gates[1].callback(0)
        self.settle()
        self.assertEqual([user for user, _ in self.work.running], ["alice", "alice", "alice", "bob"])

    def test_who_leaves_while_it_waits(self) -> None:
        for _ in range(3):
            self.ask(("heavy",))
        self.deferred.cancel()
        self.assertEqual(len(self.context.active), 2)
        self.work.gates[0].callback(0)
        self.settle()
        self.assertEqual((len(self.work.gates), self.dispatcher._budget.taken), (2, 50))

    def test_who_leaves_while_it_runs(self) -> None:
        self.ask(("heavy",))
        self.deferred.cancel()
        self.settle()
        self.assertEqual((self.dispatcher._budget.taken, self.context.active), (0, {}))

    def test_a_failure_gives_its_units_back(self) -> None:
        got = self.ask(("heavy",))
        self.work.gates[0].errback(ZeroDivisionError())
        self.settle()
        self.assertIn(b"Internal error: ZeroDivisionError", got[0].body)
        self.assertEqual(self.dispatcher._budget.taken, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_cost_of_the_arguments(self) -> None:
        self.ask(("sized", 99))
        self.ask(("sized", 2))
        self.assertEqual(len(self.work.gates), 1)
        self.ask(("sized", 1), user="bob")
        self.work.gates[0].callback(0)
        self.settle()
        self.assertEqual(len(self.work.gates), 3)

    def test_one_at_a_time_of_a_batch(self) -> None:
        got = self.ask(("heavy",), ("heavy",), ("who",), ("heavy",), batch=True)
        for n in range(3):
            self.assertEqual(len(self.work.gates), n + 1)
            self.work.gates[n].callback(n)
            self.settle()
        self.assertEqual([each["result"] for each in json.loads(got[0].body)], [0, 1, "alice None 1.2.3.4:5", 2])


class OtherBounds(BoundsCase):
    def test_many_that_wait(self) -> None:
        for _ in range(8):
            self.ask(("light",))
        self.assertEqual(self.ask(("light",)).status, 503)
        self.assertEqual(self.ask(("who",)).status, 503)
        self.work.gates[0].callback(1)
        self.assertEqual(self.ask(("who",)).status, 200)

    def test_a_batch_larger_than_that_is_taken_alone(self) -> None:
        self.assertIsInstance(self.ask(*[("light",)] * 9, batch=True), list)
        self.assertEqual(len(self.work.gates), 9)

    def test_what_takes_too_long_is_cut(self) -> None:
        got, patient = self.ask(("light",)), self.ask(("patient",))
        self.clock.advance(10)
        self.dispatcher.cut_late()
        self.assertEqual(got, [])
        self.clock.advance(0.1)
        self.dispatcher.cut_late()
        self.assertEqual(got[0].status, 500)
        self.assertEqual(json.loads(got[0].body)["error"]["message"], "light took longer than 10 seconds")
        self.assertEqual((patient, len(self.context.active)), ([], 1))

    def test_heavy_ones_in_line_are_cut_too(self) -> None:
        got = [self.ask(("heavy",)) for _ in range(4)]
        self.clock.advance(11)
        self.dispatcher.cut_late()
        self.assertEqual([each[0].status for each in got], [500] * 4)
        self.assertEqual((self.dispatcher._budget.taken, self.dispatcher._budget.waiting), (0, 0))

    def test_a_call_of_a_batch_is_cut_alone(self) -> None:
        got = self.ask(("light",), ("who",), batch=True)
        self.clock.advance(11)
        self.dispatcher.cut_late()
        self.settle()
        answers = json.loads(got[0].body)
        self.assertIn("took longer", answers[0]["error"]["message"])
        self.assertIn("alice", answers[1]["result"])

    def test_a_batch_that_is_given_up_ends_whole(self) -> None:
        got = self.ask(("patient",), ("patient",), ("light",), ("heavy",), ("who",), batch=True)
        self.assertEqual(len(self.context.active), 2)
        self.deferred.cancel()
        self.settle()
        self.assertEqual((len(self.context.active), len(self.work.gates), len(got)), (0, 2, 1))
        self.assertEqual((self.dispatcher._budget.taken, self.dispatcher._budget.waiting), (0, 0))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_batch_that_is_given_up_between_two_turns_ends_whole(self) -> None:
        self.ask(*[("patient",)] * 60, batch=True)
        self.assertEqual(len(self.context.active), 50)
        self.deferred.cancel()
        self.settle()
        self.assertEqual((len(self.context.active), len(self.work.gates)), (0, 50))

    def test_answers_to_a_batch_that_are_too_large_together(self) -> None:
        got = self.ask(*[("wide", 300)] * 4, batch=True)
        self.settle()
        answers = json.loads(got[0].body)
        self.assertEqual(answers[0]["result"]["items"], list(range(300)))
        self.assertEqual([each["error"] is None for each in answers], [True, True, False, False])
        self.assertEqual(answers[3]["error"]["message"], "The answers to this batch are too large together")

    def test_white_lists(self) -> None:
        grant = Grant(Caller("alice"), frozenset({"who", "nosuch"}))
        for body, status in (
            (b'{"method":"who"}', 200),
            (b'{"method":"wide","params":[1]}', 403),
            (b'{"method":"nosuch"}', 404),
            (b'{"method":7}', 400),
            (b"{}", 400),
            (b'[{"method":"who"},{"method":"wide","params":[1]}]', 403),
            (b'[{"method":"wide","params":[1],"jsonrpc":"2.0"}]', 403),
        ):
            answer = self.dispatcher.answer(body, grant)
            assert isinstance(answer, Reply)
            self.assertEqual(answer.status, status, body)
        self.assertEqual(self.work.running, [])
        answer = self.dispatcher.answer(b'[{"method":"who"}, 7, {"method": 7}]', grant)
        assert isinstance(answer, Deferred)
        self.assertEqual(self.successResultOf(answer).status, 200)


class PiecesTests(SynchronousTestCase):
    def test_as_in_one_go(self) -> None:
        long = [{"a": n, "b": [n] * 3} for n in range(250)]
        for value in (
            None,
            7,
            [],
            [1],
            {},
            {"a": []},
            {"a": {}},
            {"a": long, 'q"': long[:100]},
            long,
            {"a": {"b": {"c": long}}},
            [long, long],
            {"amount": codec.amount(5)},
            "text",
        ):
            self.assertEqual(b"".join(codec.pieces(value)), codec.encode(value), value)

    def test_no_piece_is_long(self) -> None:
        whole = {"tx": [{"hex": "00" * 200}] * 5_000}
        self.assertLess(max(map(len, codec.pieces(whole))), 50_000)


class SlicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.slices = Slices(self.clock)

    def slow(self, count: int) -> Any:
        for n in range(count):
            self.clock.rightNow += SLICE / 4
            yield n

    def test_in_turns(self) -> None:
        first, second = self.slices.collect(self.slow(20)), self.slices.collect(self.slow(20))
        turns = 0
        while not (first.called and second.called):
            before = self.clock.seconds()
            self.clock.advance(REST)
            self.assertLess(self.clock.seconds() - before, REST + 1.5 * SLICE)
            turns += 1
        self.assertGreater(turns, 8)
        self.assertEqual(self.successResultOf(first), list(range(20)))

    def test_what_fails(self) -> None:
        done = self.slices.collect(1 // n for n in (1, 0))
        self.clock.pump([REST] * 3)
        self.failureResultOf(done, ZeroDivisionError)

    def test_what_is_given_up(self) -> None:
        seen: list[int] = []
        done = self.slices.collect(seen.append(n) for n in self.slow(100))
        self.clock.advance(REST)
        done.cancel()
        count = len(seen)
        self.clock.pump([REST] * 5)
        self.assertEqual(len(seen), count)
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PacingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []
        self.work: Callable[[], Any] | None = None
        self.thread: Deferred[Any] = Deferred()

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        self.work = work
        return self.thread

    def run_thread(self) -> None:
        assert self.work is not None
        try:
            self.thread.callback(self.work())
        except Exception:
            self.thread.errback(Failure())

    def slow(self, count: int) -> Iterator[int]:
        for n in range(count):
            self.now += WORK / 4
            yield n

    def write(self, items: Iterable[object]) -> Deferred[Any]:
        return write_paced(self.in_thread, items, lambda: self.now, self.rests.append)

    def test_it_rests_more_than_it_works(self) -> None:
        done = self.write(self.slow(40))
        self.run_thread()
        self.assertEqual(json.loads(bytes(self.successResultOf(done))), list(range(40)))
        self.assertGreater(sum(self.rests), 1.5 * self.now)

    def test_nothing(self) -> None:
        done = self.write([])
        self.run_thread()
        self.assertEqual(bytes(self.successResultOf(done)), b"[]")

    def test_what_fails(self) -> None:
        done = self.write(1 // n for n in (1, 0))
        self.run_thread()
        self.failureResultOf(done, ZeroDivisionError)

    def test_what_is_given_up_ends(self) -> None:
        done = self.write(self.slow(1_000))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.run_thread()
        self.assertLess(self.now, WORK)

"""Questions about signatures and the order of their answers."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.node.fakes import Pool, ThreadClock
from timecoin.node.verifier import AT_ONCE, CHUNK, Verifier
from timecoin.primitives.signing import get_backend


class Check:
    """A signature that holds or not, or makes the backend fail; it counts how often it is looked at."""

    def __init__(self, good: bool | Exception = True) -> None:
        self.good = good
        self.looked_at = 0

    def holds(self, backend: object) -> bool:
        self.looked_at += 1
        if isinstance(self.good, Exception):
            raise self.good
        return self.good


class VerifierTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.pool = ThreadClock(), Pool()
        self.pool.held = True
        self.rounds: list[list[tuple[object, bool]]] = []
        self.answers: list[tuple[object, bool]] = []
        self.verifier = Verifier(self.clock, cast(Any, self.pool), get_backend(), self.around)

    def around(self, work: Any) -> None:
        before = len(self.answers)
        work()
        self.rounds.append(self.answers[before:])

    def ask(self, name: object, *checks: Check) -> None:
        self.verifier.ask(cast(Any, checks), lambda good: self.answers.append((name, good)))

    def many(self, name: object, count: int, good: bool = True) -> None:
        self.ask(name, *[Check() for _ in range(count - 1)], Check(good))

    def test_few_are_settled_without_a_thread(self) -> None:
        self.ask(1, Check(), Check())
        self.ask(2, Check(), Check(False), Check())
        self.ask(3)
        self.assertEqual(self.answers, [])
        self.clock.advance(0)
        self.assertEqual(self.answers, [(1, True), (2, False), (3, True)])
        self.assertEqual((len(self.rounds), len(self.pool.waiting)), (1, 0))

    def test_what_fails_is_not_looked_at_further(self) -> None:
        last = Check()
        self.ask(1, Check(False), last)
        self.clock.advance(0)
        self.assertEqual(last.looked_at, 0)

    def test_many_go_to_a_thread_in_chunks(self) -> None:
        for n in range(CHUNK + 1):
            self.many(n, 2)
        self.clock.advance(0)
        self.assertEqual((self.answers, len(self.pool.waiting)), ([], 1))
        self.pool.run(1)
        self.assertEqual([name for name, _ in self.answers], list(range(CHUNK // 2)))
        self.pool.run(1)
        # What is left is little, and no thread is at work: it does not go to one.
        self.assertEqual((len(self.pool.waiting), len(self.answers)), (0, CHUNK + 1))

    def test_one_large_question_is_one_chunk(self) -> None:
        self.many(1, 10 * CHUNK, good=False)
        self.many(2, 1)
        self.clock.advance(0)
        self.pool.run()
        self.assertEqual(self.answers, [(1, False), (2, True)])

    def test_order_holds_between_thread_and_reactor(self) -> None:
        self.many(1, AT_ONCE + 1)
        self.clock.advance(0)
        self.ask(2, Check())
        self.ask(3)
        self.clock.advance(0)
        self.assertEqual(self.answers, [])
        self.pool.run()
        self.assertEqual([name for name, _ in self.answers], [1, 2, 3])

    def test_asking_while_being_answered(self) -> None:
        def again(good: bool) -> None:
            self.answers.append((1, good))
            self.ask(3, Check())

        self.verifier.ask(cast(Any, [Check()]), again)
        self.ask(2, Check(False))
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(self.answers, [(1, True), (2, False), (3, True)])

    def test_a_signature_that_makes_the_backend_fail_does_not_hold(self) -> None:
        for count in (1, AT_ONCE + 1):
            self.answers.clear()
            self.ask(1, Check(OverflowError("?")), *[Check()] * (count - 1))
            self.ask(2, Check())
            self.clock.advance(0)
            self.pool.run()
            self.assertEqual(self.answers, [(1, False), (2, True)])
            self.assertEqual(len(self.flushLoggedErrors(OverflowError)), 1)
        self.many(3, 1)
        self.clock.advance(0)
        self.assertEqual(self.answers[-1], (3, True))

    def test_an_answer_that_fails_leaves_the_others_theirs(self) -> None:
        self.verifier.ask([], lambda good: self.fail("?"))
        self.ask(2, Check())
        self.clock.advance(0)
        self.assertEqual(self.answers, [(2, True)])
        self.assertEqual(len(self.flushLoggedErrors(self.failureException)), 1)

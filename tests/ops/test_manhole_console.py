"""The manhole's console: what commands show, and that none of them holds or ends the node."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ops.manhole_console import FAILED, MAX_OUTPUT, NOT_PYTHON, OK, STOPPED, Console, Outcome
from timecoin.ops.manhole_mistake import Mistake
from timecoin.ops.manhole_watch import CommandStopped, Watch, shielded


class FakeReactor:
    """A reactor that notes whether it was stopped."""

    def __init__(self) -> None:
        self.ended = False

    def stop(self) -> None:
        self.ended = True

    def crash(self) -> None:
        self.ended = True


class ConsoleCase(SynchronousTestCase):
    """Commands in a console with a short limit."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.console = Console({"reactor": self.reactor, "time": time}, Watch(0.15), self.reactor)
        self.shown = ""

    def write(self, text: str) -> None:
        self.shown += text

    def begin(self, source: str) -> Deferred[Outcome]:
        self.shown = ""
        return self.console.run(source, self.write)

    def run_command(self, source: str) -> Outcome:
        return self.successResultOf(self.begin(source))


class ShowingTests(ConsoleCase):
    def test_an_expression_is_shown_and_kept(self) -> None:
        self.assertEqual(self.run_command("6 * 7"), Outcome(OK, "ok"))
        self.assertEqual(self.shown, "42\n")
        self.run_command("_ + 1")
        self.assertEqual(self.shown, "43\n")

    def test_nothing_is_shown_for_none(self) -> None:
        self.run_command("None")
        self.assertEqual(self.shown, "")

    def test_names_stay_between_commands(self) -> None:
        self.run_command("def twice(x):\n    return 2 * x\na = twice(4)")
        self.run_command("print('a', a); a")
        self.assertEqual(self.shown, "a 8\n8\n")

    def test_several_lines(self) -> None:
        self.assertIsNone(self.console.push("for n in range(2):"))
        self.assertTrue(self.console.in_the_middle)
        self.assertIsNone(self.console.push("    print(n)"))
        command = self.console.push("")
        assert command is not None
        self.run_command(command)
        self.assertEqual(self.shown, "0\n1\n")
        self.assertFalse(self.console.in_the_middle)

    def test_what_is_wrong_for_good_is_no_command_of_several_lines(self) -> None:
        command = self.console.push("1 +* 2")
        assert command is not None
        self.assertEqual(self.run_command(command).status, NOT_PYTHON)
        self.assertIn("SyntaxError", self.shown)
        self.assertNotIn("manhole_console", self.shown)

    def test_an_exception_is_shown_from_the_command_on(self) -> None:
        outcome = self.run_command("def f():\n    return {}['x']\nf()")
        self.assertEqual(outcome, Outcome(FAILED, "KeyError"))
        self.assertIn("KeyError: 'x'", self.shown)
        self.assertIn('File "<manhole>", line 2, in f', self.shown)
        self.assertNotIn("manhole_console", self.shown)

    def test_output_is_bounded(self) -> None:
        self.run_command("for _ in range(10): print('x' * 100_000)")
        self.assertLess(len(self.shown), MAX_OUTPUT + 100)
        self.assertIn("too much output", self.shown)
        self.run_command("'y' * 10_000_000")
        self.assertLess(len(self.shown), MAX_OUTPUT + 100)

    def test_no_alarm_interrupts_what_is_being_sent(self) -> None:
        whole: list[str] = []

        def send(text: str) -> None:
            time.sleep(0.15)
            whole.append(text)

        self.console._watch.limit = 0.05
        outcome = self.successResultOf(self.console.run("print('x')\nwhile True: pass", send))
        self.assertEqual((outcome.status, whole[0]), (STOPPED, "x"))

    def test_a_value_that_cannot_be_shown(self) -> None:
        self.run_command("class Bad:\n    def __repr__(self):\n        raise OSError('no')")
        self.assertEqual(self.run_command("Bad()").word, "OSError")
        self.run_command("class Worse(Exception):\n    def __str__(self):\n        while True: pass")
        self.assertEqual(self.run_command("raise Worse").word, "Worse")
        self.assertEqual(self.run_command("1").status, OK)

    def test_a_command_may_not_be_endless(self) -> None:
        self.assertEqual(self.run_command("1;" * 40_000).word, "ValueError")

    def test_print_of_other_threads_goes_elsewhere(self) -> None:
        heard: list[str] = []

        class Elsewhere:
            def write(self, text: str) -> int:
                heard.append(text)
                return len(text)

        self.patch(sys, "stdout", Elsewhere())
        self.console.namespace["threading"] = threading
        self.run_command("t = threading.Thread(target=print, args=('other',)); t.start(); t.join(); print('mine')")
        self.assertEqual(self.shown, "mine\n")
        self.assertIn("other", heard)


class WaitingTests(ConsoleCase):
    def test_a_deferred_is_awaited(self) -> None:
        waiting: Deferred[int] = Deferred()
        self.console.namespace["waiting"] = waiting
        outcome = self.begin("waiting")
        self.assertNoResult(outcome)
        waiting.callback(7)
        self.assertEqual(self.successResultOf(outcome).status, OK)
        self.assertEqual(self.shown, "7\n")

    def test_await_at_the_top(self) -> None:
        self.console.namespace["soon"] = lambda: succeed(5)
        self.run_command("a = await soon()\nb = 1\na + await soon() + b")
        self.assertEqual(self.shown, "11\n")
        self.assertEqual(self.console.namespace["a"], 5)

    def test_coroutines_are_awaited(self) -> None:
        self.console.namespace["soon"] = lambda: succeed(5)
        self.run_command("async def f():\n    return await soon() * 2\nf()")
        self.assertEqual(self.shown, "10\n")

    def test_a_mistake_is_one_line(self) -> None:
        self.console.namespace["bad"] = lambda: fail(Mistake("there is no such connection"))
        outcome = self.run_command("await bad()")
        self.assertEqual((outcome.status, self.shown), (FAILED, "there is no such connection\n"))

    def test_exit_without_brackets_says_how(self) -> None:
        self.run_command("exit")
        self.assertEqual(self.shown, "exit() or Ctrl-D leaves the shell; the node goes on\n")

    def test_failures_of_deferreds_are_shown(self) -> None:
        self.console.namespace["bad"] = lambda: fail(LookupError("gone"))
        self.assertEqual(self.run_command("await bad()").word, "LookupError")
        self.assertIn("LookupError: gone", self.shown)

    def test_giving_up(self) -> None:
        cancelled: list[object] = []
        waiting: Deferred[int] = Deferred(cancelled.append)
        self.console.namespace["waiting"] = waiting
        outcome = self.begin("await waiting")
        outcome.cancel()
        self.assertEqual(self.successResultOf(outcome).word, "CancelledError")
        self.assertEqual(cancelled, [waiting])

    def test_after_waiting_the_limit_holds_again(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.console.namespace["waiting"] = waiting
        outcome = self.begin("await waiting\nwhile True: pass")
        waiting.callback(None)
        self.assertEqual(self.successResultOf(outcome).status, STOPPED)


class HarmlessTests(ConsoleCase):
    def stopped(self, source: str) -> None:
        began = time.monotonic()
        self.assertEqual(self.run_command(source), Outcome(STOPPED, "stopped"))
        self.assertIn("held the node for more than 0.15 s", self.shown)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_loop_is_interrupted(self) -> None:
        self.stopped("while True: pass")

    def test_a_sleep_is_interrupted(self) -> None:
        self.stopped("time.sleep(60)")

    def test_waiting_for_a_lock_is_interrupted(self) -> None:
        self.console.namespace["lock"] = threading.Lock()
        self.stopped("lock.acquire(); lock.acquire()")

    def test_a_child_is_not_waited_for(self) -> None:
        self.stopped("import subprocess\nsubprocess.run(['sleep', '60'])")

    def test_a_loop_that_catches_exceptions_is_interrupted(self) -> None:
        self.stopped("while True:\n    try:\n        time.sleep(60)\n    except Exception: pass")

    def test_a_loop_that_catches_everything_once_is_interrupted(self) -> None:
        self.stopped("try:\n    while True: pass\nexcept BaseException: pass\nwhile True: pass")

    def test_showing_a_value_is_interrupted(self) -> None:
        self.run_command("class Slow:\n    def __repr__(self):\n        while True: pass")
        self.stopped("Slow()")

    def test_leaving_ends_the_session_only(self) -> None:
        self.assertEqual(self.run_command("raise SystemExit(3)"), Outcome(3, "left", leave=True))
        self.assertEqual(self.run_command("exit()"), Outcome(0, "left", leave=True))
        self.assertEqual(self.run_command("import sys; sys.exit('words')"), Outcome(FAILED, "left", leave=True))

    def test_other_exits_are_failures(self) -> None:
        self.assertEqual(self.run_command("raise KeyboardInterrupt").word, "KeyboardInterrupt")
        self.assertEqual(self.run_command("def f(): f()\nf()").word, "RecursionError")
        self.assertEqual(self.run_command("raise GeneratorExit").word, "GeneratorExit")
        self.assertEqual(self.run_command("raise StopIteration").status, FAILED)

    def test_the_reactor_is_not_stopped(self) -> None:
        self.assertEqual(self.run_command("reactor.stop()").word, "Refused")
        self.assertEqual(self.run_command("reactor.crash()").word, "Refused")
        self.assertFalse(self.reactor.ended)
        self.reactor.stop()
        self.assertTrue(self.reactor.ended)


class WatchTests(SynchronousTestCase):
    def test_a_result(self) -> None:
        self.assertEqual(Watch(5).run(lambda: 3), 3)

    def test_exceptions_pass(self) -> None:
        def work() -> None:
            raise LookupError

        self.assertRaises(LookupError, Watch(5).run, work)

    def test_nothing_strikes_afterwards(self) -> None:
        watch = Watch(0.02)
        self.assertRaises(CommandStopped, watch.run, lambda: time.sleep(5))
        time.sleep(0.15)
        self.assertEqual(watch.run(lambda: 1), 1)
        time.sleep(0.1)

    def test_what_is_shielded_is_done_whole(self) -> None:
        done: list[str] = []

        def whole() -> None:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                time.sleep(0.01)
            done.append("whole")

        def work() -> None:
            shielded(whole)
            time.sleep(5)

        self.assertRaises(CommandStopped, Watch(0.05).run, work)
        self.assertEqual(done, ["whole"])

    def test_what_cannot_be_interrupted_ends_the_process(self) -> None:
        program = (
            "import itertools, timecoin.ops.manhole_watch as m; "
            "m.Watch(0.1, last_resort=1.0).run(lambda: sum(itertools.repeat(1)))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Timeout", done.stderr)
        self.assertIn(b"manhole_watch.py", done.stderr)

    def test_only_on_the_main_thread(self) -> None:
        failures: list[Any] = []

        def elsewhere() -> None:
            try:
                Watch(5).run(lambda: 1)
            except ValueError as problem:
                failures.append(problem)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        self.assertEqual(len(failures), 1)

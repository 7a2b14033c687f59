"""``timecoin simulate``: the same bytes anywhere, clear errors, and what a violation looks like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from timecoin.cli.main import main
from timecoin.simulation.faults.table import FAULTS, NAMES
from timecoin.simulation.life import Broken, Outcome
from timecoin.simulation.mutants import MUTANTS
from timecoin.simulation.plan import Options
from timecoin.simulation.running import Totals, again

SMALL = ("--nodes", "4", "--epochs", "1")
MUTANT = "final_on_certificate"
"""The quickest to be found: in its first life."""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *arguments])


def outcome(seed: int, broken: Broken | None = None) -> Outcome:
    return Outcome(
        seed=seed,
        violation=broken,
        epochs=3,
        blocks=4,
        payments=5,
        final=6,
        messages=7,
        bytes=8,
        milliseconds=1_800_000,
        events=9,
        slowest_rounds=0,
        faults={"loss": 2},
        latencies=(10, 20, 30),
        digest="00",
    )


class CommandTest(SynchronousTestCase):
    def test_summary(self) -> None:
        result = run("--seed", "7", *SMALL)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("1 seeds", result.output)
        self.assertIn(" 0 violations", result.output)
        self.assertRegex(result.output, "digest [0-9a-f]{64}")

    def test_json_is_canonical(self) -> None:
        result = run("--seed", "7", "--seeds", "2", "--faults", "none", *SMALL, "--json")
        self.assertEqual(result.exit_code, 0, result.output)
        value = json.loads(result.output)
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.assertEqual(result.output, canonical + "\n")
        self.assertEqual([each["seed"] for each in value["outcomes"]], [7, 8])
        self.assertEqual(value["options"]["faults"], [])

    def test_same_bytes_whatever_the_hash_seed(self) -> None:
        command = [sys.executable, "-m", "timecoin", "simulate", "--seed", "21", "--seeds", "3", *SMALL, "--json"]
        root = str(Path(__file__).parents[2])
        environments = [{**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root} for seed in ("1", "2")]
        running = [subprocess.Popen(command, env=each, stdout=subprocess.PIPE) for each in environments]
        one, two = [process.communicate(timeout=120)[0] for process in running]
        self.assertEqual(one, two)
        self.assertEqual(len({each["digest"] for each in json.loads(one)["outcomes"]}), 3)

    def test_processes_change_nothing(self) -> None:
        arguments = ("--seed", "30", "--seeds", "4", "--faults", "none", *SMALL, "--json")
        self.assertEqual(run(*arguments).output, run(*arguments, "--jobs", "2").output)

    def test_a_violation(self) -> None:
        trace = Path(self.mktemp())
        result = run("--seed", "0", "--seeds", "30", "--mutant", MUTANT, "--trace", str(trace))
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertRegex(result.output, r"VIOLATION of \w+, seed \d+, after \d+\.\d{3} s")
        self.assertRegex(result.output, rf"again: timecoin simulate --seed \d+ --mutant {MUTANT} --trace")
        lines = trace.read_text(encoding="utf-8").splitlines()
        self.assertTrue(any("VIOLATION" in line for line in lines))
        self.assertTrue(all(line in result.output for line in (each[:240] for each in lines[-10:])))

    def test_a_trace_without_violation(self) -> None:
        trace = Path(self.mktemp())
        result = run("--seed", "7", "--faults", "none", *SMALL, "--trace", str(trace))
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertGreater(len(trace.read_text(encoding="utf-8").splitlines()), 100)

    def test_unknown_names(self) -> None:
        for arguments, known in ((("--faults", "loss,rain"), NAMES), (("--mutant", "x"), tuple(MUTANTS))):
            result = run(*arguments)
            self.assertEqual(result.exit_code, 2)
            said = " ".join(result.output.split())
            for name in known:
                self.assertIn(name, said)

    def test_impossible(self) -> None:
        result = run("--nodes", "4", "--byzantine", "4")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("can be Byzantine", result.output)

    def test_lists(self) -> None:
        faults, mutants = run("--list-faults").output, run("--list-mutants").output
        self.assertEqual([name for name in FAULTS if f"\n{name} " not in faults], [])
        self.assertEqual([name for name in MUTANTS if f"{name} " not in mutants], [])

    def test_soak_until_interrupted(self) -> None:
        command = [sys.executable, "-m", "timecoin", "simulate", "--soak", "--seed", "5", "--faults", "none", *SMALL]
        # A shell's background jobs ignore the signal, and children inherit that.
        python = "import signal, runpy, sys; signal.signal(signal.SIGINT, signal.default_int_handler); " + (
            "sys.argv = sys.argv[1:]; runpy.run_module('timecoin', run_name='__main__')"
        )
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", python, *command[2:]], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, first + rest)
        self.assertIn("20 seeds", first)
        self.assertTrue(rest.splitlines()[0] == "stopped" and " 0 violations" in rest, rest)


class TotalsTest(SynchronousTestCase):
    def test_adds_up(self) -> None:
        totals = Totals()
        totals.add(outcome(1))
        totals.add(outcome(2, Broken("stuck", "nothing goes on", 5)))
        self.assertEqual(
            totals.line(),
            "2 seeds, 6 epochs, 8 blocks, 10 payments, 14 messages, 1.00 simulated hours, 4 faults, 1 violations",
        )
        self.assertEqual(list(totals.fault_lines()), ["  loss               4"])

    def test_again(self) -> None:
        options = Options(seed=4, nodes=5, faults=("loss", "crash"), profile="storm")
        self.assertEqual(again(options), "timecoin simulate --seed 4 --nodes 5 --profile storm --faults loss,crash")
        self.assertEqual(again(Options(seed=4, faults=())), "timecoin simulate --seed 4 --faults none")

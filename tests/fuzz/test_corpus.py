"""What was found is not found again: the saved corpus, mutants of it from a fixed seed, and a short guided run."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from zlib import crc32

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.fuzz.checking import MAX_SECONDS, Finding, Target, check
from tests.fuzz.corpus_files import MAX_BYTES, MAX_FILES, SAVED, saved
from tests.fuzz.effort import effort
from tests.fuzz.mutation import mutants
from tests.fuzz.seeds import all_seeds
from tests.fuzz.targets import TARGETS

MUTANTS, RUNS = 150, 2_000
ROOT = Path(__file__).parents[2]


class CorpusTest(SynchronousTestCase):
    def test_it_is_small(self) -> None:
        folders = [folder for folder in SAVED.iterdir() if folder.is_dir()]
        self.assertEqual([folder.name for folder in folders if folder.name not in TARGETS], [])
        sizes = [[file.stat().st_size for file in folder.iterdir()] for folder in folders]
        self.assertLessEqual(max(len(each) for each in sizes), MAX_FILES)
        self.assertLess(sum(map(sum, sizes)), MAX_BYTES)

    def test_every_target_takes_a_real_object(self) -> None:
        """Otherwise it tests only what is refused at the first byte; and the saved seeds are out of date."""
        seeds = all_seeds()
        self.assertEqual(sorted(seeds), sorted(TARGETS))
        for name, target in TARGETS.items():
            if seeds[name] != [b"\x90"]:
                found = [check(target, data) for data in seeds[name]]
                self.assertTrue(any(found), f"{name}: no seed is taken")
                self.assertTrue(any(check(target, data) for data in saved(name)), f"{name}: write the seeds anew")

    def test_replay(self) -> None:
        for name, target in TARGETS.items():
            for data in saved(name):
                check(target, data)

    def test_mutants(self) -> None:
        for name, target in TARGETS.items():
            seeds = saved(name) or all_seeds()[name]
            for data in mutants(seeds, target.runs(MUTANTS * effort()), crc32(name.encode()), target.size):
                check(target, data)

    def test_random_bytes(self) -> None:
        random = Random(3)
        inputs = [random.randbytes(size) for size in (0, 1, 2, 3, 5, 8, 33, 65, 200, 1_000)]
        for target in TARGETS.values():
            for data in inputs:
                check(target, data)


class GuidedTest(SynchronousTestCase):
    def test_short_run(self) -> None:
        """Every target under atheris for a fixed number of inputs from a fixed seed."""
        if importlib.util.find_spec("atheris") is None:
            has_wheel = sys.version_info < (3, 14) and (sys.platform, platform.machine()) == ("linux", "x86_64")
            self.assertFalse(has_wheel, "atheris is missing, though there is a wheel of it: make venv brings it")
            raise SkipTest("there is no wheel of atheris for this Python or platform (setup.py)")
        with tempfile.TemporaryDirectory() as findings:
            command = [sys.executable, "-m", "tests.fuzz", "--runs", str(RUNS * effort()), "--seed", "1"]
            command += ["--findings", findings]
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600 * effort()
            )
        shown = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "Finding: " in line]
        self.assertEqual(done.returncode, 0, "\n".join(shown) or done.stderr[-3_000:])


class CheckTest(SynchronousTestCase):
    """The fuzzer finds what it is there for."""

    @staticmethod
    def run_with(error: type[Exception] | None) -> bool:
        def run(data: bytes) -> None:
            if error is not None:
                raise error("x")

        return check(Target("t", run, (KeyError,)), b"abc")

    def test_contract(self) -> None:
        self.assertTrue(self.run_with(None))
        self.assertFalse(self.run_with(KeyError))
        shown = str(self.assertRaises(Finding, self.run_with, ValueError))
        self.assertIn("616263", shown)

    def test_too_slow(self) -> None:
        clock = iter((0.0, MAX_SECONDS + 1))
        self.patch(sys.modules["tests.fuzz.checking"].time, "process_time", lambda: next(clock))
        self.assertRaises(Finding, self.run_with, None)

"""The fuzzer: coverage-guided (atheris, libFuzzer), one process for each target.

Without ``--corpus`` it starts from the saved corpus and keeps what it finds in a directory of its own; with it,
inputs that reach new code are added there. An input that is a finding is written to ``--findings``, shown in
hex, and ends its target with a failure.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["timecoin"], enable_loader_override=False):
    from tests.fuzz.checking import check
    from tests.fuzz.targets import TARGETS

from tests.fuzz import seeds
from tests.fuzz.corpus_files import SAVED

if TYPE_CHECKING:
    from tests.fuzz.checking import Target


_ROUND = 60
"""Seconds for each target at a time, when all of them run until they are stopped."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", default="all", choices=["all", *TARGETS], metavar="NAME", help="or: all")
    parser.add_argument("--seconds", type=int, default=0, help="for all targets together; 0: until stopped")
    parser.add_argument("--runs", type=int, default=0, help="end each target after so many inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; 0: of its own choice")
    parser.add_argument("--corpus", type=Path, help="a directory for each target in it; grows")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where findings are written")
    parser.add_argument("--list", action="store_true", help="print the names of the targets")
    parser.add_argument("--write-seeds", action="store_true", help="make the seeds of the saved corpus anew")
    return parser.parse_args()


def _fuzz(target: Target, options: argparse.Namespace, seconds: int, corpus: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    folder = corpus / target.name
    folder.mkdir(parents=True, exist_ok=True)
    options.findings.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-artifact_prefix={options.findings}/{target.name}-",
        f"-max_len={target.size}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-close_fd_mask=0",
        "-print_final_stats=1",
    ]
    flags += [f"-max_total_time={seconds}"] if seconds else []
    flags += [f"-runs={target.runs(options.runs)}"] if options.runs else []
    flags += [f"-seed={options.seed}"] if options.seed else []
    saved = SAVED / target.name
    folders = [str(folder), *([str(saved)] if saved.is_dir() and saved.resolve() != folder.resolve() else [])]
    atheris.Setup([sys.argv[0], *flags, *folders], lambda data: check(target, bytes(data)))
    atheris.Fuzz()


def _in_child(target: Target, options: argparse.Namespace, seconds: int, corpus: Path) -> bool:
    """Fuzz one target in a process of its own, which has everything imported already; whether nothing was found."""
    print(f"=== {target.name}", flush=True)
    child = os.fork()
    if not child:
        try:
            _fuzz(target, options, seconds, corpus)
        finally:
            os._exit(70)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _run(options: argparse.Namespace, corpus: Path) -> bool:
    chosen = list(TARGETS.values()) if options.target == "all" else [TARGETS[options.target]]
    endless = not (options.seconds or options.runs)
    share = max(1, options.seconds // len(chosen)) if options.seconds else _ROUND * endless
    failed: list[str] = []
    while True:
        failed += [target.name for target in chosen if not _in_child(target, options, share, corpus)]
        if failed:
            print(f"findings in {', '.join(failed)}: see {options.findings}", flush=True)
        if failed or not endless:
            return not failed


def main() -> int:
    """0: nothing was found."""
    options = _arguments()
    if options.list:
        print("\n".join(TARGETS))
        return 0
    if options.write_seeds:
        print(f"{seeds.write(SAVED)} seeds")
        return 0
    if options.corpus is not None:
        return 0 if _run(options, options.corpus) else 1
    with tempfile.TemporaryDirectory(prefix="timecoin-fuzz-") as own:
        return 0 if _run(options, Path(own)) else 1


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)

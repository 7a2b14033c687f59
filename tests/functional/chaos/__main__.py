"""``python -m tests.functional.chaos``: a run of some minutes, and its table; status 1 when something was violated."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.functional.chaos.clock import MissingTool
from tests.functional.chaos.faults import KINDS
from tests.functional.chaos.report import lines
from tests.functional.chaos.runner import ChaosRun
from tests.functional.chaos.schedule import plan

reactor: Any = _reactor


@click.command()
@click.option("--nodes", type=click.IntRange(4, 8), default=5, show_default=True)
@click.option("--minutes", type=float, default=5.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--rate", type=float, default=30.0, show_default=True, help="Payments a second.")
@click.option("--faults", default="", help=f"Some of {', '.join(KINDS)}, by commas. Empty: all.")
@click.option("--directory", type=click.Path(path_type=Path), default=None, help="Where the network's files stay.")
def main(nodes: int, minutes: float, seed: int, rate: float, faults: str, directory: Path | None) -> None:
    """Torment a network of real nodes."""
    kinds = [each for each in faults.split(",") if each] or list(KINDS)
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise click.UsageError(f"unknown faults: {', '.join(sorted(unknown))}")
    where = directory or Path(tempfile.mkdtemp(prefix="timecoin-chaos-"))
    status: list[int] = []

    async def run() -> None:
        chaos = ChaosRun(where / "net", nodes, seed, rate, minutes, _say)
        reactor.addSystemEventTrigger("before", "shutdown", chaos.net.kill)
        try:
            outcome = await chaos.go(plan(nodes, seed, kinds), 60 * minutes)
        finally:
            await chaos.end()
        for line in lines(outcome):
            _say(line)
        status.append(1 if outcome.violations else 0)

    def failed(failure: Failure) -> None:
        if failure.check(MissingTool):
            _say(failure.getErrorMessage())
        else:
            failure.printTraceback()
        status.append(2)

    def begin() -> None:
        Deferred.fromCoroutine(run()).addErrback(failed).addBoth(lambda _: reactor.stop())

    _say(f"{nodes} nodes, seed {seed}, {minutes:g} minutes; the files are in {where}")
    reactor.callWhenRunning(begin)
    reactor.run()
    sys.exit(status[0] if status else 2)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()

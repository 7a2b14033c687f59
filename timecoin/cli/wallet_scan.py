"""Scans of the chain for a wallet: watched while they last; and ``timecoin wallet rescan``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from timecoin.cli.connection import Connection, fail, with_node
from timecoin.cli.wallet_asking import ask
from timecoin.rpc.client import RpcFailure, RpcUnreachable, value_of

LOOK_SECONDS: float = 0.5
LINE_SECONDS: Final = 5.0
GOES_ON: Final = "The scan goes on in the node: getwalletinfo shows it."

Scan = dict[str, Any]
Show = Callable[[Scan], None]


def follow(node: Connection) -> None:
    """Show the scan of the node's wallet until it is over. Raises KeyboardInterrupt."""
    with _display() as show:
        while scan := ask(node, "getwalletinfo")["scanning"]:
            show(scan)
            time.sleep(LOOK_SECONDS)


def call_that_scans(node: Connection, method: str, *params: Any) -> Any:
    """The result of a call that is answered when its scan is done, which is shown meanwhile over a connection of its
    own. Raises KeyboardInterrupt; an error ends the process with its message."""
    answer, looking = _aside(node, method, params), node.using(node.wallet)
    with _display() as show:
        while not answer.done():
            scan = _look(looking)
            if scan:
                show(scan)
            _wait(answer)
    try:
        return value_of(answer.result())
    except (RpcFailure, RpcUnreachable) as problem:
        fail(problem)


def _aside(node: Connection, method: str, params: tuple[Any, ...]) -> Future[bytes]:
    """A call in a thread that does not keep the process alive."""
    answer: Future[bytes] = Future()

    def run() -> None:
        try:
            answer.set_result(node.raw(method, params))
        except (RpcFailure, RpcUnreachable) as problem:
            answer.set_exception(problem)

    Thread(target=run, daemon=True).start()
    return answer


def _look(node: Connection) -> Any:
    """The scan under way; nothing when the node does not tell: the call itself will say why."""
    try:
        return value_of(node.raw("getwalletinfo"))["scanning"]
    except (RpcFailure, RpcUnreachable):
        return False


def _wait(answer: Future[bytes]) -> None:
    end = time.monotonic() + LOOK_SECONDS
    while not answer.done() and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def _display() -> Iterator[Show]:
    """What shows a scan: a bar on a terminal, else a line now and then."""
    if not sys.stdout.isatty():
        yield _Lines().show
        return
    columns = (TextColumn("block {task.fields[height]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(), transient=True) as progress:
        task = progress.add_task("", total=1.0, height="")
        yield lambda scan: progress.update(task, completed=float(scan["progress"]), height=scan["height"])


class _Lines:
    """A scan for those who read a log."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def show(self, scan: Scan) -> None:
        """A line, if the last one is old."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            click.echo(f"block {scan['height']}: {float(scan['progress']):.0%}", err=True)


@click.command()
@with_node
@click.option("--from", "first", type=click.IntRange(min=0), default=0, show_default=True, help="The first block.")
def rescan(node: Connection, first: int) -> None:
    """Look through the chain for transactions of the wallet. Ctrl-C ends it."""
    try:
        found = call_that_scans(node, "rescanblockchain", first)
    except KeyboardInterrupt:
        ask(node.using(node.wallet), "abortrescan")
        click.echo("ended before its time", err=True)
        sys.exit(1)
    click.echo(f"looked through blocks {found['start_height']} to {found['stop_height']}")

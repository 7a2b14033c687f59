"""``timecoin status``: the node on one screen."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from timecoin.cli.connection import Connection, fail, with_node
from timecoin.cli.rpc import show
from timecoin.cli.status_screen import lines, screen
from timecoin.rpc import codec
from timecoin.rpc.client import RpcFailure, RpcUnreachable

ALERT_STATUS = 4
"""The exit status when an alert of level error is up; for what watches nodes."""


@click.command()
@with_node
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--every", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds between looks.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON (getstatus).")
def status(node: Connection, watch: bool, every: float, as_json: bool) -> None:
    """Show height, epoch, finality, peers, masternodes, mempool, clock and alerts of a node.

    Exit status: 0 all is well, 1 not reachable, 4 an alert of level error is up.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(node, every)
        return
    try:
        raw = node.raw("getstatus")
    except (RpcFailure, RpcUnreachable) as problem:
        fail(problem)
    found = codec.decode(raw)
    if as_json:
        click.echo(show(raw))
    else:
        _print(found)
    sys.exit(ALERT_STATUS if _has_error(found) else 0)


def _has_error(found: dict[str, Any]) -> bool:
    return any(alert["level"] == "error" for alert in found["alerts"])


def _print(found: dict[str, Any]) -> None:
    if sys.stdout.isatty():
        Console().print(screen(found))
        return
    for name, text in lines(found):
        click.echo(f"{name}: {text}")
    for alert in found["alerts"]:
        click.echo(f"{alert['level']} {alert['code']}: {alert['text']}")


def _watch(node: Connection, every: float) -> None:
    """On a terminal the screen is drawn anew; elsewhere each look is printed. A node that is away is waited for."""
    if not sys.stdout.isatty():
        while True:
            _look(node, _print)
            time.sleep(every)
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            _look(node, lambda found: live.update(screen(found), refresh=True))
            time.sleep(every)


def _look(node: Connection, use: Any) -> None:
    try:
        use(codec.decode(node.raw("getstatus")))
    except (RpcFailure, RpcUnreachable) as problem:
        click.echo(f"error: {problem}", err=True)

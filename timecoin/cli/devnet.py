"""``timecoin devnet``: a whole network of masternodes on this machine."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from timecoin.cli.devnet_display import Display
from timecoin.cli.devnet_files import DevnetError, DevnetFiles, make_devnet, open_devnet
from timecoin.cli.devnet_supervisor import Supervisor
from timecoin.cli.payment_demo import demonstrate
from timecoin.ledger.genesis import GenesisError
from timecoin.storage.datadir import DataDirectory
from timecoin.storage.errors import StorageError

_NODES, _EPOCH_SECONDS = 4, 60


def prepare(
    directory: Path, nodes: int | None, epoch_seconds: int | None, base_port: int | None, funds: int
) -> DevnetFiles:
    """The devnet in ``directory``, made when there is none. Raises DevnetError, GenesisError."""
    found = open_devnet(directory)
    if found is None:
        return make_devnet(directory, nodes or _NODES, epoch_seconds or _EPOCH_SECONDS, base_port, funds)
    if nodes is not None and nodes != len(found.nodes):
        raise DevnetError(f"{directory} holds a devnet of {len(found.nodes)} nodes, not {nodes}")
    if base_port is not None and base_port != found.nodes[0].p2p_port:
        raise DevnetError(
            f"{directory} holds a devnet with ports from {found.nodes[0].p2p_port}, not {base_port}"
        )
    return found


class DevnetRun:
    """One run of a devnet on ``reactor``, until a signal ends it; ``status`` is the exit status."""

    def __init__(self, reactor: Any, files: DevnetFiles, display: Display, payment: bool) -> None:
        self.status = 0
        self._stopping = False
        self._reactor = reactor
        self._files = files
        self._display = display
        self._payment = payment
        self._supervisor = Supervisor(reactor, files, display)

    def run(self) -> None:
        """Run; returns when all nodes have ended."""
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        signal.signal(signal.SIGHUP, lambda number, frame: self._reactor.callFromThread(self._reactor.stop))
        self._reactor.run()

    def _start(self) -> None:
        self._display.start()
        self._supervisor.ready.addCallback(lambda _: Deferred.fromCoroutine(self._ready()))
        self._supervisor.ready.addErrback(self._failed)
        self._supervisor.start()

    async def _ready(self) -> None:
        self._display.line(
            f"all {len(self._files.nodes)} nodes vote; {self._files.network_json} describes them"
        )
        if self._payment:
            network = json.loads(self._files.network_json.read_text(encoding="utf-8"))
            await demonstrate(self._reactor, network, self._display.line)
        self._display.line("running until Ctrl-C")

    def _failed(self, failure: Failure) -> None:
        if self._reactor.running and self.status == 0 and not self._stopping:
            self._display.line(f"error: {failure.getErrorMessage()}")
            self.status = 1
            self._reactor.stop()

    def _stop(self) -> Deferred[None]:
        self._stopping = True
        # A second Ctrl-C would ask a reactor that is stopping to stop.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._display.line("stopping all nodes")
        return self._supervisor.stop().addBoth(self._ended)

    def _ended(self, outcome: object) -> None:
        self._display.stop()
        if isinstance(outcome, Failure):
            self._display.line(f"error: {outcome.getErrorMessage()}")
            self.status = 1
        else:
            self._display.line("all nodes have ended")


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory of the devnet; made at the first start, continued at later ones.",
)
@click.option(
    "--nodes", type=click.IntRange(1, 100), help=f"Masternodes, at the first start. [default: {_NODES}]"
)
@click.option(
    "--epoch-seconds",
    type=click.IntRange(1, 86_400),
    help=f"Length of an epoch, at the first start. [default: {_EPOCH_SECONDS}]",
)
@click.option(
    "--base-port",
    type=click.IntRange(1_024, 65_000),
    help="P2P and RPC ports count up from here, at the first start. [default: free ones]",
)
@click.option(
    "--funds",
    type=click.IntRange(1, 1_000_000),
    default=1_000,
    show_default=True,
    help="Coins to pay with, at the first start.",
)
@click.option("--payment", is_flag=True, help="Send a payment when all vote, and show its steps.")
def devnet(
    directory: Path,
    nodes: int | None,
    epoch_seconds: int | None,
    base_port: int | None,
    funds: int,
    payment: bool,
) -> None:
    """Run N masternodes as separate twistd processes on loopback.

    DIR/network.json describes them once all are connected and voting. Ctrl-C or SIGTERM stops them all.
    """
    directory = directory.absolute()
    lock = DataDirectory(directory)
    try:
        lock.open()
        files = prepare(directory, nodes, epoch_seconds, base_port, funds)
        from twisted.internet import reactor

        run = DevnetRun(reactor, files, Display(Console()), payment)
        run.run()
    except (DevnetError, GenesisError, StorageError, OSError) as problem:
        raise click.ClickException(str(problem)) from None
    finally:
        lock.close()
    sys.exit(run.status)

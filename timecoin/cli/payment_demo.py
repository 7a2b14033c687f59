"""``timecoin demo-payment``: one real payment on a running devnet, each step with its time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred, gatherResults

from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.ledger import networks
from timecoin.node.key_files import new_key
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN, format_amount
from timecoin.primitives.hashes import hash160, parse_display
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, make_outpoint
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.client import RpcFailure, RpcUnreachable

AMOUNT = COIN
FEE_RATE = 200
_POLL_MS = 30_000
_REACHED_FINAL = ("final", "archived")

Say = Callable[[str], object]


class PaymentFailed(Exception):
    """The payment was rejected or there is no coin for it."""


async def demonstrate(reactor: Any, network: dict[str, Any], say: Say) -> None:
    """Send a payment from a fund of ``network`` (the contents of network.json) and tell of every step.

    Ends when it is archived. Raises PaymentFailed, RpcFailure, RpcUnreachable.
    """
    clients = [AsyncClient(reactor, node["rpc"], Path(node["cookie"])) for node in network["nodes"]]
    try:
        await _Demonstration(reactor, network, clients, say).run()
    finally:
        for client in clients:
            client.close()


class _Demonstration:
    """One payment; times count from its submission, in milliseconds."""

    def __init__(self, reactor: Any, network: dict[str, Any], clients: list[AsyncClient], say: Say) -> None:
        self._reactor = reactor
        self._network = network
        self._clients = clients
        self._say = say
        self._submitted = 0.0
        self._certified = False

    async def run(self) -> None:
        tx, script = await self._payment()
        txid = tx.txid[::-1].hex()
        hrp = networks.get(self._network["network"]).hrp
        seen = [(await client.call("getfinalityevents", 0, 0, 1))["last"] for client in self._clients]
        self._say(f"payment of {format_amount(AMOUNT)} TIME to {address.encode(script, hrp)}, txid {txid}")
        self._submitted = self._reactor.seconds()
        watching = [Deferred.fromCoroutine(self._watch(n, txid, since)) for n, since in enumerate(seen)]
        submitting = AsyncClient(
            self._reactor, self._network["nodes"][0]["rpc"], Path(self._network["nodes"][0]["cookie"])
        )
        try:
            await submitting.call("sendrawtransaction", tx.raw.hex())
            self._step("submitted", f"to {self._network['nodes'][0]['name']}")
            await gatherResults(watching, consumeErrors=True)
            self._step("final", f"on every node ({len(self._clients)})")
            await self._archived(submitting, txid)
        finally:
            submitting.close()

    async def _payment(self) -> tuple[Transaction, bytes]:
        """A signed payment from the first fund that is unspent, and the script that it pays."""
        backend = get_backend()
        script = p2wpkh(hash160(backend.public_key(new_key(backend))))
        for fund in self._network["funds"]:
            if await self._clients[0].call("gettxout", fund["txid"], fund["vout"]) is not None:
                outpoint = make_outpoint(parse_display(fund["txid"]), fund["vout"])
                coin = OwnedCoin(outpoint, fund["amount"], bytes.fromhex(fund["secret"]))
                return make_payment(coin, script, AMOUNT, FEE_RATE, backend), script
        raise PaymentFailed("all funds are spent")

    async def _watch(self, number: int, txid: str, since: int) -> None:
        """Follow one node's events until the payment is final there."""
        name = self._network["nodes"][number]["name"]
        while True:
            page = await self._clients[number].call("getfinalityevents", since, _POLL_MS)
            since = max(since, page["events"][-1]["n"] if page["events"] else page["last"])
            for event in page["events"]:
                if event["txid"] == txid and self._note(name, event["status"]):
                    return

    def _note(self, name: str, status: str) -> bool:
        """Tell of a status; whether it is final."""
        if status == "certified" and not self._certified:
            self._certified = True
            self._step("certified", f"on {name} first")
        if status == "rejected":
            raise PaymentFailed(f"rejected by {name}")
        if status in _REACHED_FINAL:
            self._step("final", f"on {name}")
        return status in _REACHED_FINAL

    async def _archived(self, client: AsyncClient, txid: str) -> None:
        since = 0
        while (status := await client.call("gettxstatus", txid))["status"] != "archived":
            if status["status"] == "rejected":
                raise PaymentFailed(f"rejected: {status['reason']}")
            page = await client.call("getfinalityevents", since, _POLL_MS)
            since = page["events"][-1]["n"] if page["events"] else page["last"]
        self._step("archived", f"in block {status['height']}")

    def _step(self, what: str, where: str) -> None:
        passed = (self._reactor.seconds() - self._submitted) * 1000
        self._say(f"{passed:9.1f} ms  {what:9} {where}")


def read_network(directory: Path) -> dict[str, Any]:
    """The contents of a devnet's network.json; click.ClickException when it has none."""
    path = directory / "network.json"
    try:
        network: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise click.ClickException(f"{path}: {reason}: is the devnet running?") from None
    return network


@click.command("demo-payment")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    required=True,
    help="The directory of a running devnet.",
)
def demo_payment(directory: Path) -> None:
    """Send a payment on a running devnet and show each step with its time."""
    from twisted.internet import reactor

    network, problems = read_network(directory), []
    done = Deferred.fromCoroutine(demonstrate(reactor, network, click.echo))
    done.addErrback(lambda failure: problems.append(failure))
    running: Any = reactor
    done.addCallback(lambda _: running.callWhenRunning(running.stop))
    running.run()
    if problems:
        known = problems[0].check(PaymentFailed, RpcFailure, RpcUnreachable)
        click.echo(
            f"error: {problems[0].getErrorMessage()}" if known else problems[0].getTraceback(), err=True
        )
        sys.exit(1)

"""``timecoin wallet balance``, ``address``, ``labels``, ``send`` and ``history``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from timecoin.cli.connection import Connection, with_node
from timecoin.cli.rpc import show
from timecoin.cli.wallet_asking import ask
from timecoin.primitives.amounts import AmountError, parse_amount
from timecoin.rpc import codec

_json = click.option("--json", "as_json", is_flag=True, help="Print the node's answer as JSON.")


@click.command()
@with_node
@_json
def balance(node: Connection, as_json: bool) -> None:
    """What the wallet has, by how certain it is, in TIME. Certified is not final."""
    found = ask(node, "getbalances")
    if as_json:
        click.echo(show(codec.encode(found)))
        return
    for line in _balance_lines(found["mine"]):
        click.echo(line)
    if "watchonly" in found:
        click.echo("and only watched:")
        for line in _balance_lines(found["watchonly"]):
            click.echo(line)


def _balance_lines(sums: dict[str, Any]) -> list[str]:
    meanings = {
        "pending": "not voted for by a quorum",
        "certified": "not final yet",
        "final": "never taken back",
        "archived": "final, and in the chain",
    }
    lines = [f"{name:9}  {sums[name]:>20.8f}  {text}" for name, text in meanings.items()]
    lines.append(f"{'can pay':9}  {sums['trusted']:>20.8f}  final, archived, and own change")
    if sums["collateral"]:
        lines.append(f"{'locked':9}  {sums['collateral']:>20.8f}  of these: collateral of masternodes")
    return lines


@click.command()
@with_node
@click.option("--label", default="", help="A label for it, such as an order's number.")
def address(node: Connection, label: str) -> None:
    """Print a new address. Give every payer another one."""
    click.echo(ask(node, "getnewaddress", label))


@click.command()
@with_node
@click.argument("label", required=False)
def labels(node: Connection, label: str | None) -> None:
    """The labels in use; with LABEL the addresses that have it."""
    found = ask(node, "listlabels") if label is None else ask(node, "getaddressesbylabel", label)
    for each in found:
        click.echo(each)


def _amount(context: click.Context, parameter: click.Parameter, text: str) -> str:
    try:
        parse_amount(text)
    except AmountError as problem:
        raise click.BadParameter(str(problem)) from None
    return text


@click.command()
@with_node
@click.argument("address")
@click.argument("amount", callback=_amount)
@click.option("--subtract-fee", is_flag=True, help="The fee is taken off AMOUNT.")
@click.option("--comment", default="", help="A note for this wallet's history.")
@click.option("--wait", "wanted", is_flag=True, help="Wait until it is final, and say how long that took.")
@click.option("--wait-seconds", type=click.IntRange(1, 3_600), default=60, show_default=True, help="At most so long.")
def send(
    node: Connection, address: str, amount: str, subtract_fee: bool, comment: str, wanted: bool, wait_seconds: int
) -> None:
    """Pay AMOUNT TIME to ADDRESS, and print the txid.

    With --wait the exit status is 0 when it is final, else 1.
    """
    named = {"address": address, "amount": amount, "comment": comment, "subtractfeefromamount": subtract_fee}
    txid = ask(node, "sendtoaddress", **named)
    click.echo(txid)
    if wanted:
        _tell(ask(node, "waitforfinality", txid, wait_seconds * 1_000), wait_seconds)


def _tell(found: dict[str, Any], seconds: int) -> None:
    """Say on standard error how it ended."""
    status = found["status"]
    if status in ("final", "archived"):
        took = "" if found["final_ms"] is None else f" after {found['final_ms']} ms"
        click.echo(f"final{took}", err=True)
        return
    if status == "rejected":
        click.echo(f"error: rejected: {found['reason']}", err=True)
    else:
        click.echo(f"error: only {status} after {seconds} s; the node goes on sending it", err=True)
    sys.exit(1)


@click.command()
@with_node
@click.option("--count", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many lines.")
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Leave out so many of the newest.")
@click.option("--label", default="*", help="Only what addresses with this label received.")
@_json
def history(node: Connection, count: int, skip: int, label: str, as_json: bool) -> None:
    """What was received and sent, the newest last: time (UTC), status, TIME, txid, label or address."""
    found = ask(node, "listtransactions", label=label, count=count, skip=skip)
    if as_json:
        click.echo(show(codec.encode(found)))
        return
    for each in found:
        click.echo(_history_line(each))


def _history_line(line: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(line["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    where = line.get("label") or line.get("address", "")
    state = "abandoned" if line.get("abandoned") else line["status"]
    return f"{when}  {state:9}  {line['category']:8}  {line['amount']:>+20.8f}  {line['txid']}  {where}"

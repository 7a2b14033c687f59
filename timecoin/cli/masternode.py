"""``timecoin masternode``: keys, registrations and the registry, over a node's RPC (protocol.md section 3).

Secrets are read from files, never from the command line, where every process of the machine could see them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from timecoin.cli.connection import Connection, with_node
from timecoin.node.key_files import KeyFileError, new_key, write_key
from timecoin.primitives.signing import get_backend
from timecoin.rpc import codec

_PATH = click.Path(path_type=Path)
_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_fee_rate = click.option("--fee-rate", help="Fee in base units per vbyte.")
_owner_file = click.option("--owner-key-file", type=_PATH, help="The owner's secret key, if the wallet has it not.")
_operator_file = click.option("--operator-key-file", type=_PATH, help="The operator's secret key: 64 hex digits.")


@click.group()
def masternode() -> None:
    """Register a masternode, change or end its registration, look at the registry.

    What is archived in epoch e is in the registry from epoch e+1 on, and in the set that votes from epoch e+2 on.
    """


def read_key_file(path: Path) -> str:
    """The 64 hex digits in a key file; click.ClickException, which does not quote it, for anything else."""
    try:
        text = path.read_text("ascii").strip()
        good = get_backend().is_secret(bytes.fromhex(text))
    except (OSError, ValueError):
        good = False
    if not good:
        raise click.ClickException(f"{path}: cannot be read, or holds no secret key of 64 hex digits")
    return text


def _options(**given: Any) -> dict[str, Any]:
    """What was given, key files read: ``operator_key_file`` becomes ``operator_secret``."""
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, Path):
            name, value = name.replace("key_file", "secret"), read_key_file(value)
        found[name] = value
    return found


def _print(found: Any, as_json: bool, text: list[str]) -> None:
    shown = msgspec.json.format(codec.encode(found), indent=2).decode("utf-8") if as_json else "\n".join(text)
    click.echo(shown)


def _sent(found: dict[str, Any], what: str) -> list[str]:
    lines = [
        f"{what} of masternode {found['id']} sent: transaction {found['txid']}, fee {found['fee']} TIME",
        f"  archived in epoch {found['epoch']}, it is in the registry from epoch {found['registry_epoch']} on",
        f"  and in the set that votes from epoch {found['set_epoch']} on",
    ]
    if found.get("release_epoch") is not None:
        lines.append(f"  its collateral can be spent from epoch {found['release_epoch']} on")
    return lines + [f"  note: {each}" for each in found["notes"]]


@masternode.command()
@click.argument("file", type=_PATH)
def genkey(file: Path) -> None:
    """Make an operator key: the secret goes into FILE (mode 0600, must not exist), the public key is printed.

    No node is asked. FILE is what [masternode] operator_key_file of node.ini names.
    """
    backend = get_backend()
    secret = new_key(backend)
    try:
        write_key(file, secret)
    except KeyFileError as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(backend.public_key(secret).hex())


@masternode.command()
@with_node
@click.option("--service", required=True, metavar="ADDRESS:PORT", help="Address literal under which others reach it.")
@click.option("--tier", type=click.Choice(["bronze", "silver", "gold", "free"]), help="[default: bronze]")
@click.option("--collateral", help="TIME to lock, instead of --tier.")
@click.option("--payout", help="Address for rewards. [default: a new one of the wallet]")
@click.option("--owner-key", help="Public key of the owner. [default: a new one of the wallet]")
@_operator_file
@_fee_rate
@_json
def register(
    node: Connection,
    service: str,
    tier: str | None,
    collateral: str | None,
    payout: str | None,
    owner_key: str | None,
    operator_key_file: Path | None,
    fee_rate: str | None,
    as_json: bool,
) -> None:
    """Lock collateral of the wallet and register a masternode behind it.

    Its operator key is the node's own unless --operator-key-file is given.
    """
    options = _options(
        service=service,
        tier=tier,
        collateral=collateral,
        payout=payout,
        owner_key=owner_key,
        operator_key_file=operator_key_file,
        fee_rate=fee_rate,
    )
    found = node.call("masternode", command="register", options=options)
    lines = _sent(found, f"Registration ({found['tier']}, power {found['power']})")
    _print(found, as_json, [*lines, f"  rewards go to {found['payout']}"])


@masternode.command()
@with_node
@click.argument("id")
@click.option("--service", metavar="ADDRESS:PORT", help="New address literal under which others reach it.")
@click.option("--payout", help="New address for rewards.")
@click.option("--owner-key", help="Public key of the new owner.")
@click.option("--operator-key-file", type=_PATH, help="The secret of the new operator key, which signs, too.")
@_owner_file
@_fee_rate
@_json
def update(
    node: Connection,
    id: str,
    service: str | None,
    payout: str | None,
    owner_key: str | None,
    operator_key_file: Path | None,
    owner_key_file: Path | None,
    fee_rate: str | None,
    as_json: bool,
) -> None:
    """Change a registration: what is not given stays. The owner key signs."""
    options = _options(
        service=service,
        payout=payout,
        owner_key=owner_key,
        operator_key_file=operator_key_file,
        owner_key_file=owner_key_file,
        fee_rate=fee_rate,
    )
    _change(node, "update", id, options, as_json)


def _change(node: Connection, command: str, id: str, options: dict[str, Any], as_json: bool) -> None:
    found = node.call("masternode", command=command, id=id, options=options)
    _print(found, as_json, _sent(found, {"update": "Update", "return": "Return"}.get(command, "Farewell")))


@masternode.command()
@with_node
@click.argument("id")
@_owner_file
@_fee_rate
@_json
def unregister(node: Connection, id: str, owner_key_file: Path | None, fee_rate: str | None, as_json: bool) -> None:
    """End a registration for good; its collateral is free after the unbonding time."""
    _change(node, "unregister", id, _options(owner_key_file=owner_key_file, fee_rate=fee_rate), as_json)


@masternode.command("return")
@with_node
@click.argument("id")
@_owner_file
@_fee_rate
@_json
def come_back(node: Connection, id: str, owner_key_file: Path | None, fee_rate: str | None, as_json: bool) -> None:
    """End the suspension of a masternode that was absent for too long."""
    _change(node, "return", id, _options(owner_key_file=owner_key_file, fee_rate=fee_rate), as_json)


@masternode.command("list")
@with_node
@_json
def show_list(node: Connection, as_json: bool) -> None:
    """The registry."""
    found = node.call("masternode", "list")
    lines = [f"{'ID':64}  {'TIER':6}  {'POWER':>5}  {'STATUS':12}  {'IN SET':6}  SERVICE"]
    lines += [
        f"{each['id']}  {each['tier']:6}  {each['power']:>5}  {each['status']:12}  "
        f"{_word(each['in_set']):6}  {each['service']}"
        for each in found
    ]
    _print(found, as_json, lines)


@masternode.command()
@with_node
@_json
def count(node: Connection, as_json: bool) -> None:
    """Figures of the registry."""
    found = node.call("masternode", "count")
    tiers = ", ".join(f"{number} {name}" for name, number in found["tiers"].items())
    lines = [
        f"{found['total']} registered ({tiers}), {found['eligible']} eligible",
        f"{found['in_set']} in the set, total power {found['total_power']}; {found['connected']} connected",
    ]
    _print(found, as_json, lines)


@masternode.command()
@with_node
@_json
def status(node: Connection, as_json: bool) -> None:
    """This node's own part."""
    found = node.call("masternode", "status")
    _print(found, as_json, _own(found))


def _own(found: dict[str, Any]) -> list[str]:
    if found["id"] is None:
        return ["This node is no registered masternode."]
    lines = [f"Masternode {found['id']}: {found['status'] or 'not in the registry any more'}"]
    lines.append(
        f"  in the set: {_word(found['masternode'])}, power {found['power']}, voting: {_word(found['voting'])}"
    )
    if found["abstains"] is not None:
        lines.append(f"  it signs nothing: {found['abstains']}")
    return lines


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


@masternode.command("sign-anyway")
@with_node
@click.argument("id")
@_json
def sign_anyway(node: Connection, id: str, as_json: bool) -> None:
    """End the silence of this node's masternode after the loss of its journal.

    It may make it sign against itself, which is misbehaviour: only for who knows that its key has signed nothing in
    the open epoch. ID, its own (see status), confirms that.
    """
    found = node.call("masternode", "sign-anyway", id)
    _print(found, as_json, _own(found))

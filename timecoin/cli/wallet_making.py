"""``timecoin wallet create`` and ``restore``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from timecoin.cli.connection import Connection, exit_status, read_password, with_node
from timecoin.cli.wallet_asking import ask, hand_over, new_passphrase
from timecoin.cli.wallet_scan import GOES_ON, call_that_scans, follow
from timecoin.wallet import words as recovery
from timecoin.wallet.errors import BadWords

Function = TypeVar("Function", bound=Callable[..., Any])
LAST_INDEX: Final = 999
"""The last address of an imported descriptor that is looked for in the chain; more are watched as they are used."""

_startup = click.option(
    "--startup/--no-startup", default=True, show_default=True, help="Load it at every start of the node."
)
_open = click.option(
    "--no-passphrase",
    "unprotected",
    is_flag=True,
    help="Without a passphrase: who gets at the file or at a backup of it has the money.",
)


@click.command()
@with_node
@click.argument("name")
@_open
@click.option("--watch-only", "watched", metavar="DESCRIPTOR|XPUB", help="Without keys: it watches and cannot pay.")
@click.option(
    "--unused", is_flag=True, help="With --watch-only: nothing was paid there yet, so look through no blocks."
)
@click.option("--words", "count", type=click.Choice(["12", "15", "18", "21", "24"]), default="12", show_default=True)
@_startup
def create(
    node: Connection, name: str, unprotected: bool, watched: str | None, unused: bool, count: str, startup: bool
) -> None:
    """Make a wallet, and load it.

    Its recovery words are shown this once; `timecoin wallet words` shows them again. An XPUB is an account's key, with
    or without its origin: [fingerprint/84h/24100h/0h]xpub...
    """
    if watched is not None:
        if unprotected:
            raise click.UsageError("a wallet that only watches has no keys to protect")
        _watch(node, name, watched, unused, startup)
        return
    if unused:
        raise click.UsageError("--unused goes with --watch-only")
    found = ask(
        node,
        "createwallet",
        wallet_name=name,
        passphrase=None if unprotected else new_passphrase(),
        load_on_startup=startup,
        show_words=True,
        word_count=int(count),
    )
    _say(found, f"wallet {name} made")
    if unprotected:
        click.echo("It has no passphrase: who can read its file, or a backup of it, has the money.", err=True)
    hand_over(found["words"])


def _say(found: dict[str, Any], what: str) -> None:
    click.echo(what, err=True)
    for each in found.get("warnings", []):
        click.echo(f"warning: {each}", err=True)


def descriptor_of(text: str) -> str:
    """A descriptor as it is, without its checksum's verdict; an account's key as descriptor of its addresses."""
    return text if "(" in text else f"wpkh({text}/<0;1>/*)"


def _watch(node: Connection, name: str, text: str, unused: bool, startup: bool) -> None:
    wanted = descriptor_of(text)
    info = ask(node, "getdescriptorinfo", wanted)
    if info["hasprivatekeys"]:
        raise click.UsageError("this holds a private key, which the list of processes has shown to others")
    _say(
        ask(node, "createwallet", wallet_name=name, disable_private_keys=True, blank=True, load_on_startup=startup),
        f"wallet {name} made; it only watches",
    )
    request = {
        "desc": f"{wanted.partition('#')[0]}#{info['checksum']}",
        "timestamp": "now" if unused else 0,
        "active": info["isrange"],
    }
    if info["isrange"]:
        request["range"] = [0, LAST_INDEX]
    try:
        found = call_that_scans(node.using(name), "importdescriptors", [request])[0]
    except KeyboardInterrupt:
        click.echo(GOES_ON, err=True)
        sys.exit(1)
    if not found["success"]:
        click.echo(f"error: it watches nothing: {found['error']['message']}", err=True)
        sys.exit(exit_status(found["error"]["code"]))


@click.command()
@with_node
@click.argument("name")
@click.option("--backup", type=click.Path(path_type=Path), help="Restore this file, on the node's machine, not words.")
@click.option("--word-passphrase", "salted", is_flag=True, help="The words have a passphrase of their own (BIP 39).")
@_open
@_startup
def restore(node: Connection, name: str, backup: Path | None, salted: bool, unprotected: bool, startup: bool) -> None:
    """Make the wallet NAME of recovery words, or of a backup, and look through the chain for its coins.

    The words are asked for unseen, then their passphrase if they have one, then a new passphrase for the wallet.
    """
    if backup is not None:
        if salted or unprotected:
            raise click.UsageError("a backup brings its own passphrase")
        file = str(backup.absolute())
        found = ask(node, "restorewallet", wallet_name=name, backup_file=file, load_on_startup=startup)
    else:
        phrase = _read_words()
        found = ask(
            node,
            "restorewalletfromwords",
            wallet_name=name,
            words=phrase,
            word_passphrase=read_password("Passphrase of the words: ") if salted else "",
            passphrase="" if unprotected else new_passphrase(),
            load_on_startup=startup,
        )
    _say(found, f"wallet {name} made; looking for its coins")
    try:
        follow(node.using(name))
    except KeyboardInterrupt:
        click.echo(GOES_ON, err=True)
        sys.exit(1)
    info = ask(node.using(name), "getwalletinfo")
    if info["synced_height"] < info["lastprocessedblock"]["height"]:
        click.echo(f"it ended at block {info['synced_height']}; the node goes on with the next block", err=True)
        sys.exit(1)
    click.echo("done; `timecoin wallet balance` shows what it has", err=True)


def _read_words() -> str:
    """Recovery words: **secret**. click.ClickException, which does not quote them, for what cannot be any."""
    phrase = read_password("Recovery words: ")
    try:
        recovery.entropy(phrase)
    except BadWords as problem:
        raise click.ClickException(str(problem)) from None
    return phrase

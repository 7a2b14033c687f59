"""``timecoin wallet list``, ``load``, ``unload`` and ``backup``."""

from __future__ import annotations

from pathlib import Path

import click

from timecoin.cli.connection import Connection, with_node
from timecoin.cli.wallet_asking import ask


@click.command("list")
@with_node
def show_list(node: Connection) -> None:
    """The wallets of the node, loaded or not."""
    loaded = ask(node, "listwallets")
    for each in ask(node, "listwalletdir")["wallets"]:
        click.echo(f"{each['name']:32}  {'loaded' if each['name'] in loaded else 'not loaded'}")


@click.command()
@with_node
@click.argument("name")
@click.option("--startup/--no-startup", default=True, show_default=True, help="Load it at every start of the node.")
def load(node: Connection, name: str, startup: bool) -> None:
    """Load the wallet NAME."""
    for each in ask(node, "loadwallet", filename=name, load_on_startup=startup).get("warnings", []):
        click.echo(f"warning: {each}", err=True)


@click.command()
@with_node
@click.argument("name")
@click.option("--startup/--no-startup", default=None, help="Load it at every start of the node. [default: as it was]")
def unload(node: Connection, name: str, startup: bool | None) -> None:
    """Write the wallet NAME to the disk and close it."""
    ask(node, "unloadwallet", wallet_name=name, load_on_startup=startup)


@click.command()
@with_node
@click.argument("file", type=click.Path(path_type=Path))
def backup(node: Connection, file: Path) -> None:
    """Write a copy of the wallet to FILE, on the node's machine, while it is in use; FILE must not be there yet.

    The copy of an encrypted wallet is encrypted.
    """
    ask(node, "backupwallet", str(file.absolute()))
    click.echo(f"written: {file.absolute()}", err=True)

"""``timecoin wallet unlock``, ``lock``, ``passphrase``, ``words`` and ``xpub``."""

from __future__ import annotations

import click

from timecoin.cli.connection import Connection, with_node
from timecoin.cli.wallet_asking import ask, new_passphrase, present_passphrase, show_words


@click.command()
@with_node
@click.option("--seconds", type=click.IntRange(1, 100_000_000), default=60, show_default=True, help="For how long.")
def unlock(node: Connection, seconds: int) -> None:
    """Let the wallet pay for some time. The passphrase is asked for unseen."""
    ask(node, "walletpassphrase", present_passphrase(), seconds)
    click.echo(f"unlocked for {seconds} s", err=True)


@click.command()
@with_node
def lock(node: Connection) -> None:
    """Lock the wallet at once."""
    ask(node, "walletlock")


@click.command()
@with_node
def passphrase(node: Connection) -> None:
    """Encrypt the wallet, or change its passphrase: the present one is asked for if there is one, then the new one."""
    if ask(node, "getwalletinfo")["encrypted"]:
        ask(node, "walletpassphrasechange", present_passphrase("Present passphrase: "), new_passphrase())
        click.echo("changed. Backups made before open with the old passphrase: make a new one.", err=True)
    else:
        ask(node, "encryptwallet", new_passphrase())
        click.echo("encrypted and locked. Backups made before are not encrypted: make a new one.", err=True)


@click.command()
@with_node
def words(node: Connection) -> None:
    """Show the recovery words; on a terminal on a screen of their own. Who has them has the money."""
    found = ask(node, "getwalletwords")
    show_words(found["words"], found.get("word_passphrase", ""))


@click.command()
@with_node
def xpub(node: Connection) -> None:
    """Print the account's public key, for a wallet that only watches: `create --watch-only`.

    Who has it sees all payments of the wallet, and cannot spend.
    """
    for each in ask(node, "listdescriptors")["descriptors"]:
        key, mark, _ = each["desc"].removeprefix("wpkh(").partition("/0/*)")
        if each["active"] and not each["internal"] and mark and each["desc"].startswith("wpkh("):
            click.echo(key)
            return
    raise click.ClickException("this wallet has no account of single keys; see `timecoin rpc listdescriptors`")

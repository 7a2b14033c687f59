"""``timecoin rpcauth NAME``: a user for RPC, as bitcoind's share/rpcauth makes one."""

from __future__ import annotations

import sys

import click

from timecoin.rpc.auth import Salted, new_password


@click.command()
@click.option("--stdin", "from_stdin", is_flag=True, help="Take the password from the first line of standard input.")
@click.argument("name")
def rpcauth(from_stdin: bool, name: str) -> None:
    """Print a line for node.ini that lets the user NAME call RPC, and the user's password.

    The line holds a salted hash only. Without --stdin the password is new and random.
    """
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else new_password()
    if not password:
        raise click.UsageError("the password is empty")
    try:
        user = Salted.make(name, password)
    except ValueError:
        raise click.UsageError(f"not a name (1 to 64 characters, no colon or space): {name!r}") from None
    click.echo(f"Line for [rpc] of node.ini (auth takes several users, separated by spaces):\nauth = {user}")
    if not from_stdin:
        click.echo(f"Password of {name}:\n{password}")

"""``timecoin rpc METHOD ARGS...``: one call to a running node, as bitcoin-cli makes it."""

from __future__ import annotations

import sys

import click
import msgspec
from click.shell_completion import CompletionItem

from timecoin.cli.connection import Connection, fail, read_password, with_node
from timecoin.cli.words import convert, convert_named
from timecoin.rpc import codec
from timecoin.rpc.client import RpcFailure, RpcUnreachable
from timecoin.rpc.methods import all_methods


def show(result: bytes) -> str:
    """A result as bitcoin-cli prints it: text bare, nothing for null, else indented JSON with numbers
    untouched."""
    if result == b"null":
        return ""
    if result.startswith(b'"'):
        return str(codec.decode(result))
    return msgspec.json.format(result, indent=2).decode("utf-8")


def _methods(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names that a shell offers."""
    return [
        CompletionItem(name, help=each.said.summary)
        for name, each in sorted(all_methods().items())
        if name.startswith(incomplete)
    ]


@click.command(context_settings={"ignore_unknown_options": True})
@with_node
@click.option("--named", "-named", is_flag=True, help="Arguments are name=value.")
@click.option("--stdin", "-stdin", "from_stdin", is_flag=True, help="Read more arguments, one a line, until the end.")
@click.option(
    "--stdinwalletpassphrase",
    "-stdinwalletpassphrase",
    "passphrase",
    is_flag=True,
    help="Read the first argument, a passphrase, from standard input, where nobody sees it.",
)
@click.argument("method", shell_complete=_methods)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def rpc(
    node: Connection, named: bool, from_stdin: bool, passphrase: bool, method: str, arguments: tuple[str, ...]
) -> None:
    """Call METHOD of a running node; `timecoin rpc help` lists the methods.

    The options are bitcoin-cli's as well as ours. Exit status: 0 answered, 1 not reachable, 2 wrong usage,
    otherwise the error code without its sign.
    """
    if passphrase:
        if not method.startswith("walletpassphrase"):
            raise click.UsageError("--stdinwalletpassphrase is for walletpassphrase and walletpassphrasechange")
        secret = read_password("Passphrase: ")
        arguments = (f"passphrase={secret}" if named else secret, *arguments)
    if from_stdin:
        arguments += tuple([line.rstrip("\r\n") for line in sys.stdin])
    params = convert_named(method, arguments) if named else convert(method, arguments)
    try:
        shown = show(node.raw(method, params))
    except (RpcFailure, RpcUnreachable) as problem:
        fail(problem)
    if shown:
        click.echo(shown)

"""``timecoin rpc METHOD ARGS...``: one call to a running node, as bitcoin-cli makes it."""

from __future__ import annotations

import sys

import click
import msgspec
from click.shell_completion import CompletionItem

from timecoin.cli.connection import Connection, fail, read_password, with_node
from timecoin.cli.info import getinfo, netinfo
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
    """The names that a shell offers: of methods, also of the one that help is asked for."""
    if parameter.name == "arguments" and (context.params.get("method") != "help" or context.params.get("arguments")):
        return []
    return [
        CompletionItem(name, help=each.said.summary)
        for name, each in sorted(all_methods().items())
        if name.startswith(incomplete)
    ]


_WITH_PASSPHRASE = ("walletpassphrase", "walletpassphrasechange", "encryptwallet")
_HINTS = {
    "rpcpassword": ": every process would see it; use -stdinrpcpass, or TIMECOIN_RPC_PASSWORD",
    "datadir": ": name the configuration instead, -conf=FILE",
}


def _show_about(node: Connection, about: str, detail: str | None) -> None:
    if detail is not None and (about != "netinfo" or not detail.isdecimal()):
        raise click.UsageError(f"-{about} takes no {detail!r}")
    try:
        click.echo(getinfo(node) if about == "getinfo" else netinfo(node, bool(int(detail or 0))))
    except (RpcFailure, RpcUnreachable) as problem:
        fail(problem)


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
@click.option("--getinfo", "-getinfo", "about", flag_value="getinfo", help="Show chain, network, wallet, warnings.")
@click.option("--netinfo", "-netinfo", "about", flag_value="netinfo", help="Count connections; -netinfo 1 lists them.")
@click.argument("method", required=False, shell_complete=_methods)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, shell_complete=_methods)
def rpc(
    node: Connection,
    named: bool,
    from_stdin: bool,
    passphrase: bool,
    about: str | None,
    method: str | None,
    arguments: tuple[str, ...],
) -> None:
    """Call METHOD of a running node; `timecoin rpc help` lists the methods.

    The options are bitcoin-cli's as well as ours. Exit status: 0 answered, 1 not reachable, 2 wrong usage,
    otherwise the error code without its sign, of which the shell sees the last eight bits: 89 for -32601.
    """
    if about is not None:
        _show_about(node, about, method)
        return
    if method is None:
        raise click.UsageError("Missing argument 'METHOD'.")
    if method.startswith("-"):
        name = method.partition("=")[0]
        raise click.UsageError(f"Invalid parameter {name}{_HINTS.get(name.lstrip('-'), '')}")
    if passphrase:
        if method not in _WITH_PASSPHRASE:
            raise click.UsageError(f"--stdinwalletpassphrase is for {', '.join(_WITH_PASSPHRASE)}")
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

"""``timecoin rpc METHOD ARGS...``: one call to a running node, as bitcoin-cli makes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from timecoin.node.config import ConfigError, load
from timecoin.rpc import codec
from timecoin.rpc.client import BlockingClient, RpcFailure, RpcUnreachable
from timecoin.rpc.methods import all_methods


def node_address(config_path: Path) -> tuple[str, Path]:
    """(URL, cookie file) of the node that a node.ini describes. Raises ``ConfigError``."""
    config = load(config_path)
    for endpoint in config.rpc_endpoints:
        kind, port, *options = endpoint.split(":")
        if kind in ("tcp", "tcp4"):
            hosts = [each.partition("=")[2] for each in options if each.startswith("interface=")]
            return f"http://{hosts[0] if hosts else '127.0.0.1'}:{port}", config.cookie_path
    raise ConfigError(config.source, "names no tcp: endpoint to call", "rpc", "listen")


def convert(method: str, arguments: tuple[str, ...]) -> list[Any]:
    """Words of a command line as the method's JSON parameters. Raises click.UsageError."""
    known = all_methods().get(method)
    texts = [] if known is None else [each.is_text for each in known.parameters]
    return [
        word if n < len(texts) and texts[n] else _json(word, strict=known is not None)
        for n, word in enumerate(arguments)
    ]


def convert_named(method: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` words as named JSON parameters. Raises click.UsageError."""
    known = all_methods().get(method)
    texts = set() if known is None else {each.name for each in known.parameters if each.is_text}
    named: dict[str, Any] = {}
    for word in arguments:
        name, equals, value = word.partition("=")
        if not equals:
            raise click.UsageError(f"no '=' in named argument {word!r}")
        named[name] = value if name in texts else _json(value, strict=known is not None)
    return named


def _json(word: str, *, strict: bool) -> Any:
    try:
        return codec.decode(word.encode("utf-8"))
    except ValueError:
        if strict:
            raise click.UsageError(f"Error parsing JSON: {word}") from None
        return word


def show(result: bytes) -> str:
    """A result as bitcoin-cli prints it: text bare, nothing for null, else indented JSON with numbers
    untouched."""
    if result == b"null":
        return ""
    if result.startswith(b'"'):
        return str(codec.decode(result))
    return msgspec.json.format(result, indent=2).decode("utf-8")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("node.ini"),
    show_default=True,
    help="The node's node.ini.",
)
@click.option("--url", help="Call http://HOST:PORT instead of what --config says; needs --cookie.")
@click.option("--cookie", type=click.Path(path_type=Path), help="The node's cookie file.")
@click.option("--named", is_flag=True, help="Arguments are name=value.")
@click.option(
    "--timeout", type=float, default=900.0, show_default=True, help="Seconds to wait for the answer."
)
@click.argument("method")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def rpc(
    config: Path,
    url: str | None,
    cookie: Path | None,
    named: bool,
    timeout: float,
    method: str,
    arguments: tuple[str, ...],
) -> None:
    """Call METHOD of a running node; `timecoin rpc help` lists the methods.

    Exit status: 0 answered, 1 not reachable, 2 wrong usage, otherwise the error code without its sign.
    """
    if (url is None) != (cookie is None):
        raise click.UsageError("--url and --cookie go together")
    try:
        where, secret = (url, cookie) if url is not None and cookie is not None else node_address(config)
        params = convert_named(method, arguments) if named else convert(method, arguments)
        shown = show(BlockingClient(where, secret, timeout).call_raw(method, params))
    except RpcFailure as failure:
        click.echo(f"error code: {failure.code}\nerror message:\n{failure.message}", err=True)
        sys.exit(min(abs(failure.code), 255) or 1)
    except (RpcUnreachable, ConfigError) as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(1)
    if shown:
        click.echo(shown)

"""Which node a command talks to, and as whom: the options that all commands over RPC share."""

from __future__ import annotations

import functools
import getpass
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import click

from timecoin.node.config import Config, ConfigError, load
from timecoin.rpc.client import BlockingClient, RpcFailure, RpcUnreachable, value_of
from timecoin.rpc.errors import IN_WARMUP
from timecoin.rpc.target import Login

Function = TypeVar("Function", bound=Callable[..., Any])
PASSWORD_VARIABLE = "TIMECOIN_RPC_PASSWORD"
_RETRY_SECONDS = 0.5
_PATH = click.Path(path_type=Path)


def address_of(config: Config) -> str:
    """The URL of the first TCP endpoint on which the node of a configuration serves RPC; ``ConfigError``."""
    for endpoint in config.rpc_endpoints:
        kind, port, *options = endpoint.split(":")
        if kind in ("tcp", "tcp4", "ssl"):
            hosts = [each.partition("=")[2] for each in options if each.startswith("interface=")]
            return f"{'https' if kind == 'ssl' else 'http'}://{hosts[0] if hosts else '127.0.0.1'}:{port}"
    raise ConfigError(config.source, "names no tcp: or ssl: endpoint to call", "rpc", "listen")


@dataclass(frozen=True, slots=True)
class Connection:
    """A node to call; ``calls`` end in an exit with a message when it does not answer or answers with an error."""

    client: BlockingClient
    wait_seconds: float | None
    reach: Callable[[str | None], BlockingClient]
    wallet: str | None = None

    def using(self, wallet: str | None) -> Connection:
        """The same node over a connection of its own, for that wallet; None: the only one that is loaded."""
        return Connection(self.reach(wallet), self.wait_seconds, self.reach, wallet)

    def raw(self, method: str, params: Sequence[Any] | dict[str, Any] = ()) -> bytes:
        """The result of a call as JSON text. Raises ``RpcFailure``, ``RpcUnreachable``.

        When the user said so, a node that starts is waited for.
        """
        begun = time.monotonic()
        while True:
            try:
                return self.client.call_raw(method, params)
            except (RpcUnreachable, RpcFailure) as problem:
                starting = isinstance(problem, RpcUnreachable) or problem.code == IN_WARMUP
                if not starting or self.wait_seconds is None or time.monotonic() - begun >= self.wait_seconds:
                    raise
                time.sleep(_RETRY_SECONDS)

    def call(self, method: str, *params: Any, **named: Any) -> Any:
        """The result of a call; an error ends the process with its message (:func:`fail`)."""
        try:
            return value_of(self.raw(method, named or params))
        except (RpcFailure, RpcUnreachable) as problem:
            fail(problem)


def exit_status(code: int) -> int:
    """The exit status for an RPC error: as bitcoin-cli's, the last eight bits of the code without its sign."""
    return abs(code) & 0xFF or 1


def fail(problem: RpcFailure | RpcUnreachable | ConfigError | ValueError, hint: str = "") -> NoReturn:
    """End with a message on standard error: status 1, or the RPC error's code without its sign, as bitcoin-cli."""
    if isinstance(problem, RpcFailure):
        click.echo(f"error code: {problem.code}\nerror message:\n{problem.message}", err=True)
        if hint:
            click.echo(hint, err=True)
        sys.exit(exit_status(problem.code))
    click.echo(f"error: {problem}", err=True)
    sys.exit(1)


def read_password(prompt: str) -> str:
    """A line that nobody sees: asked for on a terminal, else the next line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def with_node(function: Function) -> Function:
    """Give a command the options that choose a node; it gets a :class:`Connection` as ``node``."""

    @functools.wraps(function)
    def command(
        config: Path,
        url: str | None,
        host: str | None,
        port: int | None,
        cookie: Path | None,
        user: str | None,
        stdin_password: bool,
        ca_file: Path | None,
        wallet: str | None,
        timeout: float,
        wait: bool,
        wait_timeout: float,
        **others: Any,
    ) -> Any:
        try:
            if user is None and cookie is None:
                _check_needs_no_login(url, host)
            where, who = _target(config, _place(config, url, host, port), cookie, user, stdin_password)

            def reach(name: str | None) -> BlockingClient:
                return BlockingClient(_wallet_url(where, name), who, timeout, ca_file)

            node = Connection(reach(wallet), wait_timeout if wait else None, reach, wallet)
        except (ConfigError, ValueError) as problem:
            fail(problem)
        return function(node=node, **others)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _wallet_url(where: str, wallet: str | None) -> str:
    return where if wallet is None else f"{where.rstrip('/')}/wallet/{quote(wallet, safe='')}"


def _check_needs_no_login(url: str | None, host: str | None) -> None:
    """The cookie of the node in the configuration opens that node; nobody else is shown it unasked."""
    if url is not None:
        raise click.UsageError("--url needs --cookie or --user")
    if host is not None and not re.fullmatch(r"(localhost|127(\.\d+){3}|\[?::1\]?)(:\d+)?", host):
        raise click.UsageError("-rpcconnect to another machine needs --cookie or --user")


def _place(config: Path, url: str | None, host: str | None, port: int | None) -> str | None:
    """The URL that was asked for; None for the one in the configuration. The latter has what -rpcconnect and
    -rpcport do not say."""
    if host is None and port is None:
        return url
    if url is not None:
        raise click.UsageError("--url and -rpcconnect or -rpcport exclude each other")
    if host is not None and port is None and re.fullmatch(r"[^:]+:\d+|\[.*\]:\d+", host):
        return f"http://{host}"
    if port is None:
        port = urlsplit(address_of(load(config))).port
    host = host or "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host and not host.startswith("[") else f"http://{host}:{port}"


def _target(
    config: Path, url: str | None, cookie: Path | None, user: str | None, stdin_password: bool
) -> tuple[str, Path | Login]:
    if user is not None and cookie is not None:
        raise click.UsageError("--user and --cookie exclude each other")
    login: Login | None = None
    if user is not None:
        given = read_password("RPC password: ") if stdin_password else os.environ.get(PASSWORD_VARIABLE)
        if given is None:
            raise click.UsageError(f"--user needs --stdinrpcpass, or the password in {PASSWORD_VARIABLE}")
        login = Login(user, given)
    if url is not None:
        return url, login or cookie or load(config).cookie_path
    known = load(config)
    return address_of(known), login or cookie or known.cookie_path


_OPTIONS = (
    click.option(
        "--config",
        "-conf",
        type=_PATH,
        default=Path("node.ini"),
        show_default=True,
        envvar="TIMECOIN_CONFIG",
        help="The node's node.ini.",
    ),
    click.option("--url", help="Call http://HOST:PORT or https://HOST:PORT instead of what --config says."),
    click.option("--rpcconnect", "-rpcconnect", "host", help="Call this host, without TLS."),
    click.option("--rpcport", "-rpcport", "port", type=click.IntRange(1, 65535), help="Call this port, without TLS."),
    click.option("--cookie", "-rpccookiefile", type=_PATH, help="The node's cookie file."),
    click.option("--user", "-rpcuser", help="The name of an rpcauth user."),
    click.option(
        "--stdinrpcpass",
        "-stdinrpcpass",
        "stdin_password",
        is_flag=True,
        help=f"Read the user's password from standard input; else it is in {PASSWORD_VARIABLE}.",
    ),
    click.option("--ca-file", type=_PATH, help="Certificates to trust for https, instead of the system's."),
    click.option("--rpcwallet", "-rpcwallet", "--wallet", "wallet", help="The wallet to use, by its name."),
    click.option(
        "--timeout",
        "-rpcclienttimeout",
        type=float,
        default=900.0,
        show_default=True,
        help="Seconds to wait for an answer.",
    ),
    click.option("--rpcwait", "-rpcwait", "wait", is_flag=True, help="Wait for a node that starts."),
    click.option(
        "--rpcwaittimeout",
        "-rpcwaittimeout",
        "wait_timeout",
        type=float,
        default=float("inf"),
        help="Wait at most so many seconds for it.",
    ),
)

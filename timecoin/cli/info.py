"""``timecoin rpc -getinfo`` and ``-netinfo``: what bitcoin-cli shows under these names, from several calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from timecoin.cli.connection import Connection
from timecoin.rpc.client import RpcFailure, value_of
from timecoin.rpc.errors import METHOD_NOT_FOUND

_WHICH_WALLET = -19
_NO_WALLET = (METHOD_NOT_FOUND, -18, _WHICH_WALLET)


def getinfo(node: Connection) -> str:
    """Chain, network, wallet and warnings in the lines of bitcoin-cli. Raises ``RpcFailure``, ``RpcUnreachable``."""
    chain, network = _ask(node, "getblockchaininfo"), _ask(node, "getnetworkinfo")
    proxies = sorted({each["proxy"] for each in network["networks"] if each["proxy"]})
    rows = [
        f"Chain: {chain['chain']} ({chain['network']})",
        f"Blocks: {chain['blocks']}",
        f"Headers: {chain['headers']}",
        f"Verification progress: {float(chain['verificationprogress']):.4%}",
        f"Difficulty: {chain['difficulty']}",
        "",
        f"Network: in {network['connections_in']}, out {network['connections_out']}, total {network['connections']}",
        f"Version: {network['timecoin_version']}",
        f"Time offset (s): {network['timeoffset']}",
        f"Proxies: {', '.join(proxies) or 'n/a'}",
        f"Min tx relay fee rate (TIME/kvB): {network['relayfee']}",
        "",
        *_money(node),
        f"Warnings: {_warnings(network['warnings'])}",
    ]
    return "\n".join(rows)


def netinfo(node: Connection, with_peers: bool) -> str:
    """How many connections there are in each network, or each of them. Raises ``RpcFailure``, ``RpcUnreachable``."""
    network, peers = _ask(node, "getnetworkinfo"), _ask(node, "getpeerinfo")
    rows = [f"timecoin {network['timecoin_version']} on {_ask(node, 'getblockchaininfo')['network']}", ""]
    if with_peers:
        rows += [*_columns(_peers(peers)), ""]
    rows += _columns(_counts(peers))
    here = [f"{each['address']} port {each['port']}" for each in network["localaddresses"]]
    return "\n".join([*rows, "", f"Local addresses: {', '.join(here) or 'n/a'}"])


def _ask(node: Connection, method: str) -> Any:
    return value_of(node.raw(method))


def _money(node: Connection) -> Iterator[str]:
    """The wallet that is meant, or the balances of all that are loaded; nothing where wallets are off."""
    try:
        about = _ask(node, "getwalletinfo")
        yield from (f"Wallet: {about['walletname']}", f"Balance: {_trusted(node)}", "")
    except RpcFailure as problem:
        if problem.code not in _NO_WALLET or node.wallet is not None:
            raise
        if problem.code == _WHICH_WALLET:
            yield "Balances"
            yield from _columns((_trusted(node.using(name)), name) for name in _ask(node, "listwallets"))
            yield ""


def _trusted(node: Connection) -> str:
    return f"{_ask(node, 'getbalances')['mine']['trusted']:f}"


def _warnings(found: str | list[str]) -> str:
    return (found if isinstance(found, str) else "; ".join(found)) or "(none)"


def _peers(peers: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield ("<->", "net", "ping ms", "blocks", "id", "address", "version")
    for each in peers:
        ping = f"{float(each['pingtime']) * 1000:.0f}" if "pingtime" in each else "-"
        way = "in" if each["inbound"] else "out"
        known = (str(each["synced_blocks"]), str(each["id"]), each["addr"], each["subver"])
        yield (way, _short(each["network"]), ping, *known)


def _counts(peers: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    names = sorted({_short(each["network"]) for each in peers})
    yield ("", *names, "total")
    for way, inbound in (("in", {True}), ("out", {False}), ("total", {True, False})):
        count = Counter(_short(each["network"]) for each in peers if each["inbound"] in inbound)
        yield (way, *[str(count[name]) for name in names], str(count.total()))


def _short(network: str) -> str:
    return "npr" if network == "not_publicly_routable" else network


def _columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows of equal length, each column as wide as it must be."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]

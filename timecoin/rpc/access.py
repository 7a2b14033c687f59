"""From which addresses clients may connect: bitcoind's ``rpcallowip``, and which endpoints need it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from twisted.internet.interfaces import IAddress

Network = IPv4Network | IPv6Network

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def parse_network(text: str) -> Network:
    """An address, ``address/bits`` or ``address/netmask``; ValueError for anything else."""
    return ip_network(text, strict=False)


def is_allowed(address: IAddress | None, networks: Iterable[Network]) -> bool:
    """Whether a client at ``address`` may connect: from this machine always, else from ``networks`` only."""
    host = getattr(address, "host", None)
    if host is None:
        return True
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in each for each in (*_LOOPBACK, *networks))


def is_local(endpoint: str) -> bool:
    """Whether a server endpoint string is reached from this machine only: a UNIX socket or a loopback interface."""
    kind, *rest = words(endpoint)
    if kind == "unix":
        return True
    hosts = [each.partition("=")[2] for each in rest if each.startswith("interface=")]
    if kind not in ("tcp", "tcp4", "tcp6", "ssl") or len(hosts) != 1:
        return False
    try:
        host = ip_address(hosts[0])
    except ValueError:
        return hosts[0] == "localhost"
    return any(host in each for each in _LOOPBACK)


def words(endpoint: str) -> list[str]:
    """A server endpoint string cut at its colons; one after a backslash belongs to a word."""
    parts = endpoint.replace("\\:", "\0").split(":")
    return [each.replace("\0", ":") for each in parts]


def text_of(address: IAddress | None) -> str:
    """``host:port`` of a client, empty for one that has none."""
    host, port = getattr(address, "host", None), getattr(address, "port", 0)
    return "" if host is None else f"{host}:{port}"

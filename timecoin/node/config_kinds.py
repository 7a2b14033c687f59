"""What a value of node.ini may look like: one small parser per kind, each saying what it allows.

A ``Kind`` turns the text of a key into a typed value or raises ``ValueError``; ``allowed`` is the end of the
sentence "must be ...", shown to the operator with the bad value and in the comments of etc/node.ini.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from timecoin.node.anchor import TrustSetting, parse_trust
from timecoin.rpc.access import Network, parse_network
from timecoin.rpc.auth import Salted, WhiteList

T = TypeVar("T")

_TRUTH = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}
# Linux's NAME_MAX and PATH_MAX, in bytes.
_MAX_NAME, _MAX_PATH = 255, 4_096
# A unix socket's address holds 108 bytes with the zero at its end.
_MAX_SOCKET_PATH = 107
_NODE_ID = re.compile(r"[0-9a-f]{66}\Z")
_WALLET_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_ONION = re.compile(r"[a-z2-7]{56}\.onion\Z")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: how to read it (relative paths from ``base``) and the words for what is allowed.

    ``secret``: what was written may be a password by mistake, so complaints do not repeat it.
    """

    read: Callable[[str, Path], T]
    allowed: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class PinnedPeer:
    """A peer that must prove this node key, written ``nodeid@host:port``."""

    node_id: bytes
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.node_id.hex()}@{HostPort(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address literal (IPv4, IPv6 or Tor v3) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def integer(low: int, high: int, unit: str = "") -> Kind[int]:
    """A whole number from ``low`` to ``high``."""

    def read(text: str, base: Path) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(read, f"a whole number from {low} to {high}{' ' + unit if unit else ''}")


def boolean() -> Kind[bool]:
    """``yes`` or ``no`` (also true/false, on/off, 1/0)."""
    return Kind(lambda text, base: _TRUTH[text.lower()], "yes or no")


def choice(*names: str) -> Kind[str]:
    """One of a few words."""

    def read(text: str, base: Path) -> str:
        if text not in names:
            raise ValueError
        return text

    return Kind(read, "one of " + ", ".join(names))


def word(pattern: str, allowed: str) -> Kind[str]:
    """A word that a regular expression matches whole."""

    def read(text: str, base: Path) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Kind(read, allowed)


def optional_path() -> Kind[Path | None]:
    """A path (``~`` is the home directory; a relative one counts from the file's directory) or nothing."""

    def read(text: str, base: Path) -> Path | None:
        path = (base / Path(text).expanduser()).absolute() if text else None
        if "\0" in text or (path is not None and _is_too_long(path)):
            raise ValueError
        return path

    return Kind(read, "a path, or empty")


def _is_too_long(path: Path) -> bool:
    """Whether no file can have this path: looking for one would fail with an OSError."""
    names = [len(os.fsencode(name)) for name in path.parts]
    return max(names) > _MAX_NAME or len(os.fsencode(path)) >= _MAX_PATH


def endpoints() -> Kind[tuple[str, ...]]:
    """Twisted server endpoint strings separated by white space; ``none`` stands for an empty list."""

    def read(text: str, base: Path) -> tuple[str, ...]:
        found = tuple(text.split())
        if found == ("none",):
            return found
        for each in found:
            _check_endpoint(each)
        return found

    return Kind(read, "endpoint strings such as tcp:24100 or tcp:24100:interface=127.0.0.1, or none, or empty")


def _check_endpoint(text: str) -> None:
    """Raise ValueError for what can be no endpoint; the port of ``tcp:`` and ``onion:`` must be a number."""
    if not re.fullmatch(r"[a-z][a-z0-9+-]*:\S+", text):
        raise ValueError
    name, _, rest = text.partition(":")
    if name in {"tcp", "tcp4", "tcp6", "onion"}:
        _port(rest.split(":")[0])


def local_endpoints() -> Kind[tuple[str, ...]]:
    """Endpoint strings that only this machine can reach: loopback TCP or a unix socket (relative to the file)."""

    def read(text: str, base: Path) -> tuple[str, ...]:
        return () if text == "none" else tuple(_local(each, base) for each in text.split())

    allowed = "tcp:PORT:interface=127.0.0.1, tcp6:PORT:interface=\\:\\:1 or unix:PATH, or empty"
    return Kind(read, f"reachable from this machine only: {allowed}")


def _local(text: str, base: Path) -> str:
    if text.startswith("unix:"):
        path = os.path.abspath(base / Path(text.removeprefix("unix:")).expanduser())
        if text.endswith((":", "/")) or re.search(r"[:\\\s\0]", path) or len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            raise ValueError
        return f"unix:{path}"
    form = re.fullmatch(r"(tcp6?):([0-9]+):interface=(\S+)", text)
    if form is None or form[3] != ("\\:\\:1" if form[1] == "tcp6" else form[3]):
        raise ValueError
    if form[1] == "tcp" and not ipaddress.IPv4Address(form[3]).is_loopback:
        raise ValueError
    _port(form[2])
    return text


def rpc_users() -> Kind[tuple[Salted, ...]]:
    """Users of RPC with salted passwords, separated by white space; each name once."""

    def read(text: str, base: Path) -> tuple[Salted, ...]:
        found = tuple(Salted.parse(each) for each in text.split())
        if len({each.name for each in found}) != len(found):
            raise ValueError
        return found

    return Kind(read, "NAME:SALT$HASH separated by spaces, each name once, or empty", secret=True)


def white_lists() -> Kind[tuple[WhiteList, ...]]:
    """White lists of RPC methods, separated by white space."""

    def read(text: str, base: Path) -> tuple[WhiteList, ...]:
        return tuple(WhiteList.parse(each) for each in text.split())

    return Kind(read, "NAME:method,method,... separated by spaces, or empty")


def networks_allowed() -> Kind[tuple[Network, ...]]:
    """IP addresses and networks, separated by white space."""

    def read(text: str, base: Path) -> tuple[Network, ...]:
        return tuple(parse_network(each) for each in text.split())

    return Kind(read, "addresses such as 10.1.2.3, 10.1.0.0/16 or fd00::/8 separated by spaces, or empty")


def wallet_names() -> Kind[tuple[str, ...]]:
    """Names of wallets, separated by commas, because they may hold spaces."""

    def read(text: str, base: Path) -> tuple[str, ...]:
        names = tuple(each.strip() for each in text.split(",")) if text else ()
        if not all(_WALLET_NAME.fullmatch(each) for each in names):
            raise ValueError
        return tuple(dict.fromkeys(names))

    return Kind(read, "names of wallets (letters, digits, spaces and . _ -) separated by commas, or empty")


def optional_uri() -> Kind[str]:
    """A zodburi storage URI or nothing."""

    def read(text: str, base: Path) -> str:
        if text and not re.fullmatch(r"(file|zconfig|zeo|postgres|memory)://\S*", text):
            raise ValueError
        return text

    return Kind(read, "a zodburi URI (file://, zconfig://, zeo://, postgres://), or empty")


def pinned_peers() -> Kind[tuple[PinnedPeer, ...]]:
    """``nodeid@host:port`` separated by white space."""

    def read(text: str, base: Path) -> tuple[PinnedPeer, ...]:
        return tuple(_pinned(each) for each in text.split())

    return Kind(read, "nodeid@host:port separated by spaces (nodeid: 66 hex digits), or empty")


def _pinned(text: str) -> PinnedPeer:
    node_id, at, address = text.partition("@")
    if not at or not _NODE_ID.match(node_id):
        raise ValueError
    host, port = split_address(address)
    if not (_is_literal(host) or _HOST_NAME.match(host)):
        raise ValueError
    return PinnedPeer(bytes.fromhex(node_id), host, port)


def trusted_block() -> Kind[TrustSetting]:
    """``HEIGHT:HASH`` of a block, ``genesis`` or nothing."""
    return Kind(
        lambda text, base: parse_trust(text),
        "HEIGHT:HASH of a block (hash: 64 hex digits), genesis, or empty",
    )


def optional_literal() -> Kind[HostPort | None]:
    """An address literal with a port, or nothing; never a host name (protocol.md section 3)."""

    def read(text: str, base: Path) -> HostPort | None:
        if not text:
            return None
        host, port = split_address(text)
        if not _is_literal(host):
            raise ValueError
        return HostPort(host, port)

    return Kind(read, "an IPv4, [IPv6] or Tor v3 address with a port, or empty")


def https_urls() -> Kind[tuple[str, ...]]:
    """URLs that begin with ``https://``, separated by white space."""

    def read(text: str, base: Path) -> tuple[str, ...]:
        found = tuple(text.split())
        for each in found:
            parts = urlsplit(each)
            if parts.scheme != "https" or not parts.hostname:
                raise ValueError
        return found

    return Kind(read, "https:// URLs separated by spaces, or empty")


def origins() -> Kind[tuple[str, ...]]:
    """Origins of web pages (RFC 6454), separated by white space: ``scheme://host`` or ``scheme://host:port``."""

    def read(text: str, base: Path) -> tuple[str, ...]:
        found = tuple(text.split())
        for each in found:
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != each.lower():
                raise ValueError
        return found

    return Kind(read, "origins such as https://shop.example:8443 separated by spaces, or empty")


def split_address(text: str) -> tuple[str, int]:
    """``host:port`` or ``[ipv6]:port`` → (host, port); ValueError when it is neither."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError(text)
    if not colon or not host:
        raise ValueError(text)
    return host, _port(port)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError
    return int(text)


def _is_literal(host: str) -> bool:
    if _ONION.match(host):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

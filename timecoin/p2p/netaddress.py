"""Addresses of nodes: IPv4, IPv6 and Tor v3 literals with a port, as in BIP 155; never host names."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from enum import IntEnum
from typing import Annotated, NamedTuple

from msgspec import Meta

_TOR_VERSION = b"\x03"
_HE_NET = ipaddress.IPv6Network("2001:470::/32")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressError(ValueError):
    """Not the literal of an address that BIP 155 knows, or not one in its canonical form."""


class Network(IntEnum):
    """BIP 155 network ids that this protocol carries."""

    IPV4 = 1
    IPV6 = 2
    TORV3 = 4


_LENGTHS = {Network.IPV4: 4, Network.IPV6: 16, Network.TORV3: 32}


class NetAddress(NamedTuple):
    """A BIP 155 address: network id, raw address bytes (4, 16 or 32), port. Hashable and comparable."""

    network: Annotated[int, Meta(ge=0, le=255)]
    host: Annotated[bytes, Meta(max_length=64)]
    port: Annotated[int, Meta(ge=0, le=65535)]

    def __str__(self) -> str:
        """Render as ``host:port``, IPv6 in brackets."""
        host = self.host_text()
        return f"[{host}]:{self.port}" if self.network == Network.IPV6 else f"{host}:{self.port}"

    def host_text(self) -> str:
        """Return the host alone: dotted, colon-hex or ``….onion``."""
        if self.network == Network.TORV3:
            return _onion_name(self.host)
        return str(ipaddress.ip_address(self.host))

    def is_known(self) -> bool:
        """Tell whether network and length are ours and IPv6 does not hide an IPv4 address."""
        try:
            fits = _LENGTHS[Network(self.network)] == len(self.host)
        except ValueError:
            return False
        return fits and not (self.network == Network.IPV6 and _mapped(self.host))

    def is_onion(self) -> bool:
        """Tell whether this is a Tor v3 service."""
        return self.network == Network.TORV3

    def is_loopback(self) -> bool:
        """Tell whether the address is this machine's own (many nodes, or Tor, may stand behind it)."""
        return not self.is_onion() and ipaddress.ip_address(self.host).is_loopback

    def is_routable(self) -> bool:
        """Tell whether the public can reach it: global unicast or onion, with a port."""
        if self.port == 0 or not self.is_known():
            return False
        if self.is_onion():
            return True
        host = ipaddress.ip_address(self.host)
        return host.is_global and not host.is_multicast

    def is_dialable(self) -> bool:
        """Tell whether a connection could be tried at all (used where private addresses are allowed)."""
        if self.port == 0 or not self.is_known():
            return False
        if self.is_onion():
            return True
        host = ipaddress.ip_address(self.host)
        return not (host.is_unspecified or host.is_multicast)

    def key(self) -> bytes:
        """Return canonical bytes for hashing: network, host, port."""
        return bytes([self.network]) + self.host + self.port.to_bytes(2, "big")

    def group(self) -> bytes:
        """Return the network group: what one operator can cheaply own whole.

        Bitcoin Core's rules without an AS map: IPv4 /16 (also inside 6to4, Teredo and NAT64), IPv6 /32,
        he.net /36, four bits of an onion, everything that is not routable in one group.
        """
        if self.is_onion():
            return bytes([Network.TORV3, self.host[0] & 0xF0])
        address = ipaddress.ip_address(self.host)
        if isinstance(address, ipaddress.IPv6Address):
            return _group6(address)
        return _group4(address)


def _group4(address: ipaddress.IPv4Address) -> bytes:
    if not address.is_global:
        return b"\x00"
    return bytes([Network.IPV4]) + address.packed[:2]


def _group6(address: ipaddress.IPv6Address) -> bytes:
    inner = _embedded(address)
    if inner is not None:
        return _group4(inner)
    if not address.is_global:
        return b"\x00"
    packed = address.packed
    if address in _HE_NET:
        return bytes([Network.IPV6]) + packed[:4] + bytes([packed[4] & 0xF0])
    return bytes([Network.IPV6]) + packed[:4]


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[12:])
    if address.sixtofour is not None:
        return address.sixtofour
    return address.teredo[1] if address.teredo is not None else None


def _mapped(host: bytes) -> bool:
    return ipaddress.IPv6Address(host).ipv4_mapped is not None


def _onion_checksum(key: bytes) -> bytes:
    return hashlib.sha3_256(b".onion checksum" + key + _TOR_VERSION).digest()[:2]


def _onion_name(key: bytes) -> str:
    name = base64.b32encode(key + _onion_checksum(key) + _TOR_VERSION)
    return name.decode("ascii").lower() + ".onion"


def _parse_onion(host: str) -> bytes:
    try:
        raw = base64.b32decode(host[: -len(".onion")].upper())
    except ValueError as error:
        raise AddressError(f"not a Tor v3 name: {host!r}") from error
    if len(raw) != 35 or raw[32:] != _onion_checksum(raw[:32]) + _TOR_VERSION:
        raise AddressError(f"not a Tor v3 name: {host!r}")
    return raw[:32]


def from_host(host: str, port: int) -> NetAddress:
    """Build an address from a literal host and a port.

    An IPv4 address mapped into IPv6 becomes plain IPv4 (dual-stack sockets report it so).

    Raises:
        AddressError: a host name, a bad literal, a Tor v2 name, a port outside 0…65535.
    """
    if not 0 <= port <= 65535:
        raise AddressError(f"port out of range: {port}")
    if host.endswith(".onion"):
        return NetAddress(Network.TORV3, _parse_onion(host), port)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError as error:
        raise AddressError(f"not an address literal: {host!r}") from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return NetAddress(Network.IPV6, address.packed, port)
        address = address.ipv4_mapped
    return NetAddress(Network.IPV4, address.packed, port)


def split_host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[host]:port``; the host is not looked at.

    Raises:
        AddressError: no host, no port, or a port that is not a number of 1…65535.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"IPv6 wants brackets: {text!r}")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise AddressError(f"not host:port: {text!r}")
    return host, int(port)


def parse_address(text: str) -> NetAddress:
    """Parse ``1.2.3.4:24100``, ``[2001:db8::1]:24100`` or ``….onion:24100``.

    Raises:
        AddressError: anything else.
    """
    host, port = split_host_port(text)
    return from_host(host, port)


def from_transport(address: object) -> NetAddress | None:
    """Return a Twisted transport address as ours; None for what is no IP endpoint (UNIX sockets, fakes)."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if not isinstance(host, str) or not isinstance(port, int):
        return None
    try:
        return from_host(host, port)
    except AddressError:
        return None

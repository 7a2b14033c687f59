"""Where a masternode can be reached: an address literal of BIP 155 with its port, never a host name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
from enum import IntEnum
from typing import Final, NamedTuple

from timecoin.primitives.codec import DecodeError, Reader, var_bytes


class AddressNetwork(IntEnum):
    """The networks of BIP 155 that a registration may name."""

    IPV4 = 1
    IPV6 = 2
    TOR_V3 = 4


_SIZES: Final = {AddressNetwork.IPV4: 4, AddressNetwork.IPV6: 16, AddressNetwork.TOR_V3: 32}
_MAPPED_IPV4: Final = bytes(10) + b"\xff\xff"
_ONIONCAT: Final = bytes.fromhex("fd87d87eeb43")
_ONION_VERSION: Final = b"\x03"


class ServiceAddress(NamedTuple):
    """Network, raw address (4, 16 or 32 bytes: a Tor v3 address is its ed25519 key) and port (0-65535).

    `check` tells whether the three fit together; `parse` and `read` give only such values.
    """

    network: AddressNetwork
    host: bytes
    port: int

    def check(self) -> None:
        """Raise ValueError unless size, range and network fit; IPv4 and onions hidden in IPv6 do not."""
        if len(self.host) != _SIZES[self.network] or not 0 <= self.port <= 0xFFFF:
            raise ValueError("service address or port has a wrong size")
        if self.network is AddressNetwork.IPV6 and self.host.startswith((_MAPPED_IPV4, _ONIONCAT)):
            raise ValueError("service address embeds another network in IPv6")

    def encode(self) -> bytes:
        """Network id u8 ‖ compact size ‖ address ‖ port u16 big-endian (BIP 155)."""
        return bytes([self.network]) + var_bytes(self.host) + self.port.to_bytes(2, "big")

    @classmethod
    def read(cls, reader: Reader) -> ServiceAddress:
        """Inverse of `encode` from ``reader``; DecodeError on anything else."""
        try:
            network = AddressNetwork(reader.u8())
            host = reader.var_bytes(_SIZES[network])
            address = cls(network, host, int.from_bytes(reader.take(2), "big"))
            address.check()
        except DecodeError:
            raise
        except ValueError as error:
            raise DecodeError(str(error)) from error
        return address

    @classmethod
    def parse(cls, text: str) -> ServiceAddress:
        """Read ``1.2.3.4:24100``, ``[::1]:24100`` or ``….onion:24100``; ValueError on any other form."""
        host, separator, port = text.rpartition(":")
        if not separator or not port.isascii() or not port.isdigit():
            raise ValueError(f"service address has no port: {text[:80]!r}")
        address = _from_host(host, int(port[:6]))
        address.check()
        if str(address) != text:
            raise ValueError(f"service address is not in its shortest form, which is {address}")
        return address

    def __str__(self) -> str:
        return f"{self.host_text}:{self.port}"

    @property
    def host_text(self) -> str:
        """The address without port, IPv6 in brackets."""
        if self.network is AddressNetwork.IPV4:
            return str(ipaddress.IPv4Address(self.host))
        if self.network is AddressNetwork.IPV6:
            return f"[{ipaddress.IPv6Address(self.host)}]"
        return _onion(self.host)


def _from_host(host: str, port: int) -> ServiceAddress:
    if host.endswith(".onion"):
        return ServiceAddress(AddressNetwork.TOR_V3, _onion_key(host), port)
    if host.startswith("[") and host.endswith("]"):
        return ServiceAddress(AddressNetwork.IPV6, ipaddress.IPv6Address(host[1:-1]).packed, port)
    return ServiceAddress(AddressNetwork.IPV4, ipaddress.IPv4Address(host).packed, port)


def _onion(key: bytes) -> str:
    """Write the address of a v3 onion service (Tor rend-spec-v3, section 6)."""
    checksum = hashlib.sha3_256(b".onion checksum" + key + _ONION_VERSION).digest()[:2]
    return base64.b32encode(key + checksum + _ONION_VERSION).decode("ascii").lower() + ".onion"


def _onion_key(host: str) -> bytes:
    label = host.removesuffix(".onion")
    try:
        key = base64.b32decode(label.upper())[:32]
    except binascii.Error as error:
        raise ValueError(f"not an onion address: {host[:80]!r}") from error
    if len(key) != 32 or _onion(key) != host:
        raise ValueError(f"not a v3 onion address: {host[:80]!r}")
    return key

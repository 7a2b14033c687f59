"""Whom the operator does not want to talk to: addresses, networks and node keys, until a time. Pure; times in seconds.

Bans are the operator's word and hold against everybody, pinned peers and masternodes included. What this node finds out
by itself is in ``discourage``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from timecoin.p2p.netaddress import AddressError, NetAddress, Network, from_host

#: Most bans kept; a new one beyond is refused.
MAX_BANS = 10_000
_KEY_BYTES = 33


class BanError(ValueError):
    """What cannot be banned or unbanned; the text is for the operator."""


class AlreadyBanned(BanError):
    """The very same subject is banned already."""


class Ban(NamedTuple):
    """A ban of ``subject`` (see :func:`parse_subject`) from ``created`` to ``until``, Unix seconds."""

    subject: str
    created: int
    until: int


def parse_subject(text: str) -> str:
    """The canonical text of an IP address, a subnet (``10.0.0.0/8``, also with a mask), an onion host or a node key.

    A single address becomes a network of one, as in Core. Raises ``BanError``.
    """
    key = text.lower()
    if len(key) == 2 * _KEY_BYTES and key[:2] in ("02", "03"):
        try:
            return bytes.fromhex(key).hex()
        except ValueError:
            raise BanError("a node key has 66 hex digits") from None
    if key.endswith(".onion"):
        try:
            return from_host(key, 1).host_text()
        except AddressError as error:
            raise BanError(str(error)) from None
    return str(_parse_network(text))


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        found = ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        raise BanError("neither an address, nor a subnet, nor a node key") from None
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}", strict=False)
    return found


class BanList:
    """The bans that hold. Looking an address up costs one dict look-up for each length of prefix that is banned."""

    def __init__(self, bans: Iterator[Ban] | tuple[Ban, ...] = ()) -> None:
        self._bans: dict[str, Ban] = {}
        self._lengths: dict[int, set[int]] = {}
        for ban in bans:
            self._bans[parse_subject(ban.subject)] = ban
        self._index()

    def __len__(self) -> int:
        return len(self._bans)

    def _index(self) -> None:
        self._lengths = {4: set(), 6: set()}
        for subject in self._bans:
            if "/" in subject:
                network = ipaddress.ip_network(subject)
                self._lengths[network.version].add(network.prefixlen)

    def listed(self, now: int) -> list[Ban]:
        """The bans that hold at ``now``, by subject; those that are over are forgotten."""
        over = [subject for subject, ban in self._bans.items() if ban.until <= now]
        for subject in over:
            del self._bans[subject]
        if over:
            self._index()
        return sorted(self._bans.values())

    def add(self, text: str, now: int, until: int) -> Ban:
        """Ban a subject; ``AlreadyBanned``, ``BanError``."""
        subject = parse_subject(text)
        self.listed(now)
        if subject in self._bans:
            raise AlreadyBanned(f"{subject} is banned already")
        if len(self._bans) >= MAX_BANS:
            raise BanError(f"there are {MAX_BANS} bans already")
        ban = self._bans[subject] = Ban(subject, now, until)
        self._index()
        return ban

    def remove(self, text: str, now: int) -> None:
        """End a ban; ``BanError`` when there is none of just this subject."""
        subject = parse_subject(text)
        self.listed(now)
        if self._bans.pop(subject, None) is None:
            raise BanError(f"{subject} is not banned")
        self._index()

    def clear(self) -> None:
        """End all bans."""
        self._bans.clear()
        self._index()

    def holds_key(self, node_id: bytes, now: int) -> bool:
        """Whether a node key (33 bytes) is banned."""
        return bool(self._bans) and self._holds(node_id.hex(), now)

    def holds_address(self, address: NetAddress | None, now: int) -> bool:
        """Whether an address, or a network that it is in, is banned."""
        if not self._bans or address is None:
            return False
        if address.network == Network.TORV3:
            return self._holds(address.host_text(), now)
        host = ipaddress.ip_address(address.host)
        return any(
            self._holds(str(ipaddress.ip_network((address.host, length), strict=False)), now)
            for length in self._lengths[host.version]
        )

    def _holds(self, subject: str, now: int) -> bool:
        ban = self._bans.get(subject)
        return ban is not None and ban.until > now

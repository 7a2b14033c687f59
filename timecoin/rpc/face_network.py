"""What RPC may do with connections to other nodes, and the values it gets.

Addresses are texts (``host:port``, IPv6 in brackets), networks Core's words (ipv4, ipv6, onion, not_publicly_routable),
times are milliseconds since the Unix epoch unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from timecoin.primitives.hashes import Hash


class NetworkRefused(Exception):
    """What was asked for is not possible; the text says why. ``kind`` says what is wrong, for the error code."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PeerDetails:
    """One connection. Times and counts are None or 0 before the first; ``number`` is never used twice in a run.

    ``purpose``: inbound, manual (pinned or added), or outbound-full-relay. ``messages_in`` and ``messages_out`` are
    bytes by type of message; ``addresses`` is (looked at, over the rate).
    """

    number: int
    address: str
    bound: str
    network: str
    inbound: bool
    purpose: str
    node_id: bytes
    masternode_id: Hash | None
    session: bytes
    connected_ms: int
    last_send_ms: int
    last_recv_ms: int
    last_transaction_ms: int
    last_block_ms: int
    bytes_sent: int
    bytes_received: int
    messages_out: Mapping[str, int]
    messages_in: Mapping[str, int]
    ping_ms: int | None
    least_ping_ms: int | None
    ping_wait_ms: int | None
    offset_ms: int | None
    version: int
    user_agent: str
    services: int
    starting_height: int
    height: int
    pinned: bool = False
    addresses: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class BanView:
    """A ban of an address, a subnet or a node key; Unix seconds."""

    subject: str
    created: int
    until: int


@dataclass(frozen=True, slots=True)
class AddedNode:
    """A node that is always dialled: as it was given, and its connections (address, inbound)."""

    text: str
    connections: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """An address of the book; ``seen`` in Unix seconds."""

    seen: int
    services: int
    host: str
    port: int
    network: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes of all connections since the start."""

    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Reach:
    """A kind of network: whether it is dialled and through which proxy."""

    name: str
    reachable: bool
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class BookFigures:
    """Addresses of one kind of network in the book."""

    new: int
    tried: int


class Connections(Protocol):
    """The operator's hand on connections. What cannot be done raises ``NetworkRefused``."""

    def peers(self) -> Sequence[PeerDetails]:
        """The connections, oldest first."""
        ...

    def totals(self) -> Totals:
        """What went over the wire."""
        ...

    def networks(self) -> Sequence[Reach]:
        """Which kinds of networks are dialled."""
        ...

    def ping(self) -> None:
        """Ask every peer for a sign of life."""
        ...

    def add(self, node: str) -> None:
        """Keep a connection to ``host:port`` or ``nodeid@host:port``; refused as ``invalid`` or ``known``."""
        ...

    def remove(self, node: str) -> None:
        """Keep it no longer; a connection that is there stays. Refused as ``unknown``."""
        ...

    def try_once(self, node: str) -> None:
        """Dial it once, now; refused as ``invalid``."""
        ...

    def added(self) -> Sequence[AddedNode]:
        """The nodes that are always dialled, pinned ones of the configuration included."""
        ...

    def disconnect(self, *, address: str = "", number: int = -1) -> bool:
        """Close a connection, by its address or node key, or by its number; False when there is none."""
        ...

    def ban(self, subject: str, until: int) -> None:
        """Ban an address, subnet or node key until a Unix time; refused as ``invalid`` or ``known``."""
        ...

    def unban(self, subject: str) -> None:
        """End a ban; refused as ``invalid`` or ``unknown``."""
        ...

    def clear_bans(self) -> None:
        """End all bans."""
        ...

    def bans(self) -> Sequence[BanView]:
        """The bans that hold."""
        ...

    def set_active(self, active: bool) -> None:
        """Switch networking off, which closes every connection, or on."""
        ...

    def is_active(self) -> bool:
        """Whether networking is on."""
        ...

    def addresses(self, count: int, network: str) -> Sequence[KnownAddress]:
        """Random addresses of the book, of one kind of network (empty: any); ``count`` 0: all."""
        ...

    def book(self) -> Mapping[str, BookFigures]:
        """What the address book holds, by kind of network."""
        ...

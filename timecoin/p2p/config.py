"""How this node takes part in the network, and how it reaches an address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from twisted.internet.endpoints import clientFromString, quoteStringArgument
from twisted.internet.interfaces import IStreamClientEndpoint

from timecoin.p2p.admission import Slots
from timecoin.p2p.dialer import DialPolicy
from timecoin.p2p.netaddress import NetAddress
from timecoin.p2p.owner import PeerSettings

#: Turns host and port into an endpoint to dial.
Connector = Callable[[str, int], IStreamClientEndpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class P2PConfig:
    """How this node takes part.

    ``listen``: endpoint strings; ``pinned``: ``nodeid@host:port`` or ``host:port``; ``seeds``: addresses of
    the genesis file; ``seed_urls``: HTTPS seed lists; ``address_file``: where the address book is kept (None:
    nowhere); ``ban_file``: where the operator's bans are (None: nowhere); ``allow_private``: private and loopback
    addresses are fine (devnets).
    """

    listen: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    seeds: tuple[NetAddress, ...] = ()
    seed_urls: tuple[str, ...] = ()
    address_file: Path | None = None
    ban_file: Path | None = None
    allow_private: bool = False
    slots: Slots = field(default_factory=Slots)
    dialling: DialPolicy = field(default_factory=DialPolicy)
    peers: PeerSettings = field(default_factory=PeerSettings)


def endpoint_for(reactor: object, host: str, port: int) -> IStreamClientEndpoint:
    """Return the client endpoint by kind of address: Tor for onions, TCP for all else."""
    kind = "tor" if host.endswith(".onion") else "tcp"
    description = f"{kind}:{quoteStringArgument(host)}:{port}"
    return cast(IStreamClientEndpoint, clientFromString(reactor, description))

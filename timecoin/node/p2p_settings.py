"""How the node takes part in its network: node.ini and the genesis file, translated for ``timecoin.p2p``."""

from __future__ import annotations

from timecoin.ledger.genesis import Genesis
from timecoin.ledger.params import Parameters
from timecoin.node.config import Config
from timecoin.p2p.admission import Slots
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.dialer import DialPolicy
from timecoin.p2p.owner import PeerSettings

ADDRESS_FILE = "peers.msgpack"
_PINGS = 3
"""So many pings fit into the time after which a silent peer is given up: one or two may be lost."""


def p2p_config(config: Config, genesis: Genesis) -> P2PConfig:
    """The settings of ``P2PService`` (protocol.md section 8)."""
    return P2PConfig(
        listen=config.p2p_endpoints,
        pinned=tuple(str(peer) for peer in config.p2p.peers) + genesis.peers,
        seed_urls=config.p2p.seeds,
        address_file=config.data_dir / ADDRESS_FILE,
        allow_private=genesis.network_info.allows_private_addresses,
        slots=Slots(max_inbound=config.p2p.max_inbound),
        dialling=DialPolicy(outbound=config.p2p.max_outbound, onion=config.p2p.onion),
        peers=_peer_settings(genesis.parameters),
    )


def _peer_settings(params: Parameters) -> PeerSettings:
    usual = PeerSettings().ping_interval
    return PeerSettings(
        idle_timeout=params.idle_timeout, ping_interval=max(1, min(usual, params.idle_timeout // _PINGS))
    )

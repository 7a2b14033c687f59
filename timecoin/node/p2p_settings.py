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
BAN_FILE = "banlist.json"
_HELLO_ROUNDS = 4
"""With short epochs, so many propose time-outs bound the dial and the handshake."""
_PINGS = 3
"""So many pings fit into the time after which a silent peer is given up: one or two may be lost."""


def p2p_config(config: Config, genesis: Genesis) -> P2PConfig:
    """The settings of ``P2PService`` (protocol.md section 8)."""
    return P2PConfig(
        listen=config.p2p_endpoints,
        pinned=tuple(str(peer) for peer in config.p2p.peers) + genesis.peers,
        seed_urls=config.p2p.seeds,
        address_file=config.data_dir / ADDRESS_FILE,
        ban_file=config.data_dir / BAN_FILE,
        allow_private=genesis.network_info.allows_private_addresses,
        slots=Slots(max_inbound=config.p2p.max_inbound),
        dialling=_dial_policy(config, genesis.parameters),
        peers=_peer_settings(genesis.parameters),
    )


def _dial_policy(config: Config, params: Parameters) -> DialPolicy:
    """Masternodes that lost each other try again within a round, so that two rounds after a cut they go on."""
    return DialPolicy(outbound=config.p2p.max_outbound, onion=config.p2p.onion, last_wait_wanted=params.timeout_propose)


def _peer_settings(params: Parameters) -> PeerSettings:
    usual = PeerSettings()
    return PeerSettings(
        hello_timeout=min(usual.hello_timeout, _HELLO_ROUNDS * params.timeout_propose),
        idle_timeout=params.idle_timeout,
        ping_interval=max(1, min(usual.ping_interval, params.idle_timeout // _PINGS)),
    )

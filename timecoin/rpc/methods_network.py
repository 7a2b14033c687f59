"""RPC methods that look at connections to other nodes."""

from __future__ import annotations

from typing import Final, Literal

import timecoin
from timecoin.primitives.hashes import display
from timecoin.rpc.alerts import warnings
from timecoin.rpc.codec import amount
from timecoin.rpc.errors import CLIENT_P2P_DISABLED, INVALID_PARAMETER, RpcError
from timecoin.rpc.face_network import Connections, PeerDetails
from timecoin.rpc.results_network import BookCounts, NetTotals, NetworkReach, NetworkState, NodeAddress, PeerState
from timecoin.rpc.table import Context, method

#: The Bitcoin Core whose interface this one follows, in the form of its ``version``.
API_LEVEL: Final = 280_000
#: The same as btcd's rpcclient reads it: any other name is to it a Core of before 0.19, to which it sends transactions
#: in a form that is refused here as by newer ones.
_API_AGENT: Final = "/Satoshi:28.0.0/"
_LIST_COST: Final = 4
_ALL: Final = "all_networks"


def connections(context: Context) -> Connections:
    """The operator's hand on connections, or RPC error -31."""
    if context.network is None:
        raise RpcError(CLIENT_P2P_DISABLED, "Error: Peer-to-peer functionality missing or disabled")
    return context.network


def _service_names(services: int) -> list[str]:
    return [f"UNKNOWN[2^{bit}]" for bit in range(services.bit_length()) if services >> bit & 1]


def getnetworkinfo(context: Context) -> NetworkState:
    """This node on its network: versions, connections, addresses, clock offset, the least fee rate.

    :returns: the state
    """
    info = context.node.network_info()
    rate = amount(context.node.parameters.min_fee_rate * 1000)
    return {
        "version": API_LEVEL,
        "subversion": f"{_API_AGENT}{info.user_agent.removeprefix('/')}",
        "protocolversion": info.protocol_version,
        "localservices": f"{info.services:016x}",
        "localservicesnames": _service_names(info.services),
        "localrelay": True,
        "timeoffset": round(info.offset_ms / 1000),
        "networkactive": info.active,
        "connections": info.inbound + info.outbound,
        "connections_in": info.inbound,
        "connections_out": info.outbound,
        "networks": _networks(context),
        "relayfee": rate,
        "incrementalfee": rate,
        "localaddresses": [{"address": host, "port": port, "score": 1} for host, port in info.local_addresses],
        "warnings": warnings(context.node),
        "timecoin_version": timecoin.__version__,
        "node_id": info.node_id.hex(),
        "timeoffset_ms": info.offset_ms,
    }


def _networks(context: Context) -> list[NetworkReach]:
    if context.network is None:
        return []
    return [
        {
            "name": each.name,
            "limited": not each.reachable,
            "reachable": each.reachable,
            "proxy": each.proxy,
            "proxy_randomize_credentials": False,
        }
        for each in context.network.networks()
    ]


def getpeerinfo(context: Context) -> list[PeerState]:
    """The connections, oldest first.

    :returns: one object for each
    :error -31: this node has no connections at all
    """
    rate = context.node.parameters.min_fee_rate * 1000
    return [_peer_json(peer, rate) for peer in connections(context).peers()]


def _peer_json(peer: PeerDetails, rate: int) -> PeerState:
    looked_at, over_rate = peer.addresses
    shown: PeerState = {
        "id": peer.number,
        "addr": peer.address,
        "network": peer.network,
        "services": f"{peer.services:016x}",
        "servicesnames": _service_names(peer.services),
        "relaytxes": True,
        "lastsend": peer.last_send_ms // 1000,
        "lastrecv": peer.last_recv_ms // 1000,
        "last_transaction": peer.last_transaction_ms // 1000,
        "last_block": peer.last_block_ms // 1000,
        "bytessent": peer.bytes_sent,
        "bytesrecv": peer.bytes_received,
        "conntime": peer.connected_ms // 1000,
        "timeoffset": round((peer.offset_ms or 0) / 1000),
        "version": peer.version,
        "subver": peer.user_agent,
        "inbound": peer.inbound,
        "bip152_hb_to": False,
        "bip152_hb_from": False,
        "startingheight": peer.starting_height,
        "presynced_headers": -1,
        "synced_headers": peer.height,
        "synced_blocks": peer.height,
        "inflight": [],
        "addr_relay_enabled": True,
        "addr_processed": looked_at,
        "addr_rate_limited": over_rate,
        "permissions": [],
        "minfeefilter": amount(rate),
        "bytessent_per_msg": dict(peer.messages_out),
        "bytesrecv_per_msg": dict(peer.messages_in),
        "connection_type": peer.purpose,
        "transport_protocol_type": "tls",
        "session_id": peer.session.hex(),
        "node_id": peer.node_id.hex(),
        "masternode_id": None if peer.masternode_id is None else display(peer.masternode_id),
        "pinned": peer.pinned,
    }
    if peer.bound:
        shown["addrbind"] = peer.bound
    if peer.ping_ms is not None:
        shown["pingtime"] = peer.ping_ms / 1000
    if peer.least_ping_ms is not None:
        shown["minping"] = peer.least_ping_ms / 1000
    if peer.ping_wait_ms is not None:
        shown["pingwait"] = peer.ping_wait_ms / 1000
    return shown


def getconnectioncount(context: Context) -> int:
    """How many connections there are.

    :returns: the number
    """
    info = context.node.network_info()
    return info.inbound + info.outbound


def getnettotals(context: Context) -> NetTotals:
    """Bytes sent and received since the start, over all connections.

    :returns: the totals
    :error -31: this node has no connections at all
    """
    totals = connections(context).totals()
    return {
        "totalbytesrecv": totals.received,
        "totalbytessent": totals.sent,
        "timemillis": context.node.now_ms(),
        "uploadtarget": {
            "timeframe": 86_400,
            "target": 0,
            "target_reached": False,
            "serve_historical_blocks": True,
            "bytes_left_in_cycle": 0,
            "time_left_in_cycle": 0,
        },
    }


def getnodeaddresses(
    context: Context, count: int = 1, network: Literal["", "ipv4", "ipv6", "onion"] = ""
) -> list[NodeAddress]:
    """Addresses of other nodes that this one knows, in random order; they need not be right.

    :param count: at most so many; 0: all
    :param network: only of this kind: ipv4, ipv6 or onion; left out: of any
    :returns: the addresses
    :error -8: the count is negative, or there is no such kind of network
    :error -31: this node has no connections at all
    """
    if count < 0:
        raise RpcError(INVALID_PARAMETER, "Address count out of range")
    return [
        {
            "time": each.seen,
            "services": each.services,
            "address": each.host,
            "port": each.port,
            "network": each.network,
        }
        for each in connections(context).addresses(count, network)
    ]


def getaddrmaninfo(context: Context) -> dict[str, BookCounts]:
    """How many addresses of other nodes this one knows: new ones it heard of, tried ones answered.

    :returns: the counts by kind of network, and of all_networks
    :error -31: this node has no connections at all
    """
    book = connections(context).book()
    counts = {name: _counts(each.new, each.tried) for name, each in book.items()}
    total = _counts(sum(each.new for each in book.values()), sum(each.tried for each in book.values()))
    return counts | {_ALL: total}


def _counts(new: int, tried: int) -> BookCounts:
    return {"new": new, "tried": tried, "total": new + tried}


METHODS = (
    method("Network", getaddrmaninfo),
    method("Network", getconnectioncount),
    method("Network", getnettotals),
    method("Network", getnetworkinfo),
    method("Network", getnodeaddresses, cost=_LIST_COST),
    method("Network", getpeerinfo),
)

"""RPC methods about connections to other nodes."""

from __future__ import annotations

from typing import Any

import timecoin
from timecoin.primitives.hashes import display
from timecoin.rpc.codec import amount
from timecoin.rpc.facade import PeerInfo
from timecoin.rpc.table import Context, method


def _version_number() -> int:
    """0.1.0 → 100, as Core counts: 10,000 × major + 100 × minor + patch."""
    major, minor, patch = (int(part) for part in timecoin.__version__.split(".")[:3])
    return 10_000 * major + 100 * minor + patch


def getnetworkinfo(context: Context) -> dict[str, Any]:
    """This node on its network: versions, connections, addresses, clock offset."""
    info = context.node.network_info()
    rate = amount(context.node.parameters.min_fee_rate * 1000)
    return {
        "version": _version_number(),
        "subversion": info.user_agent,
        "protocolversion": info.protocol_version,
        "localservices": f"{info.services:016x}",
        "localrelay": True,
        "timeoffset": round(info.offset_ms / 1000),
        "networkactive": info.active,
        "connections": info.inbound + info.outbound,
        "connections_in": info.inbound,
        "connections_out": info.outbound,
        "relayfee": rate,
        "incrementalfee": rate,
        "localaddresses": [{"address": host, "port": port, "score": 1} for host, port in info.local_addresses],
        "node_id": info.node_id.hex(),
        "timeoffset_ms": info.offset_ms,
        "warnings": [],
    }


def _peer_json(peer: PeerInfo) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": peer.number,
        "addr": peer.address,
        "services": f"{peer.services:016x}",
        "relaytxes": True,
        "lastsend": peer.last_send_ms // 1000,
        "lastrecv": peer.last_recv_ms // 1000,
        "bytessent": peer.bytes_sent,
        "bytesrecv": peer.bytes_received,
        "conntime": peer.connected_ms // 1000,
        "timeoffset": round((peer.offset_ms or 0) / 1000),
        "version": peer.version,
        "subver": peer.user_agent,
        "inbound": peer.inbound,
        "synced_blocks": peer.height,
        "node_id": peer.node_id.hex(),
        "masternode_id": None if peer.masternode_id is None else display(peer.masternode_id),
    }
    if peer.ping_ms is not None:
        shown["pingtime"] = round(peer.ping_ms / 1000, 6)
    return shown


def getpeerinfo(context: Context) -> list[dict[str, Any]]:
    """One object per connection."""
    return [_peer_json(peer) for peer in context.node.peers()]


def getconnectioncount(context: Context) -> int:
    """How many connections there are."""
    return len(context.node.peers())


METHODS = (
    method("Network", getconnectioncount),
    method("Network", getnetworkinfo),
    method("Network", getpeerinfo),
)

"""RPC methods with which the operator steers connections: add, drop, ban, switch off.

Who a node is, is its key; so a ban may name a node key as well as an address or a subnet.
"""

from __future__ import annotations

from typing import Final, Literal

from timecoin.rpc.errors import (
    CLIENT_INVALID_IP_OR_SUBNET,
    CLIENT_NODE_ALREADY_ADDED,
    CLIENT_NODE_NOT_ADDED,
    CLIENT_NODE_NOT_CONNECTED,
    INVALID_PARAMETER,
    INVALID_PARAMS,
    MISC_ERROR,
    RpcError,
)
from timecoin.rpc.face_network import NetworkRefused
from timecoin.rpc.methods_network import connections
from timecoin.rpc.results_network import AddedNodeState, BanState
from timecoin.rpc.table import Context, method

_DAY: Final = 24 * 3600
_FOREVER: Final = 2**40


def ping(context: Context) -> None:
    """Ask every peer for a sign of life; getpeerinfo shows how long the answers took.

    :returns: null
    :error -31: this node has no connections at all
    """
    connections(context).ping()


def addnode(
    context: Context, node: str, command: Literal["add", "remove", "onetry"], v2transport: bool = False
) -> None:
    """Keep a connection to a node, keep it no longer, or dial it once. Not kept across a restart: see [p2p] peers.

    :param node: host:port or nodeid@host:port, with the key that it must prove
    :param command: add, remove or onetry
    :param v2transport: there for Core's clients: connections are always TLS
    :returns: null
    :error -8: v2transport is wanted, or the command or the address is none
    :error -23: it is added already
    :error -24: it was not added
    :error -31: this node has no connections at all
    """
    if v2transport:
        raise RpcError(INVALID_PARAMETER, "Error: v2transport requested but not enabled (connections are TLS)")
    network = connections(context)
    try:
        {"add": network.add, "remove": network.remove, "onetry": network.try_once}[command](node)
    except NetworkRefused as refused:
        raise _of_node(refused) from None


def _of_node(refused: NetworkRefused) -> RpcError:
    if refused.kind == "known":
        return RpcError(CLIENT_NODE_ALREADY_ADDED, "Error: Node already added")
    if refused.kind == "unknown":
        text = "Error: Node could not be removed. It has not been added previously."
        return RpcError(CLIENT_NODE_NOT_ADDED, text)
    return RpcError(INVALID_PARAMETER, f"Error: Invalid node address: {refused}")


def getaddednodeinfo(context: Context, node: str = "") -> list[AddedNodeState]:
    """The nodes that are always dialled: by addnode, by [p2p] peers and by the genesis file.

    :param node: only this one, as it was added
    :returns: the nodes and whether they are connected
    :error -24: it was not added
    :error -31: this node has no connections at all
    """
    found = [each for each in connections(context).added() if node in ("", each.text)]
    if node and not found:
        raise RpcError(CLIENT_NODE_NOT_ADDED, "Error: Node has not been added.")
    return [
        {
            "addednode": each.text,
            "connected": bool(each.connections),
            "addresses": [
                {"address": address, "connected": "inbound" if inbound else "outbound"}
                for address, inbound in each.connections
            ],
        }
        for each in found
    ]


def disconnectnode(context: Context, address: str = "", nodeid: int | None = None) -> None:
    """Close a connection. The node may come back: see setban.

    :param address: the peer's addr or node_id of getpeerinfo
    :param nodeid: or its id of getpeerinfo
    :returns: null
    :error -29: there is no such connection
    :error -32602: neither is given, or both
    :error -31: this node has no connections at all
    """
    if bool(address) == (nodeid is not None):
        raise RpcError(INVALID_PARAMS, "Only one of address and nodeid should be provided.")
    network = connections(context)
    closed = network.disconnect(address=address) if nodeid is None else network.disconnect(number=nodeid)
    if not closed:
        raise RpcError(CLIENT_NODE_NOT_CONNECTED, "Node not found in connected nodes")


def setban(
    context: Context, subnet: str, command: Literal["add", "remove"], bantime: int = 0, absolute: bool = False
) -> None:
    """Ban an address, a subnet or a node key, or end a ban. Bans are kept across restarts and hold against everybody.

    :param subnet: an IP address, a subnet such as 10.0.0.0/8, an onion host, or a node key (66 hex digits)
    :param command: add or remove
    :param bantime: for how many seconds; 0: a day
    :param absolute: bantime is a Unix time instead
    :returns: null
    :error -8: the time is over already
    :error -23: just this is banned already
    :error -30: it is no address, subnet or key, or was not banned
    :error -1: the ban holds now, but could not be written to the disk
    :error -31: this node has no connections at all
    """
    network = connections(context)
    now = context.node.now_ms() // 1000
    try:
        if command == "remove":
            network.unban(subnet)
        else:
            network.ban(subnet, _until(now, bantime, absolute))
    except NetworkRefused as refused:
        raise _of_ban(refused, command) from None
    except OSError as problem:
        raise RpcError(MISC_ERROR, f"The ban list cannot be written: {problem.strerror}") from None


def _until(now: int, bantime: int, absolute: bool) -> int:
    if absolute and bantime < now:
        raise RpcError(INVALID_PARAMETER, "Error: Absolute timestamp is in the past")
    if bantime < 0 or bantime > _FOREVER:
        raise RpcError(INVALID_PARAMETER, "Error: bantime is out of range")
    return bantime if absolute else now + (bantime or _DAY)


def _of_ban(refused: NetworkRefused, command: str) -> RpcError:
    if refused.kind == "known":
        return RpcError(CLIENT_NODE_ALREADY_ADDED, "Error: IP/Subnet already banned")
    if refused.kind == "unknown":
        text = "Error: Unban failed. Requested address/subnet was not previously manually banned."
        return RpcError(CLIENT_INVALID_IP_OR_SUBNET, text)
    return RpcError(CLIENT_INVALID_IP_OR_SUBNET, f"Error: Invalid IP/Subnet: {refused}")


def listbanned(context: Context) -> list[BanState]:
    """The bans that hold.

    :returns: the bans
    :error -31: this node has no connections at all
    """
    now = context.node.now_ms() // 1000
    return [
        {
            "address": each.subject,
            "ban_created": each.created,
            "banned_until": each.until,
            "ban_duration": each.until - each.created,
            "time_remaining": each.until - now,
        }
        for each in connections(context).bans()
    ]


def clearbanned(context: Context) -> None:
    """End all bans.

    :returns: null
    :error -1: they are ended, but that could not be written to the disk
    :error -31: this node has no connections at all
    """
    try:
        connections(context).clear_bans()
    except OSError as problem:
        raise RpcError(MISC_ERROR, f"The ban list cannot be written: {problem.strerror}") from None


def setnetworkactive(context: Context, state: bool) -> bool:
    """Switch all connections off, or on again. A masternode that is switched off does not vote.

    :param state: true: on
    :returns: whether networking is on now
    :error -31: this node has no connections at all
    """
    network = connections(context)
    network.set_active(state)
    return network.is_active()


METHODS = (
    method("Network", addnode),
    method("Network", clearbanned),
    method("Network", disconnectnode),
    method("Network", getaddednodeinfo),
    method("Network", listbanned),
    method("Network", ping),
    method("Network", setban),
    method("Network", setnetworkactive),
)

"""RPC methods about masternodes and consensus (protocol.md sections 3 to 6)."""

from __future__ import annotations

from typing import Any

from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.state import LedgerState
from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import split_outpoint
from timecoin.rpc.errors import INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.table import Context, method

_SIGN_ANYWAY = "sign-anyway"


def masternode(context: Context, command: str, confirm: str = "") -> Any:
    """About masternodes: ``list`` shows the registry, ``count`` figures of it, ``status`` this node's own
    part.

    ``sign-anyway`` ends the silence of this masternode after the loss of its journal. It may make it sign against
    itself, which is misbehaviour: only for who knows that its key has signed nothing in the open epoch. It must be
    confirmed with the masternode's id.
    """
    commands = {"list": _list, "count": _count, "status": _status}
    if command == _SIGN_ANYWAY:
        return _sign_anyway(context, confirm)
    if command not in commands:
        raise RpcError(INVALID_PARAMETER, f"command must be one of {', '.join(commands)}, {_SIGN_ANYWAY}")
    if confirm:
        raise RpcError(INVALID_PARAMETER, f"only {_SIGN_ANYWAY} is confirmed")
    return commands[command](context)


async def _sign_anyway(context: Context, confirm: str) -> dict[str, Any]:
    own = context.node.consensus().masternode_id
    if own is None:
        raise RpcError(MISC_ERROR, "This node is not a member of the current set")
    if confirm != display(own):
        raise RpcError(INVALID_PARAMETER, "To confirm, give the id of this masternode (see masternode status)")
    if not await context.node.sign_anyway():
        raise RpcError(MISC_ERROR, "Its journal does not keep this masternode from signing")
    return _status(context)


def _connected(node: NodeFacade) -> set[bytes]:
    connected = {peer.masternode_id for peer in node.peers() if peer.masternode_id is not None}
    own = node.consensus().masternode_id
    return connected | ({own} if own is not None else set())


def _list(context: Context) -> list[dict[str, Any]]:
    tip, connected = context.node.tip(), _connected(context.node)
    return [_entry_json(each, tip, context.node.hrp, connected) for each in tip.registry.entries]


def _entry_json(entry: Entry, tip: LedgerState, hrp: str, connected: set[bytes]) -> dict[str, Any]:
    index = tip.current.index_of_id(entry.masternode_id)
    collateral = None
    if entry.collateral is not None:
        txid, n = split_outpoint(entry.collateral)
        collateral = {"txid": display(txid), "vout": n}
    return {
        "id": display(entry.masternode_id),
        "tier": entry.tier.name.lower(),
        "power": entry.power,
        "status": entry.status,
        "in_set": index is not None,
        "signer": index,
        "in_next_set": tip.following.index_of_id(entry.masternode_id) is not None,
        "connected": entry.masternode_id in connected,
        "service": str(entry.service),
        "operator_key": entry.operator_key.hex(),
        "owner_key": entry.owner_key.hex(),
        "payout": address.encode(entry.payout, hrp),
        "collateral": collateral,
        "registered_height": entry.height,
        "absent": entry.absent,
        "unregistered_epoch": entry.unregistered,
        "jailed_epoch": entry.jailed,
        "release_epoch": entry.release,
    }


def _count(context: Context) -> dict[str, Any]:
    tip, connected = context.node.tip(), _connected(context.node)
    entries = tip.registry.entries
    return {
        "total": len(entries),
        "eligible": sum(each.is_eligible for each in entries),
        "in_set": len(tip.current),
        "connected": sum(each.masternode_id in connected for each in entries),
        "total_power": tip.current.total,
        "tiers": {
            tier: sum(each.tier.name.lower() == tier for each in entries)
            for tier in ("free", "bronze", "silver", "gold")
        },
    }


def _status(context: Context) -> dict[str, Any]:
    info, tip = context.node.consensus(), context.node.tip()
    entry = None if info.masternode_id is None else tip.registry.get(info.masternode_id)
    return {
        "masternode": info.masternode_id is not None,
        "id": None if info.masternode_id is None else display(info.masternode_id),
        "status": None if entry is None else entry.status,
        "signer": info.signer,
        "power": info.power,
        "voting": info.voting,
        "proposing": info.proposing,
        "abstains": info.abstains,
    }


def getconsensusinfo(context: Context) -> dict[str, Any]:
    """This node's part in consensus: height, round and step; epoch and seal; powers; what is under way."""
    info, tip = context.node.consensus(), context.node.tip()
    return {
        "height": info.height,
        "round": info.round,
        "step": info.step,
        "epoch": info.epoch,
        "sealed": info.sealed,
        "seals": info.seals,
        "next_slot": info.next_slot,
        "set_size": len(tip.current),
        "set_hash": display(tip.current.set_hash),
        "total_power": tip.current.total,
        "connected_power": info.connected_power,
        "masternode_id": None if info.masternode_id is None else display(info.masternode_id),
        "signer": info.signer,
        "power": info.power,
        "voting": info.voting,
        "proposing": info.proposing,
        "abstains": info.abstains,
        "pending": info.pending,
        "certified": info.certified,
        "final": info.final,
    }


METHODS = (method("Masternodes", masternode), method("Masternodes", getconsensusinfo))

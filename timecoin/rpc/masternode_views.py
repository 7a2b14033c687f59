"""The parts of ``masternode`` that only look: list, count, status."""

from __future__ import annotations

from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.state import LedgerState
from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import OutPoint, split_outpoint
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.results_masternode import MasternodeCounts, MasternodeShown, MasternodeStatus, OutpointShown
from timecoin.rpc.table import Context


def shown_outpoint(outpoint: OutPoint | None) -> OutpointShown | None:
    """A coin, or null."""
    if outpoint is None:
        return None
    txid, n = split_outpoint(outpoint)
    return {"txid": display(txid), "vout": n}


def show_list(context: Context) -> list[MasternodeShown]:
    """The registry."""
    tip, connected = context.node.tip(), _connected(context.node)
    return [_entry_json(each, tip, context.node.hrp, connected) for each in tip.registry.entries]


def show_count(context: Context) -> MasternodeCounts:
    """Figures of it."""
    tip, connected = context.node.tip(), _connected(context.node)
    entries = tip.registry.entries
    tiers = [each.tier.name.lower() for each in entries]
    return {
        "total": len(entries),
        "eligible": sum(each.is_eligible for each in entries),
        "in_set": len(tip.current),
        "connected": sum(each.masternode_id in connected for each in entries),
        "total_power": tip.current.total,
        "tiers": {
            "free": tiers.count("free"),
            "bronze": tiers.count("bronze"),
            "silver": tiers.count("silver"),
            "gold": tiers.count("gold"),
        },
    }


def show_status(context: Context) -> MasternodeStatus:
    """This node's own part."""
    info, tip, operator = context.node.consensus(), context.node.tip(), context.operator
    entry = None if info.masternode_id is None else tip.registry.get(info.masternode_id)
    if entry is None and operator is not None:
        entry = tip.registry.by_operator_key(operator.operator_key)
    own = info.masternode_id if entry is None else entry.masternode_id
    return {
        "masternode": info.masternode_id is not None,
        "id": None if own is None else display(own),
        "status": None if entry is None else entry.status,
        "signer": info.signer,
        "power": info.power,
        "voting": info.voting,
        "proposing": info.proposing,
        "abstains": info.abstains,
        "operator_key": None if operator is None else operator.operator_key.hex(),
    }


def _connected(node: NodeFacade) -> set[bytes]:
    connected = {peer.masternode_id for peer in node.peers() if peer.masternode_id is not None}
    own = node.consensus().masternode_id
    return connected | ({own} if own is not None else set())


def _entry_json(entry: Entry, tip: LedgerState, hrp: str, connected: set[bytes]) -> MasternodeShown:
    index = tip.current.index_of_id(entry.masternode_id)
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
        "collateral": shown_outpoint(entry.collateral),
        "registered_height": entry.height,
        "absent": entry.absent,
        "unregistered_epoch": entry.unregistered,
        "jailed_epoch": entry.jailed,
        "release_epoch": entry.release,
    }

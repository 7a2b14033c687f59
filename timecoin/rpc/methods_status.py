"""The node on one screen."""

from __future__ import annotations

from typing import TypedDict

import timecoin
from timecoin.primitives.hashes import display
from timecoin.rpc.alerts import Alert, alerts
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.table import Context, method


class ChainStatus(TypedDict):
    """The chain: ``next_slot`` in Unix seconds, ``disk_free`` in bytes where it is known."""

    blocks: int
    headers: int
    syncing: bool
    seconds_left: int | None
    epoch: int
    next_slot: int
    bestblockhash: str
    size_on_disk: int
    disk_free: int | None


class FinalityStatus(TypedDict):
    """Milliseconds from first sight to final over the newest ``samples`` payments, null before the first."""

    samples: int
    p50_ms: int | None
    p99_ms: int | None
    max_ms: int | None


class ConsensusStatus(TypedDict):
    """Round and powers; ``abstains``: why this node signs nothing, null when it signs."""

    height: int
    round: int
    step: str
    sealed: bool
    masternode: str | None
    voting: bool
    abstains: str | None
    masternodes: int
    total_power: int
    quorum: int
    connected_power: int


class PeersStatus(TypedDict):
    """Connections."""

    inbound: int
    outbound: int
    masternodes: int


class PoolStatus(TypedDict):
    """Unarchived transactions by status, and the memory they take."""

    pending: int
    certified: int
    final: int
    usage: int
    max_bytes: int


class NodeStatus(TypedDict):
    """The node on one screen; times in seconds or milliseconds, as the names say."""

    version: str
    network: str
    chain_id: str
    time_ms: int
    uptime: int
    chain: ChainStatus
    finality: FinalityStatus
    consensus: ConsensusStatus
    peers: PeersStatus
    pool: PoolStatus
    clock_offset_ms: int
    reactor_p99_ms: float
    alerts: list[Alert]


def getstatus(context: Context) -> NodeStatus:
    """What an operator looks at first: chain, finality, consensus, peers, pool, clock, and alerts.

    :returns: the figures of this moment, and what is wrong with them
    """
    node = context.node
    return {
        "version": timecoin.__version__,
        "network": node.network,
        "chain_id": display(node.tip().chain_id),
        "time_ms": node.now_ms(),
        "uptime": (node.now_ms() - node.started_ms()) // 1000,
        "chain": _chain(node),
        "finality": _finality(node),
        "consensus": _consensus(node),
        "peers": _peers(node),
        "pool": _pool(node),
        "clock_offset_ms": node.network_info().offset_ms,
        "reactor_p99_ms": node.reactor().p99_ms,
        "alerts": alerts(node),
    }


def _chain(node: NodeFacade) -> ChainStatus:
    tip, chain = node.tip(), node.chain()
    return {
        "blocks": tip.height,
        "headers": max(chain.best_height, tip.height),
        "syncing": chain.syncing,
        "seconds_left": chain.progress.seconds_left if chain.syncing else None,
        "epoch": tip.epoch,
        "next_slot": node.consensus().next_slot,
        "bestblockhash": display(tip.block_hash),
        "size_on_disk": chain.size_on_disk,
        "disk_free": node.disk_free(),
    }


def _finality(node: NodeFacade) -> FinalityStatus:
    latency = node.finality_latency()
    return {
        "samples": latency.samples,
        "p50_ms": latency.p50_ms,
        "p99_ms": latency.p99_ms,
        "max_ms": latency.max_ms,
    }


def _consensus(node: NodeFacade) -> ConsensusStatus:
    info, members = node.consensus(), node.tip().current
    return {
        "height": info.height,
        "round": info.round,
        "step": info.step,
        "sealed": info.sealed,
        "masternode": None if info.masternode_id is None else display(info.masternode_id),
        "voting": info.voting,
        "abstains": info.abstains,
        "masternodes": len(members),
        "total_power": members.total,
        "quorum": members.total * 2 // 3 + 1,
        "connected_power": info.connected_power,
    }


def _peers(node: NodeFacade) -> PeersStatus:
    peers = node.peers()
    inbound = sum(peer.inbound for peer in peers)
    return {
        "inbound": inbound,
        "outbound": len(peers) - inbound,
        "masternodes": sum(peer.masternode_id is not None for peer in peers),
    }


def _pool(node: NodeFacade) -> PoolStatus:
    info, stats = node.consensus(), node.pool()
    return {
        "pending": info.pending,
        "certified": info.certified,
        "final": info.final,
        "usage": stats.usage,
        "max_bytes": stats.max_bytes,
    }


METHODS = (method("Control", getstatus),)

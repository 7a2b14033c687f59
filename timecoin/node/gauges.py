"""Which figures of the node Prometheus sees, besides those that are counted where they arise."""

from __future__ import annotations

from collections.abc import Iterator

from timecoin.node.chain_sync import ChainSync
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.event_service import EventService
from timecoin.node.storage_service import StorageService
from timecoin.ops.metrics import Labelled, NodeMetrics
from timecoin.p2p.service import P2PService
from timecoin.p2p.traffic import Traffic
from timecoin.push.hub import Hub


def add_gauges(
    metrics: NodeMetrics,
    storage: StorageService,
    consensus: ConsensusService,
    sync: ChainSync,
    p2p: P2PService,
) -> None:
    """Called once, when all of these run; every figure is read when somebody looks."""
    participant, gauge = consensus.participant, metrics.gauge
    gauge("height", "Height of the decided tip.", lambda: participant.ledger.height)
    gauge("epoch", "The open epoch.", lambda: participant.ledger.epoch)
    gauge("syncing", "1 while peers are more than one block ahead.", lambda: sync.syncing)
    gauge("peers", "Connections.", lambda: len(p2p.peers))
    gauge("pool_transactions", "Unarchived transactions.", lambda: len(participant.finality.pool))
    gauge("pool_bytes", "Memory of the pool.", lambda: participant.finality.pool.bytes)
    gauge("total_power", "Voting power of the current set.", lambda: participant.members.total)
    gauge("connected_power", "Voting power of it that is here or connected.", lambda: consensus.connected_power)
    gauge("signing", "1 when the node signs.", lambda: participant.may_sign)
    gauge("unmerged_keys", "Coins and txids not yet in the trees.", lambda: storage.chain.unmerged_keys)
    gauge("journal_pause_seconds", "Pause between two journal ticks with bundles.", lambda: consensus.flush_pause)
    gauge("snapshot_seconds", "How long making the last snapshot took.", lambda: storage.snapshot_maker.last_seconds)
    gauge("snapshot_height", "Height of the newest snapshot that is held.", lambda: _newest_snapshot(storage))
    metrics.totals("p2p_bytes", "Bytes of frames.", ("direction", "message"), lambda: _bytes(p2p.traffic))
    metrics.totals("p2p_messages", "Frames.", ("direction", "message"), lambda: _messages(p2p.traffic))


def add_push_figures(metrics: NodeMetrics, hub: Hub, events: EventService) -> None:
    """Called once, when push is served."""
    gauge = metrics.gauge
    gauge("push_clients", "Push clients connected.", lambda: len(hub.clients))
    gauge("push_subscriptions", "Topics that push clients subscribed to.", lambda: hub.subscriptions)
    gauge("push_log_bytes", "Size of the event log.", lambda: events.size)
    gauge("push_log_first", "Number of the oldest event in the log.", lambda: events.held.first)
    gauge("push_log_last", "Number of the newest event in the log.", lambda: events.held.last)
    metrics.totals("push_events", "Events sent to push clients.", (), lambda: [((), hub.counts.sent)])
    metrics.totals("push_cut", "Push clients cut because they did not read.", (), lambda: [((), hub.counts.cut)])
    metrics.totals("push_gaps", "Push clients told of a gap.", (), lambda: [((), hub.counts.gaps)])


def _newest_snapshot(storage: StorageService) -> int:
    return max([each.height for each in storage.snapshots_held()], default=0)


def _bytes(traffic: Traffic) -> Iterator[Labelled]:
    for name, count in traffic.by_name().items():
        yield ("in", name), count.bytes_in
        yield ("out", name), count.bytes_out


def _messages(traffic: Traffic) -> Iterator[Labelled]:
    for name, count in traffic.by_name().items():
        yield ("in", name), count.messages_in
        yield ("out", name), count.messages_out

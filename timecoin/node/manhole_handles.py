"""The handles of the manhole: thin views of the running node that show themselves as tables and change nothing.

They ask what RPC may ask (``rpc.facade.NodeFacade``); none of them signs, spends, or knows a key.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred

from timecoin.node.manhole_tables import Table, span, when
from timecoin.ops.manhole_mistake import Mistake
from timecoin.primitives.amounts import format_amount
from timecoin.primitives.block import Block
from timecoin.primitives.hashes import Hash, display, parse_display
from timecoin.rpc.facade import EventPage, NodeFacade, PoolEntry, TxStatus
from timecoin.rpc.face_insight import Insight, Vote

_RECENT = 20
_MAX_ASKED = 1_000


class View:
    """A handle: its name, what it shows, and how it is used (the docstrings of its public methods)."""

    def __init__(self, node: NodeFacade) -> None:
        self._node = node

    def table(self) -> Table:
        """What the handle shows when it is typed by itself."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self.table())


class NodeView(View):
    """The process: what runs, for how long, and how late it is."""

    def table(self) -> Table:
        """Network, version, uptime, peers, lateness of the reactor."""
        node = self._node
        net, late = node.network_info(), node.reactor()
        return Table(
            "node",
            [
                ("network", node.network),
                ("version", net.user_agent),
                ("node id", net.node_id.hex()),
                ("running for", span((node.now_ms() - node.started_ms()) / 1000)),
                ("clock", f"{when(node.now_ms())} UTC, off by {net.offset_ms} ms of its peers"),
                ("warming up", node.warming_up() or False),
                ("connections", f"{net.inbound} in, {net.outbound} out"),
                ("advertised", ", ".join(f"{host}:{port}" for host, port in net.local_addresses) or None),
                ("reactor late", f"{late.p50_ms:g} ms median, {late.p99_ms:g} ms p99, {late.max_ms:g} ms at most"),
            ],
        )


class ChainView(View):
    """The blocks: how far they reach, and what is in them."""

    def table(self) -> Table:
        """The tip, what peers have, coins, disk."""
        tip, chain = self._node.tip(), self._node.chain()
        header = tip.header
        return Table(
            "chain",
            [
                ("height", tip.height),
                ("best of peers", chain.best_height),
                ("syncing", chain.syncing),
                ("blocks a second", chain.progress.rate),
                ("tip", display(header.hash)),
                ("slot of the tip", when(header.slot_time * 1000) + " UTC"),
                ("open epoch", tip.epoch),
                ("blocks here from", chain.base),
                ("unspent coins", chain.coins),
                ("bytes on disk", chain.size_on_disk),
                ("snapshots at", ", ".join(map(str, chain.snapshots)) or None),
            ],
        )

    def block(self, height: int) -> Deferred[Table]:
        """The block at a height: header and what it archives."""
        return self._node.block_at(self._height(height)).addCallback(_block)

    def find(self, txid: str) -> Table:
        """Where a transaction is archived."""
        found = self._node.location(_hash(txid))
        rows = [("height", found[0]), ("position", found[1])] if found else [("archived", False)]
        return Table(f"transaction {txid}", rows)

    def last(self, count: int = 10) -> Deferred[Table]:
        """The headers of the last blocks, newest first."""
        return Deferred.fromCoroutine(self._last(max(1, min(count, 50))))

    async def _last(self, count: int) -> Table:
        rows = []
        for height in range(self._node.tip().height, max(-1, self._node.tip().height - count), -1):
            if height < self._node.chain().base:
                break
            header = await self._node.header_at(height)
            kind = "closing" if header.closing else "interim"
            rows.append((height, header.epoch, kind, header.round, header.tx_count, when(header.slot_time * 1000)))
        return Table("last blocks", rows, ("height", "epoch", "kind", "round", "transactions", "slot"))

    def _height(self, height: int) -> int:
        if not isinstance(height, int) or not 0 <= height <= self._node.tip().height:
            raise Mistake(f"heights go from 0 to {self._node.tip().height}")
        return height


class MempoolView(View):
    """The payments that are not archived yet."""

    def table(self) -> Table:
        """How many there are, in which state, and how full the pool is."""
        pool, consensus = self._node.pool(), self._node.consensus()
        return Table(
            "mempool",
            [
                ("transactions", pool.count),
                ("pending", consensus.pending),
                ("certified", consensus.certified),
                ("final", consensus.final),
                ("serialised bytes", pool.bytes),
                ("memory", f"{pool.usage} of {pool.max_bytes} bytes"),
                ("fees", f"{format_amount(pool.total_fee)} TIME"),
            ],
        )

    def oldest(self, count: int = _RECENT) -> Table:
        """The transactions that wait longest: where a halt shows first."""
        return self._entries("oldest in the mempool", count, newest=False)

    def newest(self, count: int = _RECENT) -> Table:
        """The transactions that came last."""
        return self._entries("newest in the mempool", count, newest=True)

    def get(self, txid: str) -> Table:
        """One transaction of the pool."""
        entry = self._node.pool_entry(_hash(txid))
        if entry is None:
            raise Mistake("not in the mempool; finality.status() tells what became of it")
        rows = [("status", entry.status), ("came", when(entry.time_ms) + " UTC"), ("fee", format_amount(entry.fee))]
        children = [display(each) for each in self._node.pool_children(_hash(txid))]
        return Table(f"transaction {txid}", [*rows, ("spent by", ", ".join(children) or None)])

    def _entries(self, title: str, count: int, *, newest: bool) -> Table:
        # The pool is in the order of admission.
        txids = list(self._node.pool_ids())
        count = max(1, min(count, _MAX_ASKED))
        chosen = reversed(txids[-count:]) if newest else txids[:count]
        found = [(txid, self._node.pool_entry(txid)) for txid in chosen]
        rows = [self._row(txid, entry) for txid, entry in found if entry is not None]
        return Table(title, rows, ("txid", "status", "age", "fee"))

    def _row(self, txid: Hash, entry: PoolEntry) -> tuple[object, ...]:
        age = span(max(0, self._node.now_ms() - entry.time_ms) / 1000)
        return display(txid), entry.status, age, format_amount(entry.fee)


class FinalityView(View):
    """How payments become final."""

    def table(self) -> Table:
        """What waits for which quorum."""
        consensus = self._node.consensus()
        power = self._node.tip().current.total
        return Table(
            "finality",
            [
                ("pending: wait for votes", consensus.pending),
                ("certified: wait for acks", consensus.certified),
                ("final: wait for a block", consensus.final),
                ("a quorum is", f"{_quorum(power)} of {power}"),
                ("connected", consensus.connected_power),
                ("sealed", f"{consensus.sealed} (seals of {consensus.seals} seen)"),
            ],
            note=_advice(consensus.connected_power, power, consensus.sealed),
        )

    def status(self, txid: str) -> Table:
        """Where a transaction stands, with the votes and acks seen."""
        status = self._node.status(_hash(txid))
        if status is None:
            raise Mistake("this node has never seen that transaction")
        return _status(status)

    def wait(self, txid: str, seconds: float = 60) -> Deferred[Table]:
        """Its status once it is final, archived or rejected."""
        waiting = self._node.wait_final(_hash(txid), int(max(0.0, min(seconds, 110)) * 1000))
        return waiting.addCallback(lambda status: _status(status) if status else Table("never seen", ()))

    def recent(self, count: int = _RECENT) -> Deferred[Table]:
        """The last events: what reached which status when."""
        count = max(1, min(count, _MAX_ASKED))
        first = self._node.events(0, 1, 0)
        return first.addCallback(lambda page: self._node.events(max(0, page.last - count), count, 0)).addCallback(
            _events
        )


class PeersView(View):
    """The connections."""

    def table(self) -> Table:
        """Who is connected, which masternode it is, how far and how high."""
        rows = [
            (
                peer.number,
                peer.address,
                "in" if peer.inbound else "out",
                None if peer.masternode_id is None else display(peer.masternode_id)[:16],
                peer.height,
                peer.ping_ms,
                peer.offset_ms,
                span((self._node.now_ms() - peer.connected_ms) / 1000),
                peer.user_agent,
            )
            for peer in self._node.peers()
        ]
        headings = ("no", "address", "way", "masternode", "height", "ping ms", "clock ms", "for", "software")
        return Table("peers", rows, headings)

    def get(self, number: int) -> Table:
        """One connection, with bytes and ids in full."""
        for peer in self._node.peers():
            if peer.number == number:
                rows: list[tuple[str, object]] = [
                    ("address", peer.address),
                    ("node id", peer.node_id.hex()),
                    ("masternode", None if peer.masternode_id is None else display(peer.masternode_id)),
                    ("bytes sent", peer.bytes_sent),
                    ("bytes received", peer.bytes_received),
                    ("last sent", when(peer.last_send_ms)),
                    ("last received", when(peer.last_recv_ms)),
                ]
                return Table(f"peer {number}", rows)
        raise Mistake("there is no such connection; peers shows all")


class ConsensusView(View):
    """This node's part in consensus, and what is missing to a quorum."""

    def __init__(self, node: NodeFacade, insight: Insight) -> None:
        super().__init__(node)
        self._insight = insight

    def table(self) -> Table:
        """Height, round, step, seal, power; why it abstains."""
        consensus = self._node.consensus()
        power = self._node.tip().current.total
        masternode = None if consensus.masternode_id is None else display(consensus.masternode_id)
        return Table(
            "consensus",
            [
                ("decides height", f"{consensus.height}, round {consensus.round}, step {consensus.step}"),
                ("epoch", consensus.epoch),
                ("next slot", when(consensus.next_slot * 1000) + " UTC"),
                ("sealed", consensus.sealed),
                ("own masternode", masternode),
                ("own power", consensus.power),
                ("connected power", f"{consensus.connected_power} of {power}"),
                ("a quorum is", _quorum(power)),
                ("missing", max(0, _quorum(power) - consensus.connected_power)),
                ("votes", consensus.voting),
                ("proposes", consensus.proposing),
                ("signs nothing, for", consensus.abstains),
            ],
            note=_advice(consensus.connected_power, power, consensus.sealed),
        )

    def members(self) -> Table:
        """The masternodes of the open epoch: who is connected, and what was heard of each in this round."""
        rows = [
            (
                number,
                display(each.masternode_id)[:16],
                each.power,
                each.connected,
                each.sealed,
                each.bundles,
                each.round,
                _vote(each.prevote),
                _vote(each.precommit),
            )
            for number, each in enumerate(self._insight.consensus_view().members)
        ]
        headings = ("signer", "masternode", "power", "connected", "sealed", "bundles", "round", "prevote", "precommit")
        return Table("masternodes of the open epoch", rows, headings, note="round -: not heard of at this height.")

    def round(self) -> Table:
        """The round at hand: who proposes, what was proposed, on what this node is locked, which waits run."""
        at_hand = self._insight.consensus_view().round
        rows = [
            ("since", None if at_hand.started_ms is None else when(at_hand.started_ms) + " UTC"),
            ("proposer", f"signer {at_hand.proposer}"),
            ("proposed", None if at_hand.proposal is None else display(at_hand.proposal)),
            ("locked", _locked(at_hand.locked)),
            ("valid", _locked(at_hand.valid)),
            ("waits", ", ".join(f"{kind} {span(ms / 1000)}" for kind, ms in at_hand.timers) or None),
        ]
        return Table("round", rows)


def _vote(vote: Vote | None) -> str | None:
    if vote is None:
        return None
    return "nil" if vote.block_hash is None else display(vote.block_hash)[:16]


def _locked(locked: tuple[int, Hash] | None) -> str | None:
    return None if locked is None else f"round {locked[0]}: {display(locked[1])}"


def _quorum(power: int) -> int:
    """The least power that is more than two thirds (protocol.md section 1)."""
    return 2 * power // 3 + 1


def _advice(connected: int, power: int, sealed: bool) -> str:
    if connected < _quorum(power):
        return "No quorum is connected: nothing becomes final. consensus.members() shows who is away."
    return "A quorum is connected." + (" Sealed: acks wait for the closing block." if sealed else "")


def _hash(txid: str) -> Hash:
    if not isinstance(txid, str) or not re.fullmatch("[0-9a-fA-F]{64}", txid):
        raise Mistake("a txid is 64 hex digits in quotes")
    return parse_display(txid.lower())


def _block(block: Block) -> Table:
    header = block.header
    rows = [
        ("hash", display(header.hash)),
        ("previous", display(header.previous)),
        ("epoch", header.epoch),
        ("kind", "closing" if header.closing else "interim"),
        ("slot", when(header.slot_time * 1000) + " UTC"),
        ("round", header.round),
        ("proposer", header.proposer_index),
        ("transactions", len(block.transactions)),
    ]
    return Table(f"block {header.height}", [*rows, *(("", display(tx.txid)) for tx in block.transactions)])


def _status(status: TxStatus) -> Table:
    rows: list[tuple[str, Any]] = [
        ("status", status.status),
        ("votes", f"{status.votes} of {status.total_power}"),
        ("acks", f"{status.acks} of {status.total_power}"),
        ("a quorum is", _quorum(status.total_power)),
        ("final after", None if status.final_ms is None else f"{status.final_ms} ms"),
        ("archived at", status.height),
        ("rejected for", status.reason),
    ]
    return Table(f"transaction {display(status.txid)}", rows)


def _events(page: EventPage) -> Table:
    rows = [(event.number, when(event.time_ms), event.status, display(event.txid)) for event in page.events]
    return Table("recent events", reversed(rows), ("number", "time", "status", "txid"))

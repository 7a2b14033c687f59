"""The node as RPC sees it: answers from memory at once, from the disk by a Deferred (``rpc.facade.NodeFacade``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from timecoin import __version__
from timecoin.consensus.participant import Participant
from timecoin.consensus.status import Status, TxStatus
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import SignatureInvalid, TxInvalid
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.state import LedgerState
from timecoin.mempool.admission import Prepared, made_by
from timecoin.mempool.entry import Entry
from timecoin.mempool.errors import AlreadyKnown, MissingParents, NotAdmitted
from timecoin.node.block_watch import BlockWatch
from timecoin.node.chain_reads import ChainReads
from timecoin.node.chain_sync import ChainSync
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.event_pages import EventPages
from timecoin.node.genesis_facts import GenesisFacts
from timecoin.node.preview import preview
from timecoin.node.reports import Reports
from timecoin.node.storage_service import StorageService
from timecoin.ops.ticks import ReactorTickMonitor
from timecoin.p2p.handshake import PROTOCOL_MAX
from timecoin.p2p.service import P2PService
from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.rpc import facade as face
from timecoin.storage.errors import BlockPruned

T = TypeVar("T")
USER_AGENT = f"/timecoin:{__version__}/"
_UNARCHIVED_CODE = 2 * 0x7FFFFFFF
_OPEN = (Status.PENDING, Status.CERTIFIED)


class Facade(GenesisFacts):
    """Implements ``NodeFacade`` over the services of the node; ``ready`` tells whether they all run."""

    def __init__(
        self,
        *,
        reactor: Any,
        genesis: Genesis,
        storage: StorageService,
        consensus: ConsensusService,
        sync: ChainSync,
        returning: Callable[[], str | None] = lambda: None,
        p2p: P2PService,
        reports: Reports,
        ticks: ReactorTickMonitor,
        stop: Callable[[], None],
    ) -> None:
        super().__init__(genesis)
        self._storage = storage
        self._consensus = consensus
        self._sync, self._returning = sync, returning
        self._p2p = p2p
        self._reports = reports
        self._ticks = ticks
        self._stop = stop
        self._started = consensus.now_ms()
        self._under_way: Counter[Hash] = Counter()
        self.pages: EventPages | None = None
        self._reads = ChainReads(storage, genesis.parameters)
        self._watch = BlockWatch(reactor)
        reports.feed.listen_to_blocks(self._watch.block)

    @property
    def _participant(self) -> Participant:
        return self._consensus.participant

    # The node

    def warming_up(self) -> str | None:
        """RPC starts after everything that it talks to."""
        return None if self._consensus.running else "Loading the chain"

    def now_ms(self) -> int:
        """The clock."""
        return self._consensus.now_ms()

    def started_ms(self) -> int:
        """When the node started."""
        return self._started

    def stop(self) -> None:
        """Begin to stop the node."""
        self._stop()

    def sign_anyway(self) -> Deferred[bool]:
        """The operator's override."""
        return Deferred.fromCoroutine(self._consensus.sign_anyway())

    def reactor(self) -> face.ReactorInfo:
        """How late the reactor is."""
        lateness = self._ticks.report()
        return face.ReactorInfo(lateness.samples, lateness.p50_ms, lateness.p99_ms, lateness.max_ms)

    def finality_latency(self) -> face.LatencyInfo:
        """How long the newest payments took."""
        return self._reports.latency.report()

    def disk_free(self) -> int | None:
        """Bytes free where the data directory is."""
        return self._storage.disk_free()

    # The chain

    def tip(self) -> LedgerState:
        """The ledger after the newest decided block."""
        return self._participant.ledger

    def chain(self) -> face.ChainInfo:
        """How far the chain has come."""
        progress = self._sync.progress
        return face.ChainInfo(
            best_height=self._sync.best_height,
            syncing=self._sync.syncing,
            size_on_disk=self._storage.size_on_disk(),
            coins=self._storage.chain.tip.coin_count,
            base=self._storage.chain.base,
            snapshots=tuple([each.height for each in self._storage.snapshots_held()]),
            progress=face.SyncInfo(progress.rate, progress.seconds_left, progress.sources),
            returning=self._returning(),
        )

    def height_of(self, block_hash: Hash) -> Deferred[int | None]:
        """The height of a decided block."""
        return self._storage.in_reading_thread(self._storage.chain.archive.height_of, block_hash)

    def header_at(self, height: int) -> Deferred[Header]:
        """The header at a height."""
        archive = self._storage.chain.archive
        return self._storage.in_reading_thread(lambda: Header.decode(archive.header(height))).addErrback(_pruned)

    def block_at(self, height: int) -> Deferred[Block]:
        """The block at a height."""
        return self._storage.block(height).addErrback(_pruned)

    def block_bytes(self, height: int) -> Deferred[bytes]:
        """The encoded block at a height."""
        return self._storage.in_reading_thread(self._storage.chain.archive.block, height).addErrback(_pruned)

    def transaction_at(self, height: int, position: int) -> Deferred[Transaction]:
        """The transaction at a position of a block."""
        return self._reads.transaction_at(height, position).addErrback(_pruned)

    def outputs(self, outpoints: Collection[OutPoint]) -> Deferred[dict[OutPoint, Coin]]:
        """What transactions of the pool and of the chain made at these outpoints, spent or not."""
        pool, found = self._participant.finality.pool, {}
        for outpoint in outpoints:
            parent = pool.get(outpoint[:32])
            coin = None if parent is None else made_by(parent, outpoint)
            if coin is not None:
                found[outpoint] = coin._replace(code=_UNARCHIVED_CODE)
        rest = [outpoint for outpoint in outpoints if outpoint not in found]
        return self._reads.outputs(rest).addCallback(lambda archived: archived | found)

    def tx_count(self, height: int) -> Deferred[int | None]:
        """How many transactions the chain holds up to a height."""
        return self._reads.tx_count(height)

    def subsidy(self, header: Header) -> Deferred[int]:
        """What a block may create."""
        return self._reads.subsidy(header).addErrback(_pruned)

    def next_block(self, timeout_ms: int | None) -> Deferred[None]:
        """Fires when the next block is applied, at the latest after ``timeout_ms``."""
        return self._watch.next_block(timeout_ms)

    def location(self, txid: Hash) -> tuple[int, int] | None:
        """(height, position) of an archived transaction."""
        return self._storage.archived(txid)

    def coin(self, outpoint: OutPoint, include_mempool: bool) -> Coin | None:
        """An unspent coin; with the pool: also made by it, and not spent by it."""
        if not include_mempool:
            return self._storage.coin(outpoint)
        pool = self._participant.finality.pool
        if pool.spenders(outpoint):
            return None
        parent = pool.get(outpoint[:32])
        if parent is None:
            return self._storage.coin(outpoint)
        coin = made_by(parent, outpoint)
        return None if coin is None else coin._replace(code=_UNARCHIVED_CODE)

    # The pool

    def pool(self) -> face.PoolStats:
        """Figures of the pool."""
        pool = self._participant.finality.pool
        return face.PoolStats(
            count=len(pool),
            bytes=pool.serialized,
            vsize=pool.vsize,
            usage=pool.bytes,
            max_bytes=pool.max_bytes,
            total_fee=pool.fees,
            min_fee_rate=max(self.parameters.min_fee_rate, -(-pool.least_rate // 1_000_000)),
        )

    def pool_ids(self) -> Collection[Hash]:
        """The txids in the pool."""
        return [entry.txid for entry in self._participant.finality.pool]

    def pool_sequence(self) -> int:
        """The number of the newest event."""
        return self._reports.feed.last

    def pool_spender(self, outpoint: OutPoint) -> Hash | None:
        """The pool's transaction that spends a coin: of several, the one nearest to final."""
        best = self._participant.finality.pool.favoured(outpoint)
        return None if best is None else best.txid

    def pool_standing_back(self) -> Collection[Hash]:
        """What a rival nearer to final keeps out, and what rests on it."""
        return self._participant.finality.pool.standing_back()

    def pool_rates(self) -> list[tuple[int, int]]:
        """(fee, vsize) of what is pending and not certified."""
        pool = self._participant.finality.pool
        return [(entry.fee, entry.tx.vsize) for entry in pool if not entry.certified and not entry.final]

    def pool_entry(self, txid: Hash) -> face.PoolEntry | None:
        """A transaction in the pool."""
        entry = self._participant.finality.pool.get(txid)
        return None if entry is None else self._pool_entry(entry)

    def _pool_entry(self, entry: Entry) -> face.PoolEntry:
        final = entry.final or self._participant.told_final(entry.txid) is not None
        status = "final" if final else "certified" if entry.certified else "pending"
        height = self._watch.height_at(entry.first_seen, self._participant.ledger.height)
        return face.PoolEntry(entry.tx, entry.fee, entry.first_seen, height, status)

    def pool_children(self, txid: Hash) -> Collection[Hash]:
        """The pool's transactions that spend an output of this one."""
        entry = self._participant.finality.pool.get(txid)
        return () if entry is None else tuple(entry.children)

    # Submitting

    def submit(self, tx: Transaction, max_rate: int = 0) -> Deferred[Hash]:
        """Validate, store, announce; fires with the txid once it is in the pool and on disk."""
        answer: Deferred[Hash] = Deferred()
        self._under_way[tx.txid] += 1
        self._consensus.feed(lambda: self._prepare(tx, max_rate, answer))
        return answer.addBoth(self._ended, tx.txid)

    def _ended(self, result: T, txid: Hash) -> T:
        self._under_way[txid] -= 1
        if not self._under_way[txid]:
            del self._under_way[txid]
        return result

    def _prepare(self, tx: Transaction, max_rate: int, answer: Deferred[Hash]) -> None:
        try:
            prepared = self._participant.prepare(tx)
        except AlreadyKnown as known:
            if known.archived:
                answer.errback(known)
            else:
                self._keep(tx.txid, answer)
        except MissingParents as missing:
            if any(txid in self._under_way for txid in missing.txids):
                # Answers come in order: by then what became of the parent is known.
                self._consensus.ask([], lambda _: self._consensus.feed(lambda: self._prepare(tx, max_rate, answer)))
            else:
                answer.errback(missing)
        except (NotAdmitted, TxInvalid) as refused:
            answer.errback(refused)
        else:
            if max_rate and prepared.fee * 1000 > max_rate * tx.vsize:
                answer.errback(face.FeeAboveLimit())
                return
            self._consensus.ask(prepared.checks, lambda good: self._verified(prepared, good, answer))

    def _verified(self, prepared: Prepared, good: bool, answer: Deferred[Hash]) -> None:
        if good:
            self._consensus.feed(lambda: self._admit(prepared, answer))
        else:
            answer.errback(SignatureInvalid(prepared.tx.txid[::-1].hex()))

    def _admit(self, prepared: Prepared, answer: Deferred[Hash]) -> None:
        try:
            self._participant.admit(prepared, self.now_ms(), local=True)
        except AlreadyKnown:
            self._keep(prepared.tx.txid, answer)
        except (NotAdmitted, TxInvalid) as refused:
            answer.errback(refused)
        else:
            self._acknowledge(prepared.tx.txid, answer)

    def _keep(self, txid: Hash, answer: Deferred[Hash]) -> None:
        self._participant.keep(txid, self.now_ms())
        self._acknowledge(txid, answer)

    def _acknowledge(self, txid: Hash, answer: Deferred[Hash]) -> None:
        """Answer once the transaction is in the journal, so that no crash takes it back."""
        self._consensus.when_durable().addCallback(lambda _: answer.callback(txid))

    def preview(self, txs: Sequence[Transaction]) -> Deferred[list[face.Preview]]:
        """What ``submit`` would say to each of them after those before it, without doing it."""
        return Deferred.fromCoroutine(preview(self._consensus, txs))

    # Status

    def status(self, txid: Hash) -> face.TxStatus | None:
        """Where a transaction stands."""
        status = self._participant.finality.status(txid)
        if status is None:
            return None
        told = self._participant.told_final(txid)
        if told is not None and status.status in _OPEN:
            # Told before a restart, and so for good: its acks come again from the peers.
            status = replace(status, status=Status.FINAL, final_ms=told, reason=None)
        archived = status.status is Status.ARCHIVED
        return face.TxStatus(
            txid=txid,
            status=status.status.value,
            votes=status.vote_power,
            acks=status.ack_power,
            total_power=status.total,
            final_ms=self._final_ms(status),
            height=status.height if archived else None,
            block_hash=self._block_hash(status.height) if archived else None,
            reason=status.reason,
        )

    def _final_ms(self, status: TxStatus) -> int | None:
        """From memory, or for what was archived long ago or before the start from beside its block."""
        if status.final_ms is not None or status.height is None or status.position is None:
            return status.final_ms
        return self._storage.chain.archive.final_ms(status.height, status.position)

    def _block_hash(self, height: int | None) -> Hash | None:
        return None if height is None else self._storage.chain.archive.block_hash(height)

    def wait_final(self, txid: Hash, timeout_ms: int) -> Deferred[face.TxStatus | None]:
        """Its status as soon as it is settled, at the latest after ``timeout_ms``."""
        status = self.status(txid)
        if status is not None and status.status in ("final", "archived", "rejected"):
            return succeed(status)
        return self._reports.wait(txid, timeout_ms).addCallback(lambda _: self.status(txid))

    def events(self, since: int, limit: int, timeout_ms: int) -> Deferred[face.EventPage]:
        """Events with numbers above ``since``."""
        return (self.pages or self._reports).poll(since, limit, timeout_ms)

    # The network

    def peers(self) -> Sequence[face.PeerInfo]:
        """The connections, oldest first."""
        return [self._peer(peer) for peer in sorted(self._p2p.peers, key=lambda peer: peer.number)]

    def _peer(self, peer: Any) -> face.PeerInfo:
        view = self._consensus.gossip.view(peer)
        hello = peer.greeting.hello
        total = peer.traffic.total()
        return face.PeerInfo(
            number=peer.number,
            address=str(peer.address or ""),
            inbound=peer.inbound,
            node_id=peer.node_id,
            masternode_id=peer.masternode_id,
            connected_ms=peer.connected_at,
            last_send_ms=peer.last_sent,
            last_recv_ms=peer.last_received,
            bytes_sent=total.bytes_out,
            bytes_received=total.bytes_in,
            ping_ms=peer.rtt_ms,
            offset_ms=peer.clock_offset_ms,
            version=peer.greeting.version,
            user_agent=hello.user_agent,
            services=hello.services,
            height=max(hello.height, view.height - 1 if view is not None else 0),
        )

    def network_info(self) -> face.NetworkInfo:
        """The node on its network."""
        inbound = sum(peer.inbound for peer in self._p2p.peers)
        listen = self._p2p.identity.listen
        return face.NetworkInfo(
            node_id=self._p2p.identity.node_key,
            protocol_version=PROTOCOL_MAX,
            user_agent=USER_AGENT,
            services=self._p2p.identity.services,
            inbound=inbound,
            outbound=len(self._p2p.peers) - inbound,
            active=bool(self._p2p.running) and self._p2p.active,
            offset_ms=self._p2p.clock_offset_ms or 0,
            local_addresses=((listen.host_text(), listen.port),) if listen is not None else (),
        )

    def consensus(self) -> face.ConsensusInfo:
        """The node's part in consensus."""
        participant, members = self._participant, self._participant.members
        signer = participant.signer
        connected = self._consensus.connected_power
        pool = participant.finality.pool
        return face.ConsensusInfo(
            height=participant.height.height,
            round=participant.height.round,
            step=participant.height.step.name.lower(),
            epoch=participant.ledger.epoch,
            sealed=participant.finality.sealed,
            seals=members.power_of(participant.finality.seals_mask),
            next_slot=participant.slot_ms // 1000,
            masternode_id=None if signer is None else members.members[signer].masternode_id,
            signer=signer,
            power=0 if signer is None else members.members[signer].power,
            connected_power=connected,
            voting=participant.may_sign and members.is_quorum(connected),
            proposing=participant.may_sign and not participant.clock_is_wrong,
            abstains=self._abstains(),
            pending=len(pool) - pool.final - pool.certified,
            certified=pool.certified,
            final=pool.final,
        )

    def _abstains(self) -> str | None:
        participant = self._participant
        if participant.may_sign:
            return None
        if participant.halted:
            return "the protocol was broken by a third or more of the power"
        if participant.signer is None:
            return "not a member of the current set"
        permit = participant.permit
        if permit.held:
            return "its chain is too old to be gone on with before it is known what leads on from it"
        if not permit.exchanged:
            return "has not exchanged state with a quorum since its start"
        if participant.ledger.epoch <= permit.silent_until:
            return f"its journal is not complete: silent through epoch {permit.silent_until}"
        return "behind the network"


def _pruned(failure: Failure) -> Failure:
    return Failure(face.BlockPruned(str(failure.value))) if failure.check(BlockPruned) else failure

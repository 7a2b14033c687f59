"""What RPC asks of the node, and the values it gets: the only face between ``timecoin.rpc`` and
``timecoin.node``.

Synchronous members answer from memory in the reactor's thread; what needs the disk returns a Deferred. Hashes
are in wire order, amounts are base units, powers have no unit, times are milliseconds since the Unix epoch
unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction

STATUSES = ("pending", "certified", "final", "archived", "rejected")


class FeeAboveLimit(Exception):
    """The transaction pays a higher fee rate than its sender allows."""


class BlockPruned(Exception):
    """The block is in the chain, but below what this node joined with, and not kept here."""


@dataclass(frozen=True, slots=True)
class TxStatus:
    """Where a transaction stands (protocol.md section 1).

    ``votes`` and ``acks`` are the powers seen in the open epoch, of ``total_power``. ``final_ms`` is the time
    from the first sight of it to *final*, None before or when unknown; ``height`` and ``block_hash`` are of
    the archiving block; ``reason`` says why it is rejected.
    """

    txid: Hash
    status: str
    votes: int
    acks: int
    total_power: int
    final_ms: int | None = None
    height: int | None = None
    block_hash: Hash | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """An unarchived transaction: its ``fee``, when (``time_ms``) and at which tip ``height`` it came."""

    tx: Transaction
    fee: int
    time_ms: int
    height: int
    status: str


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The pool as a whole: ``bytes`` serialised, ``vsize`` in vbytes, ``usage`` an estimate of memory; rates are units
    per vbyte."""

    count: int
    bytes: int
    vsize: int
    usage: int
    max_bytes: int
    total_fee: int
    min_fee_rate: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What admission would say: ``reason`` is a reject code (``errors.TxInvalid.code``) or None; then ``fee``.
    ``details``: the reason with what it is about."""

    reason: str | None
    fee: int = 0
    details: str = ""


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connection; ``ping_ms`` and ``offset_ms`` are None before the first pong."""

    number: int
    address: str
    inbound: bool
    node_id: bytes
    masternode_id: Hash | None
    connected_ms: int
    last_send_ms: int
    last_recv_ms: int
    bytes_sent: int
    bytes_received: int
    ping_ms: float | None
    offset_ms: int | None
    version: int
    user_agent: str
    services: int
    height: int


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """The node on its network; ``local_addresses`` are (host, port) it advertises."""

    node_id: bytes
    protocol_version: int
    user_agent: str
    services: int
    inbound: int
    outbound: int
    active: bool
    offset_ms: int
    local_addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SyncInfo:
    """How catching up goes: blocks a second, seconds left (both None while that is not known), and how many peers
    deliver."""

    rate: float | None
    seconds_left: int | None
    sources: int


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """How far the chain here has come: ``best_height`` is the network's, as far as one peer cannot make it up.

    All blocks from ``base`` on are here; it is above 0 when the chain was joined with a snapshot. ``snapshots`` are
    the heights of those that are held for others, newest first. ``returning``: how far it is found out what leads on
    from a chain that is too old to be gone on with; None when it is not.
    """

    best_height: int
    syncing: bool
    size_on_disk: int
    coins: int
    base: int = 0
    snapshots: tuple[int, ...] = ()
    progress: SyncInfo = SyncInfo(None, None, 0)
    returning: str | None = None


@dataclass(frozen=True, slots=True)
class ConsensusInfo:
    """The node's part in consensus; ``abstains`` says why it signs nothing, None when it signs.

    ``connected_power`` is of S(epoch): own and of connected masternodes. ``seals`` is the power whose seals
    were seen. ``voting``: it is a member, signs, and members it is connected to hold a quorum with it.
    ``proposing``: it signs, and its clock is right enough to propose blocks.
    """

    height: int
    round: int
    step: str
    epoch: int
    sealed: bool
    seals: int
    next_slot: int
    masternode_id: Hash | None
    signer: int | None
    power: int
    connected_power: int
    voting: bool
    proposing: bool
    abstains: str | None
    pending: int
    certified: int
    final: int


class FinalityEvent(NamedTuple):
    """A transaction reached a status at ``time_ms``; ``number`` counts up from 1 without gaps while the node
    runs."""

    number: int
    txid: Hash
    status: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a number; ``first`` and ``last`` are the oldest and newest number held (last = 0: none
    yet).

    ``missed``: events between the number asked for and the first one here are no longer held.
    """

    events: tuple[FinalityEvent, ...]
    first: int
    last: int
    missed: bool


@dataclass(frozen=True, slots=True)
class ReactorInfo:
    """Lateness of the reactor in milliseconds over ``samples`` recent samples."""

    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class LatencyInfo:
    """Milliseconds from first sight to final over ``samples`` payments, None before the first."""

    samples: int
    p50_ms: int | None
    p99_ms: int | None
    max_ms: int | None


class NodeFacade(Protocol):
    """The node as RPC methods see it."""

    @property
    def network(self) -> str:
        """Its network's name."""

    @property
    def hrp(self) -> str:
        """The prefix of its addresses."""

    @property
    def parameters(self) -> Parameters:
        """The network's parameters."""

    def warming_up(self) -> str | None:
        """Why no call but help, stop and uptime is answered yet (RPC error -28), or None."""

    def now_ms(self) -> int:
        """The clock, milliseconds since the Unix epoch."""

    def started_ms(self) -> int:
        """When the node started."""

    def stop(self) -> None:
        """Begin to stop the node."""

    def tip(self) -> LedgerState:
        """The ledger after the newest decided block."""

    def chain(self) -> ChainInfo:
        """How far the chain has come."""

    def height_of(self, block_hash: Hash) -> Deferred[int | None]:
        """The height of a decided block."""

    def header_at(self, height: int) -> Deferred[Header]:
        """The header at a height from 0 to the tip's; ``BlockPruned``."""

    def block_at(self, height: int) -> Deferred[Block]:
        """The block at a height from 0 to the tip's; ``BlockPruned``."""

    def block_bytes(self, height: int) -> Deferred[bytes]:
        """The encoded block at a height from 0 to the tip's; ``BlockPruned``."""

    def transaction_at(self, height: int, position: int) -> Deferred[Transaction]:
        """The transaction at a position of a block of the chain; ``BlockPruned``."""

    def outputs(self, outpoints: Collection[OutPoint]) -> Deferred[dict[OutPoint, Coin]]:
        """What transactions of the pool and of the chain made at these outpoints, spent or not.

        Left out are those that no known transaction made, and those of blocks that are not here. Of the pool's, the
        code is 2 × 0x7fffffff.
        """

    def tx_count(self, height: int) -> Deferred[int | None]:
        """How many transactions the chain holds up to a height; None when blocks before it are not here."""

    def subsidy(self, header: Header) -> Deferred[int]:
        """What a block may create in base units (protocol.md section 7): an interim one 0, block 0 its allocations."""

    def next_block(self, timeout_ms: int | None) -> Deferred[None]:
        """Fires when the next block is applied, at the latest after ``timeout_ms``; RPC error -1 when too many wait."""

    def location(self, txid: Hash) -> tuple[int, int] | None:
        """(height, position) of an archived transaction."""

    def coin(self, outpoint: OutPoint, include_mempool: bool) -> Coin | None:
        """An unspent coin; with the pool: also made by it (code: 2 × 0x7fffffff), and not spent by it."""

    def pool(self) -> PoolStats:
        """Figures of the pool."""

    def pool_ids(self) -> Collection[Hash]:
        """The txids in the pool, in any order."""

    def pool_sequence(self) -> int:
        """The number of the newest event, of which any change of the pool is one."""

    def pool_entry(self, txid: Hash) -> PoolEntry | None:
        """A transaction in the pool."""

    def pool_children(self, txid: Hash) -> Collection[Hash]:
        """The pool's transactions that spend an output of this one."""

    def pool_spender(self, outpoint: OutPoint) -> Hash | None:
        """The pool's transaction that spends a coin: of several, the one nearest to final."""

    def pool_standing_back(self) -> Collection[Hash]:
        """The pool's transactions that lose against another one as it stands, and those that rest on them: without
        them no coin is spent twice."""

    def pool_rates(self) -> list[tuple[int, int]]:
        """(fee, vsize) of what is pending in the pool and not certified, in any order."""

    def submit(self, tx: Transaction, max_rate: int = 0) -> Deferred[Hash]:
        """Validate, store, announce; the txid once it is in the pool (also if it was there already).

        ``max_rate``: base units per 1,000 vbytes that its fee must not exceed (``FeeAboveLimit``); 0: no limit.

        Calls are admitted in the order made, so a child may follow its parent without waiting. Fails with
        ``ledger.errors.TxInvalid`` or ``mempool.errors.NotAdmitted``.
        """

    def preview(self, txs: Sequence[Transaction]) -> Deferred[list[Preview]]:
        """What ``submit`` would say to each of them after those before it, without doing it.

        A coin that another unarchived one spends is a conflict: ``submit`` would take the second spender, but it
        could not become final as long as the first one may.
        """

    def status(self, txid: Hash) -> TxStatus | None:
        """Where a transaction stands; None: never seen."""

    def wait_final(self, txid: Hash, timeout_ms: int) -> Deferred[TxStatus | None]:
        """Its status as soon as it is final, archived or rejected, at the latest after ``timeout_ms``."""

    def events(self, since: int, limit: int, timeout_ms: int) -> Deferred[EventPage]:
        """At most ``limit`` events with numbers above ``since``; with none yet, waits up to
        ``timeout_ms``."""

    def peers(self) -> Sequence[PeerInfo]:
        """The connections, oldest first."""

    def network_info(self) -> NetworkInfo:
        """The node on its network."""

    def consensus(self) -> ConsensusInfo:
        """The node's part in consensus."""

    def sign_anyway(self) -> Deferred[bool]:
        """End the silence that the state of the journal imposes on this masternode (protocol.md section 4); False when
        it imposes none."""

    def reactor(self) -> ReactorInfo:
        """How late the reactor is."""

    def finality_latency(self) -> LatencyInfo:
        """How long the newest payments took to become final."""

    def disk_free(self) -> int | None:
        """Bytes free where the data directory is; None where the system does not tell."""

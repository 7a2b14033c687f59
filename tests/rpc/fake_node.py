"""A node for RPC tests: a genesis, one block on it, a pool of two payments; what it is asked for is written
down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.known_keys import known_keys
from timecoin.cli.new_network import NewNetwork, Seat, make_network
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.ledger.coins import Coin
from timecoin.ledger.first import first_state
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import EMPTY_COMMIT, Block, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import OutPoint, Transaction, make_outpoint, split_outpoint
from timecoin.rpc import facade as face

NOW_MS = 1_800_000_123_456
COIN = 10**8


def small_network() -> NewNetwork:
    """Two masternodes (silver and bronze) and three funds of 5 TIME."""
    seats = [
        Seat(Tier.SILVER, ServiceAddress.parse("127.0.0.1:25000")),
        Seat(Tier.BRONZE, ServiceAddress.parse("127.0.0.1:25002")),
    ]
    parameters = Parameters.for_epoch_seconds(60)
    keys = known_keys("rpc")
    return make_network("devnet", 1_800_000_000, seats, parameters, fund_count=3, fund_amount=5 * COIN, draw=keys)


NETWORK = small_network()
_FIRST, _STATE, _DELTA = first_state(NETWORK.genesis)


def pay(fund: int = 0, amount: int = COIN, vout: int | None = None, txid: Hash | None = None) -> Transaction:
    """A signed payment of a fund, or of another coin with the fund's key, to the fund's own address."""
    coin = NETWORK.funds[fund]
    outpoint = make_outpoint(coin.txid if txid is None else txid, coin.vout if vout is None else vout)
    script = NETWORK.genesis.allocations[coin.vout].script
    return make_payment(OwnedCoin(outpoint, coin.amount, coin.secret), script, amount, 200, get_backend())


class FakeNode:
    """The facade. ``answers`` are what ``submit`` and ``preview`` do; a Deferred waits, an exception
    fails."""

    network = "devnet"
    hrp = "timed"
    parameters = NETWORK.genesis.parameters

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.warmup: str | None = None
        self.base = 0
        self.stopped = False
        self.free: int | None = 5 << 30
        self.submitted: list[Transaction] = []
        self.submit_answer: Deferred[Hash] | Exception | None = None
        self.previews: list[face.Preview] = []
        self.statuses: dict[Hash, face.TxStatus] = {}
        self.watching: list[Deferred[None]] = []
        self.rates: list[tuple[int, int]] = []
        self.standing_back: set[Hash] = set()
        self.pool_stats = face.PoolStats(2, 444, 282, 5_332, 1 << 20, 56_800, 100)
        self.waiting: list[Deferred[face.TxStatus | None]] = []
        self.asked_events: list[tuple[int, int, int]] = []
        self.masternode_id: Hash | None = NETWORK.genesis.registration_id(0)
        self.silenced = True
        archived = pay(2)
        root = merkle_root([_FIRST.transactions[0].txid, archived.txid])
        changes = {"previous": _FIRST.header.hash, "tx_root": root, "tx_count": 2}
        header = replace(_FIRST.header, height=1, epoch=1, closing=False, **changes)  # type: ignore[arg-type]
        self.blocks = [_FIRST, Block(header, (_FIRST.transactions[0], archived), EMPTY_COMMIT)]
        self.archived = archived
        self.coins: dict[OutPoint, Coin] = dict(_DELTA.added)
        parent = pay(0)
        child = pay(0, COIN // 2, 0, parent.txid)
        self.entries = {
            tx.txid: face.PoolEntry(tx, 28_400, NOW_MS - 5_000, 1, status)
            for tx, status in ((parent, "certified"), (child, "pending"))
        }
        self.parent, self.child = parent, child

    def warming_up(self) -> str | None:
        return self.warmup

    def now_ms(self) -> int:
        return NOW_MS + int(self.clock.seconds() * 1000)

    def started_ms(self) -> int:
        return NOW_MS - 61_999

    def stop(self) -> None:
        self.stopped = True

    def tip(self) -> LedgerState:
        return replace(_STATE, header=self.blocks[-1].header)

    def chain(self) -> face.ChainInfo:
        return face.ChainInfo(
            best_height=3,
            syncing=True,
            size_on_disk=4_096,
            coins=len(self.coins),
            base=self.base,
            snapshots=(8, 4),
            progress=face.SyncInfo(rate=12.345, seconds_left=7, sources=2),
        )

    def height_of(self, block_hash: Hash) -> Deferred[int | None]:
        heights = {block.header.hash: block.header.height for block in self.blocks}
        return succeed(heights.get(block_hash))

    def header_at(self, height: int) -> Deferred[Header]:
        return self._here(height) or succeed(self.blocks[height].header)

    def block_at(self, height: int) -> Deferred[Block]:
        return self._here(height) or succeed(self.blocks[height])

    def block_bytes(self, height: int) -> Deferred[bytes]:
        return self._here(height) or succeed(self.blocks[height].encode())

    def _here(self, height: int) -> Deferred[Any] | None:
        return fail(face.BlockPruned()) if height < self.base else None

    def transaction_at(self, height: int, position: int) -> Deferred[Transaction]:
        return self._here(height) or succeed(self.blocks[height].transactions[position])

    def outputs(self, outpoints: Collection[OutPoint]) -> Deferred[dict[OutPoint, Coin]]:
        found = {}
        for outpoint in outpoints:
            txid, n = split_outpoint(outpoint)
            entry, place = self.entries.get(txid), self.location(txid)
            if entry is not None:
                output = entry.tx.outputs[n]
                found[outpoint] = Coin(2 * 0x7FFFFFFF, output.value, output.script)
            elif place is not None and place[0] >= self.base:
                output = self.blocks[place[0]].transactions[place[1]].outputs[n]
                found[outpoint] = Coin(2 * place[0] + (place[1] == 0), output.value, output.script)
        return succeed(found)

    def tx_count(self, height: int) -> Deferred[int | None]:
        return succeed(None if self.base else sum(len(block.transactions) for block in self.blocks[: height + 1]))

    def subsidy(self, header: Header) -> Deferred[int]:
        return succeed(100 * COIN if header.closing else 0)

    def next_block(self, timeout_ms: int | None) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self.watching.append(waiting)
        if timeout_ms is not None:
            self.clock.callLater(timeout_ms / 1000, lambda: waiting.called or waiting.callback(None))
        return waiting

    def location(self, txid: Hash) -> tuple[int, int] | None:
        for height, block in enumerate(self.blocks):
            for position, tx in enumerate(block.transactions):
                if tx.txid == txid:
                    return height, position
        return None

    def coin(self, outpoint: OutPoint, include_mempool: bool) -> Coin | None:
        if include_mempool and outpoint == self.child.outpoint(0):
            output = self.child.outputs[0]
            return Coin(2 * 0x7FFFFFFF, output.value, output.script)
        if include_mempool and outpoint in self.parent.outpoints():
            return None
        return self.coins.get(outpoint)

    def pool(self) -> face.PoolStats:
        return self.pool_stats

    def pool_ids(self) -> Collection[Hash]:
        return list(self.entries)

    def pool_sequence(self) -> int:
        return 8

    def pool_spender(self, outpoint: OutPoint) -> Hash | None:
        for entry in self.entries.values():
            if outpoint in entry.tx.outpoints():
                return entry.tx.txid
        return None

    def pool_standing_back(self) -> Collection[Hash]:
        return self.standing_back

    def pool_rates(self) -> list[tuple[int, int]]:
        return self.rates

    def pool_entry(self, txid: Hash) -> face.PoolEntry | None:
        return self.entries.get(txid)

    def pool_children(self, txid: Hash) -> Collection[Hash]:
        return [self.child.txid] if txid == self.parent.txid else []

    def submit(self, tx: Transaction, max_rate: int = 0) -> Deferred[Hash]:
        if max_rate and self.previews and self.previews[0].fee * 1000 > max_rate * tx.vsize:
            return fail(face.FeeAboveLimit())
        self.submitted.append(tx)
        if isinstance(self.submit_answer, Exception):
            failed: Deferred[Hash] = Deferred()
            failed.errback(self.submit_answer)
            return failed
        if self.submit_answer is not None:
            waiting: Deferred[Hash] = Deferred()
            self.submit_answer.addCallback(lambda _: waiting.callback(tx.txid))
            return waiting
        return succeed(tx.txid)

    def preview(self, txs: Sequence[Transaction]) -> Deferred[list[face.Preview]]:
        return succeed(self.previews[: len(txs)])

    def status(self, txid: Hash) -> face.TxStatus | None:
        return self.statuses.get(txid)

    def wait_final(self, txid: Hash, timeout_ms: int) -> Deferred[face.TxStatus | None]:
        waiting: Deferred[face.TxStatus | None] = Deferred()
        self.waiting.append(waiting)
        self.clock.callLater(timeout_ms / 1000, lambda: waiting.called or waiting.callback(self.status(txid)))
        return waiting

    def events(self, since: int, limit: int, timeout_ms: int) -> Deferred[face.EventPage]:
        self.asked_events.append((since, limit, timeout_ms))
        event = face.FinalityEvent(8, self.parent.txid, "final", NOW_MS)
        return succeed(face.EventPage((event,), 5, 8, since < 4))

    def peers(self) -> Sequence[face.PeerInfo]:
        masternode = NETWORK.genesis.registration_id(1)
        common = (NOW_MS, NOW_MS, NOW_MS, 10, 20)
        return [
            face.PeerInfo(0, "127.0.0.1:25002", False, b"\2" * 33, masternode, *common, 1.5, -20, 1, "/x/", 1, 1),
            face.PeerInfo(4, "127.0.0.1:50000", True, b"\3" * 33, None, *common, None, None, 1, "/y/", 0, 0),
        ]

    def network_info(self) -> face.NetworkInfo:
        return face.NetworkInfo(b"\2" * 33, 1, "/timecoin:0.1.0/", 1, 1, 1, True, -20, (("127.0.0.1", 25000),))

    def consensus(self) -> face.ConsensusInfo:
        own = self.masternode_id
        return face.ConsensusInfo(
            2, 0, "propose", 1, False, 0, 1_800_000_060, own, 0, 100, 110, True, True, None, 1, 1, 0
        )

    def sign_anyway(self) -> Deferred[bool]:
        was_silenced, self.silenced = self.silenced, False
        return succeed(was_silenced)

    def reactor(self) -> face.ReactorInfo:
        return face.ReactorInfo(100, 0.1, 9.5, 12.0)

    def finality_latency(self) -> face.LatencyInfo:
        return face.LatencyInfo(3, 24, 80, 80)

    def disk_free(self) -> int | None:
        return self.free

"""Four masternodes' finality in one process, driven by hand: chains, journals, partitions, no clocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.consensus.payments import genesis_coin, genesis_outpoint
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import Event
from timecoin.consensus.finality import Finality
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import TxInvalid
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.mempool.errors import NotAdmitted
from timecoin.primitives.transaction import Transaction, make_outpoint

CHAIN_ID = b"\x11" * 32
MAX_BYTES = 100_000_000


def power_set(powers: Sequence[int] = (1, 1, 1, 1), salt: int = 0) -> PowerSet:
    return PowerSet(
        Member(bytes([i, salt]) + bytes(30), b"\x02" + bytes([i + 1]) * 32, power, b"\x00\x14" + bytes(20))
        for i, power in enumerate(powers)
    )


class OpenRegistry:
    """Locks what ``closed`` holds."""

    def __init__(self) -> None:
        self.closed: set[bytes] = set()

    def locked(self, outpoint: bytes, epoch: int) -> bool:
        return outpoint in self.closed


class FakeChain:
    """A decided chain that applies blocks of transactions without rules."""

    def __init__(self, coins: int = 20) -> None:
        self.coins: dict[bytes, Coin] = {genesis_outpoint(n): genesis_coin() for n in range(coins)}
        self.places: dict[bytes, tuple[int, int]] = {outpoint[:32]: (0, 0) for outpoint in self.coins}
        self.registry = OpenRegistry()
        self.epoch = 1
        self.height = 0
        self.last_closing_slot = 0
        self.lookups = 0

    def coin(self, outpoint: bytes) -> Coin | None:
        return self.coins.get(outpoint)

    def archived(self, txid: bytes) -> tuple[int, int] | None:
        self.lookups += 1
        return self.places.get(txid)

    def add(self, transactions: Sequence[Transaction], *, closing: bool) -> None:
        """Add all outputs, then remove all inputs (protocol.md 2)."""
        self.height += 1
        for position, tx in enumerate(transactions, 1):
            self.places[tx.txid] = (self.height, position)
            for index, output in enumerate(tx.outputs):
                self.coins[make_outpoint(tx.txid, index)] = Coin(2 * self.height, output.value, output.script)
        for tx in transactions:
            for outpoint in tx.outpoints():
                del self.coins[outpoint]
        if closing:
            self.epoch += 1
            self.last_closing_slot += 600


class Node:
    """One masternode (or a follower): finality, its chain, its journal."""

    def __init__(
        self, members: PowerSet, signer: int | None, params: Parameters, max_bytes: int = MAX_BYTES
    ) -> None:
        self.params, self.members, self.signer, self.max_bytes = params, members, signer, max_bytes
        self.chain = FakeChain()
        self.journal: list[Bundle] = []
        self.bodies: dict[bytes, Transaction] = {}
        self.events: list[Event] = []
        self.finality = self._fresh()
        self.finality.may_sign = True

    def _fresh(self) -> Finality:
        return Finality(
            self.params, self.chain, self.members, self.signer, chain_id=CHAIN_ID, max_bytes=self.max_bytes
        )

    def submit(self, tx: Transaction, now: int = 0, *, local: bool = False) -> None:
        self.finality.admit(self.finality.prepare(tx), now, local=local)
        self.collect()

    def speak(self) -> list[Bundle]:
        """Sign what is drafted, make it durable with its bodies, count it."""
        spoken = []
        while (draft := self.finality.draft()) is not None:
            assert self.signer is not None
            for txid in (*draft.votes, *draft.acks):
                entry = self.finality.pool.get(txid)
                if entry is not None:
                    self.bodies[txid] = entry.tx
            bundle = self.bundle(draft.sequence, draft.votes, draft.acks, seal=draft.seal)
            self.journal.append(bundle)
            spoken.append(bundle)
        for bundle in spoken:
            self.finality.receive(bundle, 0)
        self.collect()
        return spoken

    def bundle(
        self, sequence: int, votes: Iterable[bytes] = (), acks: Iterable[bytes] = (), *, seal: bool = False
    ) -> Bundle:
        assert self.signer is not None
        return Bundle(
            CHAIN_ID,
            self.finality.epoch,
            self.finality.members.set_hash,
            self.signer,
            sequence,
            seal,
            tuple(votes),
            tuple(acks),
        )

    def hear(self, bundle: Bundle, now: int = 0) -> bool:
        fresh = self.finality.receive(bundle, now)
        if fresh and bundle.signer != self.signer:
            self.journal.append(bundle)
        self.collect()
        return fresh

    def apply(self, transactions: Sequence[Transaction], *, closing: bool, now: int = 0) -> None:
        ordered = sorted(transactions, key=lambda tx: tx.txid[::-1])
        self.chain.add(ordered, closing=closing)
        for _ in self.finality.apply(
            ordered, closing=closing, members=self.members, signer=self.signer, now=now
        ):
            continue
        if closing:
            self.journal.clear()
            self.bodies.clear()
        self.collect()

    def restart(self) -> None:
        """Lose everything but chain and journal."""
        self.finality = self._fresh()
        for tx in self.bodies.values():
            try:
                self.finality.restore_body(self.finality.prepare(tx), 0, local=False)
            except (NotAdmitted, TxInvalid):
                self.finality.restore_locks(tx)
        for bundle in self.journal:
            self.finality.restore_bundle(bundle, 0)
        self.finality.take_events()
        self.finality.may_sign = True
        self.finality.retry_all(0)

    def collect(self) -> None:
        self.events.extend(self.finality.take_events())

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class Network:
    """Masternodes of equal or given powers; bundles and bodies reach everybody unless told otherwise."""

    def __init__(self, powers: Sequence[int] = (1, 1, 1, 1), *, params: Parameters | None = None) -> None:
        self.members = power_set(powers)
        self.params = params or Parameters()
        self.nodes = [Node(self.members, i, self.params) for i in range(len(powers))]
        self.log: list[Bundle] = []

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def submit(self, tx: Transaction, to: Iterable[int] | None = None) -> None:
        for index in range(len(self.nodes)) if to is None else to:
            self.nodes[index].submit(tx)

    def round(self, speakers: Iterable[int] | None = None, hearers: Iterable[int] | None = None) -> int:
        """Let everybody speak once and hear everything; returns the number of bundles."""
        everybody = range(len(self.nodes))
        spoken = [
            bundle for i in (everybody if speakers is None else speakers) for bundle in self.nodes[i].speak()
        ]
        self.log += spoken
        for bundle in spoken:
            for i in everybody if hearers is None else hearers:
                if i != bundle.signer:
                    self.nodes[i].hear(bundle)
        return len(spoken)

    def settle(self) -> None:
        """Speak until nobody has anything left to say."""
        while self.round():
            continue

    def block(self, transactions: Sequence[Transaction] | None = None, *, closing: bool) -> list[Transaction]:
        """Decide a block of all that the first node holds certified, or of ``transactions``."""
        chosen = transactions
        if chosen is None:
            chosen = [entry.tx for entry in self.nodes[0].finality.certified()]
        for node in self.nodes:
            node.apply(chosen, closing=closing)
        return list(chosen)

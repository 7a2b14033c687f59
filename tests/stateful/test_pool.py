"""The pool of unarchived transactions beside a list of what was put in."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import SCRIPT, genesis_outpoint
from tests.stateful.running import run
from timecoin.ledger.coins import Coin
from timecoin.mempool.entry import OVERHEAD_BYTES, Entry, all_ancestors, ancestors, descendants
from timecoin.mempool.errors import PoolFull
from timecoin.mempool.orphans import MAX_BYTES_PER_SOURCE, MAX_PER_SOURCE, Orphans
from timecoin.mempool.pool import Pool
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput

COINS = 6
MARKS = ("certified", "final", "local", "voted", "acked")


@dataclass
class Known:
    """What the model remembers of one transaction."""

    entry: Entry
    spends: tuple[bytes, ...]
    marks: set[str] = field(default_factory=set)

    @property
    def txid(self) -> bytes:
        return self.entry.txid

    @property
    def stays(self) -> bool:
        return bool(self.marks & {"local", "certified", "acked", "final"})


class PoolMachine(RuleBasedStateMachine):
    """Chains, rivals, marks, evictions. The model is a list; everything is computed from it anew each time."""

    @initialize(room=st.integers(3, 12))
    def begin(self, room: int) -> None:
        self.model: list[Known] = []
        self.pool = Pool(room * (OVERHEAD_BYTES + 600))
        self.serial = 0

    # The model's answers

    def of(self, txid: bytes) -> Known | None:
        return next((known for known in self.model if known.txid == txid), None)

    def children(self, known: Known) -> list[Known]:
        return [other for other in self.model if any(outpoint[:32] == known.txid for outpoint in other.spends)]

    def family(self, known: Known) -> list[Known]:
        """The transaction and all that descends from it."""
        found = [known]
        for member in found:
            found += [child for child in self.children(member) if child not in found]
        return found

    def memory(self) -> int:
        return sum(3 * known.entry.tx.size + OVERHEAD_BYTES for known in self.model)

    # Life

    def outpoints(self) -> list[bytes]:
        return [genesis_outpoint(n) for n in range(COINS)] + [
            known.entry.tx.outpoint(n) for known in self.model for n in (0, 1)
        ]

    @rule(data=st.data(), inputs=st.integers(1, 3), rate=st.integers(100, 130), at_any_price=st.booleans())
    def add(self, data: st.DataObject, inputs: int, rate: int, at_any_price: bool) -> None:
        """As admission does: make room by evicting, then add, unless too little may go."""
        chosen = data.draw(st.lists(st.sampled_from(self.outpoints()), min_size=1, max_size=inputs, unique=True))
        self.serial += 1
        outputs = (TxOutput(10**6 + self.serial, SCRIPT), TxOutput(10**6, SCRIPT))
        tx = Transaction(2, tuple(TxInput(outpoint) for outpoint in chosen), outputs, 0)
        coins = tuple(Coin(2, 10**8, SCRIPT) for _ in chosen)
        entry = Entry(tx, coins, rate * tx.vsize + data.draw(st.integers(0, 3)), self.serial)
        parents = [known.entry for known in self.model if known.txid in {outpoint[:32] for outpoint in chosen}]
        keep_voted = data.draw(st.booleans())
        try:
            victims = self.pool.victims(entry, parents, at_any_price=at_any_price, keep_voted=keep_voted)
        except PoolFull:
            assert not at_any_price
            assert self.could_free(entry, parents, keep_voted) < self.excess(entry)
            return
        self.judge_victims(entry, parents, victims, at_any_price, keep_voted)
        for victim in victims:
            self.take_out(victim)
        self.pool.add(entry, parents)
        self.model.append(Known(entry, tuple(chosen)))

    def excess(self, entry: Entry) -> int:
        return self.memory() + entry.memory - self.pool.max_bytes

    def may_go(self, known: Known, kept: set[bytes], keep_voted: bool) -> bool:
        return not any(
            each.stays or each.txid in kept or (keep_voted and "voted" in each.marks) for each in self.family(known)
        )

    def could_free(self, entry: Entry, parents: list[Entry], keep_voted: bool) -> int:
        """Memory of all families that may go for ``entry``, those whose head pays less."""
        kept = {parent.txid for parent in parents}
        gone: dict[bytes, int] = {}
        for known in self.model:
            if known.entry.rate < entry.rate and self.may_go(known, kept, keep_voted):
                gone.update((each.txid, each.entry.memory) for each in self.family(known))
        return sum(gone.values())

    def judge_victims(
        self, entry: Entry, parents: list[Entry], victims: list[Entry], at_any_price: bool, keep_voted: bool
    ) -> None:
        kept = {parent.txid for parent in parents}
        gone = {victim.txid for victim in victims}
        assert len(gone) == len(victims)
        freed = sum(victim.memory for victim in victims)
        excess = self.excess(entry)
        if excess <= 0:
            assert not victims
        elif not at_any_price:
            assert freed >= excess
        for victim in victims:
            known = self.of(victim.txid)
            assert known is not None and not known.stays and known.txid not in kept
            assert not (keep_voted and "voted" in known.marks)
            assert {child.txid for child in self.children(known)} <= gone, "a child stays without its parent"
        # Nothing cheaper that might have gone alone was spared for something dearer.
        heads = [v for v in victims if not any(parent in gone for parent in v.parents)]
        if heads:
            dearest = max(head.rate for head in heads)
            for known in self.model:
                if known.txid not in gone and known.entry.rate < dearest:
                    assert not self.may_go(known, kept, keep_voted)
            assert at_any_price or dearest < entry.rate

    def take_out(self, entry: Entry) -> None:
        self.pool.remove(entry)
        self.model = [known for known in self.model if known.txid != entry.txid]

    @rule(data=st.data())
    def archive(self, data: st.DataObject) -> None:
        """A block takes one whose parents are archived; its children stay."""
        roots = [known for known in self.model if not any(self.of(outpoint[:32]) for outpoint in known.spends)]
        if roots:
            self.take_out(data.draw(st.sampled_from(roots)).entry)

    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        """One goes with all its descendants."""
        if self.model:
            known = data.draw(st.sampled_from(self.model))
            for member in reversed(self.family(known)):
                if self.of(member.txid) is not None:
                    self.take_out(member.entry)

    @rule(data=st.data(), mark=st.sampled_from(MARKS))
    def mark(self, data: st.DataObject, mark: str) -> None:
        if not self.model:
            return
        known = data.draw(st.sampled_from(self.model))
        known.marks.add(mark)
        if mark == "certified":
            self.pool.certify(known.entry)
        elif mark == "final":
            self.pool.finalize(known.entry)
        else:
            setattr(known.entry, mark, True)

    @rule()
    def close_epoch(self) -> None:
        """What was said in the old epoch lapses."""
        for known in self.model:
            self.pool.lapse(known.entry)
            known.entry.voted = known.entry.acked = False
            known.marks -= {"certified", "voted", "acked"}

    # What must hold at all times

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "pool"):
            return
        pool, model = self.pool, self.model
        assert [entry.txid for entry in pool] == [known.txid for known in model]
        assert len(pool) == len(model)
        assert pool.bytes == self.memory()
        assert pool.serialized == sum(known.entry.tx.size for known in model)
        assert pool.vsize == sum(known.entry.tx.vsize for known in model)
        assert pool.fees == sum(known.entry.fee for known in model)
        assert pool.final == sum("final" in known.marks for known in model)
        assert pool.certified == sum("certified" in known.marks and "final" not in known.marks for known in model)

    @invariant()
    def knows_rivals_and_kin(self) -> None:
        for known in getattr(self, "model", ()):
            entry = known.entry
            assert self.pool.get(known.txid) is entry and known.txid in self.pool
            for outpoint in known.spends:
                spenders = [other.entry for other in self.model if outpoint in other.spends]
                assert list(self.pool.spenders(outpoint)) == spenders
            rivals = {
                other.txid for other in self.model if other is not known and set(other.spends) & set(known.spends)
            }
            assert {rival.txid for rival in self.pool.rivals(entry)} == rivals
            assert len(self.pool.rivals(entry)) == len(rivals)
            assert self.pool.is_contested(entry) == bool(rivals)
            parents = {outpoint[:32] for outpoint in known.spends if self.of(outpoint[:32])}
            assert set(entry.parents) == parents
            assert set(entry.children) == {child.txid for child in self.children(known)}
            kin = [member.txid for member in self.family(known)[1:]]
            assert {each.txid for each in descendants(entry)} == set(kin)
            above = {other.txid for other in self.model if other is not known and known in self.family(other)}
            assert {each.txid for each in all_ancestors(entry)} == above
            limited = ancestors(entry, 2)
            assert (limited is None) == (len(above) > 2)

    @invariant()
    def foreign_coins_have_no_spender(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.spenders(genesis_outpoint(99)) == ()


def orphan(number: int, size: int) -> Transaction:
    outputs = (TxOutput(number, SCRIPT), TxOutput(0, b"\x6a" + bytes(size)))
    return Transaction(2, (TxInput(genesis_outpoint(number)),), outputs, 0)


class OrphanMachine(RuleBasedStateMachine):
    """Transactions that wait for their parents. The model: (txid, missing, source, size) in order of arrival."""

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.orphans = Orphans()
        self.model: list[tuple[bytes, frozenset[bytes], bytes, int]] = []
        self.serial = 0

    @rule(
        target=known,
        missing=st.lists(st.integers(0, 8), min_size=0, max_size=3, unique=True),
        source=st.sampled_from((b"a", b"b", b"c")),
        size=st.sampled_from((10, 100, 60_000, 99_000)),
    )
    def add(self, missing: list[int], source: bytes, size: int) -> Transaction:
        self.serial += 1
        tx = orphan(self.serial, size)
        parents = tuple(genesis_outpoint(1_000 + number)[:32] for number in missing)
        self.orphans.add(tx, parents, source)
        if parents:
            self.model.append((tx.txid, frozenset(parents), source, tx.size))
            self.bound(source)
        return tx

    def bound(self, source: bytes) -> None:
        while True:
            own = [each for each in self.model if each[2] == source]
            if len(own) <= MAX_PER_SOURCE and sum(each[3] for each in own) <= MAX_BYTES_PER_SOURCE:
                return
            self.model.remove(own[0])

    @rule(source=st.sampled_from((b"a", b"b")), count=st.integers(1, 60))
    def flood(self, source: bytes, count: int) -> None:
        for _ in range(count):
            self.add(missing=[1], source=source, size=10)

    @rule(tx=known, source=st.sampled_from((b"a", b"z")))
    def again(self, tx: Transaction, source: bytes) -> None:
        """A second copy changes nothing."""
        if tx.txid in self.orphans:
            self.orphans.add(tx, (bytes(32),), source)

    @rule(number=st.integers(0, 9))
    def parent_comes(self, number: int) -> None:
        parent = genesis_outpoint(1_000 + number)[:32]
        taken = [each.tx.txid for each in self.orphans.take(parent)]
        assert taken == [each[0] for each in self.model if parent in each[1]]
        self.model = [each for each in self.model if parent not in each[1]]

    @rule(source=st.sampled_from((b"a", b"b", b"c", b"nobody")))
    def source_goes(self, source: bytes) -> None:
        self.orphans.forget_source(source)
        self.model = [each for each in self.model if each[2] != source]

    @rule(tx=consumes(known))
    def ask(self, tx: Transaction) -> None:
        assert (tx.txid in self.orphans) == any(each[0] == tx.txid for each in self.model)

    @invariant()
    def agrees(self) -> None:
        assert len(self.orphans) == len(self.model)
        assert self.orphans.bytes == sum(each[3] for each in self.model)
        assert all(each[0] in self.orphans for each in self.model)


class PoolTest(SynchronousTestCase):
    def test_pool(self) -> None:
        run(PoolMachine, 40, 40)

    def test_orphans(self) -> None:
        run(OrphanMachine, 20, 40)

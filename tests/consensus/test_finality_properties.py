"""Random lives of a small network: whatever happens, no coin is promised twice and no money is made."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import CHAIN_ID, Network, Node
from tests.consensus.payments import FEE, VALUE, genesis_outpoint, spend
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import Final, Violation
from timecoin.ledger.errors import TxInvalid
from timecoin.mempool.errors import NotAdmitted
from timecoin.primitives.transaction import Transaction

COINS = 4
HONEST = (0, 1, 2)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(0, 7), st.integers(0, 3), st.integers(1, 15)),
        st.tuples(st.just("merge"), st.integers(0, 7), st.integers(0, 7), st.integers(1, 15)),
        st.tuples(st.just("speak"), st.integers(0, 2), st.integers(0, 15), st.just(0)),
        st.tuples(st.just("lie"), st.integers(0, 63), st.integers(0, 15), st.integers(0, 15)),
        st.tuples(st.just("seal"), st.integers(0, 2), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 2), st.just(0), st.just(0)),
        st.tuples(st.just("interim"), st.integers(0, 2), st.just(0), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 2), st.just(0), st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


class Life:
    """Three honest masternodes and one that signs anything; blocks hold what every honest one accepts."""

    def __init__(self) -> None:
        self.network = Network()
        self.honest: list[Node] = [self.network[i] for i in HONEST]
        self.known: dict[bytes, Transaction] = {}
        self.outpoints = [genesis_outpoint(n) for n in range(COINS)]
        self.votes: dict[tuple[int, int], dict[bytes, bytes]] = {}
        self.sealed: set[tuple[int, int]] = set()
        self.fees = 0
        self.lies = 0

    # What may happen

    def pay(self, coin: int, salt: int, to: int) -> None:
        self._offer([self.outpoints[coin % len(self.outpoints)]], salt, to)

    def merge(self, one: int, two: int, to: int) -> None:
        chosen = [self.outpoints[number % len(self.outpoints)] for number in (one, two)]
        self._offer(list(dict.fromkeys(chosen)), 0, to)

    def _offer(self, outpoints: list[bytes], salt: int, to: int) -> None:
        values = [self._value(outpoint) for outpoint in outpoints]
        total = sum(values)
        if total < 4 * FEE:
            return
        odd = total % len(outpoints)
        tx = spend(outpoints, outputs=2, value=total // len(outpoints), fee=FEE + odd, salt=2 * salt)
        if tx.txid not in self.known:
            self.known[tx.txid] = tx
            self.outpoints += [tx.outpoint(0), tx.outpoint(1)]
        for node in self.honest:
            assert node.signer is not None
            if to >> node.signer & 1:
                self._admit(node, tx)

    def _value(self, outpoint: bytes) -> int:
        parent = self.known.get(outpoint[:32])
        return VALUE if parent is None else parent.outputs[int.from_bytes(outpoint[32:], "little")].value

    def _admit(self, node: Node, tx: Transaction) -> None:
        try:
            node.submit(tx)
        except (NotAdmitted, TxInvalid):
            return

    def speak(self, signer: int, to: int) -> None:
        node = self.honest[signer]
        for bundle in node.speak():
            self._check_promises(bundle)
            for other in self.honest:
                assert other.signer is not None
                if other is not node and to >> other.signer & 1:
                    other.hear(bundle)

    def lie(self, which: int, to: int, kind: int) -> None:
        txids = list(self.known)
        if not txids:
            return
        txid = txids[which % len(txids)]
        self.lies += 1
        set_hash, epoch = self.network.members.set_hash, self.honest[0].finality.epoch
        votes, acks = ((txid,) if kind & 1 else ()), ((txid,) if kind & 2 else ())
        bundle = Bundle(CHAIN_ID, epoch, set_hash, 3, 1 + self.lies % 5, not kind & 3, votes, acks)
        for node in self.honest:
            assert node.signer is not None
            if to >> node.signer & 1:
                node.hear(bundle)

    def seal(self, signer: int) -> None:
        self.honest[signer].finality.seal(0)

    def restart(self, signer: int) -> None:
        self.honest[signer].restart()
        self.honest[signer].collect()

    def interim(self, proposer: int) -> None:
        self._block([entry.tx for entry in self.honest[proposer].finality.certified()], closing=False)

    def close(self, proposer: int) -> None:
        """The closing block holds, as R10 demands, all that honest masternodes acked; all are sealed."""
        for node in self.honest:
            node.finality.seal(0)
            assert node.signer is not None
            self.speak(node.signer, 15)
        for node in self.honest:
            for bundle in [each for other in self.honest for each in other.journal]:
                node.hear(bundle)
        content = {entry.txid: entry.tx for entry in self.honest[proposer].finality.certified()}
        for node in self.honest:
            content |= {
                txid: self.known[txid] for txid in node.finality.acked_unarchived()
            }
        self._block(list(content.values()), closing=True)

    def _block(self, txs: list[Transaction], *, closing: bool) -> None:
        spent = [outpoint for tx in txs for outpoint in tx.outpoints()]
        assert len(spent) == len(set(spent)), "certified transactions conflict"
        for tx in txs:
            self.fees += sum(map(self._value, tx.outpoints())) - sum(output.value for output in tx.outputs)
        for node in self.honest:
            node.apply(txs, closing=closing)
        self.network[3].chain.add(sorted(txs, key=lambda tx: tx.txid[::-1]), closing=closing)

    # What must hold

    def _check_promises(self, bundle: Bundle) -> None:
        key = (bundle.signer, bundle.epoch)
        held = self.votes.setdefault(key, {})
        for txid in bundle.votes:
            for outpoint in self.known[txid].outpoints():
                assert held.setdefault(outpoint, txid) == txid, "two votes for one outpoint"
        assert not (bundle.acks and key in self.sealed), "an ack after the seal"
        if bundle.seal:
            self.sealed.add(key)

    def check(self) -> None:
        spenders: dict[bytes, bytes] = {}
        for node in self.honest:
            assert not node.told(Violation)
            for event in node.told(Final):
                for outpoint in self.known[event[0]].outpoints():
                    assert spenders.setdefault(outpoint, event[0]) == event[0], "rivals are final"
            reported = [event[0] for event in node.told(Final)]
            assert len(set(reported)) >= len(reported) - self.lies - 60
        for txid in set(spenders.values()):
            assert any(node.chain.archived(txid) for node in self.honest) or self._is_pending(txid)
        supply = sum(coin.value for coin in self.honest[0].chain.coins.values())
        assert supply + self.fees == 20 * VALUE, "money was made or lost"

    def _is_pending(self, txid: bytes) -> bool:
        return any(txid in node.finality.pool for node in self.honest)

    def check_after_close(self) -> None:
        for node in self.honest:
            for event in node.told(Final):
                assert node.chain.archived(event[0]) is not None, "final, but the epoch closed without it"


class PropertyTests(SynchronousTestCase):
    @settings(
        deadline=None,
        derandomize=True,
        max_examples=120,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps)
    def test_random_lives(self, script: list[tuple[str, int, int, int]]) -> None:
        life = Life()
        for name, a, b, c in script:
            if name in ("pay", "merge", "lie"):
                getattr(life, name)(a, b, c)
            elif name == "speak":
                life.speak(a, b)
            else:
                getattr(life, name)(a)
            life.check()
            if name == "close":
                life.check_after_close()
        life.close(0)
        life.check()
        life.check_after_close()

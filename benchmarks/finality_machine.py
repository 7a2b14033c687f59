"""Microseconds a payment spends in finality, among four masternodes: ``python -m benchmarks.finality_machine``."""

from __future__ import annotations

import gc
from time import perf_counter

from tests.consensus.network import CHAIN_ID, FakeChain, power_set
from tests.consensus.payments import genesis_coin, genesis_outpoint, spend
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.finality import Finality
from timecoin.ledger.params import Parameters
from timecoin.primitives.transaction import Transaction

PAYMENTS = 5_000
BATCH = 500


def run() -> dict[str, float]:
    """Return microseconds per payment for each part of its life."""
    members = power_set()
    chain = FakeChain(0)
    chain.coins = {genesis_outpoint(n): genesis_coin() for n in range(PAYMENTS)}
    mine = Finality(Parameters(), chain, members, 0, chain_id=CHAIN_ID, max_bytes=1 << 30)
    mine.may_sign = True
    raws = [spend([genesis_outpoint(n)]).raw for n in range(PAYMENTS)]
    txs = [Transaction.decode(raw) for raw in raws]
    for tx in txs:
        assert tx.txid and tx.wtxid
    spent: dict[str, float] = {}
    sequence = [0, 0, 0, 0]

    def timed(name: str, start: float) -> None:
        spent[name] = spent.get(name, 0.0) + perf_counter() - start

    def say(votes: tuple[bytes, ...], acks: tuple[bytes, ...]) -> None:
        for signer in range(4):
            sequence[signer] += 1
            made = Bundle(CHAIN_ID, 1, members.set_hash, signer, sequence[signer], False, votes, acks)
            data = made.encode()
            start = perf_counter()
            bundle = Bundle.decode(data)
            assert bundle.digest
            timed("decode and hash bundles", start)
            start = perf_counter()
            mine.receive(bundle, 1)
            timed("count bundles, vote and ack", start)

    for at in range(0, PAYMENTS, BATCH):
        batch = txs[at : at + BATCH]
        start = perf_counter()
        prepared = [mine.prepare(tx) for tx in batch]
        timed("prepare", start)
        start = perf_counter()
        for each in prepared:
            mine.admit(each, 0)
        timed("admit", start)
        start = perf_counter()
        draft = mine.draft()
        timed("draft", start)
        assert draft is not None and len(draft.votes) == len(batch)
        say(draft.votes, ())
        start = perf_counter()
        draft = mine.draft()
        timed("draft", start)
        assert draft is not None and len(draft.acks) == len(batch)
        say((), draft.acks)
        ordered = sorted(batch, key=lambda tx: tx.txid[::-1])
        chain.add(ordered, closing=False)
        start = perf_counter()
        for _ in mine.apply(ordered, closing=False, members=members, signer=0, now=2):
            continue
        timed("apply", start)
        start = perf_counter()
        events = mine.take_events()
        timed("events", start)
        assert len(events) == 2 * len(batch)
    return {name: 1e6 * seconds / PAYMENTS for name, seconds in spent.items()}


def main() -> None:
    """Print the table."""
    gc.freeze()
    parts = run()
    for name, micros in parts.items():
        print(f"{name:30} {micros:6.1f} µs")
    print(f"{'together':30} {sum(parts.values()):6.1f} µs")


if __name__ == "__main__":
    main()

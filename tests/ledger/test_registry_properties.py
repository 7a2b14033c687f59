"""Random lives of a registry, epoch by epoch, against what protocol.md section 3 promises of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import (
    BACKEND,
    CHAIN_ID,
    entry,
    free_registration,
    key,
    owner,
    record,
    registration,
    signed,
    txid,
)
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import Return, Unregister, Update
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.tiers import Tier
from timecoin.primitives.transaction import make_outpoint

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60, database=None)
PARAMS = Parameters(unbonding_epochs=2, jail_epochs=4, absent_epochs=2, max_set=4, max_free=3)
VALUES = (
    PARAMS.bronze_collateral - 1,
    PARAMS.bronze_collateral,
    PARAMS.silver_collateral,
    PARAMS.gold_collateral,
)

Action: TypeAlias = tuple[str, int, int]
ACTIONS = st.tuples(
    st.sampled_from(
        ["register", "free", "unregister", "return", "rekey", "forge", "jail", "absent", "spend"]
    ),
    st.integers(1, 7),
    st.integers(0, 3),
)
LIVES = st.lists(st.lists(ACTIONS, max_size=6), min_size=1, max_size=10)
GENESIS = Registry([entry(1), entry(2, Tier.SILVER), entry(3, Tier.FREE)])


def payload(action: Action, height: int) -> PayloadRecord | None:
    kind, number, choice = action
    if kind == "register":
        return registration(number, VALUES[choice], height)
    if kind == "free":
        return free_registration(number, height)
    changes = {
        "unregister": (Unregister(txid(number)), owner(number), None),
        "return": (Return(txid(number)), owner(number), None),
        "rekey": (Update(txid(number), operator_key=key(20 + choice)), owner(number), 20 + choice),
        "forge": (Unregister(txid(number)), owner(number + 1), None),
    }
    if kind not in changes:
        return None
    change, signer, operator = changes[kind]
    return record(100 * height + number, signed(change, owner=signer, operator=operator), height=height)


def unspent(spent: set[bytes]) -> Callable[[bytes], bool]:
    return lambda outpoint: outpoint not in spent


class LifeTests(SynchronousTestCase):
    def live(self, life: list[list[Action]]) -> None:
        registry, previous, following, free_mode = GENESIS, PowerSet(()), GENESIS_SET, False
        spent: set[bytes] = set()
        for epoch, actions in enumerate(life, 1):
            records = [r for i, a in enumerate(actions) if (r := payload(a, 100 * epoch + i)) is not None]
            records = [r for r in records if registry.get(r.txid) is None]
            coins = {make_outpoint(txid(n), 0) for kind, n, _ in actions if kind == "spend"}
            spent |= {coin for coin in coins if not registry.locked(coin, epoch)}
            absent = {txid(n) for kind, n, _ in actions if kind == "absent"}
            jailed = [txid(n) for kind, n, _ in actions if kind == "jail"]
            present = {m.masternode_id for m in previous.members} - absent
            after = registry.close_epoch(
                PARAMS, epoch, records, unspent(spent), previous, present, jailed, BACKEND, CHAIN_ID
            )
            self.check(registry, after, epoch, spent)
            previous, (following, free_mode) = following, after.choose_set(PARAMS, following, free_mode)
            self.check_set(after, following)
            registry = after

    def check(self, before: Registry, after: Registry, epoch: int, spent: set[bytes]) -> None:
        self.assertEqual(Registry.decode(after.encode()), after)
        self.assertLessEqual(sum(1 for e in after.entries if not e.is_paid), PARAMS.max_free)
        for known in after.entries:
            if known.collateral is not None:
                self.assertTrue(after.locked(known.collateral, epoch + 1))
                self.assertNotIn(known.collateral, spent)
        for known in before.entries:
            if after.get(known.masternode_id) is None:
                self.assertTrue(known.is_leaving)
                assert known.release is not None
                least = PARAMS.jail_epochs if known.jailed is not None else PARAMS.unbonding_epochs
                left = known.jailed if known.jailed is not None else known.unregistered
                assert left is not None
                self.assertGreaterEqual(epoch + 1, left + 2 + least)

    def check_set(self, registry: Registry, members: PowerSet) -> None:
        self.assertLessEqual(len(members), PARAMS.max_set)
        eligible = [e for e in registry.entries if e.is_eligible]
        if any(e.is_paid for e in eligible):
            self.assertLessEqual(
                {m.masternode_id for m in members.members}, {e.masternode_id for e in eligible}
            )
            powers = [m.power for m in members.members]
            self.assertEqual(powers, sorted(powers, reverse=True))
            paid = sum(power for power in powers if power > 1)
            self.assertLessEqual(1000 * (members.total - paid), paid * PARAMS.free_power_permille)

    @SETTINGS
    @given(LIVES)
    def test_promises(self, life: list[list[Action]]) -> None:
        self.live(life)

    @SETTINGS
    @given(st.lists(ACTIONS, max_size=8))
    def test_deterministic(self, actions: list[Action]) -> None:
        """The same payloads give the same bytes, and a decoded registry goes on like the original."""
        records = [r for i, a in enumerate(actions) if (r := payload(a, 500 + i)) is not None]
        unknown = [r for r in records if GENESIS.get(r.txid) is None]
        jailed = [txid(n) for kind, n, _ in actions if kind == "jail"]
        results = [
            start.close_epoch(PARAMS, 5, unknown, lambda o: True, None, None, ids, BACKEND, CHAIN_ID).encode()
            for start, ids in ((GENESIS, jailed), (Registry.decode(GENESIS.encode()), jailed[::-1]))
        ]
        self.assertEqual(*results)


GENESIS_SET = GENESIS.choose_set(PARAMS, PowerSet(()), False)[0]

"""What is built is valid on the ledger: signed with real keys, its fee never falls below the minimum."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.params import Parameters
from timecoin.ledger.validation import check_transaction, minimum_fee
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import multisig, p2wpkh, p2wpkh_script_code, p2wsh
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import FINAL_SEQUENCE, Transaction, TxOutput
from timecoin.wallet.building import (
    Built,
    InsufficientFunds,
    Limits,
    Plan,
    TooLarge,
    TooSmallToPayFee,
    build,
    build_all,
)
from timecoin.wallet.selection import Candidate
from timecoin.wallet.sizes import input_weight, vsize_of

_SETTINGS = settings(deadline=None, derandomize=True, max_examples=100, database=None)
PARAMS = Parameters()
LIMITS = Limits(PARAMS.dust, PARAMS.min_fee_rate, PARAMS.max_tx_bytes)
BACKEND = get_backend()
SECRET = b"\x07" * 32
KEY = BACKEND.public_key(SECRET)
OWN = p2wpkh(hash160(KEY))
OTHER = p2wpkh(b"\x01" * 20)
LEGACY = input_weight(OWN)
RATE = 100_000


def coin(number: int, value: int) -> Candidate:
    return Candidate(number.to_bytes(36, "big"), value, LEGACY)


def plan(outputs: tuple[TxOutput, ...], coins: list[Candidate], **changes: object) -> Plan:
    made = Plan(outputs, OWN, LEGACY, RATE, tuple(coins))
    return replace(made, **changes)  # type: ignore[arg-type]


def signed(tx: Transaction, values: dict[bytes, int]) -> Transaction:
    digests = Bip143(tx)
    inputs = []
    for n, spent in enumerate(tx.inputs):
        digest = digests.digest(n, p2wpkh_script_code(hash160(KEY)), values[spent.outpoint])
        inputs.append(spent._replace(witness=(join_signature(BACKEND.sign(SECRET, digest)), KEY)))
    return Transaction(tx.version, tuple(inputs), tx.outputs, tx.lock_time)


class Build(SynchronousTestCase):
    """Fees, change, order."""

    def build(self, made: Plan, seed: int = 1) -> Built:
        return build(made, LIMITS, random.Random(seed))

    def check(self, built: Built, coins: list[Candidate]) -> Transaction:
        values = {each.outpoint: each.value for each in coins}
        tx = signed(built.tx, values)
        check_transaction(PARAMS, tx)
        fee = sum(values[each] for each in tx.outpoints()) - sum(each.value for each in tx.outputs)
        self.assertEqual(fee, built.fee)
        self.assertGreaterEqual(fee, minimum_fee(PARAMS, tx))
        self.assertLessEqual(tx.vsize, built.estimated_vsize)
        return tx

    @_SETTINGS
    @given(
        st.lists(st.integers(10_000, 400_000), min_size=1, max_size=6),
        st.lists(st.integers(10_000, 200_000), min_size=1, max_size=3),
        st.sampled_from([RATE, RATE + 1, 133_337, 900_000]),
        st.sets(st.integers(0, 2)),
        st.integers(0, 100),
    )
    def test_valid_or_truly_too_little(
        self, values: list[int], amounts: list[int], rate: int, bearing: set[int], seed: int
    ) -> None:
        coins = [coin(n, value) for n, value in enumerate(values)]
        outputs = tuple(TxOutput(amount, p2wpkh(bytes([n]) * 20)) for n, amount in enumerate(amounts))
        bearers = tuple(sorted(n for n in bearing if n < len(outputs)))
        try:
            built = self.build(plan(outputs, coins, rate=rate, subtract_from=bearers), seed)
        except InsufficientFunds as missing:
            self.assertGreater(missing.short, 0)
            least = 0 if bearers else rate * 110 // 1000
            self.assertLess(
                sum(values) - len(values) * (0 if bearers else 68 * rate // 1000), sum(amounts) + least + 300
            )
            return
        except TooSmallToPayFee:
            self.assertTrue(bearers)
            return
        tx = self.check(built, coins)
        self.assertGreaterEqual(built.fee * 1000, rate * tx.vsize)
        change = [n for n, each in enumerate(tx.outputs) if each.script == OWN]
        self.assertEqual(change, [] if built.change_position is None else [built.change_position])
        rest = [each for each in tx.outputs if each.script != OWN]
        paid = sum(amounts) - sum(each.value for each in rest)
        self.assertEqual(paid if bearers and change else 0, built.fee if bearers and change else 0)
        if not bearers:
            self.assertEqual(tuple(rest), outputs)

    def test_the_waste_without_change_is_small(self) -> None:
        built = self.build(plan((TxOutput(100_000, OTHER),), [coin(1, 120_000)]))
        self.assertIsNone(built.change_position)
        self.assertEqual(built.fee, 20_000)

    def test_defaults_vote_at_once(self) -> None:
        tx = self.build(plan((TxOutput(50_000, OTHER),), [coin(1, 10**8)])).tx
        self.assertEqual((tx.version, tx.lock_time, tx.inputs[0].sequence), (2, 0, FINAL_SEQUENCE))

    def test_a_lock_time_counts(self) -> None:
        tx = self.build(plan((TxOutput(50_000, OTHER),), [coin(1, 10**8)], lock_time=77)).tx
        self.assertEqual((tx.lock_time, tx.inputs[0].sequence), (77, FINAL_SEQUENCE - 1))

    def test_change_stands_anywhere_or_where_it_is_put(self) -> None:
        outputs = (TxOutput(50_000, OTHER), TxOutput(60_000, OTHER))
        coins = [coin(1, 10**8)]
        places = {self.build(plan(outputs, coins), seed).change_position for seed in range(30)}
        self.assertEqual(places, {0, 1, 2})
        placed = {self.build(plan(outputs, coins, change_position=1), seed).change_position for seed in range(9)}
        self.assertEqual(placed, {1})

    def test_preset_coins_are_always_spent(self) -> None:
        mine, more = coin(1, 30_000), coin(2, 10**7)
        built = self.build(plan((TxOutput(50_000, OTHER),), [more], preset=(mine,)))
        self.assertEqual(set(built.tx.outpoints()), {mine.outpoint, more.outpoint})
        built = self.build(plan((TxOutput(10_000, OTHER),), [more], preset=(coin(3, 90_000),)))
        self.assertEqual(len(built.tx.inputs), 1)
        self.check(built, [coin(3, 90_000)])

    def test_too_little(self) -> None:
        with self.assertRaises(InsufficientFunds):
            self.build(plan((TxOutput(100_000, OTHER),), [coin(1, 110_000)]))

    def test_too_many_coins_are_needed(self) -> None:
        coins = [coin(n, 20_000) for n in range(700)]
        with self.assertRaises(TooLarge):
            self.build(plan((TxOutput(9_000_000, OTHER),), coins))
        built = self.build(plan((TxOutput(8_000_000, OTHER),), coins))
        self.assertLessEqual(self.check(built, coins).size, PARAMS.max_tx_bytes)

    def test_receivers_pay(self) -> None:
        outputs = (TxOutput(50_000, OTHER), TxOutput(90_001, p2wpkh(b"\2" * 20)))
        built = self.build(plan(outputs, [coin(1, 10**8)], subtract_from=(0, 1), change_position=2))
        taken = [before.value - after.value for before, after in zip(outputs, built.tx.outputs, strict=False)]
        self.assertEqual((sum(taken), taken[0] - taken[1]), (built.fee, built.fee % 2))
        with self.assertRaises(TooSmallToPayFee):
            self.build(plan((TxOutput(15_000, OTHER),), [coin(1, 10**8)], subtract_from=(0,)))

    def test_everything(self) -> None:
        coins = [coin(n, 200_000) for n in range(9)]
        outputs = (TxOutput(50_000, OTHER), TxOutput(0, p2wpkh(b"\2" * 20)), TxOutput(0, p2wpkh(b"\3" * 20)))
        built = build_all(plan(outputs, [], preset=tuple(coins)), LIMITS, [1, 2])
        tx = self.check(built, coins)
        self.assertEqual(tx.outputs[0], outputs[0])
        self.assertIn(tx.outputs[1].value - tx.outputs[2].value, (0, 1))
        with self.assertRaises(InsufficientFunds):
            build_all(plan((TxOutput(0, OTHER),), [], preset=(coin(1, 10_000),)), LIMITS, [0])
        with self.assertRaises(TooSmallToPayFee):
            build_all(plan((TxOutput(0, OTHER),), [], preset=(coin(1, 20_000),)), LIMITS, [0])


class Sizes(SynchronousTestCase):
    """The bounds hold for real signatures and are tight."""

    def test_p2wpkh(self) -> None:
        self.assertEqual((LEGACY, vsize_of(LEGACY)), (272, 68))

    def test_multisig(self) -> None:
        script = multisig(2, [KEY] * 3)
        # Empty item, two signatures of 72 bytes at most, the script of 105 bytes: 1 + 1 + 2·73 + 1 + 105.
        self.assertEqual(input_weight(p2wsh(sha256(script)), script), 4 * 41 + 254)
        large = multisig(1, [KEY] * 15)
        self.assertEqual(input_weight(p2wsh(sha256(large)), large), 4 * 41 + 1 + 1 + 73 + 3 + 513)

    def test_unknown(self) -> None:
        for script, witness in ((p2wsh(b"\1" * 32), b""), (b"\x6a\x01\x02", b""), (b"", b"")):
            with self.assertRaises(ValueError):
                input_weight(script, witness)

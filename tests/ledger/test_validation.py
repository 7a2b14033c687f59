"""Transactions by themselves and against their coins: one test a rule."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import COIN, Chain, account, data_output, key, owner
from timecoin.ledger import errors
from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.registry import Registry
from timecoin.ledger.validation import (
    NULL_OUTPOINT,
    check_inputs,
    check_transaction,
    is_final,
    minimum_fee,
)
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

_PARAMS = Parameters()
_SCRIPT = key("payee").script
_IN = TxInput(make_outpoint(b"\x01" * 32, 0))
_IN2 = TxInput(make_outpoint(b"\x01" * 32, 1))
_OUT = TxOutput(COIN, _SCRIPT)


def _tx(
    *outputs: TxOutput, inputs: tuple[TxInput, ...] = (_IN,), version: int = 2, lock_time: int = 0
) -> Transaction:
    return Transaction(version, inputs, outputs or (_OUT,), lock_time)


class AloneTests(SynchronousTestCase):
    def refuse(self, tx: Transaction, error: type[errors.TxInvalid], params: Parameters = _PARAMS) -> None:
        with self.assertRaises(error) as caught:
            check_transaction(params, tx)
        self.assertIs(type(caught.exception), error)

    def test_versions(self) -> None:
        check_transaction(_PARAMS, _tx(version=1))
        check_transaction(_PARAMS, _tx(version=2))
        self.refuse(_tx(version=0), errors.BadTxVersion)
        self.refuse(_tx(version=3), errors.BadTxVersion)

    def test_inputs_and_outputs_are_there(self) -> None:
        self.refuse(_tx(inputs=()), errors.NoInputs)
        self.refuse(Transaction(2, (_IN,), ()), errors.NoOutputs)

    def test_size_counts_the_witness(self) -> None:
        bare = _tx(inputs=(_IN._replace(witness=(b"",)),))
        filler = _PARAMS.max_tx_bytes - bare.size - 4
        fits = _tx(inputs=(_IN._replace(witness=(bytes(filler),)),))
        self.assertEqual(fits.size, _PARAMS.max_tx_bytes)
        check_transaction(_PARAMS, fits)
        self.refuse(_tx(inputs=(_IN._replace(witness=(bytes(filler + 1),)),)), errors.TxTooLarge)

    def test_one_outpoint_twice(self) -> None:
        check_transaction(_PARAMS, _tx(inputs=(_IN, _IN2)))
        self.refuse(_tx(inputs=(_IN, _IN2, _IN._replace(sequence=1))), errors.DuplicateInputs)

    def test_coinbase_and_null_input(self) -> None:
        null = TxInput(NULL_OUTPOINT, b"\x51\x51")
        self.refuse(_tx(inputs=(null,)), errors.LooseCoinbase)
        self.refuse(_tx(inputs=(_IN, null)), errors.NullInput)

    def test_script_sig(self) -> None:
        self.refuse(_tx(inputs=(_IN, _IN2._replace(script_sig=b"\x00"))), errors.ScriptSigNotEmpty)

    def test_values(self) -> None:
        check_transaction(_PARAMS, _tx(TxOutput(_PARAMS.max_money, _SCRIPT)))
        self.refuse(_tx(TxOutput(-1, _SCRIPT)), errors.OutputNegative)
        self.refuse(_tx(TxOutput(_PARAMS.max_money + 1, _SCRIPT)), errors.OutputTooLarge)
        both = _PARAMS.max_money // 2
        check_transaction(_PARAMS, _tx(TxOutput(both, _SCRIPT), TxOutput(both, _SCRIPT)))
        self.refuse(_tx(TxOutput(both, _SCRIPT), TxOutput(both + 1, _SCRIPT)), errors.OutputSumTooLarge)

    def test_dust(self) -> None:
        check_transaction(_PARAMS, _tx(TxOutput(_PARAMS.dust, _SCRIPT)))
        self.refuse(_tx(TxOutput(_PARAMS.dust - 1, _SCRIPT)), errors.Dust)

    def test_scripts(self) -> None:
        scripts = {
            "empty": b"",
            "P2PKH": b"\x76\xa9\x14" + bytes(20) + b"\x88\xac",
            "P2SH": b"\xa9\x14" + bytes(20) + b"\x87",
            "P2TR": b"\x51\x20" + bytes(32),
            "witness 0 of a wrong size": b"\x00\x15" + bytes(21),
            "anyone": b"\x51",
            "bare OP_RETURN": b"\x6a",
            "two pushes": b"\x6a\x01\xaa\x01\xaa",
            "not minimal": b"\x6a\x4c\x01\xaa",
            "521 bytes": b"\x6a\x4d\x09\x02" + bytes(521),
        }
        for name, script in scripts.items():
            with self.subTest(name):
                self.refuse(_tx(TxOutput(COIN, script)), errors.BadOutputScript)

    def test_data(self) -> None:
        check_transaction(_PARAMS, _tx(_OUT, data_output(bytes(520))))
        check_transaction(_PARAMS, _tx(data_output(b"alone")))
        self.refuse(_tx(data_output(b"a"), _OUT, data_output(b"b")), errors.MultipleOpReturn)
        self.refuse(_tx(data_output(b"a")._replace(value=_PARAMS.dust)), errors.OpReturnValue)


class AgainstCoinsTests(SynchronousTestCase):
    def check(self, tx: Transaction, *values: int, params: Parameters = _PARAMS) -> int:
        coins = [Coin(0, value, _SCRIPT) for value in values]
        return check_inputs(params, Registry(), 1, tx, coins)

    def test_fee(self) -> None:
        tx = _tx()
        least = minimum_fee(_PARAMS, tx)
        self.assertEqual(least, _PARAMS.min_fee_rate * -(-tx.weight // 4))
        self.assertEqual(self.check(tx, COIN + least), least)
        with self.assertRaises(errors.FeeTooLow):
            self.check(tx, COIN + least - 1)

    def test_vsize_is_rounded_up(self) -> None:
        sizes = set()
        for size in range(1, 5):
            tx = _tx(inputs=(_IN._replace(witness=(bytes(size),)),))
            sizes.add(tx.weight % 4)
            self.assertGreaterEqual(4 * minimum_fee(_PARAMS, tx), tx.weight * _PARAMS.min_fee_rate)
            self.assertLess(4 * minimum_fee(_PARAMS, tx), (tx.weight + 4) * _PARAMS.min_fee_rate)
        self.assertEqual(sizes, {0, 1, 2, 3})

    def test_outputs_exceed_inputs(self) -> None:
        with self.assertRaises(errors.OutputsExceedInputs):
            self.check(_tx(), COIN - 1)

    def test_sum_of_inputs(self) -> None:
        tx = _tx(inputs=(_IN, _IN2))
        self.assertEqual(self.check(tx, _PARAMS.max_money - 1, 1), _PARAMS.max_money - COIN)
        with self.assertRaises(errors.InputsOutOfRange):
            self.check(tx, _PARAMS.max_money, 1)

    def test_every_input_has_its_coin(self) -> None:
        with self.assertRaises(errors.MissingInputs):
            self.check(_tx(inputs=(_IN, _IN2)), COIN)

    def test_collateral_is_locked(self) -> None:
        chain = Chain()
        outpoint, coin = chain.coins_of(owner(0))[0]
        tx = Transaction(2, (TxInput(outpoint),), (_OUT,))
        with self.assertRaises(errors.CollateralLocked):
            check_inputs(chain.params, chain.state.registry, chain.state.epoch, tx, [coin])
        free, coin = chain.coins_of(account(0))[0]
        tx = Transaction(2, (TxInput(free),), (_OUT,))
        self.assertEqual(check_inputs(chain.params, chain.state.registry, 1, tx, [coin]), coin.value - COIN)


class FinalityRuleTests(SynchronousTestCase):
    """nLockTime, a rule for voting only."""

    def lock(self, lock_time: int, sequence: int = 0) -> Transaction:
        return _tx(inputs=(_IN._replace(sequence=sequence),), lock_time=lock_time)

    def test_heights(self) -> None:
        self.assertTrue(is_final(self.lock(0), 0, 0))
        self.assertTrue(is_final(self.lock(7), 7, 0))
        self.assertFalse(is_final(self.lock(8), 7, 2**40))
        self.assertFalse(is_final(self.lock(499_999_999), 7, 2**40))

    def test_times(self) -> None:
        self.assertTrue(is_final(self.lock(500_000_000), 0, 500_000_000))
        self.assertFalse(is_final(self.lock(500_000_001), 2**31, 500_000_000))

    def test_final_sequences(self) -> None:
        self.assertTrue(is_final(self.lock(2**32 - 1, 0xFFFFFFFF), 0, 0))
        mixed = _tx(inputs=(_IN, _IN2._replace(sequence=0xFFFFFFFE)), lock_time=9)
        self.assertFalse(is_final(mixed, 8, 0))


class ErrorTests(SynchronousTestCase):
    def test_codes_are_unique(self) -> None:
        for base in (errors.TxInvalid, errors.BlockInvalid):
            codes = [each.code for each in (base, *base.__subclasses__())]
            self.assertEqual(len(codes), len(set(codes)))

    def test_text(self) -> None:
        self.assertEqual(str(errors.Dust()), "dust")
        self.assertEqual(str(errors.Dust("3 < 4")), "dust: 3 < 4")
        self.assertEqual(
            str(errors.BadTransaction("ab", errors.NoInputs())), "bad-txns-invalid: ab: bad-txns-vin-empty"
        )

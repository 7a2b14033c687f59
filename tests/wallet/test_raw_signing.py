"""Signing and merging raw transactions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.psbt_cases import BACKEND, COIN, FIRST, VAULT, VAULT_SCRIPT, coins_of, key_script, ready, secrets
from timecoin.ledger.validation import verify_transaction
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.raw_signing import NO_COIN, NO_KEY, TOO_FEW, Problem, Signed, merge_raw, sign_raw

TX = ready().tx
COINS = {FIRST.outpoint(n): FIRST.outputs[n] for n in (0, 1)}
SCRIPTS = {VAULT_SCRIPT: VAULT}


def signed(*numbers: int, tx: Transaction = TX) -> Signed:
    return sign_raw(tx, COINS, SCRIPTS, secrets(*numbers), BACKEND)


class RawSigningTests(SynchronousTestCase):
    def test_complete(self) -> None:
        tx, problems = signed(0, 1, 3)
        self.assertEqual(problems, ())
        verify_transaction(BACKEND, tx, coins_of(ready()))

    def test_one_after_the_other_without_knowing_the_script(self) -> None:
        first, problems = signed(0, 3)
        self.assertEqual(problems, (Problem(1, TOO_FEW),))
        self.assertEqual([len(item) > 0 for item in first.inputs[1].witness], [False, True, False, True])
        second, problems = sign_raw(first, COINS, {}, secrets(1), BACKEND)
        self.assertEqual(problems, ())
        verify_transaction(BACKEND, second, coins_of(ready()))

    def test_merged(self) -> None:
        parts = [signed(0).tx, signed(1).tx, signed(2).tx]
        for versions in (parts, parts[::-1]):
            tx, problems = merge_raw(versions, COINS, {}, {}, BACKEND)
            self.assertEqual(problems, ())
            verify_transaction(BACKEND, tx, coins_of(ready()))

    def test_what_is_lacking_is_told(self) -> None:
        self.assertEqual(signed(9).problems, (Problem(0, NO_KEY), Problem(1, NO_KEY)))
        tx, problems = sign_raw(TX, {}, {}, secrets(0), BACKEND)
        self.assertEqual((tx, problems), (TX, (Problem(0, NO_COIN), Problem(1, NO_COIN))))
        self.assertEqual(sign_raw(TX, COINS, {}, secrets(0, 1, 2), BACKEND).problems, (Problem(1, NO_KEY),))
        wrong = sign_raw(TX, COINS, {VAULT_SCRIPT: VAULT[:-1]}, secrets(0, 1, 2), BACKEND)
        self.assertEqual(wrong.problems, (Problem(1, "the witness script is not the coin's"),))

    def test_a_signature_for_another_amount_is_dropped(self) -> None:
        lied = dict(COINS) | {FIRST.outpoint(0): TxOutput(9 * COIN, key_script(0))}
        tx, problems = sign_raw(TX, lied, SCRIPTS, secrets(0), BACKEND)
        self.assertEqual([each.place for each in problems], [1])
        self.assertEqual(sign_raw(tx, COINS, SCRIPTS, {}, BACKEND).problems[0], Problem(0, NO_KEY))

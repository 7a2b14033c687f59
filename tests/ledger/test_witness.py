"""Witnesses: what is refused before any curve arithmetic, and what only the signatures decide."""

from __future__ import annotations

from itertools import combinations, permutations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, COIN, Key, Vault, key, sign
from timecoin.ledger import errors
from timecoin.ledger.coins import Coin
from timecoin.ledger.witness import MultisigCheck, signature_checks, verify_transaction
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import op_return, p2wpkh, p2wpkh_script_code, p2wsh
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import check_all, get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

_ALICE = key("alice")
_KEYS = tuple(key(f"cosigner {number}") for number in range(15))
_BARE = Transaction(2, (TxInput(make_outpoint(b"\x01" * 32, 0)),), (TxOutput(COIN, key("payee").script),), 0)


def _with(*witness: bytes) -> Transaction:
    return Transaction(2, (_BARE.inputs[0]._replace(witness=witness),), _BARE.outputs, 0)


def _coin(script: bytes, value: int = 2 * COIN) -> Coin:
    return Coin(0, value, script)


class WitnessCase(SynchronousTestCase):
    def refuse(self, coin: Coin, error: type[errors.TxInvalid], *witness: bytes) -> None:
        with self.assertRaises(error) as caught:
            verify_transaction(BACKEND, _with(*witness), [coin])
        self.assertIs(type(caught.exception), error)


class KeyTests(WitnessCase):
    coin = _coin(_ALICE.script)

    def good(self) -> tuple[bytes, bytes]:
        return _ALICE.witness(Bip143(_BARE), 0, self.coin.value)

    def test_good(self) -> None:
        verify_transaction(BACKEND, _with(*self.good()), [self.coin])
        verify_transaction(get_backend("ecdsa"), _with(*self.good()), [self.coin])

    def test_bip143_vector(self) -> None:
        """BIP 143, "Native P2WPKH": digest and signature of the second input; the first is P2PK."""
        raw = bytes.fromhex(
            "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffff"
            "ef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206"
            "000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42db"
            "ee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
        )
        bare = Transaction.decode(raw)
        public = bytes.fromhex("025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357")
        signature = bytes.fromhex(
            "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c45183315"
            "61406f90300e8f3358f51928d43c212a8caed02de67eebee01"
        )
        tx = Transaction(
            bare.version,
            (bare.inputs[0], bare.inputs[1]._replace(witness=(signature, public))),
            bare.outputs,
            bare.lock_time,
        )
        script = p2wpkh(hash160(public))
        with self.assertRaises(errors.WitnessMalformed):
            signature_checks(tx, [_coin(_ALICE.script), _coin(script, 6 * COIN)])
        digest = Bip143(tx).digest(1, p2wpkh_script_code(script[2:]), 6 * COIN)
        self.assertEqual(digest.hex(), "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670")
        self.assertTrue(BACKEND.verify(public, digest, signature[:-1]))

    def test_item_counts(self) -> None:
        signature, public = self.good()
        self.refuse(self.coin, errors.WitnessMalformed)
        self.refuse(self.coin, errors.WitnessMalformed, signature)
        self.refuse(self.coin, errors.WitnessMalformed, signature, public, b"")

    def test_another_key(self) -> None:
        signature, _ = self.good()
        self.refuse(self.coin, errors.WitnessKeyMismatch, signature, key("bob").public)

    def test_key_form(self) -> None:
        signature, public = self.good()
        for bad in (b"", public[:-1], b"\x04" + public[1:], b"\x04" + bytes(64), public + b"\x00"):
            self.refuse(_coin(p2wpkh(hash160(bad))), errors.WitnessKeyType, signature, bad)

    def test_signature_form(self) -> None:
        signature, public = self.good()
        self.refuse(self.coin, errors.SignatureHashType, signature[:-1] + b"\x03", public)
        self.refuse(self.coin, errors.SignatureEncoding, signature[1:], public)

    def test_what_is_signed(self) -> None:
        witness = self.good()
        self.refuse(_coin(_ALICE.script, 2 * COIN + 1), errors.SignatureInvalid, *witness)
        other = Transaction(1, _with(*witness).inputs, _BARE.outputs, 0)
        with self.assertRaises(errors.SignatureInvalid):
            verify_transaction(BACKEND, other, [self.coin])

    def test_off_curve_key_never_signs(self) -> None:
        signature, _ = self.good()
        bad = b"\x02" + b"\xff" * 32
        self.refuse(_coin(p2wpkh(hash160(bad))), errors.SignatureInvalid, signature, bad)

    def test_nothing_spends_data(self) -> None:
        self.refuse(_coin(op_return(b"data"), 0), errors.UnspendableCoin, b"", b"")

    def test_every_input_has_its_coin(self) -> None:
        with self.assertRaises(errors.MissingInputs):
            signature_checks(_BARE, [])

    def test_inputs_sign_for_themselves(self) -> None:
        inputs = tuple(TxInput(make_outpoint(b"\x01" * 32, n)) for n in range(3))
        keys = [key(f"input {n}") for n in range(3)]
        coins = [_coin(each.script) for each in keys]
        tx = sign(Transaction(2, inputs, _BARE.outputs, 0), coins, keys)
        verify_transaction(BACKEND, tx, coins)
        swapped = (tx.inputs[0], tx.inputs[1]._replace(witness=tx.inputs[2].witness), tx.inputs[2])
        with self.assertRaises(errors.WitnessKeyMismatch):
            verify_transaction(BACKEND, Transaction(2, swapped, tx.outputs, 0), coins)


class MultisigTests(WitnessCase):
    vault = Vault(2, _KEYS[:3])
    coin = _coin(vault.script)

    def witness(self, *signers: Key) -> tuple[bytes, ...]:
        return self.vault.witness(Bip143(_BARE), 0, self.coin.value, signers)

    def test_any_two_in_key_order(self) -> None:
        for signers in permutations(self.vault.keys, 2):
            tx = _with(*self.witness(*signers))
            holds = check_all(BACKEND, signature_checks(tx, [self.coin]))
            self.assertEqual(holds, signers in tuple(combinations(self.vault.keys, 2)))

    def test_one_signature_twice(self) -> None:
        first = self.vault.keys[0]
        self.refuse(self.coin, errors.SignatureInvalid, *self.witness(first, first))

    def test_one_stranger(self) -> None:
        self.refuse(self.coin, errors.SignatureInvalid, *self.witness(self.vault.keys[0], _ALICE))

    def test_signature_counts(self) -> None:
        self.refuse(self.coin, errors.WitnessMalformed, *self.witness(*self.vault.keys))
        self.refuse(self.coin, errors.WitnessMalformed, *self.witness(self.vault.keys[0]))

    def test_dummy(self) -> None:
        good = self.witness(*self.vault.keys[:2])
        self.refuse(self.coin, errors.NullDummy, b"\x01", *good[1:])
        self.refuse(self.coin, errors.WitnessMalformed, *good[1:])

    def test_empty_witness(self) -> None:
        self.refuse(self.coin, errors.WitnessMalformed)

    def test_another_script(self) -> None:
        other = Vault(1, _KEYS[:3])
        good = self.witness(*self.vault.keys[:2])
        self.refuse(self.coin, errors.WitnessKeyMismatch, *good[:-1], other.witness_script)

    def test_script_that_is_no_multisig(self) -> None:
        for script in (b"\x51", b"\x21" + _ALICE.public + b"\xac", self.vault.witness_script + b"\x51"):
            self.refuse(_coin(p2wsh(sha256(script))), errors.WitnessScriptInvalid, b"", script)

    def test_signature_form(self) -> None:
        good = self.witness(*self.vault.keys[:2])
        self.refuse(self.coin, errors.SignatureHashType, b"", b"", *good[2:])
        self.refuse(self.coin, errors.SignatureEncoding, b"", good[1][1:], *good[2:])

    def test_all_sizes(self) -> None:
        for required, total in ((1, 1), (1, 15), (15, 15), (8, 15), (3, 3)):
            vault = Vault(required, _KEYS[:total])
            tx = _with(*vault.witness(Bip143(_BARE), 0, COIN, vault.keys[total - required :]))
            checks = signature_checks(tx, [_coin(vault.script, COIN)])
            is_open = required < total
            self.assertEqual(len(checks), 1 if is_open else required)
            self.assertEqual(isinstance(checks[0], MultisigCheck), is_open)
            self.assertTrue(check_all(BACKEND, checks))
            self.assertFalse(check_all(BACKEND, signature_checks(tx, [_coin(vault.script, COIN + 1)])))

    def test_stops_when_too_few_keys_are_left(self) -> None:
        checks = signature_checks(_with(*self.witness(_ALICE, _ALICE)), [self.coin])
        counter = _Counting()
        self.assertFalse(check_all(counter, checks))
        self.assertEqual(counter.calls, 2)


class _Counting:
    """A backend that finds nothing valid and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        self.calls += 1
        return False

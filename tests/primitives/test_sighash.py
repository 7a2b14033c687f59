"""BIP 143's own examples: digests, and the signatures that RFC 6979 makes of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import script
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.sighash import Bip143, join_signature, split_signature
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput

from . import bip143


class Bip143Tests(SynchronousTestCase):
    def test_common_hashes(self) -> None:
        hashes = Bip143(Transaction.decode(bip143.NATIVE_UNSIGNED))
        self.assertEqual(
            hashes.hash_prevouts.hex(), "96b827c8483d4e9b96712b6713a7b68d6e8003a781feba36c31143470b4efd37"
        )
        self.assertEqual(
            hashes.hash_sequence.hex(), "52b0a642eea2fb7ae638c36f6252b6750293dbe574a806984b8e4d8548339a3b"
        )
        self.assertEqual(
            hashes.hash_outputs.hex(), "863ef3e1a92afbfdb97f31ad0fc7683ee943e9abcf2501590ff8f6551f47e5e5"
        )

    def test_native_p2wpkh(self) -> None:
        self.assertEqual(script.p2wpkh(hash160(bip143.NATIVE_KEY)), bip143.NATIVE_SCRIPT)
        code = script.p2wpkh_script_code(hash160(bip143.NATIVE_KEY))
        for raw in (bip143.NATIVE_UNSIGNED, bip143.NATIVE_SIGNED):
            digest = Bip143(Transaction.decode(raw)).digest(1, code, bip143.NATIVE_VALUE)
            self.assertEqual(digest, bip143.NATIVE_SIGHASH)

    def test_nested_p2wpkh(self) -> None:
        code = script.p2wpkh_script_code(hash160(bip143.NESTED_KEY))
        for raw in (bip143.NESTED_UNSIGNED, bip143.NESTED_SIGNED):
            digest = Bip143(Transaction.decode(raw)).digest(0, code, bip143.NESTED_VALUE)
            self.assertEqual(digest, bip143.NESTED_SIGHASH)

    def test_p2wsh_multisig(self) -> None:
        parsed = script.parse_multisig(bip143.MULTISIG_SCRIPT)
        assert parsed is not None
        m, keys = parsed
        self.assertEqual((m, len(keys), keys[0]), (6, 6, bip143.MULTISIG_KEY))
        self.assertEqual(sha256(bip143.MULTISIG_SCRIPT), bip143.MULTISIG_PROGRAM)
        hashes = Bip143(Transaction.decode(bip143.MULTISIG_UNSIGNED))
        digest = hashes.digest(0, bip143.MULTISIG_SCRIPT, bip143.MULTISIG_VALUE)
        self.assertEqual(digest, bip143.MULTISIG_SIGHASH)

    def test_the_examples_signatures(self) -> None:
        for name in ("coincurve", "ecdsa"):
            backend = get_backend(name)
            for secret, key, digest, item in (
                (bip143.NATIVE_SECRET, bip143.NATIVE_KEY, bip143.NATIVE_SIGHASH, bip143.NATIVE_SIGNATURE),
                (bip143.NESTED_SECRET, bip143.NESTED_KEY, bip143.NESTED_SIGHASH, bip143.NESTED_SIGNATURE),
                (
                    bip143.MULTISIG_SECRET,
                    bip143.MULTISIG_KEY,
                    bip143.MULTISIG_SIGHASH,
                    bip143.MULTISIG_SIGNATURE,
                ),
            ):
                der = split_signature(item)
                assert der is not None
                self.assertEqual(backend.public_key(secret), key)
                self.assertTrue(backend.verify(key, digest, der))
                self.assertEqual(join_signature(backend.sign(secret, digest)), item)

    def test_every_part_is_signed(self) -> None:
        spent = TxInput(b"\x01" * 36, sequence=7)
        other = TxInput(b"\x02" * 36, sequence=8)
        output = TxOutput(5, script.p2wpkh(bytes(20)))
        base = Transaction(2, (spent, other), (output,), 9)
        variants = [
            Transaction(1, (spent, other), (output,), 9),
            Transaction(2, (spent._replace(outpoint=b"\x03" * 36), other), (output,), 9),
            Transaction(2, (spent._replace(sequence=6), other), (output,), 9),
            Transaction(2, (spent, other._replace(outpoint=b"\x03" * 36)), (output,), 9),
            Transaction(2, (spent, other._replace(sequence=6)), (output,), 9),
            Transaction(2, (spent, other), (output._replace(value=6),), 9),
            Transaction(2, (spent, other), (output, output), 9),
            Transaction(2, (spent, other), (output,), 10),
        ]
        digests = {Bip143(variant).digest(0, b"code", 1) for variant in (base, *variants)}
        digests |= {
            Bip143(base).digest(1, b"code", 1),
            Bip143(base).digest(0, b"cod", 1),
            Bip143(base).digest(0, b"code", 2),
        }
        self.assertEqual(len(digests), len(variants) + 4)

    def test_witness_and_script_sig_are_not_signed(self) -> None:
        output = TxOutput(5, script.p2wpkh(bytes(20)))
        plain = Transaction(2, (TxInput(b"\x01" * 36),), (output,))
        filled = Transaction(2, (TxInput(b"\x01" * 36, b"sig", witness=(b"w",)),), (output,))
        self.assertEqual(Bip143(plain).digest(0, b"", 0), Bip143(filled).digest(0, b"", 0))

    def test_no_such_input(self) -> None:
        hashes = Bip143(Transaction.decode(bip143.NATIVE_UNSIGNED))
        for index in (-1, 2):
            with self.assertRaises(IndexError):
                hashes.digest(index, b"", 0)


class SignatureItemTests(SynchronousTestCase):
    def test_only_sighash_all(self) -> None:
        self.assertEqual(split_signature(b"\x30\x01"), b"\x30")
        self.assertEqual(split_signature(join_signature(b"der")), b"der")
        self.assertIsNone(split_signature(b""))
        for hash_type in (*range(1), *range(2, 256)):
            self.assertIsNone(split_signature(b"der" + bytes([hash_type])), hash_type)

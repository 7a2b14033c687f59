"""Transactions: BIP 143's examples as BIP 144 facts, and that only canonical bytes decode."""

from __future__ import annotations

import dataclasses
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import script
from timecoin.primitives.hashes import display, sha256d
from timecoin.primitives.transaction import (
    NULL_OUTPOINT,
    MalformedTransaction,
    Transaction,
    TxInput,
    TxOutput,
    make_outpoint,
    split_outpoint,
)

from . import bip143

# Bitcoin's block 0: its coinbase.
_GENESIS_COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
    "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420"
    "666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61"
    "deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)

_PAYMENT = Transaction(
    2,
    (TxInput(b"\x11" * 36, witness=(b"\x30" * 71 + b"\x01", b"\x02" * 33)),),
    (TxOutput(1, script.p2wpkh(bytes(20))), TxOutput(2, script.p2wpkh(b"\x01" * 20))),
)

_inputs = st.builds(
    TxInput,
    st.binary(min_size=36, max_size=36),
    st.binary(max_size=4),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.binary(max_size=4), max_size=3).map(tuple),
)
_outputs = st.builds(TxOutput, st.integers(-(1 << 63), (1 << 63) - 1), st.binary(max_size=4))
_transactions = st.builds(
    Transaction,
    st.integers(0, 0xFFFFFFFF),
    st.lists(_inputs, min_size=1, max_size=3).map(tuple),
    st.lists(_outputs, max_size=3).map(tuple),
    st.integers(0, 0xFFFFFFFF),
)


class FactTests(SynchronousTestCase):
    def test_bip_143_native_example(self) -> None:
        unsigned = Transaction.decode(bip143.NATIVE_UNSIGNED)
        signed = Transaction.decode(bip143.NATIVE_SIGNED)
        self.assertEqual((signed.version, signed.lock_time), (1, 0x11))
        self.assertEqual([spent.sequence for spent in signed.inputs], [0xFFFFFFEE, 0xFFFFFFFF])
        self.assertEqual([output.value for output in signed.outputs], [112_340_000, 223_450_000])
        self.assertEqual(signed.inputs[0].witness, ())
        self.assertEqual(signed.inputs[1].witness, (bip143.NATIVE_SIGNATURE, bip143.NATIVE_KEY))
        self.assertEqual(len(signed.inputs[0].script_sig), 0x49)
        self.assertEqual(signed.raw, bip143.NATIVE_SIGNED)
        self.assertEqual(unsigned.raw, unsigned.stripped)
        self.assertEqual(unsigned.txid, unsigned.wtxid)
        self.assertEqual(
            display(signed.txid), "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609"
        )

    def test_nested_example(self) -> None:
        signed = Transaction.decode(bip143.NESTED_SIGNED)
        self.assertEqual(
            display(signed.txid), "ef48d9d0f595052e0f8cdcf825f7a5e50b6a388a81f206f3f4846e5ecd7a0c23"
        )
        self.assertNotEqual(signed.txid, signed.wtxid)

    def test_genesis_coinbase(self) -> None:
        coinbase = Transaction.decode(_GENESIS_COINBASE)
        self.assertTrue(coinbase.is_coinbase)
        self.assertEqual(
            display(coinbase.txid), "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
        )
        self.assertEqual(coinbase.wtxid, coinbase.txid)
        self.assertEqual(coinbase.weight, 4 * len(_GENESIS_COINBASE))

    def test_weight(self) -> None:
        # BIP 141: weight = 3 × stripped size + total size; witness bytes count once.
        witness = 1 + 1 + 72 + 1 + 33
        self.assertEqual(_PAYMENT.size, len(_PAYMENT.stripped) + 2 + witness)
        self.assertEqual(_PAYMENT.weight, 4 * len(_PAYMENT.stripped) + 2 + witness)
        self.assertEqual(_PAYMENT.vsize, (_PAYMENT.weight + 3) // 4)
        self.assertEqual(_PAYMENT.vsize, 141)


class MalformedTests(SynchronousTestCase):
    def _refused(self, data: bytes, why: str = "") -> None:
        with self.assertRaises(MalformedTransaction, msg=f"{why} {data.hex()}"):
            Transaction.decode(data)

    def test_every_truncation(self) -> None:
        for raw in (bip143.NATIVE_SIGNED, bip143.NATIVE_UNSIGNED, _PAYMENT.raw):
            for end in range(len(raw)):
                self._refused(raw[:end])

    def test_trailing_bytes(self) -> None:
        for raw in (bip143.NATIVE_SIGNED, bip143.NATIVE_UNSIGNED):
            for rest in (b"\x00", b"\x01", bytes(40)):
                self._refused(raw + rest)

    def test_superfluous_witness_form(self) -> None:
        body = _PAYMENT.stripped
        self._refused(body[:4] + b"\x00\x01" + body[4:-4] + b"\x00" + body[-4:], "no input has a witness")

    def test_flags(self) -> None:
        raw = _PAYMENT.raw
        for flag in (0, *range(2, 256)):
            self._refused(raw[:5] + bytes([flag]) + raw[6:], "flag")

    def test_no_inputs(self) -> None:
        self._refused(bytes.fromhex("02000000" "00" "00" "00000000"))
        self._refused(bytes.fromhex("02000000" "00" "01" "0000000000000000" "00" "00000000"))
        self._refused(bytes.fromhex("02000000" "0001" "00" "00" "00000000"))

    def test_longer_compact_sizes(self) -> None:
        raw = _PAYMENT.raw
        head, outpoint, rest = raw[:6], raw[7:43], raw[43:]
        witness_at = len(raw) - 4 - (1 + 1 + 72 + 1 + 33)
        for changed in (
            head + b"\xfd\x01\x00" + outpoint + rest,
            head + b"\xfe\x01\x00\x00\x00" + outpoint + rest,
            head + b"\x01" + outpoint + b"\xfd\x00\x00" + rest[1:],
            raw[:48] + b"\xfd\x02\x00" + raw[49:],
            raw[:57] + b"\xfd\x16\x00" + raw[58:],
            raw[:witness_at] + b"\xfd\x02\x00" + raw[witness_at + 1 :],
            raw[: witness_at + 1] + b"\xfd\x48\x00" + raw[witness_at + 2 :],
        ):
            self._refused(changed)

    def test_the_positions_changed_above_are_sizes(self) -> None:
        raw = _PAYMENT.raw
        witness_at = len(raw) - 4 - (1 + 1 + 72 + 1 + 33)
        sizes = [raw[6], raw[43], raw[48], raw[57], raw[witness_at], raw[witness_at + 1]]
        self.assertEqual(sizes, [1, 0, 2, 22, 2, 72])

    def test_huge_counts_are_refused_at_once(self) -> None:
        most = b"\xff" * 9
        for changed in (
            b"\x02\x00\x00\x00" + most,
            b"\x02\x00\x00\x00\x00\x01" + most,
            b"\x02\x00\x00\x00\x01" + bytes(36) + most,
            b"\x02\x00\x00\x00\x01" + bytes(36) + b"\x00" + bytes(4) + most,
            b"\x02\x00\x00\x00\x01" + bytes(36) + b"\x00" + bytes(4) + b"\x01" + bytes(8) + most,
            _PAYMENT.raw[:110] + most,
            b"\x02\x00\x00\x00\xfe\xff\xff\xff\x7f" + bytes(1000),
        ):
            self._refused(changed)

    @given(st.binary(max_size=120))
    @settings(deadline=None, derandomize=True, max_examples=100, database=None)
    def test_any_bytes_decode_or_are_malformed(self, data: bytes) -> None:
        for raw in (data, b"\x02\x00\x00\x00\x01" + data, b"\x02\x00\x00\x00\x00\x01\x01" + data):
            try:
                decoded = Transaction.decode(raw)
            except MalformedTransaction:
                continue
            self.assertEqual(dataclasses.replace(decoded).raw, raw)

    @given(_transactions, st.integers(0, 2000), st.integers(1, 255))
    @settings(deadline=None, derandomize=True, max_examples=150, database=None)
    def test_one_changed_byte_is_another_transaction(self, tx: Transaction, at: int, change: int) -> None:
        changed = bytearray(tx.raw)
        changed[at % len(changed)] ^= change
        try:
            decoded = Transaction.decode(bytes(changed))
        except MalformedTransaction:
            return
        self.assertEqual(dataclasses.replace(decoded).raw, bytes(changed))
        self.assertNotEqual(decoded, tx)


class ValueTests(SynchronousTestCase):
    @given(_transactions)
    @settings(deadline=None, derandomize=True, max_examples=100, database=None)
    def test_round_trip(self, tx: Transaction) -> None:
        decoded = Transaction.decode(tx.raw)
        self.assertEqual(decoded.inputs, tx.inputs)
        self.assertEqual(decoded.outputs, tx.outputs)
        self.assertEqual((decoded.version, decoded.lock_time), (tx.version, tx.lock_time))
        self.assertEqual(decoded, tx)
        self.assertEqual(hash(decoded), hash(tx))
        self.assertEqual((decoded.txid, decoded.wtxid), (sha256d(tx.stripped), sha256d(tx.raw)))
        self.assertEqual(decoded.weight, 3 * len(tx.stripped) + len(tx.raw))

    def test_from_the_middle_of_data(self) -> None:
        data = b"\xaa" + _PAYMENT.raw + bip143.NATIVE_UNSIGNED + b"\xbb"
        first, end = Transaction.decode_from(data, 1)
        second, last = Transaction.decode_from(data, end)
        self.assertEqual((first.raw, second.raw), (_PAYMENT.raw, bip143.NATIVE_UNSIGNED))
        self.assertEqual(first.txid, _PAYMENT.txid)
        self.assertEqual(last, len(data) - 1)

    def test_immutable(self) -> None:
        for name in ("version", "inputs", "outputs", "lock_time", "_txid"):
            with self.assertRaises(AttributeError):
                setattr(_PAYMENT, name, 0)
        with self.assertRaises((AttributeError, TypeError)):
            _PAYMENT.extra = 1  # type: ignore[attr-defined]

    def test_a_changed_copy_has_its_own_ids(self) -> None:
        decoded = Transaction.decode(_PAYMENT.raw)
        later = dataclasses.replace(decoded, lock_time=5)
        self.assertNotEqual(later.txid, decoded.txid)
        self.assertNotEqual(later, decoded)
        self.assertEqual(Transaction.decode(later.raw).lock_time, 5)

    def test_pickles(self) -> None:
        copy = pickle.loads(pickle.dumps(_PAYMENT))
        self.assertEqual((copy, copy.txid), (_PAYMENT, _PAYMENT.txid))

    def test_txid_ignores_the_witness(self) -> None:
        spent = _PAYMENT.inputs[0]
        bare = dataclasses.replace(_PAYMENT, inputs=(spent._replace(witness=()),))
        self.assertEqual(bare.txid, _PAYMENT.txid)
        self.assertEqual(bare.wtxid, bare.txid)
        self.assertNotEqual(bare.wtxid, _PAYMENT.wtxid)
        self.assertFalse(bare.has_witness)

    def test_an_empty_item_is_a_witness(self) -> None:
        spent = _PAYMENT.inputs[0]
        tx = dataclasses.replace(_PAYMENT, inputs=(spent._replace(witness=(b"",)),))
        self.assertEqual(Transaction.decode(tx.raw).inputs[0].witness, (b"",))

    def test_fields_that_do_not_fit(self) -> None:
        spent, output = _PAYMENT.inputs[0], _PAYMENT.outputs[0]
        for changed in (
            dataclasses.replace(_PAYMENT, version=1 << 32),
            dataclasses.replace(_PAYMENT, lock_time=-1),
            dataclasses.replace(_PAYMENT, inputs=(spent._replace(outpoint=bytes(35)),)),
            dataclasses.replace(_PAYMENT, inputs=(spent._replace(sequence=1 << 32),)),
            dataclasses.replace(_PAYMENT, outputs=(output._replace(value=1 << 63),)),
        ):
            with self.assertRaises(ValueError):
                changed.raw  # noqa: B018

    def test_is_coinbase(self) -> None:
        null = TxInput(NULL_OUTPOINT)
        self.assertTrue(Transaction(2, (null,), ()).is_coinbase)
        self.assertFalse(Transaction(2, (null, null), ()).is_coinbase)
        self.assertFalse(_PAYMENT.is_coinbase)


class OutpointTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        outpoint = make_outpoint(b"\x01" * 32, 0x01020304)
        self.assertEqual(outpoint, b"\x01" * 32 + b"\x04\x03\x02\x01")
        self.assertEqual(split_outpoint(outpoint), (b"\x01" * 32, 0x01020304))
        self.assertEqual(split_outpoint(_PAYMENT.outpoint(1)), (_PAYMENT.txid, 1))
        self.assertEqual(_PAYMENT.outpoints(), (b"\x11" * 36,))

    def test_refused(self) -> None:
        for txid, index in ((bytes(31), 0), (bytes(32), -1), (bytes(32), 1 << 32)):
            with self.assertRaises(ValueError):
                make_outpoint(txid, index)
        with self.assertRaises(ValueError):
            split_outpoint(bytes(35))

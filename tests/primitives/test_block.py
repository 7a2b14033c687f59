"""Headers, commits and blocks: widths and positions of protocol.md section 2, canonical decoding."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import script
from timecoin.primitives.block import EMPTY_COMMIT, HEADER_SIZE, Block, Commit, Header, evidence_hash
from timecoin.primitives.codec import DecodeError, NonCanonical, Truncated
from timecoin.primitives.hashes import ZERO, sha256d
from timecoin.primitives.transaction import MalformedTransaction, Transaction, TxInput, TxOutput


def _fill(number: int) -> bytes:
    return bytes([number]) * 32


_HEADER = Header(
    version=1,
    previous=_fill(0xA1),
    tx_root=_fill(0xA2),
    slot_time=0x0102030405060708,
    tx_count=0x11121314,
    chain_id=_fill(0xA3),
    height=0x21222324,
    epoch=0x31323334,
    closing=True,
    wtx_root=_fill(0xA4),
    last_commit_hash=_fill(0xA5),
    evidence_hash=_fill(0xA6),
    set_hash=_fill(0xA7),
    next_set_hash=_fill(0xA8),
    state_hash=_fill(0xA9),
    utxo_commitment=_fill(0xAA),
    proposer_index=0x4142,
    round=0x51525354,
)
# Field by field as protocol.md lists them.
_HEADER_BYTES = bytes.fromhex(
    "01000000" + "a1" * 32 + "a2" * 32 + "0807060504030201" + "14131211"
    "" + "a3" * 32 + "24232221" + "34333231" + "01" + "a4" * 32 + "a5" * 32 + "a6" * 32
    + "a7" * 32 + "a8" * 32 + "a9" * 32 + "aa" * 32 + "4241" + "54535251"
)  # fmt: skip
_COMMIT = Commit(7, 2, _fill(9), ((0, b"\x01" * 64), (3, b"\x02" * 64), (0xFFFF, b"\x03" * 64)))
_COINBASE = Transaction(2, (TxInput(ZERO + b"\xff" * 4, b"\x04"),), (TxOutput(0, script.op_return(b"")),))
_PAYMENT = Transaction(
    2, (TxInput(b"\x01" * 36, witness=(b"s", b"k")),), (TxOutput(5, script.p2wpkh(bytes(20))),)
)
_BLOCK = Block(_HEADER, (_COINBASE, _PAYMENT), _COMMIT, (b"first", b""))


class HeaderTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        self.assertEqual(HEADER_SIZE, 351)
        self.assertEqual(_HEADER.encode(), _HEADER_BYTES)
        self.assertEqual(len(_HEADER_BYTES), 351)
        self.assertEqual(Header.decode(_HEADER_BYTES), _HEADER)
        self.assertEqual(_HEADER.hash, sha256d(_HEADER_BYTES))
        self.assertEqual(Header.decode(_HEADER_BYTES).hash, _HEADER.hash)

    def test_the_first_80_bytes_stand_where_bitcoins_do(self) -> None:
        self.assertEqual(_HEADER_BYTES[4:36], _HEADER.previous)
        self.assertEqual(_HEADER_BYTES[36:68], _HEADER.tx_root)
        self.assertEqual(int.from_bytes(_HEADER_BYTES[68:76], "little"), _HEADER.slot_time)
        self.assertEqual(int.from_bytes(_HEADER_BYTES[76:80], "little"), _HEADER.tx_count)

    def test_flags(self) -> None:
        at = 80 + 32 + 4 + 4
        interim = dataclasses.replace(_HEADER, closing=False)
        self.assertEqual(interim.encode()[at], 0)
        self.assertIs(Header.decode(interim.encode()).closing, False)
        self.assertIs(Header.decode(_HEADER_BYTES).closing, True)
        for flags in range(2, 256):
            with self.assertRaises(NonCanonical):
                Header.decode(_HEADER_BYTES[:at] + bytes([flags]) + _HEADER_BYTES[at + 1 :])

    def test_lengths(self) -> None:
        with self.assertRaises(Truncated):
            Header.decode(_HEADER_BYTES[:-1])
        with self.assertRaises(NonCanonical):
            Header.decode(_HEADER_BYTES + b"\x00")

    def test_a_changed_copy_has_its_own_hash(self) -> None:
        before = _HEADER.hash
        for field in dataclasses.fields(Header):
            if not field.init:
                continue
            value = getattr(_HEADER, field.name)
            changed = ZERO if isinstance(value, bytes) else value + 1
            if field.name == "closing":
                changed = not value
            other = dataclasses.replace(_HEADER, **{field.name: changed})
            self.assertNotEqual(other.hash, before, field.name)
            self.assertNotEqual(other, _HEADER)
            self.assertEqual(Header.decode(other.encode()), other)
        self.assertEqual(_HEADER.hash, before)

    def test_fields_that_do_not_fit(self) -> None:
        for changes in (
            {"previous": bytes(31)},
            {"utxo_commitment": bytes(33)},
            {"height": 1 << 32},
            {"height": -1},
            {"proposer_index": 1 << 16},
            {"slot_time": 1 << 64},
        ):
            with self.assertRaises(ValueError, msg=str(changes)):
                dataclasses.replace(_HEADER, **changes).encode()

    def test_immutable(self) -> None:
        with self.assertRaises(AttributeError):
            _HEADER.height = 1  # type: ignore[misc]


class CommitTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        expected = (
            bytes.fromhex("07000000" "02000000") + _fill(9) + b"\x03"
            + b"\x00\x00" + b"\x01" * 64 + b"\x03\x00" + b"\x02" * 64 + b"\xff\xff" + b"\x03" * 64
        )  # fmt: skip
        self.assertEqual(_COMMIT.encode(), expected)
        self.assertEqual(Commit.decode(expected), _COMMIT)
        self.assertEqual(_COMMIT.hash, sha256d(expected))

    def test_empty(self) -> None:
        self.assertEqual(EMPTY_COMMIT.encode(), bytes(41))
        self.assertEqual(Commit.decode(bytes(41)), EMPTY_COMMIT)
        self.assertEqual(EMPTY_COMMIT.hash, sha256d(bytes(41)))

    def test_signers_ascend(self) -> None:
        first, second, last = _COMMIT.signatures
        for signatures in ((second, first, last), (first, first), (last, second)):
            commit = dataclasses.replace(_COMMIT, signatures=signatures)
            with self.assertRaises(ValueError):
                commit.encode()
            entries = b"".join(n.to_bytes(2, "little") + signature for n, signature in signatures)
            with self.assertRaises(NonCanonical):
                Commit.decode(_COMMIT.encode()[:40] + bytes([len(signatures)]) + entries)

    def test_malformed(self) -> None:
        data = _COMMIT.encode()
        for end in range(len(data)):
            with self.assertRaises(DecodeError):
                Commit.decode(data[:end])
        for changed in (data + b"\x00", data[:40] + b"\xfd\x03\x00" + data[41:], data[:40] + b"\xff" * 9):
            with self.assertRaises(DecodeError):
                Commit.decode(changed)

    def test_fields_that_do_not_fit(self) -> None:
        for commit in (
            Commit(1 << 32, 0, ZERO, ()),
            Commit(0, -1, ZERO, ()),
            Commit(0, 0, bytes(31), ()),
            Commit(0, 0, ZERO, ((0, bytes(63)),)),
            Commit(0, 0, ZERO, ((1 << 16, bytes(64)),)),
        ):
            with self.assertRaises(ValueError):
                commit.encode()


class EvidenceTests(SynchronousTestCase):
    def test_hash(self) -> None:
        self.assertEqual(evidence_hash(()), ZERO)
        self.assertEqual(evidence_hash((b"ab", b"")), sha256d(b"\x02\x02ab\x00"))
        self.assertNotEqual(evidence_hash((b"a", b"b")), evidence_hash((b"ab",)))


class BlockTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        expected = (
            _HEADER_BYTES
            + b"\x02"
            + _COINBASE.raw
            + _PAYMENT.raw
            + _COMMIT.encode()
            + b"\x02\x05first\x00"
        )
        self.assertEqual(_BLOCK.encode(), expected)
        decoded = Block.decode(expected)
        self.assertEqual(decoded, _BLOCK)
        self.assertEqual([tx.txid for tx in decoded.transactions], [_COINBASE.txid, _PAYMENT.txid])

    def test_every_truncation_and_trailing_bytes(self) -> None:
        data = _BLOCK.encode()
        for end in range(len(data)):
            with self.assertRaises(DecodeError):
                Block.decode(data[:end])
        with self.assertRaises(DecodeError):
            Block.decode(data + b"\x00")

    def test_malformed_transaction_and_counts(self) -> None:
        data = _BLOCK.encode()
        body = data[HEADER_SIZE + 1 :]
        with self.assertRaises(MalformedTransaction):
            Block.decode(data[: HEADER_SIZE + 1] + b"\x02\x00\x00\x00\x00\x02" + body)
        for count in (b"\xfd\x02\x00", b"\xff" * 9, b"\xfe\xff\xff\xff\x7f"):
            with self.assertRaises(DecodeError):
                Block.decode(data[:HEADER_SIZE] + count + body)

    @given(st.integers(0, len(_BLOCK.encode()) - 1), st.integers(1, 255))
    @settings(deadline=None, derandomize=True, max_examples=100, database=None)
    def test_one_changed_byte_is_another_block(self, at: int, change: int) -> None:
        changed = bytearray(_BLOCK.encode())
        changed[at] ^= change
        try:
            decoded = Block.decode(bytes(changed))
        except DecodeError:
            return
        self.assertEqual(decoded.encode(), bytes(changed))
        self.assertNotEqual(decoded, _BLOCK)

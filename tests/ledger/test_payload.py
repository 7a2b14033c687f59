from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import (
    BACKEND,
    CHAIN_ID,
    PREVOUTS,
    SERVICE,
    key,
    register,
    script,
    secret,
    signed,
    txid,
)
from timecoin.ledger.payload import (
    FREE,
    Payload,
    Register,
    Return,
    Unregister,
    Update,
    decode,
    encode,
    parse,
    sign,
    signature_checks,
    signing_digest,
    unsigned,
)
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.primitives.codec import DecodeError, Reader
from timecoin.primitives.hashes import sha256, sha256d
from timecoin.primitives.script import op_return, p2wsh
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40, database=None)
SIGNATURE = bytes(range(64))
EXAMPLES: tuple[Payload, ...] = (
    Register(0, key(1), key(2), script(3), SERVICE, SIGNATURE),
    Register(FREE, key(1), key(2), p2wsh(txid(1)), SERVICE, SIGNATURE),
    Update(txid(1), operator_key=key(3), owner_signature=SIGNATURE, operator_signature=SIGNATURE[::-1]),
    Update(txid(1), owner_key=key(3), owner_signature=SIGNATURE),
    Update(txid(1), payout=script(9), owner_signature=SIGNATURE),
    Update(txid(1), service=SERVICE, owner_signature=SIGNATURE),
    Update(txid(1), key(3), key(4), script(5), SERVICE, SIGNATURE, SIGNATURE),
    Unregister(txid(2), SIGNATURE),
    Return(txid(2), SIGNATURE),
)


class EncodingTests(SynchronousTestCase):
    def test_register_bytes(self) -> None:
        body = b"TCMN\x01\x01" + b"\x00\x00" + key(1) + key(2) + b"\x16" + script(3) + SERVICE.encode()
        self.assertEqual(encode(EXAMPLES[0]), body + SIGNATURE)

    def test_round_trip(self) -> None:
        for payload in EXAMPLES:
            data = encode(payload)
            self.assertEqual(parse(data), payload)
            self.assertLessEqual(len(data), 520)

    def test_every_truncation_and_extension(self) -> None:
        for payload in EXAMPLES:
            data = encode(payload)
            for size in range(len(data)):
                self.assertIs(parse(data[:size]), None)
            self.assertIs(parse(data + b"\0"), None)

    def test_malformed(self) -> None:
        good = encode(EXAMPLES[0])
        for at, value in ((0, 0x74), (4, 2), (5, 0), (5, 5), (8, 4), (41, 0), (74, 21), (75, 1), (97, 3)):
            bad = bytearray(good)
            bad[at] = value
            self.assertIs(parse(bytes(bad)), None, at)
            self.assertRaises(DecodeError, decode, bytes(bad))

    def test_updates_name_known_values(self) -> None:
        empty = unsigned(Update(txid(1))) + SIGNATURE
        self.assertIs(parse(empty), None)
        unknown = bytearray(encode(EXAMPLES[5]))
        unknown[38] |= 16
        self.assertIs(parse(bytes(unknown)), None)

    def test_unsigned_cannot_be_encoded(self) -> None:
        for payload in (
            register(1),
            Unregister(txid(1)),
            Update(txid(1), operator_key=key(1), owner_signature=SIGNATURE),
        ):
            self.assertRaises(ValueError, encode, payload)

    @SETTINGS
    @given(st.binary(max_size=300))
    def test_parse_never_raises(self, data: bytes) -> None:
        for candidate in (data, b"TCMN\x01" + data):
            payload = parse(candidate)
            if payload is not None:
                self.assertEqual(encode(payload), candidate)


class SignatureTests(SynchronousTestCase):
    def holds(
        self, payload: Payload, owner_key: bytes, chain_id: bytes = CHAIN_ID, prevouts: bytes = PREVOUTS
    ) -> bool:
        digest = signing_digest(chain_id, prevouts, payload)
        return check_all(BACKEND, signature_checks(payload, digest, owner_key))

    def test_digest(self) -> None:
        """Tag, chain_id, hashPrevouts and the payload without its signatures; nothing else."""
        tag = sha256(b"timecoin/registry")
        expected = sha256(tag + tag + CHAIN_ID + PREVOUTS + encode(EXAMPLES[0])[:-64])
        self.assertEqual(signing_digest(CHAIN_ID, PREVOUTS, EXAMPLES[0]), expected)

    def test_register(self) -> None:
        payload = decode(signed(register(1), operator=1))
        self.assertTrue(self.holds(payload, b""))
        self.assertFalse(self.holds(payload, b"", chain_id=bytes(32)))
        self.assertFalse(self.holds(payload, b"", prevouts=bytes(32)))
        assert isinstance(payload, Register)
        self.assertFalse(self.holds(replace(payload, payout=script(9)), b""))
        self.assertFalse(self.holds(decode(signed(register(1), operator=2)), b""))

    def test_owner(self) -> None:
        for bare in (Unregister(txid(1)), Return(txid(1)), Update(txid(1), payout=script(1))):
            payload = decode(signed(bare, owner=7))
            self.assertTrue(self.holds(payload, key(7)))
            self.assertFalse(self.holds(payload, key(8)))

    def test_kinds_are_not_exchangeable(self) -> None:
        payload = decode(signed(Return(txid(1)), owner=7))
        assert isinstance(payload, Return)
        self.assertFalse(self.holds(Unregister(txid(1), payload.owner_signature), key(7)))

    def test_new_operator_key_signs_too(self) -> None:
        bare = Update(txid(1), operator_key=key(3))
        self.assertTrue(self.holds(decode(signed(bare, owner=7, operator=3)), key(7)))
        self.assertFalse(self.holds(decode(signed(bare, owner=7, operator=4)), key(7)))
        self.assertFalse(self.holds(decode(signed(bare, owner=8, operator=3)), key(7)))

    def test_sign_keeps_other_signatures(self) -> None:
        """Owner and operator may sign on different machines."""
        bare = Update(txid(1), operator_key=key(3))
        digest = signing_digest(CHAIN_ID, PREVOUTS, bare)
        by_owner = sign(BACKEND, bare, digest, owner=secret(7))
        self.assertTrue(self.holds(sign(BACKEND, by_owner, digest, operator=secret(3)), key(7)))


class RecordTests(SynchronousTestCase):
    def transaction(self, *outputs: TxOutput) -> Transaction:
        spent = TxInput(make_outpoint(txid(1), 2), b"", 0xFFFFFFFF, ())
        return Transaction(2, (spent,), outputs, 0)

    def test_of_transaction(self) -> None:
        data = signed(register(1), operator=1)
        tx = self.transaction(TxOutput(5, script(1)), TxOutput(0, op_return(data)))
        record = PayloadRecord.of(tx, 7, 3)
        assert record is not None
        self.assertEqual(
            record, PayloadRecord(tx.txid, 7, 3, Bip143(tx).hash_prevouts, data, tuple(tx.outputs))
        )
        self.assertEqual(record.hash_prevouts, sha256d(make_outpoint(txid(1), 2)))

    def test_no_payload(self) -> None:
        plain = TxOutput(5, script(1))
        self.assertIs(PayloadRecord.of(self.transaction(plain), 1, 1), None)
        self.assertIs(
            PayloadRecord.of(self.transaction(plain, TxOutput(0, op_return(b"TCMN\x01"))), 1, 1), None
        )

    def test_encoding(self) -> None:
        record = PayloadRecord(
            txid(1), 7, 3, PREVOUTS, encode(EXAMPLES[0]), (TxOutput(5, script(1)), TxOutput(0, b"j"))
        )
        data = record.encode()
        reader = Reader(data)
        self.assertEqual(PayloadRecord.read(reader), record)
        reader.finish()
        for size in range(len(data)):
            self.assertRaises(DecodeError, PayloadRecord.read, Reader(data[:size]))

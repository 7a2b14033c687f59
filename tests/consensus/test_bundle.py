from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import CHAIN_ID, power_set
from timecoin.consensus.bundle import HEAD_SIZE, MAX_TXIDS, Bundle, BundleHead, MalformedBundle
from timecoin.consensus.proof import StatementProof, prove
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.ledger.statement import NotAMember, WrongSet, body_prefix, statement_digest
from timecoin.primitives.signing import check_all, get_backend

MEMBERS = power_set()
SECRETS = [bytes([n]) * 32 for n in (1, 2, 3, 4)]


def txids(count: int, salt: bytes = b"") -> tuple[bytes, ...]:
    return tuple(sha256(salt + b"%d" % n).digest() for n in range(count))


def bundle(
    votes: int = 3, acks: int = 2, *, seal: bool = False, sequence: int = 1, signer: int = 1
) -> Bundle:
    return Bundle(
        CHAIN_ID, 7, MEMBERS.set_hash, signer, sequence, seal, txids(votes), txids(acks, b"a"), b"\x05" * 64
    )


class BundleTests(SynchronousTestCase):
    def test_body_is_fixed_width_and_begins_with_the_prefix(self) -> None:
        body = bundle().body()
        self.assertEqual(len(body), 147)
        self.assertEqual(body[:70], body_prefix(CHAIN_ID, 7, MEMBERS.set_hash, 1))
        self.assertEqual(body[70:83].hex(), "01000000" "00" "03000000" "02000000")
        self.assertEqual(len(bundle(200, 300).body()), 147)

    def test_digest_is_the_tagged_hash_of_bundle(self) -> None:
        tag = sha256(b"timecoin/bundle").digest()
        self.assertEqual(bundle().digest, sha256(tag + tag + bundle().body()).digest())
        self.assertEqual(bundle().digest, statement_digest("bundle", bundle().body()))

    @settings(deadline=None, derandomize=True, max_examples=30, database=None)
    @given(st.integers(0, 40), st.integers(0, 40), st.booleans(), st.integers(1, 2**32 - 1))
    def test_round_trip(self, votes: int, acks: int, seal: bool, sequence: int) -> None:
        made = bundle(votes, acks, seal=seal or not votes + acks, sequence=sequence)
        read = Bundle.decode(made.encode())
        self.assertEqual(read, made)
        self.assertEqual((read.votes, read.acks, read.seal), (made.votes, made.acks, made.seal))
        self.assertEqual(BundleHead.decode(made.head().encode()), made.head())

    def test_every_field_is_under_the_signature(self) -> None:
        base = bundle()
        fields = [CHAIN_ID, 7, MEMBERS.set_hash, 1, 1, False, base.votes, base.acks]
        changed = [b"\x12" * 32, 8, bytes(32), 2, 2, True, base.votes[::-1], base.acks[:1]]
        for index, value in enumerate(changed):
            other = Bundle(*[value if i == index else field for i, field in enumerate(fields)])  # type: ignore[arg-type]
            self.assertNotEqual(other.digest, base.digest, index)

    def test_a_vote_is_no_ack(self) -> None:
        votes = Bundle(CHAIN_ID, 7, MEMBERS.set_hash, 1, 1, False, txids(2), ())
        acks = Bundle(CHAIN_ID, 7, MEMBERS.set_hash, 1, 1, False, (), txids(2))
        self.assertNotEqual(votes.digest, acks.digest)

    def test_malformed(self) -> None:
        data = bundle().encode()
        for bad in (
            b"",
            data[:60],
            data[:-1],
            data + b"\x00",
            data[:70] + b"\x00\x00\x00\x00" + data[74:],
            data[:74] + b"\x02" + data[75:],
            bundle(0, 0).encode(),
            Bundle(CHAIN_ID, 7, MEMBERS.set_hash, 1, 1, False, txids(1) * (MAX_TXIDS + 1), ()).encode(),
        ):
            self.assertRaises(MalformedBundle, Bundle.decode, bad)
        self.assertRaises(MalformedBundle, BundleHead.decode, bytes(HEAD_SIZE - 1))
        Bundle.decode(bundle(0, 0, seal=True).encode())

    def test_check_names_the_signers_key(self) -> None:
        check = bundle(signer=2).check(MEMBERS)
        self.assertEqual(check.key, MEMBERS.members[2].operator_key)
        self.assertEqual(check.digest, bundle(signer=2).digest)
        self.assertRaises(WrongSet, bundle().check, power_set((1, 1)))
        self.assertRaises(NotAMember, bundle(signer=4).check, MEMBERS)

    def test_a_changed_list_fails_the_signature(self) -> None:
        backend = get_backend("coincurve")
        members = PowerSet(
            Member(bytes([n]) * 32, backend.public_key(secret), 1, b"") for n, secret in enumerate(SECRETS)
        )
        made = Bundle(CHAIN_ID, 7, members.set_hash, 1, 1, False, txids(3), txids(2, b"a"))
        signed = made.signed(backend.sign_compact(SECRETS[1], made.digest))
        self.assertTrue(check_all(backend, [signed.check(members), signed.head().check(members)]))
        data = bytearray(signed.encode())
        data[90] ^= 1
        self.assertFalse(check_all(backend, [Bundle.decode(bytes(data)).check(members)]))


class ProofTests(SynchronousTestCase):
    def test_single_statements(self) -> None:
        made = bundle(40, 17)
        for ack, listed in ((False, made.votes), (True, made.acks)):
            for txid in (listed[0], listed[16], listed[-1]):
                proof = prove(made, txid, ack=ack)
                self.assertTrue(proof.holds())
                self.assertEqual(StatementProof.decode(proof.encode()), proof)
                turned = StatementProof(proof.head, not ack, txid, proof.index, proof.path)
                self.assertFalse(turned.holds())

    def test_what_is_not_in_the_bundle(self) -> None:
        self.assertRaises(ValueError, prove, bundle(), bytes(32), ack=False)

    def test_malformed(self) -> None:
        data = prove(bundle(40, 17), txids(40)[20], ack=False).encode()
        for bad in (data[:100], data[:-1], data + b"\x00", data[:211] + b"\x02" + data[212:]):
            self.assertRaises(MalformedBundle, StatementProof.decode, bad)
        outside = data[:244] + (40).to_bytes(4, "little") + data[248:]
        self.assertRaises(MalformedBundle, StatementProof.decode, outside)

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import key, script, txid
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.primitives.codec import DecodeError

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40, database=None)


def power_set(*powers: int) -> PowerSet:
    return PowerSet(Member(txid(i), key(i + 1), power, script(i)) for i, power in enumerate(powers))


class PowerSetTests(SynchronousTestCase):
    def test_set_hash_preimage(self) -> None:
        """Id 32 ‖ operator key 33 ‖ power u64 ‖ payout with u8 length, each (protocol.md section 3)."""
        members = power_set(1_000, 10)
        parts = [
            txid(i) + key(i + 1) + power.to_bytes(8, "little") + b"\x16" + script(i)
            for i, power in enumerate((1_000, 10))
        ]
        self.assertEqual(members.set_hash, hashlib.sha256(b"".join(parts)).digest())

    def test_order_matters(self) -> None:
        members = power_set(5, 5)
        self.assertNotEqual(members.set_hash, PowerSet(members.members[::-1]).set_hash)

    def test_quorum_is_strict(self) -> None:
        for powers, at_most_two_thirds in (((1, 1, 1), 2), ((10, 10, 10, 10), 26), ((2, 1), 2), ((1,), 0)):
            members = power_set(*powers)
            self.assertFalse(members.is_quorum(at_most_two_thirds), powers)
            self.assertTrue(members.is_quorum(at_most_two_thirds + 1), powers)

    def test_third_is_strict(self) -> None:
        members = power_set(10, 10, 10)
        self.assertFalse(members.exceeds_third(10))
        self.assertTrue(members.exceeds_third(11))

    def test_network_of_one(self) -> None:
        alone = power_set(1)
        self.assertEqual((alone.total, alone.is_quorum(1), alone.is_quorum(0)), (1, True, False))

    def test_lookups(self) -> None:
        members = power_set(3, 2)
        self.assertEqual((members.index_of_key(key(2)), members.index_of_id(txid(0))), (1, 0))
        self.assertIs(members.index_of_key(key(3)), None)
        self.assertEqual(members.ids_of(0b10), (txid(1),))

    def test_duplicates_are_refused(self) -> None:
        one, two = power_set(1, 2).members
        self.assertRaises(ValueError, PowerSet, [one, one])
        self.assertRaises(ValueError, PowerSet, [one, two._replace(operator_key=one.operator_key)])
        self.assertRaises(ValueError, PowerSet, [one._replace(power=0)])

    @SETTINGS
    @given(st.lists(st.integers(1, 2**40), min_size=1, max_size=20), st.data())
    def test_power_of(self, powers: list[int], data: st.DataObject) -> None:
        members = power_set(*powers)
        mask = data.draw(st.integers(0, 2 ** len(powers) - 1))
        self.assertEqual(members.power_of(mask), sum(p for i, p in enumerate(powers) if mask >> i & 1))

    def test_foreign_signers_are_refused(self) -> None:
        for mask in (0b100, 1 << 64, -1):
            self.assertRaises(ValueError, power_set(1, 2).power_of, mask)

    def test_encoding(self) -> None:
        members = power_set(1_000, 100, 1)
        data = members.encode()
        self.assertEqual(PowerSet.decode(data), members)
        for size in range(len(data)):
            self.assertRaises(DecodeError, PowerSet.decode, data[:size])
        self.assertRaises(DecodeError, PowerSet.decode, data + b"\0")
        member = members.members[0].encode()
        self.assertRaises(DecodeError, PowerSet.decode, b"\x02" + member + member)

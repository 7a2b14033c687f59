from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import SampleChain, sealed
from timecoin.storage.delta import decode_delta, delta_of, encode_delta, location_key, split_location
from timecoin.storage.errors import Damaged
from timecoin.storage.leaves import (
    CoinLeaf,
    CoinTree,
    LocationTree,
    pack_coins,
    pack_numbers,
    unpack_coins,
    unpack_numbers,
)

OUTPOINTS = st.binary(min_size=36, max_size=36)
QUICK = settings(deadline=None, derandomize=True, max_examples=60, database=None)


class DeltaTest(SynchronousTestCase):
    def test_round_trip(self) -> None:
        chain = SampleChain()
        for _ in range(3):
            block = chain.next()
            delta = delta_of(block)
            self.assertEqual(decode_delta(encode_delta(delta), b"".join(block.txids)), delta)

    def test_made_and_spent_inside_enters_nothing(self) -> None:
        a, b = bytes(36), b"\x01" * 36
        delta = delta_of(sealed(0, {a: b"coin", b: b"other"}, (a,), ()))
        self.assertEqual(delta.changes, {b: b"other"})
        self.assertEqual(delta.growth, 1)

    def test_wrong_lengths(self) -> None:
        data = encode_delta(delta_of(sealed(0, {bytes(36): b"coin"}, (b"\x01" * 36,), ())))
        self.assertRaises(Damaged, decode_delta, data[:-1], b"")
        self.assertRaises(Damaged, decode_delta, data + b"\0", b"")
        self.assertRaises(Damaged, decode_delta, data, bytes(31))

    def test_cut_off_anywhere(self) -> None:
        data = encode_delta(delta_of(sealed(0, {bytes(36): b"coin"}, (b"\x01" * 36,), ())))
        for length in range(len(data)):
            self.assertRaises(Damaged, decode_delta, data[:length], b"")

    def test_more_announced_than_is_there(self) -> None:
        self.assertRaises(Damaged, decode_delta, b"\xff" * 70, b"")

    def test_locations(self) -> None:
        block = SampleChain().next()
        found = [(txid, split_location(location)) for txid, location in delta_of(block).locations]
        self.assertEqual(found, [(txid, (0, i)) for i, txid in enumerate(block.txids)])

    def test_keys_are_signed_64_bit(self) -> None:
        self.assertEqual(location_key(b"\xff" * 32), -1)
        self.assertEqual(location_key(b"\x7f" + b"\xff" * 31), 2**63 - 1)


class LeafTest(SynchronousTestCase):
    @QUICK
    @given(st.dictionaries(OUTPOINTS, st.binary(max_size=60), max_size=40))
    def test_coins_round_trip(self, coins: dict[bytes, bytes]) -> None:
        items = tuple(part for pair in sorted(coins.items()) for part in pair)
        self.assertEqual(unpack_coins(pack_coins(items)), items)

    @QUICK
    @given(st.lists(st.integers(-(2**63), 2**63 - 1)))
    def test_numbers_round_trip(self, numbers: list[int]) -> None:
        self.assertEqual(unpack_numbers(pack_numbers(tuple(numbers))), tuple(numbers))

    def test_stored_form_is_fixed(self) -> None:
        self.assertEqual(pack_numbers((1, -2)), bytes([1, *[0] * 7, 254, *[255] * 7]))
        self.assertEqual(pack_coins((b"k" * 36, b"abc")), b"k" * 36 + b"abc" + b"\x03\x00" + b"\x01\x00")

    def test_trees_are_made_of_packed_leaves(self) -> None:
        tree = CoinTree()
        tree.update({bytes([i]) * 36: b"coin" for i in range(250)})
        tree._check()
        self.assertIsInstance(tree._firstbucket, CoinLeaf)
        state = tree._firstbucket.__getstate__()
        self.assertIsInstance(state[0], bytes)
        numbers = LocationTree()
        numbers.update({i: i for i in range(2_000)})
        numbers._check()
        self.assertIsInstance(numbers._firstbucket.__getstate__()[0], bytes)

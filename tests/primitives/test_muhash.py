"""MuHash3072 against Bitcoin Core's vectors and against its definition."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import display
from timecoin.primitives.muhash import ENCODED_SIZE, MuHash

_MODULUS = 2**3072 - 1103717

_ELEMENTS = st.lists(st.binary(max_size=40), max_size=6)
_FEW = settings(deadline=None, derandomize=True, max_examples=30, database=None)


def _element(number: int) -> bytes:
    """Core's ``FromInt``: the number as 32 little-endian bytes."""
    return number.to_bytes(32, "little")


class CoreVectorTests(SynchronousTestCase):
    """Bitcoin Core, src/test/crypto_tests.cpp, ``muhash_tests``."""

    def test_finalised(self) -> None:
        expected = "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863"
        at_once = MuHash.empty().update([_element(0), _element(1)], [_element(2)])
        self.assertEqual(display(at_once.digest()), expected)
        one_by_one = MuHash.empty().update(removed=[_element(2)]).update([_element(1)]).update([_element(0)])
        self.assertEqual(display(one_by_one.digest()), expected)

    def test_serialised(self) -> None:
        # The numerator there; the denominator is one.
        expected = (
            "1fa093295ea30a6a3acdc7b3f770fa538eff537528e990e2910e40bbcfd7f6696b1256901929094694b56316de342f593303"
            "dd12ac43e06dce1be1ff8301c845beb15468fff0ef002dbf80c29f26e6452bccc91b5cb9437ad410d2a67ea847887fa3c6"
            "a6553309946880fe20db2c73fe0641adbd4e86edfee0d9f8cd0ee1230898873dc13ed8ddcaf045c80faa082774279007a2"
            "253f8922ee3ef361d378a6af3ddaf180b190ac97e556888c36b3d1fb1c85aab9ccd46e3deaeb7b7cf5db067a7e9ff86b65"
            "8cf3acd6662bbcce37232daa753c48b794356c020090c831a8304416e2aa7ad633c0ddb2f11be1be316a81be7f7e472071"
            "c042cb68faef549c221ebff209273638b741aba5a81675c45a5fa92fea4ca821d7a324cb1e1a2ccd3b76c4228ec8066dad"
            "2a5df6e1bd0de45c7dd5de8070bdb46db6c554cf9aefc9b7b2bbf9f75b1864d9f95005314593905c0109b71f703d49944a"
            "e94477b51dac10a816bb6d1c700bafabc8bd86fac8df24be519a2f2836b16392e18036cb13e48c5c"
        )
        made = MuHash.empty().update([_element(1), _element(2)])
        self.assertEqual(made.encode().hex(), expected)
        self.assertEqual(MuHash.decode(bytes.fromhex(expected)), made)

    def test_number_above_the_modulus_is_reduced(self) -> None:
        # Core finalises a numerator of all ones to this; 2**3072 - 1 is 1103716 modulo the prime. Here such
        # an encoding is refused, since one value must have one encoding.
        expected = "3a31e6903aff0de9f62f9a9f7f8b861de76ce2cda09822b90014319ae5dc2271"
        reduced = (1103716).to_bytes(ENCODED_SIZE, "little")
        self.assertEqual(MuHash.decode(reduced).digest().hex(), expected)
        with self.assertRaises(DecodeError):
            MuHash.decode(b"\xff" * ENCODED_SIZE)


class ValueTests(SynchronousTestCase):
    def test_empty(self) -> None:
        one = b"\x01" + bytes(ENCODED_SIZE - 1)
        self.assertEqual(MuHash.empty().encode(), one)
        self.assertEqual(MuHash.empty().digest(), sha256(one).digest())
        self.assertEqual(MuHash.empty().update(), MuHash.empty())

    def test_update_leaves_the_value_alone(self) -> None:
        value = MuHash.empty().update([b"a"])
        before = value.encode()
        value.update([b"b"], [b"a"])
        self.assertEqual(value.encode(), before)

    def test_iterators_are_taken(self) -> None:
        self.assertEqual(MuHash.empty().update(iter([b"a"]), iter([b"a"])), MuHash.empty())

    def test_malformed(self) -> None:
        for data in (
            b"",
            bytes(ENCODED_SIZE),
            bytes(ENCODED_SIZE - 1),
            b"\x01" + bytes(ENCODED_SIZE),
            _MODULUS.to_bytes(ENCODED_SIZE, "little"),
        ):
            with self.assertRaises(DecodeError):
                MuHash.decode(data)
        self.assertEqual(
            MuHash.decode((_MODULUS - 1).to_bytes(ENCODED_SIZE, "little")).combine(
                MuHash.decode((_MODULUS - 1).to_bytes(ENCODED_SIZE, "little"))
            ),
            MuHash.empty(),
        )

    @given(_ELEMENTS, _ELEMENTS)
    @_FEW
    def test_only_the_set_matters(self, added: list[bytes], removed: list[bytes]) -> None:
        at_once = MuHash.empty().update(added, removed)
        step = MuHash.empty()
        for element in reversed(removed):
            step = step.update(removed=[element])
        for element in sorted(added):
            step = step.combine(MuHash.empty().update([element]))
        self.assertEqual(at_once, step)
        self.assertEqual(hash(at_once), hash(step))
        self.assertEqual(MuHash.decode(at_once.encode()), at_once)
        self.assertEqual(at_once.update(removed, added), MuHash.empty())

    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
    @_FEW
    def test_fast_reduction_agrees_with_division(self, elements: list[bytes]) -> None:
        product = 1
        for element in elements:
            single = MuHash.empty().update([element]).encode()
            product = product * int.from_bytes(single, "little") % _MODULUS
        expected = product.to_bytes(ENCODED_SIZE, "little")
        self.assertEqual(MuHash.empty().update(elements).encode(), expected)

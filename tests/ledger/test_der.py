"""The encoding rules of signatures, each broken on purpose."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.der import bare_signature
from timecoin.ledger.errors import SignatureEncoding, SignatureHashType, SignatureHighS, TxInvalid
from timecoin.primitives.ecdsa_encoding import CURVE_ORDER, HALF_ORDER, der_from_scalars, scalars_from_der

_R = "4e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd41"
_S = "181522ec8eca07de4860a4acdd12909d831cc56cbbac4622082221a8768d1d09"
_GOOD = bytes.fromhex(f"30440220{_R}0220{_S}01")
"""The signature of Bitcoin's first payment (block 170, f4184fc5…9e16)."""


class EncodingTests(SynchronousTestCase):
    def refuse(self, item: bytes, error: type[TxInvalid]) -> None:
        with self.assertRaises(error):
            bare_signature(item)

    def test_good(self) -> None:
        self.assertEqual(bare_signature(_GOOD), _GOOD[:-1])

    def test_hash_types(self) -> None:
        self.refuse(b"", SignatureHashType)
        for hash_type in (0x00, 0x02, 0x03, 0x81, 0xFF):
            self.refuse(_GOOD[:-1] + bytes([hash_type]), SignatureHashType)

    def test_not_a_sequence(self) -> None:
        self.refuse(b"\x31" + _GOOD[1:], SignatureEncoding)

    def test_wrong_lengths(self) -> None:
        self.refuse(b"\x30\x45" + _GOOD[2:], SignatureEncoding)
        self.refuse(_GOOD[:3] + b"\x21" + _GOOD[4:], SignatureEncoding)
        self.refuse(_GOOD[:3] + b"\xff" + _GOOD[4:], SignatureEncoding)
        self.refuse(_GOOD[:-1] + b"\x00\x01", SignatureEncoding)
        self.refuse(_GOOD[:37] + b"\x1f" + _GOOD[38:], SignatureEncoding)
        self.refuse(_GOOD[:37] + b"\x21" + _GOOD[38:], SignatureEncoding)

    def test_not_integers(self) -> None:
        self.refuse(_GOOD[:2] + b"\x03" + _GOOD[3:], SignatureEncoding)
        self.refuse(_GOOD[:36] + b"\x03" + _GOOD[37:], SignatureEncoding)

    def test_negative_padded_and_empty_integers(self) -> None:
        self.refuse(bytes.fromhex(f"30440220ff{_R[2:]}0220{_S}01"), SignatureEncoding)
        self.refuse(bytes.fromhex(f"3045022100{_R}0220{_S}01"), SignatureEncoding)
        self.refuse(bytes.fromhex(f"30440220{_R}022098{_S[2:]}01"), SignatureEncoding)
        self.refuse(bytes.fromhex(f"30450220{_R}022100{_S}01"), SignatureEncoding)
        self.refuse(bytes.fromhex(f"30240220{_R}020001"), SignatureEncoding)
        self.refuse(bytes.fromhex(f"302402000220{_S}01"), SignatureEncoding)

    def test_too_short_and_too_long(self) -> None:
        self.refuse(bytes.fromhex("3005020101020101"), SignatureEncoding)
        self.refuse(
            bytes.fromhex("30460221" + "00" + "ff" * 32 + "0222" + "00ff" * 17 + "01"), SignatureEncoding
        )

    def test_the_highest_low_s_and_the_lowest_high_one(self) -> None:
        bare_signature(der_from_scalars(5, HALF_ORDER) + b"\x01")
        self.refuse(der_from_scalars(5, HALF_ORDER + 1) + b"\x01", SignatureHighS)
        self.refuse(der_from_scalars(5, CURVE_ORDER - 1) + b"\x01", SignatureHighS)

    @given(
        st.binary(max_size=75)
        | st.builds(lambda at, bit: _flipped(at, bit), st.integers(0, 69), st.integers(0, 7))
    )
    @settings(deadline=None, derandomize=True, max_examples=200, database=None)
    def test_takes_what_the_backends_take(self, der: bytes) -> None:
        """Whatever a backend could verify passes here, and only r or s out of range may fail there later."""
        try:
            bare_signature(der + b"\x01")
            is_taken = True
        except TxInvalid:
            is_taken = False
        if scalars_from_der(der) is not None:
            self.assertTrue(is_taken)


def _flipped(at: int, bit: int) -> bytes:
    changed = bytearray(_GOOD[:-1])
    changed[at] ^= 1 << bit
    return bytes(changed)

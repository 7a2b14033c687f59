"""Wallet import format against Bitcoin Core's key vectors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.ecdsa_encoding import CURVE_ORDER
from timecoin.primitives.wif import WifError, decode_wif, encode_wif

_MAIN, _TEST = 0x80, 0xEF

# Bitcoin Core: src/test/key_tests.cpp (strSecret1C, strSecret2C) and the BIP 143 key of test networks.
_VALID = (
    (
        "Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEw",
        _MAIN,
        "12b004fff7f4b69ef8650e767f18f11ede158148b425660723b9f9a66e61f747",
    ),
    (
        "L3Hq7a8FEQwJkW1M2GNKDW28546Vp5miewcCzSqUD9kCAXrJdS3g",
        _MAIN,
        "b524c28b61c9b2c49b2c7dd4c2d75887abb78768c054bd7c01af4029f6c0d117",
    ),
)
# Core, key_tests.cpp: strSecret1 and strSecret2 belong to uncompressed keys; strAddressBad is none.
_INVALID = (
    "5HxWvvfubhXpYYpS3tJkw6fq9jE9j18THftkZjHHfmFiWtmAbrj",
    "5KC4ejrDjv152FGwP386VD1i2NYc5KkfSMyv1nGy1VGDxGHqVY3",
    "1HV9Lc3sNHZxwj4Zk6fB38tEmBryq2cBiF",
    "",
    "1",
    "11111",
    "Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEx",
    "Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vE",
    "1Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEw",
    " Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEw",
    "Kwr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEw\n",
    "0wr371tjA9u2rFSMZjTNun2PXXP3WPZu2afRHTcta6KxEUdm1vEw",
    "K" * 5000,
)


class WifTests(SynchronousTestCase):
    def test_valid(self) -> None:
        for text, version, secret in _VALID:
            self.assertEqual(decode_wif(text, version).hex(), secret)
            self.assertEqual(encode_wif(bytes.fromhex(secret), version), text)

    def test_invalid(self) -> None:
        for text in _INVALID:
            with self.assertRaises(WifError, msg=text[:60]):
                decode_wif(text, _MAIN)

    def test_networks_are_apart(self) -> None:
        secret = bytes(range(32))
        for version, other in ((_MAIN, _TEST), (_TEST, _MAIN)):
            text = encode_wif(secret, version)
            self.assertEqual(decode_wif(text, version), secret)
            with self.assertRaises(WifError):
                decode_wif(text, other)
        self.assertEqual(encode_wif(secret, _TEST)[0], "c")

    def test_out_of_range(self) -> None:
        for secret in (bytes(32), CURVE_ORDER.to_bytes(32, "big"), b"\x01" * 31, b""):
            with self.assertRaises(WifError):
                encode_wif(secret, _MAIN)
        for version in (-1, 256):
            with self.assertRaises(WifError):
                encode_wif(b"\x01" * 32, version)

    def test_errors_keep_the_secret(self) -> None:
        for text in _INVALID[:2]:
            with self.assertRaises(WifError) as raised:
                decode_wif(text, _MAIN)
            self.assertNotIn(text[:8], str(raised.exception))

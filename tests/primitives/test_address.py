"""Addresses and bech32: the vectors of BIP 173 and BIP 350, and errors in typing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import address, bech32, script
from timecoin.primitives.address import AddressError
from timecoin.primitives.bech32 import Bech32Error

# BIP 173, "The following strings are valid Bech32".
_VALID_STRINGS = (
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
)
# BIP 173, "The following string are not valid Bech32".
_INVALID_STRINGS = (
    "\x201nwldj5",
    "\x7f1axkwrx",
    "\x801eym55h",
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
    "pzry9x0s0muk",
    "1pzry9x0s0muk",
    "x1b4n0q5v",
    "li1dgmt3",
    "de1lg7wt\xff",
    "A1G7SGD8",
    "10a06t8",
    "1qzzfhee",
)
# BIP 350, valid Bech32m: none of them is bech32.
_BECH32M_STRINGS = (
    "A1LQFN3A",
    "a1lqfn3a",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
)
# BIP 173, valid segwit addresses of version 0.
_VALID_ADDRESSES = (
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "tb",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "tb",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
)
# BIP 173: valid there but of versions 1, 16 and 2, and its invalid addresses; BIP 350: taproot and others.
_INVALID_ADDRESSES = (
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx",
    "BC1SW50QA3JX3S",
    "bc1zw508d6qejxtdg4y5r3zarvaryvg6kdaj",
    "tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2",
    "bc1rw5uspcuh",
    "bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90",
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7",
    "bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv",
    "bc1gmk9yu",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "",
    "time",
    "\u0130" * 40,
)


class Bech32Tests(SynchronousTestCase):
    def test_valid(self) -> None:
        for text in _VALID_STRINGS:
            hrp, words = bech32.decode(text)
            self.assertEqual(bech32.encode(hrp, words), text.lower())

    def test_invalid(self) -> None:
        for text in (*_INVALID_STRINGS, *_BECH32M_STRINGS):
            with self.assertRaises(Bech32Error, msg=repr(text)):
                bech32.decode(text)

    def test_one_wrong_character_is_always_seen(self) -> None:
        text = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"
        for at in range(len(text)):
            for char in "qpzry9x8gf2tvdw0s3jn54khce6mua7l":
                if char != text[at]:
                    with self.assertRaises(Bech32Error):
                        bech32.decode(text[:at] + char + text[at + 1 :])

    def test_unencodable(self) -> None:
        for hrp, words in (
            ("", [0]),
            ("A", [0]),
            ("a b", [0]),
            ("\u00e9", [0]),
            ("a", [32]),
            ("a", [-1]),
            ("a" * 84, []),
            ("a", [0] * 83),
        ):
            with self.assertRaises(Bech32Error):
                bech32.encode(hrp, words)
        self.assertEqual(len(bech32.encode("a" * 83, [])), 90)

    @given(st.binary(max_size=40))
    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    def test_words(self, data: bytes) -> None:
        words = bech32.to_words(data)
        self.assertEqual(bech32.from_words(words), data)
        if len(data) % 5:
            with self.assertRaises(Bech32Error):
                bech32.from_words([*words[:-1], words[-1] | 1])
        if len(data) % 5 in (0, 1, 3):  # two bits of padding at most, so that a further word is no byte
            with self.assertRaises(Bech32Error):
                bech32.from_words([*words, 0])


class AddressTests(SynchronousTestCase):
    def test_valid(self) -> None:
        for text, hrp, expected in _VALID_ADDRESSES:
            self.assertEqual(address.decode(text, hrp).hex(), expected)
            self.assertEqual(address.encode(bytes.fromhex(expected), hrp), text.lower())

    def test_invalid(self) -> None:
        for text in _INVALID_ADDRESSES:
            for hrp in ("bc", "tb", "time"):
                with self.assertRaises(AddressError, msg=f"{text!r} {hrp}"):
                    address.decode(text, hrp)

    def test_networks_are_apart(self) -> None:
        output = script.p2wpkh(bytes(range(20)))
        prefixes = ("time", "timet", "timed")
        for hrp in prefixes:
            text = address.encode(output, hrp)
            self.assertTrue(text.startswith(hrp + "1q"))
            self.assertEqual(address.decode(text, hrp), output)
            self.assertEqual(address.decode(text.upper(), hrp), output)
            for other in prefixes:
                if other != hrp:
                    with self.assertRaises(AddressError) as raised:
                        address.decode(text, other)
                    self.assertIn(hrp, str(raised.exception))

    def test_mixed_case(self) -> None:
        text = address.encode(script.p2wsh(bytes(32)), "time")
        for changed in (text[:-1] + text[-1].upper(), "TIME" + text[4:], text.title()):
            with self.assertRaises(AddressError):
                address.decode(changed, "time")

    def test_scripts_without_address(self) -> None:
        for output in (b"", script.op_return(b"x"), b"\x51\x20" + bytes(32), bytes(22)):
            with self.assertRaises(AddressError):
                address.encode(output, "time")
        for hrp in ("", "TIME", "a b"):
            with self.assertRaises(AddressError):
                address.encode(script.p2wpkh(bytes(20)), hrp)

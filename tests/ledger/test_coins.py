"""Coins: stored form and MuHash element."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.coins import Coin, coin_element, decode_coin, encode_coin
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import make_outpoint

_COINS = st.builds(
    Coin,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**63 - 1),
    st.binary(max_size=34),
)


class CoinTests(SynchronousTestCase):
    def test_stored_form(self) -> None:
        coin = Coin(2 * 7 + 1, 5, b"\xaa\xbb")
        self.assertEqual(encode_coin(coin), bytes.fromhex("0f0000000500000000000000aabb"))

    @given(_COINS)
    @settings(deadline=None, derandomize=True, max_examples=50, database=None)
    def test_stored_form_reads_back(self, coin: Coin) -> None:
        self.assertEqual(decode_coin(encode_coin(coin)), coin)

    def test_too_short(self) -> None:
        with self.assertRaises(DecodeError):
            decode_coin(bytes(11))

    def test_code(self) -> None:
        self.assertEqual((Coin(15, 1, b"").height, Coin(15, 1, b"").is_coinbase), (7, True))
        self.assertEqual((Coin(14, 1, b"").height, Coin(14, 1, b"").is_coinbase), (7, False))

    def test_element_is_that_of_core(self) -> None:
        """Bitcoin Core, ``TxOutSer``: outpoint ‖ u32 code ‖ i64 value ‖ compact size ‖ script."""
        script = p2wpkh(bytes(range(20)))
        element = coin_element(make_outpoint(b"\x11" * 32, 3), Coin(201, 50, script))
        self.assertEqual(
            element.hex(), "11" * 32 + "03000000" + "c9000000" + "3200000000000000" + "16" + script.hex()
        )

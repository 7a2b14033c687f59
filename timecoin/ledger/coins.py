"""Coins of the UTXO set: their stored form, their MuHash element, and what a block changes.

Sources: protocol.md section 2 (UTXO commitment), Bitcoin Core's ``ApplyCoinHash``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from timecoin.primitives.codec import DecodeError, compact_size
from timecoin.primitives.transaction import OutPoint

UNARCHIVED = 0
"""The code of a coin whose transaction is in no block yet; block 0 holds a coinbase, so no other has it."""

_HEAD = struct.Struct("<Iq")


class Coin(NamedTuple):
    """An unspent output; ``code`` = 2 × archiving height + coinbase bit, ``value`` in base units."""

    code: int
    value: int
    script: bytes

    @property
    def height(self) -> int:
        """Height of the block that archived the coin's transaction."""
        return self.code >> 1

    @property
    def is_coinbase(self) -> bool:
        """Whether a coinbase made the coin."""
        return bool(self.code & 1)


def encode_coin(coin: Coin) -> bytes:
    """Return the stored form: code u32 ‖ value i64 ‖ script (to the end)."""
    return _HEAD.pack(coin.code, coin.value) + coin.script


def decode_coin(data: bytes) -> Coin:
    """Read :func:`encode_coin`'s form back; ``DecodeError`` when it is shorter than its fixed part."""
    if len(data) < _HEAD.size:
        raise DecodeError("truncated coin")
    code, value = _HEAD.unpack_from(data)
    return Coin(code, value, data[_HEAD.size :])


def coin_element(outpoint: OutPoint, coin: Coin) -> bytes:
    """Return the MuHash element: outpoint ‖ code u32 ‖ value i64 ‖ compact size ‖ script."""
    script = coin.script
    return outpoint + _HEAD.pack(coin.code, coin.value) + compact_size(len(script)) + script


def coin_bytes_element(outpoint: OutPoint, data: bytes) -> bytes:
    """The same element from a coin in stored form (:func:`encode_coin`), which is not decoded."""
    return b"".join((outpoint, data[: _HEAD.size], compact_size(len(data) - _HEAD.size), data[_HEAD.size :]))


@dataclass(frozen=True, slots=True)
class CoinDelta:
    """What one block changes in the UTXO set.

    ``added`` holds the coins that enter it, ``removed`` the outpoints that leave it, both in block order.
    A coin made and spent in the block, and an ``OP_RETURN``, is in neither.
    """

    added: dict[OutPoint, Coin] = field(default_factory=dict)
    removed: tuple[OutPoint, ...] = ()


def elements(coins: Iterable[tuple[OutPoint, Coin]]) -> list[bytes]:
    """Return the MuHash elements of ``coins``, in their order."""
    return [coin_element(outpoint, coin) for outpoint, coin in coins]

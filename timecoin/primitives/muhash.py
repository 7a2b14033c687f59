"""MuHash3072, the commitment to the set of unspent outputs (protocol.md section 2; Core's ``muhash.h``).

A set's hash is the product of its elements, each stretched to a number of 3072 bits, modulo the largest prime
below 2**3072. Adding multiplies, removing divides, the order does not matter: so a block changes the
commitment at a cost that depends on the block alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from gmpy2 import invert, mpz, t_div_2exp, t_mod_2exp

from .codec import DecodeError

__all__ = ["ENCODED_SIZE", "MuHash"]

ENCODED_SIZE: Final = 384
"""Bytes of an encoded :class:`MuHash`."""

_BITS: Final = 3072
_SHORTFALL: Final = mpz(1103717)
_MODULUS: Final = mpz(2) ** _BITS - _SHORTFALL
_ONE: Final = mpz(1)
_NONCE: Final = bytes(16)
_NO_TEXT: Final = bytes(ENCODED_SIZE)


def _stretch(element: bytes) -> mpz:
    """The number of an element: ChaCha20's key stream under the element's SHA-256, little-endian."""
    stream = Cipher(ChaCha20(sha256(element).digest(), _NONCE), None).encryptor()
    return mpz.from_bytes(stream.update(_NO_TEXT), "little")


def _folded(number: mpz) -> mpz:
    return t_mod_2exp(number, _BITS) + t_div_2exp(number, _BITS) * _SHORTFALL


def _product(elements: Iterable[bytes]) -> mpz:
    """The product of the elements' numbers modulo the prime.

    2**3072 is the shortfall modulo the prime, so a product's upper half folds onto the lower one by a
    small multiplication: half the price of a division. One fold leaves some 20 bits over, which would
    pile up from element to element and slow every multiplication down; the second takes all but one of
    them.
    """
    product = _ONE
    for element in elements:
        product = _folded(_folded(product * _stretch(element)))
    return product % _MODULUS


class MuHash:
    """The hash of a set (a multiset, strictly) as an immutable value; equal values have equal encodings."""

    __slots__ = ("_value",)

    def __init__(self, value: mpz = _ONE) -> None:
        """``value`` is a number from 1 up to but not including the prime; use the class methods."""
        self._value = value

    @classmethod
    def empty(cls) -> MuHash:
        """The hash of the empty set."""
        return cls()

    @classmethod
    def decode(cls, data: bytes) -> MuHash:
        """The value of :meth:`encode`; ``DecodeError`` unless 384 bytes of a number from 1 to the prime."""
        if len(data) != ENCODED_SIZE:
            raise DecodeError(f"a MuHash has {ENCODED_SIZE} bytes, not {len(data)}")
        value = mpz.from_bytes(data, "little")
        if not 0 < value < _MODULUS:
            raise DecodeError("not a MuHash in lowest terms")
        return cls(value)

    def encode(self) -> bytes:
        """384 bytes, little-endian. There is no denominator: it is divided out at every update."""
        data: bytes = self._value.to_bytes(ENCODED_SIZE, "little")
        return data

    def update(self, added: Iterable[bytes] = (), removed: Iterable[bytes] = ()) -> MuHash:
        """The hash after adding and removing elements: byte strings of any length, in any order.

        Whether the removed ones are in the set cannot be seen here.
        """
        value = self._value * _product(added) % _MODULUS
        divisor = _product(removed)
        if divisor != _ONE:
            value = value * invert(divisor, _MODULUS) % _MODULUS
        return MuHash(value)

    def combine(self, other: MuHash) -> MuHash:
        """The hash of the union of two disjoint sets."""
        return MuHash(self._value * other._value % _MODULUS)

    def digest(self) -> bytes:
        """The 32-byte commitment: SHA-256 of :meth:`encode`. Bitcoin Core prints it reversed."""
        return sha256(self.encode()).digest()

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, MuHash) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"<MuHash {self.digest()[::-1].hex()}>"

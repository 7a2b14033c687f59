"""Signer masks between their two forms: an ``int`` in the core, little-endian bytes on the wire."""

from __future__ import annotations


def to_wire(mask: int) -> bytes:
    """Bit i of the mask is bit i % 8 of byte i // 8."""
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def from_wire(data: bytes) -> int:
    """The mask of its wire form; trailing zero bytes do not matter."""
    return int.from_bytes(data, "little")

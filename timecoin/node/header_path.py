"""The hashes of consecutive blocks, found from a trusted one downwards: no other block may stand at their heights."""

from __future__ import annotations

from timecoin.primitives.block import Header
from timecoin.primitives.hashes import HASH_SIZE, Hash


class HeaderPath:
    """Grows downwards, 32 bytes a block."""

    def __init__(self, top: Header) -> None:
        self.highest = top.height
        self._hashes = bytearray(top.hash)

    @property
    def lowest(self) -> int:
        """The height down to which it goes."""
        return self.highest + 1 - len(self._hashes) // HASH_SIZE

    def add(self, block_hash: Hash) -> None:
        """The parent of the lowest block."""
        self._hashes += block_hash

    def hash_at(self, height: int) -> Hash | None:
        """The only hash that the block of a height may have; None: it does not go there."""
        if not self.lowest <= height <= self.highest:
            return None
        start = HASH_SIZE * (self.highest - height)
        return bytes(self._hashes[start : start + HASH_SIZE])

    def contradicts(self, header: Header) -> bool:
        """Is there another block at its height?"""
        return self.hash_at(header.height) not in (None, header.hash)

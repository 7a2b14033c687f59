"""Part of a merkle tree that proves some of its leaves: Bitcoin's partial merkle tree (BIP 37), read strictly.

The bytes are Bitcoin's: count u32, hashes, flag bits; depth first, a bit for each node visited (1: a proven leaf is
at or below it), a hash for each node that is not opened. What differs is what is believed: ``count`` must be the
one that the header commits to, which fixes the shape of the tree, so an inner node never passes as a leaf
(CVE-2017-12842) and a repeated tail never as another tree (CVE-2012-2459).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .codec import DecodeError, Reader, compact_size
from .hashes import HASH_SIZE, Hash, sha256d

__all__ = ["BadPartialTree", "decode", "encode"]


class BadPartialTree(DecodeError):
    """Not a partial merkle tree, or not one of this root and count."""


def _width(count: int, level: int) -> int:
    """Nodes at a level of a tree over ``count`` leaves; level 0 are the leaves."""
    return (count + (1 << level) - 1) >> level


def _levels(leaves: Sequence[Hash]) -> list[list[Hash]]:
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = zip(below[::2], [*below[1::2], below[-1]], strict=False)
        levels.append([sha256d(left + right) for left, right in pairs])
    return levels


def encode(leaves: Sequence[Hash], proven: frozenset[Hash]) -> bytes:
    """The part of the tree over ``leaves`` (distinct, not empty) that proves those in ``proven``."""
    levels = _levels(leaves)
    marks = [[leaf in proven for leaf in leaves]]
    while len(marks) < len(levels):
        below = marks[-1]
        marks.append([any(below[i : i + 2]) for i in range(0, len(below), 2)])
    bits: list[bool] = []
    hashes: list[Hash] = []
    _visit(levels, marks, len(levels) - 1, 0, bits, hashes)
    flags = bytes(sum(bit << n for n, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    head = len(leaves).to_bytes(4, "little") + compact_size(len(hashes))
    return b"".join((head, *hashes, compact_size(len(flags)), flags))


def _visit(
    levels: Sequence[Sequence[Hash]],
    marks: Sequence[Sequence[bool]],
    level: int,
    place: int,
    bits: list[bool],
    hashes: list[Hash],
) -> None:
    marked = marks[level][place]
    bits.append(marked)
    if level == 0 or not marked:
        hashes.append(levels[level][place])
        return
    for child in (2 * place, 2 * place + 1):
        if child < len(levels[level - 1]):
            _visit(levels, marks, level - 1, child, bits, hashes)


class _Walk:
    """Goes through a tree as the flag bits say; every bit and hash must be used, exactly once."""

    def __init__(self, count: int, hashes: Sequence[Hash], flags: bytes) -> None:
        self.proven: list[Hash] = []
        self._count = count
        self._hashes: Iterator[Hash] = iter(hashes)
        self._bits = iter([bool(byte >> n & 1) for byte in flags for n in range(8)])
        self._used = 0

    def root(self) -> Hash:
        level = (self._count - 1).bit_length()
        return self._node(level, 0)

    def finish(self, flags: bytes) -> None:
        if next(self._hashes, None) is not None:
            raise BadPartialTree("more hashes than the tree has")
        if (self._used + 7) // 8 != len(flags) or any(self._bits):
            raise BadPartialTree("more flag bits than the tree has")

    def _node(self, level: int, place: int) -> Hash:
        marked = next(self._bits, None)
        if marked is None:
            raise BadPartialTree("fewer flag bits than the tree has")
        self._used += 1
        if level == 0 or not marked:
            found = next(self._hashes, None)
            if found is None:
                raise BadPartialTree("fewer hashes than the tree has")
            if level == 0 and marked:
                self.proven.append(found)
            return found
        left = self._node(level - 1, 2 * place)
        if 2 * place + 1 >= _width(self._count, level - 1):
            return sha256d(left + left)
        right = self._node(level - 1, 2 * place + 1)
        if left == right:
            raise BadPartialTree("two nodes are equal")
        return sha256d(left + right)


def decode(data: bytes, root: Hash, count: int) -> list[Hash]:
    """The proven leaves, in the tree's order, of a tree of ``count`` leaves under ``root`` as a header has them.

    Raises :class:`BadPartialTree`, and ``DecodeError`` when the bytes are cut short.
    """
    reader = Reader(data)
    if reader.u32() != count or count == 0:
        raise BadPartialTree("the tree has another number of leaves than the header says")
    hashes = [reader.take(HASH_SIZE) for _ in range(reader.count(HASH_SIZE))]
    flags = reader.var_bytes(len(data))
    reader.finish()
    walk = _Walk(count, hashes, flags)
    if walk.root() != root:
        raise BadPartialTree("the tree has another root than the header says")
    walk.finish(flags)
    return walk.proven

"""The 16-ary Merkle tree over the txids of a bundle (protocol.md 4).

A leaf is ``SHA256(00 ‖ txid)``, a node ``SHA256(01 ‖ up to 16 children)``, and the shape follows from
the count alone: every level is cut into groups of 16 until one hash is left.  The count is signed beside the
root, so a path has one shape only.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

FANOUT = 16
EMPTY = bytes(32)
_LEAF = b"\x00"
_NODE = b"\x01"

Path = tuple[tuple[bytes, ...], ...]
"""Per level from the leaves up: the siblings in the group, in order, without the node itself."""


def root16(leaves: Sequence[bytes]) -> bytes:
    """Return the root over 32-byte txids; zeros for none, the leaf hash itself for one."""
    if not leaves:
        return EMPTY
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def path16(leaves: Sequence[bytes], index: int) -> Path:
    """Return the path that proves ``leaves[index]`` (IndexError outside of the list)."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    path: list[tuple[bytes, ...]] = []
    while len(level) > 1:
        start = index - index % FANOUT
        group = level[start : start + FANOUT]
        path.append(tuple(group[: index - start] + group[index - start + 1 :]))
        level = _parents(level)
        index //= FANOUT
    return tuple(path)


def verify16(leaf: bytes, index: int, count: int, path: Path, root: bytes) -> bool:
    """Tell whether ``path`` proves that ``leaf`` is number ``index`` of ``count`` under ``root``."""
    if not 0 <= index < count or len(leaf) != 32:
        return False
    node, remaining = sha256(_LEAF + leaf).digest(), list(path)
    while count > 1:
        start = index - index % FANOUT
        if not remaining or len(remaining[0]) != min(FANOUT, count - start) - 1:
            return False
        siblings = remaining.pop(0)
        if any(len(sibling) != 32 for sibling in siblings):
            return False
        at = index - start
        node = sha256(_NODE + b"".join(siblings[:at]) + node + b"".join(siblings[at:])).digest()
        index, count = index // FANOUT, -(-count // FANOUT)
    return not remaining and node == root


def path_lengths(index: int, count: int) -> tuple[int, ...]:
    """Return how many siblings each level of the path of ``index`` among ``count`` leaves has."""
    lengths: list[int] = []
    while count > 1:
        lengths.append(min(FANOUT, count - (index - index % FANOUT)) - 1)
        index, count = index // FANOUT, -(-count // FANOUT)
    return tuple(lengths)


def _parents(level: list[bytes]) -> list[bytes]:
    return [
        sha256(_NODE + b"".join(level[start : start + FANOUT])).digest()
        for start in range(0, len(level), FANOUT)
    ]

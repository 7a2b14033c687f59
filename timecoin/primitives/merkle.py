"""Bitcoin's merkle trees over transaction ids, without the ambiguity of their duplicated last node.

Where a level has an odd number of nodes the last is paired with itself, so a list that repeats its tail has
the root of the shorter list (CVE-2012-2459). The protocol therefore forbids equal leaves, and with that a
root fixes its list.
"""

from __future__ import annotations

from collections.abc import Sequence

from .hashes import HASH_SIZE, ZERO, Hash, sha256d

__all__ = ["DuplicateLeaves", "merkle_branch", "merkle_root", "merkle_verify"]


class DuplicateLeaves(ValueError):
    """Two leaves of a merkle tree are equal (protocol.md section 2)."""


def _checked(leaves: Sequence[Hash]) -> list[Hash]:
    if len(set(leaves)) != len(leaves):
        raise DuplicateLeaves("a leaf occurs twice")
    if any(len(leaf) != HASH_SIZE for leaf in leaves):
        raise ValueError(f"a leaf has {HASH_SIZE} bytes")
    return list(leaves)


def _parents(level: list[Hash]) -> list[Hash]:
    """The level above ``level``, which is made even in place."""
    if len(level) % 2:
        level.append(level[-1])
    return [sha256d(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]


def merkle_root(leaves: Sequence[Hash]) -> Hash:
    """The root over ``leaves`` in their order; :data:`~timecoin.primitives.hashes.ZERO` when there are none.

    Raises :class:`DuplicateLeaves` when two are equal, ``ValueError`` when one is not 32 bytes.
    """
    level = _checked(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0] if level else ZERO


def merkle_branch(leaves: Sequence[Hash], index: int) -> tuple[Hash, ...]:
    """The siblings on the way from leaf ``index`` to the root, from below.

    Raises ``IndexError`` for a leaf that is not there, otherwise as :func:`merkle_root`.
    """
    level = _checked(leaves)
    if not 0 <= index < len(level):
        raise IndexError(f"no leaf {index} among {len(level)}")
    branch = []
    while len(level) > 1:
        above = _parents(level)
        branch.append(level[index ^ 1])
        level, index = above, index // 2
    return tuple(branch)


def merkle_verify(leaf: Hash, index: int, count: int, branch: Sequence[Hash], root: Hash) -> bool:
    """Whether ``leaf`` is number ``index`` of the ``count`` leaves under ``root``.

    ``count`` comes from a header. It fixes the length of ``branch`` and where a node is its own sibling;
    nowhere else may a sibling equal the node. So an inner node or a repeated tail never passes as a leaf.
    Never raises on ``bytes`` and ``int``.
    """
    if not 0 <= index < count or len(branch) != (count - 1).bit_length():
        return False
    node = leaf
    for sibling in branch:
        is_own_sibling = index % 2 == 0 and index + 1 == count
        if len(sibling) != HASH_SIZE or (sibling == node) != is_own_sibling:
            return False
        node = sha256d(sibling + node if index % 2 else node + sibling)
        index, count = index // 2, (count + 1) // 2
    return len(leaf) == HASH_SIZE and node == root

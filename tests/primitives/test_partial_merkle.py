"""Partial merkle trees: every subset of small trees, Bitcoin's own bytes, and what must not pass."""

from __future__ import annotations

from itertools import combinations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, sha256d
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.partial_merkle import BadPartialTree, decode, encode


def leaves(count: int) -> list[Hash]:
    return [sha256d(bytes([n])) for n in range(count)]


class PartialMerkleTests(SynchronousTestCase):
    def test_every_subset(self) -> None:
        for count in range(1, 8):
            tree = leaves(count)
            for size in range(count + 1):
                for chosen in combinations(tree, size):
                    data = encode(tree, frozenset(chosen))
                    self.assertEqual(decode(data, merkle_root(tree), count), list(chosen))

    def test_bitcoins_bytes(self) -> None:
        # BIP 37's example: the second of two leaves; count 2, hashes left and right, bits 1 0 1.
        left, right = leaves(2)
        expected = b"\2\0\0\0" + b"\2" + left + right + b"\1" + b"\5"
        self.assertEqual(encode([left, right], frozenset([right])), expected)

    def test_any_changed_byte(self) -> None:
        tree = leaves(5)
        data = encode(tree, frozenset([tree[3]]))
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x80
            with self.assertRaises(DecodeError, msg=at):
                decode(bytes(changed), merkle_root(tree), 5)

    def test_cut_and_longer(self) -> None:
        tree = leaves(5)
        data = encode(tree, frozenset(tree))
        for wrong in (data[:-1], data + b"\0", b""):
            with self.assertRaises(DecodeError):
                decode(wrong, merkle_root(tree), 5)

    def test_an_inner_node_is_no_leaf(self) -> None:
        # CVE-2017-12842: a tree that claims fewer leaves makes inner nodes look like them.
        tree = leaves(4)
        inner = [sha256d(tree[0] + tree[1]), sha256d(tree[2] + tree[3])]
        forged = encode(inner, frozenset(inner[:1]))
        self.assertEqual(decode(forged, merkle_root(tree), 2), inner[:1])
        with self.assertRaises(BadPartialTree):
            decode(forged, merkle_root(tree), 4)

    def test_a_repeated_tail_is_no_tree(self) -> None:
        # CVE-2012-2459: the root of three leaves is that of four with the last one twice.
        tree = leaves(3)
        doubled = encode([*tree, tree[2]], frozenset([tree[2]]))
        with self.assertRaises(BadPartialTree):
            decode(doubled, merkle_root(tree), 4)

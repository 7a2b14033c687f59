"""Merkle roots of real Bitcoin blocks, branches, and what must not pass as a proof."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.hashes import ZERO, display, parse_display, sha256, sha256d
from timecoin.primitives.merkle import DuplicateLeaves, merkle_branch, merkle_root, merkle_verify

# Bitcoin block 100,000.
_BLOCK_100000 = (
    "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766",
    (
        "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
        "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
        "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
        "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
    ),
)
# Bitcoin testnet block 000000005ee8f3674748276fdc56a0202714d94bde87cd943195cc84cf57caf0: ten leaves, so that
# odd levels occur (bitcoinjs-lib, test/fixtures/block.json). The root there is in wire order.
_TESTNET_BLOCK = (
    "d341de2b601a52ae3eb4f350b927ce5e6ef4f9e32839b59ae611d94153afbd0e",
    (
        "eae0c60ac14b054774b84a8af0e04c001ae9e022f2af315680ff29805f7e029c",
        "afad0f767b4022d96278c2dfe6cccad1fc484e4639baa542262416887bd75e0f",
        "9bc6ada290ed4275da99ac09cf1d860428c7dee4fde6e7ebf3d16abc7b152ea8",
        "0f63d8d6ec526efc5d1c5a39da3d87df89a7030de0276ad3c8ec90e29175366f",
        "7c0be84f73c973b2320b0fd1b349d9d86750e0c28a389931478d21fe9f303c60",
        "4bd100ad52ba1304197fdaab9343843f052a43b0aaf5a26e1ebcb4737bef7d11",
        "b37027580682e94966cab2e73a163383aefa9aaae71cdcae940a79d235a1a400",
        "ad70662392a7cfa930a7b0a8eae190e5ca0ba972bf4cd1132eb09b4b1ee211cd",
        "3e718f2cbde4a7b0f724e06ed7d2d9fdf936e8a4da5e28f5149c33ee3de1a7f4",
        "d13b5e718ff51cca099a8cfaaa056606b8d60b3ac51b271a555ee30fc54b5579",
    ),
)


def _leaves(count: int) -> list[bytes]:
    return [sha256(bytes([n])) for n in range(count)]


class RootTests(SynchronousTestCase):
    def test_real_blocks(self) -> None:
        for root, txids in (_BLOCK_100000, _TESTNET_BLOCK):
            self.assertEqual(display(merkle_root([parse_display(txid) for txid in txids])), root)

    def test_smallest_trees(self) -> None:
        a, b, c = _leaves(3)
        self.assertEqual(merkle_root([]), ZERO)
        self.assertEqual(merkle_root([a]), a)
        self.assertEqual(merkle_root([a, b]), sha256d(a + b))
        self.assertEqual(merkle_root([a, b, c]), sha256d(sha256d(a + b) + sha256d(c + c)))

    def test_leaves_are_left_alone(self) -> None:
        leaves = _leaves(3)
        merkle_root(leaves)
        self.assertEqual(leaves, _leaves(3))

    def test_repeated_tail(self) -> None:
        # CVE-2012-2459: in Bitcoin these lists have the root of the shorter one.
        a, b, c, d, e, f = _leaves(6)
        for leaves in ([a, b, c, c], [a, b, c, d, e, f, e, f], [a, a], [a, b, a]):
            with self.assertRaises(DuplicateLeaves):
                merkle_root(leaves)
            with self.assertRaises(DuplicateLeaves):
                merkle_branch(leaves, 0)

    def test_leaf_of_another_size(self) -> None:
        with self.assertRaises(ValueError):
            merkle_root([bytes(31)])


class BranchTests(SynchronousTestCase):
    def test_every_leaf_of_small_trees(self) -> None:
        for count in range(1, 18):
            leaves = _leaves(count)
            root = merkle_root(leaves)
            for index, leaf in enumerate(leaves):
                branch = merkle_branch(leaves, index)
                self.assertTrue(merkle_verify(leaf, index, count, branch, root))
                for other in range(count):
                    if other != index:
                        self.assertFalse(merkle_verify(leaf, other, count, branch, root))

    def test_wrong_proofs(self) -> None:
        leaves = _leaves(5)
        root = merkle_root(leaves)
        branch = merkle_branch(leaves, 1)
        for leaf, index, count, path, expected in (
            (leaves[0], 1, 5, branch, root),
            (leaves[1], 1, 5, branch[:-1], root),
            (leaves[1], 1, 5, (*branch, ZERO), root),
            (leaves[1], 1, 5, (ZERO, *branch[1:]), root),
            (leaves[1], 1, 5, (branch[0] + b"\x00", *branch[1:]), root),
            (leaves[1], 1, 5, branch, ZERO),
            (leaves[1], -1, 5, branch, root),
            (leaves[1], 5, 5, branch, root),
            (leaves[1], 1, 0, branch, root),
            (leaves[1][:31], 1, 5, branch, root),
            (leaves[0] + leaves[1], 0, 3, branch[1:], root),
        ):
            self.assertFalse(merkle_verify(leaf, index, count, path, expected))

    def test_inner_node_is_no_leaf(self) -> None:
        leaves = _leaves(4)
        root = merkle_root(leaves)
        inner = sha256d(leaves[0] + leaves[1])
        self.assertFalse(merkle_verify(inner, 0, 4, (sha256d(leaves[2] + leaves[3]),), root))

    def test_repeated_tail_is_no_leaf(self) -> None:
        # With three leaves Bitcoin's tree could also prove a fourth, equal to the third.
        a, b, c = leaves = _leaves(3)
        root = merkle_root(leaves)
        self.assertTrue(merkle_verify(c, 2, 3, (c, sha256d(a + b)), root))
        self.assertFalse(merkle_verify(c, 3, 4, (c, sha256d(a + b)), root))
        self.assertFalse(merkle_verify(c, 2, 4, (c, sha256d(a + b)), root))

    def test_no_such_leaf(self) -> None:
        for index in (-1, 3):
            with self.assertRaises(IndexError):
                merkle_branch(_leaves(3), index)

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.tree16 import EMPTY, path16, path_lengths, root16, verify16


def leaves(count: int) -> list[bytes]:
    return [sha256(b"%d" % n).digest() for n in range(count)]


class TreeTests(SynchronousTestCase):
    def test_shape_by_hand(self) -> None:
        some = leaves(17)
        hashed = [sha256(b"\x00" + leaf).digest() for leaf in some]
        first = sha256(b"\x01" + b"".join(hashed[:16])).digest()
        second = sha256(b"\x01" + hashed[16]).digest()
        self.assertEqual(root16(some), sha256(b"\x01" + first + second).digest())
        self.assertEqual(root16(some[:16]), first)
        self.assertEqual(root16(some[:1]), hashed[0])
        self.assertEqual(root16([]), EMPTY)

    def test_every_leaf_is_proved_at_its_place_only(self) -> None:
        for count in (1, 2, 15, 16, 17, 255, 256, 257, 300):
            some = leaves(count)
            root = root16(some)
            for index in {0, count // 2, count - 1}:
                path = path16(some, index)
                self.assertEqual(tuple(len(level) for level in path), path_lengths(index, count))
                self.assertTrue(verify16(some[index], index, count, path, root))
                self.assertFalse(verify16(sha256(b"x").digest(), index, count, path, root))
                self.assertFalse(verify16(some[index], index, count, path, sha256(root).digest()))
                if count > 1:
                    other = (index + 1) % count
                    self.assertFalse(verify16(some[index], other, count, path, root))

    def test_paths_of_wrong_shape_prove_nothing(self) -> None:
        some = leaves(20)
        root, path = root16(some), path16(some, 3)
        self.assertFalse(verify16(some[3], 3, 20, path[:-1], root))
        self.assertFalse(verify16(some[3], 3, 20, (*path, ()), root))
        self.assertFalse(verify16(some[3], 3, 20, (path[0][:-1], path[1]), root))
        self.assertFalse(verify16(some[3], 20, 20, path, root))
        self.assertFalse(verify16(some[3], -1, 20, path, root))

    def test_a_node_is_no_leaf(self) -> None:
        some = leaves(32)
        level = [root16(some[:16]), root16(some[16:])]
        self.assertEqual(root16(some), sha256(b"\x01" + b"".join(level)).digest())
        self.assertFalse(verify16(level[0], 0, 2, ((level[1],),), root16(some)))

    def test_index_outside(self) -> None:
        self.assertRaises(IndexError, path16, leaves(3), 3)
        self.assertRaises(IndexError, path16, [], 0)

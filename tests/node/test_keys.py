"""Keys on disk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import scratch
from timecoin.node.keys import NODE_KEY, node_secret, read_secret
from timecoin.node.root import StartRefused
from timecoin.primitives.signing import get_backend

BACKEND = get_backend()


class KeysTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)

    def test_made_once(self) -> None:
        secret = node_secret(self.path, BACKEND)
        self.assertTrue(BACKEND.is_secret(secret))
        self.assertEqual(node_secret(self.path, BACKEND), secret)
        file = self.path / NODE_KEY
        self.assertEqual((file.stat().st_mode & 0o777, file.read_text()), (0o600, secret.hex() + "\n"))

    def test_two_directories_have_two_keys(self) -> None:
        self.assertNotEqual(node_secret(self.path, BACKEND), node_secret(scratch(self), BACKEND))

    def test_a_damaged_key_is_not_replaced(self) -> None:
        file = self.path / NODE_KEY
        file.write_text("00" * 31)
        self.assertRaises(StartRefused, node_secret, self.path, BACKEND)
        self.assertEqual(file.read_text(), "00" * 31)

    def test_refused(self) -> None:
        file = self.path / "operator.key"
        order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        for text in ("", "zz" * 32, "11" * 33, "00" * 32, order):
            file.write_text(text)
            with self.assertRaises(StartRefused) as refused:
                read_secret(file, BACKEND)
            self.assertIn(str(file), str(refused.exception))
            self.assertNotIn(text or "?", str(refused.exception).replace(str(file), ""))
        file.write_bytes(b"\xff" * 64)
        self.assertRaises(StartRefused, read_secret, file, BACKEND)
        self.assertRaises(StartRefused, read_secret, self.path / "absent", BACKEND)

    def test_white_space_around_it(self) -> None:
        file = self.path / "operator.key"
        file.write_text(" " + "11" * 32 + "\r\n")
        self.assertEqual(read_secret(file, BACKEND), b"\x11" * 32)

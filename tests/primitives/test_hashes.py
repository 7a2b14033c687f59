"""Hash functions against published digests, and the displayed order."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import hashes


class HashTests(SynchronousTestCase):
    def test_sha256_of_abc(self) -> None:
        # FIPS 180-2, appendix B.1.
        expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        self.assertEqual(hashes.sha256(b"abc").hex(), expected)

    def test_sha256d_of_bitcoin_genesis_header(self) -> None:
        # Bitcoin's block 0.
        header = bytes.fromhex(
            "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
            "29ab5f49ffff001d1dac2b7c"
        )
        expected = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        self.assertEqual(hashes.display(hashes.sha256d(header)), expected)

    def test_hash160_of_generator(self) -> None:
        # BIP 173: the program of its example addresses is the hash of this key.
        key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
        self.assertEqual(hashes.hash160(key).hex(), "751e76e8199196d454941c45d1b3a323f1433bd6")

    def test_tagged_hash_is_its_definition(self) -> None:
        tag_hash = hashes.sha256(b"timecoin/vote")
        for body in (b"", b"x", bytes(200)):
            expected = hashes.sha256(tag_hash + tag_hash + body)
            self.assertEqual(hashes.tagged_hash("timecoin/vote", body), expected)
            # The kept mid-state must not have absorbed the previous body.
            self.assertEqual(hashes.tagged_hash("timecoin/vote", body), expected)

    def test_tags_separate(self) -> None:
        self.assertNotEqual(hashes.tagged_hash("a", b"x"), hashes.tagged_hash("b", b"x"))


class DisplayTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        value = bytes(range(32))
        self.assertEqual(hashes.display(value)[:4], "1f1e")
        self.assertEqual(hashes.parse_display(hashes.display(value)), value)
        self.assertEqual(hashes.parse_display(hashes.display(value).upper()), value)

    def test_order_is_that_of_the_text(self) -> None:
        values = [hashes.sha256(bytes([i])) for i in range(50)]
        by_text = sorted(values, key=hashes.display)
        self.assertEqual(sorted(values, key=hashes.display_order), by_text)

    def test_refuses_what_is_no_hash(self) -> None:
        good = "ab" * 32
        for text in ("", good[:-1], good + "0", good[:-1] + "g", " " + good[1:], good[:-2] + "\u0663\u0663"):
            with self.assertRaises(ValueError, msg=text):
                hashes.parse_display(text)
        # bytes.fromhex would skip this space and come out one byte short.
        with self.assertRaises(ValueError):
            hashes.parse_display("ab" * 31 + " a")

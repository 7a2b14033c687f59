"""Extended keys against the vectors of BIP 32 and embit."""

from __future__ import annotations

import copy
import pickle

from embit.bip32 import HDKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.vectors.files import load
from timecoin.ledger.networks import MAIN_KEYS, TEST_KEYS
from timecoin.wallet.errors import BadKey, NotPrivate
from timecoin.wallet.hd import ExtendedPublicKey, ExtendedSecretKey, parse_extended, secret_half
from timecoin.wallet.paths import HARDENED, format_path, parse_path

VECTORS = load("bip32")
MASTER = ExtendedSecretKey.from_seed(bytes(range(16)))
BOUNDED = settings(deadline=None, derandomize=True, max_examples=50, database=None)


class Published(SynchronousTestCase):
    def test_chains_one_to_four(self) -> None:
        self.assertEqual(len(VECTORS["chains"]), 17)
        for case in VECTORS["chains"]:
            found = ExtendedSecretKey.from_seed(bytes.fromhex(case["seed"])).derive(parse_path(case["path"]))
            self.assertEqual(found.reveal(MAIN_KEYS), case["xprv"])
            self.assertEqual(found.public().text(MAIN_KEYS), case["xpub"])
            self.assertEqual(parse_extended(case["xprv"], MAIN_KEYS), found)
            self.assertEqual(parse_extended(case["xpub"], MAIN_KEYS), found.public())
            self.assertEqual(found.public().fingerprint, found.fingerprint)

    def test_public_derivation_where_the_last_step_is_not_hardened(self) -> None:
        known = {case["seed"] + case["path"]: case["xpub"] for case in VECTORS["chains"]}
        checked = 0
        for case in VECTORS["chains"]:
            above, _, step = case["path"].rpartition("/")
            if above and not step.endswith("h"):
                parent = parse_extended(known[case["seed"] + above], MAIN_KEYS)
                assert isinstance(parent, ExtendedPublicKey)
                self.assertEqual(parent.child(int(step)).text(MAIN_KEYS), case["xpub"])
                self.assertEqual(parent.child_key(int(step)), parent.child(int(step)).public_key)
                checked += 1
        self.assertEqual(checked, 6)

    def test_invalid_keys_of_vector_five(self) -> None:
        self.assertEqual(len(VECTORS["invalid"]), 16)
        for case in VECTORS["invalid"]:
            error = self.assertRaises(BadKey, parse_extended, case["key"], MAIN_KEYS)
            self.assertNotIn(case["key"][20:40], str(error))


class Texts(SynchronousTestCase):
    def test_version_bytes_of_test_networks(self) -> None:
        self.assertTrue(MASTER.reveal(TEST_KEYS).startswith("tprv"))
        self.assertTrue(MASTER.public().text(TEST_KEYS).startswith("tpub"))
        self.assertEqual(parse_extended(MASTER.reveal(TEST_KEYS), TEST_KEYS), MASTER)

    def test_keys_of_another_network_or_kind_are_refused(self) -> None:
        # SLIP 132, "zpub" of the seed "abandon … about": the same account under other version bytes.
        zpub = (
            "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1"
            "ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
        )
        foreign = (MASTER.reveal(TEST_KEYS), MASTER.public().text(TEST_KEYS), zpub)
        for text in (*foreign, "", "xpub", "x" * 111, "é" * 111):
            self.assertRaises(BadKey, parse_extended, text, MAIN_KEYS)

    def test_a_changed_letter_is_seen(self) -> None:
        text = MASTER.public().text(MAIN_KEYS)
        for at in range(4, len(text), 9):
            other = "2" if text[at] != "2" else "3"
            self.assertRaises(BadKey, parse_extended, text[:at] + other + text[at + 1 :], MAIN_KEYS)


class Bounds(SynchronousTestCase):
    def test_hardened_children_need_the_private_key(self) -> None:
        public = MASTER.public()
        for derive in (public.child, public.child_key):
            self.assertRaises(BadKey, derive, HARDENED)
        self.assertRaises(BadKey, public.child_key, -1)
        self.assertRaises(NotPrivate, secret_half, public)
        self.assertIs(secret_half(MASTER), MASTER)

    def test_depth_and_index(self) -> None:
        deep = MASTER.derive([0] * 255)
        self.assertEqual(deep.depth, 255)
        self.assertRaises(BadKey, deep.child, 0)
        self.assertRaises(BadKey, deep.public().child, 0)
        for index in (-1, 1 << 32):
            self.assertRaises(BadKey, MASTER.child, index)

    def test_seeds(self) -> None:
        for size in (0, 15, 65):
            self.assertRaises(BadKey, ExtendedSecretKey.from_seed, bytes(size))


class AsEmbit(SynchronousTestCase):
    @BOUNDED
    @given(
        st.binary(min_size=16, max_size=64),
        st.lists(st.integers(0, 2**32 - 1), max_size=4),
        st.integers(0, HARDENED - 1),
    )
    def test_derivation(self, seed: bytes, path: list[int], last: int) -> None:
        ours = ExtendedSecretKey.from_seed(seed).derive(path)
        theirs = HDKey.from_seed(seed).derive(path)
        self.assertEqual(ours.reveal(MAIN_KEYS), theirs.to_base58())
        child = theirs.to_public().child(last)
        self.assertEqual(ours.public().child(last).text(MAIN_KEYS), child.to_base58())
        self.assertEqual(ours.child(last).public(), ours.public().child(last))


class Paths(SynchronousTestCase):
    @BOUNDED
    @given(st.lists(st.integers(0, 2**32 - 1), max_size=6).map(tuple))
    def test_round_trip(self, path: tuple[int, ...]) -> None:
        self.assertEqual(parse_path(format_path(path)), path)
        self.assertEqual(parse_path("m/" + format_path(path)), path)

    def test_all_marks_of_hardened_steps(self) -> None:
        self.assertEqual(parse_path("m/84'/1h/0H"), (HARDENED + 84, HARDENED + 1, HARDENED))
        self.assertEqual(parse_path("m"), ())

    def test_refused(self) -> None:
        for text in (
            "/",
            "1/",
            "/1",
            "1//2",
            "-1",
            "+1",
            " 1",
            "1 ",
            "01",
            "1_0",
            "2147483648",
            "x",
            "1hh",
            "h",
            "*",
            "٣",
            "m1",
        ):
            self.assertRaises(BadKey, parse_path, text)
        self.assertRaises(BadKey, parse_path, "/".join(["1"] * 256))


class Silent(SynchronousTestCase):
    def test_no_secret_in_repr_str_or_pickle(self) -> None:
        for text in (repr(MASTER), str(MASTER), f"{MASTER}", repr([MASTER])):
            self.assertNotIn("prv", text)
            self.assertNotIn(MASTER.secret().hex()[:16], text)
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            self.assertRaises(TypeError, take, MASTER)

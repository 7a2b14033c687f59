"""The vault: what it protects, what it refuses, and that nothing of it shows."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.hashes import sha256
from timecoin.wallet.errors import BadPassphrase, DamagedVault, VaultError, VaultLocked, WrongPassphrase
from timecoin.wallet.secrets import DEFAULT_COST, Cost, Draw, MasterKey, Vault

WALLET = b"wallet number 01"
CHEAP = Cost(14, 1, 1)
SECRET = b"abandon abandon about"


def counted(seed: bytes = b"") -> Draw:
    """Different bytes at each call."""
    calls = iter(range(100_000))
    return lambda size: (sha256(seed + next(calls).to_bytes(4, "big")) * 2)[:size]


def encrypted(passphrase: str = "right") -> tuple[Vault, dict[bytes, bytes]]:
    plain = Vault(WALLET, counted())
    records = {name: plain.seal(name, SECRET + name) for name in (b"words", b"descriptor")}
    return plain.encrypted(passphrase, records, CHEAP)


UNLOCKED = encrypted()[0]


class Unencrypted(SynchronousTestCase):
    def test_records_are_stored_as_they_are(self) -> None:
        vault = Vault(WALLET, counted())
        self.assertFalse(vault.is_encrypted or vault.is_locked)
        self.assertIn(SECRET, vault.seal(b"words", SECRET))
        again = Vault.decode(vault.encode(), WALLET, counted())
        self.assertEqual(again.open(b"words", vault.seal(b"words", SECRET)), SECRET)

    def test_there_is_no_passphrase_to_give(self) -> None:
        vault = Vault(WALLET, counted())
        self.assertRaises(DamagedVault, vault.unlock, "x")
        vault.lock()
        self.assertFalse(vault.is_locked)


class Encrypted(SynchronousTestCase):
    def test_opens_with_the_passphrase_alone(self) -> None:
        made, records = encrypted()
        vault = Vault.decode(made.encode(), WALLET, counted())
        self.assertTrue(vault.is_locked and vault.is_encrypted)
        self.assertRaises(VaultLocked, vault.open, b"words", records[b"words"])
        self.assertRaises(VaultLocked, vault.seal, b"words", SECRET)
        for wrong in ("Right", "right ", "left"):
            self.assertRaises(WrongPassphrase, vault.unlock, wrong)
            self.assertTrue(vault.is_locked)
        vault.unlock("right")
        for name, sealed in records.items():
            self.assertEqual(vault.open(name, sealed), SECRET + name)

    def test_lock_forgets(self) -> None:
        vault, records = encrypted()
        self.assertFalse(vault.is_locked)
        vault.lock()
        self.assertRaises(VaultLocked, vault.open, b"words", records[b"words"])

    def test_nothing_is_left_in_plain(self) -> None:
        vault, records = encrypted()
        for data in (vault.encode(), *records.values()):
            self.assertNotIn(SECRET[:8], data)
            self.assertNotIn(b"right", data)

    def test_a_record_opens_in_its_own_place_only(self) -> None:
        vault, records = encrypted()
        self.assertRaises(DamagedVault, vault.open, b"descriptor", records[b"words"])
        self.assertRaises(DamagedVault, vault.open, b"word", records[b"words"])

    def test_nor_in_another_wallet_with_the_same_passphrase_or_key(self) -> None:
        made, records = encrypted()
        other = Vault.decode(made.encode(), b"wallet number 02", counted())
        self.assertRaises(WrongPassphrase, other.unlock, "right")
        key = Vault.decode(made.encode(), WALLET, counted()).master_key("right")
        other.admit(key)
        self.assertRaises(DamagedVault, other.open, b"words", records[b"words"])

    def test_equal_secrets_do_not_look_equal(self) -> None:
        vault, _ = encrypted()
        self.assertNotEqual(vault.seal(b"words", SECRET), vault.seal(b"words", SECRET))

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.binary(max_size=40), st.binary(max_size=300))
    def test_round_trip(self, name: bytes, plain: bytes) -> None:
        for vault in (UNLOCKED, Vault(WALLET, counted())):
            self.assertEqual(vault.open(name, vault.seal(name, plain)), plain)

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.integers(0, 10_000), st.integers(1, 255))
    def test_each_changed_byte_is_seen(self, at: int, change: int) -> None:
        vault, records = encrypted()
        sealed = bytearray(records[b"words"])
        sealed[at % len(sealed)] ^= change
        self.assertRaises(DamagedVault, vault.open, b"words", bytes(sealed))

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.integers(0, 92), st.integers(1, 255))
    def test_each_changed_byte_of_the_header_is_seen(self, at: int, change: int) -> None:
        made, _ = encrypted()
        header = bytearray(made.encode())
        self.assertEqual(len(header), 81)
        header[at % 81] ^= change
        if header[3] * (1 << header[2]) > 1 << 17 or header[4] > 1:  # a costlier scrypt is only slower
            return
        try:
            vault = Vault.decode(bytes(header), WALLET, counted())
        except DamagedVault:
            return
        self.assertRaises(WrongPassphrase, vault.unlock, "right")

    def test_records_in_plain_are_not_taken_for_sealed_ones(self) -> None:
        vault, records = encrypted()
        self.assertRaises(DamagedVault, vault.open, b"words", b"\x00" + SECRET)
        self.assertRaises(DamagedVault, Vault(WALLET, counted()).open, b"words", records[b"words"])
        for short in (b"", b"\x01", b"\x01" + bytes(27)):
            self.assertRaises(DamagedVault, vault.open, b"words", short)

    def test_encrypting_twice_is_refused(self) -> None:
        vault, records = encrypted()
        self.assertRaises(DamagedVault, vault.encrypted, "again", records, CHEAP)


class AnotherPassphrase(SynchronousTestCase):
    def test_one_record_changes(self) -> None:
        vault, records = encrypted()
        changed = vault.with_passphrase("right", "better", CHEAP)
        self.assertNotEqual(changed.encode(), vault.encode())
        stored = Vault.decode(changed.encode(), WALLET, counted())
        self.assertRaises(WrongPassphrase, stored.unlock, "right")
        stored.unlock("better")
        self.assertEqual(stored.open(b"words", records[b"words"]), SECRET + b"words")

    def test_it_stays_locked_or_unlocked(self) -> None:
        vault, _ = encrypted()
        self.assertFalse(vault.with_passphrase("right", "better", CHEAP).is_locked)
        vault.lock()
        self.assertTrue(vault.with_passphrase("right", "better", CHEAP).is_locked)

    def test_the_old_one_is_needed(self) -> None:
        vault, _ = encrypted()
        self.assertRaises(WrongPassphrase, vault.with_passphrase, "wrong", "better", CHEAP)
        self.assertRaises(BadPassphrase, vault.with_passphrase, "right", "", CHEAP)

    def test_the_old_header_still_opens_what_it_did_before(self) -> None:
        vault, _ = encrypted()
        before = vault.encode()
        vault.with_passphrase("right", "better", CHEAP)
        Vault.decode(before, WALLET, counted()).unlock("right")


class Bounds(SynchronousTestCase):
    def test_passphrases(self) -> None:
        plain = Vault(WALLET, counted())
        for bad in ("", "x" * 1_025):
            self.assertRaises(BadPassphrase, plain.encrypted, bad, {}, CHEAP)
        for good in ("x", "\x00", "\u00fc\U0001f511", "\udcff"):
            vault, _ = plain.encrypted(good, {}, CHEAP)
            Vault.decode(vault.encode(), WALLET, counted()).unlock(good)

    def test_one_passphrase_in_two_forms_of_unicode(self) -> None:
        vault, _ = encrypted("caf\u00e9")
        Vault.decode(vault.encode(), WALLET, counted()).unlock("cafe\u0301")

    def test_costs_that_protect_nothing_or_take_all_memory(self) -> None:
        header = bytearray(encrypted()[0].encode())
        for at, value in ((2, 13), (2, 19), (2, 255), (3, 0), (3, 9), (4, 0), (4, 5)):
            changed = header.copy()
            changed[at] = value
            self.assertRaises(DamagedVault, Vault.decode, bytes(changed), WALLET, counted())
        for cost in (Cost(10, 8, 1), Cost(30, 8, 1), Cost(17, 0, 1)):
            self.assertRaises(DamagedVault, Vault(WALLET, counted()).encrypted, "x", {}, cost)

    def test_headers_that_are_none(self) -> None:
        header = encrypted()[0].encode()
        for data in (
            b"",
            b"\x01",
            b"\x02\x00",
            header[:-1],
            header + b"\x00",
            b"\x02" + header[1:],
            b"\x01\x02" + header[2:],
        ):
            self.assertRaises(DamagedVault, Vault.decode, data, WALLET, counted())

    def test_the_default_cost(self) -> None:
        self.assertGreaterEqual(128 * DEFAULT_COST.r << DEFAULT_COST.log_n, 128 * 2**20)
        vault, _ = Vault(WALLET, counted()).encrypted("dear", {})
        Vault.decode(vault.encode(), WALLET, counted()).unlock("dear")


class Silent(SynchronousTestCase):
    def test_no_secret_in_repr_str_or_pickle(self) -> None:
        vault, records = encrypted("a passphrase to look for")
        key = vault.master_key("a passphrase to look for")
        raw = key.seal(counted(b"k"), WALLET, b"x", b"")
        for thing in (vault, key):
            for text in (repr(thing), str(thing), f"{[thing]}"):
                self.assertNotIn("look for", text)
                self.assertNotIn("x0", text.replace("0x", ""))
            for take in (pickle.dumps, copy.copy, copy.deepcopy):
                self.assertRaises(TypeError, take, thing)
        self.assertEqual(repr(key), "<MasterKey>")
        self.assertNotIn(records[b"words"], raw)

    def test_no_secret_in_errors(self) -> None:
        vault, records = encrypted("a passphrase to look for")
        tries: list[Callable[[], object]] = [
            lambda: vault.unlock("another one to look for"),
            lambda: vault.open(b"x", records[b"words"]),
            lambda: vault.encrypted("another one to look for", {}),
            lambda: vault.with_passphrase("wrong one to look for", "another one to look for"),
        ]
        for attempt in tries:
            error = self.assertRaises(VaultError, attempt)
            self.assertNotIn("look for", repr(error))

    def test_a_key_opens_what_it_sealed(self) -> None:
        key = MasterKey(bytes(32))
        sealed = key.seal(counted(), WALLET, b"name", SECRET)
        self.assertEqual(key.open(WALLET, b"name", sealed), SECRET)
        self.assertIsNone(key.open(WALLET, b"nam", sealed))
        self.assertIsNone(key.open(WALLET[:-1], WALLET[-1:] + b"name", sealed))

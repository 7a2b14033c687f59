"""Wallet stores: atomic, durable, locked, backed up, restored, and rid of what must not stay on the disk."""

from __future__ import annotations

import logging
import os
import pickle
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import CHAIN_ID, scratch
from timecoin.ledger.networks import DEVNET
from timecoin.storage import wallet_database, wallet_files
from timecoin.storage.database import committing, connect, file_uri, open_database
from timecoin.storage.errors import (
    Damaged,
    DatabaseUnavailable,
    StorageError,
    WriteFailed,
    WrongGenesis,
    WrongSchema,
)
from timecoin.storage.wallet_errors import (
    BackupRefused,
    BadBackup,
    BadWalletName,
    NoSuchWallet,
    WalletExists,
    WalletInUse,
)
from timecoin.storage.wallet_names import list_wallets, wallet_path
from timecoin.storage.wallet_store import WalletStore
from timecoin.wallet.secrets import Cost, Vault

SAMPLE: dict[str, dict[bytes, bytes | None]] = {
    "transactions": {bytes([n]) * 32: bytes([n]) * (n * 40) for n in range(40)},
    "labels": {b"": b"", b"a": b"\x00"},
}
WORDS = b"legal winner thank year wave sausage"


def content(store: WalletStore) -> dict[str, Mapping[bytes, bytes]]:
    return {table: store.read(table) for table in ("transactions", "labels", "secrets")}


def found_in(path: Path, what: bytes) -> list[str]:
    return [each.name for each in path.rglob("*") if each.is_file() and what in each.read_bytes()]


class WalletCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)

    def create(self, name: str = "mine") -> WalletStore:
        store = WalletStore.create(self.path / name, CHAIN_ID)
        self.addCleanup(store.close)
        return store

    def open(self, name: str = "mine") -> WalletStore:
        store = WalletStore.open(self.path / name, CHAIN_ID)
        self.addCleanup(store.close)
        return store

    def restore(self, source: str = "backup", name: str = "restored") -> WalletStore:
        store = WalletStore.restore(self.path / source, self.path / name, CHAIN_ID)
        self.addCleanup(store.close)
        return store


class Tables(WalletCase):
    def test_what_was_committed_is_there_after_a_restart(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        before = content(store)
        self.assertEqual(before["transactions"], SAMPLE["transactions"])
        self.assertEqual(list(before["transactions"]), sorted(SAMPLE["transactions"]))
        wallet_id = store.wallet_id
        store.close()
        again = self.open()
        self.assertEqual(content(again), before)
        self.assertEqual(again.wallet_id, wallet_id)
        self.assertEqual(len(wallet_id), 16)

    def test_keys_are_replaced_and_removed(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.commit({"labels": {b"a": b"new", b"": None, b"never": None}})
        self.assertEqual(store.read("labels"), {b"a": b"new"})
        self.assertEqual(store.get("labels", b"a"), b"new")
        self.assertIsNone(store.get("labels", b""))
        self.assertIsNone(store.get("nothing", b""))
        self.assertEqual(store.read("nothing"), {})

    def test_a_part_of_a_table(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        found = store.items("transactions", bytes([30]) * 32, 3)
        self.assertEqual([key[0] for key, _ in found], [30, 31, 32])
        self.assertEqual(store.items("transactions", b"\xff" * 32), [])
        self.assertEqual(store.items("nothing"), [])

    def test_all_or_nothing(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        before = content(store)
        wrong: list[dict[str, dict[Any, Any]]] = [
            {"labels": {b"x": b"y"}, "Upper": {b"x": b"y"}},
            {"labels": {b"x": b"y", "text": b"y"}},
            {"labels": {b"a": b"y", b"x": "text"}},
            {"labels": {b"a": b"y", b"x" * 1_025: b""}},
            {"labels": {b"a": b"y", b"x": bytes(16 * 2**20 + 1)}},
            {"../labels": {b"a": b"y"}},
        ]
        for changes in wrong:
            self.assertRaises((ValueError, TypeError), store.commit, changes)
            self.assertEqual(content(store), before)
        store.commit({"labels": {b"works": b"still"}})

    def test_a_disk_that_fails_leaves_a_store_that_reads(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        before = content(store)

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(sys.modules["ZODB.FileStorage.FileStorage"], "fsync", full)
        logging.getLogger("txn").setLevel(logging.CRITICAL + 1)
        self.assertRaises(WriteFailed, store.commit, {"labels": {b"a": b"lost"}})
        # The bytes are in the file; whether they are on the disk is what could not be found out.
        self.assertIn(store.get("labels", b"a"), (b"lost", before["labels"][b"a"]))
        self.assertEqual(store.read("transactions"), before["transactions"])
        self.patch(sys.modules["ZODB.FileStorage.FileStorage"], "fsync", lambda descriptor: None)
        store.commit({"labels": {b"a": b"kept"}})
        self.assertEqual(store.get("labels", b"a"), b"kept")

    def test_a_closed_wallet_says_so(self) -> None:
        store = self.create()
        store.close()
        store.close()
        for ask in (lambda: store.read("labels"), lambda: store.get("labels", b""), lambda: store.commit(SAMPLE)):
            self.assertRaises(DatabaseUnavailable, ask)

    @settings(deadline=None, derandomize=True, max_examples=10, database=None)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(("labels", "secrets", "transactions")),
                st.dictionaries(st.binary(max_size=3), st.none() | st.binary(max_size=600), max_size=5),
                max_size=3,
            ),
            max_size=6,
        )
    )
    def test_as_a_dictionary(self, steps: list[dict[str, dict[bytes, bytes | None]]]) -> None:
        self.path = scratch(self)
        store = self.create()
        known: dict[str, dict[bytes, bytes]] = {}
        for n, changes in enumerate(steps):
            (store.commit if n % 3 else store.rewrite)(changes)
            for table, records in changes.items():
                rest = {key: value for key, value in known.get(table, {}).items() if key not in records}
                known[table] = rest | {key: value for key, value in records.items() if value is not None}
        store.backup(self.path / "backup")
        for each in (store, self.restore()):
            self.assertEqual({table: each.read(table) for table in known}, known)
            each.close()


class Places(WalletCase):
    def test_names(self) -> None:
        for good in ("a", "Till 4", "x.y-z_1", "a" * 64, "0"):
            self.assertEqual(wallet_path(self.path, good), self.path / good)
        bad = (
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/a",
            "a\x00",
            ".hidden",
            "a.",
            " a",
            "a ",
            "a" * 65,
            "é",
            "a\n",
            "-a",
            "a\\b",
        )
        for name in bad:
            self.assertRaises(BadWalletName, wallet_path, self.path, name)

    def test_listed(self) -> None:
        self.assertEqual(list_wallets(self.path / "none"), [])
        self.create("b").close()
        self.create("a")
        (self.path / "empty").mkdir()
        (self.path / "file").write_bytes(b"")
        self.assertEqual(list_wallets(self.path), ["a", "b"])

    def test_one_process(self) -> None:
        store = self.create()
        self.assertRaises(WalletInUse, WalletStore.open, store.path, CHAIN_ID)
        program = (
            "import sys; from pathlib import Path; from timecoin.storage.wallet_store import WalletStore\n"
            "try: WalletStore.open(Path(sys.argv[1]), bytes(range(32)))\n"
            "except Exception as error: print(type(error).__name__)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program, str(store.path)], capture_output=True, text=True, timeout=60, check=True
        )
        self.assertEqual(run.stdout.strip(), "WalletInUse")
        store.close()
        self.open()

    def test_never_over_another(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.close()
        self.assertRaises(WalletExists, self.create)
        self.assertEqual(self.open().read("labels"), SAMPLE["labels"])

    def test_that_are_not_there(self) -> None:
        self.assertRaises(NoSuchWallet, self.open, "none")
        self.assertFalse((self.path / "none").exists())

    def test_of_another_network(self) -> None:
        store = self.create()
        store.backup(self.path / "backup")
        store.close()
        self.assertRaises(WrongGenesis, WalletStore.open, store.path, bytes(32))
        self.assertRaises(WrongGenesis, WalletStore.restore, self.path / "backup", self.path / "new", bytes(32))
        self.open()

    def test_readable_by_the_owner_only(self) -> None:
        store = self.create()
        store.backup(self.path / "backup")
        store.rewrite()
        self.assertEqual(stat.S_IMODE(store.path.stat().st_mode), 0o700)
        for each in (store.path / "wallet.fs", self.path / "backup"):
            self.assertEqual(stat.S_IMODE(each.stat().st_mode), 0o600)


class Damages(WalletCase):
    def damaged(self, change: Any) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.close()
        (store.path / "wallet.fs.index").unlink(missing_ok=True)
        change(store.path / "wallet.fs")

    def test_a_file_of_something_else(self) -> None:
        for number, data in enumerate((b"", b"not a wallet", b"FS30" + b"x" * 200, bytes(500))):
            (self.path / str(number)).mkdir()
            (self.path / str(number) / "wallet.fs").write_bytes(data)
            self.assertRaises(StorageError, self.open, str(number))

    def test_another_kind_of_database_and_another_version(self) -> None:
        for name, identity in (
            ("a", None),
            ("b", ("blocks", 3, CHAIN_ID)),
            ("c", ("timecoin wallet", 2, "new")),
            ("d", 5),
            ("e", ("timecoin wallet", 1, CHAIN_ID, 7)),
        ):
            (self.path / name).mkdir()
            database = open_database(file_uri(self.path / name / "wallet.fs"))
            connection = connect(database)
            with committing(connection) as root:
                root["wallet" if identity else "other"] = identity
            connection.close()
            database.close()
            self.assertRaises(Damaged if name == "e" else WrongSchema, self.open, name)

    def test_a_write_that_the_end_of_the_machine_cut_off_is_gone(self) -> None:
        store = self.create()
        store.commit({"labels": {b"first": b"1"}})
        size = store.file_size
        store.commit({"labels": {b"second": b"2"}})
        store.close()
        (store.path / "wallet.fs.index").unlink()
        os.truncate(store.path / "wallet.fs", store.path.joinpath("wallet.fs").stat().st_size - 7)
        again = self.open()
        self.assertEqual(again.read("labels"), {b"first": b"1"})
        self.assertEqual(again.file_size, size)

    def test_bytes_that_turned(self) -> None:
        """A turned byte is an error or changes nothing; no wrong value is ever read."""
        store = self.create()
        store.commit(SAMPLE)
        store.close()
        file = store.path / "wallet.fs"
        whole, seen = file.read_bytes(), 0
        for at in range(4, len(whole), len(whole) // 60):
            (store.path / "wallet.fs.index").unlink(missing_ok=True)
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            try:
                again = WalletStore.open(store.path, CHAIN_ID)
            except StorageError:
                seen += 1
                continue
            try:
                for table, records in SAMPLE.items():
                    self.assertLessEqual(again.read(table).items(), records.items())
            except StorageError:
                seen += 1
            finally:
                again.close()
        self.assertGreater(seen, 40)

    def test_a_file_from_elsewhere_runs_nothing(self) -> None:
        """A wallet's file holds pickles; none may name anything but the few classes of a wallet."""
        store = self.create()
        store.close()
        file, ran = store.path / "wallet.fs", self.path / "ran"
        database = open_database(file_uri(file))
        connection = connect(database)
        with committing(connection) as root:
            root["tables"]["labels"] = Evil(str(ran))
        connection.close()
        database.close()
        again = self.open()
        self.assertRaises(Damaged, again.read, "labels")
        self.assertFalse(ran.exists())
        pickle.loads(pickle.dumps(Evil(str(ran))))
        self.assertTrue(ran.exists())


class Evil:
    """Runs something when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


class Backups(WalletCase):
    def test_restored_elsewhere(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.backup(self.path / "backup")
        store.commit({"labels": {b"later": b"x"}})
        again = self.restore()
        self.assertEqual(again.read("labels"), SAMPLE["labels"])
        self.assertEqual(again.read("transactions"), SAMPLE["transactions"])
        self.assertEqual(again.wallet_id, store.wallet_id)
        self.assertEqual(sorted(each.name for each in self.path.iterdir()), ["backup", "mine", "restored"])

    def test_nothing_that_was_overwritten_is_in_it(self) -> None:
        store = self.create()
        store.commit({"secrets": {b"words": WORDS}})
        store.commit({"secrets": {b"words": b"sealed"}})
        store.backup(self.path / "backup")
        self.assertNotIn("backup", found_in(self.path, WORDS))
        self.assertIn(b"sealed", (self.path / "backup").read_bytes())

    def test_never_over_something(self) -> None:
        store = self.create()
        (self.path / "backup").write_bytes(b"precious")
        self.assertRaises(BackupRefused, store.backup, self.path / "backup")
        self.assertEqual((self.path / "backup").read_bytes(), b"precious")
        (self.path / "link").symlink_to(self.path / "nowhere")
        for bad in (self.path / "link", self.path, self.path / "none" / "backup"):
            self.assertRaises(BackupRefused, store.backup, bad)
        self.assertFalse((self.path / "nowhere").exists())

    def test_a_full_disk_leaves_nothing(self) -> None:
        store = self.create()
        store.commit(SAMPLE)

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        error = self.assertRaises(BackupRefused, store.backup, self.path / "backup")
        self.assertIn("No space", str(error))
        self.assertFalse((self.path / "backup").exists())

    def test_restored_whole_or_not_at_all(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.backup(self.path / "backup")
        whole = (self.path / "backup").read_bytes()
        damages = [b"", b"no backup at all", whole[:30], whole + b"x", whole.replace(b"backup 1", b"backup 2")]
        damages += [whole[:at] for at in range(75, len(whole), len(whole) // 12)]
        for at in range(57, len(whole), len(whole) // 25):
            damages.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for data in damages:
            (self.path / "backup").write_bytes(data)
            self.assertRaises(BadBackup, self.restore)
            self.assertEqual(sorted(each.name for each in self.path.iterdir()), ["backup", "mine"])
        (self.path / "backup").write_bytes(whole)
        self.assertEqual(self.restore().read("labels"), SAMPLE["labels"])

    def test_never_over_another_wallet(self) -> None:
        store = self.create()
        store.backup(self.path / "backup")
        store.close()
        self.assertRaises(WalletExists, self.restore, name="mine")
        self.assertRaises(BadBackup, self.restore, "none")

    def test_made_while_others_write_is_of_one_moment(self) -> None:
        store = self.create()
        store.commit({"labels": {b"a": b"0", b"z": b"0"}, "transactions": SAMPLE["transactions"]})
        ends = threading.Event()

        def write() -> None:
            number = 0
            while not ends.is_set():
                number += 1
                store.commit({"labels": {b"a": b"%d" % number, b"z": b"%d" % number}})

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for n in range(8):
                store.backup(self.path / f"backup{n}")
        finally:
            ends.set()
            thread.join(60)
        for n in range(8):
            found = self.restore(f"backup{n}", f"restored{n}").read("labels")
            self.assertEqual(found[b"a"], found[b"z"])

    def test_of_many_records(self) -> None:
        store = self.create()
        many: dict[bytes, bytes | None] = {n.to_bytes(4, "big"): bytes(3_000) for n in range(3_000)}
        store.commit({"transactions": many})
        store.backup(self.path / "backup")
        self.assertEqual(self.restore().read("transactions"), many)


class Rewritten(WalletCase):
    def test_nothing_overwritten_is_left_in_the_directory(self) -> None:
        store = self.create()
        store.commit({"secrets": {b"words": WORDS, b"long": WORDS * 100}, **SAMPLE})
        for n in range(3):
            store.commit({"secrets": {b"words": b"sealed %d" % n, b"long": None}})
        self.assertIn("wallet.fs", found_in(store.path, WORDS))
        wiped = self.watch_wiping()
        store.rewrite()
        self.assertEqual(found_in(store.path, WORDS), [])
        self.assertIn(bytes(1_000), wiped)
        self.assertEqual(store.read("secrets"), {b"words": b"sealed 2"})
        self.assertEqual(store.read("transactions"), SAMPLE["transactions"])
        store.commit({"labels": {b"still": b"works"}})
        store.close()
        self.assertEqual(self.open().get("labels", b"still"), b"works")
        self.assertEqual(found_in(store.path, WORDS), [])

    def watch_wiping(self) -> bytearray:
        """What stands in the old file when it is removed."""
        seen = bytearray()
        unlink = Path.unlink

        def watching(path: Path, missing_ok: bool = False) -> None:
            if path.name == "wallet.fs.old":
                seen.extend(path.read_bytes())
            unlink(path, missing_ok)

        self.patch(Path, "unlink", watching)
        self.addCleanup(lambda: self.assertNotIn(WORDS, bytes(seen)))
        return seen

    def test_a_wallet_that_is_encrypted_later_leaves_no_plain_words(self) -> None:
        store = self.create()
        plain = Vault(store.wallet_id, os.urandom)
        store.commit({"vault": {b"header": plain.encode()}, "secrets": {b"words": plain.seal(b"words", WORDS)}})
        self.assertIn("wallet.fs", found_in(store.path, WORDS))
        vault, sealed = plain.encrypted("passphrase", store.read("secrets"), Cost(14, 1, 1))
        store.rewrite({"vault": {b"header": vault.encode()}, "secrets": dict(sealed)})
        self.assertEqual(found_in(store.path, WORDS), [])
        store.backup(self.path / "backup")
        self.assertEqual(found_in(self.path, WORDS), [])
        store.close()
        again = self.open()
        header = again.get("vault", b"header")
        assert header is not None
        opened = Vault.decode(header, again.wallet_id, os.urandom)
        opened.unlock("passphrase")
        self.assertEqual(opened.open(b"words", again.read("secrets")[b"words"]), WORDS)

    def test_another_passphrase_leaves_no_header_of_the_old_one(self) -> None:
        store = self.create()
        vault, _ = Vault(store.wallet_id, os.urandom).encrypted("old", {}, Cost(14, 1, 1))
        store.commit({"vault": {b"header": vault.encode()}})
        changed = vault.with_passphrase("old", "new", Cost(14, 1, 1))
        store.rewrite({"vault": {b"header": changed.encode()}})
        self.assertEqual(found_in(store.path, vault.encode()), [])
        self.assertEqual(found_in(store.path, changed.encode()), ["wallet.fs"])

    def test_a_full_disk_leaves_the_old_one(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        before = content(store)

        def full(*arguments: object, **named: object) -> None:
            raise OSError(28, "No space left on device")

        logging.getLogger("txn").setLevel(logging.CRITICAL + 1)
        for holder, name in (
            (sys.modules["ZODB.FileStorage.FileStorage"], "fsync"),
            (wallet_database, "sync_file"),
            (wallet_database, "open_database"),
            (os, "link"),
            (os, "replace"),
            (wallet_files, "sync_directory"),
        ):
            patch = self.patch(holder, name, full)
            self.assertRaises(WriteFailed, store.rewrite, {"labels": {b"a": b"lost"}})
            patch.restore()
            self.assertEqual(content(store), before)
        store.rewrite({"labels": {b"a": b"kept"}})
        self.assertEqual(store.get("labels", b"a"), b"kept")

    def test_an_old_file_that_cannot_be_overwritten_is_named_and_tried_again(self) -> None:
        store = self.create()
        store.commit({"secrets": {b"words": WORDS}})
        self.assertIsNone(store.leftover)
        wipe = wallet_files.wipe

        def failing(path: Path) -> None:
            if path.name.endswith(".old") and path.exists():
                raise OSError(5, "Input/output error")
            wipe(path)

        patch = self.patch(wallet_files, "wipe", failing)
        store.rewrite({"secrets": {b"words": b"sealed"}})
        self.assertEqual(store.get("secrets", b"words"), b"sealed")
        self.assertEqual(store.leftover, store.path / "wallet.fs.old")
        patch.restore()
        store.close()
        again = self.open()
        self.assertIsNone(again.leftover)
        self.assertEqual(found_in(again.path, WORDS), [])

    def test_history_shrinks(self) -> None:
        store = self.create()
        for n in range(50):
            store.commit({"labels": {b"key": bytes([n]) * 500}})
        before = store.file_size
        store.rewrite()
        self.assertLess(store.file_size * 5, before)

    def test_a_refused_change_changes_nothing(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        before = content(store)
        self.assertRaises(ValueError, store.rewrite, {"labels": {b"a": b"x"}, "Bad": {}})
        self.assertEqual(content(store), before)
        store.commit({"labels": {b"a": b"x"}})

    def test_a_crash_at_any_step_leaves_the_old_or_the_new_one(self) -> None:
        """Every call that changes a name fails once; each time the wallet opens again, whole."""
        for fail_at in range(40):
            with self.subTest(fail_at=fail_at):
                name = f"w{fail_at}"
                store = self.create(name)
                store.commit({"secrets": {b"words": WORDS}})
                store.commit({"secrets": {b"words": b"old"}})
                crashed = self.crash_at(fail_at, lambda store=store: store.rewrite({"secrets": {b"words": b"new"}}))
                store.close()
                again = self.open(name)
                self.assertIn(again.get("secrets", b"words"), (b"old", b"new") if crashed else (b"new",))
                if again.get("secrets", b"words") == b"new":
                    self.assertEqual(found_in(again.path, WORDS), [])
                names = {each.name for each in again.path.iterdir()}
                self.assertFalse({each for each in names if ".new" in each or each.endswith(".old")})
                if not crashed:
                    break
        self.assertFalse(crashed, "the last one was beyond all steps")
        self.assertGreater(fail_at, 8)

    def crash_at(self, step: int, work: Any) -> bool:
        calls = iter(range(1_000))
        undo = []
        for holder, name in ((os, "link"), (os, "replace"), (wallet_files, "wipe"), (wallet_files, "sync_directory")):
            real = getattr(holder, name)

            def failing(*arguments: Any, real: Any = real) -> Any:
                if next(calls) == step:
                    raise Crash
                return real(*arguments)

            undo.append((holder, name, real))
            setattr(holder, name, failing)
        try:
            work()
        except Crash:
            return True
        finally:
            for holder, name, real in undo:
                setattr(holder, name, real)
        return False

    def test_a_damaged_wallet_is_not_replaced(self) -> None:
        store = self.create()
        store.commit(SAMPLE)
        store.close()
        again = self.open()
        self.patch(again._database, "records", broken)
        self.assertRaises(Damaged, again.rewrite)
        self.assertEqual(again.read("labels"), SAMPLE["labels"])
        self.assertEqual(again.path.joinpath("wallet.fs.new").exists(), False)


class Crash(BaseException):
    """The machine ends here."""


def broken() -> Any:
    yield from ()
    raise Damaged("a record does not read back")


class Opening(WalletCase):
    def test_a_name_that_a_file_has(self) -> None:
        (self.path / "mine").write_bytes(b"")
        self.assertRaises(StorageError, self.create)

    def test_the_network_is_bound_by_its_id_not_by_its_name(self) -> None:
        self.assertNotEqual(DEVNET.name.encode(), CHAIN_ID)
        self.assertEqual(self.create().read("none"), {})

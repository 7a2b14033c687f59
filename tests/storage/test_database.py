from __future__ import annotations

from contextlib import closing
from typing import Any

import ZODB
from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import CHAIN_ID, scratch
from timecoin.storage.database import (
    check_identity,
    committing,
    connect,
    file_of,
    file_uri,
    identify,
    open_database,
    reading,
)
from timecoin.storage.errors import DatabaseUnavailable, WriteFailed, WrongGenesis, WrongSchema
from timecoin.storage.packing import pack_database

ZCONFIG = """
<zodb>
  cache-size 77
  <filestorage>
    path {path}
    pack-gc false
  </filestorage>
</zodb>
"""


class OpenTest(SynchronousTestCase):
    def opened(self, uri: str, **options: int) -> ZODB.DB:
        database = open_database(uri, **options)
        self.addCleanup(database.close)
        return database

    def test_plain_file_survives_reopening(self) -> None:
        uri = file_uri(scratch(self) / "a.fs")
        database = open_database(uri)
        with closing(connect(database)) as connection, committing(connection) as root:
            root["x"] = 5
        database.close()
        with reading(self.opened(uri)) as root:
            self.assertEqual(root["x"], 5)

    def test_zconfig_keeps_the_operators_choices(self) -> None:
        path = scratch(self)
        (path / "zodb.conf").write_text(ZCONFIG.format(path=path / "a.fs"))
        database = self.opened(f"zconfig://{path / 'zodb.conf'}", cache_size=5, cache_size_bytes=99)
        self.assertFalse(database.storage._pack_gc)
        self.assertEqual(database.getCacheSize(), 77)

    def test_our_cache_sizes_where_the_uri_has_none(self) -> None:
        database = self.opened("memory://", cache_size=5)
        self.assertEqual(database.getCacheSize(), 5)

    def test_errors_are_typed_and_one_line(self) -> None:
        path = scratch(self)
        (path / "bad.fs").write_bytes(b"this is no FileStorage\n" * 9)
        (path / "bad.conf").write_text("<zodb>\n<nonsense/>\n</zodb>")
        for uri in (
            file_uri(path / "bad.fs"),
            file_uri(path / "missing" / "a.fs"),
            f"zconfig://{path / 'bad.conf'}",
            f"zconfig://{path / 'missing.conf'}",
            "nosuch://thing",
            "",
            "memory://?nonsense=1",
        ):
            error = self.assertRaises(DatabaseUnavailable, open_database, uri)
            self.assertIn(uri, str(error))
            self.assertNotIn("\n", str(error))

    def test_in_use(self) -> None:
        uri = file_uri(scratch(self) / "a.fs")
        self.opened(uri)
        self.assertRaises(DatabaseUnavailable, open_database, uri)

    def test_file_of(self) -> None:
        self.assertEqual(str(file_of("file:///a/b.fs")), "/a/b.fs")
        self.assertIsNone(file_of("file:///a/b.fs?quota=1mb"))
        self.assertIsNone(file_of("zeo://localhost:1"))


class TransactionTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self) / "a.fs"
        self.database = open_database(file_uri(self.path))
        self.addCleanup(self.database.close)

    def connected(self, database: ZODB.DB) -> Any:
        connection = connect(database)
        self.addCleanup(connection.close)
        return connection

    def test_exception_aborts_and_passes(self) -> None:
        connection = self.connected(self.database)
        with self.assertRaises(KeyError), committing(connection) as root:
            root["x"] = 1
            raise KeyError("x")
        with committing(connection) as root:
            self.assertNotIn("x", root)

    def test_failed_commit_is_typed_and_leaves_nothing(self) -> None:
        small = open_database(file_uri(self.path.with_name("small.fs")) + "?quota=2kb")
        self.addCleanup(small.close)
        connection = self.connected(small)
        with committing(connection) as root:
            root["x"] = bytes(5_000)
        for _ in range(2):
            with self.assertRaises(WriteFailed) as caught, committing(connection) as root:
                root["x"] = root["y"] = 1
            self.assertIn("quota", str(caught.exception))
        with reading(small) as root:
            self.assertEqual(root["x"], bytes(5_000))
            self.assertNotIn("y", root)

    def test_identity(self) -> None:
        connection = self.connected(self.database)
        with committing(connection) as root:
            self.assertFalse(check_identity(root, "coins", CHAIN_ID))
            identify(root, "coins", CHAIN_ID)
        with committing(connection) as root:
            self.assertTrue(check_identity(root, "coins", CHAIN_ID))
            self.assertRaises(WrongGenesis, check_identity, root, "coins", bytes(32))
            self.assertRaises(WrongSchema, check_identity, root, "blocks", CHAIN_ID)

    def test_pack_removes_history_and_the_old_file(self) -> None:
        connection = self.connected(self.database)
        for i in range(50):
            with committing(connection) as root:
                root["x"] = bytes([i]) * 1_000
        before = self.path.stat().st_size
        pack_database(self.database, 2**31, keep_old=False)
        self.assertLess(self.path.stat().st_size, before // 10)
        self.assertFalse(self.path.with_name("a.fs.old").exists())
        with reading(self.database) as root:
            self.assertEqual(root["x"], bytes([49]) * 1_000)

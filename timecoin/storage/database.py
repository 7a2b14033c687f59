"""Opening ZODB databases: from a URI for operators, from a path by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import transaction
import ZODB
from zc.lockfile import LockError  # type: ignore[import-untyped]

from timecoin.storage.errors import (
    Damaged,
    DatabaseUnavailable,
    StorageError,
    WriteFailed,
    WrongGenesis,
    WrongSchema,
)
from timecoin.storage.files import sync_directory
from timecoin.storage.packing import PlainFile
from timecoin.storage.tail import repair_tail

SCHEMA = 3
POOL_SIZE = 16
"""
Connections expected at a time: the writer, the reactor's reader and one for each thread that serves blocks.
"""

_FILE = "file://"
_ZODBURI_DEFAULTS = {"cache_size": 10_000, "pool_size": 7, "database_name": "unnamed"}


def file_uri(path: Path) -> str:
    """The URI of a FileStorage at *path*."""
    return f"{_FILE}{path}"


def file_of(uri: str) -> Path | None:
    """
    The path behind a plain ``file://`` URI, None for all other storages (and for ``file://`` with options).
    """
    if not uri.startswith(_FILE) or "?" in uri:
        return None
    return Path(uri[len(_FILE) :])


def open_database(uri: str, **options: Any) -> Any:
    """
    Open the database behind *uri* (any scheme that zodburi knows: ``zconfig``, ``file``, ``zeo``,
    ``postgres``, …).

    *options* are keyword arguments of ``ZODB.DB``, under those that the URI itself sets. Raises
    ``DatabaseUnavailable``.
    """
    try:
        return _open(uri, {"pool_size": POOL_SIZE, **options})
    except StorageError:
        raise
    except Exception as error:  # each backend has errors of its own, without a common base
        raise DatabaseUnavailable(f"cannot open database {uri}: {_one_line(error)}") from error


def _open(uri: str, options: dict[str, Any]) -> Any:
    path = file_of(uri)
    if path is None:
        # Imported here because it brings a ZEO client along: 12 MB that a node with plain files has no use
        # for.
        import zodburi

        factory, own = zodburi.resolve_uri(uri)
        return ZODB.DB(factory(), **{**options, **_chosen(own)})
    size = path.stat().st_size if path.exists() else 0
    try:
        return _open_file(path, options)
    except (OSError, LockError):
        raise
    except Exception:  # whatever unreadable bytes make ZODB raise
        if not _mended(path, size):
            raise
    return _open_file(path, options)


def _open_file(path: Path, options: dict[str, Any]) -> Any:
    storage = PlainFile(path)
    try:
        sync_directory(path.parent)
        return ZODB.DB(storage, **options)
    except BaseException:
        storage.close()
        raise


def _mended(path: Path, size: int) -> bool:
    """
    Whether the file of *size* bytes ended in a write that the machine's end cut off, which is gone now.

    FileStorage does that by itself, but where zeros stand for what was not written it fails, sometimes behind it.
    """
    with suppress(Damaged):
        repair_tail(path, check_records=False)
    if path.stat().st_size == size:
        return False
    path.with_name(path.name + ".index").unlink(missing_ok=True)
    return True


def _chosen(own: dict[str, Any]) -> dict[str, Any]:
    # zodburi fills in defaults of its own, which are no choice of the operator and would displace ours.
    return {key: value for key, value in own.items() if _ZODBURI_DEFAULTS.get(key) != value}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def connect(database: Any) -> Any:
    """A connection of *database* with a transaction manager of its own: explicit, bound to no thread."""
    return database.open(transaction.TransactionManager(explicit=True))


@contextmanager
def committing(connection: Any) -> Iterator[Any]:
    """
    One transaction on *connection*: yields its root, commits at the end, aborts on any exception.

    A failure of the commit itself is ``WriteFailed``; exceptions of the body pass through. Blocks until
    durable.
    """
    chosen = connection.transaction_manager
    chosen.begin()
    try:
        yield connection.root()
    except BaseException:
        chosen.abort()
        raise
    try:
        chosen.commit()
    except Exception as error:  # each backend has errors of its own, without a common base
        chosen.abort()
        raise WriteFailed(f"cannot write to {connection.db().getName()}: {_one_line(error)}") from error


@contextmanager
def reading(database: Any) -> Iterator[Any]:
    """
    The root of the newest committed state, on a pooled connection for the duration of the ``with``; any
    thread.
    """
    connection = connect(database)
    connection.transaction_manager.begin()
    try:
        yield connection.root()
    finally:
        connection.transaction_manager.abort()
        connection.close()


def check_identity(root: Any, kind: str, chain_id: bytes) -> bool:
    """
    Whether the database with this *root* is already ours; False when it is empty.

    Raises ``WrongSchema`` (another layout or another kind of database) and ``WrongGenesis`` (another
    network).
    """
    identity = root.get("identity")
    if identity is None:
        return False
    if identity[:2] != (kind, SCHEMA):
        found = f"{identity[0]} of layout {identity[1]}"
        raise WrongSchema(f"expected a {kind} database of layout {SCHEMA}, found {found}")
    if identity[2] != chain_id:
        raise WrongGenesis(f"the {kind} database belongs to network {identity[2][::-1].hex()}")
    return True


def identify(root: Any, kind: str, chain_id: bytes) -> None:
    """Mark an empty database as *kind* of the network *chain_id*, in the caller's transaction."""
    root["identity"] = (kind, SCHEMA, chain_id)

"""One data directory, one process, one network."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from timecoin.storage.errors import DataDirectoryError, DataDirectoryLocked, WrongGenesis
from timecoin.storage.files import read_optional, write_atomic

LOCK_NAME = "timecoin.lock"
GENESIS_NAME = "genesis.hash"


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataDirectoryError(f"data directory {path}: {error.strerror or error}") from error


class DataDirectory:
    """
    The directory *path*, locked for this process from :meth:`open` to :meth:`close`.

    The lock is the kernel's (``flock``): it ends with its holder, also by SIGKILL, and cannot be mistaken for
    that of a later process with the same number, as a symbolic link naming a process id can (in a container
    every node is process 1). Call :meth:`open` after daemonising: a lock survives ``fork`` in both processes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock: int | None = None

    def open(self) -> Self:
        """
        Create the directory (mode 0700) when needed and lock it; ``DataDirectoryLocked``,
        ``DataDirectoryError``.
        """
        with _one_line_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = descriptor
        return self

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise DataDirectoryLocked(f"data directory {self.path} is in use by process {holder}") from None
        with _one_line_errors(self.path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def close(self) -> None:
        """
        Release the lock; twice is harmless. The lock file stays: removing it would let two processes in.
        """
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def bind(self, chain_id: bytes) -> None:
        """
        Tie the directory to the network *chain_id* (32 bytes) for ever; ``WrongGenesis`` when it has another.
        """
        name = chain_id[::-1].hex()
        bound = self.read(GENESIS_NAME)
        if bound is None:
            self.write(GENESIS_NAME, f"{name}\n".encode("ascii"))
        elif bound.strip() != name.encode("ascii"):
            shown = bound.strip().decode("ascii", "replace")[:64]
            raise WrongGenesis(f"data directory {self.path} belongs to network {shown}, not to {name}")

    def file(self, name: str) -> Path:
        """The path of *name* in this directory; ``ValueError`` when it would be anywhere else."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"not a plain file name: {name!r}")
        return self.path / name

    def read(self, name: str) -> bytes | None:
        """The content of the small file *name*, None when there is none; ``DataDirectoryError``."""
        with _one_line_errors(self.path):
            return read_optional(self.file(name))

    def write(self, name: str, data: bytes) -> None:
        """Replace the small file *name* (mode 0600), whole and durable on return; ``DataDirectoryError``."""
        with _one_line_errors(self.path):
            write_atomic(self.file(name), data)

"""What storage raises: every message is one line that an operator can act upon."""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything that this room raises on purpose."""


class DataDirectoryError(StorageError):
    """The data directory cannot be created, read or written."""


class DataDirectoryLocked(StorageError):
    """Another process holds the data directory."""


class WrongGenesis(StorageError):
    """The directory, or one of the databases in it, belongs to another network."""


class DatabaseUnavailable(StorageError):
    """A database cannot be opened: bad URI, damaged file, no such server, in use elsewhere."""


class WrongSchema(StorageError):
    """A database was written by a version of TimeCoin whose layout this one does not read."""


class WriteFailed(StorageError):
    """A transaction was not committed (disk full, server gone); nothing of it is visible."""


class WrongHeight(StorageError):
    """A block was handed over that is not the next one of the stored chain."""


class UnknownBlock(StorageError):
    """No block is stored at that height."""


class CoinsOutOfStep(StorageError):
    """The coin database does not fit the block database; it has to be rebuilt from the blocks."""


class MergeUnfinished(StorageError):
    """The coin tree stands between two heights, so that no snapshot can be taken of it now."""


class CoinsBusy(StorageError):
    """Packing and snapshots of the coin database exclude each other."""


class PackInterrupted(StorageError):
    """A pack was ended because the node stops."""


class Damaged(StorageError):
    """Something stored does not read back."""


class UnknownPosition(StorageError):
    """The log holds no record at that position (it was dropped, or never written)."""

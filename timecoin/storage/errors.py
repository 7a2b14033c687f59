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


class BlockPruned(UnknownBlock):
    """The block is in the chain but not stored here, because the chain was joined above it."""


class CoinsBusy(StorageError):
    """The coin database is not packed while a snapshot of it is open, or a pack of it under way."""


class SnapshotInterrupted(StorageError):
    """Making a snapshot was ended because the node stops; nothing of it is left."""


class SnapshotWrong(StorageError):
    """The coins that are stored are not those that the header commits to; no snapshot of them is kept."""


class ImportRefused(StorageError):
    """A snapshot cannot be imported into this chain, or not in this order."""


class PackInterrupted(StorageError):
    """A pack was ended because the node stops."""


class Damaged(StorageError):
    """Something stored does not read back."""


class UnknownPosition(StorageError):
    """The log holds no record at that position (it was dropped, or never written)."""

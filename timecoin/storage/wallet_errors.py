"""What wallet stores raise beside the errors of all storage."""

from __future__ import annotations

from timecoin.storage.errors import StorageError


class BadWalletName(StorageError):
    """A wallet's name that is no plain name."""


class WalletExists(StorageError):
    """There is a wallet of that name already."""


class NoSuchWallet(StorageError):
    """There is no wallet of that name."""


class WalletInUse(StorageError):
    """The wallet is open already, here or in another process."""


class BackupRefused(StorageError):
    """A backup cannot be written there, above all because something is there."""


class BadBackup(StorageError):
    """A file is no backup of a wallet, or not a whole one."""

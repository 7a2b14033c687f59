"""One wallet directory, one process."""

from __future__ import annotations

from typing import Self

from timecoin.storage.datadir import DataDirectory
from timecoin.storage.errors import DataDirectoryLocked
from timecoin.storage.wallet_errors import WalletInUse


class WalletDirectory(DataDirectory):
    """A wallet's directory, locked as a data directory is; ``WalletInUse`` when it is open already."""

    def open(self) -> Self:
        """Create the directory (mode 0700) when needed and lock it; ``WalletInUse``, ``DataDirectoryError``."""
        try:
            return super().open()
        except DataDirectoryLocked:
            raise WalletInUse(f"the wallet at {self.path} is open already, here or in another process") from None

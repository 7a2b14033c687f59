"""Where wallets are: one directory each, named as the wallet, below one directory of the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from timecoin.storage.wallet_errors import BadWalletName

__all__ = ["DATABASE_NAME", "NAME_RULE", "list_wallets", "wallet_path"]

DATABASE_NAME: Final = "wallet.fs"
"""The file in a wallet's directory that holds it."""

NAME_RULE: Final = "1 to 64 letters, digits, spaces and . _ - of ASCII, beginning and ending with a letter or digit"

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?", re.ASCII)


def wallet_path(directory: Path, name: str) -> Path:
    """The directory of wallet *name* below *directory*, whether it is there or not; ``BadWalletName``."""
    if _NAME.fullmatch(name) is None:
        raise BadWalletName(f"a wallet's name is {NAME_RULE}")
    return directory / name


def list_wallets(directory: Path) -> list[str]:
    """The names of the wallets below *directory*, sorted; none when there is no such directory."""
    if not directory.is_dir():
        return []
    return sorted(
        each.name for each in directory.iterdir() if _NAME.fullmatch(each.name) and (each / DATABASE_NAME).is_file()
    )

"""Wallet files in memory, as quick as tests want them; ``storage.wallet_store.WalletStore`` in everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from timecoin.storage.errors import StorageError
from timecoin.storage.wallet_errors import BackupRefused, BadBackup, NoSuchWallet, WalletExists
from timecoin.storage.wallet_names import DATABASE_NAME
from timecoin.wallet.state import Changes


class MemoryFile:
    """A wallet's tables in memory; an empty file stands for it in the directory."""

    kept: dict[Path, dict[str, dict[bytes, bytes]]] = {}
    ids: dict[Path, bytes] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wallet_id = self.ids.setdefault(path, len(self.ids).to_bytes(16, "big"))
        self.leftover: Path | None = None

    @classmethod
    def create(cls, path: Path, chain_id: bytes) -> Self:
        if path in cls.kept:
            raise WalletExists(f"there is a wallet at {path} already")
        path.mkdir(parents=True)
        (path / DATABASE_NAME).touch()
        cls.kept[path] = {}
        return cls(path)

    @classmethod
    def open(cls, path: Path, chain_id: bytes) -> Self:
        if (path / "damaged").exists():
            raise StorageError("does not read back")
        if path not in cls.kept:
            raise NoSuchWallet(str(path))
        return cls(path)

    @classmethod
    def restore(cls, source: Path, path: Path, chain_id: bytes) -> Self:
        if source not in cls.kept:
            raise BadBackup(f"{source}: no backup")
        cls.ids[path] = cls.ids[source]
        made = cls.create(path, chain_id)
        cls.kept[path] = {name: dict(table) for name, table in cls.kept[source].items()}
        return made

    def read(self, table: str) -> dict[bytes, bytes]:
        return dict(self.kept[self.path].get(table, {}))

    def commit(self, changes: Changes) -> None:
        for name, records in changes.items():
            table = self.kept[self.path].setdefault(name, {})
            for key, value in records.items():
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value

    def rewrite(self, changes: Changes | None = None) -> None:
        self.commit(changes or {})

    def backup(self, destination: Path) -> None:
        if destination in self.kept:
            raise BackupRefused(f"{destination} is there already")
        self.ids[destination] = self.wallet_id
        self.kept[destination] = {name: dict(table) for name, table in self.kept[self.path].items()}

    def close(self) -> None:
        return None

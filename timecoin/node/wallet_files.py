"""A wallet's file and what stands in it, in the thread that opens it; and the list of wallets to load at the start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Final, NamedTuple, Protocol

from timecoin.ledger.networks import Network
from timecoin.node.wallet_open import WalletFile
from timecoin.rpc.face_wallet import NewWallet
from timecoin.storage.files import write_atomic
from timecoin.wallet import book, keyring, state, words
from timecoin.wallet.keyring import Words
from timecoin.wallet.secrets import Cost, Draw
from timecoin.wallet.state import WalletState

__all__ = ["Files", "Opened", "StartList", "TableFile", "make_wallet", "open_wallet"]

_TABLES: Final = (*book.TABLES, keyring.SECRETS_TABLE, keyring.VAULT_TABLE, *state.TABLES)


class TableFile(WalletFile, Protocol):
    """An open wallet file: what ``storage.wallet_store.WalletStore`` is."""

    def read(self, table: str) -> dict[bytes, bytes]:
        """All of a table."""


class Files(Protocol):
    """Makes and opens wallet files: the class ``WalletStore``, or a stand-in; raises what that raises."""

    def create(self, path: Path, chain_id: bytes) -> TableFile:
        """A new one."""

    def open(self, path: Path, chain_id: bytes) -> TableFile:
        """One that is there."""

    def restore(self, source: Path, path: Path, chain_id: bytes) -> TableFile:
        """A new one with what a backup holds."""


class Opened(NamedTuple):
    """An open file and the wallet in it; ``words``: new ones, to be shown once."""

    store: TableFile
    state: WalletState
    words: Words | None = None


def open_wallet(store: TableFile, network: Network, draw: Draw, gap_limit: int) -> Opened:
    """The wallet in an open file. Any thread; ``Damaged``, ``WalletError``, ValueError for what does not read back."""
    tables = {table: store.read(table) for table in _TABLES}
    return Opened(store, WalletState(network, store.wallet_id, tables, draw, gap_limit))


def make_wallet(
    files: Files,
    path: Path,
    chain_id: bytes,
    network: Network,
    wanted: NewWallet,
    draw: Draw,
    *,
    gap_limit: int,
    created: int,
    synced: int,
    cost: Cost,
) -> Opened:
    """Make a wallet's file with all that it begins with, in one commit. Any thread; half a second with a passphrase.

    Secrets are sealed before they are written: no plain form of them ever was on the disk.
    """
    store = files.create(path, chain_id)
    try:
        made = WalletState(network, store.wallet_id, {}, draw, gap_limit)
        made.settings = state.Settings(watch_only=wanted.watch_only, blank=wanted.blank, created=created, synced=synced)
        given = wanted.words
        if given is None and not (wanted.blank or wanted.watch_only):
            given = Words(words.generate(draw(wanted.entropy_bytes)), "")
        if given is not None:
            made.add_words(given, 0 if wanted.words is not None else created)
        changes = _sealed(made, wanted.passphrase, cost)
        store.commit(changes)
    except BaseException:
        # It was made a moment ago, by this call, and holds nothing.
        store.close()
        rmtree(path)
        raise
    return Opened(store, made, given if wanted.words is None else None)


def _sealed(made: WalletState, passphrase: str, cost: Cost) -> state.Changes:
    if not passphrase:
        return made.take_changes()
    sealed = made.keyring.take_over(*made.keyring.encrypted(passphrase, cost))
    made.keyring.lock()
    return {**made.take_changes(), **sealed}


class StartList:
    """The names of the wallets that are loaded at the start, in a small file (``load_on_startup``). Any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[str]:
        """The names; none when there is no file. ValueError when it is not such a list."""
        try:
            names = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise ValueError(f"{self._path} is no list of names")
        return names

    def set(self, name: str, listed: bool) -> None:
        """Put a name on the list, or take it off."""
        names: list[str] = []
        with suppress(ValueError):
            names = [each for each in self.read() if each != name]
        self._write([*names, name] if listed else names)

    def _write(self, names: Sequence[str]) -> None:
        write_atomic(self._path, json.dumps(list(names)).encode())

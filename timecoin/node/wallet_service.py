"""The wallets of a node as a service: which are loaded, their files and threads, the feed that they follow.

A wallet never stops the node: one that cannot be loaded at the start is logged and left out, and what a wallet raises
while it listens ends there (``node.feed``).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from timecoin.node.feed import BlockApplied, Feed, TransactionChanged
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_files import Files, Opened, StartList, TableFile, make_wallet, open_wallet
from timecoin.node.wallet_funding import system_random
from timecoin.node.wallet_open import Surroundings, Wallet
from timecoin.node.wallet_writer import InThread, to_the_end
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Created, NewWallet, OpenWallet
from timecoin.rpc.wallet_errors import (
    ALREADY_EXISTS,
    ALREADY_LOADED,
    NOT_FOUND,
    NOT_SPECIFIED,
    WALLET_ERROR,
    wallet_error,
)
from timecoin.storage.errors import StorageError
from timecoin.storage.wallet_errors import BadWalletName, NoSuchWallet, WalletExists, WalletInUse
from timecoin.storage.wallet_names import list_wallets, wallet_path
from timecoin.storage.wallet_store import WalletStore
from timecoin.wallet.book import GAP_LIMIT
from timecoin.wallet.errors import WalletError
from timecoin.wallet.secrets import DEFAULT_COST, Cost
from timecoin.wallet.selection import Random

__all__ = ["WalletService"]

T = TypeVar("T")
START_LIST: Final = "_load_on_startup.json"
THREADS: Final = 4
PAYMENTS_AHEAD: Final = 100
_NO_WALLET: Final = (
    "No wallet is loaded. Load a wallet using loadwallet or create a new one with createwallet. "
    "(Note: A default wallet is no longer automatically created)"
)
_SEVERAL: Final = "Wallet file not specified (must request wallet RPC through /wallet/<filename> uri-path)."


class WalletService(Service):
    """``rpc.face_wallet.Wallets``, and a listener of the feed."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        chain: WalletChain,
        feed: Feed,
        directory: Path,
        backend: SignatureBackend,
        *,
        load: tuple[str, ...] = (),
        gap_limit: int = GAP_LIMIT,
        payments_ahead: int = PAYMENTS_AHEAD,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        cost: Cost = DEFAULT_COST,
        in_thread: InThread | None = None,
        files: Files = WalletStore,
        random: Random | None = None,
    ) -> None:
        """``load``: names of wallets to load at the start besides those on the list; ``gap_limit``: BIP 44's;
        ``payments_ahead``: payments that are to be possible until the next block, for which change is split; 0: never.

        ``in_thread``: calls functions in threads; None: in threads of the service's own. ``files`` makes
        and opens the wallets' files. ``random`` chooses coins; None: the system's.
        """
        self._reactor = reactor
        self._chain = chain
        self._feed = feed
        self._directory = directory
        self._load = load
        self._gap_limit = gap_limit
        self._payments_ahead = payments_ahead
        self._draw = draw
        self._cost = cost
        self._files = files
        self._pool = ThreadPool(0, THREADS, name="wallets")
        self.in_thread = in_thread or self._in_own_thread
        self._start_list = StartList(directory / START_LIST)
        self._around = Surroundings(
            reactor, chain, self.in_thread, backend, random or system_random(), lambda: self._payments_ahead, cost
        )
        self._wallets: dict[str, Wallet] = {}
        self._changing = DeferredLock()
        self._blocks = DeferredLock()
        self._hearers: list[Callable[[str, Hash], None]] = []
        self._end_listening: Callable[[], None] = lambda: None

    def set_gap_limit(self, count: int) -> None:
        """Watch so many unused addresses ahead in wallets that are loaded or made from now on."""
        self._gap_limit = count

    def set_payments_ahead(self, count: int) -> None:
        """Let wallets split change so that so many payments are possible until the next block; 0: never."""
        self._payments_ahead = count

    # Life

    def startService(self) -> Deferred[None]:
        """Load what is to be loaded."""
        super().startService()
        self._pool.start()
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            listed = await self.in_thread(self._prepare)
        except (OSError, ValueError) as problem:
            self.log.error("wallets are not loaded: {problem}", problem=problem)
            return
        for name in dict.fromkeys([*self._load, *listed]):
            try:
                await self._load_one(name)
            except Exception as problem:
                self.log.error("wallet {name} is not loaded: {problem}", name=name, problem=problem)

    def _prepare(self) -> list[str]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._start_list.read()

    def stopService(self) -> Deferred[None]:
        """Write and close every wallet."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._changing.acquire()
        try:
            for name in list(self._wallets):
                await self._close_one(name)
        finally:
            self._pool.stop()

    async def _close_one(self, name: str) -> None:
        try:
            await self._let_go(name)
        except Exception:
            self.log.failure("wallet {name} was not closed cleanly", name=name)

    async def _let_go(self, name: str) -> None:
        wallet = self._wallets.pop(name)
        if not self._wallets:
            self._end_listening()
        await wallet.close()

    def _in_own_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)

    # The feed

    def transaction(self, event: TransactionChanged) -> None:
        """A transaction has a new status."""
        for wallet in self._wallets.values():
            try:
                wallet.transaction(event)
            except Exception:
                self.log.failure("wallet {name} did not take an event", name=wallet.name)

    def block(self, event: BlockApplied) -> None:
        """A block was applied: told to the wallets in order, with its coinbase when it pays rewards."""
        if self._wallets:
            telling = self._blocks.run(lambda: Deferred.fromCoroutine(self._tell_block(event)))
            telling.addErrback(
                lambda failure: self.log.failure("wallets did not take block {n}", failure, n=event.height)
            )

    async def _tell_block(self, event: BlockApplied) -> None:
        header, coinbase = self._chain.tip.header, None
        if event.closing or header.hash != event.block_hash:
            header, coinbase = await self.in_thread(self._read, event.height)
        for wallet in list(self._wallets.values()):
            try:
                wallet.block(header, coinbase)
            except Exception:
                self.log.failure("wallet {name} did not take block {height}", name=wallet.name, height=header.height)

    def _read(self, height: int) -> tuple[Header, Transaction]:
        block = self._chain.read_block(height)
        return block.header, block.transactions[0]

    def _changed(self, name: str, txid: Hash) -> None:
        for hear in self._hearers:
            hear(name, txid)

    def on_change(self, hear: Callable[[str, Hash], None]) -> Callable[[], None]:
        """Tell of each transaction of a wallet that has news."""
        self._hearers.append(hear)
        return lambda: self._hearers.remove(hear)

    # Wallets

    def get(self, name: str | None) -> OpenWallet:
        """A loaded wallet."""
        if name is not None:
            if name not in self._wallets:
                raise RpcError(NOT_FOUND, "Requested wallet does not exist or is not loaded")
            return self._wallets[name]
        if not self._wallets:
            raise RpcError(NOT_FOUND, _NO_WALLET)
        if len(self._wallets) > 1:
            raise RpcError(NOT_SPECIFIED, _SEVERAL)
        return next(iter(self._wallets.values()))

    def loaded(self) -> list[str]:
        """Names of the loaded wallets."""
        return list(self._wallets)

    def on_disk(self) -> Deferred[list[str]]:
        """Names of all wallets there are."""
        return self.in_thread(list_wallets, self._directory)

    def create(self, wanted: NewWallet) -> Deferred[Created]:
        """Make a wallet and load it."""
        return self._change(self._create, wanted)

    async def _create(self, wanted: NewWallet) -> Created:
        path = self._path(wanted.name, INVALID_PARAMETER)
        restoring = wanted.words is not None and wanted.rescan
        try:
            opened = await self.in_thread(
                lambda: make_wallet(
                    self._files,
                    path,
                    self._chain.chain_id,
                    self._chain.network,
                    wanted,
                    self._draw,
                    gap_limit=self._gap_limit,
                    created=self._chain.now_ms() // 1000,
                    synced=-1 if restoring else self._chain.tip.height,
                    cost=self._cost,
                )
            )
        except (WalletExists, WalletInUse):
            reason = f"Failed to create database path '{path}'. Database already exists."
            raise RpcError(WALLET_ERROR, f"Wallet file verification failed. {reason}") from None
        except StorageError as problem:
            raise RpcError(WALLET_ERROR, f"Wallet creation failed. {problem}") from None
        except WalletError as problem:
            raise wallet_error(problem) from None
        wallet = self._take(wanted.name, opened)
        await self._list(wanted.name, wanted.load_on_startup)
        wallet.begin()
        return Created(wallet, words=opened.words)

    def load(self, name: str, load_on_startup: bool | None) -> Deferred[Created]:
        """Load a wallet that is there."""
        return self._change(self._load_and_list, name, load_on_startup)

    async def _load_and_list(self, name: str, load_on_startup: bool | None) -> Created:
        wallet = await self._load_one(name)
        await self._list(name, load_on_startup)
        return Created(wallet)

    async def _load_one(self, name: str) -> Wallet:
        if name in self._wallets:
            raise RpcError(ALREADY_LOADED, f'Wallet "{name}" is already loaded.')
        path = self._path(name, NOT_FOUND)
        try:
            opened = await self.in_thread(self._open, path)
        except NoSuchWallet:
            reason = f"Failed to load database path '{path}'. Path does not exist."
            raise RpcError(NOT_FOUND, f"Wallet file verification failed. {reason}") from None
        except (StorageError, WalletError, ValueError) as problem:
            raise RpcError(WALLET_ERROR, f"Wallet file verification failed. {problem}") from None
        copied = next((each.name for each in self._wallets.values() if each.wallet_id == opened.store.wallet_id), None)
        if copied is not None:
            # Each would not know what the other one signs.
            await self.in_thread(opened.store.close)
            raise RpcError(WALLET_ERROR, f'It is a copy of wallet "{copied}", which is loaded: unload that first.')
        wallet = self._take(name, opened)
        wallet.begin()
        return wallet

    def _open(self, path: Path) -> Opened:
        store = self._files.open(path, self._chain.chain_id)
        try:
            return open_wallet(store, self._chain.network, self._draw, self._gap_limit)
        except BaseException:
            store.close()
            raise

    def unload(self, name: str, load_on_startup: bool | None) -> Deferred[None]:
        """Close a wallet."""
        return self._change(self._unload, name, load_on_startup)

    async def _unload(self, name: str, load_on_startup: bool | None) -> None:
        self.get(name)
        await self._let_go(name)
        await self._list(name, load_on_startup)

    def restore(self, name: str, backup: Path, load_on_startup: bool | None) -> Deferred[Created]:
        """Make a wallet of a backup."""
        return self._change(self._restore, name, backup, load_on_startup)

    async def _restore(self, name: str, backup: Path, load_on_startup: bool | None) -> Created:
        path = self._path(name, INVALID_PARAMETER)
        try:
            store = await self.in_thread(self._files.restore, backup, path, self._chain.chain_id)
        except (WalletExists, WalletInUse):
            reason = f"Failed to create database path '{path}'. Database already exists."
            raise RpcError(ALREADY_EXISTS, f"Wallet file verification failed. {reason}") from None
        except StorageError as problem:
            raise RpcError(INVALID_PARAMETER, str(problem)) from None
        try:
            await self.in_thread(self._mark_restored, store)
            return await self._load_and_list(name, load_on_startup)
        except BaseException as problem:
            # It was made a moment ago, by this call, of a file that is still there.
            await self.in_thread(rmtree, path)
            if isinstance(problem, StorageError | WalletError | ValueError):
                raise RpcError(INVALID_PARAMETER, f"the backup does not read back: {problem}") from None
            raise

    def _mark_restored(self, store: TableFile) -> None:
        try:
            opened = open_wallet(store, self._chain.network, self._draw, self._gap_limit)
            opened.state.settings.restored = True
            store.commit(opened.state.take_changes())
        finally:
            store.close()

    # Inside

    def _change(self, work: Any, *arguments: Any) -> Deferred[Any]:
        """One after the other, each to its end."""
        return to_the_end(self._changing.run(lambda: Deferred.fromCoroutine(work(*arguments))))

    def _path(self, name: str, code: int) -> Path:
        try:
            return wallet_path(self._directory, name)
        except BadWalletName as problem:
            raise RpcError(code, str(problem)) from None

    def _take(self, name: str, opened: Opened) -> Wallet:
        wallet = Wallet(name, opened.state, opened.store, self._around, self._changed)
        if not self._wallets:
            # Every payment of the network passes the feed: who has no wallet does not hear of them.
            self._end_listening = self._feed.listen(self)
        self._wallets[name] = wallet
        return wallet

    def _list(self, name: str, listed: bool | None) -> Deferred[None]:
        return succeed(None) if listed is None else self.in_thread(self._start_list.set, name, listed)

"""One loaded wallet: its state in memory, its file, its part of the chain (``rpc.face_wallet.OpenWallet``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from timecoin.node.feed import TransactionChanged
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_following import Following
from timecoin.node.wallet_funding import Funder
from timecoin.node.wallet_locking import Locking, unlocked_until
from timecoin.node.wallet_scan import Scanner
from timecoin.node.wallet_signing import Signer
from timecoin.node.wallet_writer import InThread, Store, WalletWriter, to_the_end
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, RpcError
from timecoin.rpc.face_wallet import Draft, Funding, Import, ScanInfo, SignResult
from timecoin.rpc.slices import Slices
from timecoin.rpc.wallet_errors import WALLET_ERROR, wallet_error
from timecoin.storage.errors import StorageError
from timecoin.wallet.balance import Balances
from timecoin.wallet.book import derive_scripts
from timecoin.wallet.errors import NoDescriptor, WalletError
from timecoin.wallet.history import CannotAbandon
from timecoin.wallet.keyring import Words
from timecoin.wallet.secrets import DEFAULT_COST, Cost
from timecoin.wallet.selection import Random
from timecoin.wallet.state import WalletState

__all__ = ["Surroundings", "Wallet", "WalletFile"]

T = TypeVar("T")
RESERVED_SECONDS: Final = 600.0
"""A draft that is neither sent nor released lets its coins go after so long."""
_AT_ONCE: Final = 500
"""Transactions that are looked at again without a pause."""


class WalletFile(Store, Protocol):
    """The part of ``storage.wallet_store.WalletStore`` that is used while it is open."""

    @property
    def path(self) -> Path:
        """The wallet's directory."""

    @property
    def wallet_id(self) -> bytes:
        """Which wallet it is, copies included."""

    @property
    def leftover(self) -> Path | None:
        """An old file with secrets that could not be wiped."""

    def backup(self, destination: Path) -> None:
        """A copy in one file."""

    def close(self) -> None:
        """Close file and lock."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all wallets of a node share. ``cost``: of scrypt. ``payments_ahead``: the setting, as it is now."""

    reactor: Any
    chain: WalletChain
    in_thread: InThread
    backend: SignatureBackend
    random: Random
    payments_ahead: Callable[[], int]
    cost: Cost = DEFAULT_COST


class Wallet:
    """A wallet that is loaded; :meth:`close` ends it."""

    log = Logger()

    def __init__(
        self,
        name: str,
        state: WalletState,
        file: WalletFile,
        around: Surroundings,
        changed: Callable[[str, Hash], None],
    ) -> None:
        self.name = name
        self.state = state
        self._file = file
        self._around = around
        self._chain = chain = around.chain
        self._turns = DeferredLock()
        self._funding = DeferredLock()
        self._drafts: dict[Hash, IDelayedCall] = {}
        self.writer = WalletWriter(around.reactor, around.in_thread, file, state.take_changes)
        self._scanner = Scanner(name, state, chain, around.reactor, around.in_thread)
        self.following = Following(
            name, state, chain, self._scanner, self.writer, around.reactor, lambda txid: changed(name, txid)
        )
        self._funder = Funder(
            state, chain, around.in_thread, self.is_collateral, around.random, around.reactor, around.payments_ahead
        )
        self._signer = Signer(name, state, chain, self._flush, self._ready, around.in_thread, around.backend)
        self._locking = Locking(state.keyring, self.writer, around.in_thread, around.reactor, self._turns, around.cost)

    # Life

    def begin(self) -> None:
        """Send again what is not archived, and begin to catch up."""
        self.following.catch_up().addBoth(lambda _: self._signer.again_in_background())

    async def close(self) -> None:
        """Write everything and let the file go."""
        self.following.running = False
        self._scanner.abort()
        self._locking.close()
        while self._drafts:
            self._drafts.popitem()[1].cancel()
        try:
            await self.writer.close()
        finally:
            await self._around.in_thread(self._file.close)

    def transaction(self, event: TransactionChanged) -> None:
        """The feed's event."""
        self.following.transaction(event)

    def block(self, header: Header, coinbase: Transaction | None) -> None:
        """A block was applied; an opening lets coins be signed again, and what is pending is sent again."""
        self.following.block(header, coinbase)
        if header.closing:
            self.following.refresh()
            self.state.note_guard(dict(self.state.guard.prune(self._chain.tip.epoch)))
            if not self._chain.syncing:
                self.state.settings.restored = False
            self._signer.again_in_background()

    # Reading

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._file.path

    @property
    def wallet_id(self) -> bytes:
        """The same for all copies of it."""
        return self._file.wallet_id

    def balances(self) -> Balances:
        """What it has."""
        return self.state.balances(self._collateral, self._chain.tip.height)

    def _collateral(self) -> Iterator[OutPoint]:
        tip = self._chain.tip
        for entry in tip.registry.entries:
            if entry.collateral is not None and tip.registry.locked(entry.collateral, tip.epoch):
                yield entry.collateral

    def is_collateral(self, outpoint: OutPoint) -> bool:
        """Whether a coin is locked by the registry of masternodes."""
        tip = self._chain.tip
        return tip.registry.locked(outpoint, tip.epoch)

    def depth(self, height: int) -> int:
        """Confirmations of what was archived at that height."""
        return 0 if height < 0 else max(0, self._chain.tip.height - height + 1)

    @property
    def fee_rate(self) -> int:
        """Units per 1,000 vbytes."""
        return max(self.state.settings.fee_rate, self._chain.parameters.min_fee_rate * 1_000)

    @property
    def unlocked_until(self) -> int:
        """Unix seconds; 0 while it is locked."""
        return unlocked_until(self._locking, self._around.reactor.seconds(), self._chain.now_ms())

    @property
    def scanning(self) -> ScanInfo | None:
        """The scan under way."""
        return self._scanner.info

    # Addresses and coins

    def new_script(self, chain: int, label: str) -> Deferred[bytes]:
        """A fresh script, on disk before it is given out."""
        return Deferred.fromCoroutine(self._new_script(chain, label))

    async def _new_script(self, chain: int, label: str) -> bytes:
        try:
            script = self.state.book.new_script(chain)
        except NoDescriptor:
            raise RpcError(WALLET_ERROR, "Error: This wallet has no available keys") from None
        except WalletError as problem:
            raise wallet_error(problem) from None
        if label:
            self.state.book.set_label(script, label)
        await self._flush()
        return script

    def set_label(self, script: bytes, label: str) -> Deferred[None]:
        """Label a script."""
        self.state.book.set_label(script, label)
        return Deferred.fromCoroutine(self._flush())

    def lock_coins(self, outpoints: Iterable[OutPoint], durable: bool) -> Deferred[None]:
        """Keep coins from being chosen."""
        for outpoint in outpoints:
            self.state.lock_coin(outpoint, durable)
        return Deferred.fromCoroutine(self._flush())

    def unlock_coins(self, outpoints: Iterable[OutPoint]) -> Deferred[None]:
        """Let coins be chosen again."""
        for outpoint in list(outpoints):
            self.state.unlock_coin(outpoint)
        return Deferred.fromCoroutine(self._flush())

    # Paying

    def fund(self, outputs: Sequence[TxOutput], funding: Funding) -> Deferred[Draft]:
        """Choose coins; one payment at a time, as each reserves what it takes."""
        return self._funding.run(lambda: Deferred.fromCoroutine(self._fund(outputs, funding)))

    async def _fund(self, outputs: Sequence[TxOutput], funding: Funding) -> Draft:
        rate = self.fee_rate if funding.rate is None else funding.rate
        draft = await self._funder.fund(outputs, funding, rate)
        try:
            # The change address is given out with the draft.
            await self._flush()
        except BaseException:
            self.release(draft)
            raise
        self._forget_timer(draft.tx)
        self._drafts[draft.tx.txid] = self._around.reactor.callLater(RESERVED_SECONDS, self._expired, draft)
        return draft

    def _expired(self, draft: Draft) -> None:
        del self._drafts[draft.tx.txid]
        self._funder.release(draft)

    def _forget_timer(self, tx: Transaction) -> None:
        timer = self._drafts.pop(tx.txid, None)
        if timer is not None:
            timer.cancel()

    def release(self, draft: Draft) -> None:
        """Let the coins of a draft be chosen again."""
        self._forget_timer(draft.tx)
        self._funder.release(draft)

    def sign(
        self,
        tx: Transaction,
        previous: Mapping[OutPoint, TxOutput] | None = None,
        scripts: Mapping[bytes, bytes] | None = None,
        *,
        may_block_coins: bool = False,
    ) -> Deferred[SignResult]:
        """Sign what there are keys for."""
        return Deferred.fromCoroutine(self._signer.sign(tx, previous or {}, scripts or {}, may_block_coins))

    def permit(
        self, tx: Transaction, outpoints: Iterable[OutPoint], *, may_block_coins: bool = False
    ) -> Deferred[None]:
        """Put signatures on record before they leave."""
        return Deferred.fromCoroutine(self._signer.permit(tx, outpoints, may_block_coins))

    def secrets(self, scripts: Iterable[bytes]) -> Deferred[dict[bytes, bytes]]:
        """Private keys of own scripts."""
        return Deferred.fromCoroutine(self._signer.secrets(scripts))

    def send(self, tx: Transaction, notes: Mapping[str, str]) -> Deferred[Hash]:
        """Keep and submit."""
        sending = Deferred.fromCoroutine(self._signer.send(tx, notes))
        return to_the_end(sending.addBoth(self._sent, tx))

    def _sent(self, result: T, tx: Transaction) -> T:
        self._forget_timer(tx)
        self._funder.spent(tx.outpoints())
        return result

    def abandon(self, txid: Hash) -> Deferred[None]:
        """Give up a transaction that nobody certified."""
        return Deferred.fromCoroutine(self._abandon(txid))

    async def _abandon(self, txid: Hash) -> None:
        try:
            self.state.history.abandon(txid)
        except KeyError:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid or non-wallet transaction id") from None
        except CannotAbandon as problem:
            reason = f"Transaction not eligible for abandonment: it is {problem}"
            raise RpcError(INVALID_ADDRESS_OR_KEY, reason) from None
        await self._flush()

    def set_fee_rate(self, rate: int) -> Deferred[None]:
        """Units per 1,000 vbytes; 0: the least."""
        self.state.settings.fee_rate = rate
        return Deferred.fromCoroutine(self._flush())

    # Keys

    def unlock(self, passphrase: str, seconds: int) -> Deferred[None]:
        """Until the time is over."""
        return Deferred.fromCoroutine(self._locking.unlock(passphrase, seconds))

    def lock(self) -> None:
        """Forget the key."""
        self._locking.lock()

    def change_passphrase(self, old: str, new: str) -> Deferred[None]:
        """Another passphrase."""
        changing = Deferred.fromCoroutine(self._locking.change(old, new))
        return to_the_end(changing.addCallback(self._tell_of_leftover))

    def encrypt(self, passphrase: str) -> Deferred[None]:
        """Protect the secrets."""
        encrypting = Deferred.fromCoroutine(self._locking.encrypt(passphrase))
        return to_the_end(encrypting.addCallback(self._tell_of_leftover))

    def _tell_of_leftover(self, _: object) -> None:
        if self._file.leftover is not None:
            reason = (
                "secrets as they were before are in {path}, which could not be wiped: it is tried at the next loading"
            )
            self.log.warn("wallet {name}: " + reason, name=self.name, path=self._file.leftover)

    def words(self) -> Deferred[Words]:
        """The recovery words: **secret**."""
        return Deferred.fromCoroutine(self._locking.words())

    def import_descriptors(self, imports: Sequence[Import]) -> Deferred[None]:
        """Watch, or spend from, more scripts."""
        return to_the_end(self._turns.run(lambda: Deferred.fromCoroutine(self._import(imports))))

    async def _import(self, imports: Sequence[Import]) -> None:
        try:
            for each in imports:
                await self._import_one(each)
        finally:
            await self._look_back()
        self.state.settings.blank = False
        await self.following.look_at_pool()
        await self._flush()

    async def _import_one(self, wanted: Import) -> None:
        descriptor = wanted.descriptor
        ahead = wanted.next_index + self.state.book.gap_limit if descriptor.is_ranged else wanted.first + 1
        end = max(ahead, wanted.end or 0)
        try:
            derived = await self._around.in_thread(derive_scripts, descriptor.public(), wanted.first, end)
            self.state.add_descriptor(
                descriptor,
                chain=wanted.chain,
                active=wanted.active,
                created=self._chain.now_ms() // 1000 if wanted.time is None else wanted.time,
                first=wanted.first,
                end=wanted.end,
                next_index=wanted.next_index,
                label=wanted.label,
                derived=derived,
                look_back=False,
            )
        except WalletError as problem:
            raise wallet_error(problem) from None
        if wanted.look_from is not None:
            self.following.owe(wanted.look_from)

    async def _look_back(self) -> None:
        """For coins of scripts that are new among the transactions that are known."""
        if len(self.state.history) <= _AT_ONCE:
            self.state.history.own_again()
            return
        height = self._chain.tip.height
        await Slices(self._around.reactor).collect(self.state.history.owning_again())
        if self._chain.tip.height > height:
            # A coin may have been spent before it was known, and by a transaction that is in the pool no more.
            self.following.owe(height + 1)
            self.following.catch_up()

    # The chain

    def finish_scan(self) -> Deferred[None]:
        """Look through the blocks that are owed to scripts that were imported."""
        if self.state.settings.again_from < 0:
            return succeed(None)
        self.following.paused = False
        return self.following.search()

    def rescan(self, first: int, last: int | None) -> Deferred[tuple[int, int]]:
        """Look through blocks."""
        return to_the_end(Deferred.fromCoroutine(self._rescan(first, last)))

    async def _rescan(self, first: int, last: int | None) -> tuple[int, int]:
        self.following.paused = False
        found = await self.following.rescan(first, last)
        await self._flush()
        return found

    def abort_scan(self) -> bool:
        """End the scan under way."""
        if not self._scanner.abort():
            return False
        self.following.paused = True
        return True

    def backup(self, destination: Path) -> Deferred[None]:
        """A copy in one file."""
        return Deferred.fromCoroutine(self._backup(destination))

    async def _backup(self, destination: Path) -> None:
        await self._flush()
        try:
            await self._around.in_thread(self._file.backup, destination)
        except StorageError as problem:
            raise RpcError(WALLET_ERROR, f"Error: Wallet backup failed! {problem}") from None

    async def _ready(self) -> None:
        """A wallet that was just loaded does not know yet what another copy of it spent, nor what that signed."""
        if self.state.settings.restored:
            reason = "The wallet was restored from a backup: what was signed after that is known when the epoch is over"
            raise RpcError(WALLET_ERROR, f"{reason} (getepochinfo)")
        if not self.following.is_ready:
            await self.following.catch_up()
        if not self.following.is_ready:
            reason = "The wallet has not caught up with the chain, and cannot tell which of its coins are spent: wait"
            raise RpcError(WALLET_ERROR, reason)

    async def _flush(self) -> None:
        try:
            await self.writer.flush()
        except StorageError as problem:
            self.log.error("wallet {name} cannot be written: {problem}", name=self.name, problem=problem)
            raise RpcError(WALLET_ERROR, f"Error: the wallet cannot be written: {problem}") from None

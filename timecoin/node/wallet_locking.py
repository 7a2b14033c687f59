"""Locking and unlocking one wallet. scrypt takes half a second and 128 MiB, so it runs in a thread, one at a time."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall

from timecoin.node.wallet_writer import InThread, WalletWriter
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.wallet_errors import (
    ENCRYPTION_FAILED,
    NOT_FOUND,
    PASSPHRASE_INCORRECT,
    WALLET_ERROR,
    WRONG_ENC_STATE,
    wallet_error,
)
from timecoin.storage.errors import StorageError
from timecoin.wallet.errors import WalletError, WrongPassphrase
from timecoin.wallet.keyring import Keyring, Words
from timecoin.wallet.secrets import Cost
from timecoin.wallet.state import Changes

__all__ = ["MAX_SECONDS", "Locking", "unlocked_until"]

MAX_SECONDS: Final = 100_000_000
"""A wallet is unlocked at most so long, as in Core."""

_WRONG: Final = "Error: The wallet passphrase entered was incorrect."


class Locking:
    """The passphrase of one wallet. ``turns`` serialises what replaces or extends the sealed secrets."""

    def __init__(
        self, keyring: Keyring, writer: WalletWriter, in_thread: InThread, reactor: Any, turns: DeferredLock, cost: Cost
    ) -> None:
        self._keyring = keyring
        self._writer = writer
        self._in_thread = in_thread
        self._reactor = reactor
        self._turns = turns
        self._cost = cost
        self._timer: IDelayedCall | None = None
        self._is_closed = False

    @property
    def until(self) -> float:
        """The reactor's time at which the wallet locks itself; 0 when it is locked or never does."""
        return self._timer.getTime() if self._timer is not None else 0.0

    async def unlock(self, passphrase: str, seconds: int) -> None:
        """Until the time is over; RpcError −8, −14, −15."""
        self._encrypted("walletpassphrase")
        if seconds < 0:
            raise RpcError(INVALID_PARAMETER, "Timeout cannot be negative.")
        if not passphrase:
            raise RpcError(INVALID_PARAMETER, "passphrase cannot be empty")
        key = await self._scrypt(self._keyring.master_key, passphrase)
        if self._is_closed:
            raise RpcError(NOT_FOUND, "Requested wallet does not exist or is not loaded")
        self._keyring.unlock(key)
        self._stop_timer()
        self._timer = self._reactor.callLater(min(seconds, MAX_SECONDS), self.lock_now)

    def lock(self) -> None:
        """At once; RpcError −15."""
        self._encrypted("walletlock")
        self.lock_now()

    def close(self) -> None:
        """Forget the key, and take no other one."""
        self._is_closed = True
        self.lock_now()

    def lock_now(self) -> None:
        """Forget the key."""
        self._stop_timer()
        self._keyring.lock()

    async def change(self, old: str, new: str) -> None:
        """Another passphrase; RpcError −8, −14, −15."""
        self._encrypted("walletpassphrasechange")
        if not old or not new:
            raise RpcError(INVALID_PARAMETER, "passphrase cannot be empty")
        await self._in_turn(self._change, old, new)

    async def _change(self, old: str, new: str) -> None:
        vault = await self._scrypt(self._keyring.rewrapped, old, new, self._cost)
        before = self._keyring.vault
        changes = self._keyring.take_over(vault)
        self._relock()
        try:
            await self._rewrite(changes, WALLET_ERROR)
        except BaseException:
            self._keyring.take_over(before)
            self._relock()
            raise

    def _relock(self) -> None:
        """The time may have run out while the vault that is in use now was made."""
        if self._timer is None:
            self._keyring.lock()

    async def _rewrite(self, changes: Changes, code: int) -> None:
        try:
            await self._writer.rewrite(changes)
        except StorageError as problem:
            raise RpcError(code, f"Error: the wallet cannot be written: {problem}") from None

    async def encrypt(self, passphrase: str) -> None:
        """Protect the secrets and lock the wallet; RpcError −4, −8, −15, −16."""
        if self._keyring.is_encrypted:
            raise RpcError(WRONG_ENC_STATE, "Error: running with an encrypted wallet, but encryptwallet was called.")
        if not passphrase:
            raise RpcError(INVALID_PARAMETER, "passphrase cannot be empty")
        if self._keyring.is_empty:
            raise RpcError(ENCRYPTION_FAILED, "Error: wallet does not contain private keys, nothing to encrypt.")
        await self._in_turn(self._encrypt, passphrase)

    async def _encrypt(self, passphrase: str) -> None:
        before, plain = self._keyring.vault, self._keyring.sealed()
        vault, sealed = await self._scrypt(self._keyring.encrypted, passphrase, self._cost)
        try:
            await self._rewrite(self._keyring.take_over(vault, sealed), WALLET_ERROR)
        except BaseException:
            self._keyring.take_over(before, plain)
            raise
        self._keyring.lock()

    async def words(self) -> Words:
        """The recovery words: **secret**; RpcError −4, −13."""
        try:
            return self._keyring.words()
        except WalletError as problem:
            raise wallet_error(problem) from None

    async def _in_turn(self, work: Any, *arguments: str) -> None:
        await self._turns.acquire()
        try:
            await work(*arguments)
        finally:
            self._turns.release()

    async def _scrypt(self, work: Any, *arguments: Any) -> Any:
        try:
            return await self._in_thread(work, *arguments)
        except WrongPassphrase:
            raise RpcError(PASSPHRASE_INCORRECT, _WRONG) from None
        except WalletError as problem:
            raise wallet_error(problem) from None

    def _encrypted(self, method: str) -> None:
        if not self._keyring.is_encrypted:
            reason = f"Error: running with an unencrypted wallet, but {method} was called."
            raise RpcError(WRONG_ENC_STATE, reason)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def unlocked_until(locking: Locking, now: float, now_ms: int) -> int:
    """Unix seconds of :attr:`Locking.until`, given the reactor's time and the clock's."""
    return int(now_ms / 1000 + locking.until - now) if locking.until else 0

"""Signing and sending for one wallet: the guard's word is on disk before a signature leaves, and what was sent is sent
again, byte for byte, until it is archived or rejected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.ledger.errors import TxInvalid
from timecoin.mempool.errors import AlreadyKnown, NotAdmitted
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_writer import InThread
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.rpc.errors import DESERIALIZATION_ERROR, RpcError, from_exception
from timecoin.rpc.face_wallet import SignResult
from timecoin.rpc.wallet_errors import IN_INITIAL_DOWNLOAD, WALLET_ERROR, wallet_error
from timecoin.wallet.errors import VaultLocked, WalletError
from timecoin.wallet.guard import SecondSpend
from timecoin.wallet.psbt_sign import VERSIONS
from timecoin.wallet.raw_signing import Signed, sign_raw
from timecoin.wallet.records import Record
from timecoin.wallet.state import WalletState

__all__ = ["Flush", "Signer"]

Flush: TypeAlias = Callable[[], Awaitable[None]]
"""Makes all that changed in the wallet durable, or waits until it has caught up; RpcError −4 when that cannot be."""


class Signer:
    """Signs, sends and sends again for one wallet."""

    log = Logger()

    def __init__(
        self,
        name: str,
        state: WalletState,
        chain: WalletChain,
        flush: Flush,
        ready: Flush,
        in_thread: InThread,
        backend: SignatureBackend,
    ) -> None:
        self._name = name
        self._state = state
        self._chain = chain
        self._flush = flush
        self._ready = ready
        self._in_thread = in_thread
        self._backend = backend

    async def secrets(self, scripts: Iterable[bytes]) -> dict[bytes, bytes]:
        """Private keys of own scripts; RpcError −13."""
        if self._state.keyring.is_locked:
            raise wallet_error(VaultLocked())
        try:
            found: dict[bytes, bytes] = await self._in_thread(self._state.secrets, list(scripts))
        except WalletError as problem:
            raise wallet_error(problem) from None
        return found

    async def permit(self, tx: Transaction, outpoints: Iterable[OutPoint], may_block_coins: bool) -> None:
        """Put spends of coins on record, durably; RpcError −4, −10."""
        if self._chain.syncing:
            raise RpcError(IN_INITIAL_DOWNLOAD, "The node is behind the network and cannot tell the epoch: wait")
        if not may_block_coins:
            await self._ready()
        coins, epoch = list(outpoints), -1
        while epoch != self._chain.tip.epoch:
            # Once more when the epoch closed meanwhile: the signature would count in the new one.
            epoch = self._chain.tip.epoch
            if not may_block_coins:
                self._check(tx, coins, epoch)
            self._state.note_guard(self._state.guard.record(tx, coins, epoch))
            await self._flush()

    def _check(self, tx: Transaction, coins: Iterable[OutPoint], epoch: int) -> None:
        try:
            self._state.guard.allow(tx, coins, epoch)
            for outpoint in coins:
                rival = self._state.history.live_spender(outpoint)
                if rival is not None and rival.txid != tx.txid:
                    raise SecondSpend(outpoint, rival.txid)
        except SecondSpend as problem:
            raise RpcError(WALLET_ERROR, str(problem)) from None

    async def sign(
        self,
        tx: Transaction,
        previous: Mapping[OutPoint, TxOutput],
        scripts: Mapping[bytes, bytes],
        may_block_coins: bool,
    ) -> SignResult:
        """Sign the inputs whose coins are known and whose keys are here; RpcError −4, −10, −13, −22."""
        if tx.version not in VERSIONS:
            # Such as that of a BIP 322 message: nobody signs one who was asked for a payment.
            raise RpcError(DESERIALIZATION_ERROR, f"A transaction of version {tx.version} is none of this ledger")
        coins = {outpoint: coin for outpoint in tx.outpoints() if (coin := self._coin(outpoint, previous)) is not None}
        own = {outpoint: coin.script for outpoint, coin in coins.items() if self._can_sign(coin.script)}
        secrets = await self.secrets(own.values()) if own else {}
        if own:
            await self.permit(tx, own, may_block_coins)
        epoch = self._chain.tip.epoch
        known = {**scripts, **self._witness_scripts(coin.script for coin in coins.values())}
        signed: Signed = await self._in_thread(sign_raw, tx, coins, known, secrets, self._backend)
        if own and self._chain.tip.epoch != epoch:
            # Signing takes time, and an epoch closed.
            await self.permit(tx, own, may_block_coins)
        return SignResult(*signed)

    def _coin(self, outpoint: OutPoint, previous: Mapping[OutPoint, TxOutput]) -> TxOutput | None:
        coin = self._state.history.coin(outpoint) or self._chain.coin(outpoint)
        return previous.get(outpoint) if coin is None else TxOutput(coin.value, coin.script)

    def _witness_scripts(self, scripts: Iterable[bytes]) -> dict[bytes, bytes]:
        expansions = [self._state.expand(script) for script in scripts]
        return {each.script: each.witness_script for each in expansions if each is not None and each.witness_script}

    def _can_sign(self, script: bytes) -> bool:
        owned = self._state.owned(script)
        return owned is not None and owned.spendable

    # Sending

    async def send(self, tx: Transaction, notes: Mapping[str, str]) -> Hash:
        """Keep and submit; RpcError −25, −26 when the node refuses it for good, and then it is not kept."""
        before = self._state.history.get(tx.txid)
        self._state.history.sign(tx, self._chain.now_ms(), notes)
        self._state.absorb(tx, "pending", self._chain.now_ms())
        try:
            await self._flush()
        except BaseException:
            # The caller is told that it was not sent: then it must not be sent later.
            self._forget(tx, before)
            raise
        try:
            await self._chain.submit(tx)
        except TxInvalid as refused:
            await self._take_back(tx, before)
            raise from_exception(refused) or refused from None
        except NotAdmitted as later:
            self.log.info("{txid} is kept and sent again: {code}", txid=_shown(tx), code=later.code)
        return tx.txid

    async def _take_back(self, tx: Transaction, before: Record | None) -> None:
        """The node let nobody see it: it is as if it had not been signed."""
        self._forget(tx, before)
        await self._flush()

    def _forget(self, tx: Transaction, before: Record | None) -> None:
        if before is not None:
            self._state.history.put_back(before)
            return
        self._state.history.forget(tx.txid)
        freed: dict[OutPoint, bytes | None] = {**self._state.guard.release(tx, tx.outpoints())}
        self._state.note_guard(freed)

    async def send_again(self) -> None:
        """Submit what was signed here and is neither archived nor rejected, parents first."""
        if self._chain.syncing:
            return
        for record in self._state.history.to_send_again():
            try:
                await self._chain.submit(record.tx)
            except AlreadyKnown:
                continue
            except NotAdmitted as later:
                self.log.debug("{txid} is sent again later: {code}", txid=_shown(record.tx), code=later.code)
            except TxInvalid as refused:
                self._state.absorb(record.tx, "rejected", self._chain.now_ms(), reason=refused.code)
                self.log.warn("{txid} is rejected: {code}", txid=_shown(record.tx), code=refused.code)
        await self._flush()

    def again_in_background(self) -> Deferred[Any]:
        """:meth:`send_again`, its failure logged."""
        again = Deferred.fromCoroutine(self.send_again())
        return again.addErrback(lambda failure: self.log.failure("sending again failed", failure))


def _shown(tx: Transaction) -> str:
    return tx.txid[::-1].hex()

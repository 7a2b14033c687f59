"""Signing and sending for one wallet: the guard's word is on disk before a signature leaves, and what was sent is sent
again, byte for byte, until it is archived or rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.ledger.errors import TxInvalid
from timecoin.mempool.errors import AlreadyKnown, NotAdmitted
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_writer import InThread, WalletWriter
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.rpc.errors import RpcError, from_exception
from timecoin.rpc.face_wallet import SignResult
from timecoin.rpc.wallet_errors import IN_INITIAL_DOWNLOAD, WALLET_ERROR, wallet_error
from timecoin.wallet.errors import VaultLocked, WalletError
from timecoin.wallet.guard import SecondSpend
from timecoin.wallet.signing import Spent, sign_inputs
from timecoin.wallet.state import WalletState

__all__ = ["Signer"]

_NOT_FOUND: Final = "Input not found or already spent"


class Signer:
    """Signs, sends and sends again for one wallet."""

    log = Logger()

    def __init__(
        self,
        name: str,
        state: WalletState,
        chain: WalletChain,
        writer: WalletWriter,
        in_thread: InThread,
        backend: SignatureBackend,
    ) -> None:
        self._name = name
        self._state = state
        self._chain = chain
        self._writer = writer
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
        coins, epoch = list(outpoints), self._chain.tip.epoch
        if not may_block_coins:
            self._check(tx, coins, epoch)
        self._state.note_guard(self._state.guard.record(tx, coins, epoch))
        await self._writer.flush()

    def _check(self, tx: Transaction, coins: Iterable[OutPoint], epoch: int) -> None:
        try:
            self._state.guard.allow(tx, coins, epoch)
            for outpoint in coins:
                rival = self._state.history.live_spender(outpoint)
                if rival is not None and rival.txid != tx.txid:
                    raise SecondSpend(outpoint, rival.txid)
        except SecondSpend as problem:
            raise RpcError(WALLET_ERROR, str(problem)) from None

    async def sign(self, tx: Transaction, previous: Mapping[OutPoint, Spent], may_block_coins: bool) -> SignResult:
        """Sign the inputs whose coins are known and whose keys are here; RpcError −4, −10, −13."""
        coins = {n: self._spent(each, previous) for n, each in enumerate(tx.outpoints())}
        known = {n: coin for n, coin in coins.items() if coin is not None}
        own = [coin.script for coin in known.values() if self._can_sign(coin.script)]
        outpoints = [each for n, each in enumerate(tx.outpoints()) if n in known and known[n].script in own]
        secrets = await self.secrets(own) if own else {}
        if outpoints:
            await self.permit(tx, outpoints, may_block_coins)
        signed, missing = await self._in_thread(sign_inputs, tx, known, secrets, self._backend)
        unknown = {n: _NOT_FOUND for n, coin in coins.items() if coin is None}
        return SignResult(signed, missing | unknown)

    def _spent(self, outpoint: OutPoint, previous: Mapping[OutPoint, Spent]) -> Spent | None:
        coin = self._state.history.coin(outpoint)
        given = previous.get(outpoint)
        if coin is not None:
            expansion = self._state.expand(coin.script)
            witness_script = None if expansion is None else expansion.witness_script
            return Spent(coin.value, coin.script, witness_script or (given.witness_script if given else None))
        if given is None:
            found = self._chain.coin(outpoint)
            return None if found is None else self._spent_of_script(found.value, found.script)
        return given if given.witness_script else self._spent_of_script(given.value, given.script)

    def _spent_of_script(self, value: int, script: bytes) -> Spent:
        expansion = self._state.expand(script)
        return Spent(value, script, None if expansion is None else expansion.witness_script)

    def _can_sign(self, script: bytes) -> bool:
        owned = self._state.owned(script)
        return owned is not None and owned.spendable

    # Sending

    async def send(self, tx: Transaction, notes: Mapping[str, str]) -> Hash:
        """Keep and submit; RpcError −25, −26 when the node refuses it for good, and then it is not kept."""
        was_known = tx.txid in self._state.history
        self._state.history.sign(tx, self._chain.now_ms(), notes)
        self._state.absorb(tx, "pending", self._chain.now_ms())
        await self._writer.flush()
        try:
            await self._chain.submit(tx)
        except TxInvalid as refused:
            await self._take_back(tx, was_known)
            raise from_exception(refused) or refused from None
        except NotAdmitted as later:
            self.log.info("{txid} is kept and sent again: {code}", txid=_shown(tx), code=later.code)
        return tx.txid

    async def _take_back(self, tx: Transaction, was_known: bool) -> None:
        """The node let nobody see it: it is as if it had not been signed."""
        if was_known:
            return
        self._state.history.forget(tx.txid)
        freed: dict[OutPoint, bytes | None] = {**self._state.guard.release(tx, tx.outpoints())}
        self._state.note_guard(freed)
        await self._writer.flush()

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
        self._writer.soon()

    def again_in_background(self) -> Deferred[Any]:
        """:meth:`send_again`, its failure logged."""
        again = Deferred.fromCoroutine(self.send_again())
        return again.addErrback(lambda failure: self.log.failure("sending again failed", failure))


def _shown(tx: Transaction) -> str:
    return tx.txid[::-1].hex()

"""Which coins may pay, in which order of preference, and the transaction that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import Final

from timecoin.ledger.params import Parameters
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_writer import InThread
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Draft, Funding
from timecoin.rpc.wallet_errors import INSUFFICIENT_FUNDS, WALLET_ERROR, wallet_error
from timecoin.wallet.book import CHANGE
from timecoin.wallet.building import (
    Built,
    InsufficientFunds,
    Limits,
    Plan,
    TooLarge,
    TooSmallToPayFee,
    build,
    build_all,
)
from timecoin.wallet.coins import Coin
from timecoin.wallet.errors import NoDescriptor, WalletError
from timecoin.wallet.selection import Candidate, Random
from timecoin.wallet.sizes import input_weight
from timecoin.wallet.state import WalletState

__all__ = ["Funder", "system_random"]

_UNKNOWN_WEIGHT: Final = 272
"""Of the input that spends a change output whose script is another's, for the estimate of its cost."""

_MOST_FEE: Final = 100
"""Times the least fee that a payment pays at most: who asks for more took one unit for another. It is what
sendrawtransaction takes unless told otherwise."""

_FINAL: Final = ("final", "archived")
_TIERS: Final = (_FINAL, (*_FINAL, "certified"), (*_FINAL, "certified", "pending"))
"""Own change is spent before it is final, but only where settled coins do not suffice."""


def system_random() -> Random:
    """The randomness of a wallet: the system's."""
    return SystemRandom()


class Funder:
    """Makes drafts and knows which coins are reserved by them. One draft at a time: the caller sees to that."""

    def __init__(
        self,
        state: WalletState,
        chain: WalletChain,
        in_thread: InThread,
        is_collateral: Callable[[OutPoint], bool],
        random: Random,
    ) -> None:
        self._state = state
        self._chain = chain
        self._in_thread = in_thread
        self._is_collateral = is_collateral
        self._random = random
        self._reserved: dict[OutPoint, Draft] = {}
        self._weights: dict[bytes, int | None] = {b"": None}

    def release(self, draft: Draft) -> None:
        """The coins that a draft still holds may be chosen again."""
        self.spent([outpoint for outpoint in draft.tx.outpoints() if self._reserved.get(outpoint) is draft])

    def spent(self, outpoints: Iterable[OutPoint]) -> None:
        """Coins are spent, whoever held them."""
        for outpoint in outpoints:
            self._reserved.pop(outpoint, None)

    async def fund(self, outputs: Sequence[TxOutput], funding: Funding, rate: int) -> Draft:
        """A draft; its coins are reserved. RpcError −4, −6, −8."""
        script = outputs[0].script if funding.all_to else funding.change_script or self._peek_change()
        try:
            built = await self._build(outputs, funding, rate, script)
            if self._is_too_long(built):
                # Coins of several lines add their ancestors up; archived ones have none.
                archived = replace(funding, least_depth=max(1, funding.least_depth))
                built = await self._build(outputs, archived, rate, script)
        except InsufficientFunds:
            raise self._short(funding) from None
        except TooSmallToPayFee as problem:
            raise RpcError(INSUFFICIENT_FUNDS, str(problem)) from None
        except TooLarge as problem:
            raise RpcError(WALLET_ERROR, str(problem)) from None
        self._check_fee(built)
        tx = built.tx
        if built.change_position is not None and funding.change_script is None:
            # Another one than was reckoned with, if that was handed out meanwhile; their sizes are the same.
            tx = _with_script(tx, built.change_position, self._state.book.new_change())
        coins = tuple([self._coin(outpoint) for outpoint in tx.outpoints()])
        draft = Draft(tx, coins, built.fee, built.change_position)
        self._reserved.update(dict.fromkeys(tx.outpoints(), draft))
        return draft

    def _check_fee(self, built: Built) -> None:
        most = _MOST_FEE * self._chain.parameters.min_fee_rate
        if built.fee > most * built.estimated_vsize:
            raise RpcError(INSUFFICIENT_FUNDS, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")

    def _peek_change(self) -> bytes:
        try:
            return self._state.book.peek_script(CHANGE)
        except NoDescriptor:
            reason = "Transaction needs a change address, but we can't generate it."
            raise RpcError(WALLET_ERROR, reason) from None
        except WalletError as problem:
            raise wallet_error(problem) from None

    async def _build(self, outputs: Sequence[TxOutput], funding: Funding, rate: int, script: bytes) -> Built:
        preset = tuple([self._preset(outpoint, funding) for outpoint in funding.inputs])
        limits = limits_of(self._chain.parameters)
        plan = partial(
            Plan,
            tuple(outputs),
            script,
            self._weight(script) or _UNKNOWN_WEIGHT,
            rate,
            subtract_from=funding.subtract_from,
            change_position=funding.change_position,
            lock_time=funding.lock_time,
            version=funding.version,
            sequences=dict(funding.sequences),
        )
        if funding.all_to:
            everything = preset or tuple(self._candidates(funding, _TIERS[-1]))
            built: Built = await self._in_thread(build_all, plan(preset=everything), limits, funding.all_to)
            return built
        return await self._tiers(plan, preset, funding, limits)

    async def _tiers(
        self, plan: Callable[..., Plan], preset: tuple[Candidate, ...], funding: Funding, limits: Limits
    ) -> Built:
        """With settled coins if they suffice, else with own change that is certified, else pending."""
        tried: tuple[Candidate, ...] | None = None
        problem: Exception = InsufficientFunds(0)
        for tier in _TIERS if funding.add_inputs else _TIERS[:1]:
            optional = tuple(self._candidates(funding, tier)) if funding.add_inputs else ()
            if optional == tried:
                continue
            tried = optional
            try:
                built: Built = await self._in_thread(
                    build, plan(preset=preset, optional=optional), limits, self._random
                )
            except (InsufficientFunds, TooLarge) as missing:
                problem = missing
            else:
                return built
        raise problem

    def _candidates(self, funding: Funding, statuses: Sequence[str]) -> Iterator[Candidate]:
        usable: dict[bytes, bool] = {}
        for coin in self._state.history.unspent():
            if coin.outpoint in funding.inputs or not self._is_free(coin, funding):
                continue
            status = self._state.history.status_of(coin)
            if status not in statuses:
                continue
            if status != "archived" and not self._usable(coin, status in _FINAL or funding.include_unsafe, usable):
                continue
            weight = self._weight(coin.script)
            if weight is not None:
                yield Candidate(coin.outpoint, coin.value, weight)

    def _usable(self, coin: Coin, safe: bool, known: dict[bytes, bool]) -> bool:
        """Whether a coin that is not archived may be relied on, and its line of ancestors can be longer by one."""
        if coin.txid not in known:
            line = len(self._state.history.unarchived_ancestors([coin.txid]))
            known[coin.txid] = line <= self._chain.parameters.max_chain and (
                safe or self._state.history.is_trusted(coin.txid)
            )
        return known[coin.txid]

    def _is_free(self, coin: Coin, funding: Funding) -> bool:
        outpoint = coin.outpoint
        return (
            (coin.owned.spendable or funding.watching)
            and outpoint not in self._state.locks
            and outpoint not in self._reserved
            and self._state.guard.spend_of(outpoint, self._chain.tip.epoch) is None
            and not self._is_collateral(outpoint)
            and self._is_deep(coin, funding)
        )

    def _is_deep(self, coin: Coin, funding: Funding) -> bool:
        if funding.least_depth == 0 and funding.most_depth is None:
            return True
        height = self._state.history.height_of(coin)
        depth = 0 if height is None else self._chain.tip.height - height + 1
        return depth >= funding.least_depth and (funding.most_depth is None or depth <= funding.most_depth)

    def _preset(self, outpoint: OutPoint, funding: Funding) -> Candidate:
        coin = self._state.history.coin(outpoint)
        weight = None if coin is None else self._weight(coin.script)
        if coin is None or weight is None or not (coin.owned.spendable or funding.watching):
            raise RpcError(WALLET_ERROR, "Unable to find UTXO for external input")
        where = f"{outpoint[:32][::-1].hex()}:{coin.index}"
        if not self._state.history.is_unspent(outpoint):
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, {where} is already spent")
        settled = self._state.history.status_of(coin) in _FINAL
        if not settled and not funding.include_unsafe and not self._state.history.is_trusted(coin.txid):
            raise RpcError(WALLET_ERROR, f"{where} is another's and not final: include_unsafe spends it all the same")
        if self._is_collateral(outpoint):
            raise RpcError(WALLET_ERROR, f"{where} is the collateral of a masternode: unregister that first")
        return Candidate(outpoint, coin.value, weight)

    def _weight(self, script: bytes) -> int | None:
        """Of the input that spends the script; None when how is not known. The same for all of a descriptor."""
        place = self._state.book.find(script)
        key = b"" if place is None else place.descriptor_id
        if key not in self._weights:
            expansion = self._state.expand(script)
            try:
                self._weights[key] = input_weight(script, (expansion.witness_script if expansion else None) or b"")
            except ValueError:
                self._weights[key] = None
        return self._weights[key]

    def _coin(self, outpoint: OutPoint) -> Coin:
        coin = self._state.history.coin(outpoint)
        assert coin is not None
        return coin

    def _is_too_long(self, built: Built) -> bool:
        parents = {outpoint[:32] for outpoint in built.tx.outpoints()}
        return len(self._state.history.unarchived_ancestors(parents)) > self._chain.parameters.max_chain

    def _short(self, funding: Funding) -> RpcError:
        """Why the coins do not suffice: there are none, or they wait for the next block."""
        most = self._chain.parameters.max_chain
        for coin in self._state.history.unspent():
            if self._is_free(coin, funding) and len(self._state.history.unarchived_ancestors([coin.txid])) > most:
                reason = f"Coins stand behind {most} transactions that are not archived (too-long-mempool-chain)"
                return RpcError(WALLET_ERROR, f"{reason}: try again after the next block, or keep more than one coin")
        return RpcError(INSUFFICIENT_FUNDS, "Insufficient funds")


def _with_script(tx: Transaction, index: int, script: bytes) -> Transaction:
    outputs = list(tx.outputs)
    outputs[index] = outputs[index]._replace(script=script)
    return Transaction(tx.version, tx.inputs, tuple(outputs), tx.lock_time)


def limits_of(parameters: Parameters) -> Limits:
    """The network's limits for transactions that are built."""
    return Limits(parameters.dust, parameters.min_fee_rate, parameters.max_tx_bytes)

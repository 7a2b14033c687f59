"""Which coins may pay, in which order of preference, and the transaction that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Any, Final

from twisted.internet.defer import Deferred

from timecoin.ledger.params import Parameters
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_gathering import DEEP, ENOUGH, LOW, Gathered, Gatherer
from timecoin.node.wallet_lines import Lines
from timecoin.node.wallet_writer import InThread
from timecoin.primitives.amounts import format_amount
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
from timecoin.wallet.splitting import least_part, parts_wanted, split_change
from timecoin.wallet.state import WalletState

__all__ = ["Funder", "system_random"]

_UNKNOWN_WEIGHT: Final = 272
"""Of the input that spends a change output whose script is another's, for the estimate of its cost."""

_MOST_FEE: Final = 100
"""Times the least fee that a payment pays at most: who asks for more took one unit for another. It is what
sendrawtransaction takes unless told otherwise."""

HELD_SECONDS: Final = 5.0
"""A payment waits so long for others to be sent that hold the coins which it needs."""

_ATTEMPTS: Final = 3
"""How often coins are chosen anew because some were spent or locked meanwhile."""

_FINAL: Final = ("final", "archived")


def system_random() -> Random:
    """The randomness of a wallet: the system's."""
    return SystemRandom()


class _Held(RpcError):
    """The coins would suffice, but drafts hold them."""


class _LinesAddUp(Exception):
    """The coins that suffice stand behind too many transactions together."""


class Funder:
    """Makes drafts and knows which coins are reserved by them. One draft at a time: the caller sees to that.

    ``payments_ahead``: how many payments change is split for (``wallet.splitting``); 0: it never is.
    """

    def __init__(
        self,
        state: WalletState,
        chain: WalletChain,
        in_thread: InThread,
        is_collateral: Callable[[OutPoint], bool],
        random: Random,
        reactor: Any,
        payments_ahead: Callable[[], int],
    ) -> None:
        self._state = state
        self._chain = chain
        self._in_thread = in_thread
        self._is_collateral = is_collateral
        self._random = random
        self._reactor = reactor
        self._payments_ahead = payments_ahead
        self._ended = 0
        self._waiting: Deferred[None] | None = None
        self._reserved: dict[OutPoint, Draft] = {}
        self._weights: dict[bytes, int | None] = {b"": None}
        self._lines = Lines(state.history, chain)
        self._gatherer = Gatherer(
            state, chain, self._lines, reactor, random, self._reserved.__contains__, is_collateral, self._weight
        )

    def release(self, draft: Draft) -> None:
        """The coins that a draft still holds may be chosen again."""
        self.spent([outpoint for outpoint in draft.tx.outpoints() if self._reserved.get(outpoint) is draft])

    def spent(self, outpoints: Iterable[OutPoint]) -> None:
        """Coins are spent, whoever held them."""
        for outpoint in outpoints:
            self._reserved.pop(outpoint, None)
        self._ended += 1
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def fund(self, outputs: Sequence[TxOutput], funding: Funding, rate: int) -> Draft:
        """A draft; its coins are reserved. RpcError −4, −6, −8."""
        until = self._reactor.seconds() + HELD_SECONDS
        while True:
            ended = self._ended
            try:
                return await self._fund(outputs, funding, rate)
            except _Held:
                left = until - self._reactor.seconds()
                if not funding.patient or left <= 0:
                    raise
            if ended == self._ended:
                await self._next_end(left)

    def _next_end(self, seconds: float) -> Deferred[None]:
        """Fires when a draft is sent or given up, or ``seconds`` are over."""
        waiting = self._waiting = Deferred[None]()
        return waiting.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: None)

    async def _fund(self, outputs: Sequence[TxOutput], funding: Funding, rate: int) -> Draft:
        script = outputs[0].script if funding.all_to else funding.change_script or self._peek_change()
        for _ in range(_ATTEMPTS):
            built = await self._try(outputs, funding, rate, script)
            if self._is_still_free(built, funding):
                return self._drafted(built, funding)
        raise RpcError(WALLET_ERROR, "The wallet's coins change too quickly: try again")

    async def _try(self, outputs: Sequence[TxOutput], funding: Funding, rate: int, script: bytes) -> Built:
        gathered = Gathered()
        try:
            for enough in (ENOUGH, None) if funding.add_inputs and not funding.all_to else (None,):
                gathered = await self._gathered(funding, enough)
                try:
                    return await self._build(outputs, funding, rate, script, gathered)
                except (InsufficientFunds, TooLarge, _LinesAddUp):
                    if gathered.complete:
                        raise
            raise AssertionError("all coins are complete")
        except _LinesAddUp:
            raise self._too_long() from None
        except InsufficientFunds as problem:
            raise self._short(gathered, problem.short) from None
        except TooSmallToPayFee as problem:
            raise RpcError(INSUFFICIENT_FUNDS, str(problem)) from None
        except TooLarge as problem:
            raise RpcError(WALLET_ERROR, str(problem)) from None

    async def _gathered(self, funding: Funding, enough: int | None) -> Gathered:
        """All that there is for a payment of everything, unless it names its coins; nothing when none are to be
        added."""
        wanted = not funding.inputs if funding.all_to else funding.add_inputs
        return await self._gatherer.gather(funding, enough) if wanted else Gathered()

    def _is_still_free(self, built: Built, funding: Funding) -> bool:
        """Coins may have been spent or locked while others were looked at and chosen from."""
        drawn = [each for each in built.tx.outpoints() if each not in funding.inputs]
        coins = map(self._state.history.coin, drawn)
        return all(coin is not None and self._gatherer.is_free(coin, funding) for coin in coins)

    def _drafted(self, built: Built, funding: Funding) -> Draft:
        self._check_fee(built)
        tx = built.tx
        if funding.change_script is None:
            for place in built.change_places:
                # Others than were reckoned with, if those were handed out meanwhile; their sizes are the same.
                tx = _with_script(tx, place, self._state.book.new_change())
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

    async def _build(
        self, outputs: Sequence[TxOutput], funding: Funding, rate: int, script: bytes, gathered: Gathered
    ) -> Built:
        preset = tuple([self._preset(outpoint, funding) for outpoint in funding.inputs])
        limits = limits_of(self._chain.parameters)
        spend_weight = self._weight(script) or _UNKNOWN_WEIGHT
        plan = Plan(
            tuple(outputs),
            script,
            spend_weight,
            rate,
            preset=preset,
            subtract_from=funding.subtract_from,
            change_position=funding.change_position,
            lock_time=funding.lock_time,
            version=funding.version,
            sequences=dict(funding.sequences),
        )
        if funding.all_to:
            *_, everything = gathered.upto()
            every = replace(plan, preset=preset or everything)
            built: Built = await self._in_thread(build_all, every, limits, funding.all_to)
            return self._short_enough(built)
        built = await self._chosen(plan, limits, gathered)
        if funding.split_change and funding.change_script is None and funding.change_position is None:
            least = least_part(sum(each.value for each in outputs), rate, script, spend_weight)
            built = split_change(built, self._parts(built, gathered, least), rate, limits, self._random)
        return built

    async def _chosen(self, plan: Plan, limits: Limits, gathered: Gathered) -> Built:
        """With settled coins that stand behind few transactions if they suffice, else with the next tiers, too."""
        problem: Exception = InsufficientFunds(0)
        for optional in gathered.upto():
            try:
                built: Built = await self._in_thread(build, replace(plan, optional=optional), limits, self._random)
            except (InsufficientFunds, TooLarge) as missing:
                problem = missing
                continue
            if not self._is_too_long(built):
                return await self._less_wasteful(plan, limits, gathered, built)
            problem = _LinesAddUp()
        if isinstance(problem, _LinesAddUp):
            return await self._in_one_line(plan, limits, gathered)
        raise problem

    async def _less_wasteful(self, plan: Plan, limits: Limits, gathered: Gathered, built: Built) -> Built:
        """Coins deep in a line are spent before many small ones are."""
        if len(built.tx.inputs) < 2 or not gathered.tiers[DEEP]:
            return built
        optional = (*gathered.tiers[LOW], *gathered.tiers[DEEP])
        try:
            wide: Built = await self._in_thread(build, replace(plan, optional=optional), limits, self._random)
        except (InsufficientFunds, TooLarge):
            return built
        return built if 2 * len(wide.tx.inputs) > len(built.tx.inputs) or self._is_too_long(wide) else wide

    async def _in_one_line(self, plan: Plan, limits: Limits, gathered: Gathered) -> Built:
        """With coins any of which may be spent together."""
        behind = self._lines.behind([each.outpoint[:32] for each in plan.preset])
        optional = gathered.in_line_with(behind, self._lines.most)
        try:
            built: Built = await self._in_thread(build, replace(plan, optional=optional), limits, self._random)
        except (InsufficientFunds, TooLarge):
            raise _LinesAddUp from None
        return self._short_enough(built)

    def _short_enough(self, built: Built) -> Built:
        if self._is_too_long(built):
            raise _LinesAddUp
        return built

    def _parts(self, built: Built, gathered: Gathered, least: int) -> int:
        """Into how many coins the change of a payment goes."""
        goal = self._payments_ahead()
        if not goal or built.change_position is None or not gathered.complete:
            return 1
        inputs = built.tx.outpoints()
        line = len(self._lines.behind([each[:32] for each in inputs])) + 1
        change = built.tx.outputs[built.change_position].value
        wanted = parts_wanted(change, line, gathered.room(self._lines.most, inputs), goal, self._lines.most, least)
        return min(wanted, self._state.book.change_left())

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
        return len(self._lines.behind({outpoint[:32] for outpoint in built.tx.outpoints()})) > self._lines.most

    def _too_long(self) -> RpcError:
        reason = f"Coins stand behind {self._lines.most} transactions that are not archived (too-long-mempool-chain)"
        advice = "at the latest when the epoch ends (getepochinfo), or pay several receivers at once (sendmany)"
        return RpcError(WALLET_ERROR, f"{reason}: try again after the next block, {advice}")

    def _short(self, gathered: Gathered, short: int) -> RpcError:
        """Why ``short`` base units are missing: they wait for the next block, drafts hold them, or there are none."""
        if gathered.waiting >= short:
            return self._too_long()
        if gathered.held and gathered.held + gathered.waiting >= short:
            held = f"{format_amount(gathered.held)} TIME are held by payments under way, try again when these are sent"
            return _Held(INSUFFICIENT_FUNDS, f"Insufficient funds: {held}")
        return RpcError(INSUFFICIENT_FUNDS, "Insufficient funds")


def _with_script(tx: Transaction, index: int, script: bytes) -> Transaction:
    outputs = list(tx.outputs)
    outputs[index] = outputs[index]._replace(script=script)
    return Transaction(tx.version, tx.inputs, tuple(outputs), tx.lock_time)


def limits_of(parameters: Parameters) -> Limits:
    """The network's limits for transactions that are built."""
    return Limits(parameters.dust, parameters.min_fee_rate, parameters.max_tx_bytes)

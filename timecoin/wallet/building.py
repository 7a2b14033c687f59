"""From payments and coins to an unsigned transaction with an exact fee.

Version 2, ``lock_time`` 0 and final sequences unless asked otherwise: a decided block is never undone, so there are no
fees to snipe, and a masternode that is a block behind may vote for it at once (protocol.md section 2 lets it vote only
up to its own height). The change stands at a random place among the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from timecoin.primitives.transaction import FINAL_SEQUENCE, OutPoint, Transaction, TxInput, TxOutput
from timecoin.wallet.selection import Candidate, Costs, Random, fee_of, select
from timecoin.wallet.sizes import base_weight, output_weight, vsize_of

__all__ = ["Built", "InsufficientFunds", "Limits", "Plan", "TooLarge", "TooSmallToPayFee", "build", "build_all"]

MOST_PARTS: Final = 8
"""Coins that one payment makes of its change, at most (``wallet.splitting``)."""

_LOCK_TIME_SEQUENCE: Final = FINAL_SEQUENCE - 1


class InsufficientFunds(Exception):
    """The coins that may be spent do not pay for this; ``short`` base units are missing without their fees."""

    def __init__(self, short: int) -> None:
        super().__init__("Insufficient funds")
        self.short = short


class TooLarge(Exception):
    """What would pay exceeds ``max_tx_bytes``."""


class TooSmallToPayFee(Exception):
    """An output from which the fee was to be taken would be below dust."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Parameters of the network: base units, units per vbyte, bytes."""

    dust: int
    min_fee_rate: int
    max_tx_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built.

    ``preset`` coins are spent in any case, first and in their order; ``optional`` ones as needed. ``rate``: units per
    1,000 vbytes. ``change_script`` and the weight of the input that will spend it; ``change_position``: its index
    among the outputs, None: random. ``subtract_from``: indexes of the outputs that pay the fee in equal parts, the
    first of them also what does not divide. ``lock_time`` other than 0 makes the sequences one below final.
    """

    outputs: tuple[TxOutput, ...]
    change_script: bytes
    change_spend_weight: int
    rate: int
    optional: tuple[Candidate, ...] = ()
    preset: tuple[Candidate, ...] = ()
    subtract_from: tuple[int, ...] = ()
    change_position: int | None = None
    lock_time: int = 0
    version: int = 2
    sequences: dict[OutPoint, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """An unsigned transaction, its fee in base units, the index of its change (None: none), and how it was chosen.

    ``weight`` with the signatures to come, ``size`` of all but the outputs in bytes, both at most. ``change_places``:
    the indexes of all parts of the change when it was split (``wallet.splitting``).
    """

    tx: Transaction
    fee: int
    change_position: int | None
    algorithm: str
    weight: int
    size: int
    change_places: tuple[int, ...] = ()

    @property
    def estimated_vsize(self) -> int:
        """vbytes with the signatures to come, at most."""
        return vsize_of(self.weight)


def build(plan: Plan, limits: Limits, random: Random) -> Built:
    """Choose coins and put the transaction together.

    :raises InsufficientFunds: the coins do not suffice.
    :raises TooLarge: only too many coins together would.
    :raises TooSmallToPayFee: an output of ``subtract_from`` cannot bear its part of the fee.
    """
    costs = _costs(plan, limits)
    if plan.preset and costs.target <= 0:
        return _finish(plan, limits, random, (), "preset")
    chosen = select(plan.optional, costs, random)
    if chosen is None:
        raise _what_is_missing(plan, costs)
    return _finish(plan, limits, random, chosen.coins, chosen.algorithm)


def _costs(plan: Plan, limits: Limits) -> Costs:
    count = len(plan.preset) + len(plan.optional)
    # One output more than a boundary of compact sizes, and as many inputs as there could be: never too little.
    base = base_weight(plan.outputs, max(count, 1), extra_outputs=1)
    own_weight = sum(coin.weight for coin in plan.preset)
    change_weight = output_weight(TxOutput(0, plan.change_script))
    paid = sum(output.value for output in plan.outputs) - sum(coin.value for coin in plan.preset)
    fee = 0 if plan.subtract_from else fee_of(plan.rate, vsize_of(base + own_weight + 3))
    return Costs(
        target=paid + fee,
        rate=plan.rate,
        change_weight=change_weight,
        change_spend_weight=plan.change_spend_weight,
        least_change=max(limits.dust, fee_of(plan.rate, vsize_of(plan.change_spend_weight))),
        long_term_rate=limits.min_fee_rate * 1_000,
        # The weight of outputs is four times their size; nothing else has more bytes than it weighs.
        max_size=limits.max_tx_bytes - base // 4 - 3 - change_weight // 4 - sum(coin.size for coin in plan.preset),
        ignore_fees=bool(plan.subtract_from),
    )


def _what_is_missing(plan: Plan, costs: Costs) -> Exception:
    worth = sum(max(0, costs.worth(coin)) for coin in plan.optional)
    short = costs.scaled_target - worth
    if short > 0:
        return InsufficientFunds(-(-short // 4_000))
    return TooLarge("The inputs size exceeds the maximum weight. Please try sending a smaller amount.")


def _finish(plan: Plan, limits: Limits, random: Random, drawn: Sequence[Candidate], algorithm: str) -> Built:
    """Decide on change with exact sizes, then order inputs and outputs."""
    shuffled = list(drawn)
    random.shuffle(shuffled)
    coins = (*plan.preset, *shuffled)
    spare = sum(coin.value for coin in coins) - sum(output.value for output in plan.outputs)
    change = TxOutput(0, plan.change_script)
    fee_with = _fee(plan, coins, (*plan.outputs, change))
    fee_without = _fee(plan, coins, plan.outputs)
    paid_by_receivers = bool(plan.subtract_from)
    rest = spare if paid_by_receivers else spare - fee_with
    if rest >= max(limits.dust, fee_of(plan.rate, vsize_of(plan.change_spend_weight))):
        outputs = _less(plan, limits, fee_with)
        position = _position(plan, random, len(outputs))
        whole = (*outputs[:position], TxOutput(rest, plan.change_script), *outputs[position:])
        return _built(plan, limits, coins, whole, position, algorithm)
    if spare < (0 if paid_by_receivers else fee_without):
        raise InsufficientFunds(fee_without - spare)
    owed = max(0, fee_without - spare) if paid_by_receivers else 0
    return _built(plan, limits, coins, _less(plan, limits, owed), None, algorithm)


def _fee(plan: Plan, coins: Sequence[Candidate], outputs: Sequence[TxOutput]) -> int:
    return fee_of(plan.rate, vsize_of(_weight(coins, outputs)))


def _weight(coins: Sequence[Candidate], outputs: Sequence[TxOutput]) -> int:
    return base_weight(outputs, len(coins)) + sum(coin.weight for coin in coins)


def _position(plan: Plan, random: Random, outputs: int) -> int:
    return random.randint(0, outputs) if plan.change_position is None else plan.change_position


def _less(plan: Plan, limits: Limits, fee: int) -> tuple[TxOutput, ...]:
    """The outputs less their parts of ``fee``."""
    if not plan.subtract_from or not fee:
        return plan.outputs
    share, rest = divmod(fee, len(plan.subtract_from))
    outputs = list(plan.outputs)
    for number, index in enumerate(plan.subtract_from):
        value = outputs[index].value - share - (rest if number == 0 else 0)
        if value < limits.dust:
            raise TooSmallToPayFee("The transaction amount is too small to pay the fee")
        outputs[index] = outputs[index]._replace(value=value)
    return tuple(outputs)


def _built(
    plan: Plan,
    limits: Limits,
    coins: Sequence[Candidate],
    outputs: tuple[TxOutput, ...],
    position: int | None,
    algorithm: str,
) -> Built:
    sequence = FINAL_SEQUENCE if plan.lock_time == 0 else _LOCK_TIME_SEQUENCE
    inputs = tuple(TxInput(coin.outpoint, sequence=plan.sequences.get(coin.outpoint, sequence)) for coin in coins)
    tx = Transaction(plan.version, inputs, outputs, plan.lock_time)
    size = (
        base_weight((), len(coins), extra_outputs=len(outputs) + MOST_PARTS) // 4 + 3 + sum(coin.size for coin in coins)
    )
    if size + sum(len(output.encode()) for output in outputs) > limits.max_tx_bytes:
        raise TooLarge("Transaction too large")
    fee = sum(coin.value for coin in coins) - sum(output.value for output in outputs)
    places = () if position is None else (position,)
    return Built(tx, fee, position, algorithm, _weight(coins, outputs), size, places)


def build_all(plan: Plan, limits: Limits, receivers: Sequence[int]) -> Built:
    """Spend every coin of ``preset`` (sendall): what the outputs of fixed value and the fee leave goes in equal parts
    to the outputs at the indexes ``receivers``, whose values are not looked at.

    :raises InsufficientFunds: nothing is left. :raises TooSmallToPayFee: a part would be dust.
    """
    fixed = sum(output.value for n, output in enumerate(plan.outputs) if n not in receivers)
    left = sum(coin.value for coin in plan.preset) - fixed - _fee(plan, plan.preset, plan.outputs)
    if left <= 0:
        raise InsufficientFunds(-left)
    share, rest = divmod(left, len(receivers))
    if share < limits.dust:
        raise TooSmallToPayFee("Dynamically assigned remainder results in dust output.")
    outputs = list(plan.outputs)
    for number, index in enumerate(receivers):
        outputs[index] = outputs[index]._replace(value=share + (rest if number == 0 else 0))
    return _built(replace(plan, outputs=tuple(outputs)), limits, plan.preset, tuple(outputs), None, "all")

"""Change in several coins, so that a wallet that pays often is not held up until its next block.

A coin that is not archived stands at the end of a line of transactions, and at most ``max_chain`` of these may be
unarchived (protocol.md section 5, R1). So one coin and its change pay ``max_chain`` + 1 times until a block archives
them, and each further coin adds what is left of its own line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.building import MOST_PARTS, Built, Limits
from timecoin.wallet.selection import Random, fee_of
from timecoin.wallet.sizes import base_weight, output_weight, vsize_of

__all__ = ["LINE_TO_SPLIT", "Room", "least_part", "parts_wanted", "split_change"]

LINE_TO_SPLIT: Final = 4
"""Change is split from the fourth payment of a line on: who pays now and then never pays for it."""

_WORTH: Final = 100
"""Times what making and spending it costs that a part is worth at least: it costs one percent of it at most."""

_EVEN: Final = 1_000
"""The weights of parts are drawn from this to twice this: parts of one value would name themselves as change."""


@dataclass(frozen=True, slots=True)
class Room:
    """A coin that may be spent: ``value`` in base units, and the payments that it and its change can still make."""

    value: int
    payments: int


def least_part(paid: int, rate: int, change_script: bytes, spend_weight: int) -> int:
    """Base units of a part at least: another payment like this one (``paid``), and many times its own costs."""
    costs = fee_of(rate, vsize_of(output_weight(TxOutput(0, change_script)) + spend_weight))
    return max(paid, _WORTH * costs)


def parts_wanted(change: int, line: int, others: Iterable[Room], goal: int, most_line: int, least: int) -> int:
    """Into how many coins of ``least`` base units or more ``change`` should go; 1: it stays whole.

    ``line``: the unarchived transactions that the change stands behind, the payment included, of ``most_line`` at most.
    ``others``: the coins that are left beside it; those of less than ``least`` do not count. ``goal``: payments that
    are to be possible until the next block.
    """
    each = most_line + 1 - line
    if line < LINE_TO_SPLIT or each <= 0:
        return 1
    missing = goal - each - sum(room.payments for room in others if room.value >= least)
    if missing <= 0:
        return 1
    return max(1, min(1 + -(-missing // each), change // (2 * least), MOST_PARTS))


def split_change(built: Built, parts: int, rate: int, limits: Limits, random: Random) -> Built:
    """The same payment with its change in ``parts`` coins, for which the change pays; as it is if that is too large.

    Values differ, by a factor of two at most; each part stands at a random place. Their script is that of the change.
    """
    place = built.change_position
    if place is None or parts < 2:
        return built
    change, rest = built.tx.outputs[place], (*built.tx.outputs[:place], *built.tx.outputs[place + 1 :])
    mixed = [*rest, *[change._replace(value=0)] * parts]
    inputs = len(built.tx.inputs)
    weight = built.weight - base_weight(built.tx.outputs, inputs) + base_weight(mixed, inputs)
    fee = built.fee + fee_of(rate, vsize_of(weight)) - fee_of(rate, vsize_of(built.weight))
    values = _shares(change.value + built.fee - fee, parts, random)
    if built.size + sum(map(len, map(TxOutput.encode, mixed))) > limits.max_tx_bytes or min(values) < limits.dust:
        return built
    outputs, places = _mixed(rest, [change._replace(value=value) for value in values], random)
    tx = Transaction(built.tx.version, built.tx.inputs, tuple(outputs), built.tx.lock_time)
    return replace(built, tx=tx, fee=fee, change_position=places[0], change_places=places, weight=weight)


def _shares(total: int, parts: int, random: Random) -> list[int]:
    weights = [random.randint(_EVEN, 2 * _EVEN) for _ in range(parts)]
    values = [total * weight // sum(weights) for weight in weights]
    values[0] += total - sum(values)
    return values


def _mixed(
    rest: Iterable[TxOutput], parts: Iterable[TxOutput], random: Random
) -> tuple[list[TxOutput], tuple[int, ...]]:
    """The parts among the other outputs, which keep their order; and where the parts are."""
    marked = [(output, False) for output in rest]
    for part in parts:
        marked.insert(random.randint(0, len(marked)), (part, True))
    return [output for output, _ in marked], tuple([n for n, (_, is_part) in enumerate(marked) if is_part])

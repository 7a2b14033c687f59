"""Which coins pay: branch and bound for a payment without change, else a single random draw.

Both algorithms and the measure of *waste* between them are Bitcoin Core's (src/wallet/coinselection.cpp; M. Erhardt,
"An Evaluation of Coin Selection Strategies", 2016). Everything is integer: values are scaled by ``SCALE``, so that a
fee rate in units per 1,000 vbytes times a weight needs no rounding before the very end. Randomness is injected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from timecoin.primitives.transaction import OutPoint

__all__ = ["SCALE", "Candidate", "Chosen", "Costs", "branch_and_bound", "fee_of", "select", "single_random_draw"]

SCALE: Final = 4_000
"""Scaled values are base units × SCALE: weight × (units per 1,000 vbytes) is a scaled fee as it is."""

_INPUT_STRIPPED: Final = 36 + 1 + 4

TRIES: Final = 100_000
"""Steps of branch and bound, at most, as in Core."""

LEAST_CHANGE: Final = 50_000
"""Base units of change that a random draw aims at, at least (Core's CHANGE_LOWER); Core's CHANGE_UPPER is the most."""
MOST_CHANGE: Final = 1_000_000


class Random(Protocol):
    """The part of ``random.Random`` that is used; a wallet gives the system's."""

    def shuffle(self, x: list[Candidate]) -> None:
        """Bring a list into random order."""

    def randint(self, a: int, b: int) -> int:
        """A number from a to b, both included."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coin that could pay: ``value`` in base units, ``weight`` of the input that would spend it at most."""

    outpoint: OutPoint
    value: int
    weight: int

    @property
    def size(self) -> int:
        """Bytes of the input and its witness together (``max_tx_bytes`` counts bytes, not vbytes)."""
        return self.weight - 3 * _INPUT_STRIPPED


@dataclass(frozen=True, slots=True)
class Costs:
    """What selection has to reckon with.

    ``target``: base units that the coins must bring beyond their own fees (payments and the fee of all but the
    inputs; less what coins that are already chosen bring). ``rate``: units per 1,000 vbytes. ``change_weight``: of a
    change output; ``change_spend_weight``: of the input that spends it one day; ``least_change``: less is not worth
    an output, and at least the ledger's dust. ``long_term_rate``: what spending is expected to cost one day.
    ``max_size``: bytes of the inputs together. ``ignore_fees``: the receivers pay them (subtract fee from outputs).
    """

    target: int
    rate: int
    change_weight: int
    change_spend_weight: int
    least_change: int
    long_term_rate: int
    max_size: int
    ignore_fees: bool = False

    @property
    def scaled_target(self) -> int:
        """``target``, scaled."""
        return self.target * SCALE

    @property
    def change_fee(self) -> int:
        """The fee of a change output, scaled."""
        return self.rate * self.change_weight

    @property
    def change_cost(self) -> int:
        """What change costs now and when it is spent, scaled: the most that a payment without change may waste."""
        return self.change_fee + self.long_term_rate * self.change_spend_weight

    def worth(self, coin: Candidate) -> int:
        """The effective value of a coin, scaled: less the fee of its input, unless the receivers pay that."""
        return coin.value * SCALE - (0 if self.ignore_fees else self.rate * coin.weight)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The coins that pay and how: ``waste`` is scaled, ``algorithm`` bnb or srd; ``exact``: without change."""

    coins: tuple[Candidate, ...]
    waste: int
    algorithm: str
    exact: bool


def fee_of(rate: int, vsize: int) -> int:
    """The fee in base units of ``vsize`` vbytes at ``rate`` units per 1,000 vbytes, rounded up."""
    return -(-rate * vsize // 1_000)


def _waste(coins: Sequence[Candidate], costs: Costs, exact: bool) -> int:
    now = sum(coin.weight for coin in coins) * (costs.rate - costs.long_term_rate)
    if not exact:
        return now + costs.change_cost
    return now + sum(map(costs.worth, coins)) - costs.scaled_target


def branch_and_bound(candidates: Sequence[Candidate], costs: Costs, tries: int = TRIES) -> Chosen | None:
    """Coins that hit the target with an excess below the cost of change, of least waste; None when none are found.

    Searches depth first, the largest effective value first, each coin included before it is left out; a branch ends
    when it has too much, or not enough left, or wastes more than the best so far. As Core's, it gives up after
    ``tries`` steps.
    """
    pool = sorted((each for each in candidates if costs.worth(each) > 0), key=costs.worth, reverse=True)
    return _Search(pool, costs).run(tries)


class _Search:
    """One run of branch and bound; ``_path`` holds the indexes of the coins included."""

    def __init__(self, pool: list[Candidate], costs: Costs) -> None:
        self._pool = pool
        self._costs = costs
        self._worths = [costs.worth(each) for each in pool]
        self._low = costs.scaled_target
        self._high = self._low + costs.change_cost
        self._path: list[int] = []
        self._value = self._weight = self._size = 0
        self._left = sum(self._worths)
        self._best: tuple[int, tuple[int, ...]] | None = None

    def run(self, tries: int) -> Chosen | None:
        if self._left < self._low:
            return None
        index = 0
        for _ in range(tries):
            back = self._is_dead() or self._try_solution()
            if back or index == len(self._pool):
                if not self._path:
                    break
                index = self._step_back(index)
            elif self._is_twin_of_left_out(index):
                self._left -= self._worths[index]
                index += 1
                continue
            else:
                self._include(index)
            index += 1
        return self._found()

    def _is_dead(self) -> bool:
        rising = self._costs.rate > self._costs.long_term_rate
        return (
            self._value + self._left < self._low
            or self._value > self._high
            or self._size > self._costs.max_size
            or (rising and self._best is not None and self._cost_of_path() > self._best[0])
        )

    def _cost_of_path(self) -> int:
        return self._weight * (self._costs.rate - self._costs.long_term_rate)

    def _try_solution(self) -> bool:
        if self._value < self._low:
            return False
        waste = self._cost_of_path() + self._value - self._low
        if self._best is None or waste <= self._best[0]:
            self._best = (waste, tuple(self._path))
        return True

    def _include(self, index: int) -> None:
        self._path.append(index)
        self._value += self._worths[index]
        self._weight += self._pool[index].weight
        self._size += self._pool[index].size
        self._left -= self._worths[index]

    def _step_back(self, index: int) -> int:
        """Leave out the coin included last; what was left out behind it is to be had again. Its index."""
        last = self._path.pop()
        self._left += sum(self._worths[last + 1 : index])
        self._value -= self._worths[last]
        self._weight -= self._pool[last].weight
        self._size -= self._pool[last].size
        return last

    def _is_twin_of_left_out(self, index: int) -> bool:
        """Whether the coin before it, which was left out, is worth and weighs the same: no need to try both."""
        if not index or (self._path and self._path[-1] == index - 1):
            return False
        before, this = self._pool[index - 1], self._pool[index]
        return self._worths[index] == self._worths[index - 1] and before.weight == this.weight

    def _found(self) -> Chosen | None:
        if self._best is None:
            return None
        coins = tuple(self._pool[index] for index in self._best[1])
        return Chosen(coins, self._best[0], "bnb", exact=True)


def single_random_draw(candidates: Sequence[Candidate], costs: Costs, random: Random, change: int) -> Chosen | None:
    """Coins in random order until they pay the target and ``change`` base units with the fee of its output.

    Too large a choice loses its least valuable coins as others come (Core). None when it does not suffice.
    """
    order = [each for each in candidates if costs.worth(each) > 0]
    random.shuffle(order)
    goal = costs.scaled_target + change * SCALE + costs.change_fee
    chosen: list[Candidate] = []
    value = size = 0
    for coin in order:
        chosen.append(coin)
        value, size = value + costs.worth(coin), size + coin.size
        while size > costs.max_size:
            least = min(chosen, key=costs.worth)
            chosen.remove(least)
            value, size = value - costs.worth(least), size - least.size
        if value >= goal:
            return Chosen(tuple(chosen), _waste(chosen, costs, exact=False), "srd", exact=False)
    return None


def select(candidates: Sequence[Candidate], costs: Costs, random: Random) -> Chosen | None:
    """The choice of least waste; None when the coins do not suffice, or only so many that they are too large.

    When neither algorithm finds anything, but all coins together would do without the change that a draw aims at,
    the most valuable ones are taken: with what is left as fee, or as change of the least size.
    """
    found = [single_random_draw(candidates, costs, random, _change_target(costs, random))]
    if not costs.ignore_fees:
        found.append(branch_and_bound(candidates, costs))
    choices = [each for each in found if each is not None]
    if choices:
        return min(choices, key=lambda each: (each.waste, -len(each.coins)))
    return _largest_first(candidates, costs)


def _change_target(costs: Costs, random: Random) -> int:
    """Base units of change to aim at: hard to tell from the payment (Core's GenerateChangeTarget)."""
    if costs.target <= LEAST_CHANGE // 2:
        aim = LEAST_CHANGE
    else:
        aim = random.randint(LEAST_CHANGE, min(costs.target * 2, MOST_CHANGE))
    return max(aim, costs.least_change)


def _largest_first(candidates: Sequence[Candidate], costs: Costs) -> Chosen | None:
    chosen: list[Candidate] = []
    value = size = 0
    for coin in sorted(candidates, key=lambda each: (-costs.worth(each), each.outpoint)):
        if costs.worth(coin) <= 0 or size + coin.size > costs.max_size:
            break
        chosen.append(coin)
        value, size = value + costs.worth(coin), size + coin.size
        if value >= costs.scaled_target:
            exact = value < costs.scaled_target + costs.least_change * SCALE + costs.change_fee
            return Chosen(tuple(chosen), _waste(chosen, costs, exact), "largest", exact)
    return None

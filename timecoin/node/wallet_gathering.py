"""The coins that may pay, found in slices of the reactor's time, and sorted by how gladly they are spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_lines import Lines
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint
from timecoin.rpc.face_wallet import Funding
from timecoin.rpc.slices import Slices
from timecoin.wallet.coins import Coin
from timecoin.wallet.selection import Candidate, Random
from timecoin.wallet.splitting import Room
from timecoin.wallet.state import WalletState

__all__ = ["DEEP", "ENOUGH", "LOW", "Gathered", "Gatherer"]

ENOUGH: Final = 2_000
"""Settled coins, drawn at random, of which a selection is made first. A payment holds some 650 inputs, so a random
draw from these is one from all."""

_AT_ONCE: Final = 100
"""Coins that are looked at without a pause."""

LOW, DEEP, CERTIFIED, PENDING = range(4)
"""Archived, or final and in the first half of a line; final, in the second half; own change that is not final."""

_FINAL: Final = ("final", "archived")


@dataclass
class Gathered:
    """Coins by tier; ``complete``: all that there are. ``lines`` of those that are not archived. In base units:
    ``waiting`` for a block, because their line is at its limit; ``held`` by drafts."""

    tiers: tuple[list[Candidate], ...] = field(default_factory=lambda: ([], [], [], []))
    lines: dict[OutPoint, set[Hash]] = field(default_factory=dict)
    complete: bool = True
    waiting: int = 0
    held: int = 0

    def upto(self) -> Iterator[tuple[Candidate, ...]]:
        """The coins of the first tier, of the first two, and so on; only where that is more than before."""
        yield tuple(self.tiers[LOW])
        for tier in range(LOW + 1, PENDING + 1):
            if self.tiers[tier]:
                yield tuple([each for part in self.tiers[: tier + 1] for each in part])

    def in_line_with(self, behind: set[Hash], most: int) -> tuple[Candidate, ...]:
        """Coins that all together, and with ``behind``, stand behind ``most`` transactions, the most valuable first."""
        found: list[Candidate] = []
        union = set(behind)
        coins = [each for part in self.tiers for each in part]
        for coin in sorted(coins, key=lambda each: (each.outpoint in self.lines, -each.value, each.outpoint)):
            line = self.lines.get(coin.outpoint, set())
            if len(union | line) <= most:
                union |= line
                found.append(coin)
        return tuple(found)

    def room(self, most: int, without: Sequence[OutPoint]) -> list[Room]:
        """What the coins but ``without`` can still pay, which may be spent behind ``most`` transactions."""
        gone = set(without)
        return [
            Room(each.value, most + 1 - len(self.lines.get(each.outpoint, ())))
            for part in self.tiers
            for each in part
            if each.outpoint not in gone
        ]


class Gatherer:
    """Looks for coins; ``weight``: of the input that spends a script, None when how is not known."""

    def __init__(
        self,
        state: WalletState,
        chain: WalletChain,
        lines: Lines,
        reactor: Any,
        random: Random,
        is_held: Callable[[OutPoint], bool],
        is_collateral: Callable[[OutPoint], bool],
        weight: Callable[[bytes], int | None],
    ) -> None:
        self._state = state
        self._chain = chain
        self._lines = lines
        self._slices = Slices(reactor)
        self._random = random
        self._is_held = is_held
        self._is_collateral = is_collateral
        self._weight = weight

    async def gather(self, funding: Funding, enough: int | None) -> Gathered:
        """The coins that may pay; when there are more than ``enough`` settled ones, so many at random."""
        coins = self._state.history.unspent()
        found = Gathered()
        looking = self._look(coins, funding, found, enough)
        if len(coins) <= _AT_ONCE:
            for _ in looking:
                pass
        else:
            await self._slices.collect(looking)
        return found

    def is_free(self, coin: Coin, funding: Funding) -> bool:
        """Whether a coin is nobody's yet: neither spent, signed away, held, locked nor collateral."""
        return self._may_pay(coin, funding) and not self._is_held(coin.outpoint)

    def _look(self, coins: list[Coin], funding: Funding, found: Gathered, enough: int | None) -> Iterator[None]:
        usable: dict[Hash, set[Hash] | None] = {}
        count = len(coins)
        for n in range(count):
            if enough is not None and count > enough:
                # The next of a random order, of which no more is made than is needed.
                k = self._random.randint(n, count - 1)
                coins[n], coins[k] = coins[k], coins[n]
                if len(found.tiers[LOW]) >= enough:
                    found.complete = False
                    return
            self._take(coins[n], funding, found, usable)
            yield

    def _take(self, coin: Coin, funding: Funding, found: Gathered, known: dict[Hash, set[Hash] | None]) -> None:
        if coin.outpoint in funding.inputs or not self._may_pay(coin, funding):
            return
        weight = self._weight(coin.script)
        if weight is None:
            return
        status = self._state.history.status_of(coin)
        if status != "archived":
            if coin.txid not in known:
                known[coin.txid] = self._line(coin, status, funding)
            line = known[coin.txid]
            if line is None:
                return
            if len(line) > self._lines.most:
                found.waiting += coin.value
                return
            found.lines[coin.outpoint] = line
        if self._is_held(coin.outpoint):
            found.held += coin.value
            return
        tier = self._tier(status, len(found.lines.get(coin.outpoint, ())))
        found.tiers[tier].append(Candidate(coin.outpoint, coin.value, weight))

    def _tier(self, status: str, line: int) -> int:
        if status in _FINAL:
            return LOW if line <= self._lines.most // 2 else DEEP
        return CERTIFIED if status == "certified" else PENDING

    def _line(self, coin: Coin, status: str, funding: Funding) -> set[Hash] | None:
        """What a coin that is not archived stands behind; None when it cannot be relied on."""
        if status not in _FINAL and not funding.include_unsafe and not self._state.history.is_trusted(coin.txid):
            return None
        return self._lines.behind([coin.txid])

    def _may_pay(self, coin: Coin, funding: Funding) -> bool:
        outpoint = coin.outpoint
        return (
            (coin.owned.spendable or funding.watching)
            and self._state.history.is_unspent(outpoint)
            and outpoint not in self._state.locks
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

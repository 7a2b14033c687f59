"""How far a run of the model goes: its transactions, epochs, heights, rounds and masternodes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from docs.model.deeds import Block

#: Spends of one coin are rivals; the child spends t1. A filler is certified from the start, and never acked.
PARENTS = {"t1": (), "t2": (), "child": ("t1",), "filler": ()}
RIVALS = {"t1": ("t2",), "t2": ("t1",), "child": (), "filler": ()}


@dataclass(frozen=True)
class Bounds:
    """The bounds of a variant.

    ``transactions`` are voted on; ``contents[h - 1]`` lists what blocks of height h may hold, each as (closing,
    txids). ``rounds`` bounds the rounds of a height, from 1. ``honest`` is 3 of 4 masternodes, or 2 of 3; all have
    equal power and the last one is Byzantine. ``swap``: t1 and t2 may be exchanged, a symmetry of this variant.
    """

    transactions: tuple[str, ...]
    contents: tuple[tuple[tuple[bool, tuple[str, ...]], ...], ...]
    rounds: int = 1
    epochs: int = 1
    honest: int = 3
    swap: bool = False

    @property
    def heights(self) -> int:
        """The number of heights."""
        return len(self.contents)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block that anybody may propose."""
        heights = range(1, self.heights + 1)
        return tuple(
            Block(height, closing, content, made)
            for height in heights
            for (closing, content), made in product(self.contents[height - 1], range(1, self.rounds + 1))
        )

"""The model as the explorers see it: local states as integers, one bit a deed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from docs.model import invariants, liveness, protocol
from docs.model.bounds import Bounds
from docs.model.deeds import Deed, Move
from docs.model.node import Node

_SWAPPED = {"t1": "t2", "t2": "t1"}


@dataclass
class Model:
    """The protocol within ``bounds``, with one rule broken if ``mutant`` names one.

    A node's state is a word: bit i is set iff the node did deed i. A state of the model is the words of its honest
    nodes in any order (they are interchangeable), so everything else follows from them.
    """

    bounds: Bounds
    mutant: str = ""
    deeds: list[Deed] = field(default_factory=list)
    _bits: dict[Deed, int] = field(default_factory=dict)

    def bit(self, deed: Deed) -> int:
        """The bit of ``deed``."""
        if deed not in self._bits:
            self._bits[deed] = 1 << len(self.deeds)
            self.deeds.append(deed)
        return self._bits[deed]

    def mask(self, deeds: Iterable[Deed]) -> int:
        """The bits of several deeds."""
        return sum({self.bit(deed) for deed in deeds})

    def done(self, word: int) -> list[Deed]:
        """The deeds of a word."""
        return [deed for index, deed in enumerate(self.deeds) if word >> index & 1]

    def node(self, word: int) -> Node:
        """The node whose deeds are those of ``word``."""
        return Node(self.done(word), self.bounds, self.mutant)

    def moves(self, node: Node) -> Iterable[Move]:
        """What ``node`` may do next."""
        return protocol.moves(node)

    @property
    def forgets(self) -> bool:
        """Whether nodes forget deeds, so that ways of different length may lead to one state."""
        return self.bounds.heights > 1

    @cached_property
    def quorum(self) -> int:
        """How many honest nodes make a quorum together with the Byzantine one: 3·w > 2·W."""
        total = self.bounds.honest + 1
        powers = range(1, total + 1)
        if self.mutant == "quorum_two_thirds":
            return min(power for power in powers if 3 * power >= 2 * total) - 1
        return min(power for power in powers if 3 * power > 2 * total) - 1

    @cached_property
    def third(self) -> int:
        """How many honest nodes exceed W/3 together with the Byzantine one."""
        total = self.bounds.honest + 1
        return min(power for power in range(1, total + 1) if 3 * power > total) - 1

    @cached_property
    def patterns(self) -> list[tuple[str, int, int]]:
        """Invariants over several nodes: name, and the masks of what a quorum and what more than W/3 must have done."""
        found = invariants.patterns(self.bounds, self.mutant)
        return sorted({(each.name, self.mask(each.way.quorum), self.mask(each.way.third)) for each in found})

    def broken_locally(self, node: Node) -> tuple[str, ...]:
        """The invariants that ``node`` breaks by its own statements."""
        checks = (("contradiction", invariants.contradiction), ("accusable", invariants.accusable))
        return tuple(name for name, check in checks if check(node))

    def view(self, node: Node) -> liveness.View:
        """What of ``node`` liveness depends on."""
        return liveness.view(node)

    def stuck(self, views: tuple[liveness.View, ...]) -> bool:
        """Whether the honest cannot go on without the Byzantine node."""
        return liveness.stuck(views, self.bounds, self.mutant)

    def swapped(self, word: int) -> int:
        """The word with t1 and t2 exchanged."""
        return self.mask(_swap(deed) for deed in self.done(word))


def _swap(deed: Deed) -> Deed:
    block = deed.block
    if block is not None:
        block = block._replace(content=tuple(_SWAPPED.get(tx, tx) for tx in block.content))
    return deed._replace(tx=_SWAPPED.get(deed.tx, deed.tx), block=block)

"""The same search in ordinary Python, without arrays and symmetry: what explore.py is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, reduce
from itertools import combinations, permutations
from operator import and_, or_

from docs.model.model import Model

State = tuple[int, ...]


class Plain:
    """All states of ``model``: tuples of the words of its honest nodes."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._moves = cache(self._compiled)
        self._local = cache(lambda word: model.broken_locally(model.node(word)))
        self._twin = cache(model.swapped)
        self._view = cache(lambda word: model.view(model.node(word)))
        self._stuck = cache(model.stuck)

    def _compiled(self, word: int) -> list[tuple[int, int, int]]:
        """The words that a node can go on to, each with what a quorum and what more than W/3 must have done."""
        mask = self.model.mask
        return [
            (word & ~mask(move.forgets) | mask(move.deeds), mask(move.quorum), mask(move.third))
            for move in self.model.moves(self.model.node(word))
        ]

    def layers(self) -> Iterator[set[State]]:
        """States by their distance from nothing done."""
        layer = {(0,) * self.model.bounds.honest}
        seen = set(layer)
        while layer:
            yield layer
            layer = {after for state in layer for after in self.after(state)} - seen
            seen |= layer

    def after(self, state: State) -> list[State]:
        """The states one step away from ``state``."""
        by_quorum, by_third = self.done(state, self.model.quorum), self.done(state, self.model.third)
        return [
            (*state[:at], new, *state[at + 1 :])
            for at, word in enumerate(state)
            for new, quorum, third in self._moves(word)
            if not quorum & ~by_quorum and not third & ~by_third
        ]

    def done(self, state: State, honest: int) -> int:
        """What as many as ``honest`` honest nodes did."""
        return reduce(or_, (reduce(and_, some) for some in combinations(state, honest)))

    def canonical(self, state: State) -> State:
        """One for all states that differ by the names of nodes, and of t1 and t2 where they may be exchanged."""
        twin = tuple(map(self._twin, state)) if self.model.bounds.swap else state
        return min(way for each in (state, twin) for way in permutations(each))

    def broken(self, state: State) -> set[str]:
        """The invariants that ``state`` breaks."""
        names = {name for word in state for name in self._local(word)}
        by_quorum, by_third = self.done(state, self.model.quorum), self.done(state, self.model.third)
        for name, quorum, third in self.model.patterns:
            if not quorum & ~by_quorum and not third & ~by_third:
                names.add(name)
        return names | ({"stuck"} if self._stuck(tuple(map(self._view, state))) else set())

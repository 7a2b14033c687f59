"""What one node can be, in tables that grow as words turn up; the layers of a search only look things up here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.model.deeds import Move
from docs.model.invariants import LOCAL
from docs.model.liveness import View
from docs.model.model import Model

#: Bits of a node's number; three of them make a state.
BITS = 21
UNKNOWN = -1
#: The masks of a move: deeds, quorum, third, forgets.
Compiled = tuple[int, int, int, int]


class Growing:
    """A numpy array that is appended to."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._data: NDArray[Any] = np.zeros(1024, dtype)
        self._size = 0

    def append(self, value: int) -> None:
        """Put ``value`` at the end."""
        if self._size == len(self._data):
            self._data = np.concatenate((self._data, np.zeros_like(self._data)))
        self._data[self._size] = value
        self._size += 1

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> NDArray[Any]:
        """What was appended; a view, good until the next ``append``."""
        return self._data[: self._size]


class Tables:
    """Words numbered from 1 in the order they turn up (0: an absent node), each with its moves and what it breaks.

    The moves of number n are ``first[n]`` … ``first[n] + count[n]`` of ``needs_quorum`` and ``needs_third`` (masks) and
    ``target`` (the number that the node then has, UNKNOWN until the move is taken for the first time).
    """

    def __init__(self, model: Model, watch: frozenset[str]) -> None:
        self.model, self.watch = model, watch
        self.number: dict[int, int] = {}
        self.word, self.depth, self.twin = Growing(np.uint64), Growing(np.int32), Growing(np.uint64)
        self.view, self.broken = Growing(np.uint64), Growing(np.uint8)
        self.first, self.count = Growing(np.int64), Growing(np.int64)
        self.needs_quorum, self.needs_third = Growing(np.uint64), Growing(np.uint64)
        self.target, self.origin = Growing(np.int64), Growing(np.int64)
        self.changes: list[tuple[int, int]] = []
        self.views: dict[View, int] = {}
        for table in (self.word, self.depth, self.twin, self.view, self.broken, self.first, self.count):
            table.append(0)

    def intern(self, word: int, depth: int) -> int:
        """The number of ``word``, ``depth`` steps away from nothing done. AssertionError if another way is longer."""
        number = self.number.get(word)
        if number is not None:
            same = self.depth.values[number] == depth or self.model.forgets
            assert same, f"ways of different length to {self.model.done(word)}"
            return number
        number = self._add(word, depth)
        if self.model.bounds.swap:
            other = self.model.swapped(word)
            twin = number if other == word else self._add(other, depth)
            self.twin.values[number], self.twin.values[twin] = twin, number
        return number

    def _add(self, word: int, depth: int) -> int:
        number = self.number[word] = len(self.word)
        assert number < 1 << BITS, "more local states than a number holds"
        node = self.model.node(word)
        self.word.append(word)
        self.depth.append(depth)
        self.twin.append(number)
        self.view.append(self.views.setdefault(self.model.view(node), len(self.views)) if "stuck" in self.watch else 0)
        names = self.model.broken_locally(node)
        self.broken.append(sum(1 << index for index, name in enumerate(LOCAL) if name in names and name in self.watch))
        self._add_moves(word, number, {self._compiled(move) for move in self.model.moves(node)})
        return number

    def _compiled(self, move: Move) -> Compiled:
        mask = self.model.mask
        return mask(move.deeds), mask(move.quorum), mask(move.third), mask(move.forgets)

    def _add_moves(self, word: int, number: int, moves: set[Compiled]) -> None:
        new = sorted(move for move in moves if move[0] & ~word)
        self.first.append(len(self.target))
        self.count.append(len(new))
        for deeds, quorum, third, forgets in new:
            self.needs_quorum.append(quorum)
            self.needs_third.append(third)
            self.target.append(UNKNOWN)
            self.origin.append(number)
            self.changes.append((deeds, forgets))

    def reach(self, move: int) -> None:
        """Number the word that ``move`` leads to."""
        origin = int(self.origin.values[move])
        adds, forgets = self.changes[move]
        word = int(self.word.values[origin]) & ~forgets | adds
        reached = self.intern(word, int(self.depth.values[origin]) + 1)
        self.target.values[move] = reached

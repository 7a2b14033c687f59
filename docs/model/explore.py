"""Breadth-first search through all states, a layer at a time, in arrays.

Deeds are only ever added and a move is one step of one node, so all ways to a state are equally long
(``Tables.intern`` raises otherwise): no state comes back, and only two layers are needed at a time. Where nodes
forget (the end of a height), states that were seen are kept and left out. The first layer with a broken invariant is
the length of the shortest way to it.

States are canonical: the honest nodes are interchangeable, and t1 and t2 where the bounds say so. A state is the
sorted numbers of its nodes, 21 bits each, in one 64-bit integer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from docs.model.invariants import GLOBAL, LOCAL
from docs.model.model import Model
from docs.model.tables import BITS, UNKNOWN, Tables

Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]
SHIFT, LOW = np.uint64(BITS), np.uint64((1 << BITS) - 1)
#: States looked at together: as many as fit in a core's cache with all that is computed of them.
CHUNK = 1 << 15
#: Successors that are gathered before repeated ones are dropped.
GATHER = 1 << 24
EVERYTHING = frozenset({*GLOBAL, *LOCAL, "stuck"})


@dataclass
class Result:
    """States, steps of the longest way, words that turned up; the key of a state for each broken invariant."""

    states: int = 0
    steps: int = 0
    words: int = 0
    broken: dict[str, int] = field(default_factory=dict)


class Explorer:
    """A search of ``model`` for the invariants in ``watch``; ``layers`` keeps all layers if ``keep``."""

    def __init__(self, model: Model, watch: frozenset[str] = EVERYTHING, keep: bool = False) -> None:
        self.model, self.watch, self.keep = model, watch, keep
        self.tables = Tables(model, watch)
        self.layers: list[Keys] = []
        self._seen: Keys = np.zeros(0, np.uint64)
        self._stuck: dict[int, bool] = {}
        masks = [(name, np.uint64(each), np.uint64(third)) for name, each, third in model.patterns if name in watch]
        self._patterns = masks

    def run(self, limit: int | None = None) -> Result:
        """Search until an invariant is broken or nothing is left; ValueError after more than ``limit`` states."""
        layer = np.array([self.key((0,) * self.model.bounds.honest)], np.uint64)
        result = Result()
        while len(layer):
            result.states += len(layer)
            if limit is not None and result.states > limit:
                raise ValueError(f"more than {limit} states")
            if self.keep:
                self.layers.append(layer)
            following = self._advance(layer, result)
            result.words = len(self.tables.word)
            if result.broken or not len(following):
                break
            result.steps, layer = result.steps + 1, following
        return result

    def key(self, words: tuple[int, ...]) -> int:
        """The key of the state whose honest nodes have ``words``. KeyError: one of them never turned up."""
        tables = self.tables
        numbers = [tables.number[word] if word else tables.intern(0, 0) for word in words]
        ways = [sorted(numbers), sorted(int(tables.twin.values[each]) for each in numbers)]
        return min(sum(number << BITS * place for place, number in enumerate(reversed(way))) for way in ways)

    def _advance(self, layer: Keys, result: Result) -> Keys:
        """Look at each state of ``layer``; the states that follow from them, unless one is broken."""
        gathered: list[Keys] = []
        size = 0
        for at in range(0, len(layer), CHUNK):
            nodes = _unpack(layer[at : at + CHUNK])
            one, two = self._heard(nodes)
            self._judge(layer[at : at + CHUNK], nodes, one, two, result)
            if result.broken:
                continue
            found = self._after(nodes, one, two)
            gathered.append(found)
            size += len(found)
            if size > GATHER:
                gathered = [distinct(np.concatenate(gathered))]
                size = len(gathered[0])
        return self._unseen(layer, distinct(np.concatenate(gathered)) if gathered else layer[:0])

    def _unseen(self, layer: Keys, found: Keys) -> Keys:
        """Those of ``found`` that were in no layer up to ``layer``; only nodes that forget can bring one back."""
        if not self.model.forgets:
            return found
        self._seen = distinct(np.concatenate((self._seen, layer)))
        at = np.minimum(np.searchsorted(self._seen, found), len(self._seen) - 1)
        unseen: Keys = found[self._seen[at] != found]
        return unseen

    def _heard(self, nodes: list[Keys]) -> tuple[Keys, Keys]:
        """What at least one, and at least two honest nodes did, as masks."""
        a, b, c = (self.tables.word.values[each] for each in nodes)
        return a | b | c, (a & b) | (b & c) | (a & c)

    def _by_quorum(self, one: Keys, two: Keys) -> Keys:
        return {1: one, 2: two}[self.model.quorum]

    def _judge(self, keys: Keys, nodes: list[Keys], one: Keys, two: Keys, result: Result) -> None:
        """Note which invariants are broken in which of these states."""
        done = self._by_quorum(one, two)
        for name, quorum, third in self._patterns:
            _note(result, name, keys, (done & quorum == quorum) & (one & third == third))
        flags = self.tables.broken.values
        broken = flags[nodes[0]] | flags[nodes[1]] | flags[nodes[2]]
        if broken.any():
            for index, name in enumerate(LOCAL):
                _note(result, name, keys, (broken & (1 << index)) != 0)
        if "stuck" in self.watch:
            _note(result, "stuck", keys, self._stuck_ones(nodes))

    def _stuck_ones(self, nodes: list[Keys]) -> Flags:
        views = np.sort(np.stack([self.tables.view.values[each] for each in nodes], axis=1), axis=1)
        kinds, which = np.unique(_pack(views[:, 0], views[:, 1], views[:, 2]), return_inverse=True)
        return np.array([self._is_stuck(int(kind)) for kind in kinds], np.bool_)[which]

    def _is_stuck(self, kind: int) -> bool:
        if kind not in self._stuck:
            views = list(self.tables.views)
            chosen = (views[kind >> 2 * BITS], views[kind >> BITS & int(LOW)], views[kind & int(LOW)])
            self._stuck[kind] = self.model.stuck(chosen)
        return self._stuck[kind]

    def after(self, keys: Keys) -> Keys:
        """The states that one step leads to from any of ``keys``, in order."""
        nodes = _unpack(keys)
        return self._after(nodes, *self._heard(nodes))

    def _after(self, nodes: list[Keys], one: Keys, two: Keys) -> Keys:
        a, b, c = nodes
        moved = (
            self._moved(a, b, c, one, two, a > 0),
            self._moved(b, a, c, one, two, (b > 0) & (b != a)),
            self._moved(c, a, b, one, two, c != b),
        )
        return distinct(np.concatenate(moved))

    def _moved(self, me: Keys, low: Keys, high: Keys, one: Keys, two: Keys, acts: Flags) -> Keys:
        """The states after each enabled move of ``me`` (where it ``acts``), with the other nodes as they are."""
        tables = self.tables
        count = np.where(acts, tables.count.values[me], 0)
        state = np.repeat(np.arange(len(me)), count)
        ends = np.cumsum(count)
        move = np.arange(len(state)) - np.repeat(ends - count - tables.first.values[me], count)
        quorum, third = tables.needs_quorum.values[move], tables.needs_third.values[move]
        enabled = (self._by_quorum(one, two)[state] & quorum == quorum) & (one[state] & third == third)
        state, move = state[enabled], move[enabled]
        unknown = tables.target.values[move] == UNKNOWN
        for each in np.unique(move[unknown]).tolist() if unknown.any() else ():
            tables.reach(each)
        return self._keys(tables.target.values[move].astype(np.uint64), low[state], high[state])

    def _keys(self, new: Keys, low: Keys, high: Keys) -> Keys:
        key = _sorted_key(new, low, high)
        if not self.model.bounds.swap:
            return key
        twin = self.tables.twin.values
        low, high = twin[low], twin[high]
        return np.minimum(key, _sorted_key(twin[new], np.minimum(low, high), np.maximum(low, high)))


def distinct(keys: Keys) -> Keys:
    """``keys`` in order without repetition; sorts in place (``np.unique`` hashes, which is ten times slower here)."""
    keys.sort()
    return keys[np.concatenate(([True], keys[1:] != keys[:-1]))] if len(keys) else keys


def _sorted_key(new: Keys, low: Keys, high: Keys) -> Keys:
    """The key of three numbers, ``low`` ≤ ``high``."""
    return _pack(np.minimum(new, low), np.maximum(low, np.minimum(new, high)), np.maximum(new, high))


def _pack(low: Keys, middle: Keys, high: Keys) -> Keys:
    return (low << SHIFT | middle) << SHIFT | high


def _unpack(keys: Keys) -> list[Keys]:
    return [keys >> SHIFT >> SHIFT, keys >> SHIFT & LOW, keys & LOW]


def _note(result: Result, name: str, keys: Keys, where: Flags) -> None:
    if name not in result.broken and where.any():
        result.broken[name] = int(keys[np.argmax(where)])

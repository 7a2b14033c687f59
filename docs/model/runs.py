"""How a broken invariant came about: the steps of a shortest run, by name."""

from __future__ import annotations

from docs.model.explore import CHUNK, Explorer, Keys
from docs.model.model import Model
from docs.model.plain import Plain

NAMES = "abc"


def shortest_run(model: Model, invariant: str) -> list[str]:
    """A shortest run that breaks ``invariant``, a line for each step; ValueError when nothing breaks it."""
    explorer = Explorer(model, frozenset({invariant}), keep=True)
    result = explorer.run()
    if invariant not in result.broken:
        raise ValueError(f"{invariant} is never broken")
    return _replayed(explorer, _way_to(explorer, result.broken[invariant]))


def _way_to(explorer: Explorer, key: int) -> list[int]:
    """The states from nothing done to ``key``, which is in the last layer."""
    way = [key]
    for layer in reversed(explorer.layers[:-1]):
        way.append(_before(explorer, layer, way[-1]))
    return way[::-1]


def _before(explorer: Explorer, layer: Keys, key: int) -> int:
    """A state of ``layer`` from which one step leads to ``key``, by halving."""
    for at in range(0, len(layer), CHUNK):
        part = layer[at : at + CHUNK]
        while key in explorer.after(part):
            if len(part) == 1:
                return int(part[0])
            half = part[: len(part) // 2]
            part = half if key in explorer.after(half) else part[len(part) // 2 :]
    raise AssertionError("no state before it")


def _replayed(explorer: Explorer, way: list[int]) -> list[str]:
    """The steps of ``way`` with one set of names throughout: canonical states rename nodes as they please."""
    model, plain = explorer.model, Plain(explorer.model)
    state, lines = (0,) * model.bounds.honest, []
    for key in way[1:]:
        state, line = next(
            (after, _told(model, state, after)) for after in plain.after(state) if _key(explorer, after) == key
        )
        lines.append(line)
    return lines


def _key(explorer: Explorer, state: tuple[int, ...]) -> int | None:
    try:
        return explorer.key(state)
    except KeyError:
        return None


def _told(model: Model, before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """``a: vote t1 e1``."""
    who = next(index for index, word in enumerate(after) if word != before[index])
    return f"{NAMES[who]}: {', '.join(str(deed) for deed in model.done(after[who] & ~before[who]))}"

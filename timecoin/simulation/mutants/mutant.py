"""What a mutant is: one rule of the protocol broken, in all honest nodes, for the length of a life."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from timecoin.ledger.tiers import Tier
from timecoin.simulation.chance import Chance
from timecoin.simulation.plan import Options, Plan, Seat
from timecoin.simulation.planning import make_plan


class Kind(Enum):
    """What is lost without the rule."""

    SAFETY = "safety"
    LIVENESS = "liveness"


@dataclass(frozen=True)
class Swap:
    """For a while ``owner``'s attribute ``name`` is ``value``."""

    owner: type
    name: str
    value: object

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Swapped within, as before afterwards."""
        before = self.owner.__dict__[self.name]
        setattr(self.owner, self.name, self.value)
        try:
            yield
        finally:
            setattr(self.owner, self.name, before)


@dataclass(frozen=True)
class Hunt:
    """The lives in which a mutant is looked for: ``seeds`` of them at most, each drawn by the same generator as any
    other, with ``nodes`` masternodes of equal power of which one has these ``behaviours`` (none: all are honest).

    ``overrides`` change parameters, ``faults`` are those allowed, ``payments`` are made in each epoch.
    """

    seeds: int
    behaviours: tuple[str, ...] = ()
    nodes: int = 4
    epochs: int = 2
    faults: tuple[str, ...] = ()
    profile: str = "calm"
    epoch_seconds: int = 4
    payments: int = 12
    overrides: Mapping[str, int] = field(default_factory=dict)

    def plan(self, seed: int, mutant: str | None) -> Plan:
        """The life of this seed, with or without the mutant: all else is the same."""
        options = Options(
            seed=seed, nodes=self.nodes, byzantine=0, epochs=self.epochs, faults=self.faults, profile=self.profile
        )
        drawn = make_plan(options)
        liar = Chance(seed, "hunt").below(self.nodes) if self.behaviours else None
        seats = tuple([Seat(Tier.GOLD.name, self.behaviours if n == liar else ()) for n in range(self.nodes)])
        overrides = {**drawn.overrides, **self.overrides}
        if "max_block_txs" in overrides:
            overrides["max_block_txs"] = max(overrides["max_block_txs"], 2 * overrides["interim_txs"])
        return msgspec.structs.replace(
            drawn,
            seats=seats,
            newcomers=0,
            epoch_seconds=self.epoch_seconds,
            payments=self.payments,
            overrides=overrides,
            mutant=mutant,
        )


@dataclass(frozen=True)
class Mutant:
    """``what`` says in one line what is broken, ``caught_by`` which invariants may catch it; ``swaps`` break it."""

    name: str
    what: str
    kind: Kind
    caught_by: tuple[str, ...]
    hunt: Hunt
    swaps: tuple[Swap, ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """All nodes of lives within are mutants. Never nested."""
        with ExitStack() as stack:
            for swap in self.swaps:
                stack.enter_context(swap.applied())
            yield


MUTANTS: dict[str, Mutant] = {}
"""By name, in the order of protocol.md 6."""


def mutant(
    name: str, kind: Kind, what: str, caught_by: Iterable[str], hunt: Hunt
) -> Callable[[Callable[[], Iterable[Swap]]], Callable[[], Iterable[Swap]]]:
    """Enter a function that makes the swaps into :data:`MUTANTS`."""

    def enter(make: Callable[[], Iterable[Swap]]) -> Callable[[], Iterable[Swap]]:
        MUTANTS[name] = Mutant(name, what, kind, tuple(caught_by), hunt, tuple(make()))
        return make

    return enter


def original(owner: type, name: str) -> Any:
    """The product's own function of that name."""
    return owner.__dict__[name]

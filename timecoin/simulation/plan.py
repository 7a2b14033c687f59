"""Everything about one simulated life that its seed decides, as a value that can be printed and compared."""

from __future__ import annotations

from typing import Any

import msgspec

from timecoin.ledger.params import Parameters
from timecoin.ledger.tiers import Tier
from timecoin.simulation.clock import MILLISECOND, SECOND

PROFILES = ("calm", "mixed", "border", "storm")
"""``calm``: little happens; ``mixed``: some faults of all kinds; ``border``: small blocks, and turbulence around the
slots; ``storm``: everything at once."""
BEFORE_FIRST_SLOT = 500 * MILLISECOND
"""A life begins this long after the slot of block 0, in microseconds."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; None leaves it to the seed. ``faults`` names those allowed (None: all)."""

    seed: int
    nodes: int | None = None
    byzantine: int | None = None
    epochs: int | None = None
    faults: tuple[str, ...] | None = None
    mutant: str | None = None
    profile: str | None = None


class Seat(msgspec.Struct, frozen=True):
    """A masternode of the first set; one with ``behaviours`` is Byzantine."""

    tier: str
    behaviours: tuple[str, ...] = ()

    @property
    def honest(self) -> bool:
        """Does it keep to the protocol?"""
        return not self.behaviours


class Fault(msgspec.Struct, frozen=True):
    """Something that happens ``at`` microseconds after the beginning, mostly up to ``until``; what ``nodes``, ``value``
    and ``detail`` mean depends on the kind."""

    at: int
    kind: str
    nodes: tuple[int, ...] = ()
    until: int = 0
    value: int = 0
    detail: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One life. Nodes are numbered: the ``seats``, then the ``newcomers``, which may register later, then the
    ``followers``. ``overrides`` are parameters other than those that the length of the epochs gives.
    """

    seed: int
    profile: str
    seats: tuple[Seat, ...]
    newcomers: int
    followers: int
    epoch_seconds: int
    overrides: dict[str, int]
    epochs: int
    accounts: int
    payments: int
    regions: tuple[int, ...]
    faults: tuple[Fault, ...]
    mutant: str | None

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.seats) + self.newcomers + self.followers

    @property
    def tiers(self) -> list[Tier]:
        """The tiers of the first masternodes."""
        return [Tier[seat.tier] for seat in self.seats]

    @property
    def parameters(self) -> Parameters:
        """The network's parameters."""
        return Parameters.for_epoch_seconds(self.epoch_seconds, **self.overrides)

    @property
    def epoch(self) -> int:
        """Length of an epoch in microseconds."""
        return self.epoch_seconds * SECOND

    @property
    def turbulence(self) -> int:
        """When the faults end, in microseconds after the beginning."""
        return self.epochs * self.epoch

    def slot(self, number: int) -> int:
        """When the slot that ends epoch ``number`` is due, in microseconds after the beginning."""
        return number * self.epoch - BEFORE_FIRST_SLOT

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

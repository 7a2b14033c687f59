"""Draws a plan from a seed. Each decision has a stream of its own: what is left out changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.tiers import Tier
from timecoin.simulation.byzantine.behaviour import BEHAVIOURS
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import SECOND
from timecoin.simulation.faults.kind import Scene
from timecoin.simulation.faults.table import FAULTS, NAMES, WIDE_AREA
from timecoin.simulation.plan import PROFILES, Fault, Options, Plan, Seat
from timecoin.simulation.wide_area import REGIONS

SIZES = (4,) * 10 + (5,) * 4 + (6, 6, 7, 7, 8, 9, 10)
EPOCH_SECONDS = (4, 4, 5, 6, 8)
PROFILE_SHARES = ("calm",) * 2 + ("mixed",) * 4 + ("border",) * 5 + ("storm",) * 1
POWERS: tuple[dict[str, int], ...] = (
    {},
    {},
    {"bronze_power": 2, "silver_power": 3, "gold_power": 5},
    {"bronze_power": 3, "silver_power": 4, "gold_power": 7},
)
MOST_BEHAVIOURS = 3
PENDING_EPOCHS = 60
"""Payments do not expire: the honest ones must all become final."""


class UnknownName(ValueError):
    """No fault, profile or behaviour is called that; the message lists those that are."""


class ImpossiblePlan(ValueError):
    """What is asked for contradicts the protocol's assumptions."""


def make_plan(options: Options) -> Plan:
    """The life of a seed.

    :raises UnknownName: for faults or a profile that do not exist.
    :raises ImpossiblePlan: for numbers of nodes or Byzantine masternodes that cannot be.
    """
    _check(options)
    return _Draft(options).plan()


def _check(options: Options) -> None:
    for name in options.faults or ():
        if name not in NAMES:
            raise UnknownName(f"no fault is called {name!r}; there are: {', '.join(NAMES)}")
    if options.profile is not None and options.profile not in PROFILES:
        raise UnknownName(f"no profile is called {options.profile!r}; there are: {', '.join(PROFILES)}")
    if options.nodes is not None and not 1 <= options.nodes <= 100:
        raise ImpossiblePlan("from 1 to 100 masternodes can be simulated")
    if options.epochs is not None and options.epochs < 1:
        raise ImpossiblePlan("at least one epoch must pass")


class _Draft:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._chance = Chance(options.seed, "plan")
        self._profile = options.profile or self._chance.stream("profile").pick(PROFILE_SHARES)
        self._seconds = self._chance.stream("seconds").pick(EPOCH_SECONDS)
        self._tiers, self._powers = self._draw_tiers()
        self._byzantine = self._draw_byzantine()
        self._overrides = self._draw_overrides()
        self._epochs = options.epochs or self._chance.stream("epochs").between(2, 5)

    def _allowed(self, name: str) -> bool:
        return self._options.faults is None or name in self._options.faults

    # Masternodes

    def _draw_tiers(self) -> tuple[list[Tier], dict[str, int]]:
        chance = self._chance.stream("tiers")
        count = self._options.nodes or chance.pick(SIZES)
        if chance.permille(600):
            return [chance.pick((Tier.GOLD, Tier.SILVER, Tier.BRONZE))] * count, {}
        powers = dict(chance.pick(POWERS))
        return [chance.pick((Tier.GOLD, Tier.SILVER, Tier.BRONZE)) for _ in range(count)], powers

    def _power(self, index: int) -> int:
        usual = {
            Tier.GOLD: ("gold_power", 1_000),
            Tier.SILVER: ("silver_power", 100),
            Tier.BRONZE: ("bronze_power", 10),
        }
        name, default = usual[self._tiers[index]]
        return self._powers.get(name, default)

    def _total(self, indexes: Sequence[int]) -> int:
        return sum([self._power(index) for index in indexes])

    @property
    def _everybody(self) -> list[int]:
        return list(range(len(self._tiers)))

    def _draw_byzantine(self) -> dict[int, tuple[str, ...]]:
        chance = self._chance.stream("byzantine")
        asked = self._options.byzantine
        order = chance.shuffled(self._everybody)
        if asked is None:
            most = 0 if chance.permille({"calm": 800, "mixed": 350}.get(self._profile, 250)) else len(order)
        else:
            most, order = asked, sorted(order, key=self._power)
        chosen: list[int] = []
        for index in order:
            if len(chosen) < most and 3 * self._total([*chosen, index]) < self._total(self._everybody):
                chosen.append(index)
        if asked is not None and len(chosen) < asked:
            raise ImpossiblePlan(f"of these masternodes at most {len(chosen)} can be Byzantine")
        return {index: self._behaviours(chance.stream(str(index))) for index in sorted(chosen)}

    @staticmethod
    def _behaviours(chance: Chance) -> tuple[str, ...]:
        names = tuple(BEHAVIOURS)
        return tuple(sorted(chance.some(names, chance.between(1, MOST_BEHAVIOURS)), key=names.index))

    # Parameters

    def _draw_overrides(self) -> dict[str, int]:
        chance = self._chance.stream("parameters")
        found = {**self._powers, "pending_epochs": PENDING_EPOCHS}
        if chance.permille({"border": 700}.get(self._profile, 250)):
            found["interim_txs"] = chance.pick((2, 3, 4, 6, 12))
            if chance.permille(400):
                found["max_block_txs"] = 2 * found["interim_txs"] + chance.below(6)
        if chance.permille(200):
            found.update(self._draw_time_outs(chance))
        if not self._byzantine and self._allowed("absence") and chance.permille(150):
            found["absent_epochs"] = 2
        return found

    def _draw_time_outs(self, chance: Chance) -> dict[str, int]:
        propose = chance.pick((300, 500, 1_500))
        vote = chance.pick((100, 200, 800))
        return {
            "timeout_propose": propose,
            "timeout_prevote": vote,
            "timeout_precommit": vote,
            "timeout_delta": chance.pick((100, 250)),
            "seal_wait": propose // 3,
            "seal_wait_delta": chance.pick((20, 60, 100)),
        }

    # Faults

    def _draw_weak(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(frail, leavers): with the Byzantine ones both stay below a third of what remains."""
        chance = self._chance.stream("weak")
        if "absent_epochs" in self._overrides:
            return (), ()
        honest = [index for index in self._everybody if index not in self._byzantine]
        byzantine, total = self._total(list(self._byzantine)), self._total(self._everybody)
        leavers: list[int] = []
        frail: list[int] = []
        for index in chance.shuffled(honest):
            left = total - self._total([*leavers, index])
            if chance.permille(300) and 3 * byzantine < left and len(honest) - len(leavers) > 3:
                leavers.append(index)
        left = total - self._total(leavers)
        for index in chance.shuffled([index for index in honest if index not in leavers]):
            if 3 * (byzantine + self._total([*frail, index])) < left:
                frail.append(index)
        return tuple(sorted(frail)), tuple(sorted(leavers))

    def _scene(self, newcomers: int, followers: int) -> Scene:
        frail, leavers = self._draw_weak()
        epoch = self._seconds * SECOND
        span = self._epochs * epoch
        return Scene(
            profile=self._profile,
            masternodes=len(self._tiers),
            newcomers=newcomers,
            nodes=len(self._tiers) + newcomers + followers,
            byzantine=tuple(self._byzantine),
            frail=frail,
            leavers=leavers,
            epoch=epoch,
            span=span,
            slots=tuple([number * epoch - SECOND // 2 for number in range(1, self._epochs + 1)]),
            overrides=self._overrides,
        )

    def _draw_faults(self, scene: Scene) -> list[Fault]:
        found: list[Fault] = []
        for name, kind in FAULTS.items():
            chance = self._chance.stream(f"fault {name}")
            if chance.permille(kind.shares[self._profile]) and self._allowed(name):
                found.extend(kind.draw(chance, scene))
        # A fault that lasts beyond the end would not be one of the quiet end any more.
        kept = [fault for fault in found if fault.at < scene.span]
        return sorted(kept, key=lambda fault: (fault.at, fault.kind, fault.nodes))

    def _regions(self, nodes: int) -> tuple[int, ...]:
        chance = self._chance.stream("regions")
        if not (self._allowed(WIDE_AREA) and chance.permille(500)):
            return (0,) * nodes
        return tuple([chance.below(len(REGIONS)) for _ in range(nodes)])

    def plan(self) -> Plan:
        """Everything together."""
        chance = self._chance.stream("crowd")
        newcomers = chance.pick((0, 0, 0, 1, 2)) if self._allowed("join") else 0
        followers = chance.pick((0, 0, 0, 1))
        scene = self._scene(newcomers, followers)
        return Plan(
            seed=self._options.seed,
            profile=self._profile,
            seats=tuple([Seat(tier.name, self._byzantine.get(index, ())) for index, tier in enumerate(self._tiers)]),
            newcomers=newcomers,
            followers=followers,
            epoch_seconds=self._seconds,
            overrides=self._overrides,
            epochs=self._epochs,
            accounts=chance.between(12, 30),
            payments=chance.pick((4, 10, 20, 40)),
            regions=self._regions(scene.nodes),
            faults=tuple(self._draw_faults(scene)),
            mutant=self._options.mutant,
        )

"""One life: a network with its workload and its faults, then a quiet end in which everything must settle."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from timecoin.primitives.transaction import TxOutput
from timecoin.simulation.byzantine.node import ByzantineNode
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.disk import Backup, Disk
from timecoin.simulation.faults.membership import NEWCOMER_TIER, end_suspension
from timecoin.simulation.faults.table import FAULTS
from timecoin.simulation.genesis import FUNDS, make_genesis, operator
from timecoin.simulation.keys import Key
from timecoin.simulation.mutants import mutated
from timecoin.simulation.node import Node
from timecoin.simulation.operators import end_silence, goes_on
from timecoin.simulation.plan import Fault, Plan
from timecoin.simulation.trace import Trace, on_disk
from timecoin.simulation.users import Users, owners_outputs
from timecoin.simulation.violation import Violation
from timecoin.simulation.wide_area import one_way
from timecoin.simulation.world import World

DISK_TIME = 2 * MILLISECOND
PAYLOAD_COINS = 4
CARELESS_SHARE = 2
FIRST_PAYMENT = SECOND
"""Nodes connect and exchange their state first."""
_LOOK = 100 * MILLISECOND
_MARGIN_MS = 60
"""What a message may take besides its way: jitter, verification, a tick of the journal."""


class Broken(msgspec.Struct, frozen=True):
    """An invariant that did not hold: its name, what happened, and when in microseconds after the beginning."""

    invariant: str
    what: str
    at: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a life went. Times are virtual milliseconds; ``latencies`` those to finality of honest payments, ascending.
    ``digest`` stands for everything that was sent and stored.
    """

    seed: int
    violation: Broken | None
    epochs: int
    blocks: int
    payments: int
    final: int
    messages: int
    bytes: int
    milliseconds: int
    events: int
    slowest_rounds: int
    faults: dict[str, int]
    latencies: tuple[int, ...]
    digest: str


class Life:
    """What faults strike: the ``world``, its ``users`` and ``chance``, and ways to plan what follows."""

    def __init__(self, plan: Plan, trace: Trace | None = None) -> None:
        self.plan = plan
        self.chance = Chance(plan.seed, "life")
        self.disk_time = DISK_TIME
        genesis = make_genesis(plan.tiers, plan.accounts, plan.parameters, FUNDS, self._owners_coins())
        registered = len(plan.seats) + plan.newcomers
        operators = [operator(number) if number < registered else None for number in range(plan.nodes)]
        self.world = World(plan.seed, genesis, operators, self._make_node, trace)
        self.world.wires.regions = plan.regions
        self.honest = [node for node in self.world.nodes if node.honest]
        honest_accounts = max(1, plan.accounts - plan.accounts // CARELESS_SHARE)
        self.users = Users(self.world, self.chance.stream("users"), plan.accounts, honest_accounts, registered)
        self.struck: Counter[str] = Counter()
        self._copies: dict[int, list[tuple[int, Backup]]] = {}
        self._down_until: dict[int, int] = {}
        self._awaited: list[tuple[Node, Key]] = []

    def _owners_coins(self) -> Sequence[TxOutput]:
        registered = len(self.plan.seats) + self.plan.newcomers
        newcomers = range(len(self.plan.seats), registered)
        collateral = self.plan.parameters.threshold(NEWCOMER_TIER)
        return owners_outputs(registered, newcomers, PAYLOAD_COINS, collateral)

    def _make_node(self, world: World, index: int, key: Key | None) -> Node:
        seats = self.plan.seats
        if index < len(seats) and not seats[index].honest:
            return ByzantineNode(world, index, key, seats[index].behaviours)
        return Node(world, index, key)

    # For faults

    def at(self, offset: int, work: Callable[[], None]) -> None:
        """Do something so many microseconds after the beginning, or now if that is over."""
        self.world.clock.after(max(0, self.world.began + offset - self.world.clock.now), work)

    def at_once(self, work: Callable[[], None]) -> None:
        """Do something after what is being done."""
        self.world.clock.after(0, work)

    def start_again(self, node: Node, delay: int) -> None:
        """Start a node after so many microseconds, unless it runs or must stay down."""

        def start() -> None:
            if not node.up and self.world.clock.now >= self._down_until.get(node.index, 0):
                node.boot()

        self.world.clock.after(delay, start)

    def keep_down(self, node: Node, until: int) -> None:
        """Nobody starts a node before ``until``, in microseconds after the beginning."""
        end = self.world.began + until
        self._down_until[node.index] = end
        self.start_again(node, end - self.world.clock.now)

    def copy_before(self, node: Node, moment: int) -> Backup:
        """The newest copy of a node's disk made up to a moment; an empty disk when there is none."""
        older = [copy for time, copy in self._copies.get(node.index, []) if time <= moment]
        return older[-1] if older else Backup(Disk(self.world.genesis, node.chance.data))

    def await_key(self, node: Node, key: Key) -> None:
        """Once a set knows a masternode by its new key, its node is started with that."""
        self._awaited.append((node, key))

    # Running

    def run(self) -> None:
        """Live; raises ``Violation``, and whatever goes wrong in the code under test."""
        self._begin()
        self.world.clock.run_until(self.world.began + self.plan.turbulence)
        self._heal()
        self._settle()
        self.world.observer.liveness.judge(self.honest)
        self.world.observer.finish()

    def _begin(self) -> None:
        for node in self.world.nodes:
            node.disk_time = self.disk_time
            node.boot()
        for fault in self.plan.faults:
            self.at(fault.at, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        pause = max(1, self.plan.epoch // self.plan.payments)
        for time in range(FIRST_PAYMENT, self.plan.turbulence, pause):
            self.at(time, self.users.pay_something)
        self._look()

    def _strike(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        self.world.note(None, "FAULT", fault)
        FAULTS[fault.kind].strike(self, fault)

    def _look(self) -> None:
        """Some times a second: operators look after their nodes."""
        for node, key in list(self._awaited):
            if node.disk.ledger.current.index_of_key(key.public) is not None:
                self._awaited.remove((node, key))
                if node.up:
                    node.crash()
                node.take_key(key)
                self.start_again(node, _LOOK)
        if any(fault.kind in _NEED_COPIES for fault in self.plan.faults):
            self._copy_disks()
        self.world.clock.after(_LOOK, self._look)

    def _copy_disks(self) -> None:
        now = self.world.clock.now - self.world.began
        if now % (self.plan.epoch // 4) < _LOOK:
            for node in self.honest:
                self._copies.setdefault(node.index, []).append((now, node.disk.backup()))

    # The quiet end

    def _heal(self) -> None:
        """Everything that is not Byzantine works again."""
        world = self.world
        world.note(None, "HEALED")
        world.wires.calm()
        if world.adversary is not None:
            world.adversary.end()
        world.write_faults.clear()
        self._down_until.clear()
        for node in world.nodes:
            node.clock_error = node.drift = 0
            node.doom, node.ending, node.disk_time, node.disk.full = None, None, self.disk_time, False
            node.thaw()
            if not node.up:
                node.boot()
            if "absent_epochs" in self.plan.overrides:
                end_suspension(self, node.index)

    def _settle(self) -> None:
        clock, liveness = self.world.clock, self.world.observer.liveness
        # Connections that broke a moment ago are made again.
        clock.run_until(clock.now + SECOND)
        if not goes_on(self.world, self.honest):
            end_silence(self.world, self.honest)
            if not goes_on(self.world, self.honest):
                self.world.note(None, "STANDS STILL", "a third or more of the power is silent or Byzantine")
                return
        expected = self.users.insist(self.honest)
        silent = [node for node in self.honest if node.participant.signer is not None and not node.participant.may_sign]
        faulty = sum([not seat.honest for seat in self.plan.seats]) + len(silent)
        liveness.begin(self.honest, expected, faulty=faulty, delay_ms=self._slowest_message())
        while clock.now < liveness.deadline and not liveness.kept(self.honest):
            clock.run_until(min(liveness.deadline, clock.now + _LOOK))
            liveness.watch(self.honest)

    def _slowest_message(self) -> int:
        regions = set(self.plan.regions)
        farthest = max([one_way(one, two) for one in regions for two in regions], default=0)
        return farthest // MILLISECOND + _MARGIN_MS

    # The end

    def outcome(self, broken: Broken | None) -> Outcome:
        """How it went up to now."""
        world, users = self.world, self.users
        times = [world.final_at[txid] - made for txid, made in users.made_at.items() if txid in world.final_at]
        return Outcome(
            seed=self.plan.seed,
            violation=broken,
            epochs=world.observer.chain.closed,
            blocks=world.observer.chain.height,
            payments=users.made,
            final=len(world.final_at),
            messages=world.messages,
            bytes=world.bytes,
            milliseconds=(world.clock.now - world.began) // MILLISECOND,
            events=world.clock.happened,
            slowest_rounds=world.observer.liveness.slowest,
            faults=dict(sorted(self.struck.items())),
            latencies=tuple(sorted([time // MILLISECOND for time in times])),
            digest=world.digest,
        )


_NEED_COPIES = frozenset({"backup", "old_journal", "old_chain"})


def live(plan: Plan, trace: Trace | None = None) -> Outcome:
    """Live a plan to its end, or to the first thing that must never be. Whatever the code under test raises is one.

    ``KeyError`` when there is no such mutant.
    """
    with mutated(plan.mutant):
        life = Life(plan, trace)
        try:
            life.run()
        except Violation as violation:
            return _broken(life, violation.invariant, violation.what)
        except Exception:
            return _broken(life, "crash", traceback.format_exc())
        return life.outcome(None)


def _broken(life: Life, invariant: str, what: str) -> Outcome:
    world = life.world
    world.note(None, "VIOLATION", f"{invariant}: {what}")
    for node in world.nodes:
        state = "up" if node.up else "down"
        world.note(node, state, on_disk(node.disk))
    return life.outcome(Broken(invariant, what, world.clock.now - world.began))

"""Many lives, in one process or several; and what they add up to."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

import msgspec

from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.life import Outcome, live
from timecoin.simulation.mutants import MUTANTS
from timecoin.simulation.plan import Options, Plan
from timecoin.simulation.planning import UnknownName, make_plan
from timecoin.simulation.trace import Trace

_AHEAD = 4
"""Lives handed to each process before the oldest is waited for."""
_HOUR = 3_600_000


def plan_of(options: Options) -> Plan:
    """The life that is asked for. A mutant lives where it is looked for, unless something else is asked for, too.

    Raises ``UnknownName`` and ``ImpossiblePlan``.
    """
    if options.mutant is None:
        return make_plan(options)
    if options.mutant not in MUTANTS:
        raise UnknownName(f"no mutant is called {options.mutant!r}; there are: {', '.join(MUTANTS)}")
    if options == Options(seed=options.seed, mutant=options.mutant):
        return MUTANTS[options.mutant].hunt.plan(options.seed, options.mutant)
    return make_plan(options)


def run_seed(options: Options) -> Outcome:
    """Live one seed."""
    return live(plan_of(options))


def run_traced(options: Options) -> tuple[Outcome, Trace]:
    """Live one seed and keep what happened."""
    trace = Trace()
    return live(plan_of(options), trace), trace


def run_seeds(options: Options, seeds: Iterable[int], jobs: int = 1) -> Iterator[Outcome]:
    """Live many seeds, in ``jobs`` processes; outcomes come in the order of the seeds."""
    each = (msgspec.structs.replace(options, seed=seed) for seed in seeds)
    if jobs <= 1:
        yield from map(run_seed, each)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_leave_interrupts) as pool:
        try:
            yield from _in_order(pool, each, jobs * _AHEAD)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that hands out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_order(pool: ProcessPoolExecutor, each: Iterator[Options], ahead: int) -> Iterator[Outcome]:
    waiting: list[Future[Outcome]] = [pool.submit(run_seed, options) for options in islice(each, ahead)]
    while waiting:
        outcome = waiting.pop(0).result()
        waiting.extend(pool.submit(run_seed, options) for options in islice(each, 1))
        yield outcome


class Totals:
    """The sums over many outcomes; those that broke are kept."""

    def __init__(self) -> None:
        self.seeds = self.epochs = self.blocks = self.payments = self.messages = self.milliseconds = 0
        self.faults: Counter[str] = Counter()
        self.broken: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.seeds += 1
        self.epochs += outcome.epochs
        self.blocks += outcome.blocks
        self.payments += outcome.payments
        self.messages += outcome.messages
        self.milliseconds += outcome.milliseconds
        self.faults.update(outcome.faults)
        if outcome.violation is not None:
            self.broken.append(outcome)

    def line(self) -> str:
        """All in one line."""
        hours = f"{self.milliseconds // _HOUR}.{self.milliseconds % _HOUR * 100 // _HOUR:02d}"
        return (
            f"{self.seeds} seeds, {self.epochs} epochs, {self.blocks} blocks, {self.payments} payments, "
            f"{self.messages} messages, {hours} simulated hours, {self.faults.total()} faults, "
            f"{len(self.broken)} violations"
        )

    def fault_lines(self) -> Iterator[str]:
        """How often each kind of fault struck."""
        for name, count in sorted(self.faults.items()):
            yield f"  {name:18s} {count}"


def again(options: Options) -> str:
    """The command that lives the same life again."""
    parts = [f"timecoin simulate --seed {options.seed}"]
    for name in ("nodes", "byzantine", "epochs", "mutant", "profile"):
        value = getattr(options, name)
        if value is not None:
            parts.append(f"--{name} {value}")
    if options.faults is not None:
        parts.append(f"--faults {','.join(options.faults) or 'none'}")
    return " ".join(parts)


def as_json(options: Options, outcomes: Iterable[Outcome]) -> str:
    """What was asked for and how it went, canonical: keys sorted, whole numbers only."""
    listed = [msgspec.to_builtins(outcome) for outcome in outcomes]
    whole = {"options": msgspec.to_builtins(options), "outcomes": listed, "version": 1}
    return msgspec.json.encode(whole, order="sorted").decode()


def seconds(micros: int) -> str:
    """A time after the beginning, as traces show it."""
    milliseconds = micros // MILLISECOND
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d} s"

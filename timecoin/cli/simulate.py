"""``timecoin simulate``: whole networks from a seed, with faults, Byzantine masternodes and checkers of invariants."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from timecoin.simulation.byzantine.behaviour import BEHAVIOURS
from timecoin.simulation.faults.table import FAULTS, WIDE_AREA
from timecoin.simulation.life import Outcome
from timecoin.simulation.mutants import MUTANTS
from timecoin.simulation.plan import PROFILES, Options
from timecoin.simulation.planning import ImpossiblePlan, UnknownName
from timecoin.simulation.running import Totals, again, as_json, plan_of, run_seeds, run_traced, seconds

VIOLATED = 1
EXCERPT = 40
"""Lines of the trace that are shown with a violation."""
_SOAK_EVERY = 20


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The (first) seed.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="How many, one after the other."
)
@click.option("--nodes", type=int, help="Masternodes of the first set; the seed decides if not given.")
@click.option("--byzantine", type=click.IntRange(min=0), help="Byzantine masternodes; less than a third of the power.")
@click.option("--epochs", type=int, help="Epochs with faults; a quiet end follows.")
@click.option("--faults", help="Names separated by commas, 'all' or 'none'; --list-faults lists them.")
@click.option("--profile", type=click.Choice(PROFILES), help="How much happens, and when.")
@click.option("--mutant", metavar="NAME", help="Break one rule of the protocol in every honest node.")
@click.option("--list-mutants", is_flag=True, help="List the mutants and end.")
@click.option("--list-faults", is_flag=True, help="List the faults and Byzantine behaviours and end.")
@click.option("--json", "in_json", is_flag=True, help="Canonical JSON: the same bytes for the same seed, anywhere.")
@click.option("--trace", type=click.Path(path_type=Path, dir_okay=False), help="Write what happened into this file.")
@click.option("--soak", is_flag=True, help="Seed after seed until stopped with Ctrl-C.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def simulate(
    seed: int,
    seeds: int,
    nodes: int | None,
    byzantine: int | None,
    epochs: int | None,
    faults: str | None,
    profile: str | None,
    mutant: str | None,
    list_mutants: bool,
    list_faults: bool,
    in_json: bool,
    trace: Path | None,
    soak: bool,
    jobs: int,
) -> None:
    """Simulate whole networks of the real node, each decided by one seed.

    Exit status 0: every invariant held. 1: one did not; seed, invariant, the end of the trace and the command that runs
    it again are shown. 2: what is asked for does not exist.
    """
    if list_mutants or list_faults:
        for line in itertools.chain(_mutants() if list_mutants else (), _faults() if list_faults else ()):
            click.echo(line)
        return
    options = Options(
        seed=seed,
        nodes=nodes,
        byzantine=byzantine,
        epochs=epochs,
        faults=_names(faults),
        mutant=mutant,
        profile=profile,
    )
    try:
        plan_of(options)
    except (UnknownName, ImpossiblePlan) as error:
        raise click.UsageError(str(error)) from None
    if soak:
        sys.exit(_soak(options, jobs, trace))
    outcomes = list(_lives(options, range(seed, seed + seeds), jobs, show=not in_json))
    if in_json:
        click.echo(as_json(options, outcomes))
    sys.exit(_tell(options, outcomes, trace, quiet=in_json))


def _names(faults: str | None) -> tuple[str, ...] | None:
    if faults is None or faults == "all":
        return None
    return () if faults == "none" else tuple([name.strip() for name in faults.split(",")])


def _mutants() -> Iterator[str]:
    for name, mutant in MUTANTS.items():
        yield f"{name:34s} {mutant.kind.value:9s} {mutant.what}"


def _faults() -> Iterator[str]:
    yield f"{WIDE_AREA:18s} nodes on several continents"
    for name, kind in FAULTS.items():
        yield f"{name:18s} {kind.what}"
    yield ""
    yield "Byzantine behaviours:"
    for name, maker in BEHAVIOURS.items():
        yield f"{name:24s} {(maker.__doc__ or '').strip().splitlines()[0]}"


# Running


def _lives(options: Options, seeds: range, jobs: int, *, show: bool) -> Iterator[Outcome]:
    outcomes = _possible(options, seeds, jobs)
    console = Console(stderr=True)
    if not (show and console.is_terminal and len(seeds) > 1):
        yield from outcomes
        return
    columns = TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(outcomes, total=len(seeds))


def _possible(options: Options, seeds: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """Not every seed's masternodes can have so many Byzantine ones: then there is no such life."""

    def possible(seed: int) -> bool:
        try:
            plan_of(msgspec.structs.replace(options, seed=seed))
        except ImpossiblePlan:
            return False
        return True

    return run_seeds(options, filter(possible, seeds), jobs)


def _soak(options: Options, jobs: int, trace: Path | None) -> int:
    totals = Totals()
    try:
        for outcome in _possible(options, itertools.count(options.seed), jobs):
            totals.add(outcome)
            if outcome.violation is not None:
                _show_broken(options, outcome, trace)
            if totals.seeds % _SOAK_EVERY == 0:
                click.echo(totals.line())
    except KeyboardInterrupt:
        click.echo("stopped")
    _show_totals(totals)
    return VIOLATED if totals.broken else 0


def _tell(options: Options, outcomes: list[Outcome], trace: Path | None, *, quiet: bool) -> int:
    totals = Totals()
    for outcome in outcomes:
        totals.add(outcome)
    broken = totals.broken[:1]
    if trace is not None and not broken:
        _traced(options, outcomes[0].seed, trace)
    for outcome in broken:
        _show_broken(options, outcome, trace, quiet=quiet)
    if not quiet:
        _show_totals(totals)
        if len(outcomes) == 1:
            _show_one(outcomes[0])
    return VIOLATED if totals.broken else 0


def _show_totals(totals: Totals) -> None:
    click.echo(totals.line())
    for line in totals.fault_lines():
        click.echo(line)
    if len(totals.broken) > 1:
        click.echo("violations: " + ", ".join(_verdict(outcome) for outcome in totals.broken))


def _show_one(outcome: Outcome) -> None:
    times = outcome.latencies
    if times:
        click.echo(f"final after {times[len(times) // 2]} ms (median), {times[-1]} ms (slowest)")
    click.echo(f"digest {outcome.digest}")


def _verdict(outcome: Outcome) -> str:
    assert outcome.violation is not None
    return f"seed {outcome.seed} {outcome.violation.invariant}"


def _show_broken(options: Options, outcome: Outcome, trace: Path | None, *, quiet: bool = False) -> None:
    """Live it once more, now with a trace."""
    broken = outcome.violation
    assert broken is not None
    lines = _traced(options, outcome.seed, trace)
    if quiet:
        return
    click.echo(f"VIOLATION of {broken.invariant}, seed {outcome.seed}, after {seconds(broken.at)}")
    click.echo(broken.what.rstrip())
    click.echo("")
    for line in lines:
        click.echo(line[:240])
    click.echo("")
    command = again(msgspec.structs.replace(options, seed=outcome.seed))
    click.echo(f"again: {command} --trace trace.txt")


def _traced(options: Options, seed: int, path: Path | None) -> list[str]:
    """The last lines of a seed's trace; all of it goes into the file."""
    _, trace = run_traced(msgspec.structs.replace(options, seed=seed))
    if path is not None:
        path.write_text("".join(line + "\n" for line in trace.lines()), encoding="utf-8")
    return list(trace.lines(EXCERPT))

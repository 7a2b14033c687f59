"""``python -m docs.model``: search through variants and mutants; ``--help`` tells the rest."""

from __future__ import annotations

import time

import click

from docs.model.explore import Explorer
from docs.model.model import Model
from docs.model.runs import shortest_run
from docs.model.variants import BOUNDS, LARGE, MUTANTS, VARIANTS, Variant


@click.command()
@click.argument("names", nargs=-1)
@click.option("--large", is_flag=True, help="the variants that are too long for every test run, too")
@click.option("--trace", is_flag=True, help="print a shortest run for each invariant that a mutant breaks")
def main(names: tuple[str, ...], large: bool, trace: bool) -> None:
    """Search the variants and mutants NAMES, or all of them."""
    variants = VARIANTS | LARGE
    unknown = set(names) - set(variants) - set(MUTANTS)
    if unknown:
        raise click.BadParameter(f"no variant or mutant {', '.join(sorted(unknown))}")
    wanted = names or (*VARIANTS, *(LARGE if large else ()), *MUTANTS)
    good = [show(name, variants[name]) if name in variants else show_mutant(name, trace) for name in wanted]
    raise SystemExit(0 if all(good) else 1)


def show(name: str, variant: Variant) -> bool:
    """Search a variant and print its line; whether it came out as written."""
    start = time.process_time()
    result = Explorer(Model(variant.bounds), frozenset(variant.watch)).run()
    good = not result.broken and (result.states, result.steps) == (variant.states, variant.steps)
    verdict = ", ".join(result.broken) or "safe"
    line = f"{name:34} {verdict:22} {result.states:>11,} states {result.steps:>3} steps"
    click.echo(f"{line} {time.process_time() - start:7.1f} s{'' if good else '  NOT AS WRITTEN'}")
    return good


def show_mutant(name: str, trace: bool) -> bool:
    """Search for what a mutant breaks and print a line for each; whether all came out as written."""
    good = True
    for bounds, invariant, steps in MUTANTS[name]:
        start = time.process_time()
        result = Explorer(Model(BOUNDS[bounds], name), frozenset({invariant})).run()
        as_written = invariant in result.broken and result.steps == steps
        verdict = invariant if result.broken else f"{invariant} HOLDS"
        line = f"{name:34} {verdict:22} {result.states:>11,} states {result.steps:>3} steps"
        click.echo(f"{line} {time.process_time() - start:7.1f} s{'' if as_written else '  NOT AS WRITTEN'}")
        if trace and result.broken:
            for number, step in enumerate(shortest_run(Model(BOUNDS[bounds], name), invariant), 1):
                click.echo(f"{number:>8}. {step}")
        good = good and as_written
    return good


if __name__ == "__main__":
    main()

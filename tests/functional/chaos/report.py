"""A run as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from tests.functional.chaos.runner import Befallen, Outcome

_HEAD = ("fault", "count", "lasted", "network p50", "network max", "everywhere p50", "everywhere max", "at work max")


def lines(outcome: Outcome) -> Iterator[str]:
    """The report, line by line; recovery times are seconds from the end of a fault."""
    yield f"{'':16}{'':6}{'':8}{'recovery':>13}"
    yield "".join(_cells(_HEAD))
    by_kind: dict[str, list[Befallen]] = defaultdict(list)
    for each in outcome.faults:
        by_kind[each.fault.kind].append(each)
    for kind, held in sorted(by_kind.items()):
        yield "".join(_cells(_row(kind, held)))
    yield f"two rounds are {outcome.limit:.2f} s"
    yield (
        f"payments: {outcome.sent} sent, {outcome.acknowledged} acknowledged, {outcome.pairs} pairs of rivals; "
        f"{outcome.final} archived, {outcome.rejected} rejected"
    )
    if outcome.finality:
        p99 = outcome.finality[min(len(outcome.finality) - 1, 99 * len(outcome.finality) // 100)]
        yield (
            f"seen as final after: p50 {median(outcome.finality):.2f} s, p99 {p99:.2f} s, "
            f"max {outcome.finality[-1]:.2f} s (looked for every quarter of a second)"
        )
    yield f"epochs: {outcome.epochs}, blocks: {outcome.heights}, {outcome.carried >> 20} MiB between nodes"
    yield f"faults: {len(outcome.faults)} in {outcome.seconds:.0f} s; violations: {len(outcome.violations)}"
    for violation in outcome.violations:
        yield f"  {violation.what}: {violation.text}"


def _row(kind: str, held: Sequence[Befallen]) -> tuple[str, ...]:
    network = [each.recovery.network for each in held]
    everywhere = [each.recovery.everywhere for each in held]
    lasted = sum(each.lasted for each in held) / len(held)
    at_work = [each.recovery.at_work for each in held]
    return (kind, str(len(held)), f"{lasted:.1f}", *_figures(network), *_figures(everywhere), _figures(at_work)[1])


def _figures(seconds: Sequence[float | None]) -> tuple[str, str]:
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return (f"{median(known):.2f}" if known else "never"), "never"
    return f"{median(known):.2f}", f"{max(known):.2f}"


def _cells(values: Sequence[str]) -> Iterator[str]:
    yield f"{values[0]:16}"
    yield f"{values[1]:>6}"
    yield f"{values[2]:>8}"
    for each in values[3:]:
        yield f"{each:>16}"

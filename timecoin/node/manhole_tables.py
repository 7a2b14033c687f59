"""Plain tables for people on a terminal: what the handles of the manhole look like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_MAX_ROWS = 200


class Table:
    """Rows under headings, or without headings names and values; ``repr`` is the table as text."""

    def __init__(
        self, title: str, rows: Iterable[Sequence[object]], headings: Sequence[str] = (), note: str = ""
    ) -> None:
        self.title = title
        self.headings = tuple(headings)
        self.rows = [tuple(row) for row in rows]
        self.note = note

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        shown = [[_text(cell) for cell in row] for row in self.rows[:_MAX_ROWS]]
        lines = _aligned([list(self.headings), *shown] if self.headings else shown)
        if self.headings and lines:
            lines.insert(1, "-" * len(lines[0]))
        if len(self.rows) > _MAX_ROWS:
            lines.append(f"… and {len(self.rows) - _MAX_ROWS} more")
        return "\n".join([f"== {self.title} ==", *lines, *([self.note] if self.note else [])])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    columns = max((len(row) for row in rows), default=0)
    widths = [max((len(row[n]) for row in rows if n < len(row)), default=0) for n in range(columns)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    text = f"{cell:.1f}" if isinstance(cell, float) else str(cell)
    # Names from other nodes may hold anything; a terminal must not obey it.
    return "".join(each if each.isprintable() else "?" for each in text)


def when(time_ms: int) -> str:
    """A time in milliseconds since the Unix epoch, as UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A time span in words: ``2 d 3 h``, ``4 min 5 s``, ``6.0 s``."""
    whole = int(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{seconds:.1f} s"

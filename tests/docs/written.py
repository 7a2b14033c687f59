"""What is written about the node, as text to be compared with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
README = HOME / "README.rst"
PAGES = (README, HOME / "CHANGES.rst", *sorted((HOME / "docs").rglob("*.rst")))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def literals(path: Path) -> Iterator[str]:
    """The ``literals`` of a page; those over a line's end too."""
    for found in re.findall(r"``([^`]+)``", text(path)):
        yield " ".join(found.split())


def code(path: Path) -> str:
    """The lines of its literal blocks, without their indentation."""
    lines, within = [], False
    for line in text(path).splitlines():
        indented = line.startswith("    ")
        within = (within and (indented or not line)) or line.endswith("::")
        if within and indented:
            lines.append(line[4:])
    return "\n".join(lines)

"""The docstring of an RPC method, which is the one source of its help and of its part of the OpenRPC document.

::

    One sentence.

    More paragraphs.

    :param height: what it is, unit, range
    :param options.fee_rate: a member of an object
    :returns: what it is
    :error -8: when
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_FIELD = re.compile(r":(?:(param) ([\w.\-]+)|(error) (-?[0-9]+)|(returns)):[ \t]*")


@dataclass(slots=True)
class Described:
    """What a docstring says: the sentence, the paragraphs after it, parameters by name (members of objects as
    ``object.member``), the result, and (code, when) of each error."""

    summary: str = ""
    body: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    errors: list[tuple[int, str]] = field(default_factory=list)


def describe(function: Callable[..., object]) -> Described:
    """Parse the docstring of a function; whatever is missing stays empty."""
    lines = (inspect.getdoc(function) or "").split("\n")
    start = next((n for n, line in enumerate(lines) if _FIELD.match(line)), len(lines))
    summary, _, body = "\n".join(lines[:start]).strip().partition("\n\n")
    found = Described(" ".join(summary.split()), body.strip())
    for item in _joined(lines[start:]):
        _add(found, item)
    return found


def _joined(lines: list[str]) -> list[str]:
    """One string for each field, its continued lines joined."""
    items: list[str] = []
    for line in lines:
        if _FIELD.match(line):
            items.append(line.strip())
        elif items and line.strip():
            items[-1] += " " + line.strip()
    return items


def _add(found: Described, item: str) -> None:
    head = _FIELD.match(item)
    assert head is not None
    text = item[head.end() :]
    if head[1]:
        found.parameters[head[2]] = text
    elif head[3]:
        found.errors.append((int(head[4]), text))
    else:
        found.returns = text

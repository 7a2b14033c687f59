"""The text of etc/node.ini, written out from the declarations of ``config``; a test compares them."""

from __future__ import annotations

import textwrap

from timecoin.node.config import Spec, sections, specs

_HEAD = """\
# Configuration of a TimeCoin node: every key, with its default. Used as it is, the node follows the built-in
# devnet. An unknown section or key, or a bad value, is an error: nothing is guessed. A comment is a line of
# its own. Relative paths count from the directory of this file.
"""


def render() -> str:
    """The commented node.ini of all defaults."""
    return _HEAD + "".join(_section(name, kind) for name, kind in sections().items())


def _section(name: str, kind: type[object]) -> str:
    keys = "".join(_key(key, spec) for key, spec in specs(kind).items())
    return f"\n\n# {kind.__doc__}\n[{name}]\n{keys}"


def _key(name: str, spec: Spec) -> str:
    comment = f"{spec.doc} Allowed: {spec.kind.allowed}."
    lines = textwrap.wrap(comment, 110, initial_indent="# ", subsequent_indent="# ")
    assignment = f"{name} = {spec.default}".rstrip()
    return "\n" + "\n".join([*lines, assignment]) + "\n"

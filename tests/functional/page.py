"""A page of the documentation as something that can be executed: its named code blocks, in order."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n    :name: (\S+)\n\n((?:    .*\n|\n)+)", re.M)
_BLANK = re.compile(r"<[a-z](?:[^<>=\n]*[^ <>=\n])?>")


class Block(NamedTuple):
    """A code block: its language, its name and its text."""

    language: str
    name: str
    text: str


def blocks(page: str) -> list[Block]:
    """The named code blocks of a page, in order; AssertionError when there is any other one."""
    found = [Block(kind, name, _outdented(text)) for kind, name, text in _BLOCK.findall(page)]
    assert len(found) == page.count(".. code-block::") > 0
    return found


def _outdented(text: str) -> str:
    return "".join(line[4:] + "\n" for line in text.rstrip("\n").split("\n"))


def fill_in(text: str, words: Mapping[str, str]) -> str:
    """The text with ``<what is to be filled in>`` replaced; KeyError for a blank that nobody knows."""
    return _BLANK.sub(lambda found: words[found[0][1:-1]], text)


class Shell:
    """Runs blocks one after the other in a directory, as one shell would: variables stay."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.variables = dict(environment)

    def run(self, text: str, typed: str = "") -> str:
        """What a block prints; ``typed`` is what it gets on standard input. AssertionError when a command fails."""
        state = self.directory / ".variables"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-a", "-c", f"{text}\nenv -0 > {state}"],
            cwd=self.directory,
            env=self.variables,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, f"status {done.returncode} of\n{text}\n{done.stdout}"
        pairs = [each.partition("=") for each in os.fsdecode(state.read_bytes()).split("\0") if each]
        self.variables = {name: value for name, _, value in pairs}
        return done.stdout

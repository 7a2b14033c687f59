"""Makes ``docs/man`` from the commands themselves: ``python -m docs.manpages``. A test holds the two together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from click_man.core import generate_man_page

import timecoin
from timecoin.cli.main import main

PAGES = Path(__file__).with_name("man")
NAME = "timecoin"


def pages() -> dict[str, str]:
    """File name to page, for ``timecoin`` and each of its commands."""
    contexts = list(_contexts(main, NAME, None))
    return {f"{context.command_path.replace(' ', '-')}.1": _page(context) for context in contexts}


def _contexts(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent)
    command.short_help = " ".join((command.help or "").partition("\n\n")[0].split())
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            # click-man reads a group's commands from here; ours are imported when they are asked for.
            command.commands[child] = found
            yield from _contexts(found, child, context)


def _page(context: click.Context) -> str:
    page: str = generate_man_page(context, version=timecoin.__version__)
    # The same page on every day.
    return re.sub(r'^(\.TH "[^"]*" "1") "[^"]*"', r'\1 ""', page, count=1, flags=re.MULTILINE)


def write() -> None:
    """Put the pages where they belong, and take away those of commands that are gone."""
    PAGES.mkdir(exist_ok=True)
    made = pages()
    for old in PAGES.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()

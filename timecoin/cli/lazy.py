"""A group of commands each of which is imported when it is used: some bring half the node along."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

import click

_OUTPUT = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EBADF)


def _devnull(mode: str) -> TextIO:
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))


class LazyGroup(click.Group):
    """``places`` maps a command's name to where it is: ``module:attribute``."""

    def __init__(self, *arguments: object, places: Mapping[str, str], **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in their order."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is no such."""
        if cmd_name not in self._places:
            return None
        module, attribute = self._places[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a name that is not there is answered with the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            if not near:
                raise
            raise click.UsageError(f"{problem.message} Did you mean {near[0]!r}?", ctx) from None

    def main(self, *arguments: Any, **options: Any) -> Any:
        """As click does it; standard input that is closed is empty, and output that nobody takes is one line."""
        if sys.stdin is None:
            sys.stdin = _devnull("r")
        try:
            return super().main(*arguments, **options)
        except OSError as problem:
            if problem.errno not in _OUTPUT or problem.filename is not None:
                raise
            # What is still in the buffer would fail again when Python ends.
            sys.stdout = _devnull("w")
            click.echo(f"error: cannot write the output: {problem.strerror}", err=True)
            sys.exit(1)

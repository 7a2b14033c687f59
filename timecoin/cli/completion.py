"""``timecoin completion SHELL``: what makes the shell complete commands, options and RPC methods."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

NAME = "timecoin"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    bash: timecoin completion bash > ~/.local/share/bash-completion/completions/timecoin

    zsh: timecoin completion zsh > "${fpath[1]}/_timecoin"

    fish: timecoin completion fish > ~/.config/fish/completions/timecoin.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, NAME, "_TIMECOIN_COMPLETE").source())

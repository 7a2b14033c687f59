"""What the wallet commands have in common: calls with hints, secrets asked for, words shown."""

from __future__ import annotations

import sys
from random import SystemRandom
from typing import Any, Final

import click
from rich.console import Console

from timecoin.cli.connection import Connection, fail, read_password
from timecoin.rpc.client import RpcFailure, RpcUnreachable, value_of
from timecoin.rpc.wallet_errors import NOT_FOUND, NOT_SPECIFIED, UNLOCK_NEEDED

HINTS: Final = {
    UNLOCK_NEEDED: "`timecoin wallet unlock` unlocks it for a while.",
    NOT_FOUND: "`timecoin wallet list` shows what there is, `timecoin wallet load NAME` loads one.",
    NOT_SPECIFIED: "Say which one: --wallet NAME.",
}
ASKED_BACK: Final = 3
"""How many of the words somebody has to type to show that they are written down."""


def ask(node: Connection, method: str, *params: Any, **named: Any) -> Any:
    """The result of a call; an error ends the process with its message and what helps."""
    try:
        return value_of(node.raw(method, named or params))
    except (RpcFailure, RpcUnreachable) as problem:
        fail(problem, HINTS.get(problem.code, "") if isinstance(problem, RpcFailure) else "")


def on_terminal() -> bool:
    """Whether somebody sits before it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def present_passphrase(prompt: str = "Passphrase: ") -> str:
    """A passphrase that exists: a **secret**. click.UsageError for an empty one."""
    found = read_password(prompt)
    if not found:
        raise click.UsageError("the passphrase is empty")
    return found


def new_passphrase() -> str:
    """A passphrase to be: a **secret**, asked for twice on a terminal. click.UsageError when it cannot be used."""
    found = read_password("New passphrase: ")
    if not found:
        raise click.UsageError("the passphrase is empty; --no-passphrase makes a wallet that anybody can open")
    if sys.stdin.isatty() and read_password("The same again: ") != found:
        raise click.UsageError("these were two passphrases")
    return found


def show_words(phrase: str, word_passphrase: str = "") -> None:
    """Recovery words: on a terminal on a screen of their own that leaves no trace, else one line to read."""
    if not on_terminal():
        click.echo(phrase)
        if word_passphrase:
            click.echo(word_passphrase)
        return
    console = Console()
    with console.screen():
        console.print("Who has these words has the money. Write them down, in this order, on paper.\n")
        for number, word in enumerate(phrase.split(), 1):
            console.print(f"{number:4}  {word}", highlight=False)
        if word_passphrase:
            console.print(f"\nand their passphrase: {word_passphrase}", highlight=False, markup=False)
        console.input("\nEnter, when that is done: ")


def hand_over(phrase: str) -> None:
    """Show new words until somebody at the terminal knows some of them; elsewhere once."""
    show_words(phrase)
    while on_terminal() and not _knows(phrase.split()):
        click.echo("That is not the word. Look again.")
        show_words(phrase)


def _knows(words: list[str]) -> bool:
    asked = sorted(SystemRandom().sample(range(len(words)), ASKED_BACK))
    return all(click.prompt(f"Word {n + 1}", type=str).strip().lower() == words[n] for n in asked)

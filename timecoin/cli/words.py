"""Words of a command line as JSON parameters, as bitcoin-cli makes them: text where a method wants text, else JSON."""

from __future__ import annotations

from typing import Any

import click

from timecoin.rpc import codec
from timecoin.rpc.kinds import Kind
from timecoin.rpc.methods import all_methods


def convert(method: str, words: tuple[str, ...]) -> list[Any]:
    """Positional words. Raises click.UsageError."""
    known = all_methods().get(method)
    kinds = [] if known is None else [each.kind for each in known.parameters]
    return [_value(word, kinds[n] if n < len(kinds) else None, known is not None) for n, word in enumerate(words)]


def convert_named(method: str, words: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` words; words without a name before them are the first parameters. Raises click.UsageError."""
    known = all_methods().get(method)
    kinds: dict[str, Kind] = {}
    for parameter in () if known is None else known.parameters:
        if parameter.named_only:
            kinds |= {member.name: member.kind for member in parameter.kind.members}
        kinds[parameter.name] = parameter.kind
    if known is not None:
        kinds |= {alias: kinds[name] for alias, name in known.aliases.items()}
    first = [word for word in words if "=" not in word]
    if first and list(words[: len(first)]) != first:
        raise click.UsageError(f"no '=' in named argument {next(w for w in words if '=' not in w)!r}")
    named: dict[str, Any] = {"args": convert(method, tuple(first))} if first else {}
    for word in words[len(first) :]:
        name, _, value = word.partition("=")
        named[name] = _value(value, kinds.get(name), known is not None)
    return named


def _value(word: str, kind: Kind | None, strict: bool) -> Any:
    if kind is not None and kind.accepts == {"string"}:
        return word
    try:
        return codec.decode(word.encode("utf-8"))
    except ValueError:
        if strict and (kind is None or "string" not in kind.accepts):
            raise click.UsageError(f"Error parsing JSON: {word}") from None
        return word

"""What ``help METHOD`` prints, in the shape of Bitcoin Core's help, from docstring and annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from timecoin.rpc.arguments import Parameter
from timecoin.rpc.docstrings import Described
from timecoin.rpc.kinds import Schema

_DEPTH = 6
_INDENT = "  "


def usage(name: str, parameters: Sequence[Parameter]) -> str:
    """``name "text" number ( optional optional )``, as Core prints it."""
    words = [name]
    optional = False
    for each in parameters:
        if each.required and optional:
            words.append(")")
        if not each.required and not optional:
            words.append("(")
        optional = not each.required
        words.append(_usage_word(each))
    return " ".join([*words, ")"] if optional else words)


def _usage_word(parameter: Parameter) -> str:
    schema = parameter.kind.schema
    if parameter.is_text:
        return f'"{parameter.name}"'
    if schema.get("type") == "array":
        return f"[{parameter.name},...]"
    return f"{{{parameter.name}}}" if schema.get("type") == "object" else parameter.name


def full(name: str, parameters: Sequence[Parameter], said: Described, result: Schema, named: dict[str, Schema]) -> str:
    """The whole help of a method; ``named`` are the schemas that ``result`` refers to."""
    parts = [usage(name, parameters), said.summary]
    if said.body:
        parts.append(said.body)
    if parameters:
        parts.append("Arguments:\n" + "\n".join(_arguments(parameters, said)))
    if said.returns or result:
        shown = "\n".join(_result(result, named, 0))
        parts.append(f"Result:\n{shown}" + (f"\n{said.returns}" if said.returns else ""))
    if said.errors:
        parts.append("Errors:\n" + "\n".join(f"{code}  {when}" for code, when in said.errors))
    return "\n\n".join(parts) + "\n"


def _arguments(parameters: Sequence[Parameter], said: Described) -> Iterator[str]:
    for number, each in enumerate(parameters, 1):
        how = "required" if each.required else _default(each.default)
        yield f"{number}. {each.name}  ({each.shown}, {how}) {said.parameters.get(each.name, '')}".rstrip()
        for member in each.kind.members:
            need = "required" if member.required else "optional"
            text = said.parameters.get(f"{each.name}.{member.name}", "")
            yield f'     "{member.name}"  ({member.kind.shown}, {need}) {text}'.rstrip()


def _default(value: object) -> str:
    if value is None:
        return "optional"
    return f"optional, default={value.hex() if isinstance(value, bytes) else json.dumps(value)}"


def _result(schema: Schema, named: dict[str, Schema], depth: int, name: str = "") -> Iterator[str]:
    """The lines that show a value of this schema, Core's way."""
    start = _INDENT * depth + (f'"{name}" : ' if name else "")
    schema = _resolved(schema, named)
    note = f"  {schema['description']}" if name and "description" in schema else ""
    if "anyOf" in schema:
        yield from _alternatives(schema["anyOf"], named, depth, name)
    elif depth < _DEPTH and schema.get("type") == "object":
        yield f"{start}{{{note}"
        for member, inner in _members(schema):
            yield from _result(inner, named, depth + 1, member)
        yield f"{_INDENT * depth}}}"
    elif depth < _DEPTH and schema.get("type") == "array":
        yield f"{start}[{note}"
        yield from _result(schema["items"], named, depth + 1)
        yield f"{_INDENT * (depth + 1)}..."
        yield f"{_INDENT * depth}]"
    else:
        yield f"{start}{_scalar(schema)}{note}"


def _alternatives(choices: list[Schema], named: dict[str, Schema], depth: int, name: str) -> Iterator[str]:
    structured = [each for each in choices if _resolved(each, named).get("type") in ("object", "array")]
    if not structured:
        start = _INDENT * depth + (f'"{name}" : ' if name else "")
        yield start + " | ".join(_scalar(_resolved(each, named)) for each in choices)
        return
    for number, each in enumerate(choices):
        if number:
            yield f"{_INDENT * depth}or"
        yield from _result(each, named, depth, name)


def _members(schema: Schema) -> list[tuple[str, Schema]]:
    members = list(schema.get("properties", {}).items())
    more = schema.get("additionalProperties")
    return [*members, ("...", more)] if isinstance(more, dict) else members


def _resolved(schema: Schema, named: dict[str, Schema]) -> Schema:
    where: Any = schema.get("$ref")
    return schema if where is None else named[where.rpartition("/")[2]]


def _scalar(schema: Schema) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if "pattern" in schema:
        return '"hex"'
    words = {"string": '"str"', "integer": "n", "number": "n.nnn", "boolean": "true|false", "null": "null"}
    return words.get(str(schema.get("type")), "any")

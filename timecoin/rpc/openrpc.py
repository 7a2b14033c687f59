"""The OpenRPC document of all methods (https://spec.open-rpc.org, version 1.3.2), made of their docstrings and
annotations.

``python -m timecoin.rpc.openrpc`` prints it; docs/openrpc.json holds it, and a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

import timecoin
from timecoin.rpc.arguments import Parameter
from timecoin.rpc.docstrings import Described
from timecoin.rpc.kinds import Schema
from timecoin.rpc.schemas import Schemas
from timecoin.rpc.table import Method

VERSION = "1.3.2"
_DESCRIPTION = (
    "JSON-RPC of a TimeCoin node over HTTP POST, with Bitcoin Core's names, parameters, error codes and HTTP statuses. "
    "Amounts are JSON numbers of TIME with eight decimals. Calls for a wallet go to /wallet/NAME. Besides the errors "
    "of a method any call may be answered with -1 (wrong number of parameters, or it took too long), -3 (a parameter "
    "of a wrong type), -28 (the node is starting), -32600 (no request), -32601 (no such method, or switched off) and "
    "-32700 (no JSON)."
)


def document(methods: Mapping[str, Method]) -> dict[str, Any]:
    """The whole document, ready to be written as JSON."""
    schemas = Schemas()
    shown = [_method(methods[name], schemas) for name in sorted(methods)]
    return {
        "openrpc": VERSION,
        "info": {
            "title": "TimeCoin",
            "description": _DESCRIPTION,
            "version": timecoin.__version__,
            "license": {"name": "MIT"},
        },
        "methods": shown,
        "components": {"schemas": dict(sorted(schemas.named.items()))},
    }


def _method(method: Method, schemas: Schemas) -> dict[str, Any]:
    said = method.said
    shown: dict[str, Any] = {
        "name": method.name,
        "tags": [{"name": method.category}],
        "summary": said.summary,
        "paramStructure": "either",
        "params": [_parameter(each, said) for each in method.parameters],
        "result": {"name": "result", "description": said.returns, "schema": _result(method, schemas)},
    }
    if said.body:
        shown["description"] = said.body
    if said.errors:
        shown["errors"] = _errors(said)
    if method.aliases:
        shown["x-parameter-aliases"] = dict(method.aliases)
    return shown


def _result(method: Method, schemas: Schemas) -> Schema:
    try:
        return schemas.of_result(method.call)
    except TypeError:
        return {}


def _errors(said: Described) -> list[dict[str, Any]]:
    """One object for each code; what several lines say of one code is joined."""
    found: dict[int, list[str]] = {}
    for code, when in said.errors:
        found.setdefault(code, []).append(when)
    return [{"code": code, "message": "; ".join(texts)} for code, texts in found.items()]


def _parameter(parameter: Parameter, said: Described) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": parameter.name, "required": parameter.required}
    if parameter.name in said.parameters:
        shown["description"] = said.parameters[parameter.name]
    shown["schema"] = _described(parameter, said)
    if not parameter.required and isinstance(parameter.default, str | int | bool):
        shown["schema"] = shown["schema"] | {"default": parameter.default}
    if parameter.kind.named_only:
        shown["x-members-are-parameters"] = True
    return shown


def _described(parameter: Parameter, said: Described) -> Schema:
    """The schema of a parameter, with what the docstring says of its members."""
    schema = parameter.kind.schema
    holder = schema.get("items", schema) if schema.get("type") == "array" else schema
    if "properties" not in holder:
        return schema
    members = {
        name: inner | {"description": said.parameters[f"{parameter.name}.{name}"]}
        if f"{parameter.name}.{name}" in said.parameters
        else inner
        for name, inner in holder["properties"].items()
    }
    told = holder | {"properties": members}
    return schema | {"items": told} if schema.get("type") == "array" else told


def text(methods: Mapping[str, Method]) -> str:
    """The document as indented JSON text that ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(document(methods)), indent=1).decode("utf-8") + "\n"


if __name__ == "__main__":
    from timecoin.rpc.methods import all_methods

    sys.stdout.write(text(all_methods()))

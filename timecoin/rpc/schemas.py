"""JSON schemas of what methods return, made of their return annotations.

``msgspec.json.schema`` refuses unions of several ``TypedDict`` types, which verbosity levels need; this knows
just the types that results are made of. An object has exactly the members of its ``TypedDict``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec
from twisted.internet.defer import Deferred

from timecoin.rpc.kinds import Schema, required_members

_PLAIN: Final[dict[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    None: {"type": "null"},
    NoneType: {"type": "null"},
}
_META = ("description", "examples", "pattern", "ge", "le")
_NAMES = {"ge": "minimum", "le": "maximum"}


class Schemas:
    """Makes schemas; those of ``TypedDict`` types are collected in ``named`` and referred to below ``root``."""

    def __init__(self, root: str = "#/components/schemas/") -> None:
        self.named: dict[str, Schema] = {}
        self._types: dict[str, Any] = {}
        self._root = root

    def of_result(self, function: Callable[..., Any]) -> Schema:
        """The schema of what a method answers in the end; TypeError when its annotation does not tell."""
        return self.of(result_type(function))

    def of(self, annotation: Any) -> Schema:
        """The schema of a type; TypeError for one that results are not made of."""
        if annotation in _PLAIN:
            return dict(_PLAIN[annotation])
        if is_typeddict(annotation):
            return self._reference(annotation)
        origin, inner = get_origin(annotation), get_args(annotation)
        if origin in (Required, NotRequired):
            return self.of(inner[0])
        if origin is Annotated:
            return self._annotated(inner[0], inner[1:])
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(each) for each in inner]}
        if origin is Literal:
            return {"enum": list(inner)}
        if origin in (list, Sequence):
            return {"type": "array", "items": self.of(inner[0])}
        if origin in (dict, Mapping) and inner[0] in (str, int):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        raise TypeError(f"{annotation} does not tell what the result is")

    def _annotated(self, plain: Any, extra: tuple[Any, ...]) -> Schema:
        metas = [each for each in extra if isinstance(each, msgspec.Meta)]
        whole = next((each.extra_json_schema for each in metas if each.extra_json_schema), None)
        schema = dict(whole) if whole and "type" in whole else self.of(plain) | (whole or {})
        for meta in metas:
            found = {_NAMES.get(name, name): getattr(meta, name) for name in _META}
            schema |= {name: value for name, value in found.items() if value is not None}
        return schema

    def _reference(self, typed: Any) -> Schema:
        name = typed.__name__
        if self._types.setdefault(name, typed) is not typed:
            raise TypeError(f"two result types are called {name}: {self._types[name].__module__}, {typed.__module__}")
        if name not in self.named:
            self.named[name] = {}
            self.named[name] = self._members(typed)
        return {"$ref": self._root + name}

    def _members(self, typed: Any) -> Schema:
        hints = get_type_hints(typed, include_extras=True)
        required = required_members(typed)
        return {
            "type": "object",
            "title": typed.__name__,
            **({"description": inspect.cleandoc(typed.__doc__)} if typed.__doc__ else {}),
            "properties": {name: self.of(hint) for name, hint in hints.items()},
            "required": [name for name in hints if name in required],
            "additionalProperties": False,
        }


def result_type(function: Callable[..., Any]) -> Any:
    """The type that a method's answer has in the end, whether it is awaited or not."""
    annotation = get_type_hints(function, include_extras=True)["return"]
    while get_origin(annotation) in (Deferred, Coroutine):
        annotation = get_args(annotation)[-1]
    return annotation

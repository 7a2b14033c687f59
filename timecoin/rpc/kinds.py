"""What a parameter may be: how its JSON value is read, what help calls it, its JSON schema.

A kind is made of a type annotation by :func:`kind_of`: ``str``, ``int``, ``bool``, ``Any``, ``Literal`` texts,
``list[…]``, a ``TypedDict`` (an object with those members), ``… | None``, and ``Annotated[type, Kind(…)]`` for
whatever needs a reader of its own (``arguments`` has the common ones; a module of methods may make others).
A reader gets the decoded JSON value and the parameter's name; it returns what the method is given, raises
:class:`WrongType` (which becomes -3 with the place) or ``RpcError``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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

from timecoin.rpc.errors import INVALID_PARAMETER, TYPE_ERROR, RpcError

Reader = Callable[[Any, str], Any]
Schema = dict[str, Any]

#: The JSON types, as Core's complaints name them.
JSON_TYPES: Final = frozenset(("null", "bool", "number", "string", "array", "object"))


class WrongType(Exception):
    """The JSON value has another type than the parameter."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of parameter.

    ``shown`` is help's word for it, ``accepts`` the JSON types (of ``JSON_TYPES``) that are not answered with
    -3, ``read`` as in the module's docstring. ``items`` is the kind of an array's elements. ``members`` are
    those of an object; they are also named parameters of the method when ``named_only`` is set (Core's options
    objects).
    """

    shown: str
    accepts: frozenset[str]
    read: Reader
    schema: Schema
    members: tuple[Member, ...] = ()
    named_only: bool = False
    items: Kind | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One member of an object that is a parameter."""

    name: str
    kind: Kind
    required: bool


class Options:
    """Marks a ``TypedDict`` parameter whose members callers may also give as named parameters:
    ``Annotated[FundOptions | None, Options]``."""


def json_type(value: object) -> str:
    """What Core calls the type of a decoded JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | Decimal | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def expect(value: object, *expected: str) -> None:
    """Raise :class:`WrongType` unless ``value`` has one of the JSON types ``expected``."""
    if json_type(value) not in expected:
        raise WrongType(f"JSON value of type {json_type(value)} is not of expected type {' or '.join(expected)}")


def read_text(value: Any, name: str) -> str:
    """A string as it is."""
    expect(value, "string")
    return value  # type: ignore[no-any-return]


def read_integer(value: Any, name: str) -> int:
    """A whole number of 64 bits."""
    expect(value, "number")
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise RpcError(TYPE_ERROR, "JSON integer out of range")
    return value


def read_boolean(value: Any, name: str) -> bool:
    """True or false."""
    expect(value, "bool")
    return value  # type: ignore[no-any-return]


TEXT: Final = Kind("string", frozenset({"string"}), read_text, {"type": "string"})
INTEGER: Final = Kind("numeric", frozenset({"number"}), read_integer, {"type": "integer"})
BOOLEAN: Final = Kind("boolean", frozenset({"bool"}), read_boolean, {"type": "boolean"})
ANYTHING: Final = Kind("any JSON value", JSON_TYPES, lambda value, name: value, {})
_PLAIN: Final[dict[object, Kind]] = {str: TEXT, int: INTEGER, bool: BOOLEAN, Any: ANYTHING}


def kind_of(annotation: Any) -> Kind:
    """The kind that a type annotation stands for; TypeError when it stands for none."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(inner[0], inner[1:])
    if origin in (Required, NotRequired):
        return kind_of(inner[0])
    if origin in (Union, UnionType) and len(inner) == 2 and NoneType in inner:
        return kind_of(inner[0] if inner[1] is NoneType else inner[1])
    if origin is Literal:
        return _one_of(inner)
    if origin is list:
        return _array(kind_of(inner[0]))
    if is_typeddict(annotation):
        return _object(annotation)
    raise TypeError(f"{annotation} is no kind of RPC parameter")


def _annotated(plain: Any, extra: tuple[Any, ...]) -> Kind:
    for each in extra:
        if isinstance(each, Kind):
            return each
    return replace(kind_of(plain), named_only=True) if Options in extra else kind_of(plain)


def _one_of(texts: tuple[str, ...]) -> Kind:
    """One of some words, in any case; the method gets it as declared."""
    by_lower = {each.lower(): each for each in texts}
    words = ", ".join(f'"{each}"' for each in texts)

    def read(value: Any, name: str) -> str:
        found = by_lower.get(read_text(value, name).lower())
        if found is None:
            raise RpcError(INVALID_PARAMETER, f"Invalid {name} parameter, must be one of: {words}")
        return found

    return Kind("string", frozenset({"string"}), read, {"type": "string", "enum": list(texts)})


def _array(of: Kind) -> Kind:
    def read(value: Any, name: str) -> list[Any]:
        expect(value, "array")
        return [of.read(each, name) for each in value]

    schema = {"type": "array", "items": of.schema}
    return Kind(f"array of {of.shown}", frozenset({"array"}), read, schema, of.members, items=of)


def required_members(typed: Any) -> frozenset[str]:
    """The members that a ``TypedDict`` demands.

    ``__required_keys__`` alone does not see ``NotRequired`` where annotations are text (PEP 563).
    """
    marks = {name: get_origin(hint) for name, hint in get_type_hints(typed, include_extras=True).items()}
    return frozenset(
        name
        for name, mark in marks.items()
        if mark is Required or (mark is not NotRequired and name in typed.__required_keys__)
    )


def _object(typed: Any) -> Kind:
    """A dict with the members of a ``TypedDict`` that were given; null stands for one left out."""
    hints = get_type_hints(typed, include_extras=True)
    required = required_members(typed)
    members = tuple(Member(name, kind_of(hint), name in required) for name, hint in hints.items())
    by_name = {each.name: each.kind for each in members}

    def read(value: Any, name: str) -> dict[str, Any]:
        expect(value, "object")
        for key in value:
            if key not in by_name:
                raise RpcError(TYPE_ERROR, f"Unexpected key {key[:80]}")
        for each in members:
            if each.required and value.get(each.name) is None:
                raise RpcError(TYPE_ERROR, f"Missing {each.name}")
        return {key: by_name[key].read(given, key) for key, given in value.items() if given is not None}

    schema = {
        "type": "object",
        "properties": {each.name: each.kind.schema for each in members},
        "required": [each.name for each in members if each.required],
        "additionalProperties": False,
    }
    return Kind("json object", frozenset({"object"}), read, schema, members)

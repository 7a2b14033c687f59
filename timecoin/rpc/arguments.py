"""From the JSON parameters of a call to the typed arguments of a method, with Bitcoin Core's complaints.

A method is a function whose annotations are one of the kinds below; ``Parameter.of`` reads them once, when
the table is made.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, get_type_hints

from timecoin.primitives.amounts import AmountError, parse_amount
from timecoin.primitives.hashes import Hash, parse_display
from timecoin.rpc.errors import INVALID_PARAMETER, TYPE_ERROR, RpcError

_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z")
_REQUIRED: Final = inspect.Parameter.empty

#: A hash written as displayed; the method gets wire order.
HashArg = Annotated[bytes, "hash"]
#: Any hex string; the method gets the text, so that it can complain in its own words.
HexArg = Annotated[str, "hex"]
#: 0, 1, 2 or a boolean that stands for 0 or 1.
Verbosity = Annotated[int, "verbosity"]
#: An amount of TIME (number or text); the method gets base units.
AmountArg = Annotated[int, "amount"]
#: A list of hex strings.
HexList = Annotated[list[str], "hexlist"]


class _WrongType(Exception):
    """The JSON value has another type than the parameter."""


def _type_name(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | Decimal | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _wrong(value: object, expected: str) -> _WrongType:
    return _WrongType(f"JSON value of type {_type_name(value)} is not of expected type {expected}")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "string")
    return value


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _wrong(value, "number")
    if isinstance(value, Decimal) or not -(2**63) <= value < 2**63:
        raise RpcError(TYPE_ERROR, "JSON integer out of range")
    return value


def _boolean(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "bool")
    return value


def _hash(value: object, name: str) -> Hash:
    text = _text(value, name)
    if len(text) != 64:
        raise RpcError(INVALID_PARAMETER, f"{name} must be of length 64 (not {len(text)}, for '{text[:80]}')")
    if not _HEX64.match(text):
        raise RpcError(INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text}')")
    return parse_display(text)


def _verbosity(value: object, name: str) -> int:
    return int(value) if isinstance(value, bool) else _integer(value, name)


def _amount(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise RpcError(TYPE_ERROR, "Amount is not a number or string")
    try:
        return parse_amount(value)
    except AmountError:
        raise RpcError(TYPE_ERROR, "Invalid amount") from None


def _hex_list(value: object, name: str) -> list[str]:
    if not isinstance(value, list):
        raise _wrong(value, "array")
    return [_text(each, name) for each in value]


_READERS: Final[dict[object, tuple[Callable[[Any, str], Any], str]]] = {
    str: (_text, "string"),
    int: (_integer, "numeric"),
    bool: (_boolean, "boolean"),
    HashArg: (_hash, "hash"),
    HashArg | None: (_hash, "hash"),
    HexArg: (_text, "hex"),
    Verbosity: (_verbosity, "numeric or boolean"),
    AmountArg: (_amount, "amount"),
    HexList: (_hex_list, "array of hex"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: name, what help calls its type, how to read it, its default or that it is required."""

    name: str
    shown: str
    read: Callable[[Any, str], Any]
    default: object

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is _REQUIRED

    @property
    def is_text(self) -> bool:
        """Whether a command line passes it on as it is written."""
        return self.read in (_text, _hash)

    @classmethod
    def of(cls, function: Callable[..., object]) -> tuple[Parameter, ...]:
        """The parameters of a method after its first one, which is the context."""
        hints = get_type_hints(function, include_extras=True)
        declared = list(inspect.signature(function).parameters.values())[1:]
        return tuple(
            cls(each.name, _READERS[hints[each.name]][1], _READERS[hints[each.name]][0], each.default)
            for each in declared
        )


def bind(parameters: tuple[Parameter, ...], given: list[Any]) -> list[Any]:
    """Arguments from positional parameters, null standing for one left out. Raises ``RpcError`` (-3, -8).

    The caller has checked that there are neither too few nor too many.
    """
    arguments = []
    wrong: dict[str, str] = {}
    for position, parameter in enumerate(parameters):
        value = given[position] if position < len(given) else None
        if value is None and not parameter.required:
            arguments.append(parameter.default)
            continue
        try:
            arguments.append(parameter.read(value, parameter.name))
        except _WrongType as problem:
            wrong[f"Position {position + 1} ({parameter.name})"] = str(problem)
    if wrong:
        lines = ",\n".join(f'    "{place}": "{problem}"' for place, problem in wrong.items())
        raise RpcError(TYPE_ERROR, f"Wrong type passed:\n{{\n{lines}\n}}")
    return arguments


def positional(
    parameters: tuple[Parameter, ...], named: dict[str, Any], aliases: dict[str, str]
) -> list[Any]:
    """Named parameters as positional ones; ``args`` holds leading positional ones (Core's ``-named``)."""
    first = named.get("args", [])
    if not isinstance(first, list):
        raise RpcError(INVALID_PARAMETER, "Parameter args must be an array")
    left: dict[str, Any] = {}
    for name, value in named.items():
        target = aliases.get(name, name)
        if target in left:
            raise RpcError(INVALID_PARAMETER, f"Parameter {name} specified multiple times")
        if name != "args":
            left[target] = value
    for parameter in parameters[: len(first)]:
        if parameter.name in left:
            raise RpcError(
                INVALID_PARAMETER,
                f"Parameter {parameter.name} specified twice both as positional and named argument",
            )
    found = first + [left.pop(parameter.name, None) for parameter in parameters[len(first) :]]
    if left:
        raise RpcError(INVALID_PARAMETER, f"Unknown named parameter {next(iter(left))}")
    while found and found[-1] is None:
        found.pop()
    return found

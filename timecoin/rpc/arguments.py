"""From the JSON parameters of a call to the typed arguments of a method, with Bitcoin Core's complaints.

A method is a function whose annotations stand for kinds (``kinds.kind_of``), among them those below;
``Parameter.of`` reads them once, when the table is made.
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
from timecoin.rpc.kinds import Kind, WrongType, expect, kind_of, read_integer, read_text

_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*\Z")
_REQUIRED: Final = inspect.Parameter.empty
_MAX_SHOWN = 80
_AMOUNT_SCHEMA: Final = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}


def _hash(value: Any, name: str) -> Hash:
    text = read_text(value, name)
    if len(text) != 64:
        raise RpcError(INVALID_PARAMETER, f"{name} must be of length 64 (not {len(text)}, for '{text[:_MAX_SHOWN]}')")
    if not _HEX64.match(text):
        raise RpcError(INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text}')")
    return parse_display(text)


def _bytes(value: Any, name: str) -> bytes:
    text = read_text(value, name)
    if not _HEX.match(text):
        raise RpcError(INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text[:_MAX_SHOWN]}')")
    return bytes.fromhex(text)


def _verbosity(value: Any, name: str) -> int:
    return int(value) if isinstance(value, bool) else read_integer(value, name)


def _amount(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise RpcError(TYPE_ERROR, "Amount is not a number or string")
    try:
        return parse_amount(value)
    except AmountError:
        raise RpcError(TYPE_ERROR, "Invalid amount") from None


def _fee_rate(value: Any, name: str) -> int:
    """Base units per 1,000 vbytes of base units per vbyte with at most three places."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise RpcError(TYPE_ERROR, "Amount is not a number or string")
    try:
        thousandths = parse_amount(value)
    except AmountError:
        raise RpcError(TYPE_ERROR, "Invalid amount") from None
    rate, rest = divmod(thousandths, 10**5)
    if rest:
        raise RpcError(TYPE_ERROR, "Invalid amount")
    return rate


def _outputs(value: Any, name: str) -> list[tuple[str, int | bytes]]:
    """Core's NormalizeOutputs and ParseOutputs, but for the addresses, which only a network can judge."""
    expect(value, "array", "object")
    pairs = list(value.items()) if isinstance(value, dict) else [_pair(each) for each in value]
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            problem = "duplicate key: data" if key == "data" else f"duplicated address: {key[:_MAX_SHOWN]}"
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, {problem}")
        seen.add(key)
    return [(key, _bytes(given, "Data") if key == "data" else _amount(given, key)) for key, given in pairs]


def _pair(value: Any) -> tuple[str, Any]:
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, key-value pair not an object as expected")
    if len(value) != 1:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, key-value pair must contain exactly one key")
    return next(iter(value.items()))


_STRING: Final = frozenset({"string"})
_NUMBER: Final = frozenset({"number"})
_NUMBER_OR_TEXT: Final = _NUMBER | _STRING
_HEX_SCHEMA: Final = {"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"}
_HASH_SCHEMA: Final = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_OUTPUT_SCHEMA: Final = {"type": "object", "additionalProperties": _AMOUNT_SCHEMA}

#: A hash written as displayed; the method gets wire order.
HashArg = Annotated[bytes, Kind("hash", _STRING, _hash, _HASH_SCHEMA)]
#: Any text that should be hex; the method gets the text, so that it can complain in its own words.
HexArg = Annotated[str, Kind("hex", _STRING, read_text, {"type": "string"})]
#: A hex string; the method gets the bytes. Anything else is -8.
BytesArg = Annotated[bytes, Kind("hex", _STRING, _bytes, _HEX_SCHEMA)]
#: 0, 1, 2 or a boolean that stands for 0 or 1.
Verbosity = Annotated[
    int,
    Kind("numeric or boolean", _NUMBER | {"bool"}, _verbosity, {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}),
]
#: An amount of TIME (number or text); the method gets base units.
AmountArg = Annotated[int, Kind("amount", _NUMBER_OR_TEXT, _amount, _AMOUNT_SCHEMA)]
#: A fee rate in base units per vbyte (number or text, three places); the method gets base units per 1,000 vbytes.
FeeRateArg = Annotated[int, Kind("amount", _NUMBER_OR_TEXT, _fee_rate, _AMOUNT_SCHEMA)]
#: Outputs of a transaction to be made: ``[{address: amount}, …]`` or one object of them, ``data`` for hex of a
#: data carrier. The method gets (address, base units) and ("data", bytes) in order; it checks the addresses.
OutputsArg = Annotated[
    list[tuple[str, int | bytes]],
    Kind(
        "json array or object",
        frozenset({"array", "object"}),
        _outputs,
        {"anyOf": [{"type": "array", "items": _OUTPUT_SCHEMA}, _OUTPUT_SCHEMA]},
    ),
]
#: A list of texts that should be hex.
HexList = list[HexArg]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, what it may be, its default or that it is required."""

    name: str
    kind: Kind
    default: object

    @property
    def shown(self) -> str:
        """What help calls its type."""
        return self.kind.shown

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is _REQUIRED

    @property
    def is_text(self) -> bool:
        """Whether a command line passes it on as it is written."""
        return self.kind.accepts == _STRING

    @property
    def named_only(self) -> tuple[str, ...]:
        """The names of its members that are named parameters by themselves."""
        return tuple(each.name for each in self.kind.members) if self.kind.named_only else ()

    @classmethod
    def of(cls, function: Callable[..., object]) -> tuple[Parameter, ...]:
        """The parameters of a method after its first one, which is the context."""
        hints = get_type_hints(function, include_extras=True)
        declared = list(inspect.signature(function).parameters.values())[1:]
        return tuple(cls(each.name, kind_of(hints[each.name]), each.default) for each in declared)


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
            arguments.append(parameter.kind.read(value, parameter.name))
        except WrongType as problem:
            wrong[f"Position {position + 1} ({parameter.name})"] = str(problem)
    if wrong:
        lines = ",\n".join(f'    "{place}": "{problem}"' for place, problem in wrong.items())
        raise RpcError(TYPE_ERROR, f"Wrong type passed:\n{{\n{lines}\n}}")
    return arguments


def positional(parameters: tuple[Parameter, ...], named: dict[str, Any], aliases: dict[str, str]) -> list[Any]:
    """Named parameters as positional ones; ``args`` holds leading positional ones (Core's ``-named``).

    Members of options objects are taken as named parameters, unless a parameter has that name.
    """
    first = named.get("args", [])
    if not isinstance(first, list):
        raise RpcError(INVALID_PARAMETER, "Parameter args must be an array")
    left = _once({name: value for name, value in named.items() if name != "args"}, aliases)
    _gather_options(parameters, left)
    for parameter in parameters[: len(first)]:
        if parameter.name in left:
            raise RpcError(
                INVALID_PARAMETER,
                f"Parameter {parameter.name} specified twice both as positional and named argument",
            )
    found = first + [left.pop(parameter.name, None) for parameter in parameters[len(first) :]]
    if left:
        raise RpcError(INVALID_PARAMETER, f"Unknown named parameter {next(iter(left))[:_MAX_SHOWN]}")
    while found and found[-1] is None:
        found.pop()
    return found


def _once(named: dict[str, Any], aliases: dict[str, str]) -> dict[str, Any]:
    """Older names replaced; an error when both the older and the newer one are there."""
    found: dict[str, Any] = {}
    for name, value in named.items():
        target = aliases.get(name, name)
        if target in found:
            raise RpcError(INVALID_PARAMETER, f"Parameter {name} specified multiple times")
        found[target] = value
    return found


def _gather_options(parameters: tuple[Parameter, ...], named: dict[str, Any]) -> None:
    """Move named-only parameters into the options object that has them as members."""
    taken = {each.name for each in parameters}
    for parameter in parameters:
        given = [name for name in parameter.named_only if name in named and name not in taken]
        if given and named.get(parameter.name) is not None:
            raise RpcError(INVALID_PARAMETER, f"Parameter {parameter.name} conflicts with parameter {given[0]}")
        if given:
            named[parameter.name] = {name: named.pop(name) for name in given}

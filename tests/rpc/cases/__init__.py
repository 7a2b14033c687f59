"""Cases of RPC methods: each module here has a list ``CASES``; ``tests.rpc.test_cases`` runs them all.

A case is one call and what must come back. A success case's answer is also validated against the schema that
the method's return annotation declares. Wrong types are not written as cases: they are made from the kinds of
the parameters (``wrong_types``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import jsonschema
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.rpc.fake_node import FakeNode
from timecoin.rpc.auth import Grant
from timecoin.rpc.caller import NOBODY, Caller
from timecoin.rpc.dispatch import Dispatcher, Reply
from timecoin.rpc.kinds import JSON_TYPES, Kind
from timecoin.rpc.methods import all_methods
from timecoin.rpc.schemas import Schemas
from timecoin.rpc.table import Context, Method

Params = list[Any] | dict[str, Any]

#: A value of each JSON type, for the wrong ones.
SAMPLES: dict[str, Any] = {"bool": True, "number": 7, "string": "x", "array": [], "object": {}, "null": None}


class AnyResult:
    """The default of ``Case.result``: whatever the schema allows."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call.

    ``params``: positional (list) or named (dict), or a function of the node that makes them. ``result``: the
    value (numbers with decimals are ``Decimal``), or a predicate of it, which may also assert. ``error``: the
    code that must come instead, with ``says`` in its message. ``node`` arranges the fake node and ``context``
    the capabilities before the call; ``advance``: seconds of the node's clock that pass after it;
    ``caller``: who calls.
    """

    method: str
    params: Params | Callable[[FakeNode], Params] = ()  # type: ignore[assignment]
    result: Any = AnyResult
    error: int | None = None
    says: str = ""
    node: Callable[[FakeNode], object] | None = None
    context: Callable[[Context], object] | None = None
    advance: float = 0.0
    caller: Caller = NOBODY


def all_cases() -> list[Case]:
    """The cases of all modules beside this one, in a fixed order."""
    names = sorted(each.name for each in iter_modules([str(Path(__file__).parent)]))
    return [case for name in names for case in import_module(f"{__name__}.{name}").CASES]


def run(case: Case) -> None:
    """Make the call; AssertionError when something else than declared comes back."""
    clock = Clock()
    node = FakeNode(clock)
    context = Context(node, all_methods()).of(case.caller)
    if case.node is not None:
        case.node(node)
    if case.context is not None:
        case.context(context)
    params = case.params(node) if callable(case.params) else case.params
    answer = call(clock, context, case.method, params if isinstance(params, dict) else list(params), case.advance)
    if case.error is not None:
        _check_error(case, answer["error"])
        return
    assert answer["error"] is None, (case, answer["error"])
    check_result(context.methods[case.method], answer["result"])
    _check_value(case, answer["result"])


def call(clock: Clock, context: Context, method: str, params: Params, advance: float = 0.0) -> dict[str, Any]:
    """The members ``result`` and ``error`` of the answer to a call."""
    body = json.dumps({"method": method, "params": params, "id": 1}, default=_plain).encode()
    got: list[Reply] = []
    answer = Dispatcher(clock, context).answer(body, Grant(context.caller))
    if isinstance(answer, Deferred):
        answer.addCallback(got.append)
        clock.advance(advance)
    else:
        got.append(answer)
    assert got, f"{method} has not answered"
    found: dict[str, Any] = json.loads(got[0].body, parse_float=Decimal)
    return found


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value))


def _check_error(case: Case, error: dict[str, Any] | None) -> None:
    assert error is not None, f"{case.method} answered, but error {case.error} was due: {case}"
    assert error["code"] == case.error, (case, error)
    assert case.says in error["message"], (case, error)


def _check_value(case: Case, value: Any) -> None:
    if case.result is AnyResult:
        return
    if callable(case.result):
        assert case.result(value) is not False, (case, value)
    else:
        assert value == case.result, (case, value)


def schema_of(method: Method) -> dict[str, Any]:
    """The whole JSON schema of what a method returns. Raises TypeError when its annotation does not tell."""
    schemas = Schemas("#/$defs/")
    return schemas.of_result(method.call) | {"$defs": schemas.named}


def check_result(method: Method, value: Any) -> None:
    """Validate an answer against the declared schema, once the method declares one."""
    try:
        schema = schema_of(method)
    except TypeError:
        return
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)


def wrong_types(kind: Kind) -> Iterator[Any]:
    """A value of each JSON type that the kind does not take; in a required place null is one, too."""
    for name in sorted(JSON_TYPES - kind.accepts):
        yield SAMPLES[name]

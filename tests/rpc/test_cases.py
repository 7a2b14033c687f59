"""Every RPC method: a success, each documented error, wrong types, and a docstring that tells everything."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.cases import all_cases, call, run, schema_of, wrong_types
from tests.rpc.fake_node import FakeNode
from timecoin.rpc.arguments import Parameter, bind
from timecoin.rpc.errors import IN_WARMUP, METHOD_NOT_FOUND, MISC_ERROR, TYPE_ERROR, RpcError
from timecoin.rpc.methods import all_methods
from timecoin.rpc.table import Context, Method

METHODS = all_methods()

#: Methods of Core that are there to say why they are not possible here.
NEVER_SUCCEED = {"bumpfee"}

#: Codes that any method may answer, documented for all of them together.
_COMMON = {MISC_ERROR, TYPE_ERROR, METHOD_NOT_FOUND, IN_WARMUP}


class CaseTests(SynchronousTestCase):
    """One test runs the cases of one method, so that a failure names it."""


def _add(name: str) -> None:
    def test(self: CaseTests) -> None:
        for case in all_cases():
            if case.method == name:
                run(case)

    setattr(CaseTests, f"test_{name}", test)


for _name in METHODS:
    _add(_name)


class CompletenessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cases = all_cases()

    def methods(self) -> list[Method]:
        return [each for _, each in sorted(METHODS.items())]

    def test_cases_are_of_methods(self) -> None:
        self.assertEqual({each.method for each in self.cases} - set(METHODS), set())

    def test_every_method_has_a_success(self) -> None:
        done = {each.method for each in self.cases if each.error is None} | NEVER_SUCCEED
        self.assertEqual([each.name for each in self.methods() if each.name not in done], [])

    def test_every_documented_error_is_shown(self) -> None:
        shown = {(each.method, each.error) for each in self.cases}
        wanted = {(each.name, code) for each in self.methods() for code, _ in each.said.errors}
        self.assertEqual(sorted(wanted - shown), [])

    def test_every_error_shown_is_documented(self) -> None:
        documented = {(each.name, code) for each in self.methods() for code, _ in each.said.errors}
        shown = {
            (each.method, each.error) for each in self.cases if each.error is not None and each.error not in _COMMON
        }
        self.assertEqual(sorted(shown - documented), [])

    def test_every_docstring_tells_everything(self) -> None:
        missing = [(each.name, problem) for each in self.methods() for problem in _gaps(each)]
        self.assertEqual(missing, [])


def _gaps(method: Method) -> list[str]:
    """What the docstring and annotations of a method leave out."""
    said = method.said
    known = {each.name for each in method.parameters}
    members = {f"{each.name}.{member.name}" for each in method.parameters for member in each.kind.members}
    found = [f"no :param {name}:" for name in sorted(known - set(said.parameters))]
    found += [f":param {name}: is no parameter" for name in sorted(set(said.parameters) - known - members)]
    if not said.summary.endswith("."):
        found.append("no sentence at the beginning")
    if not said.returns:
        found.append("no :returns:")
    try:
        schema_of(method)
    except TypeError as problem:
        found.append(str(problem))
    return found


class WrongTypeTests(SynchronousTestCase):
    """Made from the kinds of parameters: a JSON value of another type is answered with -3."""

    def test_every_parameter(self) -> None:
        for name, method in METHODS.items():
            for each in method.parameters:
                for parameter in _and_inner(each):
                    for value in wrong_types(parameter.kind):
                        if value is not None or parameter.required:
                            with self.assertRaises(RpcError, msg=(name, parameter.name, value)) as caught:
                                bind((parameter,), [value])
                            self.assertEqual(caught.exception.code, TYPE_ERROR, (name, parameter.name, value))

    def test_it_reaches_the_caller(self) -> None:
        clock = Clock()
        context = Context(FakeNode(clock), METHODS)
        for name, method in METHODS.items():
            wrong = [next(wrong_types(each.kind), None) for each in method.parameters[:1]]
            if wrong and wrong[0] is not None and sum(each.required for each in method.parameters) < 2:
                self.assertEqual(call(clock, context, name, wrong)["error"]["code"], TYPE_ERROR, name)


def _and_inner(parameter: Parameter) -> Iterator[Parameter]:
    """The parameter, the elements of its array, the members of its object, as required parameters."""
    yield parameter
    kind = parameter.kind
    inner = [("element", kind.items)] if kind.items else [(each.name, each.kind) for each in kind.members]
    for name, each in inner:
        yield from _and_inner(Parameter(f"{parameter.name}.{name}", each, inspect.Parameter.empty))

"""The Python console behind a manhole session: one command in, bounded text and a status out.

A command is what a person types: statements, and a last expression whose value is shown. ``await`` is allowed at the
top; a value that is a Deferred or a coroutine is awaited. Every step runs under a
:class:`~timecoin.ops.manhole_watch.Watch`.
"""

from __future__ import annotations

import ast
import codeop
import inspect
import io
import pprint
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from timecoin.ops.manhole_mistake import Mistake
from timecoin.ops.manhole_watch import CommandStopped, Watch, shielded

T = TypeVar("T")
MAX_SOURCE = 65_536
"""Characters of one command."""
MAX_OUTPUT = 262_144
"""Characters that one command may print."""
_NAME = "<manhole>"
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_TRACEBACK_FRAMES = 20

OK, FAILED, NOT_PYTHON, STOPPED = 0, 1, 2, 124
"""Exit statuses: as of python and, for what took too long, of timeout(1)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit status, one word for the log, and whether it asked to end the session."""

    status: int
    word: str
    leave: bool = False


class Refused(Exception):
    """A command tried what would end the node."""


class _Printer(io.TextIOBase):
    """What ``print`` writes to while a command runs: bounded, and only for the command's own thread."""

    def __init__(self, write: Callable[[str], None], limit: int) -> None:
        self._write, self._left = write, limit
        self._thread = threading.get_ident()
        self._original = sys.stdout

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self._original.write(text)
        if self._left > 0:
            shown = text[: self._left]
            if len(text) > self._left:
                shown += "\n[cut: that was too much output]\n"
            # An alarm within would leave connection and reactor half-way.
            shielded(partial(self._write, shown))
        self._left -= len(text)
        return len(text)


class Console:
    """Runs commands in one namespace; ``width`` is the terminal's, in columns."""

    def __init__(self, namespace: dict[str, Any], watch: Watch, reactor: Any) -> None:
        # Python's own exit() closes standard input first, and that is how a supervisor holds the node.
        self.namespace = {"exit": _Leave(), "quit": _Leave(), **namespace}
        self.width = 100
        self._watch = watch
        self._reactor = reactor
        self._lines: list[str] = []
        self._complete = codeop.CommandCompiler()
        self._complete.compiler.flags |= _AWAIT

    @property
    def in_the_middle(self) -> bool:
        """Whether a command of several lines is incomplete."""
        return bool(self._lines)

    def forget(self) -> None:
        """Drop the lines of an incomplete command."""
        self._lines.clear()

    def limited(self, work: Callable[[], T]) -> T:
        """The result of ``work``, under the watch. Raises ``CommandStopped``."""
        return self._watch.run(work)

    def push(self, line: str) -> str | None:
        """Take a line; the whole command once it is complete (or wrong for good), None while it is not."""
        self._lines.append(line)
        source = "\n".join(self._lines)
        if len(source) <= MAX_SOURCE and self._is_incomplete(source):
            return None
        self._lines.clear()
        return source

    def _is_incomplete(self, source: str) -> bool:
        try:
            return self._watch.run(lambda: self._complete(source, _NAME, "single")) is None
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError, CommandStopped):
            return False

    def run(self, source: str, write: Callable[[str], None]) -> Deferred[Outcome]:
        """Run a command, writing what it shows; never fails. It is given up when the Deferred is cancelled."""
        printer = _Printer(write, MAX_OUTPUT)
        return Deferred.fromCoroutine(self._run(source, printer))

    async def _run(self, source: str, printer: _Printer) -> Outcome:
        driven = Deferred.fromCoroutine(self._guarded(self._evaluate(source, printer), printer))
        try:
            await driven
        except CommandStopped:
            printer.write(f"stopped: it held the node for more than {self._watch.limit:g} s\n")
            return Outcome(STOPPED, "stopped")
        except SystemExit as wish:
            return Outcome(_exit_status(wish.code), "left", leave=True)
        except BaseException as problem:
            return self._tell(problem, printer)
        return Outcome(OK, "ok")

    def _tell(self, problem: BaseException, printer: _Printer) -> Outcome:
        try:
            text = self._watch.run(lambda: _explain(problem))
        except BaseException:
            text = f"{type(problem).__name__} (it cannot be shown)\n"
        printer.write(text)
        wrong = isinstance(problem, SyntaxError) and problem.filename == _NAME
        return Outcome(NOT_PYTHON if wrong else FAILED, type(problem).__name__)

    async def _evaluate(self, source: str, printer: _Printer) -> None:
        if len(source) > MAX_SOURCE:
            raise ValueError(f"a command may have {MAX_SOURCE} characters")
        statements, expression = _compile(source)
        for each in (statements, expression):
            value = eval(each, self.namespace)
            if each.co_flags & inspect.CO_COROUTINE:
                value = await value
        if inspect.iscoroutine(value) or isinstance(value, Deferred):
            value = await value
        if value is not None:
            self.namespace["_"] = value
            printer.write(self._shown(value) + "\n")

    def _shown(self, value: object) -> str:
        return repr(value) if isinstance(value, str | bytes) else pprint.pformat(value, width=self.width)

    def _guarded(
        self, work: Coroutine[Deferred[Any], Any, None], printer: _Printer
    ) -> Generator[Deferred[Any], Any, None]:
        """Drive a coroutine, each step under the watch and with ``print`` and reactor as a command finds them."""
        step: Callable[[], Deferred[Any]] = partial(work.send, None)
        while True:
            try:
                with ExitStack() as around:
                    around.enter_context(redirect_stdout(printer))
                    around.enter_context(_lasting(self._reactor))
                    wanted = self._watch.run(step)
            except StopIteration:
                return
            try:
                result = yield wanted
            except GeneratorExit:
                work.close()
                raise
            except BaseException as problem:
                step = partial(work.throw, problem)
            else:
                step = partial(work.send, result)


def _compile(source: str) -> tuple[CodeType, CodeType]:
    """The statements but for a last expression, and that one (``None`` when there is none)."""
    tree = compile(source, _NAME, "exec", ast.PyCF_ONLY_AST | _AWAIT)
    last: ast.expr = ast.Constant(None)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body.pop().value
    expression = ast.fix_missing_locations(ast.Expression(last))
    return compile(tree, _NAME, "exec", _AWAIT), compile(expression, _NAME, "eval", _AWAIT)


def _explain(problem: BaseException) -> str:
    if isinstance(problem, Mistake):
        return f"{problem}\n"
    told = traceback.TracebackException.from_exception(problem, limit=-_TRACEBACK_FRAMES, compact=True)
    inner = [index for index, frame in enumerate(told.stack) if frame.filename == _NAME]
    if inner:
        del told.stack[: inner[0]]
    elif isinstance(problem, SyntaxError):
        told.stack.clear()
    return "".join(told.format())


class _Leave:
    """Leave the shell; the node goes on."""

    def __call__(self, status: object = None) -> None:
        raise SystemExit(status)

    def __repr__(self) -> str:
        return "exit() or Ctrl-D leaves the shell; the node goes on"


def _exit_status(code: object) -> int:
    if code is None:
        return OK
    return code & 0xFF if isinstance(code, int) else FAILED


@contextmanager
def _lasting(reactor: Any) -> Generator[None, None, None]:
    """While a command runs, ``reactor.stop()`` and ``crash()`` are refused: leaving the shell ends no node."""

    def refuse() -> None:
        raise Refused("this would end the node; `timecoin rpc stop` does it")

    names = ("stop", "crash")
    before = {name: vars(reactor)[name] for name in names if name in vars(reactor)}
    for name in names:
        setattr(reactor, name, refuse)
    try:
        yield
    finally:
        for name in names:
            if name in before:
                setattr(reactor, name, before[name])
            else:
                delattr(reactor, name)

"""The table of RPC methods: what a name stands for, how it is called, what help says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from timecoin.rpc.arguments import Parameter, bind, positional
from timecoin.rpc.errors import IN_WARMUP, METHOD_NOT_FOUND, MISC_ERROR, RpcError
from timecoin.rpc.facade import NodeFacade

#: What a method returns: a value that msgspec can encode, or something to await for it.
Answer: TypeAlias = Any


@dataclass(slots=True)
class Active:
    """A call under way: its method and when it began (milliseconds since the Unix epoch)."""

    method: str
    since_ms: int


@dataclass(slots=True)
class Context:
    """What every method gets first: the node, the table itself, and the calls that wait for something."""

    node: NodeFacade
    methods: dict[str, Method]
    active: dict[int, Active] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """One method. ``while_starting``: it answers before the node is ready."""

    name: str
    category: str
    call: Callable[..., Answer | Deferred[Answer] | Coroutine[Deferred[Any], Any, Answer]]
    parameters: tuple[Parameter, ...]
    aliases: dict[str, str]
    while_starting: bool

    @property
    def usage(self) -> str:
        """``name param ( optional )``, as Core prints it."""
        words = [self.name]
        for each in self.parameters:
            words.append(each.name if each.required else f"( {each.name} )")
        return " ".join(words)

    @property
    def text(self) -> str:
        """The help of the method: usage, explanation, types of its parameters."""
        lines = [
            f"{n}. {each.name} ({each.shown}{', required' if each.required else f', default={each.default}'})"
            for n, each in enumerate(self.parameters, 1)
        ]
        arguments = "\n\nArguments:\n" + "\n".join(lines) if lines else ""
        return f"{self.usage}\n\n{inspect.getdoc(self.call)}{arguments}\n"

    def invoke(self, context: Context, params: list[Any] | dict[str, Any]) -> Answer:
        """Check the parameters and call; the answer may have to be awaited. Raises ``RpcError``."""
        given = positional(self.parameters, params, self.aliases) if isinstance(params, dict) else params
        if len(given) > len(self.parameters) or any(each.required for each in self.parameters[len(given) :]):
            raise RpcError(MISC_ERROR, self.text)
        if not self.while_starting and (reason := context.node.warming_up()) is not None:
            raise RpcError(IN_WARMUP, reason)
        return self.call(context, *bind(self.parameters, given))


def method(
    category: str,
    call: Callable[..., Answer],
    *,
    name: str = "",
    while_starting: bool = False,
    aliases: dict[str, str] | None = None,
) -> Method:
    """Make a method of a function with annotated parameters; ``aliases`` are older names of parameters."""
    return Method(name or call.__name__, category, call, Parameter.of(call), aliases or {}, while_starting)


def make_table(groups: Iterable[Iterable[Method]]) -> dict[str, Method]:
    """All methods by name; a name may be there once."""
    table: dict[str, Method] = {}
    for group in groups:
        for each in group:
            assert each.name not in table, each.name
            table[each.name] = each
    return table


def find(methods: dict[str, Method], name: str) -> Method:
    """The method of that name, or ``RpcError`` -32601."""
    found = methods.get(name)
    if found is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    return found

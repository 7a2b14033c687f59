"""The table of RPC methods: what a name stands for, how it is called, what help says."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred

from timecoin.rpc import help
from timecoin.rpc.arguments import Parameter, bind, positional
from timecoin.rpc.caller import NOBODY, Caller
from timecoin.rpc.docstrings import Described, describe
from timecoin.rpc.errors import IN_WARMUP, METHOD_NOT_FOUND, MISC_ERROR, RpcError
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.face_addresses import Addresses
from timecoin.rpc.face_insight import Insight
from timecoin.rpc.face_network import Connections
from timecoin.rpc.face_operator import Operator
from timecoin.rpc.face_proofs import Proofs
from timecoin.rpc.face_scans import Scans
from timecoin.rpc.face_settings import SettingsTree
from timecoin.rpc.face_wallet import Wallets
from timecoin.rpc.pacing import write_paced
from timecoin.rpc.schemas import Schemas

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: What a method returns: a value that msgspec can encode, or something to await for it.
Answer: TypeAlias = Any


@dataclass(slots=True)
class Active:
    """A call under way: its method, when it began and when it is cut (milliseconds since the Unix epoch), and
    what it waits for; ``is_late`` once it was cut."""

    method: str
    since_ms: int
    until_ms: int | None
    waiting: Deferred[Any]
    is_late: bool = False


def _at_once(work: Iterable[Any]) -> Deferred[list[Any]]:
    return maybeDeferred(list, work)


@dataclass
class Context:
    """What every method gets first: the node, who calls, the table itself, and the calls that wait.

    What a node may do besides (wallets, a feed, …) stands in fields of its own, None where it is off; their
    protocols are the modules ``face_*``. A method of one that is off answers -32601, or Core's code.
    """

    node: NodeFacade
    methods: dict[str, Method]
    active: dict[int, Active] = field(default_factory=dict)
    caller: Caller = NOBODY
    #: Calls a function, in a thread where the node has threads: for what takes over a few milliseconds.
    in_thread: Callable[..., Deferred[Any]] = maybeDeferred
    #: Collects what an iterator yields, in slices of a few milliseconds of the reactor.
    slices: Callable[[Iterable[Any]], Deferred[list[Any]]] = _at_once

    #: The file that the node logs to; empty when it logs elsewhere.
    log_path: Callable[[], str] = str

    addresses: Addresses | None = None
    insight: Insight | None = None
    network: Connections | None = None
    operator: Operator | None = None
    proofs: Proofs | None = None
    scans: Scans | None = None
    settings: SettingsTree | None = None
    wallets: Wallets | None = None

    def of(self, caller: Caller) -> Context:
        """The same for one caller; ``active`` and the rest are shared."""
        fresh = object.__new__(Context)
        fresh.__dict__.update(self.__dict__)
        fresh.caller = caller
        return fresh

    def aside(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """``in_thread`` with its types kept: ``await context.aside(derive, words)``."""
        return self.in_thread(function, *args, **kwargs)

    def sliced(self, work: Iterable[_T]) -> Deferred[list[_T]]:
        """``slices`` with its types kept: ``await context.sliced(show(tx) for tx in block.transactions)``."""
        return self.slices(work)

    def written(self, items: Iterable[_T]) -> Deferred[list[_T]]:
        """The JSON array of a long list in a result, each item made and written in a thread at a gentle pace:
        ``{**block, "tx": await context.written(show(tx) for tx in transactions)}``.

        The items must be made by functions that read nothing that changes. Awaited is JSON text, not a list.
        """
        return cast("Deferred[list[_T]]", write_paced(self.in_thread, items))


@dataclass(frozen=True, slots=True)
class Method:
    """One method. ``while_starting``: it answers before the node is ready.

    ``cost`` is what a call takes of the node's time in units of some milliseconds of the reactor, or a function
    of the method's arguments after the context that tells it; 1 is the usual, light call. The server bounds the
    costs of heavy ones under way (``dispatch.Bounds.cost`` at a time) and writes their answers out in slices.
    ``waits``: a call may take as long as it takes, because it waits for something to happen.
    """

    name: str
    category: str
    call: Callable[..., Answer | Deferred[Answer] | Coroutine[Deferred[Any], Any, Answer]]
    parameters: tuple[Parameter, ...]
    aliases: dict[str, str]
    while_starting: bool
    cost: int | Callable[..., int] = 1
    waits: bool = False

    @property
    def usage(self) -> str:
        """``name "text" ( optional )``, as Core prints it."""
        return help.usage(self.name, self.parameters)

    @property
    def said(self) -> Described:
        """What the docstring says."""
        return describe(self.call)

    @property
    def text(self) -> str:
        """The help of the method: usage, explanation, parameters, result, errors."""
        schemas = Schemas()
        try:
            result = schemas.of_result(self.call)
        except TypeError:
            result = {}
        return help.full(self.name, self.parameters, self.said, result, schemas.named)

    @property
    def is_heavy(self) -> bool:
        """Whether some call of it costs more than the usual."""
        return self.cost != 1

    def cost_of(self, arguments: list[Any]) -> int:
        """What the call with these arguments costs."""
        return self.cost(*arguments) if callable(self.cost) else self.cost

    def arguments(self, context: Context, params: list[Any] | dict[str, Any]) -> list[Any]:
        """The arguments of a call after the context. Raises ``RpcError``: -1 with the help when there are too
        few or too many, -3 and -8 for wrong ones, -28 while the node starts."""
        given = positional(self.parameters, params, self.aliases) if isinstance(params, dict) else params
        if len(given) > len(self.parameters) or any(each.required for each in self.parameters[len(given) :]):
            raise RpcError(MISC_ERROR, self.text)
        if not self.while_starting and (reason := context.node.warming_up()) is not None:
            raise RpcError(IN_WARMUP, reason)
        return bind(self.parameters, given)


def method(
    category: str,
    call: Callable[..., Answer],
    *,
    name: str = "",
    while_starting: bool = False,
    aliases: dict[str, str] | None = None,
    cost: int | Callable[..., int] = 1,
    waits: bool = False,
) -> Method:
    """Make a method of a function with annotated parameters; ``aliases`` are older names of parameters.

    ``cost`` and ``waits`` as in :class:`Method`.
    """
    parameters = Parameter.of(call)
    return Method(name or call.__name__, category, call, parameters, aliases or {}, while_starting, cost, waits)


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

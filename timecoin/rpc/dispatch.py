"""From the body of a request to the body of its answer: JSON-RPC 1.1 as Bitcoin Core speaks it, and 2.0.

Which HTTP status goes with which error, the members of answers and the treatment of notifications follow
Core's src/httprpc.cpp and src/rpc/request.cpp (version 28). Calls of a batch are answered in order and begun
in order; those of one method in a row run side by side, so that a thousand submissions share their waiting.
Heavy calls (``Method.cost`` above 1) share a :class:`Budget`, one at a time of each request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutine
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.rpc import codec, errors
from timecoin.rpc.auth import Grant
from timecoin.rpc.budget import Budget
from timecoin.rpc.caller import NOBODY
from timecoin.rpc.codec import Encoded
from timecoin.rpc.errors import RpcError
from timecoin.rpc.table import Active, Context, Method, find

_CALLS_PER_TICK, _SECONDS_PER_TICK = 50, 0.005
_ANYBODY = Grant(NOBODY)
_HTTP_STATUS = {errors.INVALID_REQUEST: 400, errors.METHOD_NOT_FOUND: 404}


_BUSY_BODY = b"Work queue depth exceeded"


class Reply(NamedTuple):
    """An HTTP status and the body that goes with it."""

    status: int
    body: bytes


@dataclass(slots=True)
class Call:
    """One call of a request. ``modern``: it is JSON-RPC 2.0; ``silent``: a notification, never answered."""

    id: Any = None
    modern: bool = False
    silent: bool = False
    method: str = ""
    params: Any = ()

    def parse(self, request: Any) -> None:
        """Read a request object; ``id`` comes first, so that complaints about the rest carry it."""
        if not isinstance(request, dict):
            raise RpcError(errors.INVALID_REQUEST, "Invalid Request object")
        self.id = request.get("id")
        self.modern = _is_modern(request.get("jsonrpc"))
        self.silent = self.modern and "id" not in request
        name, params = request.get("method"), request.get("params")
        if name is None:
            raise RpcError(errors.INVALID_REQUEST, "Missing method")
        if not isinstance(name, str):
            raise RpcError(errors.INVALID_REQUEST, "Method must be a string")
        if params is not None and not isinstance(params, list | dict):
            raise RpcError(errors.INVALID_REQUEST, "Params must be an array or object")
        self.method, self.params = name, [] if params is None else params

    def result(self, value: Any, end: bytes = b"") -> bytes:
        """The answer that carries ``value``, and ``end``."""
        before, after = (
            (b'{"jsonrpc":"2.0","result":', b',"id":%b}') if self.modern else (b'{"result":', b',"error":null,"id":%b}')
        )
        after %= codec.encode(self.id)
        if isinstance(value, Encoded):
            return b"".join((before, *value.pieces, after, end))
        return b"".join((before, codec.encode(value), after, end))

    def error(self, problem: RpcError) -> bytes:
        """The answer that carries an error."""
        shown = codec.encode({"code": problem.code, "message": problem.message})
        if self.modern:
            return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (shown, codec.encode(self.id))
        return b'{"result":null,"error":%b,"id":%b}' % (shown, codec.encode(self.id))


def _is_modern(version: Any) -> bool:
    if version is None or version == "1.0" or version == "1.1":
        return False
    if not isinstance(version, str):
        raise RpcError(errors.INVALID_REQUEST, "jsonrpc field must be a string")
    if version != "2.0":
        raise RpcError(errors.INVALID_REQUEST, "JSON-RPC version not supported")
    return True


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on the work of calls.

    ``batch`` calls in one request; ``cost`` units of heavy work at a time and ``queue`` requests that may wait
    for it; ``active`` light calls that wait for something, at a time; ``answer_bytes`` of the answers to a batch
    together; ``seconds`` for a call that does not wait by its nature.
    """

    batch: int = 1000
    cost: int = 100
    queue: int = 64
    active: int = 20_000
    answer_bytes: int = 256 << 20
    seconds: float = 60.0


class Dispatcher:
    """Answers request bodies with the methods of ``context``, within ``bounds``."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, context: Context, bounds: Bounds | None = None) -> None:
        self._clock = clock
        self._context = context
        self.bounds = bounds or Bounds()
        self._budget = Budget(self.bounds.cost, self.bounds.queue)
        self._serial = 0

    def answer(self, body: bytes, grant: Grant = _ANYBODY) -> Reply | Deferred[Reply]:
        """The reply to a request body, at once where no call has to wait. Neither raises nor fails.

        Cancelling the Deferred gives up what the call waits for.
        """
        if codec.has_many_values(body):
            return Reply(413, b"The request holds too many values")
        try:
            request = codec.decode(body)
        except ValueError:
            return _failed(Call(), RpcError(errors.PARSE_ERROR, "Parse error"))
        if grant.methods is not None and _is_forbidden(request, grant):
            return Reply(403, b"")
        context = self._context.of(grant.caller)
        if isinstance(request, dict):
            return self._single(context, request)
        if not isinstance(request, list):
            return _failed(Call(), RpcError(errors.PARSE_ERROR, "Top-level object parse error"))
        if len(request) > self.bounds.batch:
            problem = f"a batch of {len(request)} calls is above the limit of {self.bounds.batch}"
            return _failed(Call(), RpcError(errors.INVALID_REQUEST, problem))
        if self._is_busy(len(request), any(map(self._is_heavy_request, request))):
            return Reply(503, _BUSY_BODY)
        return self._begin_batch(context, request)

    def cut_late(self) -> None:
        """End the calls whose time is over; to be called every second or so."""
        now = self._context.node.now_ms()
        late = [each for each in self._context.active.values() if each.until_ms is not None and each.until_ms < now]
        for each in late:
            each.is_late = True
            each.waiting.cancel()

    def _is_busy(self, calls: int, heavy: bool) -> bool:
        if heavy and self._budget.is_full:
            return True
        active = len(self._context.active)
        return active > 0 and active + calls > self.bounds.active

    def _is_heavy_request(self, request: Any) -> bool:
        name = request.get("method") if isinstance(request, dict) else None
        method = self._context.methods.get(name) if isinstance(name, str) else None
        return method is not None and method.is_heavy

    def _single(self, context: Context, request: dict[str, Any]) -> Reply | Deferred[Reply]:
        call = Call()
        try:
            call.parse(request)
            method = find(context.methods, call.method)
            if self._is_busy(1, method.is_heavy):
                return Reply(503, _BUSY_BODY)
            value = self._begin(context, method, call.params)
            if isinstance(value, Deferred):
                return value.addCallbacks(_succeeded, self._failure, callbackArgs=(call,), errbackArgs=(call,))
            return _succeeded(value, call)
        except Exception:
            return self._failure(Failure(), call)

    def _begin(self, context: Context, method: Method, params: Any) -> Any:
        """Start a call; a Deferred when it has to wait."""
        arguments = method.arguments(context, params)
        if method.is_heavy:
            value: Any = self._heavy(context, method, arguments)
        else:
            value = method.call(context, *arguments)
        if iscoroutine(value):
            value = Deferred.fromCoroutine(value)
        if isinstance(value, Deferred) and not value.called:
            self._note(method, value)
        return value

    async def _heavy(self, context: Context, method: Method, arguments: list[Any]) -> Encoded:
        """The answer of a heavy call, written out while it still counts."""
        cost = method.cost_of(arguments)
        await self._budget.take(context.caller.account, cost)
        try:
            value = method.call(context, *arguments)
            if iscoroutine(value) or isinstance(value, Deferred):
                value = await value
            return Encoded(await context.sliced(codec.pieces(value)))
        finally:
            self._budget.free(cost)

    def _note(self, method: Method, waiting: Deferred[Any]) -> None:
        """Keep the call among the active ones until it is answered."""
        self._serial += 1
        serial, active, now = self._serial, self._context.active, self._context.node.now_ms()
        until = None if method.waits else now + int(self.bounds.seconds * 1000)
        noted = active[serial] = Active(method.name, now, until, waiting)

        def forget(result: Any) -> Any:
            del active[serial]
            if noted.is_late and isinstance(result, Failure) and result.check(CancelledError):
                raise RpcError(errors.MISC_ERROR, f"{method.name} took longer than {self.bounds.seconds:g} seconds")
            return result

        waiting.addBoth(forget)

    def _failure(self, failure: Failure, call: Call) -> Reply:
        return _failed(call, self._error_of(failure))

    def _error_of(self, failure: Failure) -> RpcError:
        assert failure.value is not None
        problem = errors.from_exception(failure.value)
        if problem is not None:
            return problem
        if not isinstance(failure.value, CancelledError):
            self._log.failure("an RPC method failed", failure)
        return RpcError(errors.MISC_ERROR, f"Internal error: {type(failure.value).__name__}")

    def _begin_batch(self, context: Context, requests: list[Any]) -> Deferred[Reply]:
        answers = _Answers(self.bounds.answer_bytes, self._error_of)
        begun: list[tuple[Call, Any]] = []
        work = Deferred.fromCoroutine(self._batch(context, requests, answers, begun))

        def give_up(reply: Deferred[Reply]) -> None:
            answers.given_up = True
            for _, value in begun:
                if isinstance(value, Deferred):
                    value.addErrback(lambda _: None).cancel()
            work.cancel()
            reply.callback(Reply(503, b""))

        def tell(result: Any) -> None:
            if not answers.given_up:
                reply.callback(result)

        reply: Deferred[Reply] = Deferred(give_up)
        work.addBoth(tell)
        return reply

    async def _batch(
        self, context: Context, requests: list[Any], answers: _Answers, begun: list[tuple[Call, Any]]
    ) -> Reply:
        calls = [Call() for _ in requests]
        pace = _Pace(self._clock)
        for call, request in zip(calls, requests, strict=True):
            if pace.is_over():
                await pace.pause()
            try:
                call.parse(request)
                if begun and begun[0][0].method != call.method:
                    await answers.collect(begun)
                if answers.is_full:
                    raise RpcError(errors.MISC_ERROR, "The answers to this batch are too large together")
                method = find(context.methods, call.method)
                begun.append((call, self._begin(context, method, call.params)))
                if method.is_heavy:
                    await answers.collect(begun)
            except Exception:
                if answers.given_up:
                    raise
                begun.append((call, self._error_of(Failure())))
        await answers.collect(begun)
        if requests and not answers.shown:
            return Reply(204, b"")
        return Reply(200, b"".join((b"[", b",".join(answers.shown), b"]\n")))


class _Pace:
    """Tells when a batch should let others have the reactor: after some calls or some milliseconds."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls = 0
        self._since = clock.seconds()

    def is_over(self) -> bool:
        """Whether to pause before the next call."""
        self._calls += 1
        return self._calls > _CALLS_PER_TICK or self._clock.seconds() - self._since > _SECONDS_PER_TICK

    def pause(self) -> Deferred[None]:
        """Others' turn."""

        def again() -> None:
            self._calls, self._since = 1, self._clock.seconds()

        return deferLater(self._clock, 0, again)


class _Answers:
    """The answers to a batch so far; full when they are ``limit`` bytes together. ``given_up``: nobody waits for it."""

    def __init__(self, limit: int, error_of: Callable[[Failure], RpcError]) -> None:
        self.shown: list[bytes] = []
        self.given_up = False
        self._limit = limit
        self._bytes = 0
        self._error_of = error_of

    @property
    def is_full(self) -> bool:
        """Whether no more calls may be begun."""
        return self._bytes > self._limit

    async def collect(self, begun: list[tuple[Call, Any]]) -> None:
        """Wait for calls that were begun and add their answers."""
        for call, value in begun:
            try:
                shown = call.error(value) if isinstance(value, RpcError) else call.result(await _value(value))
            except Exception:
                if self.given_up:
                    raise
                shown = call.error(self._error_of(Failure()))
            if not call.silent:
                self.shown.append(shown)
                self._bytes += len(shown)
        begun.clear()


def _is_forbidden(request: Any, grant: Grant) -> bool:
    """Whether a white list keeps the caller from any of the calls; Core refuses the whole request then."""
    calls = request if isinstance(request, list) else [request]
    return any(grant.forbids(call.get("method")) for call in calls if isinstance(call, dict))


async def _value(value: Any) -> Any:
    return await value if isinstance(value, Deferred) else value


def _succeeded(value: Any, call: Call) -> Reply:
    return Reply(204, b"") if call.silent else Reply(200, call.result(value, b"\n"))


def _failed(call: Call, problem: RpcError) -> Reply:
    """The HTTP status tells of the error to 1.1 callers; 2.0 callers get 200 and read it."""
    if call.silent:
        return Reply(204, b"")
    status = 200 if call.modern else _HTTP_STATUS.get(problem.code, 500)
    return Reply(status, call.error(problem) + b"\n")

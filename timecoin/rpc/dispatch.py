"""From the body of a request to the body of its answer: JSON-RPC 1.1 as Bitcoin Core speaks it, and 2.0.

Which HTTP status goes with which error, the members of answers and the treatment of notifications follow
Core's src/httprpc.cpp and src/rpc/request.cpp (version 28). Calls of a batch are answered in order and begun
in order; those of one method in a row run side by side, so that a thousand submissions share their waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import iscoroutine
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.rpc import codec, errors
from timecoin.rpc.errors import RpcError
from timecoin.rpc.table import Active, Context, find

_CALLS_PER_TICK = 50
_HTTP_STATUS = {errors.INVALID_REQUEST: 400, errors.METHOD_NOT_FOUND: 404}


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

    def result(self, value: Any) -> bytes:
        """The answer that carries ``value``."""
        if self.modern:
            return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (codec.encode(value), codec.encode(self.id))
        return b'{"result":%b,"error":null,"id":%b}' % (codec.encode(value), codec.encode(self.id))

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


class Dispatcher:
    """Answers request bodies with the methods of ``context``; at most ``max_batch`` calls at a time."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, context: Context, max_batch: int = 1000) -> None:
        self._clock = clock
        self._context = context
        self._max_batch = max_batch
        self._serial = 0

    def answer(self, body: bytes) -> Reply | Deferred[Reply]:
        """The reply to a request body, at once where no call has to wait. Neither raises nor fails.

        Cancelling the Deferred gives up what the call waits for.
        """
        try:
            request = codec.decode(body)
        except ValueError:
            return _failed(Call(), RpcError(errors.PARSE_ERROR, "Parse error"))
        if isinstance(request, dict):
            return self._single(request)
        if not isinstance(request, list):
            return _failed(Call(), RpcError(errors.PARSE_ERROR, "Top-level object parse error"))
        if len(request) > self._max_batch:
            problem = f"a batch of {len(request)} calls is above the limit of {self._max_batch}"
            return _failed(Call(), RpcError(errors.INVALID_REQUEST, problem))
        return Deferred.fromCoroutine(self._batch(request))

    def _single(self, request: dict[str, Any]) -> Reply | Deferred[Reply]:
        call = Call()
        try:
            call.parse(request)
            value = self._begin(call)
            if isinstance(value, Deferred):
                return value.addCallbacks(_succeeded, self._failure, callbackArgs=(call,), errbackArgs=(call,))
            return _succeeded(value, call)
        except Exception:
            return self._failure(Failure(), call)

    def _begin(self, call: Call) -> Any:
        """Start a call; a Deferred when it has to wait."""
        value = find(self._context.methods, call.method).invoke(self._context, call.params)
        if iscoroutine(value):
            value = Deferred.fromCoroutine(value)
        if isinstance(value, Deferred) and not value.called:
            self._note(call, value)
        return value

    def _note(self, call: Call, waiting: Deferred[Any]) -> None:
        """Keep the call among the active ones until it is answered."""
        self._serial += 1
        serial, active = self._serial, self._context.active
        active[serial] = Active(call.method, self._context.node.now_ms())

        def forget(result: Any) -> Any:
            del active[serial]
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

    async def _batch(self, requests: list[Any]) -> Reply:
        calls = [Call() for _ in requests]
        replies: list[bytes] = []
        begun: list[tuple[Call, Any]] = []
        for number, (call, request) in enumerate(zip(calls, requests, strict=True)):
            if number and number % _CALLS_PER_TICK == 0:
                await deferLater(self._clock, 0)
            try:
                call.parse(request)
                if begun and begun[0][0].method != call.method:
                    await self._collect(begun, replies)
                begun.append((call, self._begin(call)))
            except Exception:
                begun.append((call, self._error_of(Failure())))
        await self._collect(begun, replies)
        if requests and not replies:
            return Reply(204, b"")
        return Reply(200, b"[" + b",".join(replies) + b"]\n")

    async def _collect(self, begun: list[tuple[Call, Any]], replies: list[bytes]) -> None:
        """Wait for calls that were begun and add their answers."""
        for call, value in begun:
            try:
                shown = call.error(value) if isinstance(value, RpcError) else call.result(await _value(value))
            except Exception:
                shown = call.error(self._error_of(Failure()))
            if not call.silent:
                replies.append(shown)
        begun.clear()


async def _value(value: Any) -> Any:
    return await value if isinstance(value, Deferred) else value


def _succeeded(value: Any, call: Call) -> Reply:
    return Reply(204, b"") if call.silent else Reply(200, call.result(value) + b"\n")


def _failed(call: Call, problem: RpcError) -> Reply:
    """The HTTP status tells of the error to 1.1 callers; 2.0 callers get 200 and read it."""
    if call.silent:
        return Reply(204, b"")
    status = 200 if call.modern else _HTTP_STATUS.get(problem.code, 500)
    return Reply(status, call.error(problem) + b"\n")

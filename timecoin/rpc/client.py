"""Calling a node: what both clients share, and the blocking one."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from timecoin.rpc import codec
from timecoin.rpc.target import Login, Target, authorization, check_name, tls_context


class RpcFailure(Exception):
    """The node answered with an error: ``code`` and ``message`` as in the answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message


class RpcUnreachable(Exception):
    """No answer: nobody listens, the connection broke, or the cookie is not the node's."""


class _Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: dict[str, Any] | None = None
    id: Any = None


_one = msgspec.json.Decoder(_Answer)
_many = msgspec.json.Decoder(list[_Answer])
# Text that is no UTF-8 and deep nesting leave msgspec as other errors than its own.
_UNREADABLE = (ValueError, RecursionError)


def call_body(method: str, params: Sequence[Any] | dict[str, Any], number: int = 0) -> bytes:
    """The request body of one call."""
    return codec.encode({"method": method, "params": params, "id": number})


_PAYING = tuple(f'"{name}"'.encode() for name in ("sendtoaddress", "sendmany", "send", "sendall", "masternode"))


def pays(body: bytes) -> bool:
    """Whether a request body may make a payment, which sent again would be made twice."""
    return any(name in body for name in _PAYING)


def batch_body(calls: Sequence[tuple[str, Sequence[Any]]]) -> bytes:
    """The request body of a batch; answers come in the order of ``calls``."""
    return codec.encode([{"method": name, "params": params, "id": n} for n, (name, params) in enumerate(calls)])


def _raw(answer: _Answer) -> bytes:
    if answer.error is not None:
        raise RpcFailure(answer.error.get("code", 0), str(answer.error.get("message", "")))
    return bytes(answer.result)


def read_call(status: int, body: bytes) -> bytes:
    """The result in the response to a call, as JSON text. Raises ``RpcFailure``, ``RpcUnreachable``."""
    check_status(status, body)
    try:
        answer = _one.decode(body)
    except _UNREADABLE as problem:
        raise RpcUnreachable(f"not an answer of a node (HTTP status {status}): {problem}") from None
    return _raw(answer)


def value_of(result: bytes) -> Any:
    """The value of a result that is still JSON text; ``RpcUnreachable`` when it is none."""
    try:
        return codec.decode(result)
    except ValueError as problem:
        raise RpcUnreachable(f"not a result of a node: {problem}") from None


def read_batch(status: int, body: bytes) -> list[Any]:
    """The results in the response to a batch, in order: decoded values or ``RpcFailure`` objects."""
    check_status(status, body)
    try:
        answers = _many.decode(body)
    except _UNREADABLE:
        read_call(status, body)
        raise RpcUnreachable("not the answer to a batch") from None
    return [_value_or_failure(each) for each in answers]


def _value_or_failure(answer: _Answer) -> Any:
    try:
        return value_of(_raw(answer))
    except RpcFailure as failure:
        return failure


def check_status(status: int, body: bytes) -> None:
    """Raise ``RpcUnreachable`` for a response that carries no JSON-RPC answer."""
    if status == 401:
        raise RpcUnreachable("the node does not accept the cookie or password")
    if status == 403:
        raise RpcUnreachable("the node forbids this: its white list or its list of addresses")
    if status == 503:
        raise RpcUnreachable("the node has too much to do")
    if not body:
        raise RpcUnreachable(f"HTTP status {status} ({http.client.responses.get(status, '?')})")


class _SecureConnection(http.client.HTTPSConnection):
    """HTTPS whose certificate's names are checked as everywhere in this project."""

    def connect(self) -> None:
        """Connect; raises ``RpcUnreachable`` for a certificate of another host."""
        import service_identity
        from cryptography.x509 import load_der_x509_certificate

        super().connect()
        shown = self.sock.getpeercert(True) or b""
        try:
            check_name(self.host, load_der_x509_certificate(shown))
        except (service_identity.VerificationError, service_identity.CertificateError) as problem:
            self.close()
            raise RpcUnreachable(f"the certificate of {self.host} is another's: {problem}") from None


class BlockingClient:
    """Calls the node at ``url`` (``http://host:port`` or ``https://``, with ``/wallet/NAME`` for a wallet) over
    one kept connection. ``who``: the cookie file, or a user's :class:`Login`. ``ca_file``: certificates (PEM)
    one of which must have signed the node's, instead of those that the system trusts.

    Numbers with decimals come as ``Decimal``. Not for use in several threads at a time. Raises ValueError for
    a bad URL.
    """

    def __init__(self, url: str, who: Path | Login, timeout: float = 60.0, ca_file: Path | None = None) -> None:
        self._target = Target.parse(url)
        self._who = who
        self._timeout = timeout
        self._ca_file = ca_file
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, *params: Any, **named: Any) -> Any:
        """The result of a call. Raises ``RpcFailure``, ``RpcUnreachable``."""
        return value_of(self.call_raw(method, params or named))

    def call_raw(self, method: str, params: Sequence[Any] | dict[str, Any]) -> bytes:
        """The result of a call as JSON text, amounts as the node wrote them."""
        return read_call(*self._post(call_body(method, params)))

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several calls in one request; a call that failed gives its ``RpcFailure``."""
        return read_batch(*self._post(batch_body(calls)))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """The response; a kept connection that the node has closed meanwhile is replaced once. What pays goes over a
        fresh one, and only once: without an answer nobody knows whether it was paid."""
        if pays(body):
            self.close()
        kept = self._connection is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            if not kept or isinstance(problem, TimeoutError):
                raise RpcUnreachable(_why(problem, self._target.place)) from None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise RpcUnreachable(_why(problem, self._target.place)) from None

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Authorization": self._password(), "Content-Type": "application/json"}
        self._connection.request("POST", self._target.path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.will_close:
            self.close()
        return response.status, answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._target.host, self._target.port
        if not self._target.secure:
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return _SecureConnection(host, port, timeout=self._timeout, context=tls_context(self._ca_file))

    def _password(self) -> str:
        try:
            return authorization(self._who)
        except OSError as problem:
            raise RpcUnreachable(f"{self._who}: {problem.strerror}: is the node running?") from None


def _why(problem: Exception, place: str) -> str:
    if isinstance(problem, TimeoutError):
        return f"no answer from {place} in time"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the certificate of {place} is not trusted: {problem.verify_message}"
    if isinstance(problem, ConnectionRefusedError):
        return f"cannot reach {place}: {problem.strerror}: is the node running?"
    return f"cannot reach {place}: {getattr(problem, 'strerror', None) or problem}"

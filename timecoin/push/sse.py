"""The transport of server-sent events (HTML Living Standard, section 9.2): an HTTP response that does not end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

from timecoin.push.hub import Hub
from timecoin.push.messages import ENCODE, Gap
from timecoin.push.sockets import LEAVE_TIME, bound_buffers
from timecoin.push.subscriber import Subscriber

RETRY_MS = 2_000
"""After so long a client comes back by itself."""


@implementer(IPushProducer)
class EventStream:
    """One client; a ``push.subscriber.Sink``. ``gone(self)`` is called when its connection is."""

    def __init__(self, reactor: Any, hub: Hub, request: Request, gone: Callable[[EventStream], None]) -> None:
        self._reactor = reactor
        self._hub = hub
        self._request: Any = request
        self._gone = gone
        self._open = True
        self.client: Subscriber = hub.join(self)

    def begin(self, stream: str, number: int) -> None:
        """Send the head: it goes on after event ``number``."""
        request = self._request
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-accel-buffering", b"no")
        request.notifyFinish().addBoth(lambda _: self._lost())
        bound_buffers(request.channel.transport, self._hub.limits.buffer)
        request.registerProducer(self, True)
        self._write(b"retry: %d\nid: %b-%d\n\n" % (RETRY_MS, stream.encode(), number))

    def _write(self, data: bytes) -> None:
        if self._open:
            self._request.write(data)

    def _lost(self) -> None:
        self._open = False
        self._hub.left(self.client)
        self._gone(self)

    # Producer

    def pauseProducing(self) -> None:
        """The client does not read as fast as it is told."""
        self._hub.pause(self.client)

    def resumeProducing(self) -> None:
        """It has read everything."""
        if self._open:
            self._hub.resume(self.client)

    def stopProducing(self) -> None:
        """It is gone."""

    # Sink

    def event(self, number: int, kind: str, payload: bytes) -> None:
        """An event."""
        stream = self._hub.source.held.stream
        self._write(b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (stream.encode(), number, kind.encode(), payload))

    def position(self, stream: str, number: int) -> None:
        """An id without data moves on where the client continues, and shows that the connection lives."""
        self._write(b": alive\nid: %b-%d\n\n" % (stream.encode(), number))

    def gap(self, gap: Gap) -> None:
        """What it wants next is not held."""
        self._write(b"event: gap\ndata: %b\n\n" % ENCODE(gap))
        self._close()

    def cut(self) -> None:
        """It does not read."""
        self._write(b": too slow\n\n")
        self._close()

    def leave(self) -> None:
        """The node stops."""
        self._write(b": the node stops\n\n")
        self._close()

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._hub.left(self.client)
        transport = self._request.channel.transport
        self._request.unregisterProducer()
        self._request.finish()
        transport.loseConnection()
        self._reactor.callLater(LEAVE_TIME, transport.abortConnection)

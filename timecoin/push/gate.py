"""Requests for push: what is refused at once, and with which HTTP status; the rest goes to a transport."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.web.http import Request

from timecoin.push.calls import CallFailed, parse_all
from timecoin.push.hub import Hub, TooMany
from timecoin.push.messages import ENCODE, Gap
from timecoin.push.sse import EventStream
from timecoin.push.topics import ALLOWED
from timecoin.storage.event_log import NotHeld

_PLACE = re.compile(r"(?:([0-9a-f]{32})-)?([0-9]{1,16})\Z")
_LAST_ID = "last-event-id"


class Refused(Exception):
    """Not served: the HTTP status, and what the body says."""

    def __init__(self, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
        super().__init__(status)
        self.status, self.body, self.kind = status, body, kind


class PushGate:
    """Takes requests of the paths ``/ws`` and ``/events``, whose user is known already.

    ``origins``: web pages that may come; ``sockets(request, channel)`` takes one over for WebSocket.
    """

    def __init__(self, reactor: Any, hub: Hub, origins: Sequence[str], sockets: Callable[[Request, Any], None]) -> None:
        self._reactor = reactor
        self._hub = hub
        self._origins = frozenset(origins)
        self._sockets = sockets
        self.open = False
        self.streams: set[EventStream] = set()

    def take(self, request: Request, forbidden: bool) -> None:
        """Answer a request; ``forbidden``: a white list keeps its user from subscribing."""
        try:
            self._check(request, forbidden)
            if request.path == b"/ws":
                self._websocket(request)
            else:
                self._events(request)
        except Refused as refused:
            _refuse(request, refused)

    def _check(self, request: Request, forbidden: bool) -> None:
        if forbidden:
            raise Refused(403, b"this user may not subscribe")
        if request.method != b"GET":
            raise Refused(405, b"GET only")
        origin = request.getHeader("origin")
        if origin is not None and origin not in self._origins:
            raise Refused(403, b"pages of this origin may not subscribe")
        if not self.open or self._hub.is_full:
            raise Refused(503, b"too many clients")

    def _websocket(self, request: Request) -> None:
        if (request.getHeader("upgrade") or "").lower() != "websocket":
            raise Refused(426, b"WebSocket only")
        self._sockets(request, request.channel)

    # Server-sent events

    def _events(self, request: Request) -> None:
        names = [name.decode("utf-8", "replace") for name in request.args.get(b"topic", ())]
        if not names:
            raise Refused(400, f"which topic? topic={ALLOWED}".encode())
        stream, since = _asked(request)
        events = EventStream(self._reactor, self._hub, request, self.streams.discard)
        try:
            number = self._subscribe(events, names, stream, since)
        except Refused:
            self._hub.left(events.client)
            raise
        self.streams.add(events)
        # It counts among the clients of push from now on.
        request.channel.factory.left(request.channel)
        origin = request.getHeader("origin")
        if origin is not None:
            request.setHeader("access-control-allow-origin", origin)
            request.setHeader("vary", "Origin")
        events.begin(self._hub.source.held.stream, number)

    def _subscribe(self, events: EventStream, names: list[str], stream: str | None, since: int | None) -> int:
        try:
            return self._hub.subscribe(events.client, parse_all(names, self._hub.hrp), since, stream)
        except CallFailed as wrong:
            raise Refused(400, str(wrong).encode()) from None
        except NotHeld as gap:
            held = Gap(self._hub.source.held.stream, gap.first, gap.last)
            raise Refused(410, ENCODE(held), b"application/json") from None
        except TooMany as many:
            raise Refused(429, str(many).encode()) from None


def _asked(request: Request) -> tuple[str | None, int | None]:
    """Stream and number after which a client goes on: of its header, which is newer, or of the address."""
    given = request.getHeader(_LAST_ID) or request.args.get(b"since", [b""])[-1].decode("ascii", "replace")
    if not given:
        return None, None
    place = _PLACE.match(given)
    if place is None:
        raise Refused(400, b"since: STREAM-NUMBER or NUMBER")
    return place[1], int(place[2])


def _refuse(request: Request, refused: Refused) -> None:
    request.setResponseCode(refused.status)
    request.setHeader(b"content-type", refused.kind)
    request.setHeader(b"content-length", b"%d" % len(refused.body))
    if refused.status == 426:
        request.setHeader(b"upgrade", b"websocket")
    request.write(refused.body)
    request.finish()

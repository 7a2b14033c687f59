"""The calls of WebSocket clients: JSON-RPC 2.0, one call a message, no batches."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from timecoin.push.hub import Hub, TooMany
from timecoin.push.messages import (
    ENCODE,
    Answer,
    Error,
    Gap,
    Refusal,
    Request,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from timecoin.push.subscriber import Subscriber
from timecoin.push.topics import BadTopic, Topic, parse
from timecoin.storage.event_log import NotHeld

P = TypeVar("P")
_REQUEST = msgspec.json.Decoder(Request)


class CallFailed(Exception):
    """What the client is told."""

    def __init__(self, code: int, message: str, data: Gap | None = None) -> None:
        super().__init__(message)
        self.error = Error(code, message, data)


def answer(hub: Hub, client: Subscriber, message: bytes) -> bytes | None:
    """Carry out one call; returns the JSON of its answer, None for a notification that succeeded."""
    call_id: int | str | float | None = None
    try:
        request = _decode(message)
        call_id = request.id
        result = _carry_out(hub, client, request)
    except CallFailed as failed:
        return ENCODE(Refusal(call_id, failed.error))
    return None if call_id is None else ENCODE(Answer(call_id, result))


def _decode(message: bytes) -> Request:
    try:
        return _REQUEST.decode(message)
    except msgspec.ValidationError as wrong:
        raise CallFailed(-32600, f"Invalid request: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallFailed(-32700, "Parse error") from None


def _carry_out(hub: Hub, client: Subscriber, request: Request) -> Subscribed:
    if request.method == "subscribe":
        return _subscribe(hub, client, _parameters(request, Subscribe))
    if request.method == "unsubscribe":
        return _unsubscribe(hub, client, _parameters(request, Unsubscribe))
    raise CallFailed(-32601, "Method not found")


def _parameters(request: Request, kind: type[P]) -> P:
    try:
        return msgspec.json.decode(request.params, type=kind)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise CallFailed(-32602, f"Invalid params: {wrong}") from None


def _subscribe(hub: Hub, client: Subscriber, given: Subscribe) -> Subscribed:
    topics = parse_all(given.topics, hub.hrp)
    try:
        number = hub.subscribe(client, topics, given.since, given.stream)
    except NotHeld as gap:
        held = Gap(hub.source.held.stream, gap.first, gap.last)
        raise CallFailed(-32010, "These events are not held", held) from None
    except TooMany as many:
        raise CallFailed(-32011, str(many)) from None
    return Subscribed(hub.source.held.stream, number, list(client.topics))


def parse_all(names: list[str], hrp: str) -> list[Topic]:
    """The topics that a client named; raises ``CallFailed``."""
    try:
        return [parse(name, hrp) for name in names]
    except BadTopic as wrong:
        raise CallFailed(-32602, str(wrong)) from None


def _unsubscribe(hub: Hub, client: Subscriber, given: Unsubscribe) -> Subscribed:
    topics = {topic.name: topic for topic in parse_all(given.topics, hub.hrp)}
    for name in topics:
        if name not in client.topics:
            raise CallFailed(-32602, f"{name!r} is not subscribed to")
    hub.unsubscribe(client, tuple(topics.values()))
    held = hub.source.held
    return Subscribed(held.stream, client.position(held.last), list(client.topics))

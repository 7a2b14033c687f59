"""The AsyncAPI 3.0 document of push, made of the message structs; ``python -m timecoin.push.asyncapi`` prints it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import msgspec

from timecoin import __version__
from timecoin.push import messages as m

_RECEIVED = (m.EventNote, m.PositionNote, m.GapNote, m.Answer, m.Refusal)
_CALLS = {"subscribe": m.Subscribe, "unsubscribe": m.Unsubscribe}
_STREAMED = (m.TransactionEvent, m.BlockEvent, m.Gap)
_REF = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """The document, as JSON has it."""
    kinds = (*_RECEIVED, *_CALLS.values(), *_STREAMED)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    received = [kind.__name__ for kind in _RECEIVED]
    streamed = [kind.__name__ for kind in _STREAMED]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "TimeCoin push",
            "version": __version__,
            "description": "Events over WebSocket (/ws, JSON-RPC 2.0) and server-sent events (/events), on the port of "
            "JSON-RPC and with its authentication. Errors: "
            + " ".join(f"{code}: {text}" for code, text in m.ERRORS.items())
            + " Close codes: "
            + " ".join(f"{code}: {text}" for code, text in m.CLOSES.items()),
        },
        "channels": {
            "ws": {"address": "/ws", "messages": _refs("messages", [*received, *_CALLS])},
            "events": {"address": "/events", "messages": _refs("messages", streamed)},
        },
        "operations": {
            "tell": {"action": "send", "channel": {"$ref": "#/channels/ws"}, "messages": _on("ws", received)},
            "stream": {"action": "send", "channel": {"$ref": "#/channels/events"}, "messages": _on("events", streamed)},
            **{
                name: {"action": "receive", "channel": {"$ref": "#/channels/ws"}, "messages": _on("ws", [name])}
                for name in _CALLS
            },
        },
        "components": {"messages": _messages(), "schemas": schemas},
    }


def _refs(part: str, names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/{part}/{name}"} for name in names}


def _on(channel: str, names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]


def _messages() -> dict[str, Any]:
    told = {
        kind.__name__: {"summary": inspect.getdoc(kind), "payload": {"$ref": _REF.format(name=kind.__name__)}}
        for kind in (*_RECEIVED, *_STREAMED)
    }
    return told | {name: _call(name, kind) for name, kind in _CALLS.items()}


def _call(name: str, kind: type[Any]) -> dict[str, Any]:
    payload = {
        "type": "object",
        "required": ["jsonrpc", "method", "params"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["integer", "number", "string", "null"]},
            "method": {"const": name},
            "params": {"$ref": _REF.format(name=kind.__name__)},
        },
    }
    return {"summary": inspect.getdoc(kind), "payload": payload}


def render() -> str:
    """The document as text."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())

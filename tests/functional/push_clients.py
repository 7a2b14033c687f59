"""Readers of push that none of us wrote: the websockets library, and plain HTTP for server-sent events."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.functional.support import Node


def authorization(node: Node) -> str:
    """The header's value for the cookie of a running node."""
    return "Basic " + base64.b64encode(node.files.cookie.read_bytes().strip()).decode()


class Socket:
    """A WebSocket subscriber in a thread of its own; it goes on after ``number`` of ``stream``."""

    def __init__(self, node: Node, topics: list[str], stream: str | None = None, number: int | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.notes: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        self.stream, self.number = stream, number
        self.error: dict[str, Any] | None = None
        self.closed: tuple[int, str] | None = None
        url = node.files.rpc_url.rstrip("/").replace("http", "ws", 1) + "/ws"
        self._socket = connect(url, additional_headers={"Authorization": authorization(node)}, compression=None)
        params = {"topics": topics, "since": number, "stream": stream}
        self._socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}))
        answer = json.loads(self._socket.recv(timeout=10))
        self.error = answer.get("error")
        if self.error is None:
            self.stream, self.number = answer["result"]["stream"], answer["result"]["number"]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                self._take(json.loads(self._socket.recv()))
        except ConnectionClosed as end:
            if end.rcvd is not None:
                self.closed = (end.rcvd.code, end.rcvd.reason)

    def _take(self, message: dict[str, Any]) -> None:
        params = message["params"]
        if message["method"] == "event":
            self.events.append(params)
        else:
            self.notes.append(message)
        self.number = params["number"]

    def end(self) -> None:
        """Close, and wait until nothing more comes."""
        self._socket.close()
        self._thread.join(5)


class Stream:
    """A reader of server-sent events in a thread of its own; ``last_id`` is where it would go on."""

    def __init__(self, node: Node, topics: list[str], last_id: str = "", since: str = "") -> None:
        query = "&".join([f"topic={topic}" for topic in topics] + ([f"since={since}"] if since else []))
        headers = {"Authorization": authorization(node), "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        request = urllib.request.Request(node.files.rpc_url.rstrip("/") + "/events?" + query, headers=headers)
        self._answer = urllib.request.urlopen(request, timeout=60)
        self.type = self._answer.headers["content-type"]
        self.last_id = last_id
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        data = []
        try:
            for raw in self._answer:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "data":
                    data.append(value)
                elif not name and data:
                    self.events.append(json.loads("".join(data)))
                    data = []
        except (OSError, ValueError, AttributeError):
            return

    def ended(self, seconds: float = 10.0) -> bool:
        """Whether the node ended it."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

"""A client of the Electrum protocol: JSON-RPC 2.0 by lines over TCP (electrumx.readthedocs.io, protocol 1.4)."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from timecoin.primitives.hashes import sha256


class ElectrumError(Exception):
    """The server answered with an error."""


class Electrum(LineOnlyReceiver):
    """One connection; ``noted`` collects what the server tells by itself."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 24

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Deferred[Any]] = {}
        self.noted: list[tuple[str, Any]] = []

    def call(self, method: str, *params: Any) -> Deferred[Any]:
        """The result; fails with ``ElectrumError``."""
        self._number += 1
        answer: Deferred[Any] = Deferred()
        self._waiting[self._number] = answer
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": list(params)}
        self.sendLine(json.dumps(request).encode())
        return answer

    def lineReceived(self, line: bytes) -> None:
        """An answer or a notification."""
        message = json.loads(line)
        if "method" in message:
            self.noted.append((message["method"], message["params"]))
            return
        answer = self._waiting.pop(message["id"])
        if message.get("error"):
            answer.errback(ElectrumError(str(message["error"])))
        else:
            answer.callback(message["result"])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing more will be answered."""
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.errback(reason)


def scripthash(script: bytes) -> str:
    """How the protocol names an output script."""
    return sha256(script)[::-1].hex()

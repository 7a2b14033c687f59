"""Why a connection ends: one closed vocabulary for rejects on the wire, logs, metrics and decisions."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """Short kebab-case reason; the same word in `reject` messages, logs and metric labels."""

    WRONG_NETWORK = "wrong-network"
    WRONG_GENESIS = "wrong-genesis"
    TOO_OLD = "too-old"
    TOO_NEW = "too-new"
    SELF = "self"
    DUPLICATE = "duplicate"
    FULL = "full"
    DISCOURAGED = "discouraged"
    BAD_SIGNATURE = "bad-signature"
    WRONG_IDENTITY = "wrong-identity"
    UNEXPECTED_MESSAGE = "unexpected-message"
    MALFORMED = "malformed"
    OVERSIZE = "oversize"
    VIOLATION = "violation"
    OVERLOAD = "overload"
    HELLO_TIMEOUT = "hello-timeout"
    IDLE = "idle"
    STALLED = "stalled"
    SHUTTING_DOWN = "shutting-down"
    REPLACED = "replaced"
    NOT_WANTED = "not-wanted"
    BANNED = "banned"
    FAULT = "internal-fault"
    TLS_FAILED = "tls-failed"
    LOST = "connection-lost"
    UNKNOWN = "unknown"


#: What no honest node does, however far it lags; these end in discouragement (protocol.md, section 8).
VIOLATIONS = frozenset(
    {Code.BAD_SIGNATURE, Code.UNEXPECTED_MESSAGE, Code.MALFORMED, Code.OVERSIZE, Code.VIOLATION}
)


class CloseReason(NamedTuple):
    """Why a connection ended.

    ``by_peer`` is true when the other side said so (its `reject`) or simply went away.
    """

    code: Code
    text: str = ""
    by_peer: bool = False

    def __str__(self) -> str:
        """Render as ``code (text)``, marked when it came from the peer."""
        said = f"{self.code}" + (f" ({self.text})" if self.text else "")
        return f"peer: {said}" if self.by_peer else said


def parse_code(word: str) -> Code:
    """Return the code that a peer's reject names; `Code.UNKNOWN` for a word of a later protocol version."""
    try:
        return Code(word)
    except ValueError:
        return Code.UNKNOWN


class Refused(Exception):
    """A connection that must not go on; carries the typed reason that the other side is told."""

    def __init__(self, code: Code, text: str = "") -> None:
        super().__init__(str(code), text)
        self.code = code
        self.text = text

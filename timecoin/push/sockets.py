"""What both transports do with the connection under them."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

LEAVE_TIME = 1.0
"""Seconds that a client has to take the last words; then the connection is cut."""


def bound_buffers(transport: Any, size: int) -> None:
    """Hold at most about ``size`` bytes for the client here, and so many in the system's send buffer."""
    inner = transport
    while not hasattr(inner, "bufferSize") and getattr(inner, "transport", None) is not None:
        inner = inner.transport
    if hasattr(inner, "bufferSize"):
        inner.bufferSize = size
    # Not every transport is a TCP socket.
    with suppress(AttributeError, OSError):
        inner.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        inner.setTcpNoDelay(True)

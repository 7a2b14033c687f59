"""How supervisors learn that the node is ready: a file, and the message that systemd waits for.

A killed node leaves its file behind, so whoever reads it looks whether the pid in it lives. ``READY=1`` and
``STOPPING=1`` go to the datagram socket named in ``NOTIFY_SOCKET`` (sd_notify(3), "Protocol"); nothing is
sent when systemd did not ask for it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

_log = Logger()


class Readiness:
    """Announces *ready* and *stopping*; ``path`` holds the pid in between."""

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._path = path
        self._socket_name = environment.get("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        """Everything has started."""
        self._path.write_text(f"{os.getpid()}\n", encoding="ascii")
        self._notify(b"READY=1")

    def stopping(self) -> None:
        """The node is going down, also before it was ready; a file of another process stays."""
        if self._holder() == os.getpid():
            self._path.unlink(missing_ok=True)
        self._notify(b"STOPPING=1")

    def _holder(self) -> int | None:
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _notify(self, message: bytes) -> None:
        if not self._socket_name:
            return
        # A leading @ stands for Linux's abstract name space, whose names begin with a zero byte.
        address = "\0" + self._socket_name[1:] if self._socket_name.startswith("@") else self._socket_name
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.connect(address)
                notify.sendall(message)
        except OSError as problem:
            _log.warn("systemd was not told {message}: {problem}", message=message.decode(), problem=problem)

"""A large answer on its way: in pieces, one in a turn of the reactor, and none while the client does not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Bytes written in a turn; encrypting them takes about a millisecond.
PIECE = 1 << 18


class Outgoing:
    """Writes ``body`` with ``write`` and calls ``done`` once the client has taken most of it; calls ``give_up`` when
    it has not read for ``timeout`` seconds. ``clock`` is the reactor."""

    def __init__(
        self,
        clock: Any,
        body: bytes,
        write: Callable[[bytes], object],
        done: Callable[[], object],
        give_up: Callable[[], object],
        timeout: float,
    ) -> None:
        self._clock = clock
        self._body = body
        self._write = write
        self._done = done
        self._give_up = give_up
        self._timeout = timeout
        self._at = 0
        self._is_paused = self._has_ended = False
        self._call: Any = None

    def go(self) -> None:
        """Write the next piece."""
        self._call = None
        piece = self._body[self._at : self._at + PIECE]
        self._at += len(piece)
        if piece:
            self._write(piece)
        if self._is_paused:
            return
        if self._at >= len(self._body):
            self.stop()
            self._has_ended = True
            self._done()
        else:
            self._call = self._clock.callLater(0, self.go)

    def pause(self) -> None:
        """The transport is full."""
        self._is_paused = True
        self.stop()
        if not self._has_ended:
            self._call = self._clock.callLater(self._timeout, self._give_up)

    def resume(self) -> None:
        """There is room again."""
        self._is_paused = False
        self.stop()
        if not self._has_ended:
            self._call = self._clock.callLater(0, self.go)

    def stop(self) -> None:
        """Write no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

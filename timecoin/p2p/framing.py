"""Frames: 4-byte big-endian payload length ‖ 1-byte type ‖ payload (protocol.md, section 8)."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.protocol import Protocol

HEADER_SIZE = 5
#: No payload is larger, whatever its type.
MAX_PAYLOAD = 4 << 20
#: In a table of limits: this type does not exist.
NO_SUCH_TYPE = -1


class FrameError(ValueError):
    """The byte stream cannot be a sequence of frames; nothing after this point can be read.

    ``kind`` is the type number of the offending frame.
    """

    def __init__(self, kind: int, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class UnknownType(FrameError):
    """A frame of a type that is not allowed here."""


class OversizeFrame(FrameError):
    """A frame announces more payload than its type may have."""


def make_frame(kind: int, payload: bytes) -> bytes:
    """Return the frame of a payload. ``kind`` is the message type, 0…255."""
    return len(payload).to_bytes(4, "big") + bytes((kind,)) + payload


class FrameBuffer:
    """Turns a byte stream into frames; pure.

    A frame's announced length is judged as soon as its 5 header bytes are there, so at most one frame within
    its limit plus one read of the transport is ever held.
    """

    __slots__ = ("_at", "_chunks", "_kind", "_need", "_size", "_view", "limits")

    def __init__(self, limits: Sequence[int]) -> None:
        """``limits``: for each of the 256 types the largest payload in bytes, or `NO_SUCH_TYPE`."""
        self.limits = limits
        self._chunks: list[bytes] = []
        self._size = 0
        self._need = HEADER_SIZE
        self._kind = NO_SUCH_TYPE
        self._view = memoryview(b"")
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add what the transport delivered."""
        self._chunks.append(data)
        self._size += len(data)

    @property
    def held(self) -> int:
        """Bytes that were fed and not yet returned as frames."""
        return self._size

    def next(self) -> tuple[int, memoryview] | None:
        """Return (type, payload) of the next whole frame, or None when more bytes are needed.

        Raises:
            UnknownType: the type is not in the table.
            OversizeFrame: the announced payload is over its type's limit.
        """
        while self._size >= self._need:
            view = self._contiguous()
            if self._kind == NO_SUCH_TYPE:
                self._read_header(view)
                continue
            start = self._at
            self._at += self._need
            self._size -= self._need
            kind, payload = self._kind, view[start : self._at]
            self._kind, self._need = NO_SUCH_TYPE, HEADER_SIZE
            return kind, payload
        return None

    def _read_header(self, view: memoryview) -> None:
        at = self._at
        length, kind = int.from_bytes(view[at : at + 4], "big"), view[at + 4]
        limit = self.limits[kind]
        if limit == NO_SUCH_TYPE:
            raise UnknownType(kind, f"frame of type {kind}")
        if length > limit:
            raise OversizeFrame(kind, f"frame of type {kind} announces {length} bytes, allowed are {limit}")
        self._kind, self._need = kind, length
        self._at += HEADER_SIZE
        self._size -= HEADER_SIZE

    def _contiguous(self) -> memoryview:
        # Joined only once all bytes of a frame are there, so a large frame in many reads is copied once.
        if self._chunks:
            rest = self._view[self._at :]
            alone = not rest and len(self._chunks) == 1
            self._view = memoryview(self._chunks[0] if alone else b"".join((rest, *self._chunks)))
            self._chunks.clear()
            self._at = 0
        return self._view


class FrameProtocol(Protocol):
    """A Twisted protocol of frames that can be held: while held it neither reads nor delivers."""

    def __init__(self, limits: Sequence[int]) -> None:
        """``limits`` as for `FrameBuffer`."""
        self.frames = FrameBuffer(limits)
        self._holds = 0
        self._draining = False
        self._ended = False

    def frame_received(self, kind: int, payload: memoryview) -> None:
        """Take one frame; for subclasses. The payload view is valid only as long as it is referenced."""
        raise NotImplementedError

    def frame_error(self, error: FrameError) -> None:
        """Take the end of a stream that is not frames; for subclasses. Nothing is delivered afterwards."""
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        """Feed the buffer and deliver whole frames, unless held."""
        if self._ended:
            return
        self.frames.feed(data)
        self._drain()

    def _drain(self) -> None:
        # A delivered frame may hold and release us again: only the outermost call walks the buffer.
        if self._draining:
            return
        self._draining = True
        try:
            while not self._holds and not self._ended:
                frame = self.frames.next()
                if frame is None:
                    break
                self.frame_received(*frame)
        except FrameError as error:
            self.end()
            self.frame_error(error)
        finally:
            self._draining = False

    def hold(self, reason: int) -> None:
        """Stop reading and delivering for one more reason (a bit); TCP pushes back on the sender."""
        if not self._holds and not self._ended and self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        self._holds |= reason

    def release(self, reason: int) -> None:
        """Drop one reason; with none left, deliver what waited and read on."""
        if not self._holds & reason:
            return
        self._holds &= ~reason
        if self._holds:
            return
        self._drain()
        if not self._holds and not self._ended and self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    @property
    def held(self) -> bool:
        """Whether reading is stopped at present."""
        return self._holds != 0

    def end(self) -> None:
        """Deliver nothing more, whatever still arrives."""
        self._ended = True

"""Recognising the request that nearly every client sends, so that it is answered without twisted.web's
request objects.

That request is a whole ``POST / HTTP/1.1`` (or ``/wallet/NAME``) with a Content-Length and nothing unusual
about it. twisted.web takes about 200 µs for it, this 10 µs. Whatever else arrives, valid or not, is left to
twisted.web.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HEAD = re.compile(
    rb"POST (/|/wallet/[A-Za-z0-9._~-]{0,64}) HTTP/1\.1\r\n((?:[A-Za-z][A-Za-z0-9-]*:[^\r\n\0]*\r\n){1,50})\r\n"
)
_UNUSUAL = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer", b"origin"))
_SINGLE = frozenset((b"content-length", b"authorization", b"connection"))
_MAX_DIGITS = 9
MAX_HEAD = 8_192


class Quick(NamedTuple):
    """A recognised request: its path, its Authorization header, its body, and where in the data it ends."""

    path: bytes
    authorization: bytes
    body: bytes
    end: int


def recognise(data: bytes) -> Quick | None:
    """The first request in ``data`` if it is whole and of the usual kind."""
    head = _HEAD.match(data, 0, MAX_HEAD)
    if head is None:
        return None
    single: dict[bytes, bytes] = {}
    for field in head[2].split(b"\r\n"):
        name, _, value = field.partition(b":")
        name = name.lower()
        if name in _UNUSUAL or name in single:
            return None
        if name in _SINGLE:
            single[name] = value.strip(b" \t")
    length, authorization = single.get(b"content-length", b""), single.get(b"authorization")
    if authorization is None or not length.isdigit() or len(length) > _MAX_DIGITS:
        return None
    if single.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    end = head.end() + int(length)
    return Quick(head[1], authorization, data[head.end() : end], end) if end <= len(data) else None

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
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,9})[ \t]*\r$", re.I | re.M)
_AUTHORIZATION = re.compile(rb"^authorization:[ \t]*([^\r]*?)[ \t]*\r$", re.I | re.M)
_UNUSUAL = re.compile(
    rb"^(?:transfer-encoding|expect|upgrade|te|trailer|connection:(?![ \t]*keep-alive[ \t]*\r))", re.I | re.M
)
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
    fields = head[2]
    lengths, authorizations = _LENGTH.findall(fields), _AUTHORIZATION.findall(fields)
    if len(lengths) != 1 or len(authorizations) != 1 or _UNUSUAL.search(fields):
        return None
    if fields.lower().count(b"content-length") != 1:
        return None
    end = head.end() + int(lengths[0])
    return Quick(head[1], authorizations[0], data[head.end() : end], end) if end <= len(data) else None

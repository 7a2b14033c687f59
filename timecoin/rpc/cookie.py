"""bitcoind's cookie authentication: a new password at every start, in a file for the owner only."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from hmac import compare_digest
from pathlib import Path

USER = "__cookie__"


class Cookie:
    """The password of a running server; ``path`` holds ``__cookie__:HEX`` from ``write`` to ``remove``."""

    user = USER

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = f"{USER}:{secrets.token_hex(32)}"
        self.header = basic(self._text)

    def write(self) -> None:
        """Put the file in place at once, whole, with mode 0600; OSError when that fails."""
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self._text)
        os.replace(fresh, self.path)

    def remove(self) -> None:
        """Take the file away, unless a later server has put its own there."""
        try:
            if self.path.read_text(encoding="ascii") == self._text:
                self.path.unlink()
        except FileNotFoundError:
            return

    def admits(self, header: bytes) -> bool:
        """Whether the value of an Authorization header carries this password; compares in constant time."""
        if compare_digest(header, self.header):
            return True
        given = credentials(header)
        return given is not None and compare_digest(given, self._text.encode("ascii"))


def credentials(header: bytes) -> bytes | None:
    """``user:password`` in the value of an Authorization header; None when it holds none."""
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def basic(text: str) -> bytes:
    """The Authorization header's value for ``user:password``."""
    return b"Basic " + base64.b64encode(text.encode("utf-8"))


def read_cookie(path: Path) -> str:
    """``user:password`` of a cookie file; OSError when there is none."""
    return path.read_text(encoding="ascii").strip()

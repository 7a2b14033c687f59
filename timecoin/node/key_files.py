"""Making secret keys: one to a file, 64 hex digits, readable by the owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from timecoin.primitives.signing import SignatureBackend


class KeyFileError(Exception):
    """A key file cannot be made; ``str()`` is one line for the operator."""


def write_key(path: Path, secret: bytes) -> None:
    """Make ``path`` (mode 0600) with the key in it; ``KeyFileError`` when it exists or cannot be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise KeyFileError(f"{path}: cannot be written: {problem.strerror}") from None


def new_key(backend: SignatureBackend) -> bytes:
    """A fresh secret from the system's random source."""
    while True:
        secret = secrets.token_bytes(32)
        if backend.is_secret(secret):
            return secret

"""Secret keys in files: one key, 64 hex digits, readable by the owner only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from timecoin.primitives.signing import SignatureBackend

NODE_KEY = "node.key"


class KeyFileError(Exception):
    """A key file is missing, readable by others, or holds no key; ``str()`` is one line for the operator."""


def read_key(path: Path, backend: SignatureBackend) -> bytes:
    """The 32-byte secret in ``path``; raises ``KeyFileError``."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except OSError as problem:
        raise KeyFileError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError:
        raise KeyFileError(f"{path}: must hold 64 hex digits") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(f"{path}: must be readable by its owner only (chmod 600)")
    if len(secret) != 32 or not backend.is_secret(secret):
        raise KeyFileError(f"{path}: must hold 64 hex digits that are a secp256k1 secret")
    return secret


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


def node_key(data_dir: Path, backend: SignatureBackend) -> bytes:
    """The node key of a data directory, made at its first start; raises ``KeyFileError``."""
    path = data_dir / NODE_KEY
    if not path.exists():
        write_key(path, new_key(backend))
    return read_key(path, backend)

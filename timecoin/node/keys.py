"""The node's own keys on disk: hex text, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from timecoin.node.root import StartRefused
from timecoin.primitives.signing import SignatureBackend
from timecoin.storage.files import write_atomic

NODE_KEY = "node.key"


def read_secret(path: Path, backend: SignatureBackend) -> bytes:
    """The 32-byte secret in a file of 64 hex digits; ``StartRefused`` when it is no such thing."""
    try:
        secret = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as problem:
        raise StartRefused(f"{path}: no key of 64 hex digits ({problem})") from None
    if not backend.is_secret(secret):
        raise StartRefused(f"{path}: not a secret key of secp256k1")
    return secret


def node_secret(directory: Path, backend: SignatureBackend) -> bytes:
    """The node key of a data directory, made on the first start."""
    path = directory / NODE_KEY
    if not path.exists():
        secret = secrets.token_bytes(32)
        while not backend.is_secret(secret):
            secret = secrets.token_bytes(32)
        write_atomic(path, secret.hex().encode("ascii") + b"\n")
        os.chmod(path, 0o600)
    return read_secret(path, backend)

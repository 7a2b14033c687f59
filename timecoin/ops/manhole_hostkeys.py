"""The manhole's host keys: made at its first start, kept for good, readable by their owner only.

Two of them: with an ed25519 key alone Twisted announces no RSA signatures, and OpenSSH turns users with RSA keys away.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key

ED25519_FILE, RSA_FILE = "ssh_host_ed25519_key", "ssh_host_rsa_key"
_RSA_BITS = 3_072


class HostKeyError(Exception):
    """A host key cannot be read, made or trusted; ``str()`` is one line for the operator."""


def host_keys(directory: Path) -> dict[bytes, Key]:
    """The host keys in ``directory`` by their SSH types, made when they are not there. Raises ``HostKeyError``.

    Making the RSA key takes up to a second: not for the reactor's thread.
    """
    found = (_key(directory / ED25519_FILE, _new_ed25519), _key(directory / RSA_FILE, _new_rsa))
    return {key.sshType(): key for key in found}


def _key(path: Path, make: object) -> Key:
    try:
        if not path.exists():
            assert callable(make)
            _write_new(path, make().toString("OPENSSH"))
        return _read(path)
    except OSError as problem:
        raise HostKeyError(f"{path}: {problem.strerror or problem}") from None
    except (BadKeyError, EncryptedKeyError, ValueError) as problem:
        raise HostKeyError(f"{path}: is no private key of OpenSSH: {problem}") from None


def _new_ed25519() -> Key:
    return Key(Ed25519PrivateKey.generate())


def _new_rsa() -> Key:
    return Key(generate_private_key(public_exponent=65_537, key_size=_RSA_BITS))


def _read(path: Path) -> Key:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.geteuid(), 0):
            raise HostKeyError(f"{path}: must be readable by its owner only (chmod 600)")
        key: Key = Key.fromString(file.read(65_536))
    if key.isPublic():
        raise HostKeyError(f"{path}: is a public key; the private one is needed")
    return key


def _write_new(path: Path, data: bytes) -> None:
    """Whole or absent, whatever moment the power fails: a torn key would keep the node from starting."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)

"""Keys by name, the same ones in every run: accounts, operators, owners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import p2wpkh, p2wpkh_script_code
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import get_backend

BACKEND = get_backend()
"""The one of the product: what is signed here counts there."""


@dataclass(frozen=True)
class Key:
    """A key pair by name; the same name is the same key in every process. ``realm`` tells those of tests apart."""

    name: str
    realm: ClassVar[bytes] = b"simulation"

    @cached_property
    def secret(self) -> bytes:
        """32 bytes."""
        return sha256(b"timecoin/%b/%b" % (self.realm, self.name.encode()))

    @cached_property
    def public(self) -> bytes:
        """33 bytes."""
        return BACKEND.public_key(self.secret)

    @cached_property
    def script(self) -> bytes:
        """The P2WPKH script that pays to this key."""
        return p2wpkh(hash160(self.public))

    def witness(self, hasher: Bip143, index: int, value: int) -> tuple[bytes, bytes]:
        """The witness that spends a P2WPKH coin of this key worth ``value`` base units at input ``index``."""
        digest = hasher.digest(index, p2wpkh_script_code(self.script[2:]), value)
        return join_signature(BACKEND.sign(self.secret, digest)), self.public


@cache
def key(name: str) -> Key:
    """The key called ``name``; made once a process."""
    return Key(name)

"""Accounts (BIP 84): the keys and scripts of one account of a master key, or of its public half to watch it."""

from __future__ import annotations

from typing import Final, NamedTuple

from timecoin.ledger.networks import Network
from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import p2wpkh

from .hd import ExtendedKey, ExtendedPublicKey, ExtendedSecretKey, parse_extended, secret_half
from .paths import HARDENED, Path, account_path, format_path, multisig_path, parse_path

__all__ = [
    "CHANGE",
    "HARDENED",
    "RECEIVE",
    "Account",
    "ExtendedKey",
    "ExtendedPublicKey",
    "ExtendedSecretKey",
    "Path",
    "account_path",
    "format_path",
    "multisig_path",
    "parse_extended",
    "parse_path",
]

RECEIVE: Final = 0
"""The chain whose addresses are given to others."""

CHANGE: Final = 1
"""The chain of change."""


class Account(NamedTuple):
    """An account's extended key, private or public, and where it came from (master fingerprint 4 bytes, path)."""

    network: Network
    key: ExtendedKey
    master: bytes
    path: Path

    @classmethod
    def of_master(cls, master: ExtendedSecretKey, network: Network, account: int = 0) -> Account:
        """The account m/84'/c'/*account*' of *master* (BIP 84); ``BadKey``."""
        path = account_path(network, account)
        return cls(network, master.derive(path), master.fingerprint, path)

    @classmethod
    def cosigner(cls, master: ExtendedSecretKey, network: Network, account: int = 0) -> Account:
        """The key m/48'/c'/*account*'/2' that *master* brings to a P2WSH multisig wallet (BIP 48); ``BadKey``."""
        path = multisig_path(network, account)
        return cls(network, master.derive(path), master.fingerprint, path)

    @property
    def public(self) -> ExtendedPublicKey:
        """The account's extended public key."""
        return self.key.public() if isinstance(self.key, ExtendedSecretKey) else self.key

    @property
    def xpub(self) -> str:
        """The extended public key with the network's version bytes."""
        return self.public.text(self.network.keys)

    def reveal_xprv(self) -> str:
        """The extended private key with the network's version bytes: **secret**; ``NotPrivate``."""
        return secret_half(self.key).reveal(self.network.keys)

    @property
    def origin(self) -> str:
        """``[fingerprint/84h/1h/0h]``, as it stands before the key in a descriptor."""
        return f"[{self.master.hex()}/{format_path(self.path)}]"

    @property
    def public_expression(self) -> str:
        """Origin and xpub: the account's key in a descriptor, without what follows it."""
        return self.origin + self.xpub

    def reveal_expression(self) -> str:
        """Origin and xprv: **secret**; ``NotPrivate``."""
        return self.origin + self.reveal_xprv()

    def public_key(self, chain: int, index: int) -> bytes:
        """The 33-byte key number *index* of *chain* (:data:`RECEIVE`, :data:`CHANGE`)."""
        return self.public.child(chain).child_key(index)

    def script(self, chain: int, index: int) -> bytes:
        """The P2WPKH output script number *index* of *chain*."""
        return p2wpkh(hash160(self.public_key(chain, index)))

    def secret(self, chain: int, index: int) -> bytes:
        """The 32-byte private key of :meth:`public_key`; ``NotPrivate``."""
        return secret_half(self.key).derive((chain, index)).secret()

"""Extended keys (BIP 32): private ones through embit behind guards, public ones on libsecp256k1 itself.

A wallet derives thousands of public keys and a few private ones, so only the former were worth a second way
(``docs/decisions/wallet.rst`` has the figures). What embit takes and BIP 32 does not, and what would show a secret
(its ``repr`` is the xprv), stays behind this module.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any, Final, NoReturn, Self

from coincurve import PublicKey
from embit import base58
from embit.bip32 import HDKey

from timecoin.ledger.networks import KeyVersions
from timecoin.primitives.ecdsa_encoding import is_secret
from timecoin.primitives.hashes import hash160

from .errors import BadKey, NotPrivate
from .paths import is_hardened

__all__ = ["ExtendedKey", "ExtendedPublicKey", "ExtendedSecretKey", "parse_extended"]

_SIZE: Final = 78
_TEXT_LENGTH: Final = 111
"""Characters of an extended key with Bitcoin's version bytes."""
_MAX_DEPTH: Final = 255
_SEED_SIZES: Final = range(16, 65)
_NO_PARENT: Final = bytes(4)


def _plain_fields(depth: int, parent: bytes, number: int, chain_code: bytes) -> bytes:
    return bytes((depth,)) + parent + number.to_bytes(4, "big") + chain_code


class ExtendedPublicKey:
    """A public key with what is needed to derive its children; a value, safe to show.

    ``public_key`` 33 bytes, ``chain_code`` 32, ``depth`` 0 to 255, ``parent`` the parent's fingerprint (4 bytes, zeros
    for a master key), ``number`` the index it was derived with.
    """

    __slots__ = ("chain_code", "depth", "number", "parent", "point", "public_key")

    def __init__(self, public_key: bytes, chain_code: bytes, depth: int, parent: bytes, number: int) -> None:
        self.public_key = public_key
        self.chain_code = chain_code
        self.depth = depth
        self.parent = parent
        self.number = number
        self.point = _point(public_key)

    @property
    def fingerprint(self) -> bytes:
        """The first 4 bytes of the key's hash160."""
        return hash160(self.public_key)[:4]

    def child(self, index: int) -> ExtendedPublicKey:
        """The child at *index*; ``BadKey`` when it is hardened or too deep."""
        if is_hardened(index):
            raise BadKey("a hardened child can be derived from the private key only")
        if self.depth == _MAX_DEPTH:
            raise BadKey("a path has at most 255 steps")
        key, chain_code = self._child(index)
        return ExtendedPublicKey(key, chain_code, self.depth + 1, self.fingerprint, index)

    def child_key(self, index: int) -> bytes:
        """The 33-byte key of the child at *index* (not hardened) alone: what an address needs, 30 µs."""
        if index < 0 or is_hardened(index):
            raise BadKey("a hardened child can be derived from the private key only")
        return self._child(index)[0]

    def _child(self, index: int) -> tuple[bytes, bytes]:
        digest = hmac.digest(self.chain_code, self.public_key + index.to_bytes(4, "big"), "sha512")
        try:
            key: bytes = self.point.add(digest[:32]).format()
        except ValueError:
            raise BadKey(f"there is no key at index {index}; the next one is to be taken") from None
        return key, digest[32:]

    def derive(self, path: Iterable[int]) -> ExtendedPublicKey:
        """The descendant along *path*; raises as :meth:`child`."""
        found = self
        for index in path:
            found = found.child(index)
        return found

    def text(self, versions: KeyVersions) -> str:
        """The base58 form with the network's version bytes (xpub… on mainnet, tpub… elsewhere)."""
        fields = _plain_fields(self.depth, self.parent, self.number, self.chain_code)
        text: str = base58.encode_check(versions.xpub + fields + self.public_key)
        return text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtendedPublicKey):
            return NotImplemented
        mine = (self.public_key, self.chain_code, self.depth, self.parent, self.number)
        return mine == (other.public_key, other.chain_code, other.depth, other.parent, other.number)

    def __hash__(self) -> int:
        return hash((self.public_key, self.chain_code))

    def __repr__(self) -> str:
        return f"<ExtendedPublicKey {self.fingerprint.hex()} depth {self.depth}>"


class ExtendedSecretKey:
    """A private key with what is needed to derive its children. ``repr`` and pickle do not give it away."""

    __slots__ = ("_node",)

    def __init__(self, node: Any) -> None:
        self._node = node

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The master key of *seed* (16 to 64 bytes); ``BadKey`` for another length."""
        if len(seed) not in _SEED_SIZES:
            raise BadKey("a seed has 16 to 64 bytes")
        try:
            return cls(HDKey.from_seed(seed))
        except Exception:
            # embit's errors have no common base, and a chained one would carry the seed in its frames.
            raise BadKey("there is no master key of that seed") from None

    @property
    def depth(self) -> int:
        """Steps below the master key."""
        depth: int = self._node.depth
        return depth

    @property
    def public_key(self) -> bytes:
        """The 33-byte public key."""
        key: bytes = self._node.sec()
        return key

    @property
    def fingerprint(self) -> bytes:
        """The first 4 bytes of the public key's hash160."""
        return hash160(self.public_key)[:4]

    def secret(self) -> bytes:
        """The 32-byte private key itself."""
        secret: bytes = self._node.secret
        return secret

    def child(self, index: int) -> ExtendedSecretKey:
        """The child at *index* (0 to 2^32 − 1, hardened from 2^31 on); ``BadKey`` when too deep."""
        if not 0 <= index <= 0xFFFF_FFFF:
            raise BadKey("an index has 32 bits")
        if self.depth == _MAX_DEPTH:
            raise BadKey("a path has at most 255 steps")
        try:
            return ExtendedSecretKey(self._node.child(index))
        except Exception:
            raise BadKey(f"there is no key at index {index}; the next one is to be taken") from None

    def derive(self, path: Iterable[int]) -> ExtendedSecretKey:
        """The descendant along *path*; raises as :meth:`child`."""
        found = self
        for index in path:
            found = found.child(index)
        return found

    def public(self) -> ExtendedPublicKey:
        """The public half."""
        node = self._node
        return ExtendedPublicKey(self.public_key, node.chain_code, node.depth, node.fingerprint, node.child_number)

    def reveal(self, versions: KeyVersions) -> str:
        """The base58 form (xprv… on mainnet, tprv… elsewhere): **the secret itself**."""
        text: str = self._node.to_base58(versions.xprv)
        return text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtendedSecretKey):
            return NotImplemented
        return hmac.compare_digest(self._node.serialize()[4:], other._node.serialize()[4:])

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"<ExtendedSecretKey {self.fingerprint.hex()} depth {self.depth}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


ExtendedKey = ExtendedPublicKey | ExtendedSecretKey


def _point(public_key: bytes) -> PublicKey:
    try:
        return PublicKey(public_key)
    except ValueError:
        raise BadKey("the public key is not a point of the curve") from None


def secret_half(key: ExtendedKey) -> ExtendedSecretKey:
    """*key* when it is private; ``NotPrivate``."""
    if isinstance(key, ExtendedSecretKey):
        return key
    raise NotPrivate("only the public key is here")


def parse_extended(text: str, versions: KeyVersions) -> ExtendedKey:
    """The extended key that *text* is the base58 form of (BIP 32), private or public.

    Raises ``BadKey``: bad checksum, another network's or another kind's version bytes (SLIP 132's zpub included), a key
    that does not fit the version, a master key with a parent or a number. Never quotes the text: it may be private.
    """
    try:
        data: bytes = base58.decode_check(text) if len(text) == _TEXT_LENGTH else b""
    except ValueError:
        raise BadKey("not an extended key: mistyped, its checksum is wrong") from None
    if len(data) != _SIZE:
        raise BadKey("not an extended key")
    _check_version(data[:4], versions)
    depth, parent, number = data[4], data[5:9], int.from_bytes(data[9:13], "big")
    if depth == 0 and (parent != _NO_PARENT or number):
        raise BadKey("a master key has no parent and no number")
    if data[:4] == versions.xprv:
        return _secret_key(text, data[45:])
    if data[45] not in (2, 3):
        raise BadKey("the version bytes are those of a public key, the key is not one")
    return ExtendedPublicKey(data[45:], data[13:45], depth, parent, number)


def _check_version(found: bytes, versions: KeyVersions) -> None:
    if found not in (versions.xprv, versions.xpub):
        wanted = "xpub or xprv" if versions.xpub.hex() == "0488b21e" else "tpub or tprv"
        raise BadKey(f"the extended key belongs to another network or kind; here it is {wanted}")


def _secret_key(text: str, key: bytes) -> ExtendedSecretKey:
    if key[0] != 0 or not is_secret(key[1:]):
        raise BadKey("the version bytes are those of a private key, the key is not one")
    return ExtendedSecretKey(HDKey.from_base58(text))

"""Key expressions of descriptors (BIP 380, BIP 389): ``[origin]key/path/<0;1>/*``, public or private."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from timecoin.ledger.networks import Network
from timecoin.primitives.hashes import hash160
from timecoin.primitives.signing import get_backend
from timecoin.primitives.wif import WifError, decode_wif, encode_wif

from .errors import BadDescriptor, BadKey, NotPrivate, UnsupportedDescriptor
from .hd import ExtendedKey, ExtendedPublicKey, ExtendedSecretKey, parse_extended
from .paths import Path, format_path, is_hardened, parse_path

__all__ = ["Derivation", "KeyExpression", "SingleSecret", "parse_key"]

_ORIGIN: Final = re.compile(r"\[([0-9a-fA-F]{8})((?:/[^/\]]+)*)\](.*)", re.ASCII | re.DOTALL)
_HEX_KEY: Final = re.compile(r"0[23][0-9a-fA-F]{64}", re.ASCII)
_LONG_HEX_KEY: Final = re.compile(r"0[4567][0-9a-fA-F]{128}", re.ASCII)
_CHOICE: Final = re.compile(r"<([^<>]*)>", re.ASCII)
_MAX_CHOICES: Final = 2
_WIF_LENGTH: Final = 52
_LONG_WIF: Final = re.compile(r"[59][1-9A-HJ-NP-Za-km-z]{50}", re.ASCII)


class Derivation(NamedTuple):
    """Where a public key comes from: ``fingerprint`` (4 bytes) of the topmost known key, ``path`` from there.

    The form of BIP 174's PSBT_IN_BIP32_DERIVATION. A key on its own is its own topmost key, with an empty path.
    """

    public_key: bytes
    fingerprint: bytes
    path: Path


class SingleSecret:
    """One private key that derives nothing. ``repr`` and pickle do not give it away."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.public_key: bytes = get_backend().public_key(secret)

    def secret(self) -> bytes:
        """The 32 bytes themselves."""
        return self._secret

    def reveal(self, network: Network) -> str:
        """The key in wallet import format: **secret**."""
        return encode_wif(self._secret, network.keys.wif)

    def __repr__(self) -> str:
        return f"<SingleSecret {self.public_key.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


class KeyExpression(NamedTuple):
    """One key of a descriptor for one chain: a fixed key, or an extended one with a path.

    ``origin`` is (fingerprint, path) as written before the key, or None; ``path`` what follows it; ``ranged`` whether
    ``/*`` comes last.
    """

    network: Network
    origin: tuple[bytes, Path] | None
    key: bytes | SingleSecret | ExtendedKey
    path: Path
    ranged: bool

    @property
    def is_private(self) -> bool:
        """Whether a secret is in it."""
        return isinstance(self.key, SingleSecret | ExtendedSecretKey)

    def public(self) -> KeyExpression:
        """The same without the secret: hardened steps are taken and become part of the origin."""
        if isinstance(self.key, SingleSecret):
            return self._replace(key=self.key.public_key)
        if not isinstance(self.key, ExtendedSecretKey):
            return self
        split = max((n for n, index in enumerate(self.path, 1) if is_hardened(index)), default=0)
        taken, rest = self.path[:split], self.path[split:]
        top, before = self.origin or (self.key.fingerprint, ())
        origin = (top, before + taken) if self.origin or taken else None
        return self._replace(origin=origin, key=self.key.derive(taken).public(), path=rest)

    def settled(self) -> KeyExpression:
        """The same with the path taken, so that each index costs one derivation; for a public expression."""
        if not isinstance(self.key, ExtendedPublicKey) or not self.path or not self.ranged:
            return self
        top, before = self.origin or (self.key.fingerprint, ())
        return self._replace(origin=(top, before + self.path), key=self.key.derive(self.path), path=())

    def public_key(self, index: int) -> bytes:
        """The 33-byte key at *index* (which a fixed key ignores) of a public expression."""
        if isinstance(self.key, bytes):
            return self.key
        if not isinstance(self.key, ExtendedPublicKey):
            return self.public().public_key(index)
        if self.ranged:
            return self.key.derive(self.path).child_key(index)
        return self.key.derive(self.path).public_key

    def derivation(self, index: int) -> Derivation:
        """The key at *index* and where it comes from."""
        public = self.public()
        key = public.public_key(index)
        tail = (*public.path, index) if public.ranged else public.path
        if public.origin is not None:
            return Derivation(key, public.origin[0], public.origin[1] + tail)
        if isinstance(public.key, ExtendedPublicKey):
            return Derivation(key, public.key.fingerprint, tail)
        return Derivation(key, hash160(key)[:4], ())

    def secret(self, index: int) -> bytes:
        """The 32-byte private key at *index*; ``NotPrivate``."""
        if isinstance(self.key, SingleSecret):
            return self.key.secret()
        if not isinstance(self.key, ExtendedSecretKey):
            raise NotPrivate("only the public key is here")
        return self.key.derive((*self.path, index) if self.ranged else self.path).secret()

    def text(self, reveal: bool = False) -> str:
        """The expression as it is written; a private one only with *reveal* (``NotPrivate`` otherwise)."""
        if self.is_private and not reveal:
            raise NotPrivate("the text of a private key is given only to who asks for it in plain words")
        origin = "" if self.origin is None else f"[{'/'.join(filter(None, _origin_parts(*self.origin)))}]"
        steps = "".join(f"/{step}" for step in (format_path(self.path), "*" if self.ranged else "") if step)
        return origin + self._key_text() + steps

    def _key_text(self) -> str:
        if isinstance(self.key, bytes):
            return self.key.hex()
        if isinstance(self.key, SingleSecret):
            return self.key.reveal(self.network)
        if isinstance(self.key, ExtendedSecretKey):
            return self.key.reveal(self.network.keys)
        return self.key.text(self.network.keys)


def _origin_parts(fingerprint: bytes, path: Path) -> tuple[str, str]:
    return fingerprint.hex(), format_path(path)


def parse_key(text: str, network: Network) -> tuple[KeyExpression, ...]:
    """The expressions that *text* stands for: one, or one for each alternative of ``<0;1>``.

    Raises ``BadDescriptor``; ``UnsupportedDescriptor`` for long and hybrid keys, a hardened range, hardened steps after
    a public key, and more than two alternatives. Never quotes the text: it may be private.
    """
    origin, rest = _origin(text)
    name, *steps = rest.split("/")
    key = _key(name, network)
    if steps and not isinstance(key, ExtendedPublicKey | ExtendedSecretKey):
        raise BadDescriptor("only an extended key has a path after it")
    ranged = bool(steps) and steps[-1] in ("*", "*h", "*'")
    if ranged and steps.pop() != "*":
        raise UnsupportedDescriptor("a hardened range (*h) cannot be watched without its private key")
    paths = _paths(steps)
    if isinstance(key, ExtendedPublicKey) and any(is_hardened(index) for path in paths for index in path):
        raise UnsupportedDescriptor("hardened steps cannot follow a public key; write them into its [origin]")
    return tuple(KeyExpression(network, origin, key, path, ranged) for path in paths)


def _origin(text: str) -> tuple[tuple[bytes, Path] | None, str]:
    if not text.startswith("["):
        return None, text
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise BadDescriptor("a key's origin is [8 hex digits/path]")
    return (bytes.fromhex(match[1]), _path(match[2][1:])), match[3]


def _path(text: str) -> Path:
    if text.startswith("m") or "H" in text:
        raise BadDescriptor("a path in a descriptor begins with a step, not with m, and is hardened by h or '")
    try:
        return parse_path(text)
    except BadKey as error:
        raise BadDescriptor(str(error)) from None


def _paths(steps: list[str]) -> tuple[Path, ...]:
    choices = [n for n, step in enumerate(steps) if "<" in step or ">" in step]
    if not choices:
        return (_steps(steps),)
    at = choices[0]
    match = _CHOICE.fullmatch(steps[at])
    if len(choices) > 1 or match is None:
        raise BadDescriptor("a key has one <…;…> at most, a step of its own")
    picked = match[1].split(";")
    if len(picked) != _MAX_CHOICES:
        raise UnsupportedDescriptor("<…;…> has two alternatives here: receiving and change")
    paths = tuple(_steps([*steps[:at], choice, *steps[at + 1 :]]) for choice in picked)
    if len(set(paths)) != len(paths):
        raise BadDescriptor("the alternatives of <…;…> are the same")
    return paths


def _steps(steps: list[str]) -> Path:
    if "" in steps:
        raise BadDescriptor("an empty step in a path")
    return _path("/".join(steps))


def _key(text: str, network: Network) -> bytes | SingleSecret | ExtendedKey:
    if _HEX_KEY.fullmatch(text):
        return _checked_point(bytes.fromhex(text))
    if _LONG_HEX_KEY.fullmatch(text) or _LONG_WIF.fullmatch(text):
        raise UnsupportedDescriptor("keys are in compressed form (33 bytes) only")
    try:
        if len(text) == _WIF_LENGTH:
            return SingleSecret(decode_wif(text, network.keys.wif))
        return parse_extended(text, network.keys)
    except (BadKey, WifError) as error:
        raise BadDescriptor(str(error)) from None


def _checked_point(key: bytes) -> bytes:
    if not get_backend().is_public_key(key):
        raise BadDescriptor("the public key is not a point of the curve")
    return key

"""The vault: what seals a wallet's secrets at rest, and forgets the key again.

A random master key seals the records; a key made from the passphrase (scrypt) wraps the master key, so that a change of
passphrase rewrites one record, the header. AES-256-GCM's associated data hold the wallet's id and the record's name:
a sealed record opens in its own place only. Threads: :meth:`Vault.master_key` and what calls it take half a second and
128 MiB, and are to be run in a thread; everything else is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, NoReturn
from unicodedata import normalize

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from timecoin.primitives.codec import DecodeError, Reader, var_bytes

from .errors import BadPassphrase, DamagedVault, VaultLocked, WrongPassphrase

__all__ = ["DEFAULT_COST", "PASSPHRASE_LIMIT", "Cost", "Draw", "MasterKey", "Vault"]

Draw = Callable[[int], bytes]
"""Gives that many random bytes (``secrets.token_bytes``, or a test's)."""

PASSPHRASE_LIMIT: Final = 1_024
"""Characters of a passphrase, at most."""

_FORMAT: Final = 1
_PLAIN, _SEALED = 0, 1
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16
_SALT_SIZE: Final = 16
_WRAPPED_SIZE: Final = _NONCE_SIZE + _KEY_SIZE + _TAG_SIZE
_MASTER_NAME: Final = b"master key"
_CONTEXT: Final = b"timecoin/wallet/1"
_LEAST_LOG_N, _MOST_LOG_N = 14, 18
_MOST_R: Final = 8
_MOST_P: Final = 4


class Cost(NamedTuple):
    """scrypt's parameters: N = 2^``log_n`` (14 to 18), ``r`` (1 to 8), ``p`` (1 to 4); 128·N·r bytes of memory."""

    log_n: int = 17
    r: int = 8
    p: int = 1

    def check(self) -> None:
        """Raise ``DamagedVault`` for what would be no protection, or would take the machine's memory."""
        if not (_LEAST_LOG_N <= self.log_n <= _MOST_LOG_N and 1 <= self.r <= _MOST_R and 1 <= self.p <= _MOST_P):
            raise DamagedVault("the vault's scrypt parameters are out of bounds")


DEFAULT_COST: Final = Cost()
"""0.35 s and 128 MiB on the machine that ``docs/decisions/wallet.rst`` was measured on."""


class MasterKey:
    """A vault's unwrapped key, on its way from the thread that made it to :meth:`Vault.admit`; shows nothing."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, draw: Draw, wallet_id: bytes, name: bytes, plain: bytes) -> bytes:
        """Nonce, ciphertext and tag of *plain* for that place."""
        nonce = draw(_NONCE_SIZE)
        return nonce + AESGCM(self._key).encrypt(nonce, plain, _place(wallet_id, name))

    def open(self, wallet_id: bytes, name: bytes, sealed: bytes) -> bytes | None:
        """What :meth:`seal` was given; None when *sealed* was made with another key, for another place, or altered."""
        if len(sealed) < _NONCE_SIZE + _TAG_SIZE:
            return None
        try:
            return AESGCM(self._key).decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], _place(wallet_id, name))
        except InvalidTag:
            return None

    def wrapped_by(self, outer: MasterKey, draw: Draw, wallet_id: bytes, header: bytes) -> bytes:
        """This key sealed with *outer*; *header* is bound to it."""
        return outer.seal(draw, wallet_id, _MASTER_NAME + header, self._key)

    def __repr__(self) -> str:
        return "<MasterKey>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


class _Header(NamedTuple):
    """What an encrypted vault stores about itself; ``wrapped`` is the master key under the passphrase's."""

    cost: Cost
    salt: bytes
    wrapped: bytes

    def bound(self) -> bytes:
        return bytes((_FORMAT, _SEALED, *self.cost)) + self.salt

    def encode(self) -> bytes:
        return self.bound() + self.wrapped


class Vault:
    """
    The seal of one wallet. ``Vault(wallet_id)`` is an unencrypted one: records are stored as they are.

    *wallet_id* are the store's 16 random bytes, *draw* the source of nonces, salts and keys.
    """

    __slots__ = ("_draw", "_header", "_key", "_wallet_id")

    def __init__(self, wallet_id: bytes, draw: Draw, header: _Header | None = None) -> None:
        self._wallet_id = wallet_id
        self._draw = draw
        self._header = header
        self._key: MasterKey | None = None

    @classmethod
    def decode(cls, data: bytes, wallet_id: bytes, draw: Draw) -> Vault:
        """The vault whose :meth:`encode` gave *data*, locked if it is encrypted; ``DamagedVault``."""
        return cls(wallet_id, draw, _read_header(data))

    def encode(self) -> bytes:
        """The header to store: nothing secret without the passphrase."""
        return bytes((_FORMAT, _PLAIN)) if self._header is None else self._header.encode()

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase protects the records."""
        return self._header is not None

    @property
    def is_locked(self) -> bool:
        """Whether the passphrase is needed before anything can be sealed or opened."""
        return self._header is not None and self._key is None

    def master_key(self, passphrase: str) -> MasterKey:
        """The key that *passphrase* unwraps, for :meth:`admit`; half a second: any thread but the reactor's.

        Raises ``WrongPassphrase``, ``BadPassphrase``; ``DamagedVault`` of a vault without passphrase.
        """
        header = self._encrypted()
        outer = _stretch(passphrase, header)
        key = outer.open(self._wallet_id, _MASTER_NAME + header.bound(), header.wrapped)
        if key is None:
            raise WrongPassphrase("the passphrase is wrong")
        return MasterKey(key)

    def admit(self, key: MasterKey) -> None:
        """Unlock with a key that :meth:`master_key` of this vault gave."""
        self._encrypted()
        self._key = key

    def unlock(self, passphrase: str) -> None:
        """:meth:`master_key` and :meth:`admit` in one, half a second; raises as :meth:`master_key`."""
        self.admit(self.master_key(passphrase))

    def lock(self) -> None:
        """Forget the key; nothing happens to a vault without passphrase.

        Python gives no way to blank memory: the bytes may linger in freed memory until they are overwritten.
        """
        self._key = None

    def seal(self, name: bytes, plain: bytes) -> bytes:
        """The form of *plain* to store under *name*; ``VaultLocked``."""
        if self._header is None:
            return bytes((_PLAIN,)) + plain
        return bytes((_SEALED,)) + self._unlocked().seal(self._draw, self._wallet_id, name, plain)

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """What was sealed under *name*; ``VaultLocked``, ``DamagedVault`` (altered, or of another place or wallet)."""
        if sealed[:1] != bytes((self._header is not None,)):
            raise DamagedVault("a stored secret is not in the form of this vault")
        if self._header is None:
            return sealed[1:]
        plain = self._unlocked().open(self._wallet_id, name, sealed[1:])
        if plain is None:
            raise DamagedVault("a stored secret was altered, or belongs to another record or wallet")
        return plain

    def encrypted(
        self, passphrase: str, records: Mapping[bytes, bytes], cost: Cost = DEFAULT_COST
    ) -> tuple[Vault, dict[bytes, bytes]]:
        """An encrypted vault, unlocked, in place of this plain one, and *records* (name to sealed) sealed anew.

        Half a second. What was stored before must leave the disk with its history (``WalletStore.rewrite``). Raises
        ``BadPassphrase``; ``DamagedVault`` when this one is encrypted already.
        """
        if self._header is not None:
            raise DamagedVault("the vault is encrypted already")
        key = MasterKey(self._draw(_KEY_SIZE))
        vault = Vault(self._wallet_id, self._draw, self._wrap(key, passphrase, cost))
        vault.admit(key)
        return vault, {name: vault.seal(name, self.open(name, sealed)) for name, sealed in records.items()}

    def with_passphrase(self, old: str, new: str, cost: Cost = DEFAULT_COST) -> Vault:
        """The vault under another passphrase: same master key, same records, another header to store.

        A second of work. Locked or not as this one is. ``WrongPassphrase`` (of *old*), ``BadPassphrase`` (of *new*).
        """
        _encode(new)
        key = self.master_key(old)
        vault = Vault(self._wallet_id, self._draw, self._wrap(key, new, cost))
        if not self.is_locked:
            vault.admit(key)
        return vault

    def _wrap(self, key: MasterKey, passphrase: str, cost: Cost) -> _Header:
        cost.check()
        bare = _Header(cost, self._draw(_SALT_SIZE), b"")
        outer = _stretch(passphrase, bare)
        return bare._replace(wrapped=key.wrapped_by(outer, self._draw, self._wallet_id, bare.bound()))

    def _encrypted(self) -> _Header:
        if self._header is None:
            raise DamagedVault("the vault has no passphrase")
        return self._header

    def _unlocked(self) -> MasterKey:
        if self._key is None:
            raise VaultLocked("the wallet is locked: its passphrase is needed first")
        return self._key

    def __repr__(self) -> str:
        state = "plain" if not self.is_encrypted else "locked" if self.is_locked else "unlocked"
        return f"<Vault {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault is not pickled; store its header")


def _place(wallet_id: bytes, name: bytes) -> bytes:
    return _CONTEXT + var_bytes(wallet_id) + var_bytes(name)


def _encode(passphrase: str) -> bytes:
    if not passphrase:
        raise BadPassphrase("the passphrase is empty")
    if len(passphrase) > PASSPHRASE_LIMIT:
        raise BadPassphrase(f"a passphrase has at most {PASSPHRASE_LIMIT} characters")
    # The same letters reach different keyboards in different forms; bytes that are no UTF-8 still count.
    return normalize("NFKD", passphrase).encode("utf-8", "surrogatepass")


def _stretch(passphrase: str, header: _Header) -> MasterKey:
    cost = header.cost
    kdf = Scrypt(salt=header.salt, length=_KEY_SIZE, n=1 << cost.log_n, r=cost.r, p=cost.p)
    return MasterKey(kdf.derive(_encode(passphrase)))


def _read_header(data: bytes) -> _Header | None:
    if data == bytes((_FORMAT, _PLAIN)):
        return None
    try:
        reader = Reader(data)
        if (reader.u8(), reader.u8()) != (_FORMAT, _SEALED):
            raise DamagedVault("not a vault of this version")
        header = _Header(
            Cost(reader.u8(), reader.u8(), reader.u8()), reader.take(_SALT_SIZE), reader.take(_WRAPPED_SIZE)
        )
        reader.finish()
    except DecodeError:
        raise DamagedVault("not a vault's header") from None
    header.cost.check()
    return header

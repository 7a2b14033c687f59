"""The secrets of one wallet, sealed by its vault: the recovery words, and the private forms of its descriptors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from timecoin.ledger.networks import Network
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.errors import NotPrivate
from timecoin.wallet.secrets import DEFAULT_COST, Cost, Draw, MasterKey, Vault

__all__ = ["SECRETS_TABLE", "VAULT_TABLE", "Keyring", "Words"]

SECRETS_TABLE: Final = "secrets"
VAULT_TABLE: Final = "vault"

_HEADER: Final = b"header"
_WORDS: Final = b"words"
_DESCRIPTOR: Final = b"descriptor:"


class Words(NamedTuple):
    """Recovery words and the BIP 39 passphrase that goes with them (usually empty): **secret**."""

    phrase: str
    passphrase: str

    def __repr__(self) -> str:
        return "<Words>"


class Keyring:
    """Opens and seals; everything but :meth:`master_key`, :meth:`encrypted` and :meth:`rewrapped` is quick."""

    def __init__(self, network: Network, vault: Vault, sealed: Mapping[bytes, bytes] | None = None) -> None:
        self._network = network
        self._vault = vault
        self._sealed = dict(sealed or {})
        self._open: dict[bytes, Descriptor] = {}
        self._changed: dict[bytes, None] = {}

    @classmethod
    def load(
        cls, network: Network, wallet_id: bytes, tables: Mapping[str, Mapping[bytes, bytes]], draw: Draw
    ) -> Keyring:
        """The keyring that the store's tables hold; ``DamagedVault``. A wallet without a header is not encrypted."""
        header = tables.get(VAULT_TABLE, {}).get(_HEADER)
        vault = Vault(wallet_id, draw) if header is None else Vault.decode(header, wallet_id, draw)
        return cls(network, vault, tables.get(SECRETS_TABLE, {}))

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase protects the secrets."""
        return self._vault.is_encrypted

    @property
    def is_locked(self) -> bool:
        """Whether the passphrase is needed before anything can be signed."""
        return self._vault.is_locked

    @property
    def has_words(self) -> bool:
        """Whether the wallet was made from words."""
        return _WORDS in self._sealed

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sign with."""
        return not self._sealed

    def holds(self, descriptor_id: bytes) -> bool:
        """Whether the private form of a descriptor is here."""
        return _DESCRIPTOR + descriptor_id in self._sealed

    # Putting in and taking out

    def put_words(self, words: Words) -> None:
        """Keep the words; ``VaultLocked``."""
        self._put(_WORDS, "\n".join(words).encode())

    def put(self, descriptor: Descriptor) -> None:
        """Keep a private descriptor, with the keys of it that are here already; ``VaultLocked``, ``NotPrivate``."""
        descriptor_id = descriptor.descriptor_id
        if self.holds(descriptor_id):
            descriptor = self.descriptor(descriptor_id).joined(descriptor)
        self._put(_DESCRIPTOR + descriptor_id, descriptor.reveal().encode())
        self._open.pop(descriptor_id, None)

    def _put(self, name: bytes, plain: bytes) -> None:
        self._sealed[name] = self._vault.seal(name, plain)
        self._changed[name] = None

    def words(self) -> Words:
        """The words: **secret**; ``VaultLocked``, ``NotPrivate`` when the wallet has none."""
        if _WORDS not in self._sealed:
            raise NotPrivate("this wallet was not made from words")
        phrase, _, passphrase = self._vault.open(_WORDS, self._sealed[_WORDS]).decode().partition("\n")
        return Words(phrase, passphrase)

    def descriptor(self, descriptor_id: bytes) -> Descriptor:
        """The private form of a descriptor: **secret**; ``VaultLocked``, ``NotPrivate``."""
        # A thread may be here while the wallet is locked: what it opens then goes nowhere.
        opened = self._open
        found = opened.get(descriptor_id)
        if found is None:
            name = _DESCRIPTOR + descriptor_id
            if name not in self._sealed:
                raise NotPrivate("the private key is not here")
            found = Descriptor.parse(self._vault.open(name, self._sealed[name]).decode(), self._network)
            opened[descriptor_id] = found
        return found

    # Locking

    def master_key(self, passphrase: str) -> MasterKey:
        """What :meth:`unlock` takes: half a second of scrypt, in any thread but the reactor's; ``WrongPassphrase``."""
        return self._vault.master_key(passphrase)

    def unlock(self, key: MasterKey) -> None:
        """Open the vault."""
        self._vault.admit(key)

    def lock(self) -> None:
        """Forget the key and everything opened with it."""
        self._open = {}
        self._vault.lock()

    def encrypted(self, passphrase: str, cost: Cost = DEFAULT_COST) -> tuple[Vault, dict[bytes, bytes]]:
        """A vault with a passphrase and the secrets sealed by it, for :meth:`take_over`; half a second."""
        return self._vault.encrypted(passphrase, self._sealed, cost)

    def rewrapped(self, old: str, new: str, cost: Cost = DEFAULT_COST) -> Vault:
        """The vault under another passphrase, for :meth:`take_over`; a second. ``WrongPassphrase``."""
        return self._vault.with_passphrase(old, new, cost)

    @property
    def vault(self) -> Vault:
        """The vault in use, for :meth:`take_over` when another one could not be stored."""
        return self._vault

    def sealed(self) -> dict[bytes, bytes]:
        """The sealed secrets by name, as the store has them."""
        return dict(self._sealed)

    def take_over(
        self, vault: Vault, sealed: Mapping[bytes, bytes] | None = None
    ) -> dict[str, dict[bytes, bytes | None]]:
        """Use another vault from now on; what the store has to be rewritten with, so that the old form leaves it."""
        self._vault = vault
        self._open = {}
        if sealed is not None:
            self._sealed = dict(sealed)
        self._changed.clear()
        return {VAULT_TABLE: {_HEADER: vault.encode()}, SECRETS_TABLE: dict(self._sealed)}

    def take_changes(self) -> dict[bytes, bytes | None]:
        """What the table of secrets has to be told since the last call."""
        changes: dict[bytes, bytes | None] = {name: self._sealed[name] for name in self._changed}
        self._changed.clear()
        return changes

    def secrets(self, places: Iterable[tuple[bytes, int]]) -> dict[bytes, bytes]:
        """Private keys by public key at (descriptor id, index), of descriptors that are here: **secret**.

        Some milliseconds each: best in a thread. ``VaultLocked``.
        """
        found: dict[bytes, bytes] = {}
        for descriptor_id, index in places:
            if self.holds(descriptor_id):
                found.update(self.descriptor(descriptor_id).secrets(index))
        return found

    def __repr__(self) -> str:
        return f"<Keyring {self._vault!r}>"

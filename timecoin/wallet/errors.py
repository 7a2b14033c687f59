"""What the wallet's pure parts raise: every message is one line that can be shown, and none holds a secret."""

from __future__ import annotations


class WalletError(Exception):
    """Base of everything that this room raises on purpose."""


class BadWords(WalletError):
    """A recovery phrase that is not one: wrong number, an unknown word, a wrong checksum.

    ``position`` is that of the unknown word, from 1; None when the phrase as a whole is wrong. The words
    themselves are never quoted.
    """

    def __init__(self, text: str, position: int | None = None) -> None:
        super().__init__(text)
        self.position = position


class BadKey(WalletError):
    """An extended key, secret or path that is malformed, of another network or impossible to derive from."""


class BadDescriptor(WalletError):
    """A text that is not an output descriptor, or whose checksum is wrong."""


class UnsupportedDescriptor(BadDescriptor):
    """A descriptor of Bitcoin's whose outputs the ledger cannot hold, or that cannot be watched."""


class NotPrivate(WalletError):
    """A secret was asked of something that holds public keys only."""


class VaultError(WalletError):
    """Base of what a vault raises."""


class VaultLocked(VaultError):
    """The vault is encrypted, and its passphrase has not been given or was forgotten again."""


class WrongPassphrase(VaultError):
    """The passphrase does not open the vault; also when the stored key was altered, which looks the same."""


class BadPassphrase(VaultError):
    """A passphrase that cannot be used: empty, or too long."""


class DamagedVault(VaultError):
    """What is stored is not what this vault sealed under that name, or not a vault's header at all."""


class BadRecord(WalletError):
    """A stored record of the script book does not read back."""


class NoDescriptor(WalletError):
    """The book has no (active) descriptor for what was asked."""


class RangeExhausted(WalletError):
    """A descriptor has no index left to hand out, or has no range at all."""

"""RPC methods that lock and unlock wallets."""

from __future__ import annotations

from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import wallet_of


async def encryptwallet(context: Context, passphrase: str) -> str:
    """Encrypt the wallet's secrets (scrypt, AES-256-GCM) and lock it. The plain form is wiped from the wallet's file;
    backups made before keep it.

    Without the passphrase the wallet does not pay; only the recovery words help then.

    :param passphrase: not empty; at most 1,024 characters
    :returns: what to do next
    :error -8: the passphrase is empty
    :error -15: the wallet is encrypted already
    :error -16: there are no secrets in the wallet, or the passphrase cannot be used
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    await wallet_of(context).encrypt(passphrase)
    return "wallet encrypted; it is locked now. Make a new backup: older ones are not encrypted."


async def walletpassphrase(context: Context, passphrase: str, timeout: int) -> None:
    """Unlock the wallet for some time; a later call replaces the time.

    :param passphrase: the wallet's
    :param timeout: seconds, at most 100,000,000
    :returns: null
    :error -8: the passphrase is empty, or the time negative
    :error -14: the passphrase is wrong
    :error -15: the wallet is not encrypted
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    await wallet_of(context).unlock(passphrase, timeout)


def walletlock(context: Context) -> None:
    """Lock the wallet at once.

    :returns: null
    :error -15: the wallet is not encrypted
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet_of(context).lock()


async def walletpassphrasechange(context: Context, oldpassphrase: str, newpassphrase: str) -> None:
    """Give the wallet another passphrase. Backups made before open with the old one.

    :param oldpassphrase: the present one
    :param newpassphrase: not empty
    :returns: null
    :error -8: one of them is empty
    :error -14: the old one is wrong
    :error -15: the wallet is not encrypted
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    await wallet_of(context).change_passphrase(oldpassphrase, newpassphrase)


METHODS = (
    method("Wallet", encryptwallet, cost=20),
    method("Wallet", walletlock),
    method("Wallet", walletpassphrase, cost=20),
    method("Wallet", walletpassphrasechange, cost=20),
)

"""RPC methods that make a wallet whose coins several people share: m of n keys, P2WSH, paid out of by PSBTs."""

from __future__ import annotations

from typing import TypedDict

from timecoin.ledger.networks import Network
from timecoin.rpc.building import network_of
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Import, NewWallet
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import wallet_of, wallets_of
from timecoin.wallet.book import CHANGE, RECEIVE
from timecoin.wallet.descriptors import Descriptor, multisig_descriptor
from timecoin.wallet.errors import BadDescriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keyring import Words
from timecoin.wallet.keys import Account
from timecoin.wallet.words import seed

_MOST_KEYS = 15
_MOST_ACCOUNT = 1_000
_MAKING = 60
"""Seconds for which the new wallet is unlocked at most: encrypted from the start, it never held a key in plain."""


class CosignerKey(TypedDict):
    """The public key that this wallet brings to a shared one, with its origin, as it stands in a descriptor."""

    key: str


async def getcosignerkey(context: Context, account: int = 0) -> CosignerKey:
    """The public key (BIP 48) that this wallet brings to a shared wallet; give it to the others.

    It shows all addresses of the shared wallet to who has the keys of all, and lets nobody spend.

    :param account: from 0 to 1000: another one for each shared wallet
    :returns: the key with its origin
    :error -4: the wallet has no recovery words
    :error -8: the account is out of its range
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    own = await _own(context, account)
    return {"key": own.public_expression}


async def _own(context: Context, account: int) -> Account:
    if not 0 <= account <= _MOST_ACCOUNT:
        raise RpcError(INVALID_PARAMETER, f"account is from 0 to {_MOST_ACCOUNT}")
    words = await wallet_of(context).words()
    return await context.aside(_cosigner, words, network_of(context), account)


def _cosigner(words: Words, network: Network, account: int) -> Account:
    master = ExtendedSecretKey.from_seed(seed(words.phrase, words.passphrase))
    return Account.cosigner(master, network, account)


class SharedWallet(TypedDict):
    """``descriptors``: the public ones of receiving and change addresses; all who share it must see the same."""

    name: str
    descriptors: list[str]


async def createmultisigwallet(
    context: Context,
    wallet_name: str,
    nrequired: int,
    keys: list[str],
    passphrase: str = "",
    account: int = 0,
    rescan: bool = False,
) -> SharedWallet:
    """Make a wallet that this wallet shares with others: nrequired of the owners of keys sign together, by PSBTs.

    Each calls this with the same keys, in any order; the descriptors in the answers must be the same. Pay with
    walletcreatefundedpsbt, hand the PSBT round for walletprocesspsbt, then combinepsbt, finalizepsbt and
    sendrawtransaction. Keep the descriptors beside your recovery words: the words alone do not find these coins.

    :param wallet_name: the name of the new wallet
    :param nrequired: how many signatures a spend needs, from 1
    :param keys: from 1 to 15 keys as getcosignerkey gives them, that of this wallet among them
    :param passphrase: encrypt the new wallet with this; without, it holds the key in plain
    :param account: the one that getcosignerkey was asked for
    :param rescan: look through the chain for what was paid to it already; the answer waits for that
    :returns: the name and the public descriptors
    :error -4: this wallet has no recovery words, or the new one cannot be made
    :error -5: a key is malformed or private, or stands there twice
    :error -8: the own key is not among them, or the numbers do not fit
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    if not 1 <= nrequired <= len(keys) <= _MOST_KEYS:
        problem = f"{nrequired} of {len(keys)} keys: of 1 to {_MOST_KEYS} keys one at least has to sign, all at most"
        raise RpcError(INVALID_PARAMETER, problem)
    pair = await context.aside(_descriptors, await _own(context, account), nrequired, keys, network_of(context))
    made = (await wallets_of(context).create(NewWallet(wallet_name, blank=True, passphrase=passphrase))).wallet
    if passphrase:
        await made.unlock(passphrase, _MAKING)
    since = 0 if rescan else None
    chains = zip(pair, (RECEIVE, CHANGE), strict=True)
    await made.import_descriptors([Import(each, chain, True, since, 0, None, 0, "", since) for each, chain in chains])
    if passphrase:
        made.lock()
    await made.finish_scan()
    return {"name": made.name, "descriptors": [each.public_text for each in pair]}


def _extended(key: str) -> str:
    """A key expression without its origin, which can be written in more than one way."""
    return key.rpartition("]")[2]


def _descriptors(own: Account, required: int, keys: list[str], network: Network) -> tuple[Descriptor, ...]:
    """In the order of the extended keys, so that all who share the wallet get the same text."""
    ordered = sorted(keys, key=_extended)
    mine = [n for n, key in enumerate(ordered) if _extended(key) == own.xpub]
    if not mine:
        raise RpcError(INVALID_PARAMETER, "the key of this wallet (getcosignerkey) is not among the keys")
    try:
        if any(each.is_private for each in multisig_descriptor(required, ordered, network)):
            raise RpcError(INVALID_ADDRESS_OR_KEY, "a key is private: others must never see it")
        ordered[mine[0]] = own.reveal_expression()
        return multisig_descriptor(required, ordered, network)
    except BadDescriptor as problem:
        raise RpcError(INVALID_ADDRESS_OR_KEY, str(problem)) from None


METHODS = (
    method("Wallet", createmultisigwallet, cost=10),
    method("Wallet", getcosignerkey, cost=5),
)

"""RPC methods that make, load and keep wallets."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, NotRequired, TypedDict

from timecoin.primitives.hashes import display
from timecoin.rpc.codec import Amount, amount
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Created, NewWallet
from timecoin.rpc.results_wallet import LastBlock, NamedWallet
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import chosen_name, own_balance, wallet_of, wallets_of
from timecoin.rpc.wallet_errors import WALLET_ERROR
from timecoin.wallet.book import CHANGE, RECEIVE
from timecoin.wallet.keyring import Words

_ENTROPY: Final = {12: 16, 15: 20, 18: 24, 21: 28, 24: 32}
_EMPTY_PASSPHRASE: Final = "Empty string given as passphrase, wallet will not be encrypted."


async def createwallet(
    context: Context,
    wallet_name: str,
    disable_private_keys: bool = False,
    blank: bool = False,
    passphrase: str | None = None,
    avoid_reuse: bool = False,
    descriptors: bool = True,
    load_on_startup: bool | None = None,
    external_signer: bool = False,
    show_words: bool = False,
    word_count: int = 12,
) -> NamedWallet:
    """Make a wallet with new recovery words, and load it.

    Whoever has the words has the money: write them down (show_words, or later getwalletwords), and keep them away from
    this machine. From the words alone all addresses and coins are found again (restorewalletfromwords); labels and
    notes are in backups only.

    :param wallet_name: 1 to 64 letters, digits, spaces and . _ -
    :param disable_private_keys: only watch; importdescriptors says what
    :param blank: without words or addresses of its own
    :param passphrase: encrypt it with this
    :param avoid_reuse: not offered
    :param descriptors: true, there is no other kind
    :param load_on_startup: load it at every start of the node (true), or no longer (false)
    :param external_signer: not offered; sign elsewhere with PSBTs
    :param show_words: answer with the recovery words
    :param word_count: how many words: 12, 15, 18, 21 or 24
    :returns: its name, and the words if they were asked for
    :error -4: there is such a wallet, or something is asked for that is not offered
    :error -8: the name is not allowed, or word_count is another number
    :error -18: this node has no wallets
    """
    wallets = wallets_of(context)
    _check_offered(avoid_reuse, descriptors, external_signer)
    if word_count not in _ENTROPY:
        raise RpcError(INVALID_PARAMETER, "word_count is 12, 15, 18, 21 or 24")
    wanted = NewWallet(
        wallet_name,
        watch_only=disable_private_keys,
        blank=blank,
        passphrase=passphrase or "",
        entropy_bytes=_ENTROPY[word_count],
        load_on_startup=load_on_startup,
    )
    shown = _named(await wallets.create(wanted), show_words)
    return shown if passphrase != "" else {**shown, "warnings": [_EMPTY_PASSPHRASE]}


def _check_offered(avoid_reuse: bool, descriptors: bool, external_signer: bool) -> None:
    if not descriptors:
        reason = 'descriptors argument must be set to "true"; it is no longer possible to create a legacy wallet.'
        raise RpcError(WALLET_ERROR, reason)
    if external_signer:
        raise RpcError(WALLET_ERROR, "External signers are not driven from here: sign PSBTs with them")
    if avoid_reuse:
        raise RpcError(WALLET_ERROR, "avoid_reuse is not offered")


def _named(created: Created, show_words: bool = False) -> NamedWallet:
    shown: NamedWallet = {"name": created.wallet.name}
    if created.warnings:
        shown["warnings"] = list(created.warnings)
    if show_words and created.words is not None:
        shown["words"] = created.words.phrase
    return shown


async def restorewalletfromwords(
    context: Context,
    wallet_name: str,
    words: str,
    word_passphrase: str = "",
    passphrase: str = "",
    load_on_startup: bool | None = None,
    rescan: bool = True,
) -> NamedWallet:
    """Make a wallet of recovery words (BIP 39, account 0 of BIP 84), and look through the chain for its coins.

    The scan goes on after the answer: getwalletinfo shows its progress. Where the node joined the network with a
    snapshot, coins of older blocks are found, but not their history (missing_history_below).

    :param wallet_name: as in createwallet
    :param words: 12 to 24 English words
    :param word_passphrase: the BIP 39 passphrase that belongs to the words, if they have one
    :param passphrase: encrypt the wallet with this
    :param load_on_startup: as in createwallet
    :param rescan: false for words that were never used
    :returns: its name
    :error -4: there is such a wallet
    :error -5: the words are no recovery phrase
    :error -8: the name is not allowed
    :error -18: this node has no wallets
    """
    wanted = NewWallet(
        wallet_name,
        passphrase=passphrase,
        words=Words(" ".join(words.split()), word_passphrase),
        load_on_startup=load_on_startup,
        rescan=rescan,
    )
    return _named(await wallets_of(context).create(wanted))


async def loadwallet(context: Context, filename: str, load_on_startup: bool | None = None) -> NamedWallet:
    """Load a wallet that is in the directory of wallets.

    :param filename: its name
    :param load_on_startup: as in createwallet
    :returns: its name
    :error -4: it cannot be read, is of another network, or a copy of it is loaded
    :error -18: there is none
    :error -35: it is loaded already
    """
    return _named(await wallets_of(context).load(filename, load_on_startup))


async def unloadwallet(
    context: Context, wallet_name: str | None = None, load_on_startup: bool | None = None
) -> NamedWallet:
    """Write a wallet to the disk and close it.

    :param wallet_name: its name; left out, that of the path /wallet/NAME
    :param load_on_startup: as in createwallet
    :returns: nothing in particular
    :error -8: it is named twice and differently, or not at all
    :error -18: it is not loaded
    """
    await wallets_of(context).unload(chosen_name(context, wallet_name), load_on_startup)
    return {}


async def restorewallet(
    context: Context, wallet_name: str, backup_file: str, load_on_startup: bool | None = None
) -> NamedWallet:
    """Make a wallet of a file that backupwallet wrote, load it, and let it catch up with the chain.

    What was signed after the backup is not in it: the restored wallet signs nothing until the epoch is over
    (getepochinfo). Two copies of a wallet are never loaded together.

    :param wallet_name: as in createwallet
    :param backup_file: path of the file on the node's machine
    :param load_on_startup: as in createwallet
    :returns: its name
    :error -4: the wallet that the backup is of, or a copy of it, is loaded
    :error -8: the name is not allowed, or the file is no backup for this network
    :error -18: this node has no wallets
    :error -36: there is such a wallet
    """
    return _named(await wallets_of(context).restore(wallet_name, Path(backup_file).absolute(), load_on_startup))


async def backupwallet(context: Context, destination: str) -> None:
    """Write a copy of the wallet to a file, safely while it is in use. An encrypted wallet's copy is encrypted.

    :param destination: path of a file that is not there yet, on the node's machine
    :returns: null
    :error -4: it cannot be written
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    await wallet_of(context).backup(Path(destination).absolute())


def listwallets(context: Context) -> list[str]:
    """The wallets that are loaded.

    :returns: their names, in the order of loading
    """
    return [] if context.wallets is None else context.wallets.loaded()


class WalletName(TypedDict):
    """A wallet in the directory of wallets."""

    name: str


class WalletNames(TypedDict):
    """All wallets in the directory of wallets."""

    wallets: list[WalletName]


async def listwalletdir(context: Context) -> WalletNames:
    """The wallets in the directory of wallets, loaded or not.

    :returns: their names
    :error -18: this node has no wallets
    """
    return {"wallets": [{"name": each} for each in await wallets_of(context).on_disk()]}


class WalletWords(TypedDict):
    """``word_passphrase``: there when the words have one, without which they are worth nothing."""

    words: str
    word_passphrase: NotRequired[str]


async def getwalletwords(context: Context) -> WalletWords:
    """The recovery words of the wallet.

    Whoever reads them has the money: call it where nobody looks on, and not through tools that keep what they receive.

    :returns: the words
    :error -4: the wallet was not made from words
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    words = await wallet_of(context).words()
    shown: WalletWords = {"words": words.phrase}
    return {**shown, "word_passphrase": words.passphrase} if words.passphrase else shown


class Scanning(TypedDict):
    """A scan of the chain under way: seconds so far, part that is done (0 to 1), height."""

    duration: int
    progress: float
    height: int


class _WalletInfo(TypedDict):
    walletname: str
    walletversion: int
    format: str
    balance: Amount
    unconfirmed_balance: Amount
    immature_balance: Amount
    txcount: int
    keypoolsize: int
    keypoolsize_hd_internal: int
    paytxfee: Amount
    private_keys_enabled: bool
    avoid_reuse: bool
    scanning: Scanning | Literal[False]
    descriptors: bool
    external_signer: bool
    blank: bool
    encrypted: bool
    birthtime: int
    flags: list[str]
    lastprocessedblock: LastBlock
    synced_height: int
    recoverable_from_words: bool
    addresses_beyond_gap: int


class WalletInfo(_WalletInfo, total=False):
    """``balance`` and ``unconfirmed_balance``: trusted and untrusted_pending of getbalances; no coin is ever immature.

    ``unlocked_until``: there when it is encrypted; 0: locked. ``synced_height``: blocks up to it were looked at.

    ``addresses_beyond_gap``: so many addresses were given out, unused, beyond what a restore from the words looks for.
    ``missing_history_below``: blocks below this height were never here, so only the coins that were left of them are
    known. ``unscanned_from``: blocks from this height on are still to be searched for scripts that were imported, or
    that an aborted scan made it watch; that goes on by itself, after abortrescan when the wallet is loaded again.
    """

    unlocked_until: int
    unscanned_from: int
    missing_history_below: int


def getwalletinfo(context: Context) -> WalletInfo:
    """What the wallet is and how far it has come.

    :returns: its kind, the scan under way, how long it is unlocked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet, tip = wallet_of(context), context.node.tip()
    state, scan = wallet.state, wallet.scanning
    settings, keyring = state.settings, state.keyring
    own = own_balance(wallet)
    shown: WalletInfo = {
        "walletname": wallet.name,
        "walletversion": 169900,
        "format": "zodb",
        "balance": amount(own.trusted),
        "unconfirmed_balance": amount(own.untrusted),
        "immature_balance": amount(0),
        "txcount": len(state.history),
        "keypoolsize": _ahead(context, RECEIVE),
        "keypoolsize_hd_internal": _ahead(context, CHANGE),
        "paytxfee": amount(settings.fee_rate),
        "private_keys_enabled": not settings.watch_only,
        "avoid_reuse": False,
        "scanning": scan is not None
        and {"duration": scan.seconds, "progress": round(scan.progress, 6), "height": scan.height},
        "descriptors": True,
        "external_signer": False,
        "blank": settings.blank,
        "encrypted": keyring.is_encrypted,
        "birthtime": settings.created,
        "flags": ["descriptor_wallet", *(["disable_private_keys"] if settings.watch_only else [])],
        "lastprocessedblock": {"hash": display(tip.block_hash), "height": tip.height},
        "synced_height": settings.synced,
        "recoverable_from_words": keyring.has_words,
        "addresses_beyond_gap": state.book.beyond_gap(RECEIVE),
    }
    if keyring.is_encrypted:
        shown["unlocked_until"] = wallet.unlocked_until
    if settings.again_from >= 0:
        shown["unscanned_from"] = settings.again_from
    if settings.missing_below:
        shown["missing_history_below"] = settings.missing_below
    return shown


def _ahead(context: Context, chain: int) -> int:
    """Addresses that are watched and not handed out."""
    book = wallet_of(context).state.book
    active = book.active(chain)
    if active is None:
        return 0
    listed = book.listed(active)
    return listed.end - listed.next_index


METHODS = (
    method("Wallet", backupwallet, cost=20),
    method("Wallet", createwallet, cost=20),
    method("Wallet", getwalletinfo),
    method("Wallet", getwalletwords),
    method("Wallet", listwalletdir),
    method("Wallet", listwallets),
    method("Wallet", loadwallet, cost=20),
    method("Wallet", restorewallet, cost=20),
    method("Wallet", restorewalletfromwords, cost=20),
    method("Wallet", unloadwallet),
)

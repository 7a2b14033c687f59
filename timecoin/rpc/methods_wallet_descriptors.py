"""RPC methods about what a wallet watches and spends from, and about looking through the chain for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NotRequired, Required, TypedDict

from timecoin.rpc.building import network_of
from timecoin.rpc.descriptor_arguments import RangeArg, descriptors_of
from timecoin.rpc.errors import INVALID_PARAMETER, TYPE_ERROR, RpcError
from timecoin.rpc.face_wallet import Import, OpenWallet
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import label_of, wallet_of
from timecoin.rpc.wallet_errors import UNLOCK_NEEDED, WALLET_ERROR, wallet_error
from timecoin.wallet.book import CHANGE, RECEIVE
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.errors import NotPrivate, WalletError

_TIME_MARGIN: Final = 7_200
"""Seconds before a descriptor's time from which on blocks are looked at, as in Core."""
_DEFAULT_END: Final = 1_000


class ImportRequest(TypedDict, total=False):
    """One descriptor to be imported."""

    desc: Required[str]
    timestamp: Required[Any]
    active: bool
    range: RangeArg
    next_index: int
    internal: bool
    label: str


class ImportProblem(TypedDict):
    """Why a descriptor was not imported."""

    code: int
    message: str


class Imported(TypedDict):
    """What became of one descriptor."""

    success: bool
    warnings: NotRequired[list[str]]
    error: NotRequired[ImportProblem]


async def importdescriptors(context: Context, requests: list[ImportRequest]) -> list[Imported]:
    """Watch the scripts of descriptors, or spend from them, and look through the chain from their time on.

    A wallet with private keys takes descriptors with private keys only, one made with disable_private_keys only public
    ones. The answer comes when the scan is done; getwalletinfo shows its progress. A scan goes on when the caller
    leaves; one that is cut off goes on when the wallet is loaded again (getwalletinfo, unscanned_from).

    :param requests: wpkh(), wsh(multi()), wsh(sortedmulti()), addr() or raw() descriptors, with checksums
    :param requests.desc: the descriptor, with its checksum
    :param requests.timestamp: Unix time from which on it may have been used, or "now"
    :param requests.active: give out addresses of it from now on
    :param requests.range: the indexes to watch: last, or first and last
    :param requests.next_index: the next index to be given out
    :param requests.internal: it is for change
    :param requests.label: a label of its addresses
    :returns: for each whether it was imported; a failure does not keep others out
    :error -1: the scan was aborted; the descriptors are imported all the same
    :error -4: a scan is under way
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if wallet.scanning is not None:
        raise RpcError(WALLET_ERROR, "Wallet is currently rescanning. Abort existing rescan or wait.")
    if wallet.state.keyring.is_locked:
        raise RpcError(UNLOCK_NEEDED, "Error: Please enter the wallet passphrase with walletpassphrase first.")
    try:
        answers = [await _answer(context, wallet, each) for each in requests]
    except BaseException:
        # Who leaves half-way leaves scripts that nobody has looked for yet.
        wallet.finish_scan().addErrback(lambda _: None)
        raise
    await wallet.finish_scan()
    return answers


async def _answer(context: Context, wallet: OpenWallet, request: ImportRequest) -> Imported:
    try:
        warnings = await _import(context, wallet, request)
    except RpcError as problem:
        return {"success": False, "error": {"code": problem.code, "message": problem.message}}
    return {"success": True, "warnings": warnings} if warnings else {"success": True}


async def _import(context: Context, wallet: OpenWallet, request: ImportRequest) -> list[str]:
    found = descriptors_of(request["desc"], network_of(context), checksum_required=True)
    time = _time(request["timestamp"])
    imports, warnings = _imports(wallet, found, request, time)
    first = None if time is None else await _first_height(context, time)
    await wallet.import_descriptors([replace(each, look_from=first) for each in imports])
    return warnings


def _time(given: Any) -> int | None:
    if given == "now":
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise RpcError(TYPE_ERROR, f'Expected number or "now" timestamp value for key. got type {type(given).__name__}')
    return max(0, given)


def _imports(
    wallet: OpenWallet, found: Sequence[Descriptor], request: ImportRequest, time: int | None
) -> tuple[list[Import], list[str]]:
    ranged, warnings = found[0].is_ranged, list[str]()
    _check_range(request, found, warnings)
    first, last = request.get("range", (0, _DEFAULT_END - 1)) if ranged else (0, 0)
    internal = request.get("internal", False)
    for each in found:
        _check_keys(wallet, each)
    chains = (RECEIVE, CHANGE) if len(found) > 1 else (CHANGE if internal else RECEIVE,)
    imports = [
        Import(
            each,
            chain,
            request.get("active", False),
            time,
            first,
            last + 1 if ranged else None,
            request.get("next_index", first),
            label_of(request.get("label", "")) if chain == RECEIVE else "",
        )
        for each, chain in zip(found, chains, strict=True)
    ]
    return imports, warnings


def _check_range(request: ImportRequest, found: Sequence[Descriptor], warnings: list[str]) -> None:
    ranged = found[0].is_ranged
    if not ranged and "range" in request:
        raise RpcError(INVALID_PARAMETER, "Range should not be specified for an un-ranged descriptor")
    if not ranged and request.get("active"):
        raise RpcError(INVALID_PARAMETER, "Active descriptors must be ranged")
    if ranged and request.get("label"):
        raise RpcError(INVALID_PARAMETER, "Ranged descriptors should not have a label")
    if request.get("internal") and (request.get("label") or len(found) > 1):
        complaint = "Internal addresses should not have a label" if request.get("label") else "two descriptors in one"
        raise RpcError(INVALID_PARAMETER, complaint)
    if ranged and "range" not in request:
        warnings.append("Range not given, using default keypool range")
    first, last = request.get("range", (0, _DEFAULT_END - 1))
    if ranged and not first <= request.get("next_index", first) <= last + 1:
        raise RpcError(INVALID_PARAMETER, "next_index is out of range")


def _check_keys(wallet: OpenWallet, descriptor: Descriptor) -> None:
    if wallet.state.settings.watch_only and descriptor.is_private:
        raise RpcError(WALLET_ERROR, "Cannot import private keys to a wallet with private keys disabled")
    if not wallet.state.settings.watch_only and not descriptor.is_private:
        raise RpcError(
            WALLET_ERROR, "Cannot import descriptor without private keys to a wallet with private keys enabled"
        )


async def _first_height(context: Context, time: int) -> int:
    """The lowest height with a slot time not more than the margin before ``time``; of blocks that are here."""
    wanted, low, high = time - _TIME_MARGIN, context.node.chain().base, context.node.tip().height
    while low < high:
        middle = (low + high) // 2
        header = await context.node.header_at(middle)
        low, high = (middle + 1, high) if header.slot_time < wanted else (low, middle)
    return low if low > context.node.chain().base else 0


class _ListedDescriptor(TypedDict):
    desc: str
    timestamp: int
    active: bool


class ListedDescriptor(_ListedDescriptor, total=False):
    """A descriptor of the wallet. ``internal``: of active ones; ``range`` (first and last index watched) and ``next``:
    of ranged ones."""

    internal: bool
    range: list[int]
    next: int
    next_index: int


class ListedDescriptors(TypedDict):
    """The descriptors of a wallet, sorted by their text."""

    wallet_name: str
    descriptors: list[ListedDescriptor]


def listdescriptors(context: Context, private: bool = False) -> ListedDescriptors:
    """What the wallet watches and spends from.

    :param private: with private keys: who sees them has the money
    :returns: descriptors
    :error -4: the wallet has no private keys
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if private and wallet.state.settings.watch_only:
        raise RpcError(WALLET_ERROR, "Can't get private descriptor string for watch-only wallets")
    if private and wallet.state.keyring.is_locked:
        raise RpcError(UNLOCK_NEEDED, "Error: Please enter the wallet passphrase with walletpassphrase first.")
    found = [_listed(wallet, each, private) for each, _ in wallet.state.book.descriptors()]
    return {"wallet_name": wallet.name, "descriptors": sorted(found, key=lambda each: each["desc"])}


def _listed(wallet: OpenWallet, descriptor_id: bytes, private: bool) -> ListedDescriptor:
    listed = wallet.state.book.listed(descriptor_id)
    shown: ListedDescriptor = {
        "desc": _revealed(wallet, descriptor_id) if private else listed.descriptor.public_text,
        "timestamp": listed.created,
        "active": listed.active,
    }
    if listed.active:
        shown["internal"] = listed.chain == CHANGE
    if listed.descriptor.is_ranged:
        shown["range"] = [listed.first, listed.end - 1]
        shown["next"] = shown["next_index"] = listed.next_index
    return shown


def _revealed(wallet: OpenWallet, descriptor_id: bytes) -> str:
    try:
        return wallet.state.keyring.descriptor(descriptor_id).reveal()
    except NotPrivate:
        return wallet.state.book.listed(descriptor_id).descriptor.public_text
    except WalletError as problem:
        raise wallet_error(problem) from None


class Rescanned(TypedDict):
    """The heights that were looked at."""

    start_height: int
    stop_height: int


async def rescanblockchain(context: Context, start_height: int = 0, stop_height: int | None = None) -> Rescanned:
    """Look through blocks for transactions of the wallet; the answer comes when it is done.

    getwalletinfo shows the progress; abortrescan ends it. Where the node lacks the blocks asked for, because it joined
    with a snapshot, the unspent coins of that time are looked at instead.

    :param start_height: the first block
    :param stop_height: the last block; left out, the newest
    :returns: the blocks that were looked at
    :error -1: it was aborted
    :error -4: a scan is under way
    :error -8: a height is out of range
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet, tip = wallet_of(context), context.node.tip().height
    if not 0 <= start_height <= tip:
        raise RpcError(INVALID_PARAMETER, "Invalid start_height")
    if stop_height is not None and not 0 <= stop_height <= tip:
        raise RpcError(INVALID_PARAMETER, "Invalid stop_height")
    if stop_height is not None and stop_height < start_height:
        raise RpcError(INVALID_PARAMETER, "stop_height must be greater than start_height")
    first, last = await wallet.rescan(start_height, stop_height)
    return {"start_height": first, "stop_height": last}


def abortrescan(context: Context) -> bool:
    """End the scan under way.

    :returns: whether there was one
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    return wallet_of(context).abort_scan()


METHODS = (
    method("Wallet", abortrescan),
    method("Wallet", importdescriptors, cost=5, waits=True),
    method("Wallet", listdescriptors),
    method("Wallet", rescanblockchain, waits=True),
)

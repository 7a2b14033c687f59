"""RPC methods about a wallet's transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from timecoin.primitives.hashes import Hash, display
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.codec import Amount, HashText, HexText, amount
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.render import decoded_json
from timecoin.rpc.results_tx import DecodedTransaction
from timecoin.rpc.results_wallet import Detail, HistoryLine, LastBlock, WalletTransaction
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import wallet_of
from timecoin.rpc.wallet_history import details, lines, transaction_of
from timecoin.wallet.details import flow
from timecoin.wallet.records import Record

_MOST_LINES = 100_000


class WalletTransactionWhole(WalletTransaction):
    """A transaction as gettransaction shows it. ``fee`` is negative, and known when all inputs are the wallet's."""

    amount: Amount
    fee: NotRequired[Amount]
    details: list[Detail]
    hex: HexText
    decoded: NotRequired[DecodedTransaction]
    lastprocessedblock: LastBlock


def gettransaction(
    context: Context, txid: HashArg, include_watchonly: bool = True, verbose: bool = False
) -> WalletTransactionWhole:
    """A transaction of the wallet.

    :param txid: its id
    :param include_watchonly: there for Core's clients
    :param verbose: with ``decoded``
    :returns: what it moved, and where it stands: ``instantlock`` final, ``chainlock`` archived
    :error -5: the wallet has no such transaction
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    record = _record(wallet, txid)
    moved, tip = flow(wallet.state.history, record), context.node.tip()
    rest = {
        "amount": amount(moved.net),
        "details": details(context, wallet, record),
        "hex": record.tx.raw.hex(),
        "lastprocessedblock": {"hash": display(tip.block_hash), "height": tip.height},
    }
    shown = cast(WalletTransactionWhole, {**transaction_of(context, wallet, record), **rest})
    if moved.fee is not None:
        shown["fee"] = amount(-moved.fee)
    if verbose:
        shown["decoded"] = decoded_json(record.tx, context.node.hrp)
    return shown


def _record(wallet: OpenWallet, txid: Hash) -> Record:
    record = wallet.state.history.get(txid)
    if record is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid or non-wallet transaction id")
    return record


async def listtransactions(
    context: Context, label: str = "*", count: int = 10, skip: int = 0, include_watchonly: bool = True
) -> list[HistoryLine]:
    """The newest lines of the wallet's history, the oldest of them first.

    :param label: only what was received on addresses with this label; ``*``: all
    :param count: how many lines, at most 100,000
    :param skip: so many of the newest are left out
    :param include_watchonly: there for Core's clients
    :returns: one line for each output that was sent or received
    :error -8: a number is negative or too large
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if count < 0 or count > _MOST_LINES:
        raise RpcError(INVALID_PARAMETER, "Negative count" if count < 0 else f"count is at most {_MOST_LINES}")
    if skip < 0:
        raise RpcError(INVALID_PARAMETER, "Negative from")
    wanted = None if label == "*" else label
    found: list[HistoryLine] = []
    await context.slices(_newest(context, wallet, wanted, range(skip, skip + count), found))
    return found[::-1]


def _newest(
    context: Context, wallet: OpenWallet, label: str | None, places: range, found: list[HistoryLine]
) -> Iterator[None]:
    """Collect the lines at ``places``, a step for each transaction: those that are passed over take time, too."""
    place = 0
    for record in wallet.state.history.newest_first():
        if place >= places.stop:
            return
        for line in reversed(lines(context, wallet, record, label)):
            if place in places:
                found.append(line)
            place += 1
        yield


class Since(TypedDict):
    """``removed`` is always empty: no block is ever undone."""

    transactions: list[HistoryLine]
    removed: list[HistoryLine]
    lastblock: HashText


async def listsinceblock(
    context: Context,
    blockhash: HashArg | None = None,
    target_confirmations: int = 1,
    include_watchonly: bool = True,
    include_removed: bool = True,
    include_change: bool = False,
    label: str | None = None,
) -> Since:
    """What happened in the wallet since a block: what was archived behind it, and what is not archived.

    :param blockhash: a block; left out, everything is listed
    :param target_confirmations: ``lastblock`` is the block with so many confirmations: from that one to ask next time
    :param include_watchonly: there for Core's clients
    :param include_removed: there for Core's clients
    :param include_change: with change
    :param label: only addresses with this label
    :returns: lines as of listtransactions, and a block for the next call
    :error -5: there is no such block
    :error -8: target_confirmations is below 1
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet, tip = wallet_of(context), context.node.tip()
    after = -1 if blockhash is None else await context.node.height_of(blockhash)
    if after is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
    if target_confirmations < 1:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter")
    last = await context.node.header_at(max(0, tip.height + 1 - target_confirmations))
    records = [each for each in wallet.state.history.newest_first() if each.height < 0 or each.height > after]
    found = await context.slices(lines(context, wallet, each, label, include_change) for each in reversed(records))
    return {"transactions": [line for each in found for line in each], "removed": [], "lastblock": display(last.hash)}


async def abandontransaction(context: Context, txid: HashArg) -> None:
    """Give up a transaction that no quorum certified, so that its coins may be spent again.

    The network may still have it: it becomes final then, and what was spent instead is rejected. While it was signed in
    the open epoch, no other spend of its coins is signed.

    :param txid: its id
    :returns: null
    :error -5: the wallet has no such transaction, or it is certified, final or archived
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    await wallet_of(context).abandon(txid)


METHODS = (
    method("Wallet", abandontransaction),
    method("Wallet", gettransaction),
    method("Wallet", listsinceblock, cost=10),
    method("Wallet", listtransactions, cost=3),
)

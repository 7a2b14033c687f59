"""A wallet's transactions as results show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from timecoin.primitives.hashes import display
from timecoin.rpc.codec import amount
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.results_wallet import Detail, HistoryLine, WalletTransaction
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_context import address_of
from timecoin.wallet.details import Entry, entries, flow
from timecoin.wallet.records import Record


def confirmations(wallet: OpenWallet, record: Record) -> int:
    """Blocks since it was archived, that one included; negative when an archived rival won."""
    if record.is_live:
        return wallet.depth(record.height)
    depths = [wallet.depth(rival.height) for rival in wallet.state.history.rivals(record) if rival.is_settled]
    return -max(depths, default=0)


def transaction_of(context: Context, wallet: OpenWallet, record: Record) -> WalletTransaction:
    """What is known of a transaction."""
    history = wallet.state.history
    rivals = sorted(display(each.txid) for each in history.rivals(record))
    shown: WalletTransaction = {
        "confirmations": confirmations(wallet, record),
        "status": record.status,  # type: ignore[typeddict-item]
        "instantlock": record.is_settled,
        "chainlock": record.status == "archived",
        "txid": display(record.txid),
        "wtxid": display(record.tx.wtxid),
        "walletconflicts": rivals,
        "time": min(record.seen_ms // 1000, record.block_time or record.seen_ms // 1000),
        "timereceived": record.seen_ms // 1000,
        "bip125-replaceable": "no",
    }
    if record.reason:
        shown["reason"] = record.reason
    if record.tx.is_coinbase:
        shown["generated"] = True
    if record.status == "archived":
        return shown | _block_of(context, record) | _notes(record)
    shown["trusted"] = record.is_live and history.is_trusted(record.txid)
    return shown | _notes(record)


def _block_of(context: Context, record: Record) -> WalletTransaction:
    shown: WalletTransaction = {  # type: ignore[typeddict-item]
        "blockhash": display(record.block_hash),
        "blockheight": record.height,
        "blocktime": record.block_time,
    }
    place = context.node.location(record.txid)
    if place is not None:
        shown["blockindex"] = place[1]
    return shown


def _notes(record: Record) -> WalletTransaction:
    return cast(WalletTransaction, {name: record.notes[name] for name in ("comment", "to") if record.notes.get(name)})


def lines(
    context: Context, wallet: OpenWallet, record: Record, label: str | None = None, with_change: bool = False
) -> list[HistoryLine]:
    """The lines of a transaction in listtransactions; with ``label``, of receiving addresses that have it."""
    chosen = list(_chosen(wallet, record, label, with_change))
    whole = transaction_of(context, wallet, record) if chosen else None
    return [] if whole is None else [_line(context, wallet, record, whole, each) for each in chosen]


def _chosen(wallet: OpenWallet, record: Record, label: str | None, with_change: bool) -> Iterator[Entry]:
    for each in entries(wallet.state.history, record, with_change=with_change):
        if label is None or wallet.state.book.label(each.script) == label:
            yield each


def _line(context: Context, wallet: OpenWallet, record: Record, whole: WalletTransaction, entry: Entry) -> HistoryLine:
    line = cast(HistoryLine, {**_entry(context, wallet, record, entry), **whole})
    if entry.category == "send":
        line["abandoned"] = record.is_abandoned
    return line


def details(context: Context, wallet: OpenWallet, record: Record) -> list[Detail]:
    """The outputs of a transaction in gettransaction."""
    found = entries(wallet.state.history, record)
    gone = {"abandoned": record.is_abandoned}
    return [cast(Detail, {**_entry(context, wallet, record, each), **gone}) for each in found]


def _entry(context: Context, wallet: OpenWallet, record: Record, entry: Entry) -> HistoryLine:
    state = wallet.state
    shown: HistoryLine = {  # type: ignore[typeddict-item]
        "category": entry.category,
        "amount": amount(entry.amount),
        "vout": entry.index,
    }
    where, label, owned = address_of(context, entry.script), state.book.label(entry.script), state.owned(entry.script)
    if where is not None:
        shown["address"] = where
    if label is not None:
        shown["label"] = label
    if owned is not None and not owned.spendable:
        shown["involvesWatchonly"] = True
    moved = flow(state.history, record)
    if entry.category == "send" and moved.fee is not None:
        shown["fee"] = amount(-moved.fee)
    if entry.category != "send":
        shown["parent_descs"] = parents(wallet, entry.script)
    return shown


def parents(wallet: OpenWallet, script: bytes) -> list[str]:
    """The descriptor that a script is of."""
    place = wallet.state.book.find(script)
    return [] if place is None else [wallet.state.book.listed(place.descriptor_id).descriptor.public_text]

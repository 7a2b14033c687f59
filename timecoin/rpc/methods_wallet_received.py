"""RPC methods about what a wallet's addresses received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from timecoin.primitives.hashes import Hash, display
from timecoin.rpc.building import script_of
from timecoin.rpc.codec import Amount, HashText, amount
from timecoin.rpc.errors import RpcError
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.methods_wallet_addresses import labelled, own_script
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import address_of, wallet_of
from timecoin.rpc.wallet_errors import WALLET_ERROR


@dataclass(slots=True)
class _Tally:
    """What one address received: base units, the fewest confirmations, which transactions."""

    value: int = 0
    least: int | None = None
    txids: list[Hash] = field(default_factory=list)

    def add(self, value: int, depth: int, txid: Hash) -> None:
        self.value += value
        self.least = depth if self.least is None else min(depth, self.least)
        self.txids.append(txid)


async def _tallies(context: Context, wallet: OpenWallet, least: int) -> dict[bytes, _Tally]:
    """By own script; of transactions with ``least`` confirmations (0: all that are not rejected)."""
    found: dict[bytes, _Tally] = {}

    def each() -> Iterator[None]:
        for record in wallet.state.history.newest_first():
            depth = wallet.depth(record.height)
            if record.is_live and depth >= least and not record.tx.is_coinbase:
                for n, output in enumerate(record.tx.outputs):
                    if wallet.state.history.coin(record.tx.outpoint(n)) is not None:
                        found.setdefault(output.script, _Tally()).add(output.value, depth, record.txid)
            yield

    await context.slices(each())
    return found


async def getreceivedbyaddress(
    context: Context, address: str, minconf: int = 1, include_immature_coinbase: bool = False
) -> Amount:
    """What an own address received in all, whether it was spent since or not; rewards of masternodes apart.

    :param address: an own address
    :param minconf: only what has so many confirmations: 0 counts what is not archived, too
    :param include_immature_coinbase: there for Core's clients
    :returns: TIME
    :error -4: it is not the wallet's
    :error -5: it is no address of this network
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    script = own_script(context, wallet, address)
    found = await _tallies(context, wallet, minconf)
    return amount(found.get(script, _Tally()).value)


async def getreceivedbylabel(
    context: Context, label: str, minconf: int = 1, include_immature_coinbase: bool = False
) -> Amount:
    """What the addresses with a label received in all; rewards of masternodes apart.

    :param label: the label
    :param minconf: only what has so many confirmations: 0 counts what is not archived, too
    :param include_immature_coinbase: there for Core's clients
    :returns: TIME
    :error -4: no own address has that label
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    scripts = {each for each in _own(wallet) if wallet.state.book.label(each) == label}
    if not scripts:
        raise RpcError(WALLET_ERROR, "Label not found in wallet")
    found = await _tallies(context, wallet, minconf)
    return amount(sum(tally.value for script, tally in found.items() if script in scripts))


def _own(wallet: OpenWallet) -> Iterator[bytes]:
    return (each for each in labelled(wallet) if wallet.state.owned(each) is not None)


class ReceivedByAddress(TypedDict):
    """What an own address received. ``confirmations``: of the newest payment."""

    involvesWatchonly: NotRequired[bool]
    address: str
    amount: Amount
    confirmations: int
    label: str
    txids: list[HashText]


async def listreceivedbyaddress(
    context: Context,
    minconf: int = 1,
    include_empty: bool = False,
    include_watchonly: bool = True,
    address_filter: str | None = None,
    include_immature_coinbase: bool = False,
) -> list[ReceivedByAddress]:
    """What each own address received.

    :param minconf: only what has so many confirmations: 0 counts what is not archived, too
    :param include_empty: also addresses that received nothing
    :param include_watchonly: there for Core's clients
    :param address_filter: only this address
    :param include_immature_coinbase: there for Core's clients
    :returns: one object for each address
    :error -5: address_filter is no address of this network
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    only = None if address_filter is None else script_of(context, address_filter)
    found = await _tallies(context, wallet, minconf)
    return [
        _by_address(context, wallet, script, found.get(script, _Tally()))
        for script in _own(wallet)
        if (include_empty or script in found) and only in (None, script)
    ]


def _by_address(context: Context, wallet: OpenWallet, script: bytes, tally: _Tally) -> ReceivedByAddress:
    owned = wallet.state.owned(script)
    shown: ReceivedByAddress = {
        "address": address_of(context, script) or "",
        "amount": amount(tally.value),
        "confirmations": tally.least or 0,
        "label": wallet.state.book.label(script) or "",
        "txids": [display(each) for each in reversed(tally.txids)],
    }
    return {"involvesWatchonly": True, **shown} if owned is not None and not owned.spendable else shown


class ReceivedByLabel(TypedDict):
    """What all addresses with a label received. ``confirmations``: of the newest payment."""

    amount: Amount
    confirmations: int
    label: str


async def listreceivedbylabel(
    context: Context,
    minconf: int = 1,
    include_empty: bool = False,
    include_watchonly: bool = True,
    include_immature_coinbase: bool = False,
) -> list[ReceivedByLabel]:
    """What the addresses with each label received.

    :param minconf: only what has so many confirmations: 0 counts what is not archived, too
    :param include_empty: also labels whose addresses received nothing
    :param include_watchonly: there for Core's clients
    :param include_immature_coinbase: there for Core's clients
    :returns: one object for each label
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    found = await _tallies(context, wallet, minconf)
    by_label: dict[str, _Tally] = {}
    for script in _own(wallet):
        if include_empty or script in found:
            sums, tally = by_label.setdefault(wallet.state.book.label(script) or "", _Tally()), found.get(script)
            if tally is not None:
                sums.add(tally.value, tally.least or 0, b"")
    return [
        {"amount": amount(each.value), "confirmations": each.least or 0, "label": label}
        for label, each in sorted(by_label.items())
    ]


METHODS = (
    method("Wallet", getreceivedbyaddress, cost=5),
    method("Wallet", getreceivedbylabel, cost=5),
    method("Wallet", listreceivedbyaddress, cost=10),
    method("Wallet", listreceivedbylabel, cost=10),
)

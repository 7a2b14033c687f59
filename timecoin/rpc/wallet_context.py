"""What methods of wallets have in common: which wallet is meant, labels, coins by name, words of finality."""

from __future__ import annotations

from typing import Final, TypedDict

from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import OutPoint, split_outpoint
from timecoin.rpc.codec import HashText
from timecoin.rpc.errors import INVALID_PARAMETER, TYPE_ERROR, RpcError
from timecoin.rpc.face_wallet import OpenWallet, Wallets
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_errors import INVALID_LABEL_NAME, NOT_FOUND
from timecoin.wallet.balance import Balance

MOST_LABEL_BYTES: Final = 1_024


class NamedCoin(TypedDict):
    """An output of a transaction by its place."""

    txid: HashText
    vout: int


def wallets_of(context: Context) -> Wallets:
    """The wallets of the node; RPC error -18 when it is to have none."""
    if context.wallets is None:
        raise RpcError(NOT_FOUND, "This node has no wallets ([wallet] enabled = no)")
    return context.wallets


def wallet_of(context: Context) -> OpenWallet:
    """The wallet that the caller means; RPC error -18 without any, -19 when it has to be named."""
    return wallets_of(context).get(context.caller.wallet)


def own_balance(wallet: OpenWallet) -> Balance:
    """What counts as the wallet's: of one that only watches, what it watches (as in Core)."""
    balances = wallet.balances()
    return balances.watched if wallet.state.settings.watch_only else balances.mine


def chosen_name(context: Context, given: str | None) -> str:
    """The wallet's name that a method takes, or that of the path; RPC error -8 when they differ or neither is there."""
    named = context.caller.wallet
    if given is not None and named is not None and given != named:
        reason = "The RPC endpoint wallet and the wallet name parameter specify different wallets"
        raise RpcError(INVALID_PARAMETER, reason)
    found = named if given is None else given
    if found is None:
        raise RpcError(
            INVALID_PARAMETER, "Either the RPC endpoint wallet or the wallet name parameter must be provided"
        )
    return found


def label_of(text: str) -> str:
    """A label that may be stored; RPC error -11."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        size = MOST_LABEL_BYTES + 1
    if text == "*" or size > MOST_LABEL_BYTES:
        raise RpcError(INVALID_LABEL_NAME, "Invalid label name")
    return text


def address_of(context: Context, script: bytes) -> str | None:
    """The address of a script; None of a data carrier."""
    has_address = classify(script) in (Kind.P2WPKH, Kind.P2WSH)
    return address.encode(script, context.node.hrp) if has_address else None


def named_coin(outpoint: OutPoint) -> NamedCoin:
    """An outpoint as results show it."""
    txid, n = split_outpoint(outpoint)
    return {"txid": display(txid), "vout": n}


def check_bech32(address_type: str | None, code: int) -> None:
    """The one type of address there is, under Core's name; else an RPC error with ``code``."""
    if address_type not in (None, "", "bech32"):
        raise RpcError(code, f"Unknown address type '{address_type[:40]}' (bech32 is the only one here)")


def check_dummy(text: str | None, expected: str) -> None:
    """A parameter that Core kept for the sake of old clients; RPC error -3 for another value."""
    if text not in (None, expected):
        raise RpcError(TYPE_ERROR, f'dummy first argument must be excluded or set to "{expected}".')

"""RPC methods about a wallet's balances and coins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import Annotated, Final, NotRequired, TypedDict

from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import OutPoint, make_outpoint
from timecoin.rpc.arguments import AmountArg
from timecoin.rpc.building import InputsArg, script_of
from timecoin.rpc.codec import Amount, amount
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.kinds import Options
from timecoin.rpc.methods_wallet_addresses import description
from timecoin.rpc.results_wallet import LastBlock, Unspent
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import NamedCoin, address_of, check_dummy, named_coin, own_balance, wallet_of
from timecoin.rpc.wallet_history import parents
from timecoin.wallet.balance import Balance
from timecoin.wallet.coins import Coin

_MOST_DEPTH: Final = 9_999_999
_AT_ONCE: Final = 500
"""Coins that are looked at, or sorted, without a pause: less than a millisecond."""


async def getbalance(
    context: Context,
    dummy: str | None = None,
    minconf: int = 0,
    include_watchonly: bool = True,
    avoid_reuse: bool = True,
) -> Amount:
    """What the wallet can rely on: coins that are final or archived, and its own change before that.

    :param dummy: left out, or ``*``
    :param minconf: above 0, only what has so many confirmations, that is, what is archived
    :param include_watchonly: there for Core's clients
    :param avoid_reuse: there for Core's clients
    :returns: TIME
    :error -3: dummy is another text
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    check_dummy(dummy, "*")
    if minconf <= 0:
        return amount(own_balance(wallet).trusted)
    coins = wallet.state.history.unspent()
    values = await context.sliced(_counted(wallet, some, minconf) for some in _some(coins))
    return amount(sum(values))


def _some(coins: list[Coin]) -> Iterator[list[Coin]]:
    """Coins that are looked at without a pause."""
    return (coins[start : start + _AT_ONCE] for start in range(0, len(coins), _AT_ONCE))


def _counted(wallet: OpenWallet, coins: list[Coin], minconf: int) -> int:
    all_count = wallet.state.settings.watch_only
    return sum(coin.value for coin in coins if (coin.owned.spendable or all_count) and _depth(wallet, coin) >= minconf)


def _depth(wallet: OpenWallet, coin: Coin) -> int:
    height = wallet.state.history.height_of(coin)
    return 0 if height is None else wallet.depth(height)


class Amounts(TypedDict):
    """Sums of unspent coins, in two ways: what can be relied on (``trusted``) and what cannot yet; and by the status of
    the transaction that made them. ``collateral``: of all, what the registry of masternodes locks.

    ``immature`` is always 0: rewards are spendable from the next block on.
    """

    trusted: Amount
    untrusted_pending: Amount
    immature: Amount
    pending: Amount
    certified: Amount
    final: Amount
    archived: Amount
    collateral: Amount


class WalletBalances(TypedDict):
    """``watchonly``: there when the wallet watches scripts besides its own."""

    mine: Amounts
    watchonly: NotRequired[Amounts]
    lastprocessedblock: LastBlock


def getbalances(context: Context) -> WalletBalances:
    """The wallet's balances.

    :returns: sums of unspent coins; certified is not final
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet, tip = wallet_of(context), context.node.tip()
    shown: WalletBalances = {
        "mine": _amounts(own_balance(wallet)),
        "lastprocessedblock": {"hash": display(tip.block_hash), "height": tip.height},
    }
    watched = wallet.balances().watched
    if watched.total and not wallet.state.settings.watch_only:
        shown["watchonly"] = _amounts(watched)
    return shown


def _amounts(balance: Balance) -> Amounts:
    return {
        "trusted": amount(balance.trusted),
        "untrusted_pending": amount(balance.untrusted),
        "immature": amount(0),
        "pending": amount(balance.pending),
        "certified": amount(balance.certified),
        "final": amount(balance.final),
        "archived": amount(balance.archived),
        "collateral": amount(balance.collateral),
    }


# Coins


def getunconfirmedbalance(context: Context) -> Amount:
    """What was received and is not final yet: untrusted_pending of getbalances.

    :returns: TIME
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    return amount(own_balance(wallet_of(context)).untrusted)


class UnspentOptions(TypedDict, total=False):
    """What coins listunspent shows."""

    minimumAmount: AmountArg
    maximumAmount: AmountArg
    maximumCount: int
    minimumSumAmount: AmountArg
    include_immature_coinbase: bool


async def listunspent(
    context: Context,
    minconf: int = 1,
    maxconf: int = _MOST_DEPTH,
    addresses: list[str] | None = None,
    include_unsafe: bool = True,
    query_options: Annotated[UnspentOptions | None, Options] = None,
) -> list[Unspent]:
    """The wallet's unspent coins. Without minconf 0 only those that are archived.

    :param minconf: only coins with so many confirmations; 0: also those that are not archived
    :param maxconf: only coins with at most so many
    :param addresses: only coins of these
    :param include_unsafe: also what others sent that is not final yet
    :param query_options: least and most value of a coin, how many coins, and after which sum to end
    :returns: the coins, the largest first; locked ones (lockunspent) and collateral of masternodes are left out
    :error -5: an address is none of this network
    :error -8: an address stands there twice
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    wanted = _scripts(context, addresses or [])
    options = query_options or {}

    def is_wanted(coin: Coin) -> bool:
        return (
            (not wanted or coin.script in wanted)
            and minconf <= _depth(wallet, coin) <= maxconf
            and options.get("minimumAmount", 0) <= coin.value <= options.get("maximumAmount", coin.value)
            and coin.outpoint not in wallet.state.locks
            and not wallet.is_collateral(coin.outpoint)
            and (include_unsafe or wallet.state.history.is_trusted(coin.txid))
        )

    parts = await context.sliced(
        _largest_first(filter(is_wanted, some)) for some in _some(wallet.state.history.unspent())
    )
    found: list[Unspent] = []
    await context.sliced(_shown(context, wallet, _enough(merge(*parts, key=_order), options), found))
    return found


def _order(coin: Coin) -> tuple[int, OutPoint]:
    return -coin.value, coin.outpoint


def _largest_first(coins: Iterable[Coin]) -> list[Coin]:
    return sorted(coins, key=_order)


def _shown(context: Context, wallet: OpenWallet, coins: Iterable[Coin], found: list[Unspent]) -> Iterator[None]:
    """Those that are still unspent when they are shown."""
    for coin in coins:
        if wallet.state.history.is_unspent(coin.outpoint):
            found.append(_unspent(context, wallet, coin))
        yield


def _scripts(context: Context, addresses: list[str]) -> set[bytes]:
    found: set[bytes] = set()
    for each in addresses:
        script = script_of(context, each)
        if script in found:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, duplicated address: {each}")
        found.add(script)
    return found


def _enough(coins: Iterable[Coin], options: UnspentOptions) -> Iterator[Coin]:
    """As many as are asked for, or as reach the sum that is asked for."""
    total, most = 0, options.get("maximumCount", 0)
    for coin in islice(coins, most if most > 0 else None):
        if total >= options.get("minimumSumAmount", total + 1):
            return
        yield coin
        total += coin.value


def _unspent(context: Context, wallet: OpenWallet, coin: Coin) -> Unspent:
    state = wallet.state
    expansion, label, where = state.expand(coin.script), state.book.label(coin.script), address_of(context, coin.script)
    place = named_coin(coin.outpoint)
    shown: Unspent = {
        "txid": place["txid"],
        "vout": place["vout"],
        "scriptPubKey": coin.script.hex(),
        "amount": amount(coin.value),
        "confirmations": _depth(wallet, coin),
        "status": state.history.status_of(coin),  # type: ignore[typeddict-item]
        "spendable": coin.owned.spendable,
        "solvable": expansion is not None and bool(expansion.keys),
        "safe": state.history.is_trusted(coin.txid),
        "parent_descs": parents(wallet, coin.script),
    }
    if where is not None:
        shown["address"] = where
    if label is not None:
        shown["label"] = label
    if expansion is not None and expansion.keys:
        shown["desc"] = description(expansion)
    if expansion is not None and expansion.witness_script:
        shown["witnessScript"] = expansion.witness_script.hex()
    return shown


async def lockunspent(
    context: Context, unlock: bool, transactions: InputsArg | None = None, persistent: bool = False
) -> bool:
    """Keep coins from being chosen for payments, or let them be chosen again.

    :param unlock: true: unlock
    :param transactions: the coins; left out with unlock: all that are locked
    :param persistent: keep the lock over a restart
    :returns: true
    :error -8: a coin is not the wallet's, or spent, or locked already, or not locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if transactions is None:
        if unlock:
            await wallet.unlock_coins(wallet.state.locks.listed())
        return True
    outpoints = [make_outpoint(each.txid, each.vout) for each in transactions]
    for outpoint in outpoints:
        _check_lock(wallet, outpoint, unlock, persistent)
    if unlock:
        await wallet.unlock_coins(outpoints)
    else:
        await wallet.lock_coins(outpoints, persistent)
    return True


def _check_lock(wallet: OpenWallet, outpoint: OutPoint, unlock: bool, durable: bool) -> None:
    state, complaint = wallet.state, ""
    record = state.history.get(outpoint[:32])
    if record is None and state.history.coin(outpoint) is None:
        complaint = "unknown transaction"
    elif record is not None and int.from_bytes(outpoint[32:], "little") >= len(record.tx.outputs):
        complaint = "vout index out of bounds"
    elif state.history.live_spender(outpoint) is not None:
        complaint = "expected unspent output"
    elif unlock and outpoint not in state.locks:
        complaint = "expected locked output"
    elif not unlock and outpoint in state.locks and (state.locks.is_durable(outpoint) or not durable):
        complaint = "output already locked"
    if complaint:
        raise RpcError(INVALID_PARAMETER, f"Invalid parameter, {complaint}")


def listlockunspent(context: Context) -> list[NamedCoin]:
    """The coins that are kept from being chosen.

    :returns: the coins
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    return [named_coin(each) for each in wallet_of(context).state.locks.listed()]


METHODS = (
    method("Wallet", getbalance),
    method("Wallet", getbalances),
    method("Wallet", getunconfirmedbalance),
    method("Wallet", listlockunspent),
    method("Wallet", listunspent, cost=5),
    method("Wallet", lockunspent),
)

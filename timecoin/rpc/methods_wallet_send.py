"""RPC methods that pay with amounts alone: sendtoaddress and sendmany; and fees."""

from __future__ import annotations

from timecoin.primitives.transaction import TxOutput
from timecoin.rpc.arguments import AmountArg, FeeRateArg, HashArg, OutputsArg
from timecoin.rpc.building import outputs_of, script_of
from timecoin.rpc.codec import HashText
from timecoin.rpc.errors import INVALID_PARAMETER, TYPE_ERROR, RpcError
from timecoin.rpc.face_wallet import Funding
from timecoin.rpc.results_wallet import Sent
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import check_dummy, wallet_of
from timecoin.rpc.wallet_paying import check_estimate, check_not_replaceable, check_rate, pay, refuse_replacement, sent


async def sendtoaddress(
    context: Context,
    address: str,
    amount: AmountArg,
    comment: str = "",
    comment_to: str = "",
    subtractfeefromamount: bool = False,
    replaceable: bool | None = None,
    conf_target: int | None = None,
    estimate_mode: str = "unset",
    avoid_reuse: bool = True,
    fee_rate: FeeRateArg | None = None,
    verbose: bool = False,
) -> HashText | Sent:
    """Pay an amount to an address. The answer does not wait for finality: see waitforfinality.

    Only coins that are final pay, and own change. The signed transaction is kept and sent again until it is archived
    or rejected.

    :param address: who receives
    :param amount: TIME
    :param comment: a note for this wallet's history
    :param comment_to: another note, about the receiver
    :param subtractfeefromamount: the receiver pays the fee: gets less
    :param replaceable: may not be true: no transaction is ever replaced here
    :param conf_target: there for Core's clients; every payment is final in seconds
    :param estimate_mode: there for Core's clients
    :param avoid_reuse: there for Core's clients
    :param fee_rate: base units per vbyte
    :param verbose: answer with an object
    :returns: the txid, or with verbose an object with it
    :error -3: the amount is none
    :error -4: a coin cannot be spent, or the wallet has no private keys
    :error -5: it is no address of this network
    :error -6: the coins do not suffice, or an amount is too small
    :error -8: replaceable, conf_target, estimate_mode or fee_rate are not possible
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -26: the node refuses the transaction
    """
    wallet = wallet_of(context)
    check_not_replaceable(replaceable)
    check_estimate(context, conf_target, estimate_mode, fee_rate)
    outputs = [TxOutput(_positive(amount), script_of(context, address))]
    funding = Funding(rate=fee_rate, subtract_from=(0,) if subtractfeefromamount else ())
    tx = await pay(context, wallet, outputs, funding, {"comment": comment, "to": comment_to})
    return sent(tx, fee_rate, verbose)


def _positive(amount: int) -> int:
    if amount <= 0:
        raise RpcError(TYPE_ERROR, "Invalid amount for send")
    return amount


async def sendmany(
    context: Context,
    dummy: str = "",
    amounts: OutputsArg | None = None,
    minconf: int | None = None,
    comment: str = "",
    subtractfeefrom: list[str] | None = None,
    replaceable: bool | None = None,
    conf_target: int | None = None,
    estimate_mode: str = "unset",
    fee_rate: FeeRateArg | None = None,
    verbose: bool = False,
) -> HashText | Sent:
    """Pay several addresses in one transaction. The answer does not wait for finality.

    :param dummy: an empty text
    :param amounts: an object of addresses with amounts in TIME
    :param minconf: there for Core's clients
    :param comment: a note for this wallet's history
    :param subtractfeefrom: addresses that pay the fee in equal parts
    :param replaceable: may not be true: no transaction is ever replaced here
    :param conf_target: there for Core's clients
    :param estimate_mode: there for Core's clients
    :param fee_rate: base units per vbyte
    :param verbose: answer with an object
    :returns: the txid, or with verbose an object with it
    :error -3: an amount is none, or dummy is another text
    :error -4: a coin cannot be spent, or the wallet has no private keys
    :error -5: an address is none of this network
    :error -6: the coins do not suffice, or an amount is too small
    :error -8: nobody is named, an address twice, or something that is not possible is asked for
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -26: the node refuses the transaction
    """
    wallet = wallet_of(context)
    check_dummy(dummy, "")
    check_not_replaceable(replaceable)
    check_estimate(context, conf_target, estimate_mode, fee_rate)
    if not amounts:
        raise RpcError(INVALID_PARAMETER, "Transaction must have at least one recipient")
    outputs = outputs_of(context, amounts)
    for each in outputs:
        _positive(each.value)
    funding = Funding(rate=fee_rate, subtract_from=_bearers(context, outputs, subtractfeefrom or []))
    tx = await pay(context, wallet, outputs, funding, {"comment": comment})
    return sent(tx, fee_rate, verbose)


def _bearers(context: Context, outputs: tuple[TxOutput, ...], addresses: list[str]) -> tuple[int, ...]:
    scripts = [each.script for each in outputs]
    found: list[int] = []
    for each in addresses:
        script = script_of(context, each)
        if script not in scripts:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter 'subtract fee from output', unknown address: {each}")
        if scripts.index(script) in found:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter 'subtract fee from output', duplicated: {each}")
        found.append(scripts.index(script))
    return tuple(sorted(found))


async def settxfee(context: Context, amount: AmountArg) -> bool:
    """The fee rate that this wallet pays unless a call says otherwise; it lasts.

    The ledger's minimum is enough unless the network is overloaded: then masternodes vote by fee rate.

    :param amount: TIME per 1,000 vbytes; 0: the ledger's minimum
    :returns: true
    :error -3: the amount is none
    :error -8: it is below the ledger's minimum
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if amount:
        check_rate(context, amount)
    await wallet.set_fee_rate(amount)
    return True


def bumpfee(context: Context, txid: HashArg) -> None:
    """Not possible on this network: no transaction is replaced by another one.

    A second spend of its coins would block them until the epoch closes. Give up a payment that nobody certified with
    abandontransaction.

    :param txid: a transaction
    :returns: never
    :error -8: always
    """
    refuse_replacement()


METHODS = (
    method("Wallet", bumpfee),
    method("Wallet", sendmany, cost=5),
    method("Wallet", sendtoaddress, cost=5),
    method("Wallet", settxfee),
)

"""RPC methods that build transactions with a wallet's coins in every detail: send, sendall, fundrawtransaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput, make_outpoint
from timecoin.rpc.arguments import AmountArg, FeeRateArg, HexArg, OutputsArg
from timecoin.rpc.building import InputsArg, build, check_sighash, decoded, script_of
from timecoin.rpc.codec import Amount, HashText, HexText, amount
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Draft, Funding, OpenWallet
from timecoin.rpc.funding_options import FundOptions, funding_of
from timecoin.rpc.kinds import Kind, Options, WrongType, expect, kind_of
from timecoin.rpc.methods_raw_build import SignedTransaction, signed_json
from timecoin.rpc.methods_wallet_psbt import updated
from timecoin.rpc.prevtxs import PrevTxsArg, merge
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import wallet_of
from timecoin.rpc.wallet_paying import can_complete, check_amounts, check_estimate, check_not_replaceable, funded
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_fields import unsigned
from timecoin.wallet.raw_signing import Signed

_COMPLAINT: Final = "TX decode failed"


class FundedTransaction(TypedDict):
    """An unsigned transaction with coins and change; ``changepos`` is -1 when there is no change."""

    hex: HexText
    fee: Amount
    changepos: int


async def fundrawtransaction(
    context: Context,
    hexstring: HexArg,
    options: Annotated[FundOptions | None, Options] = None,
    iswitness: bool | None = None,
) -> FundedTransaction:
    """Add coins of the wallet to a transaction until they pay its outputs and the fee, and change.

    Nothing is signed. The chosen coins may be chosen again at once, unless lockUnspents is set.

    :param hexstring: the transaction, with or without inputs
    :param options: how it is funded
    :param options.add_inputs: add coins of the wallet as needed
    :param options.include_unsafe: also coins that others sent and that are not final
    :param options.minconf: confirmations that a coin has, at least
    :param options.maxconf: confirmations that a coin has, at most
    :param options.changeAddress: where the change goes, instead of to a fresh address
    :param options.changePosition: the index of the change among the outputs
    :param options.change_type: bech32, which is the only one here
    :param options.includeWatching: also coins whose keys are elsewhere
    :param options.lockUnspents: keep the chosen coins from being chosen again (see lockunspent)
    :param options.fee_rate: base units per vbyte
    :param options.feeRate: TIME per 1,000 vbytes
    :param options.subtractFeeFromOutputs: indexes of outputs that pay the fee in equal parts
    :param options.conf_target: there for Core's clients; every payment is final in seconds
    :param options.estimate_mode: there for Core's clients
    :param options.replaceable: may not be true: no transaction is ever replaced here
    :param iswitness: there for Core's clients; the form is seen
    :returns: the transaction, its fee in TIME, and where the change is
    :error -4: the coins do not suffice, one cannot be spent, an output is too small, or there is no change address
    :error -5: an address is none of this network
    :error -8: an option is out of its range
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -22: the transaction cannot be decoded
    """
    wallet, wanted = wallet_of(context), options or {}
    plain = _unfunded(hexstring)
    if not plain.outputs:
        raise RpcError(INVALID_PARAMETER, "TX must have at least one output")
    check_amounts(context, plain.outputs)
    settings: FundOptions = {"add_inputs": True, **wanted}
    funding = funding_of(context, settings, plain, {n: each.sequence for n, each in enumerate(plain.inputs)})
    draft = await _drafted(wallet, plain.outputs, funding, bool(wanted.get("lockUnspents")))
    return {"hex": draft.tx.raw.hex(), "fee": amount(draft.fee), "changepos": _place(draft.change_position)}


def _unfunded(text: str) -> Transaction:
    """A transaction that may still lack its inputs; RPC error -22."""
    try:
        return unsigned(bytes.fromhex(text))
    except (ValueError, DecodeError):
        return decoded(text, _COMPLAINT)


def _place(found: int | None) -> int:
    return -1 if found is None else found


async def _drafted(wallet: OpenWallet, outputs: Sequence[TxOutput], funding: Funding, lock: bool) -> Draft:
    """A draft whose coins are free again, or locked as by lockunspent."""
    draft = await funded(wallet, outputs, funding)
    try:
        if lock:
            await wallet.lock_coins(draft.tx.outpoints(), durable=False)
    finally:
        wallet.release(draft)
    return draft


async def signrawtransactionwithwallet(
    context: Context,
    hexstring: HexArg,
    prevtxs: PrevTxsArg | None = None,
    sighashtype: str = "DEFAULT",
    may_block_coins: bool = False,
) -> SignedTransaction:
    """Sign the inputs of a transaction that the wallet has keys for; signatures that it has already stay.

    A signature that is given out counts as a spend: before it is, the wallet puts on record that the coin is spent by
    this transaction, and until the epoch closes it signs no other spend of it.

    :param hexstring: the transaction
    :param prevtxs: coins that the node does not know: txid, vout, scriptPubKey, amount in TIME, witnessScript
    :param sighashtype: ALL, or DEFAULT which is the same
    :param may_block_coins: sign even a second spend of a coin in this epoch, which may block the coin, and all that are
        spent with it, until the epoch closes
    :returns: the transaction with what could be signed
    :error -3: an unknown coin is told of without its amount
    :error -4: a coin was signed away by another transaction
    :error -8: a hash type that is not used here, or a script that is not the coin's
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -22: the transaction cannot be decoded, or a coin is told of otherwise than it is
    """
    wallet = wallet_of(context)
    tx = decoded(hexstring, f"{_COMPLAINT}. Make sure the tx has at least one input.")
    check_sighash(sighashtype)
    told = prevtxs or []
    known = {
        each: TxOutput(coin.value, coin.script) for each in tx.outpoints() if (coin := _known(context, wallet, each))
    }
    coins = merge(told, known)
    scripts = {each.script: each.witness_script for each in told if each.witness_script is not None}
    signed = await wallet.sign(tx, coins, scripts, may_block_coins=may_block_coins)
    return signed_json(Signed(signed.tx, signed.problems))


def _known(context: Context, wallet: OpenWallet, outpoint: bytes) -> Any:
    return wallet.state.history.coin(outpoint) or context.node.coin(outpoint, include_mempool=False)


class SendOptions(TypedDict, total=False):
    """Options of send, in its own spelling."""

    add_inputs: bool
    include_unsafe: bool
    minconf: int
    maxconf: int
    add_to_wallet: bool
    change_address: str
    change_position: int
    change_type: Literal["bech32"]
    fee_rate: FeeRateArg
    include_watching: bool
    inputs: InputsArg
    locktime: int
    lock_unspents: bool
    psbt: bool
    subtract_fee_from_outputs: list[int]
    conf_target: int
    estimate_mode: str
    replaceable: bool


_SPELLING: Final = {
    "add_inputs": "add_inputs",
    "include_unsafe": "include_unsafe",
    "minconf": "minconf",
    "maxconf": "maxconf",
    "change_address": "changeAddress",
    "change_position": "changePosition",
    "change_type": "change_type",
    "include_watching": "includeWatching",
    "subtract_fee_from_outputs": "subtractFeeFromOutputs",
    "replaceable": "replaceable",
}


class SendResult(TypedDict):
    """``txid`` when it was sent; ``hex`` when add_to_wallet is false; ``psbt`` when that was asked for, or when the
    wallet cannot sign all of it."""

    complete: bool
    txid: NotRequired[HashText]
    hex: NotRequired[HexText]
    psbt: NotRequired[str]


async def send(
    context: Context,
    outputs: OutputsArg,
    conf_target: int | None = None,
    estimate_mode: str = "unset",
    fee_rate: FeeRateArg | None = None,
    options: Annotated[SendOptions | None, Options] = None,
) -> SendResult:
    """Pay outputs, with a say in every detail. The answer does not wait for finality.

    :param outputs: addresses with amounts in TIME, and data with hex for one OP_RETURN output
    :param conf_target: there for Core's clients; every payment is final in seconds
    :param estimate_mode: there for Core's clients
    :param fee_rate: base units per vbyte
    :param options: how it is funded, and what becomes of it
    :param options.add_inputs: add coins of the wallet to those named
    :param options.include_unsafe: also coins that others sent and that are not final
    :param options.minconf: confirmations that a coin has, at least
    :param options.maxconf: confirmations that a coin has, at most
    :param options.add_to_wallet: false: sign and answer with it, but do not send it
    :param options.change_address: where the change goes, instead of to a fresh address
    :param options.change_position: the index of the change among the outputs
    :param options.change_type: bech32, which is the only one here
    :param options.fee_rate: as fee_rate
    :param options.include_watching: also coins whose keys are elsewhere
    :param options.inputs: coins to be spent in any case
    :param options.locktime: 0, or the height (below 500,000,000) or Unix time from which on it is voted for
    :param options.lock_unspents: keep the chosen coins from being chosen again (see lockunspent)
    :param options.psbt: answer with a PSBT; nothing is sent
    :param options.subtract_fee_from_outputs: indexes of outputs that pay the fee in equal parts
    :param options.conf_target: as conf_target
    :param options.estimate_mode: as estimate_mode
    :param options.replaceable: may not be true: no transaction is ever replaced here
    :returns: whether it was sent, and its txid
    :error -3: an amount is none
    :error -4: the coins do not suffice, one cannot be spent, an output is too small, or there is no change address
    :error -5: an address is none of this network
    :error -8: an option is out of its range, or nobody is paid
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -26: the node refuses the transaction
    """
    wallet, wanted = wallet_of(context), options or {}
    rate = _rate(context, conf_target, estimate_mode, fee_rate, wanted)
    chosen = wanted.get("inputs", [])
    plain = build(context, chosen, outputs, wanted.get("locktime", 0), wanted.get("replaceable"), 2)
    if not plain.outputs:
        raise RpcError(INVALID_PARAMETER, "Transaction must have at least one recipient")
    check_amounts(context, plain.outputs)
    funding = funding_of(context, _spelled(wanted, rate), plain, {n: each.sequence for n, each in enumerate(chosen)})
    draft = await funded(wallet, plain.outputs, funding)
    return await _finish(context, wallet, draft, wanted)


def _rate(
    context: Context, target: int | None, mode: str, rate: int | None, options: SendOptions | SendAllOptions
) -> int | None:
    """The fee rate of the parameter or of the option, not of both."""
    inner = options.get("fee_rate")
    if rate is not None and inner is not None:
        raise RpcError(INVALID_PARAMETER, "Pass fee_rate either as an argument, or in the options object, but not both")
    found = inner if rate is None else rate
    check_estimate(context, options.get("conf_target", target), options.get("estimate_mode", mode), found)
    return found


def _spelled(options: SendOptions, rate: int | None) -> FundOptions:
    """The options in the spelling of fundrawtransaction."""
    given: dict[str, Any] = {_SPELLING[name]: value for name, value in options.items() if name in _SPELLING}
    if rate is not None:
        given["fee_rate"] = rate
    return given  # type: ignore[return-value]


async def _finish(
    context: Context, wallet: OpenWallet, draft: Draft, options: SendOptions | SendAllOptions
) -> SendResult:
    """Sign and send a draft, as far as the options allow it; its coins are free again when it is not sent."""
    try:
        if options.get("lock_unspents"):
            await wallet.lock_coins(draft.tx.outpoints(), durable=False)
        if options.get("psbt") or not can_complete(wallet, draft):
            return await _as_psbt(context, wallet, draft.tx)
        signed = await wallet.sign(draft.tx)
        if not signed.complete:
            return await _as_psbt(context, wallet, draft.tx)
        if not options.get("add_to_wallet", True):
            return {"complete": True, "txid": display(signed.tx.txid), "hex": signed.tx.raw.hex()}
        await wallet.send(signed.tx, {})
    finally:
        wallet.release(draft)
    return {"complete": True, "txid": display(signed.tx.txid)}


async def _as_psbt(context: Context, wallet: OpenWallet, tx: Transaction) -> SendResult:
    made = await updated(context, wallet, Psbt.create(tx), True)
    return {"complete": False, "psbt": made.text}


def _recipients(value: Any, name: str) -> list[tuple[str, int | None]]:
    """``[address, {address: amount}, …]``: one without an amount gets a part of what is left."""
    expect(value, "array")
    found: list[tuple[str, int | None]] = []
    for each in value:
        if isinstance(each, str):
            found.append((each, None))
        elif isinstance(each, dict):
            found += [(str(key), kind_of(AmountArg).read(given, key)) for key, given in each.items()]
        else:
            raise WrongType("a recipient is an address or an object of an address with an amount")
    if len({key for key, _ in found}) < len(found):
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, duplicated address")
    return found


RecipientsArg = Annotated[
    list[tuple[str, int | None]],
    Kind(
        "json array",
        frozenset({"array"}),
        _recipients,
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    ),
]


class SendAllOptions(TypedDict, total=False):
    """Options of sendall."""

    add_to_wallet: bool
    fee_rate: FeeRateArg
    inputs: InputsArg
    locktime: int
    lock_unspents: bool
    psbt: bool
    send_max: bool
    minconf: int
    maxconf: int
    conf_target: int
    estimate_mode: str
    replaceable: bool


async def sendall(
    context: Context,
    recipients: RecipientsArg,
    conf_target: int | None = None,
    estimate_mode: str = "unset",
    fee_rate: FeeRateArg | None = None,
    options: Annotated[SendAllOptions | None, Options] = None,
) -> SendResult:
    """Spend all coins: no change. Recipients with an amount get that, those without share what the fee leaves.

    :param recipients: addresses, or objects of an address with an amount in TIME; one at least without
    :param conf_target: there for Core's clients; every payment is final in seconds
    :param estimate_mode: there for Core's clients
    :param fee_rate: base units per vbyte
    :param options: what becomes of it
    :param options.add_to_wallet: false: sign and answer with it, but do not send it
    :param options.fee_rate: as fee_rate
    :param options.inputs: spend these coins instead of all
    :param options.locktime: 0, or the height (below 500,000,000) or Unix time from which on it is voted for
    :param options.lock_unspents: keep the coins from being chosen again (see lockunspent)
    :param options.psbt: answer with a PSBT; nothing is sent
    :param options.send_max: there for Core's clients; coins not worth their fee are always spent
    :param options.minconf: confirmations that a coin has, at least
    :param options.maxconf: confirmations that a coin has, at most
    :param options.conf_target: as conf_target
    :param options.estimate_mode: as estimate_mode
    :param options.replaceable: may not be true: no transaction is ever replaced here
    :returns: whether it was sent, and its txid
    :error -3: an amount is none
    :error -4: a coin cannot be spent, there are too many, or an amount is too small
    :error -5: an address is none of this network
    :error -6: nothing, or too little, is left after the fee
    :error -8: every recipient has an amount, one is named twice, or an option is out of its range
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -26: the node refuses the transaction
    """
    wallet, wanted = wallet_of(context), options or {}
    check_not_replaceable(wanted.get("replaceable"))
    rate = _rate(context, conf_target, estimate_mode, fee_rate, wanted)
    shares = tuple([n for n, (_, value) in enumerate(recipients) if value is None])
    if not shares:
        raise RpcError(INVALID_PARAMETER, "Must provide at least one address without a specified amount")
    outputs = [TxOutput(value or 0, script_of(context, key)) for key, value in recipients]
    check_amounts(context, [each for n, each in enumerate(outputs) if n not in shares])
    draft = await wallet.fund(outputs, _all_of_it(wallet, wanted, rate, shares))
    return await _finish(context, wallet, draft, wanted)


def _all_of_it(wallet: OpenWallet, options: SendAllOptions, rate: int | None, shares: tuple[int, ...]) -> Funding:
    chosen = options.get("inputs", [])
    outpoints = [make_outpoint(each.txid, each.vout) for each in chosen]
    return Funding(
        rate=rate,
        inputs=tuple(outpoints),
        sequences={
            where: each.sequence for where, each in zip(outpoints, chosen, strict=True) if each.sequence is not None
        },
        watching=wallet.state.settings.watch_only,
        lock_time=options.get("locktime", 0),
        least_depth=options.get("minconf", 0),
        most_depth=options.get("maxconf"),
        all_to=shares,
    )


METHODS = (
    method("Wallet", fundrawtransaction, cost=5),
    method("Wallet", send, cost=5),
    method("Wallet", sendall, cost=5),
    method("Wallet", signrawtransactionwithwallet, cost=5),
)

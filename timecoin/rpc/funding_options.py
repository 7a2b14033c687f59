"""Core's options of methods that fund a transaction: read, judged, and put into the wallet's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from timecoin.primitives.transaction import Transaction
from timecoin.rpc.arguments import AmountArg, FeeRateArg
from timecoin.rpc.building import script_of
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Funding
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_context import wallet_of
from timecoin.rpc.wallet_paying import check_not_replaceable, check_rate


class FundOptions(TypedDict, total=False):
    """``fee_rate`` in base units per vbyte, ``feeRate`` in TIME per 1,000 vbytes."""

    add_inputs: bool
    include_unsafe: bool
    minconf: int
    maxconf: int
    changeAddress: str
    changePosition: int
    change_type: Literal["bech32"]
    includeWatching: bool
    lockUnspents: bool
    fee_rate: FeeRateArg
    feeRate: AmountArg
    subtractFeeFromOutputs: list[int]
    conf_target: int
    estimate_mode: str
    replaceable: bool


def funding_of(
    context: Context, options: FundOptions, plain: Transaction, sequences: Mapping[int, int | None]
) -> Funding:
    """How to fund ``plain``, whose inputs are to be spent in any case; ``sequences``: those that the caller named.

    Raises RPC errors -5 and -8.
    """
    check_not_replaceable(options.get("replaceable"))
    change = options.get("changeAddress")
    least, most = options.get("minconf", 0), options.get("maxconf")
    if least < 0 or (most is not None and most < least):
        raise RpcError(INVALID_PARAMETER, f"maxconf can't be lower than minconf: {most} < {least}")
    return Funding(
        rate=_rate(context, options),
        subtract_from=_payers(options.get("subtractFeeFromOutputs", []), len(plain.outputs)),
        inputs=plain.outpoints(),
        sequences={
            spent.outpoint: given for n, spent in enumerate(plain.inputs) if (given := sequences.get(n)) is not None
        },
        add_inputs=options.get("add_inputs", not plain.inputs),
        include_unsafe=options.get("include_unsafe", False),
        watching=options.get("includeWatching", _watches(context)),
        change_script=None if change is None else script_of(context, change),
        change_position=_position(options.get("changePosition"), len(plain.outputs)),
        lock_time=plain.lock_time,
        version=plain.version,
        least_depth=least,
        most_depth=most,
    )


def _rate(context: Context, options: FundOptions) -> int | None:
    """Units per 1,000 vbytes."""
    given = [options[name] for name in ("fee_rate", "feeRate") if name in options]
    if len(given) > 1:
        raise RpcError(INVALID_PARAMETER, "Cannot specify both fee_rate and feeRate")
    if not given:
        return None
    rate: int = given[0]
    check_rate(context, rate)
    return rate


def _payers(indexes: list[int], outputs: int) -> tuple[int, ...]:
    for n, index in enumerate(indexes):
        if index in indexes[:n]:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, duplicated position: {index}")
        if index < 0:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, negative position: {index}")
        if index >= outputs:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, position too large: {index}")
    return tuple(indexes)


def _position(given: int | None, outputs: int) -> int | None:
    if given is None or given == -1:
        return None
    if not 0 <= given <= outputs:
        raise RpcError(INVALID_PARAMETER, "changePosition out of bounds")
    return given


def _watches(context: Context) -> bool:
    """A wallet without private keys funds with what it watches, as in Core."""
    return wallet_of(context).state.settings.watch_only

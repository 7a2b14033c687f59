"""Paying in one go, as sendtoaddress and its kin do: choose coins, sign, send; and why a payment cannot be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NoReturn

from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.codec import HashText
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import Draft, Funding, OpenWallet
from timecoin.rpc.results_wallet import Sent
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_errors import INSUFFICIENT_FUNDS, UNLOCK_NEEDED, WALLET_ERROR, wallet_error
from timecoin.wallet.errors import WalletError

_LOCKED: Final = "Error: Please enter the wallet passphrase with walletpassphrase first."
_NO_REPLACEMENT: Final = (
    "No transaction is replaced on this network: a second spend of its coins would block them until the epoch closes. "
    "A payment is final within seconds, or else it is rejected, which frees its coins."
)
_MODES: Final = ("unset", "economical", "conservative")


def check_amounts(context: Context, outputs: Sequence[TxOutput], code: int = WALLET_ERROR) -> None:
    """RPC error ``code`` for dust."""
    dust = context.node.parameters.dust
    if any(each.value < dust and each.script[:1] != b"\x6a" for each in outputs):
        raise RpcError(code, "Transaction amount too small")


async def funded(wallet: OpenWallet, outputs: Sequence[TxOutput], funding: Funding) -> Draft:
    """``OpenWallet.fund`` for the methods of which Core says -4 for whatever keeps a payment from being funded."""
    try:
        return await wallet.fund(outputs, funding)
    except RpcError as problem:
        if problem.code != INSUFFICIENT_FUNDS:
            raise
        raise RpcError(WALLET_ERROR, problem.message) from None


def check_unlocked(wallet: OpenWallet) -> None:
    """RPC error -13 before coins are chosen; -4 of a wallet that has no keys."""
    if wallet.state.settings.watch_only:
        raise RpcError(WALLET_ERROR, "Error: Private keys are disabled for this wallet")
    if wallet.state.keyring.is_locked:
        raise RpcError(UNLOCK_NEEDED, _LOCKED)


def check_estimate(context: Context, conf_target: int | None, mode: str, rate: int | None) -> None:
    """Core's estimates mean nothing here; RPC error -8 for what Core would refuse, too."""
    if mode.lower() not in _MODES:
        choices = ", ".join(f'"{each}"' for each in _MODES)
        raise RpcError(INVALID_PARAMETER, f"Invalid estimate_mode parameter, must be one of: {choices}")
    if conf_target is not None and not 1 <= conf_target <= 1_008:
        raise RpcError(INVALID_PARAMETER, "Invalid conf_target, must be between 1 and 1008")
    if conf_target is not None and rate is not None:
        raise RpcError(INVALID_PARAMETER, "Cannot specify both conf_target and fee_rate.")
    check_rate(context, rate)


def check_rate(context: Context, rate: int | None) -> None:
    """``rate`` in units per 1,000 vbytes; RPC error -8 below the ledger's minimum."""
    least = context.node.parameters.min_fee_rate * 1_000
    if rate is not None and rate < least:
        shown = f"{rate // 1_000}.{rate % 1_000:03d}"
        raise RpcError(
            INVALID_PARAMETER,
            f"Fee rate ({shown} units/vB) is lower than the minimum fee rate ({least // 1_000} units/vB)",
        )


def check_not_replaceable(replaceable: bool | None) -> None:
    """RPC error -8 when a caller counts on replacing the payment."""
    if replaceable:
        refuse_replacement()


def refuse_replacement() -> NoReturn:
    """RPC error -8 with the reason."""
    raise RpcError(INVALID_PARAMETER, _NO_REPLACEMENT)


async def pay(
    context: Context, wallet: OpenWallet, outputs: Sequence[TxOutput], funding: Funding, notes: Mapping[str, str]
) -> Transaction:
    """Choose coins, sign and send; the signed transaction. RPC errors -4, -6, -10, -13, -25, -26."""
    check_unlocked(wallet)
    if not funding.all_to:
        check_amounts(context, outputs, INSUFFICIENT_FUNDS)
    draft = await wallet.fund(outputs, replace(funding, split_change=True, patient=True))
    return await send_draft(wallet, draft, notes)


async def send_draft(wallet: OpenWallet, draft: Draft, notes: Mapping[str, str]) -> Transaction:
    """Sign and send; the coins are free again when that fails."""
    try:
        if not can_complete(wallet, draft):
            raise RpcError(WALLET_ERROR, "Others have to sign, too: make a PSBT with walletcreatefundedpsbt")
        signed = await wallet.sign(draft.tx)
        if not signed.complete:
            raise RpcError(WALLET_ERROR, f"Signing transaction failed: {signed.problems[0].text}")
        await wallet.send(signed.tx, notes)
    finally:
        wallet.release(draft)
    return signed.tx


def can_complete(wallet: OpenWallet, draft: Draft) -> bool:
    """Whether the wallet signs all of a draft: asked before the guard notes that its coins are signed away. -13."""
    if not all(coin.owned.spendable for coin in draft.coins):
        return False
    try:
        return all(wallet.state.can_complete(coin.script) for coin in draft.coins)
    except WalletError as problem:
        raise wallet_error(problem) from None


def sent(tx: Transaction, rate: int | None, verbose: bool) -> HashText | Sent:
    """The answer: the txid, or with ``verbose`` also why the fee is what it is."""
    txid = display(tx.txid)
    if not verbose:
        return txid
    return {"txid": txid, "fee_reason": "Minimum Required Fee" if rate is None else "Requested Fee Rate"}

"""RPC methods of wallets about PSBTs and signed messages."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, TypedDict

from timecoin.primitives.address import AddressError, decode
from timecoin.primitives.sighash import SIGHASH_ALL
from timecoin.primitives.signing import get_backend
from timecoin.rpc.arguments import OutputsArg
from timecoin.rpc.building import InputsArg, build, check_sighash
from timecoin.rpc.codec import Amount, amount
from timecoin.rpc.descriptor_arguments import facts_of
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_ADDRESS_OR_KEY, RpcError
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.funding_options import FundOptions, funding_of
from timecoin.rpc.kinds import Options
from timecoin.rpc.methods_psbt import described, processed, read_psbt, with_coins
from timecoin.rpc.methods_util import message_bytes
from timecoin.rpc.results_psbt import ProcessedPsbt
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import wallet_of
from timecoin.rpc.wallet_errors import WALLET_ERROR
from timecoin.rpc.wallet_paying import check_amounts, check_estimate, funded
from timecoin.wallet.messages import CannotSign, sign_message
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_errors import PsbtError, PsbtRefused
from timecoin.wallet.psbt_sign import check_version, signable
from timecoin.wallet.psbt_sign import sign as sign_psbt
from timecoin.wallet.psbt_spending import stated_coin
from timecoin.wallet.psbt_update import ScriptFacts, add_previous


async def walletprocesspsbt(
    context: Context,
    psbt: str,
    sign: bool = True,
    sighashtype: str = "DEFAULT",
    bip32derivs: bool = True,
    finalize: bool = True,
    may_block_coins: bool = False,
) -> ProcessedPsbt:
    """Add what the wallet knows to a PSBT, and sign the inputs that it has keys for.

    An amount is believed only if the transaction that made the coin is in the PSBT or known here. A signature in a
    PSBT is a signature: before it is given out, the wallet puts on record that the coin is spent by this transaction,
    and until the epoch closes it signs no other spend of it, in a PSBT or otherwise.

    :param psbt: in base64
    :param sign: sign as well
    :param sighashtype: ALL, or DEFAULT which is the same
    :param bip32derivs: tell where the wallet's keys come from
    :param finalize: make the witnesses of inputs that are completely signed
    :param may_block_coins: sign even a second spend of a coin in this epoch, which may block the coin, and all that are
        spent with it, until the epoch closes
    :returns: the PSBT, whether it is complete, and then the transaction
    :error -4: a coin was signed away by another transaction
    :error -8: a hash type that is not used here
    :error -10: the node is behind the network
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    :error -22: it is no PSBT of version 0, or asks the wallet for another hash type than ALL
    """
    wallet = wallet_of(context)
    found = await read_psbt(context, psbt)
    check_sighash(sighashtype)
    found = await updated(context, wallet, found, bip32derivs)
    if sign:
        found = await _signed(context, wallet, found, may_block_coins)
    return await context.aside(processed, found, finalize)


async def updated(context: Context, wallet: OpenWallet, psbt: Psbt, origins: bool) -> Psbt:
    """With the coins of chain, pool and wallet, and with what the wallet knows of its scripts."""
    psbt = _with_history(wallet, await with_coins(context, psbt))
    scripts = [*_scripts(psbt).values(), *(each.script for each in psbt.tx.outputs)]
    facts = await _facts(context, wallet, scripts, origins)
    return await context.aside(described, psbt, facts)


def _with_history(wallet: OpenWallet, psbt: Psbt) -> Psbt:
    """A wallet may remember a transaction that neither chain nor pool shows any more."""
    for index, spent in enumerate(psbt.tx.inputs):
        known = psbt.inputs[index]
        record = wallet.state.history.get(spent.outpoint[:32])
        if record is not None and known.non_witness_utxo is None and not known.is_final:
            with suppress(PsbtRefused):
                psbt = add_previous(psbt, index, record.tx)
    return psbt


def _scripts(psbt: Psbt) -> dict[int, bytes]:
    """The output scripts that inputs spend, without those about which the PSBT contradicts itself."""
    found: dict[int, bytes] = {}
    for index in range(len(psbt.inputs)):
        with suppress(PsbtRefused):
            coin = stated_coin(psbt, index)
            if coin is not None:
                found[index] = coin.script
    return found


async def _facts(
    context: Context, wallet: OpenWallet, scripts: Iterable[bytes], origins: bool
) -> dict[bytes, ScriptFacts]:
    """In slices: keys of a multisig script cost 40 µs each."""
    distinct = list(dict.fromkeys(scripts))
    expansions = await context.sliced(wallet.state.expand(script) for script in distinct)
    found = {script: facts_of(each) for script, each in zip(distinct, expansions, strict=True) if each is not None}
    return found if origins else {script: ScriptFacts(facts.witness_script) for script, facts in found.items()}


async def _signed(context: Context, wallet: OpenWallet, psbt: Psbt, may_block_coins: bool) -> Psbt:
    """With the wallet's signatures, which are on record before they are made."""
    own = _own_inputs(wallet, psbt)
    if not own:
        return psbt
    try:
        check_version(psbt)
    except PsbtError as problem:
        raise RpcError(DESERIALIZATION_ERROR, str(problem)) from None
    secrets = await wallet.secrets(own.values())
    indexes = [index for index in await context.aside(signable, psbt, secrets) if index in own]
    coins = [psbt.tx.inputs[index].outpoint for index in indexes]
    if not indexes:
        return psbt
    await wallet.permit(psbt.tx, coins, may_block_coins=may_block_coins)
    epoch = context.node.tip().epoch
    signed = await context.aside(sign_psbt, psbt, secrets, get_backend(), indexes)
    if context.node.tip().epoch != epoch:
        # Signing takes time, and an epoch closed.
        await wallet.permit(psbt.tx, coins, may_block_coins=may_block_coins)
    return signed


def _own_inputs(wallet: OpenWallet, psbt: Psbt) -> dict[int, bytes]:
    """Scripts of the inputs that the wallet has keys for, by index; RPC error -22 for another hash type."""
    own: dict[int, bytes] = {}
    for index, script in _scripts(psbt).items():
        owned, known = wallet.state.owned(script), psbt.inputs[index]
        if owned is None or not owned.spendable or known.is_final:
            continue
        if known.sighash is not None and known.sighash != SIGHASH_ALL:
            problem = "Specified sighash value does not match value stored in PSBT"
            raise RpcError(DESERIALIZATION_ERROR, problem)
        own[index] = script
    return own


class FundedPsbt(TypedDict):
    """``changepos``: index of the change output, -1 when there is none."""

    psbt: str
    fee: Amount
    changepos: int


async def walletcreatefundedpsbt(
    context: Context,
    inputs: InputsArg | None = None,
    outputs: OutputsArg | None = None,
    locktime: int = 0,
    options: Annotated[FundOptions | None, Options] = None,
    bip32derivs: bool = True,
    version: int = 2,
) -> FundedPsbt:
    """Make a PSBT that pays outputs with coins of the wallet, with change; nothing is signed yet.

    Each coin goes in with the transaction that made it and as witness_utxo. The chosen coins are free to be chosen
    again at once, unless lockUnspents is set.

    :param inputs: coins to be spent in any case; when any are given, others are added only with add_inputs
    :param outputs: addresses with amounts in TIME, and data with hex for one OP_RETURN output
    :param locktime: 0, or the height (below 500,000,000) or Unix time from which on it is voted for
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
    :param bip32derivs: tell where the wallet's keys come from
    :param version: 1 or 2
    :returns: the PSBT in base64, its fee in TIME, and where the change is
    :error -3: an amount is none
    :error -4: the coins do not suffice, one cannot be spent, an output is too small, or there is no change address
    :error -5: an address is none of this network
    :error -8: an option, an input or the data is out of its range, or an output is named twice
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    wanted = options or {}
    chosen = inputs or []
    replaceable = wanted.get("replaceable")
    plain = await context.aside(build, context, chosen, outputs or [], locktime, replaceable, version)
    check_amounts(context, plain.outputs)
    check_estimate(context, wanted.get("conf_target"), wanted.get("estimate_mode", "unset"), None)
    funding = funding_of(context, wanted, plain, {n: each.sequence for n, each in enumerate(chosen)})
    draft = await funded(wallet, plain.outputs, funding)
    try:
        if wanted.get("lockUnspents"):
            await wallet.lock_coins(draft.tx.outpoints(), durable=False)
        made = await updated(context, wallet, Psbt.create(draft.tx), bip32derivs)
    finally:
        wallet.release(draft)
    return {"psbt": made.text, "fee": amount(draft.fee), "changepos": _position(draft.change_position)}


def _position(found: int | None) -> int:
    return -1 if found is None else found


async def signmessage(context: Context, address: str, message: str) -> str:
    """Sign a message (BIP 322, simple form) with the key of an address of the wallet.

    :param address: an address of the wallet, of a key or of a multisig of which it has enough keys
    :param message: the text, at most 100,000 bytes
    :returns: the signature, for verifymessage
    :error -4: the wallet has not the keys
    :error -5: the address is none of this network
    :error -8: the message is too long
    :error -13: the wallet is locked
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    try:
        script = decode(address, context.node.hrp)
    except AddressError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid address") from None
    data = message_bytes(message)
    owned = wallet.state.owned(script)
    if owned is None or not owned.spendable:
        raise RpcError(WALLET_ERROR, "Private key not available")
    secrets, expansion = await wallet.secrets([script]), wallet.state.expand(script)
    try:
        return sign_message(script, data, secrets, get_backend(), expansion.witness_script if expansion else None)
    except CannotSign as problem:
        raise RpcError(WALLET_ERROR, f"Private key not available: {problem}") from None


METHODS = (
    method("Wallet", signmessage, cost=2),
    method("Wallet", walletcreatefundedpsbt, cost=5),
    method("Wallet", walletprocesspsbt, cost=5),
)

"""``masternode register``, ``update``, ``unregister`` and ``return``: the wallet pays for a payload to the registry.

Nothing is sent that would have no effect (``ledger.registry_preview``).
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import CancelledError

from timecoin.ledger.carrying import fill, placeholder
from timecoin.ledger.networks import Network
from timecoin.ledger.payload import FREE, Payload, Register, Return, Unregister, Update
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.registry_preview import NoEffect, check_carried, check_payload, set_epoch
from timecoin.ledger.tiers import Tier
from timecoin.primitives import address
from timecoin.primitives.hashes import Hash, display, hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.building import network_of, script_of
from timecoin.rpc.codec import amount
from timecoin.rpc.errors import INVALID_PARAMETER, VERIFY_REJECTED, RpcError
from timecoin.rpc.face_wallet import Draft, Funding, OpenWallet
from timecoin.rpc.masternode_options import (
    MasternodeOptions,
    Signer,
    operator_of,
    read_public_key,
    read_secret,
    read_service,
    refuse_others,
)
from timecoin.rpc.masternode_views import shown_outpoint
from timecoin.rpc.results_masternode import Changed, Registered
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_context import wallet_of
from timecoin.rpc.wallet_errors import WALLET_ERROR

_RECEIVE: Final = 0
_REGISTER: Final = frozenset({"service", "tier", "collateral", "payout", "owner_key", "operator_secret", "fee_rate"})
_UPDATE: Final = frozenset({"service", "payout", "owner_key", "owner_secret", "operator_secret", "fee_rate"})
_BARE: Final = frozenset({"owner_secret", "fee_rate"})


async def register(context: Context, options: MasternodeOptions) -> Registered:
    """Lock collateral of the wallet, or none for Free, and register a masternode behind it."""
    refuse_others(options, _REGISTER, "register")
    network, wallet = network_of(context), wallet_of(context)
    if "service" not in options:
        raise RpcError(INVALID_PARAMETER, "service is needed: the address and port under which others reach it")
    service = read_service(options["service"], network)
    operator = operator_of(context, options, network)
    locked = _collateral(context, options)
    payload = Register(
        FREE if locked == 0 else 0,
        operator.key,
        await _owner_key(wallet, options),
        script_of(context, options["payout"]) if "payout" in options else await _fresh(wallet, "masternode payout"),
        service,
    )
    _check(context, payload, locked)
    script = await _fresh(wallet, "masternode collateral")
    outputs = () if locked == 0 else (TxOutput(locked, script),)
    draft, tx, entry = await _carry(context, wallet, payload, options, outputs=outputs, operator=operator)
    coin = entry.collateral
    if coin is not None:
        await wallet.lock_coins([coin], True)
    try:
        await _send(wallet, draft, tx, f"masternode registration, {entry.tier.name.lower()}")
    except CancelledError:
        # The caller left; it is sent all the same.
        raise
    except BaseException:
        if coin is not None:
            await wallet.unlock_coins([coin])
        raise
    return _registered(context, tx, entry, draft.fee, locked)


async def change(context: Context, command: str, masternode_id: Hash, options: MasternodeOptions) -> Changed:
    """Update, unregister or bring back a masternode whose owner key is in the wallet, or given."""
    refuse_others(options, _UPDATE if command == "update" else _BARE, command)
    network, wallet = network_of(context), wallet_of(context)
    operator: Signer | None = None
    payload: Payload
    if command == "update":
        payload, operator = _update(context, network, masternode_id, options)
    else:
        payload = Unregister(masternode_id) if command == "unregister" else Return(masternode_id)
    _check(context, payload, 0)
    owner = await _owner(context, wallet, network, masternode_id, options)
    draft, tx, entry = await _carry(context, wallet, payload, options, owner=owner, operator=operator)
    await _send(wallet, draft, tx, f"masternode {command} {display(masternode_id)}")
    if command == "unregister" and entry.collateral is not None:
        # The registry keeps it from being spent until then; afterwards nothing should.
        await wallet.unlock_coins([entry.collateral])
    return _changed(context, tx, entry, draft.fee, command)


# What is asked for


def _collateral(context: Context, options: MasternodeOptions) -> int:
    """Base units to be locked, 0 for Free; RPC error -8."""
    params = context.node.parameters
    if "tier" in options and "collateral" in options:
        raise RpcError(INVALID_PARAMETER, "give either tier or collateral")
    if "collateral" in options:
        return options["collateral"]
    words = {tier.name.lower(): tier for tier in Tier}
    tier = words.get(options.get("tier", "bronze").lower())
    if tier is None:
        raise RpcError(INVALID_PARAMETER, f"tier must be one of {', '.join(words)}")
    return params.threshold(tier)


async def _fresh(wallet: OpenWallet, label: str) -> bytes:
    return await wallet.new_script(_RECEIVE, label)


async def _owner_key(wallet: OpenWallet, options: MasternodeOptions) -> bytes:
    if "owner_key" in options:
        return read_public_key(options["owner_key"], "owner_key")
    script = await _fresh(wallet, "masternode owner")
    (key,) = await wallet.secrets([script])
    return key


def _update(
    context: Context, network: Network, masternode_id: Hash, options: MasternodeOptions
) -> tuple[Update, Signer | None]:
    operator = None
    if "operator_secret" in options:
        operator = read_secret(options["operator_secret"], "operator_secret", network)
    payload = Update(
        masternode_id,
        operator_key=None if operator is None else operator.key,
        owner_key=read_public_key(options["owner_key"], "owner_key") if "owner_key" in options else None,
        payout=script_of(context, options["payout"]) if "payout" in options else None,
        service=read_service(options["service"], network) if "service" in options else None,
    )
    if payload == Update(masternode_id):
        raise RpcError(INVALID_PARAMETER, "give what is to be changed: service, payout, owner_key or operator_secret")
    return payload, operator


async def _owner(
    context: Context, wallet: OpenWallet, network: Network, masternode_id: Hash, options: MasternodeOptions
) -> Signer:
    """Who signs for the owner: the key in the registry of the opening."""
    entry = context.node.tip().registry.get(masternode_id)
    if entry is None:
        raise RpcError(INVALID_PARAMETER, "The masternode was registered in this epoch: it can be changed in the next")
    if "owner_secret" in options:
        signer = read_secret(options["owner_secret"], "owner_secret", network)
        if signer.key != entry.owner_key:
            raise RpcError(WALLET_ERROR, "owner_secret is not that of the masternode's owner key")
        return signer
    secret = (await wallet.secrets([p2wpkh(hash160(entry.owner_key))])).get(entry.owner_key)
    if secret is None:
        raise RpcError(WALLET_ERROR, "The masternode's owner key is not in this wallet: give owner_secret")
    return Signer(entry.owner_key, lambda digest: get_backend().sign_compact(secret, digest))


def _check(context: Context, payload: Payload, collateral: int) -> None:
    try:
        check_payload(context.node.parameters, context.node.tip(), payload, collateral)
    except NoEffect as problem:
        raise RpcError(VERIFY_REJECTED, f"It would have no effect: {problem}") from None


# Making and sending


async def _carry(
    context: Context,
    wallet: OpenWallet,
    payload: Payload,
    options: MasternodeOptions,
    *,
    outputs: tuple[TxOutput, ...] = (),
    owner: Signer | None = None,
    operator: Signer | None = None,
) -> tuple[Draft, Transaction, Entry]:
    """Fund, fill and sign; what the registry will hold. The draft's coins are released when something fails."""
    held = placeholder(payload)
    draft = await wallet.fund([*outputs, held], Funding(rate=options.get("fee_rate")))
    try:
        if isinstance(payload, Register) and outputs:
            payload = _at(payload, draft.tx.outputs.index(outputs[0]))
        filled = fill(
            draft.tx,
            held,
            payload,
            context.node.tip().chain_id,
            owner=None if owner is None else owner.sign,
            operator=None if operator is None else operator.sign,
        )
        entry = _preview(context, filled)
        signed = await wallet.sign(filled)
        if not signed.complete:
            raise RpcError(WALLET_ERROR, "The wallet cannot sign for all coins that it chose")
    except BaseException:
        wallet.release(draft)
        raise
    return draft, signed.tx, entry


def _at(payload: Register, index: int) -> Register:
    return Register(
        index, payload.operator_key, payload.owner_key, payload.payout, payload.service, payload.operator_signature
    )


def _preview(context: Context, tx: Transaction) -> Entry:
    try:
        return check_carried(context.node.parameters, context.node.tip(), tx, get_backend())
    except NoEffect as problem:
        raise RpcError(VERIFY_REJECTED, f"It would have no effect: {problem}") from None


async def _send(wallet: OpenWallet, draft: Draft, tx: Transaction, comment: str) -> None:
    try:
        await wallet.send(tx, {"comment": comment})
    except BaseException:
        wallet.release(draft)
        raise


# What is answered


def _registered(context: Context, tx: Transaction, entry: Entry, fee: int, locked: int) -> Registered:
    tip = context.node.tip()
    notes = ["the collateral is locked in the wallet; nobody can spend it once the registry holds it"] if locked else []
    if tip.free_mode:
        notes.append("the network still runs on its first Free seats: sets change once it has enough paid masternodes")
    if context.operator is None or context.operator.operator_key != entry.operator_key:
        notes.append("this node has another operator key: the masternode is the node that holds the one registered")
    return {
        "txid": display(tx.txid),
        "id": display(entry.masternode_id),
        "tier": entry.tier.name.lower(),
        "power": entry.power,
        "collateral": shown_outpoint(entry.collateral),
        "collateral_amount": amount(locked),
        "operator_key": entry.operator_key.hex(),
        "owner_key": entry.owner_key.hex(),
        "payout": address.encode(entry.payout, context.node.hrp),
        "service": str(entry.service),
        "fee": amount(fee),
        "epoch": tip.epoch,
        "registry_epoch": tip.epoch + 1,
        "set_epoch": set_epoch(tip),
        "notes": notes,
    }


def _changed(context: Context, tx: Transaction, entry: Entry, fee: int, command: str) -> Changed:
    tip = context.node.tip()
    notes = []
    if command == "unregister":
        notes.append(f"keep it running: it sits in the sets until epoch {tip.epoch + 1} is over")
    if command == "update" and entry.operator_key != _before(context, entry.masternode_id):
        notes.append(f"the old operator key signs until epoch {tip.epoch + 1} is over, the new one from then on")
    return {
        "txid": display(tx.txid),
        "id": display(entry.masternode_id),
        "fee": amount(fee),
        "epoch": tip.epoch,
        "registry_epoch": tip.epoch + 1,
        "set_epoch": set_epoch(tip),
        "release_epoch": entry.release if command == "unregister" else None,
        "notes": notes,
    }


def _before(context: Context, masternode_id: Hash) -> bytes | None:
    entry = context.node.tip().registry.get(masternode_id)
    return None if entry is None else entry.operator_key

"""The RPC method ``masternode``: the registry, this node's part, and changes to both (protocol.md section 3)."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, Literal

from timecoin.primitives.hashes import display, parse_display
from timecoin.primitives.signing import get_backend
from timecoin.rpc import masternode_changes, masternode_views
from timecoin.rpc.errors import INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.rpc.kinds import Options
from timecoin.rpc.masternode_options import MasternodeOptions
from timecoin.rpc.results_masternode import (
    Changed,
    MasternodeCounts,
    MasternodeShown,
    MasternodeStatus,
    OperatorKey,
    Registered,
)
from timecoin.rpc.table import Context, method

_HASH_DIGITS: Final = 64
_CHANGES: Final = ("update", "unregister", "return")
_NAMED: Final = ("sign-anyway", *_CHANGES)


async def masternode(
    context: Context,
    command: Literal["list", "count", "status", "genkey", "register", "update", "unregister", "return", "sign-anyway"],
    id: str = "",
    options: Annotated[MasternodeOptions | None, Options] = None,
) -> list[MasternodeShown] | MasternodeCounts | MasternodeStatus | OperatorKey | Registered | Changed:
    """About masternodes: look at the registry, register one, change or end a registration.

    list shows the registry, count figures of it, status this node's own part, genkey makes an operator key.

    register takes service and any of tier or collateral, payout, owner_key, operator_secret, fee_rate. The wallet pays,
    its collateral coin is locked there, its owner key is the wallet's unless another is given. The operator key is this
    node's own unless operator_secret is given. update takes the id and any of service, payout, owner_key,
    operator_secret; unregister and return (after a suspension) take the id. All three are signed by the owner key,
    which is in the wallet or given as owner_secret. Nothing is sent that would have no effect.

    What is archived in epoch e is in the registry from e+1 on, and in the set that votes from e+2 on.

    sign-anyway ends the silence of this masternode after the loss of its journal. It may make it sign against itself,
    which is misbehaviour: only for who knows that its key has signed nothing in the open epoch. It must be confirmed
    with the masternode's id.

    :param command: what to do
    :param id: of the masternode that is meant: for update, unregister, return and sign-anyway
    :param options: what register and update take
    :param options.service: address literal and port under which others reach it: 1.2.3.4:24100, [::1]:24100, an onion
    :param options.tier: bronze (the default), silver, gold or free
    :param options.collateral: TIME to lock, instead of tier
    :param options.payout: address for rewards; a new one of the wallet's if left out
    :param options.owner_key: public key in hex of the owner, who alone can change the registration
    :param options.owner_secret: the owner's private key (64 hex digits or WIF), if it is not in the wallet
    :param options.operator_secret: the operator's private key (64 hex digits or WIF)
    :param options.fee_rate: units per vbyte
    :returns: what the command is about; changes tell from which epoch on they show
    :error -1: this node has no operator key, or nothing keeps it from signing
    :error -4: the owner key is not in the wallet, or the wallet cannot pay or sign
    :error -5: an address or key is none
    :error -8: something is missing, out of range, or not for this command
    :error -18: no wallet is loaded
    :error -26: it would have no effect: the collateral is too small, the operator key is in use, no such masternode…
    """
    given = options or {}
    if (command in _NAMED) != bool(id):
        raise RpcError(INVALID_PARAMETER, f"masternode {command} takes {'an' if command in _NAMED else 'no'} id")
    if command == "register":
        return await masternode_changes.register(context, given)
    if command in _CHANGES:
        return await masternode_changes.change(context, command, _id(id), given)
    if given:
        raise RpcError(INVALID_PARAMETER, f"masternode {command} takes no options")
    if command == "sign-anyway":
        return await _sign_anyway(context, id)
    if command == "list":
        return masternode_views.show_list(context)
    if command == "count":
        return masternode_views.show_count(context)
    return _new_key() if command == "genkey" else masternode_views.show_status(context)


def _id(text: str) -> bytes:
    try:
        return parse_display(text)
    except ValueError:
        raise RpcError(INVALID_PARAMETER, f"id must have {_HASH_DIGITS} hexadecimal digits") from None


def _new_key() -> OperatorKey:
    backend = get_backend()
    secret = secrets.token_bytes(32)
    while not backend.is_secret(secret):
        secret = secrets.token_bytes(32)
    return {"operator_secret": secret.hex(), "operator_key": backend.public_key(secret).hex()}


async def _sign_anyway(context: Context, confirm: str) -> MasternodeStatus:
    own = context.node.consensus().masternode_id
    if own is None:
        raise RpcError(MISC_ERROR, "This node is not a member of the current set")
    if confirm != display(own):
        raise RpcError(INVALID_PARAMETER, "To confirm, give the id of this masternode (see masternode status)")
    if not await context.node.sign_anyway():
        raise RpcError(MISC_ERROR, "Its journal does not keep this masternode from signing")
    return masternode_views.show_status(context)


METHODS = (method("Masternodes", masternode, aliases={"confirm": "id"}),)

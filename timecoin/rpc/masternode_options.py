"""What is given to ``masternode register``, ``update``, ``unregister`` and ``return``, read and judged."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypedDict

from timecoin.ledger.networks import Network
from timecoin.ledger.service_address import AddressNetwork, ServiceAddress
from timecoin.primitives.signing import get_backend
from timecoin.primitives.wif import WifError, decode_wif
from timecoin.rpc.arguments import AmountArg, FeeRateArg
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.rpc.table import Context

_HEX32: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
_HEX33: Final = re.compile(r"0[23][0-9a-fA-F]{64}\Z")


class MasternodeOptions(TypedDict, total=False):
    """Members that no command takes are refused there."""

    service: str
    tier: str
    collateral: AmountArg
    payout: str
    owner_key: str
    owner_secret: str
    operator_secret: str
    fee_rate: FeeRateArg


class Signer(NamedTuple):
    """A key that signs payloads; ``sign`` makes compact signatures. **Secret**: never shown."""

    key: bytes
    sign: Callable[[bytes], bytes]

    def __repr__(self) -> str:
        return f"<Signer {self.key.hex()}>"


def refuse_others(options: MasternodeOptions, allowed: frozenset[str], command: str) -> None:
    """RPC error -8 for a member that the command does not take."""
    for name in options:
        if name not in allowed:
            raise RpcError(INVALID_PARAMETER, f"masternode {command} takes no {name}")


def read_service(text: str, network: Network) -> ServiceAddress:
    """The address under which others reach the masternode; RPC error -8 for one that they cannot."""
    try:
        service = ServiceAddress.parse(text)
    except ValueError as problem:
        raise RpcError(INVALID_PARAMETER, f"service must be an address literal with a port: {problem}") from None
    if service.port == 0:
        raise RpcError(INVALID_PARAMETER, "service must have a port above 0")
    is_address = service.network is not AddressNetwork.TOR_V3
    if is_address and not network.allows_private_addresses and not ipaddress.ip_address(service.host).is_global:
        raise RpcError(INVALID_PARAMETER, f"service {service} cannot be reached by others on {network.name}")
    return service


def read_secret(text: str, name: str, network: Network) -> Signer:
    """The signer of a secret, 64 hex digits or WIF; RPC error -5, which does not quote it."""
    backend = get_backend()
    try:
        secret = bytes.fromhex(text) if _HEX32.match(text) else decode_wif(text, network.keys.wif)
    except WifError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"{name} is no private key") from None
    if not backend.is_secret(secret):
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"{name} is no private key")
    return Signer(backend.public_key(secret), lambda digest: backend.sign_compact(secret, digest))


def read_public_key(text: str, name: str) -> bytes:
    """A compressed public key in hex; RPC error -5."""
    key = bytes.fromhex(text) if _HEX33.match(text) else b""
    if not get_backend().is_public_key(key):
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"{name} is no compressed public key")
    return key


def operator_of(context: Context, options: MasternodeOptions, network: Network) -> Signer:
    """The operator key given, or this node's own; RPC error -1 when there is neither."""
    if "operator_secret" in options:
        return read_secret(options["operator_secret"], "operator_secret", network)
    if context.operator is None:
        raise RpcError(
            MISC_ERROR, "This node has no operator key: set [masternode] operator_key_file, or give operator_secret"
        )
    return Signer(context.operator.operator_key, context.operator.sign)

"""Keys, payloads and registry entries for the registry's tests; everything follows from small numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import FREE, Payload, Register, encode, sign, signing_digest
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.hashes import sha256
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import TxOutput, make_outpoint

BACKEND = get_backend()
CHAIN_ID = sha256(b"a test chain")
PREVOUTS = sha256(b"some prevouts")
SERVICE = ServiceAddress.parse("203.0.113.7:24100")
PARAMS = Parameters()


def secret(number: int) -> bytes:
    return number.to_bytes(32, "big")


@cache
def key(number: int) -> bytes:
    return BACKEND.public_key(secret(number))


def script(number: int) -> bytes:
    return p2wpkh(number.to_bytes(20, "big"))


def txid(number: int) -> bytes:
    return sha256(b"tx %d" % number)


def owner(number: int) -> int:
    """The number of the owner key that masternode ``number`` starts with."""
    return number + 1_000


def entry(number: int, tier: Tier = Tier.BRONZE, *, height: int = 0, **changes: Any) -> Entry:
    """Masternode ``number``: id txid(number), operator key(number), owner key(owner(number))."""
    values: dict[str, Any] = {
        "masternode_id": txid(number),
        "operator_key": key(number),
        "owner_key": key(owner(number)),
        "payout": script(number),
        "service": SERVICE,
        "tier": tier,
        "power": PARAMS.power(tier),
        "collateral": None if tier is Tier.FREE else make_outpoint(txid(number), 0),
        "height": height,
        "position": number,
    }
    return Entry(**(values | changes))


def register(number: int, index: int = 0, **changes: Any) -> Register:
    values: dict[str, Any] = {
        "collateral_index": index,
        "operator_key": key(number),
        "owner_key": key(owner(number)),
        "payout": script(number),
        "service": SERVICE,
    }
    return Register(**(values | changes))


def signed(payload: Payload, *, owner: int | None = None, operator: int | None = None) -> bytes:
    """The encoded payload, signed with the keys of these numbers."""
    digest = signing_digest(CHAIN_ID, PREVOUTS, payload)
    owner_secret = None if owner is None else secret(owner)
    operator_secret = None if operator is None else secret(operator)
    return encode(sign(BACKEND, payload, digest, owner=owner_secret, operator=operator_secret))


def record(number: int, data: bytes, value: int = PARAMS.bronze_collateral, height: int = 5) -> PayloadRecord:
    """Transaction ``number`` carrying ``data``, its output 0 worth ``value``."""
    return PayloadRecord(txid(number), height, number, PREVOUTS, data, (TxOutput(value, script(number)),))


def registration(number: int, value: int = PARAMS.bronze_collateral, height: int = 5) -> PayloadRecord:
    """A good registration of masternode ``number``."""
    return record(number, signed(register(number), operator=number), value, height)


def free_registration(number: int, height: int = 5) -> PayloadRecord:
    """A good registration of a Free masternode."""
    return record(number, signed(register(number, FREE), operator=number), height=height)

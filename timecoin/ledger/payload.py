"""Registry payloads: what an OP_RETURN tells the masternode registry (protocol.md section 3).

``TCMN`` ‖ version u8 ‖ kind u8 ‖ body ‖ signatures (64 bytes each). A payload never makes a transaction
invalid; `parse` gives None for what is no well-formed payload, and only the closing block of its epoch
applies it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from timecoin.primitives.codec import DecodeError, Reader
from timecoin.primitives.hashes import tagged_hash
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.signing import SignatureBackend, SignatureCheck

from .service_address import ServiceAddress

MAGIC: Final = b"TCMN"
VERSION: Final = 1
#: Collateral output index of a registration without collateral.
FREE: Final = 0xFFFF
SIGNING_TAG: Final = "timecoin/registry"

_REGISTER, _UPDATE, _UNREGISTER, _RETURN = 1, 2, 3, 4
_OPERATOR, _OWNER, _PAYOUT, _SERVICE = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Register:
    """A new masternode; its id is the txid of the carrying transaction.

    ``collateral_index``: output of that transaction, or `FREE`. Keys are 33 bytes, ``payout`` is a P2WPKH
    or P2WSH script. ``operator_signature`` is 64 bytes, empty while unsigned.
    """

    collateral_index: int
    operator_key: bytes
    owner_key: bytes
    payout: bytes
    service: ServiceAddress
    operator_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Update:
    """New values for a masternode; None leaves one as it is, at least one is given.

    Signed by the owner key that the opening state knows, and by the new operator key if there is one.
    """

    masternode_id: bytes
    operator_key: bytes | None = None
    owner_key: bytes | None = None
    payout: bytes | None = None
    service: ServiceAddress | None = None
    owner_signature: bytes = b""
    operator_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Unregister:
    """The owner's farewell: out of the set, collateral free after the unbonding time."""

    masternode_id: bytes
    owner_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Return:
    """The owner's end of a suspension."""

    masternode_id: bytes
    owner_signature: bytes = b""


Payload: TypeAlias = Register | Update | Unregister | Return


def parse(data: bytes) -> Payload | None:
    """Return the payload in an OP_RETURN's data, or None when there is none or it is malformed."""
    try:
        return decode(data)
    except DecodeError:
        return None


def decode(data: bytes) -> Payload:
    """Return the signed payload that ``data`` encodes; DecodeError says what is wrong with it."""
    reader = Reader(data)
    if reader.take(len(MAGIC)) != MAGIC:
        raise DecodeError("no TCMN payload")
    if reader.u8() != VERSION:
        raise DecodeError("unknown payload version")
    read = _READERS.get(reader.u8())
    if read is None:
        raise DecodeError("unknown payload kind")
    payload = read(reader)
    reader.finish()
    return payload


def unsigned(payload: Payload) -> bytes:
    """Return the payload without its signatures: the last part of what they cover."""
    return MAGIC + bytes([VERSION]) + _body(payload)


def encode(payload: Payload) -> bytes:
    """Return what goes into the OP_RETURN; ValueError unless form and number of signatures are right."""
    data = unsigned(payload) + b"".join(_signatures(payload))
    try:
        decode(data)
    except DecodeError as error:
        raise ValueError(f"payload cannot be encoded: {error}") from error
    return data


def signing_digest(chain_id: bytes, hash_prevouts: bytes, payload: Payload) -> bytes:
    """Return the 32-byte digest that the payload's signatures sign.

    ``hash_prevouts`` is BIP 143's of the carrying transaction, so that nobody can carry the payload
    elsewhere.
    """
    return tagged_hash(SIGNING_TAG, chain_id + hash_prevouts + unsigned(payload))


def signature_checks(payload: Payload, digest: bytes, owner_key: bytes) -> list[SignatureCheck]:
    """Return the checks that all must hold; ``owner_key`` is the opening state's (unused for `Register`)."""
    if isinstance(payload, Register):
        return [SignatureCheck(payload.operator_key, digest, payload.operator_signature, True)]
    checks = [SignatureCheck(owner_key, digest, payload.owner_signature, True)]
    if isinstance(payload, Update) and payload.operator_key is not None:
        checks.append(SignatureCheck(payload.operator_key, digest, payload.operator_signature, True))
    return checks


def sign(
    backend: SignatureBackend,
    payload: Payload,
    digest: bytes,
    *,
    owner: bytes | None = None,
    operator: bytes | None = None,
) -> Payload:
    """Return the payload with the signatures of the given 32-byte secrets put in; others stay as they are."""
    if operator is not None and isinstance(payload, Register | Update):
        payload = replace(payload, operator_signature=backend.sign_compact(operator, digest))
    if owner is not None and not isinstance(payload, Register):
        payload = replace(payload, owner_signature=backend.sign_compact(owner, digest))
    return payload


def _signatures(payload: Payload) -> list[bytes]:
    if isinstance(payload, Register):
        return [payload.operator_signature]
    if isinstance(payload, Update) and payload.operator_key is not None:
        return [payload.owner_signature, payload.operator_signature]
    return [payload.owner_signature]


def _body(payload: Payload) -> bytes:
    if isinstance(payload, Register):
        index = payload.collateral_index.to_bytes(2, "little")
        keys = payload.operator_key + payload.owner_key
        return bytes([_REGISTER]) + index + keys + _payout(payload.payout) + payload.service.encode()
    if isinstance(payload, Update):
        return bytes([_UPDATE]) + payload.masternode_id + _new_values(payload)
    kind = _UNREGISTER if isinstance(payload, Unregister) else _RETURN
    return bytes([kind]) + payload.masternode_id


def _payout(script: bytes) -> bytes:
    return bytes([len(script)]) + script


def _new_values(update: Update) -> bytes:
    values = (
        (_OPERATOR, update.operator_key),
        (_OWNER, update.owner_key),
        (_PAYOUT, None if update.payout is None else _payout(update.payout)),
        (_SERVICE, None if update.service is None else update.service.encode()),
    )
    given = [(flag, value) for flag, value in values if value is not None]
    return bytes([sum(flag for flag, _ in given)]) + b"".join(value for _, value in given)


def _read_key(reader: Reader) -> bytes:
    key = reader.take(33)
    if key[0] not in (2, 3):
        raise DecodeError("key is not compressed")
    return key


def read_payout(reader: Reader) -> bytes:
    """Read a payout script behind its u8 length; DecodeError unless it is P2WPKH or P2WSH."""
    script = reader.take(reader.u8())
    if classify(script) not in (Kind.P2WPKH, Kind.P2WSH):
        raise DecodeError("payout is neither P2WPKH nor P2WSH")
    return script


def _read_register(reader: Reader) -> Register:
    index = reader.u16()
    operator_key, owner_key = _read_key(reader), _read_key(reader)
    payout, service = read_payout(reader), ServiceAddress.read(reader)
    return Register(index, operator_key, owner_key, payout, service, reader.take(64))


def _read_update(reader: Reader) -> Update:
    masternode_id, flags = reader.take(32), reader.u8()
    if not 0 < flags < 16:
        raise DecodeError("update names no value or an unknown one")
    operator_key = _read_key(reader) if flags & _OPERATOR else None
    owner_key = _read_key(reader) if flags & _OWNER else None
    payout = read_payout(reader) if flags & _PAYOUT else None
    service = ServiceAddress.read(reader) if flags & _SERVICE else None
    owner_signature = reader.take(64)
    operator_signature = reader.take(64) if operator_key is not None else b""
    return Update(
        masternode_id, operator_key, owner_key, payout, service, owner_signature, operator_signature
    )


def _read_unregister(reader: Reader) -> Unregister:
    return Unregister(reader.take(32), reader.take(64))


def _read_return(reader: Reader) -> Return:
    return Return(reader.take(32), reader.take(64))


_READERS: Final[dict[int, Callable[[Reader], Payload]]] = {
    _REGISTER: _read_register,
    _UPDATE: _read_update,
    _UNREGISTER: _read_unregister,
    _RETURN: _read_return,
}

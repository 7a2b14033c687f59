"""The parts of a genesis file and their JSON: parameters, allocations, registrations (protocol.md 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timecoin.primitives import address
from timecoin.primitives.transaction import TxOutput

from .canonical import Json
from .json_fields import Fields, GenesisError
from .params import AMOUNTS, Parameters
from .payload import FREE
from .service_address import ServiceAddress

_REGISTRATION_KEYS: Final = ("collateral", "operator_key", "owner_key", "payout", "service")


@dataclass(frozen=True, slots=True)
class GenesisRegistration:
    """A masternode of the first set: the fields of a register payload, believed without signature.

    ``collateral`` is the index of the allocation that is locked, or `FREE`.
    """

    collateral: int
    operator_key: bytes
    owner_key: bytes
    payout: bytes
    service: ServiceAddress

    @property
    def is_paid(self) -> bool:
        """Whether collateral stands behind it."""
        return self.collateral != FREE


def allocation_to_json(output: TxOutput, hrp: str) -> Json:
    """Return address and amount in base units."""
    return {"address": address.encode(output.script, hrp), "amount": str(output.value)}


def parameters_to_json(params: Parameters) -> dict[str, Json]:
    """Return every parameter; amounts as decimal strings of base units."""
    values = {name: getattr(params, name) for name in Parameters.__struct_fields__}
    return {name: str(value) if name in AMOUNTS else value for name, value in values.items()}


def registration_to_json(item: GenesisRegistration, hrp: str) -> Json:
    """Return the fields of a registration."""
    return {
        "collateral": item.collateral,
        "operator_key": item.operator_key.hex(),
        "owner_key": item.owner_key.hex(),
        "payout": address.encode(item.payout, hrp),
        "service": str(item.service),
    }


def parameters_from_json(value: Json) -> Parameters:
    """Inverse of `parameters_to_json`; GenesisError unless exactly all are given. Not validated."""
    names = Parameters.__struct_fields__
    fields = Fields(value, "parameters", names)
    return Parameters(
        **{name: fields.amount(name) if name in AMOUNTS else fields.integer(name) for name in names}
    )


def allocation_from_json(value: Json, path: str, hrp: str) -> TxOutput:
    """Inverse of `allocation_to_json`; GenesisError names the key under ``path``."""
    fields = Fields(value, path, ("address", "amount"))
    return TxOutput(fields.amount("amount"), _script(fields, "address", hrp))


def registration_from_json(value: Json, path: str, hrp: str) -> GenesisRegistration:
    """Inverse of `registration_to_json`; GenesisError names the key under ``path``."""
    fields = Fields(value, path, _REGISTRATION_KEYS)
    try:
        service = ServiceAddress.parse(fields.string("service"))
    except ValueError as error:
        raise GenesisError(fields.key("service"), str(error)) from error
    return GenesisRegistration(
        fields.integer("collateral", 0, FREE),
        fields.data("operator_key", 33),
        fields.data("owner_key", 33),
        _script(fields, "payout", hrp),
        service,
    )


def _script(fields: Fields, name: str, hrp: str) -> bytes:
    try:
        return address.decode(fields.string(name), hrp)
    except address.AddressError as error:
        raise GenesisError(fields.key(name), str(error)) from error

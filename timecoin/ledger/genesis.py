"""The genesis file: the one thing that all nodes of a network must have been given (protocol.md section 2).

Canonical JSON of integers and strings; amounts are decimal strings of base units. Its SHA256d is the
chain_id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from timecoin.primitives.hashes import sha256d
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.primitives.transaction import TxOutput

from . import canonical, networks
from .canonical import CanonicalError, Json
from .genesis_parts import (
    GenesisRegistration,
    allocation_from_json,
    allocation_to_json,
    parameters_from_json,
    parameters_to_json,
    registration_from_json,
    registration_to_json,
)
from .json_fields import Fields, GenesisError
from .networks import Network
from .params import ParameterError, Parameters

__all__ = ["FORMAT", "Genesis", "GenesisError", "GenesisRegistration"]

#: Version of the file format.
FORMAT: Final = 1
_REGISTRATION_TAG: Final = b"timecoin/genesis-registration"
_KEYS: Final = ("allocations", "format", "network", "parameters", "peers", "registrations", "time")
_PEER: Final = re.compile(
    r"(?P<node>0[23][0-9a-f]{64})@(?P<host>[a-zA-Z0-9.\-]+|\[[0-9a-f:.]+\]):(?P<port>[1-9][0-9]{0,4})"
)


@dataclass(frozen=True)
class Genesis:
    """The first state of a network, as data.

    ``time``: Unix seconds. ``allocations``: coins of block 0 in base units, in file order. ``peers``:
    pinned first contacts, ``nodeid@host:port``. `load` gives only valid ones; after building one by hand
    call `validate`.
    """

    network: str
    time: int
    parameters: Parameters
    allocations: tuple[TxOutput, ...]
    registrations: tuple[GenesisRegistration, ...]
    peers: tuple[str, ...] = ()

    @classmethod
    def load(cls, data: bytes) -> Genesis:
        """Read and validate a genesis file, however it is spaced; GenesisError names the key at fault."""
        try:
            value = canonical.loads(data)
        except CanonicalError as error:
            raise GenesisError("genesis", str(error)) from error
        genesis = _from_json(value)
        genesis.validate()
        if canonical.dumps(value) != genesis.encode():
            raise GenesisError("genesis", "a value is not written in its one canonical way")
        return genesis

    @cached_property
    def network_info(self) -> Network:
        """Ports, prefixes and version bytes of the network."""
        return networks.get(self.network)

    @cached_property
    def chain_id(self) -> bytes:
        """SHA256d of the canonical JSON: the genesis hash (32 bytes)."""
        return sha256d(self.encode())

    @property
    def slot_time(self) -> int:
        """Slot time of block 0: the genesis time rounded down to a slot, Unix seconds."""
        return self.time - self.time % self.parameters.epoch_seconds

    @property
    def supply(self) -> int:
        """Sum of the allocations in base units."""
        return sum(output.value for output in self.allocations)

    def registration_id(self, position: int) -> bytes:
        """Masternode id of the registration at ``position`` of the file (32 bytes)."""
        return sha256d(_REGISTRATION_TAG + self.chain_id + position.to_bytes(4, "little"))

    def encode(self) -> bytes:
        """Return the canonical JSON."""
        return canonical.dumps(_to_json(self))

    def validate(self, backend: SignatureBackend | None = None) -> None:
        """Raise GenesisError for the first rule that is broken (protocol.md sections 2, 3 and 12)."""
        try:
            networks.get(self.network)
        except ValueError as error:
            raise GenesisError("network", str(error)) from error
        try:
            self.parameters.validate()
        except ParameterError as error:
            raise GenesisError(f"parameters.{error.parameter}", error.rule) from error
        _check_time(self)
        _check_allocations(self)
        _check_registrations(self, backend or get_backend())
        _check_peers(self)


def _require(condition: bool, key: str, problem: str) -> None:
    if not condition:
        raise GenesisError(key, problem)


def _check_time(genesis: Genesis) -> None:
    _require(0 <= genesis.time < 2**40, "time", "must be Unix seconds")


def _check_allocations(genesis: Genesis) -> None:
    limit = genesis.parameters.max_money
    total = 0
    for i, output in enumerate(genesis.allocations):
        key = f"allocations[{i}]"
        payable = classify(output.script) in (Kind.P2WPKH, Kind.P2WSH)
        _require(payable, f"{key}.address", "must be a P2WPKH or P2WSH address")
        _require(0 < output.value <= limit, f"{key}.amount", "must be from 1 to max_money")
        total += output.value
        _require(total <= limit, f"{key}.amount", "the allocations exceed max_money")


def _check_registrations(genesis: Genesis, backend: SignatureBackend) -> None:
    _require(bool(genesis.registrations), "registrations", "must not be empty")
    operators: set[bytes] = set()
    collaterals: set[int] = set()
    for i, registration in enumerate(genesis.registrations):
        key = f"registrations[{i}]"
        _check_keys(registration, key, backend)
        _require(registration.operator_key not in operators, f"{key}.operator_key", "is used twice")
        operators.add(registration.operator_key)
        if registration.is_paid:
            _check_collateral(genesis, registration.collateral, f"{key}.collateral")
            _require(registration.collateral not in collaterals, f"{key}.collateral", "is used twice")
            collaterals.add(registration.collateral)
    free = len(genesis.registrations) - len(collaterals)
    _require(free <= genesis.parameters.max_free, "registrations", "more Free masternodes than max_free")


def _check_keys(registration: GenesisRegistration, key: str, backend: SignatureBackend) -> None:
    for name in ("operator_key", "owner_key"):
        is_point = backend.is_public_key(getattr(registration, name))
        _require(is_point, f"{key}.{name}", "must be a compressed public key")
    payable = classify(registration.payout) in (Kind.P2WPKH, Kind.P2WSH)
    _require(payable, f"{key}.payout", "must be a P2WPKH or P2WSH address")
    try:
        registration.service.check()
    except ValueError as error:
        raise GenesisError(f"{key}.service", str(error)) from error


def _check_collateral(genesis: Genesis, index: int, key: str) -> None:
    _require(0 <= index < len(genesis.allocations), key, "names no allocation")
    tier = genesis.parameters.paid_tier(genesis.allocations[index].value)
    _require(tier is not None, key, "is below the lowest tier")


def _check_peers(genesis: Genesis) -> None:
    for i, peer in enumerate(genesis.peers):
        match = _PEER.fullmatch(peer)
        ok = match is not None and int(match["port"]) <= 0xFFFF
        _require(ok, f"peers[{i}]", "must be nodeid@host:port")
    _require(len(set(genesis.peers)) == len(genesis.peers), "peers", "names a peer twice")


def _to_json(genesis: Genesis) -> Json:
    hrp = genesis.network_info.hrp
    return {
        "allocations": [allocation_to_json(output, hrp) for output in genesis.allocations],
        "format": FORMAT,
        "network": genesis.network,
        "parameters": parameters_to_json(genesis.parameters),
        "peers": list(genesis.peers),
        "registrations": [registration_to_json(item, hrp) for item in genesis.registrations],
        "time": genesis.time,
    }


def _from_json(value: Json) -> Genesis:
    fields = Fields(value, "", _KEYS)
    fields.integer("format", FORMAT, FORMAT)
    name = fields.string("network")
    try:
        hrp = networks.get(name).hrp
    except ValueError as error:
        raise GenesisError("network", str(error)) from error
    return Genesis(
        network=name,
        time=fields.integer("time"),
        parameters=parameters_from_json(fields.raw("parameters")),
        allocations=tuple(
            allocation_from_json(item, path, hrp) for path, item in fields.items("allocations")
        ),
        registrations=tuple(
            registration_from_json(item, path, hrp) for path, item in fields.items("registrations")
        ),
        peers=tuple(_peer(item, path) for path, item in fields.items("peers")),
    )


def _peer(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise GenesisError(path, "must be a string")
    return value

"""A genesis by several operators who need not trust each other: terms, signed parts, and what follows from them.

Everybody agrees on *terms* (network, time, parameters, how many operators). Each operator makes a *part*: its
masternode and the coins it asks for, signed with its operator key over the terms and the part. The genesis follows from
terms and parts alone, in whatever order they are given, so anybody can combine them and everybody can check it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from timecoin.primitives import address
from timecoin.primitives.hashes import sha256d, tagged_hash
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import TxOutput

from . import canonical, networks
from .canonical import CanonicalError, Json
from .genesis import Genesis
from .genesis_builder import FirstMasternode, build_genesis
from .genesis_parts import allocation_from_json, allocation_to_json, parameters_from_json, parameters_to_json
from .json_fields import Fields, GenesisError
from .params import ParameterError, Parameters
from .service_address import ServiceAddress
from .tiers import Tier

__all__ = ["MAX_ALLOCATIONS", "CeremonyError", "Part", "Terms", "combine", "compare"]

FORMAT: Final = 1
MAX_ALLOCATIONS: Final = 1_000
"""Coins that one part may ask for besides its collateral."""
_TAG: Final = "timecoin/genesis-part"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_TERMS_KEYS: Final = ("format", "network", "operators", "parameters", "time")
_FILE_KEYS: Final = ("format", "part", "signature", "terms")
_PART_KEYS: Final = (
    "allocations",
    "collateral",
    "name",
    "node_key",
    "operator_key",
    "owner_key",
    "payout",
    "service",
    "tier",
)


class CeremonyError(ValueError):
    """Terms or parts from which no genesis can be made, or a genesis that is not made of them; one line."""


@dataclass(frozen=True)
class Terms:
    """What all operators agree on; ``time`` in Unix seconds. :meth:`load` gives only valid ones."""

    network: str
    time: int
    parameters: Parameters
    operators: int

    @classmethod
    def load(cls, data: bytes) -> Terms:
        """Read and check; ``CeremonyError``."""
        try:
            value = canonical.loads(data)
            fields = Fields(value, "", _TERMS_KEYS)
            fields.integer("format", FORMAT, FORMAT)
            terms = cls(
                fields.string("network"),
                fields.integer("time", 0, 2**40 - 1),
                parameters_from_json(fields.raw("parameters")),
                fields.integer("operators", 1, 0xFFFF),
            )
        except (CanonicalError, GenesisError) as problem:
            raise CeremonyError(f"terms: {problem}") from None
        terms.validate()
        return terms

    def validate(self) -> None:
        """Raise ``CeremonyError`` for what no network can start from."""
        try:
            networks.get(self.network)
            self.parameters.validate()
        except (ValueError, ParameterError) as problem:
            raise CeremonyError(f"terms: {problem}") from None
        if not 1 <= self.operators <= self.parameters.max_set:
            raise CeremonyError(f"terms: operators: must be from 1 to {self.parameters.max_set}")

    def encode(self) -> bytes:
        """The canonical JSON."""
        return canonical.dumps(
            {
                "format": FORMAT,
                "network": self.network,
                "operators": self.operators,
                "parameters": parameters_to_json(self.parameters),
                "time": self.time,
            }
        )

    @cached_property
    def hash(self) -> bytes:
        """SHA256d of the canonical JSON (32 bytes): what parts refer to."""
        return sha256d(self.encode())

    @property
    def hrp(self) -> str:
        """The prefix of the network's addresses."""
        return networks.get(self.network).hrp


@dataclass(frozen=True)
class Part:
    """One operator's part, with its signature (64 bytes, compact).

    Keys are 33 bytes, ``payout`` and ``collateral`` are scripts: where rewards go, and who owns the locked coin.
    ``node_key`` is the key of its connections.
    """

    name: str
    operator_key: bytes
    owner_key: bytes
    node_key: bytes
    payout: bytes
    collateral: bytes
    service: ServiceAddress
    tier: Tier
    allocations: tuple[TxOutput, ...] = ()
    signature: bytes = b""

    def digest(self, terms: Terms) -> bytes:
        """What the operator key signs: the terms and everything in the part."""
        return tagged_hash(_TAG, terms.hash + canonical.dumps(self._to_json(terms.hrp)))

    def encode(self, terms: Terms) -> bytes:
        """The part file's canonical JSON."""
        return canonical.dumps(
            {
                "format": FORMAT,
                "part": self._to_json(terms.hrp),
                "signature": self.signature.hex(),
                "terms": terms.hash[::-1].hex(),
            }
        )

    @classmethod
    def load(cls, data: bytes, terms: Terms, backend: SignatureBackend) -> Part:
        """Read a part of these terms and check its signature; ``CeremonyError``."""
        try:
            value = canonical.loads(data)
            fields = Fields(value, "", _FILE_KEYS)
            fields.integer("format", FORMAT, FORMAT)
            if fields.data("terms", 32)[::-1] != terms.hash:
                raise CeremonyError("terms: is a part of other terms than these")
            part = _part(fields.raw("part"), fields.data("signature", 64), terms.hrp)
        except (CanonicalError, GenesisError) as problem:
            raise CeremonyError(str(problem)) from None
        part._check(terms, backend)
        if canonical.dumps(value) != part.encode(terms):
            raise CeremonyError("a value is not written in its one canonical way")
        return part

    def _check(self, terms: Terms, backend: SignatureBackend) -> None:
        for name in ("operator_key", "owner_key", "node_key"):
            if not backend.is_public_key(getattr(self, name)):
                raise CeremonyError(f"{name}: must be a compressed public key")
        scripts = [("payout", self.payout), ("collateral", self.collateral)]
        for name, script in [*scripts, *(("allocations", each.script) for each in self.allocations)]:
            if classify(script) not in (Kind.P2WPKH, Kind.P2WSH):
                raise CeremonyError(f"{name}: must be a P2WPKH or P2WSH address")
        if any(each.value <= 0 for each in self.allocations):
            raise CeremonyError("allocations: amounts must be above 0")
        if not backend.verify_compact(self.operator_key, self.digest(terms), self.signature):
            raise CeremonyError("the signature is not the operator key's over this part and these terms")

    @property
    def peer(self) -> str:
        """The pinned peer of the genesis: ``nodeid@host:port``."""
        return f"{self.node_key.hex()}@{self.service}"

    def masternode(self) -> FirstMasternode:
        """Its masternode in the genesis."""
        return FirstMasternode(self.operator_key, self.owner_key, self.payout, self.service, self.tier, self.collateral)

    def _to_json(self, hrp: str) -> dict[str, Json]:
        return {
            "allocations": [allocation_to_json(each, hrp) for each in self.allocations],
            "collateral": address.encode(self.collateral, hrp),
            "name": self.name,
            "node_key": self.node_key.hex(),
            "operator_key": self.operator_key.hex(),
            "owner_key": self.owner_key.hex(),
            "payout": address.encode(self.payout, hrp),
            "service": str(self.service),
            "tier": self.tier.name.lower(),
        }


def combine(terms: Terms, parts: Iterable[Part]) -> Genesis:
    """The genesis of these parts, the same in whatever order they come; ``CeremonyError``.

    Masternodes stand in the order of their operator keys: first all collaterals, then the coins asked for.
    """
    ordered = sorted(parts, key=lambda part: part.operator_key)
    for what in ("operator_key", "name", "owner_key", "node_key", "service"):
        _refuse_twice(ordered, what)
    if len(ordered) != terms.operators:
        raise CeremonyError(f"the terms are for {terms.operators} operators, and there are {len(ordered)} parts")
    try:
        return build_genesis(
            terms.network,
            terms.time,
            [part.masternode() for part in ordered],
            parameters=terms.parameters,
            allocations=[each for part in ordered for each in part.allocations],
            peers=[part.peer for part in ordered],
        )
    except GenesisError as problem:
        raise CeremonyError(str(problem)) from None


def _refuse_twice(parts: Sequence[Part], what: str) -> None:
    seen: dict[object, str] = {}
    for part in parts:
        value = getattr(part, what)
        if value in seen:
            raise CeremonyError(f"{seen[value]} and {part.name} have the same {what.replace('_', ' ')}")
        seen[value] = part.name


def compare(genesis: Genesis, terms: Terms, part: Part) -> None:
    """Whether a genesis keeps to the terms and holds a part unchanged; ``CeremonyError`` says what is wrong."""
    if (genesis.network, genesis.time) != (terms.network, terms.time):
        raise CeremonyError("network and time are not those of the terms")
    if genesis.parameters != terms.parameters:
        changed = [
            name
            for name in Parameters.__struct_fields__
            if getattr(genesis.parameters, name) != getattr(terms.parameters, name)
        ]
        raise CeremonyError(f"parameters differ from the terms: {', '.join(changed)}")
    if len(genesis.registrations) != terms.operators:
        raise CeremonyError(
            f"there are {len(genesis.registrations)} masternodes; the terms are for {terms.operators} operators"
        )
    _compare_masternode(genesis, terms, part)
    _compare_coins(genesis, terms, part)
    if part.peer not in genesis.peers:
        raise CeremonyError("the peer of the part is not in it, or with another key or address")


def _compare_masternode(genesis: Genesis, terms: Terms, part: Part) -> None:
    found = next((each for each in genesis.registrations if each.operator_key == part.operator_key), None)
    if found is None:
        raise CeremonyError("the operator key of the part is not in it")
    for name in ("owner_key", "payout", "service"):
        if getattr(found, name) != getattr(part, name):
            raise CeremonyError(f"the {name.replace('_', ' ')} of the part was changed")
    if found.is_paid != (part.tier is not Tier.FREE):
        raise CeremonyError("the tier of the part was changed")
    if found.is_paid:
        wanted = TxOutput(terms.parameters.threshold(part.tier), part.collateral)
        if genesis.allocations[found.collateral] != wanted:
            raise CeremonyError("the collateral of the part was changed")


def _compare_coins(genesis: Genesis, terms: Terms, part: Part) -> None:
    locked = {each.collateral for each in genesis.registrations if each.is_paid}
    there = Counter(output for index, output in enumerate(genesis.allocations) if index not in locked)
    missing = Counter(part.allocations) - there
    for output in missing:
        where = address.encode(output.script, terms.hrp)
        raise CeremonyError(f"an allocation of the part is missing: {output.value} base units to {where}")


def _part(value: Json, signature: bytes, hrp: str) -> Part:
    fields = Fields(value, "part", _PART_KEYS)
    name = fields.string("name")
    if not _NAME.fullmatch(name):
        raise GenesisError(fields.key("name"), "must be 1 to 40 letters, digits, spaces, dots, hyphens or underscores")
    items = fields.items("allocations")
    if len(items) > MAX_ALLOCATIONS:
        raise GenesisError(fields.key("allocations"), f"{MAX_ALLOCATIONS} are the most")
    return Part(
        name=name,
        operator_key=fields.data("operator_key", 33),
        owner_key=fields.data("owner_key", 33),
        node_key=fields.data("node_key", 33),
        payout=_script(fields, "payout", hrp),
        collateral=_script(fields, "collateral", hrp),
        service=_service(fields),
        tier=_tier(fields),
        allocations=tuple(allocation_from_json(item, path, hrp) for path, item in items),
        signature=signature,
    )


def _script(fields: Fields, name: str, hrp: str) -> bytes:
    try:
        return address.decode(fields.string(name), hrp)
    except address.AddressError as problem:
        raise GenesisError(fields.key(name), str(problem)) from None


def _service(fields: Fields) -> ServiceAddress:
    try:
        return ServiceAddress.parse(fields.string("service"))
    except ValueError as problem:
        raise GenesisError(fields.key("service"), str(problem)) from None


def _tier(fields: Fields) -> Tier:
    try:
        return Tier[fields.string("tier").upper()]
    except KeyError:
        raise GenesisError(fields.key("tier"), "must be gold, silver, bronze or free") from None

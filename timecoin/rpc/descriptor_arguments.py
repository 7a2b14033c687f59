"""Descriptors and ranges in parameters of methods, with Core's complaints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from timecoin.ledger.networks import Network
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.kinds import Kind, expect, read_text
from timecoin.wallet.descriptors import Descriptor, Expansion, parse_all
from timecoin.wallet.errors import BadDescriptor, WalletError
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_update import ScriptFacts

MAX_RANGE: Final = 10_000
"""Indexes of a range in one call, at most: a script costs 40 µs a key."""

_HARDENED: Final = 0x80000000
_DEFAULT_END: Final = 1_000
_RANGE_SCHEMA: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2},
    ]
}


def _range(value: Any, name: str) -> tuple[int, int]:
    """Core's ParseDescriptorRange: an end, or begin and end, both of them included."""
    expect(value, "number", "array")
    pair = value if isinstance(value, list) else [0, value]
    if len(pair) != 2 or not all(isinstance(each, int) and not isinstance(each, bool) for each in pair):
        raise RpcError(INVALID_PARAMETER, "Range must be specified as end or as [begin,end]")
    first, last = pair
    if last < first:
        raise RpcError(INVALID_PARAMETER, "Range specified as [begin,end] must not have begin after end")
    if first < 0:
        raise RpcError(INVALID_PARAMETER, "Range should be greater or equal than 0")
    if last >= _HARDENED:
        raise RpcError(INVALID_PARAMETER, "End of range is too high")
    if last >= first + MAX_RANGE:
        raise RpcError(INVALID_PARAMETER, "Range is too large")
    return first, last


#: ``end`` or ``[begin, end]``; the method gets (begin, end), both included.
RangeArg = Annotated[tuple[int, int], Kind("numeric or array", frozenset({"number", "array"}), _range, _RANGE_SCHEMA)]


class Wanted(NamedTuple):
    """A descriptor's text and the range of indexes in which to look; None: the usual one."""

    text: str
    range: tuple[int, int] | None


def _wanted(value: Any, name: str) -> Wanted:
    expect(value, "string", "object")
    if isinstance(value, str):
        return Wanted(value, None)
    if not isinstance(value.get("desc"), str):
        raise RpcError(INVALID_PARAMETER, "Descriptor needs to be provided in scan object")
    given = value.get("range")
    return Wanted(read_text(value["desc"], "desc"), None if given is None else _range(given, "range"))


def _all_wanted(value: Any, name: str) -> list[Wanted]:
    expect(value, "array")
    return [_wanted(each, name) for each in value]


#: ``[descriptor, {"desc": descriptor, "range": …}, …]``.
DescriptorsArg = Annotated[
    list[Wanted],
    Kind(
        "json array",
        frozenset({"array"}),
        _all_wanted,
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {"desc": {"type": "string"}, "range": _RANGE_SCHEMA},
                        "required": ["desc"],
                    },
                ]
            },
        },
    ),
]


def descriptors_of(text: str, network: Network, checksum_required: bool = False) -> tuple[Descriptor, ...]:
    """The descriptors in a text; RPC error -5 with the reason."""
    try:
        return parse_all(text, network, checksum_required)
    except BadDescriptor as problem:
        raise RpcError(INVALID_ADDRESS_OR_KEY, str(problem)) from None


def indexes(descriptor: Descriptor, wanted: tuple[int, int] | None) -> range:
    """The indexes to look at: 0 of a descriptor without a range; Core's 0 to 1,000 when none is given."""
    if not descriptor.is_ranged:
        return range(1)
    first, last = wanted or (0, _DEFAULT_END)
    return range(first, last + 1)


def facts_of(expansion: Expansion) -> ScriptFacts:
    """What a PSBT is told of a script."""
    origins = {each.public_key: KeyOrigin(each.fingerprint, each.path) for each in expansion.keys}
    return ScriptFacts(expansion.witness_script, origins)


class Match(NamedTuple):
    """A script, and the descriptor that makes it at the index ``at``."""

    script: bytes
    descriptor: Descriptor
    at: int


def look_up(wanted: Sequence[tuple[Descriptor, range]], scripts: frozenset[bytes]) -> list[Match]:
    """Which of ``scripts`` the descriptors make; takes a while: for a thread."""
    found: list[Match] = []
    for descriptor, places in wanted:
        for index in places:
            try:
                script = descriptor.script(index)
            except WalletError:
                continue
            if script in scripts:
                found.append(Match(script, descriptor, index))
    return found


def facts_in(matches: Sequence[Match], origins: bool = True) -> dict[bytes, ScriptFacts]:
    """What is to be told of scripts, by script."""
    found: dict[bytes, ScriptFacts] = {}
    for each in matches:
        facts = facts_of(each.descriptor.expand(each.at))
        found[each.script] = facts if origins else ScriptFacts(facts.witness_script)
    return found


def secrets_in(matches: Sequence[Match]) -> dict[bytes, bytes]:
    """The private keys of the scripts, by public key, of descriptors that have them: **secret**."""
    found: dict[bytes, bytes] = {}
    for each in matches:
        if each.descriptor.is_private:
            found |= each.descriptor.secrets(each.at)
    return found

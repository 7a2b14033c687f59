"""The coins that a caller of signrawtransactionwithkey tells of: its parameter ``prevtxs``."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

from timecoin.primitives import script
from timecoin.primitives.hashes import sha256
from timecoin.primitives.transaction import OutPoint, TxOutput, make_outpoint
from timecoin.rpc.arguments import AmountArg, BytesArg, HashArg
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_PARAMETER, TYPE_ERROR, RpcError
from timecoin.rpc.kinds import Kind, expect, json_type, kind_of

_FIELDS: Final = {"txid": "string", "vout": "number", "scriptPubKey": "string"}
_U32: Final = 0xFFFFFFFF


class PrevTx(NamedTuple):
    """A coin as its spender tells of it; ``value`` (base units) and the witness script may be left out."""

    outpoint: OutPoint
    script: bytes
    witness_script: bytes | None
    value: int | None


def _one(value: Any) -> PrevTx:
    expect(value, "object")
    for name, kind in _FIELDS.items():
        if json_type(value.get(name)) != kind or not isinstance(value[name], str | int):
            raise RpcError(DESERIALIZATION_ERROR, 'expected object with {"txid","vout","scriptPubKey"}')
    if not 0 <= value["vout"] <= _U32:
        raise RpcError(DESERIALIZATION_ERROR, "vout cannot be negative")
    txid = kind_of(HashArg).read(value["txid"], "txid")
    output = kind_of(BytesArg).read(value["scriptPubKey"], "scriptPubKey")
    given = value.get("amount")
    amount = None if given is None else kind_of(AmountArg).read(given, "amount")
    return PrevTx(make_outpoint(txid, value["vout"]), output, _witness_script(value, output), amount)


def _witness_script(value: dict[str, Any], output: bytes) -> bytes | None:
    """Core takes a P2WSH script under either name."""
    names = [name for name in ("witnessScript", "redeemScript") if value.get(name) is not None]
    given = {kind_of(BytesArg).read(value[name], name) for name in names} - {b""}
    if not given:
        return None
    found: bytes = given.pop()
    if given or script.classify(output) is not script.Kind.P2WSH or sha256(found) != output[2:]:
        raise RpcError(INVALID_PARAMETER, "redeemScript/witnessScript does not match scriptPubKey")
    return found


def _all(value: Any, name: str) -> list[PrevTx]:
    expect(value, "array")
    return [_one(each) for each in value]


#: ``[{"txid": …, "vout": …, "scriptPubKey": …, "witnessScript": …, "amount": …}, …]``; other members are let be.
PrevTxsArg = Annotated[
    list[PrevTx],
    Kind(
        "json array",
        frozenset({"array"}),
        _all,
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "txid": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                    "vout": {"type": "integer", "minimum": 0},
                    "scriptPubKey": {"type": "string"},
                    "redeemScript": {"type": "string"},
                    "witnessScript": {"type": "string"},
                    "amount": {"anyOf": [{"type": "number"}, {"type": "string"}]},
                },
                "required": ["txid", "vout", "scriptPubKey"],
            },
        },
    ),
]


def merge(told: list[PrevTx], coins: dict[OutPoint, TxOutput]) -> dict[OutPoint, TxOutput]:
    """The coins of the ledger and those told of, which may not contradict them (RPC error -22).

    One that only the caller knows needs its amount, because signatures cover it (-3).
    """
    found = dict(coins)
    for each in told:
        known = found.get(each.outpoint)
        if known is not None and known.script != each.script:
            told_of = f"{known.script.hex()}\nvs:\n{each.script.hex()}"
            raise RpcError(DESERIALIZATION_ERROR, f"Previous output scriptPubKey mismatch:\n{told_of}")
        if known is None and each.value is None:
            raise RpcError(TYPE_ERROR, "Missing amount")
        if each.value is not None:
            found[each.outpoint] = TxOutput(each.value, each.script)
    return found

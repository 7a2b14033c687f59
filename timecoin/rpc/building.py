"""What methods that make transactions have in common: their inputs, outputs and keys out of JSON, with Core's
complaints."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

from timecoin.ledger import networks
from timecoin.ledger.networks import Network
from timecoin.primitives import address
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, hash160
from timecoin.primitives.script import MAX_OP_RETURN_DATA, op_return, p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import FINAL_SEQUENCE, Transaction, TxInput, TxOutput, make_outpoint
from timecoin.primitives.wif import WifError, decode_wif
from timecoin.rpc.arguments import HashArg, OutputsArg
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.kinds import Kind, expect, kind_of
from timecoin.rpc.table import Context

_U32: Final = 0xFFFFFFFF
_LEAST_INPUT: Final = 41
_LEAST_OUTPUT: Final = 11
_MOST_HEX: Final = 2_000_000
_MAX_SHOWN: Final = 80
_LOCK_TIME_SEQUENCE: Final = FINAL_SEQUENCE - 1


class InputArg(NamedTuple):
    """One input as a caller names it: a coin, and its sequence number or None."""

    txid: Hash
    vout: int
    sequence: int | None


def _input(value: Any, name: str) -> InputArg:
    expect(value, "object")
    txid = kind_of(HashArg).read(value.get("txid"), "txid")
    vout = value.get("vout")
    if isinstance(vout, bool) or not isinstance(vout, int):
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, missing vout key")
    if vout < 0:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, vout cannot be negative")
    if vout > _U32:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, vout is out of range")
    sequence = value.get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int):
        return InputArg(txid, vout, None)
    if not 0 <= sequence <= _U32:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, sequence number is out of range")
    return InputArg(txid, vout, sequence)


def _inputs(value: Any, name: str) -> list[InputArg]:
    expect(value, "array")
    return [_input(each, name) for each in value]


#: Inputs of a transaction to be made: ``[{"txid": …, "vout": …, "sequence": …}, …]``; other members are let be, so
#: that what listunspent answers can be given as it is.
InputsArg = Annotated[
    list[InputArg],
    Kind(
        "json array",
        frozenset({"array"}),
        _inputs,
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "txid": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                    "vout": {"type": "integer", "minimum": 0},
                    "sequence": {"type": "integer", "minimum": 0},
                },
                "required": ["txid", "vout"],
            },
        },
    ),
]


def network_of(context: Context) -> Network:
    """The network of the node."""
    return networks.get(context.node.network)


def script_of(context: Context, text: str) -> bytes:
    """The script of an address of this network; RPC error -5 for anything else."""
    try:
        return address.decode(text, context.node.hrp)
    except address.AddressError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"Invalid TimeCoin address: {text[:_MAX_SHOWN]}") from None


def secret_of(context: Context, text: str) -> bytes:
    """The secret in a WIF text of this network; RPC error -5, which does not quote it."""
    try:
        return decode_wif(text, network_of(context).keys.wif)
    except WifError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid private key") from None


def secrets_of(context: Context, texts: list[str]) -> dict[bytes, bytes]:
    """Secrets by public key; raises as :func:`secret_of`."""
    backend = get_backend()
    return {backend.public_key(secret): secret for secret in [secret_of(context, text) for text in texts]}


def key_script(key: bytes) -> bytes:
    """The P2WPKH script of a public key."""
    return p2wpkh(hash160(key))


def outputs_of(context: Context, outputs: list[tuple[str, int | bytes]]) -> tuple[TxOutput, ...]:
    """The outputs that a caller named (``OutputsArg``); RPC error -5 for an address, -8 for data or an amount."""
    made: list[TxOutput] = []
    for name, value in outputs:
        made.append(_data_output(value) if isinstance(value, bytes) else TxOutput(value, script_of(context, name)))
    seen: set[bytes] = set()
    for (name, _), output in zip(outputs, made, strict=True):
        if output.script in seen:
            raise RpcError(INVALID_PARAMETER, f"Invalid parameter, duplicated address: {name[:_MAX_SHOWN]}")
        seen.add(output.script)
    return tuple(made)


def _data_output(data: bytes) -> TxOutput:
    if len(data) > MAX_OP_RETURN_DATA:
        problem = f"data of {len(data)} bytes, at most {MAX_OP_RETURN_DATA} fit into one OP_RETURN output"
        raise RpcError(INVALID_PARAMETER, f"Invalid parameter, {problem}")
    return TxOutput(0, op_return(data))


def build(
    context: Context, inputs: list[InputArg], outputs: OutputsArg, locktime: int, replaceable: bool | None, version: int
) -> Transaction:
    """The unsigned transaction that createrawtransaction and createpsbt make.

    Sequences are final, with a lock time one less, so that it counts. Raises RPC errors -5 and -8. Thousands of
    addresses take a while: for a thread.
    """
    if not 0 <= locktime <= _U32:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, locktime out of range")
    if version not in (1, 2):
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, version out of range(1~2)")
    if replaceable:
        raise RpcError(INVALID_PARAMETER, "replaceable: this network never replaces a transaction by another one")
    most = context.node.parameters.max_tx_bytes
    if _LEAST_INPUT * len(inputs) + _LEAST_OUTPUT * len(outputs) > most:
        raise RpcError(INVALID_PARAMETER, f"Invalid parameter, the transaction would have more than {most} bytes")
    usual = _LOCK_TIME_SEQUENCE if locktime else FINAL_SEQUENCE
    spent = tuple(
        TxInput(make_outpoint(each.txid, each.vout), sequence=usual if each.sequence is None else each.sequence)
        for each in inputs
    )
    return Transaction(version, spent, outputs_of(context, outputs), locktime)


def decoded(text: str, complaint: str) -> Transaction:
    """The transaction in a hex text of at most 1 MB; RPC error -22 with the complaint."""
    try:
        if len(text) > _MOST_HEX:
            raise RpcError(DESERIALIZATION_ERROR, complaint)
        return Transaction.decode(bytes.fromhex(text) if text.isalnum() else b"")
    except (ValueError, DecodeError):
        raise RpcError(DESERIALIZATION_ERROR, complaint) from None


def check_sighash(text: str) -> None:
    """RPC error -8 for every hash type but ALL and DEFAULT, which stands for it."""
    if text not in ("ALL", "DEFAULT"):
        known = ("NONE", "SINGLE", "ALL|ANYONECANPAY", "NONE|ANYONECANPAY", "SINGLE|ANYONECANPAY")
        problem = (
            "is not used here: signatures cover all (ALL)" if text in known else "is not a valid sighash parameter."
        )
        raise RpcError(INVALID_PARAMETER, f"'{text[:_MAX_SHOWN]}' {problem}")

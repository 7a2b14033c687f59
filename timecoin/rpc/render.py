"""Transactions, blocks and headers as the JSON that Bitcoin Core would show for them.

Members that speak of proof of work (nonce, bits, difficulty, chainwork) do not exist here; what blocks have
instead stands under its own name after Core's members.
"""

from __future__ import annotations

from typing import Any

from embit.descriptor.checksum import add_checksum

from timecoin.ledger.evidence_kinds import decode as decode_evidence
from timecoin.primitives import address
from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import display
from timecoin.primitives.script import Kind, classify, op_return_data
from timecoin.primitives.transaction import Transaction, TxInput, split_outpoint
from timecoin.rpc.codec import amount

_BLOCK_OVERHEAD_WEIGHT = 4


def script_asm(script: bytes) -> str:
    """The script as words, as Core's ``asm``; ``[error]`` for what is no known script."""
    kind = classify(script)
    if kind is Kind.OP_RETURN:
        data = op_return_data(script) or b""
        return f"OP_RETURN {data.hex()}" if data else "OP_RETURN 0"
    if kind is Kind.INVALID:
        return "[error]"
    return f"0 {script[2:].hex()}"


def script_json(script: bytes, hrp: str) -> dict[str, Any]:
    """An output script: asm, descriptor, hex, address when it has one, type."""
    kind = classify(script)
    shown: dict[str, Any] = {"asm": script_asm(script)}
    if kind in (Kind.P2WPKH, Kind.P2WSH):
        where = address.encode(script, hrp)
        shown |= {"desc": add_checksum(f"addr({where})"), "hex": script.hex(), "address": where}
    else:
        shown |= {"desc": add_checksum(f"raw({script.hex()})"), "hex": script.hex()}
    return shown | {"type": kind.value}


def _input_json(tx_input: TxInput, is_coinbase: bool) -> dict[str, Any]:
    if is_coinbase:
        return {"coinbase": tx_input.script_sig.hex(), "sequence": tx_input.sequence}
    txid, n = split_outpoint(tx_input.outpoint)
    shown: dict[str, Any] = {
        "txid": display(txid),
        "vout": n,
        "scriptSig": {"asm": "", "hex": tx_input.script_sig.hex()},
    }
    if tx_input.witness:
        shown["txinwitness"] = [item.hex() for item in tx_input.witness]
    shown["sequence"] = tx_input.sequence
    return shown


def transaction_json(tx: Transaction, hrp: str, *, with_hex: bool = True) -> dict[str, Any]:
    """A decoded transaction, as decoderawtransaction shows it, with ``hex`` when asked."""
    coinbase = tx.is_coinbase
    shown: dict[str, Any] = {
        "txid": display(tx.txid),
        "hash": display(tx.wtxid),
        "version": tx.version,
        "size": tx.size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.lock_time,
        "vin": [_input_json(each, coinbase) for each in tx.inputs],
        "vout": [
            {"value": amount(each.value), "n": n, "scriptPubKey": script_json(each.script, hrp)}
            for n, each in enumerate(tx.outputs)
        ],
    }
    if with_hex:
        shown["hex"] = tx.raw.hex()
    return shown


def header_json(header: Header, tip_height: int, next_hash: bytes | None) -> dict[str, Any]:
    """A header: Core's members that exist here, then TimeCoin's."""
    shown: dict[str, Any] = {
        "hash": display(header.hash),
        "confirmations": tip_height - header.height + 1,
        "height": header.height,
        "version": header.version,
        "versionHex": f"{header.version:08x}",
        "merkleroot": display(header.tx_root),
        "time": header.slot_time,
        "mediantime": header.slot_time,
        "nTx": header.tx_count,
        "epoch": header.epoch,
        "closing": header.closing,
        "round": header.round,
        "proposer_index": header.proposer_index,
        "set_hash": display(header.set_hash),
        "next_set_hash": display(header.next_set_hash),
        "state_hash": display(header.state_hash),
        "utxo_commitment": display(header.utxo_commitment),
    }
    if header.height > 0:
        shown["previousblockhash"] = display(header.previous)
    if next_hash is not None:
        shown["nextblockhash"] = display(next_hash)
    return shown


def _evidence_json(encoded: bytes) -> dict[str, Any]:
    """What of evidence can be told without the set of its epoch: signer is the index of the accused in that."""
    piece = decode_evidence(encoded)
    return {
        "kind": piece.kind.name.lower().replace("_", "-"),
        "epoch": piece.place.epoch,
        "signer": piece.signer,
        "size": len(encoded),
    }


def block_json(block: Block, tip_height: int, next_hash: bytes | None, hrp: str, verbosity: int) -> dict[str, Any]:
    """A block: its header, its sizes, its evidence, and txids (verbosity 1) or whole transactions (2)."""
    size = len(block.encode())
    witness = sum(tx.size - len(tx.stripped) for tx in block.transactions)
    shown = header_json(block.header, tip_height, next_hash)
    shown |= {
        "strippedsize": size - witness,
        "size": size,
        "weight": _BLOCK_OVERHEAD_WEIGHT * size - 3 * witness,
        "evidence": [_evidence_json(piece) for piece in block.evidence],
    }
    if verbosity == 1:
        shown["tx"] = [display(tx.txid) for tx in block.transactions]
    else:
        shown["tx"] = [transaction_json(tx, hrp) for tx in block.transactions]
    return shown

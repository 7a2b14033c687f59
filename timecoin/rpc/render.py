"""Transactions, blocks and headers as the JSON that Bitcoin Core would show for them; pure, any thread."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

from timecoin.ledger.coins import Coin
from timecoin.ledger.evidence_kinds import decode as decode_evidence
from timecoin.primitives import address
from timecoin.primitives.block import Block, Header
from timecoin.primitives.descriptor_checksum import with_checksum
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.script import Kind, classify, op_return_data
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, split_outpoint
from timecoin.rpc.codec import amount
from timecoin.rpc.results_chain import BlockWithIds, BlockWithTransactions, ShownEvidence, ShownHeader
from timecoin.rpc.results_tx import (
    BlockTransaction,
    DecodedTransaction,
    Prevout,
    ScriptPubKey,
    TxInputShown,
    TxOutputShown,
)

_BLOCK_OVERHEAD_WEIGHT = 4
_NUMBER_BYTES = 4
_KEPT_SCRIPTS = 16_384
#: What stands for work: difficulty 1 of Bitcoin, as nothing here is mined.
BITS: Final = "1d00ffff"
TARGET: Final = "00000000ffff" + 52 * "0"
DIFFICULTY: Final = 1

#: Coins by outpoint: what inputs spend.
Coins = Mapping[OutPoint, Coin]


def chainwork(height: int) -> str:
    """Blocks up to a height, in the form of Core's accumulated work: it only ever grows."""
    return f"{height + 1:064x}"


def _script_number(data: bytes) -> int:
    """The number that Script sees in at most four bytes: little-endian, the highest bit is its sign."""
    if not data:
        return 0
    value = int.from_bytes(data, "little")
    sign = 1 << (8 * len(data) - 1)
    return sign - value if value & sign else value


def script_asm(script: bytes) -> str:
    """The script as words, as Core's ``asm``; ``[error]`` for what is no known script."""
    kind = classify(script)
    if kind is Kind.OP_RETURN:
        data = op_return_data(script) or b""
        return f"OP_RETURN {data.hex() if len(data) > _NUMBER_BYTES else _script_number(data)}"
    if kind is Kind.INVALID:
        return "[error]"
    return f"0 {script[2:].hex()}"


@lru_cache(maxsize=_KEPT_SCRIPTS)
def _address_and_descriptor(script: bytes, hrp: str) -> tuple[str, str]:
    """The checksums of both take most of the time that showing a transaction takes, and scripts come again."""
    where = address.encode(script, hrp)
    return where, with_checksum(f"addr({where})")


def script_json(script: bytes, hrp: str) -> ScriptPubKey:
    """An output script: asm, descriptor, hex, address when it has one, type."""
    kind = classify(script)
    if kind in (Kind.P2WPKH, Kind.P2WSH):
        where, desc = _address_and_descriptor(script, hrp)
        return {
            "asm": script_asm(script),
            "desc": desc,
            "hex": script.hex(),
            "address": where,
            "type": kind.value,
        }
    desc = with_checksum(f"raw({script.hex()})")
    return {"asm": script_asm(script), "desc": desc, "hex": script.hex(), "type": kind.value}


def _prevout_json(coin: Coin, hrp: str) -> Prevout:
    return {
        "generated": coin.is_coinbase,
        "height": coin.height,
        "value": amount(coin.value),
        "scriptPubKey": script_json(coin.script, hrp),
    }


def _input_json(tx_input: TxInput, is_coinbase: bool, hrp: str, coins: Coins) -> TxInputShown:
    if is_coinbase:
        return {"coinbase": tx_input.script_sig.hex(), "sequence": tx_input.sequence}
    txid, n = split_outpoint(tx_input.outpoint)
    shown: TxInputShown = {
        "txid": display(txid),
        "vout": n,
        "scriptSig": {"asm": "", "hex": tx_input.script_sig.hex()},
        "sequence": tx_input.sequence,
    }
    if tx_input.witness:
        shown["txinwitness"] = [item.hex() for item in tx_input.witness]
    coin = coins.get(tx_input.outpoint)
    if coin is not None:
        shown["prevout"] = _prevout_json(coin, hrp)
    return shown


def _output_json(n: int, value: int, script: bytes, hrp: str) -> TxOutputShown:
    return {"value": amount(value), "n": n, "scriptPubKey": script_json(script, hrp)}


def decoded_json(tx: Transaction, hrp: str, coins: Coins | None = None) -> DecodedTransaction:
    """A decoded transaction, as decoderawtransaction shows it; inputs whose coins are given tell of these."""
    coinbase = tx.is_coinbase
    return {
        "txid": display(tx.txid),
        "hash": display(tx.wtxid),
        "version": tx.version,
        "size": tx.size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.lock_time,
        "vin": [_input_json(each, coinbase, hrp, coins or {}) for each in tx.inputs],
        "vout": [_output_json(n, each.value, each.script, hrp) for n, each in enumerate(tx.outputs)],
    }


def transaction_json(tx: Transaction, hrp: str, *, with_hex: bool = True) -> dict[str, Any]:
    """A decoded transaction as a plain dict, with ``hex`` when asked."""
    shown: dict[str, Any] = {**decoded_json(tx, hrp)}
    return shown | {"hex": tx.raw.hex()} if with_hex else shown


def fee_of(tx: Transaction, coins: Coins) -> int | None:
    """The fee in base units; None of a coinbase, and when a coin that is spent is not given."""
    if tx.is_coinbase:
        return None
    spent = [coins.get(outpoint) for outpoint in tx.outpoints()]
    values = [coin.value for coin in spent if coin is not None]
    return None if len(values) < len(spent) else sum(values) - sum(each.value for each in tx.outputs)


def header_json(header: Header, tip_height: int, next_hash: Hash | None, median_time: int) -> ShownHeader:
    """A header; ``median_time`` is that of it and the ten before."""
    shown: ShownHeader = {
        "hash": display(header.hash),
        "confirmations": tip_height - header.height + 1,
        "height": header.height,
        "version": header.version,
        "versionHex": f"{header.version:08x}",
        "merkleroot": display(header.tx_root),
        "time": header.slot_time,
        "mediantime": median_time,
        "nonce": 0,
        "bits": BITS,
        "target": TARGET,
        "difficulty": DIFFICULTY,
        "chainwork": chainwork(header.height),
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


def _evidence_json(encoded: bytes) -> ShownEvidence:
    """What of evidence can be told without the set of its epoch: signer is the index of the accused in that."""
    piece = decode_evidence(encoded)
    return {
        "kind": piece.kind.name.lower().replace("_", "-"),
        "epoch": piece.place.epoch,
        "signer": piece.signer,
        "size": len(encoded),
    }


def block_ids_json(block: Block, header: ShownHeader) -> BlockWithIds:
    """A block with its txids, its header shown as ``header``."""
    size = len(block.encode())
    witness = sum(tx.size - len(tx.stripped) for tx in block.transactions if tx.has_witness)
    return {
        **header,
        "strippedsize": size - witness,
        "size": size,
        "weight": _BLOCK_OVERHEAD_WEIGHT * size - 3 * witness,
        "chainlock": True,
        "evidence": [_evidence_json(piece) for piece in block.evidence],
        "tx": [display(tx.txid) for tx in block.transactions],
    }


def block_tx_json(tx: Transaction, hrp: str, coins: Coins, *, with_prevouts: bool) -> BlockTransaction:
    """A transaction of a block, with its fee where all its coins are known."""
    decoded = decoded_json(tx, hrp, coins if with_prevouts else None)
    shown = cast(BlockTransaction, {**decoded, "hex": tx.raw.hex(), "instantlock": True, "chainlock": True})
    fee = fee_of(tx, coins)
    if fee is not None:
        shown["fee"] = amount(fee)
    return shown


def block_json(block: Block, header: ShownHeader, hrp: str, coins: Coins, verbosity: int) -> BlockWithTransactions:
    """A block with whole transactions; from verbosity 3 on with what their inputs spend."""
    return {
        **block_ids_json(block, header),
        "tx": [block_tx_json(tx, hrp, coins, with_prevouts=verbosity > 2) for tx in block.transactions],
    }

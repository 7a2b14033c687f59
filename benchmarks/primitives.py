"""What the primitives cost: ``python -m benchmarks.primitives`` prints one JSON object of microseconds each.

Every figure is the least of several repetitions, so that other load on the machine shows as little as can be.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable

from timecoin.primitives import address, hashes, script
from timecoin.primitives.block import EMPTY_COMMIT, Block, Header
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

_SECRET = hashes.sha256(b"benchmark")
_BATCH = 500


def _payment(backend: SignatureBackend, seed: int) -> Transaction:
    """A signed payment with one input and two outputs, all P2WPKH."""
    key = backend.public_key(_SECRET)
    spent = TxInput(make_outpoint(hashes.sha256(seed.to_bytes(4, "little")), 0))
    outputs = tuple(TxOutput(20_000 + n, script.p2wpkh(bytes([n]) * 20)) for n in range(2))
    bare = Transaction(2, (spent,), outputs)
    code = script.p2wpkh_script_code(hashes.hash160(key))
    item = join_signature(backend.sign(_SECRET, Bip143(bare).digest(0, code, 50_000)))
    return Transaction(2, (spent._replace(witness=(item, key)),), outputs)


def _microseconds(call: Callable[[], object], number: int, items: int = 1, repeat: int = 5) -> float:
    call()
    least = min(timeit.repeat(call, number=number, repeat=repeat))
    return round(least / number / items * 1e6, 2)


def _transactions(backend: SignatureBackend) -> dict[str, float]:
    payment = _payment(backend, 0)
    raw = payment.raw
    code = script.p2wpkh_script_code(bytes(20))

    def decode_with_ids() -> tuple[bytes, bytes]:
        decoded = Transaction.decode(raw)
        return decoded.txid, decoded.wtxid

    def encode() -> bytes:
        return Transaction(2, payment.inputs, payment.outputs).raw

    return {
        "transaction_decode": _microseconds(lambda: Transaction.decode(raw), 4000),
        "transaction_decode_txid_wtxid": _microseconds(decode_with_ids, 4000),
        "transaction_encode": _microseconds(encode, 4000),
        "bip143_digest_one_input": _microseconds(lambda: Bip143(payment).digest(0, code, 1), 4000),
    }


def _signatures(name: str, number: int) -> dict[str, float]:
    backend = get_backend(name)
    digest = hashes.sha256(b"digest")
    key, der = backend.public_key(_SECRET), backend.sign(_SECRET, digest)
    compact = backend.sign_compact(_SECRET, digest)
    return {
        f"{name}_verify": _microseconds(lambda: backend.verify(key, digest, der), number),
        f"{name}_verify_compact": _microseconds(lambda: backend.verify_compact(key, digest, compact), number),
        f"{name}_sign": _microseconds(lambda: backend.sign(_SECRET, digest), number),
        f"{name}_sign_compact": _microseconds(lambda: backend.sign_compact(_SECRET, digest), number),
    }


def _commitments() -> dict[str, float]:
    elements = [hashes.sha256(n.to_bytes(4, "little")) * 2 for n in range(_BATCH)]
    full = MuHash.empty().update(elements)
    return {
        "muhash_element": _microseconds(lambda: MuHash.empty().update(elements), 5, _BATCH),
        "muhash_update_one_each": _microseconds(lambda: full.update(elements[:1], elements[1:2]), 200),
        "muhash_digest": _microseconds(full.digest, 500),
        "merkle_leaf": _microseconds(lambda: merkle_root([e[:32] for e in elements]), 20, _BATCH),
    }


def _blocks(backend: SignatureBackend) -> dict[str, float]:
    payments = tuple(_payment(backend, seed) for seed in range(_BATCH))
    zero = hashes.ZERO
    header = Header(
        version=1,
        previous=zero,
        tx_root=zero,
        slot_time=0,
        tx_count=_BATCH,
        chain_id=zero,
        height=1,
        epoch=1,
        closing=False,
        wtx_root=zero,
        last_commit_hash=zero,
        evidence_hash=zero,
        set_hash=zero,
        next_set_hash=zero,
        state_hash=zero,
        utxo_commitment=zero,
        proposer_index=0,
        round=0,
    )
    block = Block(header, payments, EMPTY_COMMIT)
    raw = block.encode()
    return {
        "block_encode_transaction": _microseconds(block.encode, 20, _BATCH),
        "block_decode_transaction": _microseconds(lambda: Block.decode(raw), 10, _BATCH),
    }


def _addresses() -> dict[str, float]:
    output = script.p2wpkh(bytes(20))
    text = address.encode(output, "time")
    key = b"\x02" * 33
    return {
        "address_encode": _microseconds(lambda: address.encode(output, "time"), 500),
        "address_decode": _microseconds(lambda: address.decode(text, "time"), 500),
        "hash160": _microseconds(lambda: hashes.hash160(key), 4000),
        "tagged_hash": _microseconds(lambda: hashes.tagged_hash("timecoin/bundle", key), 4000),
        "classify": _microseconds(lambda: script.classify(output), 4000),
    }


def measure() -> dict[str, float]:
    """Microseconds per operation; for batches, per item of the batch."""
    backend = get_backend()
    return {
        **_transactions(backend),
        **_signatures("coincurve", 500),
        **_signatures("ecdsa", 20),
        **_commitments(),
        **_blocks(backend),
        **_addresses(),
    }


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write("\n")

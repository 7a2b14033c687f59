"""A chain read from raw blocks by python-bitcoinlib alone: what explorers show of it is held against this."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from bitcoin.core import CTransaction, CTxOut, b2lx
from bitcoin.core.serialize import VarIntSerializer

HEADER_SIZE = 351
_OP_RETURN = 0x6A


def weight(tx: CTransaction) -> int:
    """Three times the size without witness and once the size with it (BIP 141)."""
    return 3 * len(tx.serialize({"include_witness": False})) + len(tx.serialize())


def vsize(tx: CTransaction) -> int:
    """A quarter of the weight, rounded up."""
    return -(-weight(tx) // 4)


def txid(tx: CTransaction) -> str:
    """As displayed."""
    return str(b2lx(tx.GetTxid()))


def wtxid(tx: CTransaction) -> str:
    """As displayed."""
    return hashlib.sha256(hashlib.sha256(tx.serialize()).digest()).digest()[::-1].hex()


@dataclass(frozen=True)
class ReadBlock:
    """A block: its header's bytes and its transactions."""

    header: bytes
    size: int
    txs: Sequence[CTransaction]

    @classmethod
    def parse(cls, raw: str) -> ReadBlock:
        """Of hex; the rest of the block, last commit and evidence, is counted only."""
        data = bytes.fromhex(raw)
        stream = BytesIO(data[HEADER_SIZE:])
        count = VarIntSerializer.stream_deserialize(stream)
        txs = [CTransaction.stream_deserialize(stream) for _ in range(count)]
        return cls(data[:HEADER_SIZE], len(data), txs)

    @property
    def hash(self) -> str:
        """SHA256d of the header, as displayed."""
        return hashlib.sha256(hashlib.sha256(self.header).digest()).digest()[::-1].hex()

    @property
    def previous(self) -> str:
        """The hash of the block before."""
        return self.header[4:36][::-1].hex()

    @property
    def merkle_root(self) -> str:
        """Bitcoin's merkle root of the txids."""
        level = [tx.GetTxid() for tx in self.txs]
        while len(level) > 1:
            level += level[-1:] * (len(level) % 2)
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [hashlib.sha256(hashlib.sha256(a + b).digest()).digest() for a, b in pairs]
        return str(b2lx(level[0]))

    @property
    def time(self) -> int:
        """Its slot, Unix seconds."""
        return int.from_bytes(self.header[68:76], "little")


class Chain:
    """Blocks from 0 on, and what their transactions made and spent."""

    def __init__(self, raw_blocks: Sequence[str]) -> None:
        self.blocks = [ReadBlock.parse(raw) for raw in raw_blocks]
        self.made: dict[tuple[bytes, int], CTxOut] = {}
        for block in self.blocks:
            for tx in block.txs:
                self.add(tx)
        self.spent = {
            (vin.prevout.hash, vin.prevout.n) for block in self.blocks for tx in block.txs[1:] for vin in tx.vin
        }

    def add(self, tx: CTransaction) -> None:
        """Remember what a transaction makes."""
        self.made.update({(tx.GetTxid(), n): output for n, output in enumerate(tx.vout)})

    def fee(self, tx: CTransaction) -> int:
        """What the inputs are worth above the outputs."""
        inputs = sum(self.made[(vin.prevout.hash, vin.prevout.n)].nValue for vin in tx.vin)
        return int(inputs - sum(output.nValue for output in tx.vout))

    def unspent(self) -> list[CTxOut]:
        """The coins after the last block."""
        return [
            output
            for outpoint, output in self.made.items()
            if outpoint not in self.spent and output.scriptPubKey[0] != _OP_RETURN
        ]

    def stats(self, height: int) -> dict[str, Any]:
        """Figures of ``getblockstats`` by their definitions in Bitcoin Core's help."""
        block = self.blocks[height]
        payments = block.txs[1:]
        fees = sorted(map(self.fee, payments))
        sizes = sorted(len(tx.serialize()) for tx in payments)
        rates = [self.fee(tx) * 4 // weight(tx) for tx in payments]
        ins, outs = sum(len(tx.vin) for tx in payments), sum(len(tx.vout) for tx in block.txs)
        return {
            "blockhash": block.hash,
            "height": height,
            "time": block.time,
            "txs": len(block.txs),
            "ins": ins,
            "outs": outs,
            "total_out": sum(output.nValue for tx in payments for output in tx.vout),
            "totalfee": sum(fees),
            "avgfee": sum(fees) // len(fees) if fees else 0,
            "minfee": min(fees, default=0),
            "maxfee": max(fees, default=0),
            "medianfee": _median(fees),
            "minfeerate": min(rates, default=0),
            "maxfeerate": max(rates, default=0),
            "mintxsize": min(sizes, default=0),
            "maxtxsize": max(sizes, default=0),
            "mediantxsize": _median(sizes),
            "total_size": sum(sizes),
            "total_weight": sum(map(weight, payments)),
            "swtxs": len(payments),
            "utxo_increase": outs - ins,
        }


def _median(ordered: Sequence[int]) -> int:
    middle = len(ordered) // 2
    if not ordered:
        return 0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2

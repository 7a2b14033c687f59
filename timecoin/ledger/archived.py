"""Registry payloads of the open epoch, from the blocks that archive them to the one that applies them.

Signatures count under the keys of the opening, so they are judged in the block that archives them:
whoever floods the chain with forged payloads burdens each block with its own, never the closing block
with all of an epoch's.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from struct import Struct
from typing import NamedTuple

from timecoin.ledger.blocktx import BlockTx, Changes
from timecoin.ledger.payload import FREE, Register, parse
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.registry import Registry
from timecoin.primitives.codec import Reader
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction, make_outpoint

_OP_RETURN = 0x6A
_U32 = Struct("<I")
_OUTPOINT_SIZE = 36


class Archived(NamedTuple):
    """Well-signed payloads in chain order, and their unspent collaterals, sorted."""

    payloads: tuple[PayloadRecord, ...] = ()
    collateral: tuple[OutPoint, ...] = ()

    def after(self, fresh: Sequence[PayloadRecord], changed: Changes) -> Archived:
        """Return what is known after a block with the payloads ``fresh`` that changes the UTXO set so."""
        kept = [outpoint for outpoint in self.collateral if outpoint not in changed.gone]
        new = [outpoint for record in fresh for outpoint in _collateral(record, changed.made)]
        return Archived((*self.payloads, *fresh), tuple(sorted(kept + new)))

    def encode(self) -> bytes:
        """U32 count and the records, u32 count and the 36-byte outpoints."""
        return b"".join(
            [
                _U32.pack(len(self.payloads)),
                *[record.encode() for record in self.payloads],
                _U32.pack(len(self.collateral)),
                *self.collateral,
            ]
        )

    @classmethod
    def read(cls, reader: Reader) -> Archived:
        """Inverse of :meth:`encode`; ``DecodeError`` on anything else."""
        payloads = tuple([PayloadRecord.read(reader) for _ in range(reader.u32())])
        packed = reader.take(reader.u32() * _OUTPOINT_SIZE)
        outpoints = [packed[at : at + _OUTPOINT_SIZE] for at in range(0, len(packed), _OUTPOINT_SIZE)]
        return cls(payloads, tuple(outpoints))


NOTHING_ARCHIVED = Archived()


def _collateral(record: PayloadRecord, made: Container[OutPoint]) -> list[OutPoint]:
    payload = parse(record.data)
    if not isinstance(payload, Register) or payload.collateral_index == FREE:
        return []
    outpoint = make_outpoint(record.txid, payload.collateral_index)
    return [outpoint] if outpoint in made else []


def fresh_payloads(
    chain_id: Hash, height: int, registry: Registry, txs: Sequence[BlockTx], backend: SignatureBackend
) -> list[PayloadRecord]:
    """Return the well-signed payloads of block ``height``, whose payments are ``txs`` from position 1 on.

    ``registry`` is the opening's, whose owner keys count.
    """
    carriers = [(position, item.tx) for position, item in enumerate(txs, 1) if _carries_data(item.tx)]
    records = [PayloadRecord.of(tx, height, position) for position, tx in carriers]
    return [r for r in records if r is not None and registry.is_signed(r, chain_id, backend)]


def _carries_data(tx: Transaction) -> bool:
    return _OP_RETURN in [script[0] for _, script in tx.outputs]

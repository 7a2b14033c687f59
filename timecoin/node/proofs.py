"""Proofs for light clients, of what this node holds (protocol.md section 11; ``rpc.face_proofs.Proofs``)."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import Deferred

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.participant import Participant
from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.state import LedgerState
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.storage_service import StorageService
from timecoin.primitives.block import Block, Commit, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction
from timecoin.proofs.making import (
    NoQuorum,
    decode_links,
    finality_proof,
    foundation_of,
    linked_inclusion,
    signed_inclusion,
)
from timecoin.proofs.values import Foundation, InclusionProof, Proof
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, MISC_ERROR, RpcError
from timecoin.storage.archive import Archive
from timecoin.storage.errors import BlockPruned, UnknownBlock

MAX_CHAIN_BYTES = 8_000_000
"""Of closing headers, commits and sets, or of headers, in one proof; its file stays below ``proof_file.MAX_BYTES``."""
MAX_HEADERS = 20_000
"""Between a block and a later anchor."""


class ProofSource:
    """Gathers on the reactor's thread, reads and computes in another."""

    def __init__(self, consensus: ConsensusService, storage: StorageService) -> None:
        self._consensus = consensus
        self._storage = storage

    def prove(self, txid: Hash, anchor: int, *, with_transaction: bool) -> Deferred[Proof]:
        """As ``rpc.face_proofs.Proofs``."""
        return Deferred.fromCoroutine(self._prove(txid, anchor, with_transaction))

    async def _prove(self, txid: Hash, anchor: int, with_transaction: bool) -> Proof:
        participant = self._consensus.participant
        maker = _Maker(self._storage.chain.archive, participant.ledger, txid, anchor, with_transaction)
        place = self._storage.archived(txid)
        if place is not None:
            return await self._storage.in_reading_thread(maker.inclusion, *place)
        tx, bundles = _final(participant, txid)
        return await self._storage.in_reading_thread(maker.finality, tx, bundles)


def _final(participant: Participant, txid: Hash) -> tuple[Transaction, tuple[Bundle, ...]]:
    status, entry = participant.finality.status(txid), participant.finality.pool.get(txid)
    if status is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction")
    if entry is None or not entry.final:
        raise RpcError(MISC_ERROR, f"Transaction is {status.status.value}: only what is final can be proved")
    return entry.tx, participant.finality.ack_bundles(txid)


@dataclass(frozen=True, slots=True)
class _Maker:
    """One proof in the making, in a reading thread; ``ledger`` is the tip's as the reactor saw it."""

    archive: Archive
    ledger: LedgerState
    txid: Hash
    anchor: int
    with_transaction: bool

    def finality(self, tx: Transaction, bundles: tuple[Bundle, ...]) -> Proof:
        """By the acks that came in."""
        foundation = self._foundation(self._anchor_header(), self.ledger.epoch - 1)
        try:
            shown = tx if self.with_transaction else None
            return finality_proof(self.txid, foundation, self.ledger.current, bundles, shown)
        except NoQuorum as problem:
            # A final child makes its parents final; their own acks may still be on their way.
            raise RpcError(MISC_ERROR, f"The acks of a quorum are not here: {problem}") from None

    def inclusion(self, height: int, position: int) -> InclusionProof:
        """By the block at ``height``."""
        try:
            return self._inclusion(height, position)
        except (BlockPruned, UnknownBlock):
            raise RpcError(MISC_ERROR, "Block not available (pruned data)") from None

    def _inclusion(self, height: int, position: int) -> InclusionProof:
        first, txids = self._anchor_header(), self.archive.txids(height)
        tx = self._transaction(height, position)
        if height <= first.height:
            return linked_inclusion(self.txid, self._foundation(first, first.epoch), self._below(height), txids, tx)
        header, commit = Header.decode(self.archive.header(height)), Commit.decode(self.archive.commit(height))
        foundation = self._foundation(first, header.epoch - 1)
        return signed_inclusion(self.txid, foundation, header, commit, self._members(header.epoch), txids, tx)

    def _transaction(self, height: int, position: int) -> Transaction | None:
        if not self.with_transaction:
            return None
        return Block.decode(self.archive.block(height)).transactions[position]

    def _below(self, height: int) -> list[Header]:
        if self.anchor - height > MAX_HEADERS:
            raise RpcError(INVALID_PARAMETER, f"More than {MAX_HEADERS} blocks between the transaction and the anchor")
        headers = self.archive.headers(height, self.anchor - height)
        if len(headers) != self.anchor - height:
            raise UnknownBlock("headers below the anchor are not all stored here")
        return [Header.decode(each) for each in reversed(headers)]

    def _members(self, epoch: int) -> PowerSet:
        if epoch == self.ledger.epoch:
            return self.ledger.current
        (link,) = self._links(epoch, 1)
        assert link.members is not None
        return link.members

    def _anchor_header(self) -> Header:
        try:
            header = Header.decode(self.archive.header(self.anchor))
        except BlockPruned:
            raise RpcError(
                INVALID_PARAMETER,
                f"Block {self.anchor} is not here: this node joined later, so its proofs must begin later",
            ) from None
        except UnknownBlock:
            raise RpcError(INVALID_PARAMETER, f"There is no block {self.anchor}") from None
        if not header.closing:
            raise RpcError(INVALID_PARAMETER, f"Block {self.anchor} is not a closing block")
        return header

    def _foundation(self, first: Header, last_epoch: int) -> Foundation:
        """The closing blocks of the anchor's epoch to ``last_epoch``."""
        count = last_epoch - first.epoch + 1
        if count < 1:
            raise RpcError(INVALID_PARAMETER, f"Block {self.anchor} is later than what is to be proved")
        links = self._links(first.epoch, count)
        if len(links) < count:
            raise RpcError(INVALID_PARAMETER, f"The chain of {count} closing blocks is too long: name a later anchor")
        return foundation_of(links)

    def _links(self, epoch: int, count: int) -> list[ClosingLink]:
        return decode_links(self.archive.closings(epoch, count, MAX_CHAIN_BYTES))

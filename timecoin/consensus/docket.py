"""Evidence that waits for a block: verified, one piece against each masternode (protocol.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from timecoin.consensus.records import Record, RecordKind
from timecoin.ledger.errors import BadEvidence, LateEvidence
from timecoin.ledger.evidence import accusable, accused, choose
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState

MAX_PIECE_BYTES = (256 << 10) - 16
"""What a message of the wire takes. With the default ``max_tx_bytes`` no piece is larger; others are not kept."""


class Docket:
    """The pieces by the accused masternode's id: at most as many as the sets of two epochs have members.

    One is enough, so another takes its place only when it can be used for longer or is less than half as large: large
    ones can keep others out of a block. Thus a piece against one masternode is replaced a few times at most.
    """

    def __init__(self, params: Parameters) -> None:
        self._params = params
        self._held: dict[bytes, Evidence] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Evidence]:
        return iter(tuple(self._held.values()))

    def lacks(self, state: LedgerState, epoch: int, signer: int) -> bool:
        """Whether evidence of ``epoch`` against that signer is of use, as far as can be told before it is made."""
        try:
            member = accusable(state, epoch, signer)
        except BadEvidence:
            return False
        held = self._held.get(member.masternode_id)
        return held is None or held.place.epoch < epoch

    def check_use(self, state: LedgerState, piece: Evidence) -> None:
        """Raise as ``evidence.accused``; ``LateEvidence`` also when what is held is as good, or it is too large."""
        held = self._held.get(accused(state, piece).masternode_id)
        size = len(piece.encode())
        if size > min(MAX_PIECE_BYTES, self._params.max_evidence_bytes):
            raise LateEvidence("larger than any block takes")
        if held is not None and piece.place.epoch <= held.place.epoch and 2 * size > len(held.encode()):
            raise LateEvidence("no better than what is known")

    def add(self, state: LedgerState, piece: Evidence) -> bool:
        """Keep a verified piece; False when it is of no use after ``state``."""
        try:
            self.check_use(state, piece)
        except BadEvidence:
            return False
        self._held[accused(state, piece).masternode_id] = piece
        return True

    def settle(self, state: LedgerState) -> None:
        """A block was applied: forget what it archived, and what no later block may hold."""
        for masternode_id, piece in tuple(self._held.items()):
            try:
                accused(state, piece)
            except BadEvidence:
                del self._held[masternode_id]

    def choose(self, state: LedgerState) -> tuple[bytes, ...]:
        """What the block after ``state``'s tip may hold: what expires first, then the smallest, in canonical order."""
        preferred = sorted(self._held.values(), key=lambda piece: (piece.place.epoch, len(piece.encode())))
        return choose(self._params, state, preferred)

    def records(self) -> tuple[bytes, ...]:
        """All of it, for a new segment of the journal."""
        return tuple([Record(RecordKind.EVIDENCE, piece.encode()).encode() for piece in self._held.values()])

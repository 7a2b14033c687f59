"""Reading the journal back after a start: what was signed, received and promised, sorted by what it is for
(protocol.md 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import (
    PendingTransaction,
    RecordKind,
    decode_final,
    decode_list,
    decode_pending,
    decode_record,
)
from timecoin.consensus.steps import Message
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.evidence_kinds import decode as decode_evidence
from timecoin.primitives.transaction import Transaction

_MAX_VOTE_BYTES = 512


class RestoredBody(NamedTuple):
    """A journaled transaction; ``pending`` when it was submitted to this node."""

    tx: Transaction
    pending: PendingTransaction | None


class Restored:
    """The records of a journal, decoded. ``started`` is the clock of this start, in milliseconds.

    ``bodies`` are all journaled transactions by wtxid; one txid may have come with several witnesses. Raises
    ``DecodeError`` while it is filled when a record does not read back: the journal is then not intact.
    """

    def __init__(self, records: Iterable[bytes], started: int) -> None:
        self.started = started
        self.pending: dict[bytes, PendingTransaction] = {}
        self.finals: dict[bytes, int] = {}
        self.bodies: dict[bytes, Transaction] = {}
        self.evidence: list[Evidence] = []
        self._bundles: list[Bundle] = []
        self._messages: list[Message] = []
        for data in records:
            self._take(*decode_record(data))

    def _take(self, kind: RecordKind, payload: bytes) -> None:
        if kind is RecordKind.BODY:
            tx = Transaction.decode(payload)
            self.bodies[tx.wtxid] = tx
        elif kind is RecordKind.BUNDLE:
            self._bundles.append(Bundle.decode(payload))
        elif kind is RecordKind.PENDING:
            pending = decode_pending(payload)
            self.pending[Transaction.decode(pending.raw).txid] = pending
        elif kind is RecordKind.FINAL:
            txid, milliseconds = decode_final(payload)
            self.finals[txid] = milliseconds
        elif kind is RecordKind.EVIDENCE:
            self.evidence.append(decode_evidence(payload))
        else:
            self._messages.extend(_messages(kind, payload))

    def transactions(self) -> Iterator[RestoredBody]:
        """Each transaction once, as it was first journaled; what was submitted here and never voted for comes
        last.
        """
        by_txid: dict[bytes, Transaction] = {}
        for tx in self.bodies.values():
            by_txid.setdefault(tx.txid, tx)
        for txid, pending in self.pending.items():
            if txid not in by_txid:
                by_txid[txid] = Transaction.decode(pending.raw)
        return (RestoredBody(tx, self.pending.get(txid)) for txid, tx in by_txid.items())

    def bundles(self, epoch: int, set_hash: bytes) -> Iterator[Bundle]:
        """Own and foreign bundles of the open epoch, in the order in which they were journaled."""
        return (bundle for bundle in self._bundles if (bundle.epoch, bundle.set_hash) == (epoch, set_hash))

    def messages(self, height: int) -> list[Message]:
        """Proposals, prevotes (POLs included) and precommits of one height, each once."""
        found = {
            (type(message), message.body()): message for message in self._messages if message.height == height
        }
        return list(found.values())


def _messages(kind: RecordKind, payload: bytes) -> list[Message]:
    if kind is RecordKind.PROPOSAL:
        return [Proposal.decode(payload)]
    if kind is RecordKind.PREVOTE:
        return [Prevote.decode(payload)]
    if kind is RecordKind.PRECOMMIT:
        return [Precommit.decode(payload)]
    return [Prevote.decode(item) for item in decode_list(payload, _MAX_VOTE_BYTES)]

"""Reading the journal back after a start: what was signed, received and promised, sorted by what it is for (protocol.md 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

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
from timecoin.ledger.errors import TxInvalid
from timecoin.mempool.admission import Prepared
from timecoin.mempool.errors import NotAdmitted
from timecoin.primitives.transaction import Transaction

_MAX_VOTE_BYTES = 512


class Preparer(Protocol):
    """Finality, as far as bodies are restored with it."""

    def prepare(self, tx: Transaction) -> Prepared:
        """Everything but the signatures."""
        ...


class RestoredBody(NamedTuple):
    """A journaled transaction; ``pending`` when it was submitted to this node."""

    prepared: Prepared
    pending: PendingTransaction | None


class Restored:
    """The records of a journal, decoded. ``started`` is the clock of this start, in milliseconds.

    Raises ``DecodeError`` while it is filled when a record does not read back: the journal is then not intact.
    """

    def __init__(self, records: Iterable[bytes], started: int) -> None:
        self.started = started
        self.pending: dict[bytes, PendingTransaction] = {}
        self.finals: dict[bytes, int] = {}
        self._bodies: dict[bytes, Transaction] = {}
        self._bundles: list[Bundle] = []
        self._messages: list[Message] = []
        for data in records:
            self._take(*decode_record(data))

    def _take(self, kind: RecordKind, payload: bytes) -> None:
        if kind is RecordKind.BODY:
            tx = Transaction.decode(payload)
            self._bodies[tx.txid] = tx
        elif kind is RecordKind.BUNDLE:
            self._bundles.append(Bundle.decode(payload))
        elif kind is RecordKind.PENDING:
            pending = decode_pending(payload)
            self.pending[Transaction.decode(pending.raw).txid] = pending
        elif kind is RecordKind.FINAL:
            txid, milliseconds = decode_final(payload)
            self.finals[txid] = milliseconds
        else:
            self._messages.extend(_messages(kind, payload))

    def bodies(self, preparer: Preparer) -> Iterator[RestoredBody]:
        """The bodies that are still valid, parents before children as they were journaled; archived ones are left out."""
        for txid, tx in self._bodies.items():
            try:
                prepared = preparer.prepare(tx)
            except (TxInvalid, NotAdmitted):
                continue
            yield RestoredBody(prepared, self.pending.get(txid))

    def bundles(self, epoch: int, set_hash: bytes) -> Iterator[Bundle]:
        """Own and foreign bundles of the open epoch, in the order in which they were journaled."""
        return (bundle for bundle in self._bundles if (bundle.epoch, bundle.set_hash) == (epoch, set_hash))

    def messages(self, height: int) -> list[Message]:
        """Proposals, prevotes (POLs included) and precommits of one height, each once."""
        found = {
            (type(message), message.body()): message for message in self._messages if message.height == height
        }
        return list(found.values())

    def waiting(self) -> list[Transaction]:
        """Transactions submitted here that are not among the bodies: to be offered anew after the start."""
        left = [pending for txid, pending in self.pending.items() if txid not in self._bodies]
        return [Transaction.decode(pending.raw) for pending in left]


def _messages(kind: RecordKind, payload: bytes) -> list[Message]:
    if kind is RecordKind.PROPOSAL:
        return [Proposal.decode(payload)]
    if kind is RecordKind.PREVOTE:
        return [Prevote.decode(payload)]
    if kind is RecordKind.PRECOMMIT:
        return [Precommit.decode(payload)]
    return [Prevote.decode(item) for item in decode_list(payload, _MAX_VOTE_BYTES)]

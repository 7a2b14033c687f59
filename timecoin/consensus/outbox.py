"""What waits for the next journal tick: records first, and the messages that may only be sent once they are
durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from timecoin.consensus.effects import Report, SignedMessage
from timecoin.consensus.records import Record, RecordKind, encode_final
from timecoin.primitives.transaction import Transaction


class Urgency(Enum):
    """What waits for the journal: a vote on a block, on which everybody waits; users' reports; or only what is
    collected."""

    AT_ONCE = "at once"
    SOON = "soon"
    IN_TIME = "in time"


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """One group commit: write ``records`` in one transaction, then hand the tick back to
    ``Participant.persisted``.
    """

    records: tuple[bytes, ...]
    messages: tuple[SignedMessage, ...]
    reports: tuple[Report, ...]


class Outbox:
    """Collects records, messages and reports in the order in which they were caused.

    Bodies are written once for each witness: :meth:`body` remembers the wtxids of unarchived transactions
    whose bodies are durable.
    """

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._messages: list[SignedMessage] = []
        self._reports: list[Report] = []
        self._bodies: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._records or self._messages or self._reports)

    @property
    def urgency(self) -> Urgency:
        """How soon the next tick is wanted."""
        if self._messages:
            return Urgency.AT_ONCE
        return Urgency.SOON if self._reports else Urgency.IN_TIME

    def record(self, kind: RecordKind, payload: bytes) -> None:
        """Write this before anything that is added later is sent."""
        self._records.append(Record(kind, payload).encode())

    def body(self, tx: Transaction) -> None:
        """Write a transaction unless it is in this journal already, with this witness."""
        if tx.wtxid not in self._bodies:
            self._bodies.add(tx.wtxid)
            self.record(RecordKind.BODY, tx.raw)

    def has_body(self, tx: Transaction) -> None:
        """The journal was found to hold this transaction."""
        self._bodies.add(tx.wtxid)

    def message(self, kind: RecordKind, message: SignedMessage) -> None:
        """Write my own signed message, and send it once it is durable."""
        self.record(kind, message.encode())
        self._messages.append(message)

    def report(self, report: Report) -> None:
        """Tell users once it is durable; a final one is recorded with the time that it took."""
        if report.milliseconds is not None:
            self.record(RecordKind.FINAL, encode_final(report.txid, report.milliseconds))
        self._reports.append(report)

    def forget(self, wtxids: Iterable[bytes]) -> None:
        """These transactions are archived: nobody asks for their journaled bodies again."""
        self._bodies.difference_update(wtxids)

    def rotate(self) -> None:
        """A new journal segment begins: it holds no bodies."""
        self._bodies.clear()

    def take(self) -> Tick:
        """Everything collected so far, as one group commit."""
        tick = Tick(tuple(self._records), tuple(self._messages), tuple(self._reports))
        self._records, self._messages, self._reports = [], [], []
        return tick

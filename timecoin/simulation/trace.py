"""The last events of a life, kept as they are and made readable only when somebody reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import Report
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import RecordKind
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.p2p import messages as wire
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.transaction import MalformedTransaction, Transaction
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.plan import Fault

if TYPE_CHECKING:
    from timecoin.simulation.disk import Disk

MAX_EVENTS = 100_000


class Event(NamedTuple):
    """``time`` in microseconds after the beginning; ``node`` to whom it happened (None: to all)."""

    time: int
    node: int | None
    what: str
    things: tuple[Any, ...]


class Trace:
    """The newest ``limit`` events."""

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self.began = 0
        self.forgotten = 0
        self._events: deque[Event] = deque(maxlen=limit)

    def note(self, now: int, node: int | None, what: str, *things: Any) -> None:
        """Something happened ``now`` (microseconds of the clock)."""
        if len(self._events) == self._events.maxlen:
            self.forgotten += 1
        self._events.append(Event(now - self.began, node, what, things))

    def lines(self, last: int | None = None) -> Iterator[str]:
        """One line an event, the oldest first; the ``last`` ones only."""
        skipped = 0 if last is None else max(0, len(self._events) - last)
        hidden = self.forgotten + skipped
        if hidden:
            yield f"... {hidden} events before"
        for number, event in enumerate(self._events):
            if number >= skipped:
                yield self._line(event)

    @staticmethod
    def _line(event: Event) -> str:
        seconds, micros = divmod(event.time, SECOND)
        name = "network" if event.node is None else f"node {event.node}"
        said = " ".join([part for part in map(readable, event.things) if part])
        return f"{seconds:5d}.{micros // MILLISECOND:03d} {name:8s} {event.what:11s} {said}".rstrip()


def short(hashed: bytes) -> str:
    """The first hex digits of a hash, as displayed."""
    return hashed[::-1].hex()[:10]


def readable(thing: Any) -> str:
    """One of the things of an event, in words."""
    match thing:
        case bytes():
            return short(thing)
        case Fault():
            return _of_fault(thing)
        case Report(txid, change, milliseconds, height, reason):
            more = [f"{milliseconds} ms" if milliseconds is not None else "", reason or ""]
            at = f"in block {height}" if height is not None else ""
            return " ".join(filter(None, [short(txid), change.value, at, *more]))
        case wire.Message():
            return of_message(thing)
        case list() | tuple():
            return ", ".join(map(readable, thing))
    return str(thing)


def _of_fault(fault: Fault) -> str:
    until = f" until {fault.until / SECOND:.3f}" if fault.until else ""
    nodes = f" nodes {list(fault.nodes)}" if fault.nodes else ""
    value = f" {fault.value}" if fault.value else ""
    return f"{fault.kind}{nodes}{value} {fault.detail}".rstrip() + until


def of_message(message: wire.Message) -> str:
    """A message of the wire, in words."""
    match message:
        case wire.Bundles(bundles):
            return "; ".join([of_signed(Bundle, raw) for raw in bundles])
        case wire.Proposal(proposal):
            return of_signed(Proposal, proposal)
        case wire.Votes(prevotes, precommits):
            said = [of_signed(Prevote, raw) for raw in prevotes]
            return "; ".join(said + [of_signed(Precommit, raw) for raw in precommits])
        case wire.Pol(prevotes):
            return "POL: " + "; ".join([of_signed(Prevote, raw) for raw in prevotes])
        case wire.Tx(transactions):
            return "transactions " + ", ".join(map(_txid, transactions))
        case wire.Inv(txids):
            return "has " + ", ".join(map(short, txids))
        case wire.GetTx(ids):
            return "wants " + ", ".join(map(short, ids))
        case wire.Status():
            return (
                f"status: epoch {message.epoch} height {message.height} round {message.round} step {message.step} "
                f"sequences {[highest for _, highest in message.sequences]}"
            )
        case wire.Blocks(blocks):
            return f"{len(blocks)} blocks"
    fields = ", ".join(f"{name} {_plain(getattr(message, name))}" for name in message.__struct_fields__)
    return f"{type(message).__name__}: {fields}"


def _plain(value: Any) -> str:
    return short(value) if isinstance(value, bytes) else str(value)


def _txid(raw: bytes) -> str:
    try:
        return short(Transaction.decode(raw).txid)
    except MalformedTransaction:
        return "(garbage)"


def of_signed(kind: type[Bundle | Proposal | Prevote | Precommit], raw: bytes) -> str:
    """A signed statement, in words."""
    try:
        signed = kind.decode(raw)
    except DecodeError:
        return f"(garbage for a {kind.__name__.lower()})"
    return said(signed)


def said(signed: Bundle | Proposal | Prevote | Precommit) -> str:
    """A signed statement, in words."""
    if isinstance(signed, Bundle):
        votes = "votes " + ",".join(map(short, signed.votes)) if signed.votes else ""
        acks = "acks " + ",".join(map(short, signed.acks)) if signed.acks else ""
        seal = "SEAL" if signed.seal else ""
        return " ".join(
            filter(None, [f"bundle e{signed.epoch} s{signed.signer} #{signed.sequence}", votes, acks, seal])
        )
    where = f"s{signed.signer} h{signed.height} r{signed.round}"
    if isinstance(signed, Proposal):
        kind = "closing" if signed.closing else "interim"
        pol = f" POL r{signed.valid_round}" if signed.valid_round >= 0 else ""
        return f"proposal {where} {kind} {short(signed.block_hash)} of {len(signed.txs)}{pol}"
    block = "nil" if signed.is_nil else short(signed.block_hash)
    fresh = " fresh" if isinstance(signed, Prevote) and signed.fresh else ""
    return f"{type(signed).__name__.lower()} {where} {block}{fresh}"


_STATEMENTS: dict[int, type[Bundle | Proposal | Prevote | Precommit]] = {
    RecordKind.BUNDLE: Bundle,
    RecordKind.PROPOSAL: Proposal,
    RecordKind.PREVOTE: Prevote,
    RecordKind.PRECOMMIT: Precommit,
}


class Records:
    """Journal records of one write."""

    def __init__(self, records: Iterable[bytes]) -> None:
        self._records = tuple(records)

    def __str__(self) -> str:
        return "; ".join(map(self._record, self._records)) or "nothing"

    @staticmethod
    def _record(record: bytes) -> str:
        kind = _STATEMENTS.get(record[0])
        if kind is not None:
            return of_signed(kind, record[1:])
        return f"{RecordKind(record[0]).name.lower()} of {len(record) - 1} bytes"


def on_disk(disk: Disk) -> str:
    """What is on a node's disk, in one line."""
    ledger, values = disk.ledger, disk.log.values
    journal = f"journal {values.get('standing', 'new')}"
    if disk.log.damaged:
        journal += " damaged"
    if values.get("barred_through"):
        journal += f" silent through e{values['barred_through']}"
    lease = disk.lease.read()
    leases = f"lease {values.get('counter', '-')}/{lease.counter if lease is not None else '-'}"
    records = sum(1 for _ in disk.log.entries())
    return f"tip {ledger.height} {short(ledger.block_hash)} e{ledger.epoch}, {journal}, {leases}, {records} records"

"""Pages of ``getfinalityevents``: from memory, and what was told before this start from the event log."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred

from timecoin.consensus.status import Status
from timecoin.node.reports import Reports
from timecoin.push.face import EventSource
from timecoin.rpc.facade import EventPage, FinalityEvent
from timecoin.storage.event_log import NotHeld, Place
from timecoin.storage.event_record import TransactionRecord

_READ = 1_000
"""Events read from the log at a time."""


class EventPages:
    """Pages of the events that ``reports`` tells and told; their numbers are those of push."""

    def __init__(self, reports: Reports, source: EventSource) -> None:
        self._reports = reports
        self._source = source

    def poll(self, since: int, limit: int, timeout_ms: int) -> Deferred[EventPage]:
        """As ``Reports.poll``; older ones are read from the log. Fails with ``TooManyWaiters``."""
        return Deferred.fromCoroutine(self._poll(since, limit, timeout_ms))

    async def _poll(self, since: int, limit: int, timeout_ms: int) -> EventPage:
        missed = since + 1 < self._source.held.first
        events: list[FinalityEvent] = []
        if since + 1 < self._reports.first:
            try:
                events = await self._read(since, limit)
            except NotHeld as gap:
                # It went away while it was looked for.
                missed, events = True, await self._read(gap.first - 1, limit)
        if events:
            page = EventPage(tuple(events[:limit]), 0, self._reports.last, missed)
        else:
            page = await self._reports.poll(since, limit, timeout_ms)
        return replace(page, first=min(self._source.held.first, self._reports.first), missed=missed)

    async def _read(self, since: int, limit: int) -> list[FinalityEvent]:
        """Those before what is in memory."""
        cursor, place = max(since, self._source.held.first - 1), None
        until = min(self._reports.first - 1, self._source.held.last)
        found: list[FinalityEvent] = []
        while cursor < until and len(found) < limit:
            cursor, place = await self._read_on(cursor, place, until, found)
        return found

    async def _read_on(
        self, cursor: int, place: Place | None, until: int, found: list[FinalityEvent]
    ) -> tuple[int, Place]:
        chunk = await self._source.read(cursor, place, _READ)
        for record in chunk.records:
            if (
                isinstance(record, TransactionRecord)
                and record.status != Status.PENDING.value
                and cursor < record.number <= until
            ):
                found.append(FinalityEvent(record.number, record.txid, record.status, record.time_ms))
        return chunk.through, chunk.place

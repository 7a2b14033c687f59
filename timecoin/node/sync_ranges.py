"""Who is asked for which heights: the lowest missing ones first, each of the quickest peer that is free.

Nobody can hold a range: whoever has nothing else to do takes over what another is slow with.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

from timecoin.node.sync_sources import PIPELINE, Source

MAX_ASKED = 3
"""Peers that the same height is asked of at the same time."""


class Ranges:
    """One look at what is missing: heights from ``first`` to ``last``, except those in ``here``.

    ``has_room(count)``: may so many more be fetched? The first one may be in any case.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        here: Container[int],
        first: int,
        last: int,
        now: int,
        has_room: Callable[[int], bool],
    ) -> None:
        self._sources = sources
        self._here = here
        self._first = first
        self._last = last
        self._now = now
        self._has_room = has_room

    def assign(self) -> Iterator[tuple[Source, int, int]]:
        """(source, first height, count) to be asked, one at a time: each must be noted with ``Source.ask`` before the
        next is taken.
        """
        for depth in range(PIPELINE):
            free = [each for each in self._sources if len(each.requests) == depth and not each.rests(self._now)]
            for source in sorted(free, key=lambda each: (-(each.rate or 0), each.view.peer.queued_bytes)):
                found = self._unasked(source) or (None if depth else self._held_up(source))
                if found is not None:
                    yield source, *found

    def _unasked(self, source: Source) -> tuple[int, int] | None:
        """The lowest run of heights that nobody was asked for."""
        asked = [request for each in self._sources for request in each.requests]
        last = min(self._last, source.claim(self._now))
        start = self._first
        while start <= last:
            holder = next((each for each in asked if each.covers(start)), None)
            if holder is not None:
                start = holder.start + holder.count
            elif start in self._here:
                start += 1
            else:
                break
        count = 0
        while count < source.range_size and start + count <= last:
            if start + count in self._here or any(each.covers(start + count) for each in asked):
                break
            count += 1
        fits = start == self._first or self._has_room(count)
        return (start, count) if count and fits else None

    def _held_up(self, source: Source) -> tuple[int, int] | None:
        """The lowest missing height, with what follows it, if all that were asked for it take too long."""
        height = self._first
        last = min(self._last, source.claim(self._now))
        while height <= last and height in self._here:
            height += 1
        if height > last:
            return None
        holders = [each for each in self._sources if any(request.covers(height) for request in each.requests)]
        if source in holders or not 0 < len(holders) < MAX_ASKED:
            return None
        held = [request for each in holders for request in each.requests if request.covers(height)]
        newest = max(held, key=lambda request: request.asked)
        if self._now - newest.asked < source.patience_ms(newest.count):
            return None
        end = min(last + 1, max(request.start + request.count for request in held), height + source.range_size)
        count = 1
        while height + count < end and height + count not in self._here:
            count += 1
        return height, count

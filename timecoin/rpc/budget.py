"""How much heavy work goes on at a time: a weighted semaphore with a fair, bounded queue.

A call takes its cost in units and gives it back when it is done. Who waits is served by least units used so
far, caller by caller, so one that asks for much waits for itself and not others for it; calls of one caller
keep their order. A cost above the capacity counts as all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from twisted.internet.defer import Deferred, succeed


class _Line:
    """The waiting calls of one caller, and the virtual time that it has used."""

    def __init__(self, used: int) -> None:
        self.used = used
        self.waiting: deque[tuple[int, Deferred[None]]] = deque()


class Budget:
    """``capacity`` units of work at a time; ``queue`` calls may wait before :attr:`is_full`."""

    def __init__(self, capacity: int, queue: int) -> None:
        self._capacity = capacity
        self._queue = queue
        self._lines: dict[Hashable, _Line] = {}
        self._used: dict[Hashable, int] = {}
        self._clock = 0
        self.taken = 0
        self.waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether as many calls wait as may."""
        return self.waiting >= self._queue

    def take(self, caller: Hashable, cost: int) -> Deferred[None]:
        """Fires when the units are taken, to be given back with :meth:`free`; cancel it to wait no longer."""
        cost = min(cost, self._capacity)
        if not self.waiting and self.taken + cost <= self._capacity:
            self.taken += cost
            return succeed(None)
        line = self._line(caller)
        turn: Deferred[None] = Deferred(lambda turn: self._leave(caller, turn))
        line.waiting.append((cost, turn))
        self.waiting += 1
        return turn

    def free(self, cost: int) -> None:
        """Give units back; the next ones begin."""
        self.taken -= min(cost, self._capacity)
        self._serve()

    def _line(self, caller: Hashable) -> _Line:
        """The caller's line; one that comes back soon is no newcomer."""
        if caller not in self._lines:
            self._lines[caller] = _Line(max(self._clock, self._used.pop(caller, 0)))
        return self._lines[caller]

    def _serve(self) -> None:
        while self._lines:
            caller, line = min(self._lines.items(), key=lambda each: each[1].used)
            cost, turn = line.waiting[0]
            if self.taken + cost > self._capacity:
                return
            self._clock = line.used
            line.used += cost
            self._drop(caller, line, 0)
            self.taken += cost
            turn.callback(None)

    def _leave(self, caller: Hashable, turn: Deferred[None]) -> None:
        line = self._lines[caller]
        place = next(n for n, (_, each) in enumerate(line.waiting) if each is turn)
        self._drop(caller, line, place)
        self._serve()

    def _drop(self, caller: Hashable, line: _Line, place: int) -> None:
        del line.waiting[place]
        self.waiting -= 1
        if not line.waiting:
            del self._lines[caller]
            self._used[caller] = line.used
        if not self._lines:
            self._used.clear()

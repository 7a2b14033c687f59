"""Long work on the reactor in short slices, so that consensus between them hardly notices it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator, TaskStopped

T = TypeVar("T")

#: Seconds of one slice, of all work together, and of the rest after it.
SLICE, REST = 0.001, 0.001


class Slices:
    """Runs iterators side by side, all together ``SLICE`` seconds at a time of ``clock``."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._cooperator = Cooperator(self._slice, lambda work: clock.callLater(REST, work))

    def _slice(self) -> Callable[[], bool]:
        end = self._clock.seconds() + SLICE
        return lambda: self._clock.seconds() >= end

    def collect(self, work: Iterable[T]) -> Deferred[list[T]]:
        """Fires with all that ``work`` yields, fails with what it raises; cancel it to stop the work."""
        found: list[T] = []
        task = self._cooperator.cooperate(_filling(found, work))

        def stop(_: Deferred[list[T]]) -> None:
            task.stop()

        done: Deferred[list[T]] = Deferred(stop)
        task.whenDone().addCallbacks(lambda _: done.callback(found), lambda failure: self._ended(done, failure))
        return done

    @staticmethod
    def _ended(done: Deferred[Any], failure: Any) -> None:
        """A task that was stopped fails with TaskStopped: who cancelled it gets CancelledError."""
        if not failure.check(TaskStopped):
            done.errback(failure)


def _filling(found: list[T], work: Iterable[T]) -> Iterator[None]:
    for each in work:
        found.append(each)
        yield

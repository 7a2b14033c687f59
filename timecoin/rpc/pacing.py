"""Writing a long list of a result as JSON in a thread that rests more than it works.

Python runs one thread at a time: a thread that works without pause takes half of the reactor's time and delays
each of its system calls. This one works a millisecond and rests two, and holds nothing but JSON text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred

from timecoin.rpc import resting
from timecoin.rpc.codec import encode

#: Seconds of work, and of the rest after it.
WORK, REST = 0.001, 0.002


class GivenUp(Exception):
    """Nobody waits for the result any more."""


def write_paced(
    in_thread: Callable[..., Deferred[Any]],
    items: Iterable[object],
    now: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], object] = resting.rest,
) -> Deferred[Raw]:
    """The JSON array of ``items``, which are made in the thread: by functions that read nothing that changes.

    Cancelling the Deferred ends the work after the item in hand.
    """
    given_up = False

    def write() -> Raw:
        written: list[bytes] = []
        end = now() + WORK
        for each in items:
            written.append(encode(each))
            if given_up:
                raise GivenUp
            if now() >= end:
                rest(REST)
                end = now() + WORK
        return Raw(b"".join((b"[", b",".join(written), b"]")))

    def stop(_: Deferred[Raw]) -> None:
        nonlocal given_up
        given_up = True

    done: Deferred[Raw] = Deferred(stop)

    def tell(result: Any) -> None:
        # Who gave up has had its answer: what the thread says then is for nobody.
        if not given_up:
            done.callback(result)

    in_thread(write).addBoth(tell)
    return done

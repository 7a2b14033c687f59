"""Inputs into a participant and its effects out: one at a time, in order, and none while a block is being applied.

The node's consensus service and the simulator's nodes share this, so that what is simulated is what runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from timecoin.consensus import effects as fx
from timecoin.consensus.participant import Participant


class Pump:
    """``carry_out(effect)`` does what an effect says, ``rest()`` follows when none is left; ``late_failure(error)``
    is told of an input that failed after it was held back, when its giver is gone; ``now_ms()`` is the clock.
    """

    def __init__(
        self,
        participant: Participant,
        carry_out: Callable[[fx.Effect], None],
        rest: Callable[[], None],
        late_failure: Callable[[Exception], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._participant = participant
        self._carry_out = carry_out
        self._rest = rest
        self._late_failure = late_failure
        self._now_ms = now_ms
        self._held_back: deque[Callable[[], None]] = deque()
        self._pumping = False

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input now, or after the block that is being applied, then carry out the effects."""
        if self._participant.busy:
            self._held_back.append(work)
            return
        work()
        self.settle()

    def in_one_go(self, work: Callable[[], None]) -> None:
        """Run several inputs; what follows from them is done once."""
        if self._participant.busy or self._pumping:
            work()
            return
        self._pumping = True
        self._participant.begin()
        try:
            work()
        finally:
            self._pumping = False
            self._participant.end(self._now_ms())
        self.settle()

    def settle(self) -> None:
        """Carry out all effects and rest; nothing when that is under way already."""
        if not self._pumping:
            self.drain()
            self._rest()

    def drain(self) -> None:
        """Carry out all effects, those included that this brings about."""
        self._pumping = True
        try:
            while effects := self._participant.take_effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._pumping = False

    def release(self) -> None:
        """The block at hand is applied: its effects, then the inputs that were held back, until the next block."""
        self.settle()
        while self._held_back and not self._participant.busy:
            work = self._held_back.popleft()
            try:
                work()
            except Exception as error:
                # Others wait behind it.
                self._late_failure(error)
            self.settle()

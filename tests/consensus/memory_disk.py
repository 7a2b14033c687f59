"""A disk in memory: what survives a crash, and crashes at a chosen write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timecoin.ledger.genesis import Genesis
from timecoin.simulation.disk import Crash
from timecoin.simulation.memory_chain import MemoryChain


class Disk(MemoryChain):
    """What survives a crash.

    ``crash_at``: the number of the write at which the node dies, before or (True) after it is done.
    """

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis)
        self.journal: list[bytes] = []
        self.intact, self.fresh, self.barred = False, True, 0
        self.writes = 0
        self.crash_at: tuple[int, bool] | None = None

    def write(self, work: Callable[[], None]) -> None:
        """One atomic write."""
        number, self.writes = self.writes, self.writes + 1
        if self.crash_at == (number, False):
            raise Crash
        work()
        if self.crash_at == (number, True):
            raise Crash

    def rotate(self, carry: Sequence[bytes]) -> None:
        self.journal = list(carry)

    def settle(self, through: int) -> None:
        self.intact, self.fresh, self.barred = True, False, max(through, self.barred)

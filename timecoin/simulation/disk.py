"""What survives a crash of a node: its chain and its journal, and how its writes end."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from timecoin.ledger.genesis import Genesis
from timecoin.simulation.memory_chain import MemoryChain
from timecoin.simulation.memory_log import MemoryLease, MemoryLog
from timecoin.storage.journal import Journal


class Crash(Exception):
    """The node dies in the middle of what it does."""


class Ending(Enum):
    """How a write under way ends when the node dies in it."""

    LOST = "lost"
    DONE = "done"
    DAMAGED = "damaged"


class Disk(MemoryChain):
    """One node's disk. ``draw`` gives the journal's leases their random bytes.

    Writes are atomic, as ZODB's transactions are: a crash finds each one either done or not at all.
    """

    def __init__(self, genesis: Genesis, draw: Callable[[int], bytes]) -> None:
        super().__init__(genesis)
        self._draw = draw
        self.journal: Journal
        self.format()

    def format(self) -> None:
        """An empty disk: block 0 and no journal."""
        self.full = False
        self.clear()
        self.log, self.lease = MemoryLog(), MemoryLease()

    def open(self) -> Journal:
        """Open the journal, as a start of the node does; the lease is renewed."""
        self.journal = Journal.on(self.log, self.lease, self._draw)
        self.log.mended()
        return self.journal

    def backup(self) -> Backup:
        """A copy of chain and journal as they are now; the lease is never part of one."""
        return Backup(self)

    def restore_chain(self, backup: Backup) -> None:
        """An old copy of the chain takes its place; the journal stays."""
        self.ledger = backup.ledger
        self.coins, self.places = dict(backup.coins), dict(backup.places)
        self.blocks, self.commits = list(backup.blocks), list(backup.commits)

    def restore(self, backup: Backup) -> None:
        """An old copy takes the place of chain and journal; the lease stays."""
        self.restore_chain(backup)
        self.log = backup.log.copied()

    def lose_journal(self, *, lease: bool) -> None:
        """The journal is gone; with it the ``lease``, or not."""
        self.log = MemoryLog()
        if lease:
            self.lease = MemoryLease()


class Backup:
    """An old copy of a disk."""

    def __init__(self, disk: Disk) -> None:
        self.ledger = disk.ledger
        self.coins, self.places = dict(disk.coins), dict(disk.places)
        self.blocks, self.commits = list(disk.blocks), list(disk.commits)
        self.log = disk.log.copied()

"""
What this node has signed, durable before it is sent (protocol.md 4 'Durable before sent' and 'Journal').

One transaction of one small ZODB file for each tick, however many records; ``append`` returns when they are
on disk.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, Self

from timecoin.storage.lease import BadLease, Lease, LeaseFile, LeasePlace
from timecoin.storage.log import SegmentLog

JOURNAL_NAME = "journal"
LEASE_NAME = "signing.lease"


class Standing(Enum):
    """
    What the journal knows about its own completeness; stored, so that a restart does not make it forget.
    """

    FRESH = "fresh"
    """Created here and never settled: what this key signed elsewhere before is not known."""
    INTACT = "intact"
    """Holds everything that was signed in epochs above ``barred_through``."""
    DOUBTFUL = "doubtful"
    """Something signed may be missing."""


class Log(Protocol):
    """The append-only log under a journal; :class:`~timecoin.storage.log.SegmentLog` is the one on disk."""

    damaged: str | None

    @property
    def values(self) -> dict[str, Any]:
        """The owner's values; they pass from segment to segment."""
        ...

    def set(self, **values: Any) -> None:
        """Change some values, durable on return; ``WriteFailed``."""
        ...

    def append(self, records: Sequence[bytes]) -> int:
        """Add records in one transaction, durable on return; the position of the first. ``WriteFailed``."""
        ...

    def rotate(self, carry: Sequence[bytes], **values: Any) -> int:
        """Begin the next segment with *carry* and the values in one transaction; ``WriteFailed``."""
        ...

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """(position, record) of the newest segment in order; ``Damaged``."""
        ...

    def read(self, position: int) -> bytes:
        """One record of the newest segment or the one before; ``UnknownPosition``, ``Damaged``."""
        ...

    def close(self) -> None:
        """No more is asked of it."""
        ...


class Journal:
    """
    Built by :meth:`open`, or by :meth:`on` from a log and a lease of one's own. All calls block and belong to the
    storage thread, except :meth:`read`, which any thread may use.

    ``reason`` says in one line why the journal is not intact. It stays so, over restarts, until
    :meth:`settle`: the node has asked a quorum of peers for the highest epoch Q that anyone had open, and
    signs nothing in epochs ≤ Q + 1 = ``barred_through`` (0: none).
    """

    def __init__(self, log: Log, lease: LeasePlace, draw: Callable[[int], bytes]) -> None:
        self._log = log
        self._lease = lease
        self._draw = draw
        self.standing, self.reason, self.barred_through = Standing.FRESH, "", 0

    @classmethod
    def open(cls, path: Path, chain_id: bytes) -> Self:
        """
        Open the journal of data directory *path*, decide whether it is intact, renew the lease.

        Raises ``DataDirectoryError``, ``DatabaseUnavailable``, ``WrongGenesis``, ``WrongSchema``,
        ``WriteFailed``; damage is not an error but a journal that is not intact.
        """
        log = SegmentLog.open(path / JOURNAL_NAME, "journal", chain_id)
        return cls.on(log, LeaseFile(path / LEASE_NAME), secrets.token_bytes)

    @classmethod
    def on(cls, log: Log, lease: LeasePlace, draw: Callable[[int], bytes]) -> Self:
        """The journal on an open *log*, which it closes when it cannot start; ``draw(n)`` gives n random bytes.

        Raises ``DataDirectoryError`` and ``WriteFailed``.
        """
        journal = cls(log, lease, draw)
        try:
            journal._start()
        except BaseException:
            log.close()
            raise
        return journal

    def _start(self) -> None:
        held, filed, bad = self._held(), None, ""
        try:
            filed = self._lease.read()
        except BadLease as error:
            bad = str(error)
        self.standing, self.reason = self._judge(held, filed, bad)
        self.barred_through = self._log.values.get("barred_through", 0)
        self._renew(self._next(held, filed), standing=self.standing.value, reason=self.reason)

    def _held(self) -> Lease | None:
        values = self._log.values
        return Lease(values["counter"], values["nonce"]) if "counter" in values else None

    def _judge(self, held: Lease | None, filed: Lease | None, bad: str) -> tuple[Standing, str]:
        values = self._log.values
        stored = Standing(values.get("standing", Standing.FRESH.value))
        doubt = bad or self._doubt(held, filed, stored)
        if doubt:
            return Standing.DOUBTFUL, doubt
        return stored, values.get("reason", "")

    def _doubt(self, held: Lease | None, filed: Lease | None, stored: Standing) -> str:
        if self._log.damaged is not None:
            return f"the journal was damaged: {self._log.damaged}"
        if held is None:
            return "" if filed is None else "the journal is gone, its lease is still here"
        if filed is None:
            # Only a start that was cut off right after creating the journal leaves this behind by itself.
            unused = stored is Standing.FRESH and not self._holds_records()
            return "" if unused else f"{LEASE_NAME} is missing"
        if held.is_behind(filed):
            return f"the journal is an old copy: its lease is behind {LEASE_NAME}"
        return ""

    def _holds_records(self) -> bool:
        return next(self._log.entries(), None) is not None

    def _renew(self, lease: Lease, **values: Any) -> None:
        self._log.set(counter=lease.counter, nonce=lease.nonce, **values)
        self._lease.write(lease)

    def _next(self, *known: Lease | None) -> Lease:
        return Lease.after(*known, draw=self._draw)

    @property
    def intact(self) -> bool:
        """Whether it holds everything that was signed in epochs above ``barred_through``."""
        return self.standing is Standing.INTACT

    @property
    def fresh(self) -> bool:
        """Whether it was created here and has not been settled yet."""
        return self.standing is Standing.FRESH

    def settle(self, through: int) -> None:
        """
        End the doubt, durably: sign only in epochs above *through*. Never lowers an earlier bar.

        A fresh journal, when peers that with this node hold a quorum are all in epoch 1, is settled with 0.
        """
        self._change(Standing.INTACT, "", max(through, self.barred_through))

    def sign_anyway(self) -> None:
        """
        The operator's override (``masternode sign-anyway``): intact with no bar, durably. Two signatures may
        be the price.
        """
        self._change(Standing.INTACT, "", 0)

    def distrust(self, reason: str) -> None:
        """A message of the own key turned up that the journal lacks: not intact from here on, durably."""
        self._change(Standing.DOUBTFUL, reason, self.barred_through)

    def _change(self, standing: Standing, reason: str, barred: int) -> None:
        self._log.set(standing=standing.value, reason=reason, barred_through=barred)
        self.standing, self.reason, self.barred_through = standing, reason, barred

    def append(self, records: Sequence[bytes]) -> int:
        """
        Add *records* in one transaction, durable on return; the position of the first, the others follow it
        by ones.

        ``WriteFailed``: none of them is in the journal, nothing that they back may be sent. ``ValueError``
        without records.
        """
        if not records:
            raise ValueError("nothing to append")
        return self._log.append(records)

    def replay(self) -> Iterator[bytes]:
        """The records since the last rotation, those that it carried first, in order; ``Damaged``."""
        return (record for _, record in self._log.entries())

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """As :meth:`replay`, with the position of each record."""
        return self._log.entries()

    def read(self, position: int) -> bytes:
        """
        The record at *position*, back to the start of the previous segment; any thread. ``UnknownPosition``,
        ``Damaged``.
        """
        return self._log.read(position)

    def rotate(self, carry: Sequence[bytes]) -> int:
        """
        Begin a new segment with *carry*, renew the lease, delete segments older than the previous one.

        One transaction makes the change. Returns the position of the first carried record, the others follow
        it by ones.
        """
        lease = self._next(self._held())
        first = self._log.rotate(carry, counter=lease.counter, nonce=lease.nonce)
        self._lease.write(lease)
        return first

    def close(self) -> None:
        """Renew the lease, so that a copy made before is behind, and close the files."""
        try:
            self._renew(self._next(self._held()))
        finally:
            self._log.close()

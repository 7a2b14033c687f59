"""The index of addresses, where it is switched on: what RPC may ask of it.

Amounts are base units, hashes in wire order. Everything archived is as of one tip, the newest when it was asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint


class IndexNotReady(Exception):
    """The index is still being built, or cannot be; the text says how far it is, or why."""


class TooMuch(Exception):
    """The answer would be larger than allowed; the text says what to ask instead."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far the index is: blocks up to ``height`` of ``tip``; ``problem`` says why it goes no further."""

    synced: bool
    height: int
    tip: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What scripts have and had in archived blocks: unspent, and ever received; of how many transactions."""

    balance: int
    received: int
    transactions: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A transaction that pays a script or spends from it: what it received and what was spent of its coins."""

    txid: Hash
    script: bytes
    received: int
    spent: int
    height: int
    position: int


@dataclass(frozen=True, slots=True)
class UnspentCoin:
    """An archived unspent output of a script."""

    outpoint: OutPoint
    script: bytes
    value: int
    height: int


@dataclass(frozen=True, slots=True)
class PoolOccurrence:
    """The same of an unarchived transaction, whose ``status`` is pending, certified or final; ``outputs`` (number,
    value) it makes for the script, ``inputs`` (outpoint, value) it spends."""

    txid: Hash
    script: bytes
    status: str
    outputs: tuple[tuple[int, int], ...]
    inputs: tuple[tuple[OutPoint, int], ...]


class Addresses(Protocol):
    """The index. What is read of the disk fails with ``IndexNotReady``, ``TooMuch``."""

    def state(self) -> IndexState:
        """How far it is."""
        ...

    def totals(self, scripts: Collection[bytes]) -> Deferred[Totals]:
        """Sums over archived blocks."""
        ...

    def history(self, scripts: Collection[bytes], first: int, last: int) -> Deferred[Sequence[Occurrence]]:
        """What stands in blocks ``first`` to ``last``, in the order of the chain."""
        ...

    def unspent(self, scripts: Collection[bytes]) -> Deferred[Sequence[UnspentCoin]]:
        """Archived unspent outputs, oldest first."""
        ...

    def pool(self, scripts: Collection[bytes]) -> Sequence[PoolOccurrence]:
        """Unarchived transactions, in the order in which they came."""
        ...

"""Walking through all unspent coins, aside from everything else: what RPC may ask for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint


class ScanUnderWay(Exception):
    """There is a scan already: one at a time."""


class ScanAborted(Exception):
    """Somebody ended the scan."""


@dataclass(frozen=True, slots=True)
class CoinFigures:
    """All coins after the block at ``height``: ``bogosize`` is Core's measure of their size, ``transactions`` how many
    have one unspent; ``total`` in base units."""

    height: int
    block_hash: Hash
    commitment: Hash
    count: int
    transactions: int
    bogosize: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan at ``height`` found among ``count`` coins."""

    height: int
    block_hash: Hash
    count: int
    coins: tuple[tuple[OutPoint, Coin], ...]


class Scans(Protocol):
    """Scans of the coins, each of a tip that does not move meanwhile."""

    def figures(self) -> Deferred[CoinFigures]:
        """Count all coins; who asks meanwhile gets the same answer."""
        ...

    def find(self, scripts: Collection[bytes], limit: int) -> Deferred[Found]:
        """The coins of these scripts, of which there must not be more than ``limit`` (ValueError).

        Fails with ``ScanUnderWay`` and ``ScanAborted``.
        """
        ...

    def progress(self) -> int | None:
        """How much of the search under way is done, in percent; None when there is none."""
        ...

    def abort(self) -> bool:
        """End the search under way; False when there is none."""
        ...

"""What an operator may see of consensus and of coins, and the values it comes in (protocol.md sections 1, 5 and 6).

Hashes are in wire order, powers have no unit, times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.ledger.expected import Expected
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint


@dataclass(frozen=True, slots=True)
class Vote:
    """A prevote or precommit of the current round; ``block_hash`` None: for no block. ``fresh``: of prevotes only."""

    block_hash: Hash | None
    fresh: bool | None = None


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member of S(e): ``bundles`` is the highest number of its bundles without a gap, ``round`` the highest in which
    it was heard of at this height (None: not at all)."""

    masternode_id: Hash
    power: int
    connected: bool
    bundles: int
    sealed: bool
    round: int | None
    prevote: Vote | None
    precommit: Vote | None


@dataclass(frozen=True, slots=True)
class RoundView:
    """The round at hand. ``locked`` and ``valid`` are (round, block hash); ``timers`` (kind, milliseconds) the waits
    that have begun; ``proposal`` the block hash that was proposed."""

    started_ms: int | None
    proposer: int
    proposal: Hash | None
    locked: tuple[int, Hash] | None
    valid: tuple[int, Hash] | None
    timers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ConsensusView:
    """All members of S(e) by signer index, and the round at hand."""

    members: tuple[MemberView, ...]
    round: RoundView


@dataclass(frozen=True, slots=True)
class CoinView:
    """Where a coin stands: ``state`` is a word of protocol.md section 1, or ``unknown``.

    ``spender`` is the transaction that it is locked for or spent by, where that is not archived, ``since_ms`` when
    that was first seen here.
    """

    state: str
    spender: Hash | None
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Of the open epoch so far: its blocks, their transactions without coinbases; what its closing would lead to."""

    blocks: int
    transactions: int
    expected: Expected


class Insight(Protocol):
    """Looks into the node's consensus."""

    def consensus_view(self) -> ConsensusView:
        """Who has said what."""
        ...

    def coin_view(self, outpoint: OutPoint) -> CoinView:
        """Where a coin stands."""
        ...

    def epoch_figures(self) -> Deferred[EpochFigures]:
        """The open epoch so far."""
        ...

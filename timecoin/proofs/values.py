"""The two kinds of proof as values (protocol.md section 11). ``verifying`` says what they prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from timecoin.consensus.proof import StatementProof
from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Commit, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Foundation:
    """From the anchor to the last closing block that the proof needs.

    ``header`` and ``members`` are of the anchor (block 0 or a closing block) and of its epoch; ``links`` are the
    closing blocks that follow, one an epoch.
    """

    header: Header
    members: PowerSet
    links: tuple[ClosingLink, ...] = ()

    @property
    def epoch(self) -> int:
        """The epoch that the last closing block closes."""
        return self.last.epoch

    @property
    def last(self) -> Header:
        """The last closing header."""
        return self.links[-1].header if self.links else self.header


@dataclass(frozen=True, slots=True)
class FinalityProof:
    """Acks of a quorum of S(e), e being the epoch after the foundation's.

    ``members`` is S(e), None when it is the set of the epoch before. ``transaction`` has no witness.
    """

    txid: Hash
    foundation: Foundation
    members: PowerSet | None
    acks: tuple[StatementProof, ...]
    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class SignedBlock:
    """A block of the epoch after the foundation's, and a commit by that epoch's set, ``members`` (None: as before)."""

    header: Header
    commit: Commit
    members: PowerSet | None


@dataclass(frozen=True, slots=True)
class LinkedBlock:
    """The foundation's last block, or one below it: headers downwards, each named as parent by the one before.

    The last of them is the block meant; none: it is the foundation's last.
    """

    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """A merkle path from a transaction to a decided block's header.

    ``position`` is the transaction's in the block, ``branch`` the siblings from below. ``transaction`` has no witness.
    """

    txid: Hash
    foundation: Foundation
    block: SignedBlock | LinkedBlock
    position: int
    branch: tuple[Hash, ...]
    transaction: Transaction | None = None


Proof: TypeAlias = FinalityProof | InclusionProof

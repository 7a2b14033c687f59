"""What the participant asks of its surroundings. Values only; the node or the simulator carries them out in
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.primitives.block import Commit
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction

SignedMessage: TypeAlias = Bundle | Proposal | Prevote | Precommit


class Job(Protocol):
    """Bulk work with no side effects: it may run in any thread; its outcome comes back by
    ``Participant.job_done``.
    """

    def run(self, backend: SignatureBackend) -> Assembled:
        """Do it; raises ``BlockInvalid`` or ``TxInvalid`` when the block breaks a rule."""
        ...


class Change(Enum):
    """What happened to a transaction, as users are told: pending it was before."""

    CERTIFIED = "certified"
    FINAL = "final"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RunJob:
    """Run a job off the reactor and answer with ``job_done(job, outcome)``."""

    job: Job


@dataclass(frozen=True, slots=True)
class CommitBlock:
    """Store a decided block in one atomic transaction, then answer with ``committed``."""

    assembled: Assembled
    commit: Commit
    final_ms: tuple[int | None, ...]
    """Milliseconds to finality of each transaction of the block, coinbase included (None: not seen)."""


class Announce(NamedTuple):
    """Tell every peer that may lack it a verified or durable message."""

    message: SignedMessage | Evidence


class AnnounceTransaction(NamedTuple):
    """A transaction became known and valid; ``local`` ones are pushed with their body."""

    txid: bytes
    local: bool


@dataclass(frozen=True, slots=True)
class WantTransactions:
    """Fetch these bodies: by txid, or by wtxid; ``signer`` named them (None: any peer)."""

    ids: tuple[bytes, ...]
    by_wtxid: bool
    signer: int | None


@dataclass(frozen=True, slots=True)
class WantProposal:
    """Fetch a proposal of this block."""

    height: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class WantPol:
    """Fetch the prevotes for this block in this round."""

    height: int
    round: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class ShowTransactions:
    """Send certificates and bodies of these to a proposer that left them out (R10)."""

    txids: tuple[bytes, ...]
    signer: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call ``wake(token, now)`` once the clock reaches ``at`` milliseconds."""

    at: int
    token: object


class Report(NamedTuple):
    """A change of a transaction's status, for users; all but *certified* are durable. ``milliseconds`` is the time to
    finality; ``tx`` is given for archived ones, which are in the pool no more.
    """

    txid: bytes
    change: Change
    milliseconds: int | None = None
    height: int | None = None
    reason: str | None = None
    tx: Transaction | None = None


@dataclass(frozen=True, slots=True)
class BlockArchived:
    """A decided block is durable and applied; ``transactions`` without the coinbase, ``round`` in which it
    was decided, ``epoch`` to which it belongs.
    """

    height: int
    block_hash: bytes
    closing: bool
    transactions: int
    round: int
    epoch: int


@dataclass(frozen=True, slots=True)
class RotateJournal:
    """The epoch closed: start a new journal segment with these records."""

    carry: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SettleJournal:
    """Record that this key signs nothing in epochs up to ``through``, and that the journal holds all that it
    signs after.
    """

    through: int


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Statements that no honest masternode signs (protocol.md 3, *Evidence*).

    ``proof`` is the evidence when it was taken to be put into a block, else the event that told of it.
    """

    proof: object


@dataclass(frozen=True, slots=True)
class OfferAgain:
    """Transactions whose missing parents turned up: prepare, verify and admit them."""

    txs: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class BadBlock:
    """A block given to ``adopt`` is not applied: no quorum decided it, so its sender lied; or (``decided``) one did,
    but it breaks a rule.
    """

    height: int
    reason: str
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """One third of the power or more broke the protocol (R12): stop signing, keep the proofs, exit
    non-zero.
    """

    reason: str
    proofs: tuple[bytes, ...]


Effect: TypeAlias = (
    RunJob
    | CommitBlock
    | Announce
    | AnnounceTransaction
    | WantTransactions
    | WantProposal
    | WantPol
    | ShowTransactions
    | WakeAt
    | Report
    | BlockArchived
    | RotateJournal
    | SettleJournal
    | Misbehaviour
    | OfferAgain
    | BadBlock
    | Halt
)

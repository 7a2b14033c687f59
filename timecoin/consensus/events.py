"""What finality tells the participant, in the order in which it happened."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from timecoin.consensus.bundle import Bundle, BundleHead
from timecoin.mempool.orphans import Orphan
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction


class Certified(NamedTuple):
    """A quorum voted for the transaction in the open epoch; its body need not be known yet."""

    txid: Hash


class Backed(NamedTuple):
    """Acks of more than a third came before the certificate: enough for R10 (i), not for an ack of mine."""

    txid: Hash


class Final(NamedTuple):
    """The transaction is final (R3); told once.  ``milliseconds`` since it was first seen here."""

    txid: Hash
    milliseconds: int
    archived: bool


class Rejected(NamedTuple):
    """A pending transaction left the pool for good; ``code`` says why (R4, R5)."""

    txid: Hash
    code: str


class Evicted(NamedTuple):
    """The pool was full: the body is forgotten, the locks of my vote are not."""

    txid: Hash


class Reopened(NamedTuple):
    """A new epoch opened and these, submitted here, are still pending: announce them again (R5)."""

    txids: tuple[Hash, ...]


class Fresh(NamedTuple):
    """A bundle that had come too early was counted now: journal it and pass it on like one just received."""

    bundle: Bundle


class Unknown(NamedTuple):
    """A bundle of ``signer`` names transactions whose bodies I lack: fetch them from its sender."""

    txids: tuple[Hash, ...]
    signer: int


class ParentsKnown(NamedTuple):
    """Orphans whose missing parent turned up: prepare them again."""

    orphans: tuple[Orphan, ...]


class Equivocation(NamedTuple):
    """Two bundles with one sequence; ``first`` is None when it has left memory (the journal has it)."""

    signer: int
    sequence: int
    first: BundleHead | None
    second: BundleHead


class RivalVotes(NamedTuple):
    """A masternode voted for two spends of one coin in one epoch; the bundles hold one vote each."""

    signer: int
    txids: tuple[Hash, Hash]
    bundles: tuple[Bundle, Bundle]
    txs: tuple[Transaction, Transaction]


class AckAfterSeal(NamedTuple):
    """A masternode acked in a bundle after its own seal."""

    signer: int
    seal: BundleHead
    late: BundleHead


class Breach(Enum):
    """Proofs that one third of the power or more broke the protocol (R12)."""

    RIVAL_CERTIFICATES = "rival-certificates"
    FINAL_NOT_ARCHIVED = "final-not-archived"


class Violation(NamedTuple):
    """R12: stop signing.  ``bundles`` prove it, together with the chain."""

    breach: Breach
    txids: tuple[Hash, ...]
    bundles: tuple[Bundle, ...]


Event: TypeAlias = (
    Certified
    | Backed
    | Final
    | Rejected
    | Evicted
    | Reopened
    | Fresh
    | Unknown
    | ParentsKnown
    | Equivocation
    | RivalVotes
    | AckAfterSeal
    | Violation
)

"""Evidence: statements of one masternode that no honest one signs, one class for each kind (protocol.md 3).

An instance *is* an offence, if its signatures hold: whatever proves none cannot be made (``NoOffence``). Each has
exactly one encoding. What cannot be seen from the bytes is left to ``ledger.evidence``: whose key it was, whether
the signatures hold, and for :class:`AckLeftOut` what the chain holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple, TypeVar

from timecoin.ledger.evidence_parts import (
    BUNDLE_SIZE,
    PRECOMMIT_SIZE,
    PREVOTE_SIZE,
    Absence,
    BundleBody,
    Listed,
    NoOffence,
    Place,
    Signed,
    VoteBody,
    require,
)
from timecoin.ledger.statement import FRESH, PREFIX, PROPOSAL_TAIL
from timecoin.primitives.block import HEADER_SIZE, Header
from timecoin.primitives.codec import DecodeError, Reader, var_bytes
from timecoin.primitives.hashes import HASH_SIZE, Hash
from timecoin.primitives.transaction import Transaction


class Kind(IntEnum):
    """The kinds; the numbers are part of the encoding."""

    DOUBLE_PROPOSAL = 1
    DOUBLE_PREVOTE = 2
    DOUBLE_PRECOMMIT = 3
    DOUBLE_BUNDLE = 4
    RIVAL_VOTES = 5
    ACK_AFTER_SEAL = 6
    ACK_LEFT_OUT = 7


class Claim(NamedTuple):
    """What only the chain can refute: that no block of ``epoch`` below ``height`` holds ``txid``."""

    txid: Hash
    epoch: int
    height: int


class Evidence:
    """What all kinds share. ``tags`` are the message kinds of :attr:`statements`, in order."""

    __slots__ = ()
    kind: ClassVar[Kind]
    tags: ClassVar[tuple[str, ...]]

    @property
    def statements(self) -> tuple[Signed, ...]:
        """What was signed."""
        raise NotImplementedError

    @property
    def place(self) -> Place:
        """Chain, epoch, set and signer, the same for all statements."""
        return self.statements[0].place

    @property
    def signer(self) -> int:
        """Signer index of the accused in that set."""
        return self.place.signer

    @property
    def claim(self) -> Claim | None:
        """What is left to ask the chain."""
        return None

    def _payload(self) -> bytes:
        return b"".join([statement.encode() for statement in self.statements])

    def encode(self) -> bytes:
        """Kind u8 ‖ what the kind holds."""
        return bytes((self.kind,)) + self._payload()

    def _check_signer(self) -> None:
        first, second = self.statements
        require(first.place == second.place, "statements of different signers, epochs or sets")

    def __str__(self) -> str:
        place = self.place
        return f"{self.kind.name.lower().replace('_', '-')} of signer {place.signer} in epoch {place.epoch}"


P = TypeVar("P", bound="_Pair")


@dataclass(frozen=True, slots=True)
class _Pair(Evidence):
    """Two different bodies of one kind for one position; ``first`` is the lower one as bytes."""

    body_size: ClassVar[int]
    position_size: ClassVar[int]

    first: Signed
    second: Signed

    def __post_init__(self) -> None:
        require(all(len(each.body) == self.body_size for each in self.statements), "a body of another size")
        self._check_signer()
        end = PREFIX.size + self.position_size
        require(self.first.body[:end] == self.second.body[:end], "statements about different things")
        require(self.first.body < self.second.body, "not two statements in order")

    @property
    def statements(self) -> tuple[Signed, ...]:
        """Both."""
        return self.first, self.second

    @classmethod
    def of(cls: type[P], one: Signed, other: Signed) -> P:
        """The pair in its order (``NoOffence``)."""
        return cls(*sorted((one, other), key=lambda signed: signed.body))

    @classmethod
    def read(cls: type[P], reader: Reader) -> P:
        """Take the payload off ``reader`` (``DecodeError``)."""
        return cls(Signed.read(reader, cls.body_size), Signed.read(reader, cls.body_size))


class DoubleProposal(_Pair):
    """Two proposals for one round of one height."""

    __slots__ = ()
    kind = Kind.DOUBLE_PROPOSAL
    tags = ("proposal", "proposal")
    body_size = PREFIX.size + PROPOSAL_TAIL.size
    position_size = 8


class DoublePrevote(_Pair):
    """Two prevotes for one round of one height; nil and the fresh bit count as said."""

    __slots__ = ()
    kind = Kind.DOUBLE_PREVOTE
    tags = ("prevote", "prevote")
    body_size = PREVOTE_SIZE
    position_size = 8


class DoublePrecommit(_Pair):
    """Two precommits for one round of one height."""

    __slots__ = ()
    kind = Kind.DOUBLE_PRECOMMIT
    tags = ("precommit", "precommit")
    body_size = PRECOMMIT_SIZE
    position_size = 8


class DoubleBundle(_Pair):
    """Two bundles with one sequence."""

    __slots__ = ()
    kind = Kind.DOUBLE_BUNDLE
    tags = ("bundle", "bundle")
    body_size = BUNDLE_SIZE
    position_size = 4


class RivalVote(NamedTuple):
    """A vote and the transaction that it is for, whose witnesses do not matter."""

    listed: Listed
    tx: Transaction

    def encode(self) -> bytes:
        """The vote ‖ the transaction without witnesses, behind its size."""
        return self.listed.encode() + var_bytes(self.tx.stripped)

    @classmethod
    def read(cls, reader: Reader) -> RivalVote:
        """Take one off ``reader`` (``DecodeError``)."""
        listed = Listed.read(reader, acks=False)
        return cls(listed, Transaction.decode(bytes(reader.var_bytes(reader.remaining))))


@dataclass(frozen=True, slots=True)
class RivalVotes(Evidence):
    """Votes of one epoch for two transactions that spend one coin; ``first`` has the lower txid as bytes."""

    kind = Kind.RIVAL_VOTES
    tags = ("bundle", "bundle")

    first: RivalVote
    second: RivalVote

    def __post_init__(self) -> None:
        self._check_signer()
        one, other = self.first.tx, self.second.tx
        require(not (one.has_witness or other.has_witness), "a transaction with witnesses")
        require(one.txid < other.txid, "not two transactions in order")
        require(not set(one.outpoints()).isdisjoint(other.outpoints()), "transactions without a coin in common")
        require(all(vote.listed.votes_for(vote.tx.txid) for vote in (self.first, self.second)), "no vote")

    @property
    def statements(self) -> tuple[Signed, ...]:
        """The bundles with the votes."""
        return self.first.listed.bundle, self.second.listed.bundle

    @classmethod
    def of(cls, one: RivalVote, other: RivalVote) -> RivalVotes:
        """Both in their order, without witnesses (``NoOffence``)."""
        bare = [RivalVote(vote.listed, Transaction.decode(vote.tx.stripped)) for vote in (one, other)]
        return cls(*sorted(bare, key=lambda vote: vote.tx.txid))

    def _payload(self) -> bytes:
        return self.first.encode() + self.second.encode()

    @classmethod
    def read(cls, reader: Reader) -> RivalVotes:
        """Take the payload off ``reader`` (``DecodeError``)."""
        return cls(RivalVote.read(reader), RivalVote.read(reader))


@dataclass(frozen=True, slots=True)
class AckAfterSeal(Evidence):
    """A bundle with acks behind a seal bundle, and so behind the signer's first one."""

    kind = Kind.ACK_AFTER_SEAL
    tags = ("bundle", "bundle")

    seal: Signed
    late: Signed

    def __post_init__(self) -> None:
        self._check_signer()
        seal, late = BundleBody.of(self.seal), BundleBody.of(self.late)
        require(seal.seals, "no seal")
        require(late.acks > 0 and late.sequence > seal.sequence, "no ack behind the seal")

    @property
    def statements(self) -> tuple[Signed, ...]:
        """Both."""
        return self.seal, self.late

    @classmethod
    def read(cls, reader: Reader) -> AckAfterSeal:
        """Take the payload off ``reader`` (``DecodeError``)."""
        return cls(Signed.read(reader, BUNDLE_SIZE), Signed.read(reader, BUNDLE_SIZE))


@dataclass(frozen=True, slots=True)
class AckLeftOut(Evidence):
    """An ack for ``txid``, and a fresh prevote in its epoch for a closing block without it.

    An offence only if no block of the epoch below the prevoted height holds the transaction either: see ``claim``.
    """

    kind = Kind.ACK_LEFT_OUT
    tags = ("bundle", "prevote")

    txid: Hash
    ack: Listed
    prevote: Signed
    header: Header
    absence: Absence

    def __post_init__(self) -> None:
        self._check_signer()
        vote, header, place = VoteBody.of(self.prevote), self.header, self.place
        require(self.ack.acks(self.txid), "no ack")
        require(vote.flags == FRESH, "the prevote is not fresh")
        require(vote.block_hash == header.hash, "the prevote is for another block")
        require(header.closing, "the block does not close the epoch")
        named = header.chain_id, header.epoch, header.set_hash, header.height
        require(named == (*place[:3], vote.height), "the block is of another place")
        require(self.absence.holds(self.txid, header.tx_count, header.tx_root), "not shown to be left out")

    @property
    def statements(self) -> tuple[Signed, ...]:
        """The bundle with the ack, and the prevote."""
        return self.ack.bundle, self.prevote

    @property
    def claim(self) -> Claim:
        """That the transaction is not in the chain below the block either."""
        return Claim(self.txid, self.header.epoch, self.header.height)

    def _payload(self) -> bytes:
        parts = (self.ack, self.prevote, self.header, self.absence)
        return self.txid + b"".join([part.encode() for part in parts])

    @classmethod
    def read(cls, reader: Reader) -> AckLeftOut:
        """Take the payload off ``reader`` (``DecodeError``)."""
        txid = bytes(reader.take(HASH_SIZE))
        ack = Listed.read(reader, acks=True)
        prevote = Signed.read(reader, PREVOTE_SIZE)
        header = Header.decode(bytes(reader.take(HEADER_SIZE)))
        return cls(txid, ack, prevote, header, Absence.read(reader, header.tx_count))


_CLASSES = (
    DoubleProposal, DoublePrevote, DoublePrecommit, DoubleBundle, RivalVotes, AckAfterSeal, AckLeftOut,
)  # fmt: skip
_BY_NUMBER = {int(each.kind): each for each in _CLASSES}


def decode(data: bytes) -> Evidence:
    """Read what ``encode`` wrote; ``NoOffence`` for anything else. Signatures are not looked at. Pure."""
    reader = Reader(data)
    try:
        kind = _BY_NUMBER.get(reader.u8())
        require(kind is not None, "unknown kind")
        assert kind is not None
        piece = kind.read(reader)
        reader.finish()
    except NoOffence:
        raise
    except DecodeError as error:
        raise NoOffence(str(error)) from error
    return piece

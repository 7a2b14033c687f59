"""Prevotes and precommits: the two votes of a Tendermint round (protocol.md 4 and 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import (
    FRESH,
    PREFIX,
    SIGNATURE_SIZE,
    VOTE_TAIL,
    body_prefix,
    check_statement,
    statement_digest,
)
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import ZERO, Hash
from timecoin.primitives.signing import SignatureCheck

NIL: Hash = ZERO
"""The block hash of a vote for no block."""

_FLAGS_AT = PREFIX.size + VOTE_TAIL.size

V = TypeVar("V", bound="Vote")


class MalformedVote(DecodeError):
    """Bytes that are no prevote or precommit."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What both kinds share: the signer's word on ``block_hash`` (``NIL``: on none) in one round of one
    height.
    """

    kind: ClassVar[str]

    chain_id: bytes
    epoch: int
    set_hash: Hash
    signer: int
    height: int
    round: int
    block_hash: Hash
    signature: bytes = bytes(SIGNATURE_SIZE)

    @property
    def is_nil(self) -> bool:
        """Whether this is a vote for no block."""
        return self.block_hash == NIL

    @property
    def statement(self) -> tuple[Hash, bool]:
        """In what two votes of one kind, signer and round differ when they contradict each other."""
        return self.block_hash, False

    def body(self) -> bytes:
        """The signed bytes: prefix 70 ‖ height u32 ‖ round u32 ‖ block hash 32 (``struct.error`` out of
        range).
        """
        prefix = body_prefix(self.chain_id, self.epoch, self.set_hash, self.signer)
        return prefix + VOTE_TAIL.pack(self.height, self.round, self.block_hash)

    @property
    def digest(self) -> bytes:
        """The 32 bytes under the signature."""
        return statement_digest(self.kind, self.body())

    def signed(self: V, signature: bytes) -> V:
        """The same vote with a 64-byte compact signature."""
        return replace(self, signature=signature)

    def check(self, members: PowerSet) -> SignatureCheck:
        """The signature check (``WrongSet``, ``NotAMember``)."""
        return check_statement(members, self.set_hash, self.signer, self.digest, self.signature)

    def encode(self) -> bytes:
        """Body ‖ signature."""
        return self.body() + self.signature


@dataclass(frozen=True, slots=True)
class Prevote(Vote):
    """A prevote. ``fresh``: I checked what R10 asks of a fresh proposal; a derived or nil prevote is not
    fresh.

    The bit is signed, after the block hash, because only fresh prevotes can be evidence (protocol.md 3, R10).
    """

    kind = "prevote"

    fresh: bool = False

    @property
    def statement(self) -> tuple[Hash, bool]:
        """The block hash and the fresh bit."""
        return self.block_hash, self.fresh

    def body(self) -> bytes:
        """The signed bytes: those of a vote ‖ flags u8 {fresh}."""
        return Vote.body(self) + bytes((FRESH if self.fresh else 0,))

    @classmethod
    def decode(cls, data: bytes) -> Prevote:
        """Read what ``encode`` wrote (MalformedVote); a nil prevote with the fresh bit is malformed too."""
        _check_size(data, _FLAGS_AT + 1)
        flags = data[_FLAGS_AT]
        vote = cls(*_read(data), bytes(data[_FLAGS_AT + 1 :]), flags == FRESH)
        if flags not in (0, FRESH) or (vote.fresh and vote.is_nil):
            raise MalformedVote("unknown flags")
        return vote


@dataclass(frozen=True, slots=True)
class Precommit(Vote):
    """A precommit; its body is what ``ledger.commits`` verifies in a commit."""

    kind = "precommit"

    @classmethod
    def decode(cls, data: bytes) -> Precommit:
        """Read what ``encode`` wrote (MalformedVote)."""
        _check_size(data, _FLAGS_AT)
        return cls(*_read(data), bytes(data[_FLAGS_AT:]))


def _check_size(data: bytes, body: int) -> None:
    if len(data) != body + SIGNATURE_SIZE:
        raise MalformedVote(f"{len(data)} bytes, not {body + SIGNATURE_SIZE}")


def _read(data: bytes) -> tuple[bytes, int, bytes, int, int, int, bytes]:
    chain_id, epoch, set_hash, signer = PREFIX.unpack_from(data)
    height, round_, block_hash = VOTE_TAIL.unpack_from(data, PREFIX.size)
    return chain_id, epoch, set_hash, signer, height, round_, block_hash

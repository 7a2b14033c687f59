"""The parts of which evidence consists: signed bodies, single votes and acks, what a block leaves out.

Everything is judged from the bytes that were signed; who signed them, and whether the signatures hold, is asked
afterwards, against the set that the bodies name (``ledger.evidence``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from timecoin.ledger.statement import (
    BUNDLE_ROOTS,
    BUNDLE_TAIL,
    PREFIX,
    SEAL,
    SIGNATURE_SIZE,
    VOTE_TAIL,
    statement_digest,
)
from timecoin.primitives import tree16
from timecoin.primitives.codec import DecodeError, Reader
from timecoin.primitives.hashes import HASH_SIZE, Hash, display_order
from timecoin.primitives.merkle import merkle_verify
from timecoin.primitives.signing import SignatureCheck

BUNDLE_SIZE: Final = PREFIX.size + BUNDLE_TAIL.size + BUNDLE_ROOTS.size
"""Bytes of a bundle's body; those of the other kinds likewise."""
PRECOMMIT_SIZE: Final = PREFIX.size + VOTE_TAIL.size
PREVOTE_SIZE: Final = PRECOMMIT_SIZE + 1


class NoOffence(DecodeError):
    """Bytes that are no evidence, or parts that contradict nothing: no honest node makes or passes on such."""


def require(holds: bool, what: str) -> None:
    """Raise ``NoOffence(what)`` unless ``holds``."""
    if not holds:
        raise NoOffence(what)


class Place(NamedTuple):
    """With what each signed body begins: in which epoch and set its signer spoke."""

    chain_id: Hash
    epoch: int
    set_hash: Hash
    signer: int


class Signed(NamedTuple):
    """The body of a signed message and its signature, 64 bytes compact."""

    body: bytes
    signature: bytes

    @property
    def place(self) -> Place:
        """Chain, epoch, set and signer."""
        return Place(*PREFIX.unpack_from(self.body))

    def check(self, tag: str, operator_key: bytes) -> SignatureCheck:
        """The check of the signature under a message kind (``bundle``, ``prevote``, ...)."""
        return SignatureCheck(operator_key, statement_digest(tag, self.body), self.signature, compact=True)

    def encode(self) -> bytes:
        """Body ‖ signature."""
        return self.body + self.signature

    @classmethod
    def read(cls, reader: Reader, size: int) -> Signed:
        """Take a body of ``size`` bytes and its signature off ``reader`` (``Truncated``)."""
        return cls(bytes(reader.take(size)), bytes(reader.take(SIGNATURE_SIZE)))


class BundleBody(NamedTuple):
    """What a bundle's body says after its place."""

    sequence: int
    flags: int
    votes: int
    acks: int
    vote_root: Hash
    ack_root: Hash

    @property
    def seals(self) -> bool:
        """Whether this is a seal bundle."""
        return self.flags == SEAL

    @classmethod
    def of(cls, signed: Signed) -> BundleBody:
        """The body of a signed bundle (``NoOffence`` when it has another size)."""
        require(len(signed.body) == BUNDLE_SIZE, "a bundle's body of another size")
        tail = BUNDLE_TAIL.unpack_from(signed.body, PREFIX.size)
        return cls(*tail, *BUNDLE_ROOTS.unpack_from(signed.body, PREFIX.size + BUNDLE_TAIL.size))


class Listed(NamedTuple):
    """The place of one txid among the votes or the acks of a signed bundle: its ``number``, and its path."""

    bundle: Signed
    number: int
    path: tree16.Path

    def votes_for(self, txid: Hash) -> bool:
        """Whether the bundle votes for ``txid`` at that place."""
        body = BundleBody.of(self.bundle)
        return tree16.verify16(txid, self.number, body.votes, self.path, body.vote_root)

    def acks(self, txid: Hash) -> bool:
        """Whether the bundle acks ``txid`` at that place."""
        body = BundleBody.of(self.bundle)
        return tree16.verify16(txid, self.number, body.acks, self.path, body.ack_root)

    def encode(self) -> bytes:
        """Bundle body ‖ signature ‖ number u32 ‖ siblings from the leaf up, whose number follows from the count."""
        siblings = b"".join([node for level in self.path for node in level])
        return self.bundle.encode() + self.number.to_bytes(4, "little") + siblings

    @classmethod
    def read(cls, reader: Reader, *, acks: bool) -> Listed:
        """Take one off ``reader``, of a list of acks or of votes (``DecodeError``)."""
        bundle = Signed.read(reader, BUNDLE_SIZE)
        number, body = reader.u32(), BundleBody.of(bundle)
        count = body.acks if acks else body.votes
        require(number < count, "a number outside of the list")
        levels = [_hashes(reader, length) for length in tree16.path_lengths(number, count)]
        return cls(bundle, number, tuple(levels))


class VoteBody(NamedTuple):
    """What the body of a prevote says after its place."""

    height: int
    round: int
    block_hash: Hash
    flags: int

    @classmethod
    def of(cls, signed: Signed) -> VoteBody:
        """The body of a signed prevote (``NoOffence`` when it has another size)."""
        require(len(signed.body) == PREVOTE_SIZE, "a prevote's body of another size")
        height, round_, block_hash = VOTE_TAIL.unpack_from(signed.body, PREFIX.size)
        return cls(height, round_, block_hash, signed.body[-1])


class Neighbour(NamedTuple):
    """A payment of a block with its merkle branch."""

    txid: Hash
    branch: tuple[Hash, ...]


class Absence(NamedTuple):
    """That a txid would stand behind the first ``before`` payments of a block, where it is not.

    ``neighbours``: the payments on both sides of that gap, one at an end of the block, none in a block without
    payments. Payments stand in ascending order behind the coinbase, which an honest prevote vouches for.
    """

    before: int
    neighbours: tuple[Neighbour, ...]

    def holds(self, txid: Hash, count: int, root: Hash) -> bool:
        """Whether it proves that ``txid`` is none of the payments under the txid ``root`` of ``count`` leaves."""
        indexes = gap(self.before, count)
        if len(indexes) != len(self.neighbours):
            return False
        proven = [
            merkle_verify(each.txid, index, count, each.branch, root)
            for index, each in zip(indexes, self.neighbours, strict=True)
        ]
        order = [display_order(each.txid) for each in self.neighbours]
        order.insert(1 if self.before else 0, display_order(txid))
        return all(proven) and all(left < right for left, right in pairwise(order))

    def encode(self) -> bytes:
        """Before u32 ‖ for each neighbour txid ‖ branch, whose length follows from the block's count."""
        parts = [each.txid + b"".join(each.branch) for each in self.neighbours]
        return self.before.to_bytes(4, "little") + b"".join(parts)

    @classmethod
    def read(cls, reader: Reader, count: int) -> Absence:
        """Take one off ``reader``, of a block of ``count`` transactions (``DecodeError``)."""
        before = reader.u32()
        require(0 <= before < count, "a place outside of the block")
        depth = (count - 1).bit_length()
        found = [_hashes(reader, 1 + depth) for _ in gap(before, count)]
        return cls(before, tuple([Neighbour(hashes[0], hashes[1:]) for hashes in found]))


def gap(before: int, count: int) -> tuple[int, ...]:
    """The leaves on both sides of the gap behind ``before`` payments of a block of ``count`` transactions.

    Leaf 0 is the coinbase, which is not in the order.
    """
    return tuple([index for index in (before, before + 1) if 0 < index < count])


def _hashes(reader: Reader, number: int) -> tuple[Hash, ...]:
    packed = bytes(reader.take(number * HASH_SIZE))
    return tuple([packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE)])

"""Bundles: the votes and acks of one masternode, signed together (protocol.md 4).

The signature covers counts and roots, so one vote or ack can be proved by the head (body and signature) and a
path of ``tree16`` (see ``proof``), while certificates travel as whole bundles.
"""

from __future__ import annotations

from struct import error as StructError

from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import (
    BUNDLE_ROOTS,
    BUNDLE_TAIL,
    PREFIX,
    SEAL,
    SIGNATURE_SIZE,
    check_statement,
    statement_digest,
)
from timecoin.primitives import tree16
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import SignatureCheck

MAX_TXIDS = 8_192
"""Votes and acks of one bundle together (protocol.md 4)."""

_BEFORE_ROOTS = PREFIX.size + BUNDLE_TAIL.size
HEAD_SIZE = _BEFORE_ROOTS + BUNDLE_ROOTS.size + SIGNATURE_SIZE


class MalformedBundle(DecodeError):
    """Bytes that are no bundle, head or statement proof."""


class BundleHead:
    """The signed part of a bundle and its signature: enough to prove single statements and double signing.

    ``votes`` and ``acks`` are counts, ``vote_root`` and ``ack_root`` the roots over them.
    """

    __slots__ = (
        "_body",
        "_digest",
        "ack_root",
        "acks",
        "chain_id",
        "epoch",
        "seal",
        "sequence",
        "set_hash",
        "signature",
        "signer",
        "vote_root",
        "votes",
    )

    def __init__(self, body: bytes, signature: bytes) -> None:
        """Parse a 147-byte body (MalformedBundle)."""
        if len(body) != HEAD_SIZE - SIGNATURE_SIZE or len(signature) != SIGNATURE_SIZE:
            raise MalformedBundle("wrong size")
        self.chain_id, self.epoch, self.set_hash, self.signer = PREFIX.unpack_from(body)
        self.sequence, flags, self.votes, self.acks = BUNDLE_TAIL.unpack_from(body, PREFIX.size)
        self.vote_root, self.ack_root = BUNDLE_ROOTS.unpack_from(body, _BEFORE_ROOTS)
        _check_ranges(self.sequence, flags, self.votes, self.acks)
        self.seal = flags == SEAL
        self.signature = signature
        self._body = body
        self._digest: bytes | None = None

    @property
    def digest(self) -> bytes:
        """The 32 bytes under the signature."""
        if self._digest is None:
            self._digest = statement_digest("bundle", self._body)
        return self._digest

    def body(self) -> bytes:
        """Return the signed bytes."""
        return self._body

    def check(self, members: PowerSet) -> SignatureCheck:
        """Return the signature check (``WrongSet``, ``NotAMember``)."""
        return check_statement(members, self.set_hash, self.signer, self.digest, self.signature)

    def encode(self) -> bytes:
        """Return body ‖ signature, 211 bytes."""
        return self._body + self.signature

    @classmethod
    def decode(cls, data: bytes) -> BundleHead:
        """Read what ``encode`` wrote (MalformedBundle)."""
        return cls(bytes(data[:-SIGNATURE_SIZE]), bytes(data[-SIGNATURE_SIZE:]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BundleHead) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self._body)


class Bundle:
    """Signed votes and acks, immutable by convention.

    ``sequence`` counts from 1 per signer and epoch without gaps.  The bundle with ``seal`` set carries the
    signer's last acks of the epoch (protocol.md R9).
    """

    __slots__ = (
        "_body",
        "_digest",
        "acks",
        "chain_id",
        "epoch",
        "seal",
        "sequence",
        "set_hash",
        "signature",
        "signer",
        "votes",
    )

    def __init__(
        self,
        chain_id: bytes,
        epoch: int,
        set_hash: bytes,
        signer: int,
        sequence: int,
        seal: bool,
        votes: tuple[bytes, ...],
        acks: tuple[bytes, ...],
        signature: bytes = bytes(SIGNATURE_SIZE),
    ) -> None:
        """Take the fields as they are; ``decode`` checks foreign ones."""
        self.chain_id = chain_id
        self.epoch = epoch
        self.set_hash = set_hash
        self.signer = signer
        self.sequence = sequence
        self.seal = seal
        self.votes = votes
        self.acks = acks
        self.signature = signature
        self._body: bytes | None = None
        self._digest: bytes | None = None

    def body(self) -> bytes:
        """Return the signed bytes: prefix, sequence u32, flags u8, counts u32 × 2, roots × 2."""
        if self._body is None:
            self._body = b"".join((
                PREFIX.pack(self.chain_id, self.epoch, self.set_hash, self.signer),
                BUNDLE_TAIL.pack(self.sequence, SEAL if self.seal else 0, len(self.votes), len(self.acks)),
                tree16.root16(self.votes),
                tree16.root16(self.acks),
            ))
        return self._body

    @property
    def digest(self) -> bytes:
        """The 32 bytes under the signature."""
        if self._digest is None:
            self._digest = statement_digest("bundle", self.body())
        return self._digest

    def signed(self, signature: bytes) -> Bundle:
        """Return the same bundle with a 64-byte compact signature."""
        copy = Bundle(
            self.chain_id, self.epoch, self.set_hash, self.signer,
            self.sequence, self.seal, self.votes, self.acks, signature,
        )  # fmt: skip
        copy._body, copy._digest = self._body, self._digest
        return copy

    def head(self) -> BundleHead:
        """Return the signed part alone."""
        return BundleHead(self.body(), self.signature)

    def check(self, members: PowerSet) -> SignatureCheck:
        """Return the signature check (``WrongSet``, ``NotAMember``)."""
        return check_statement(members, self.set_hash, self.signer, self.digest, self.signature)

    def encode(self) -> bytes:
        """Return prefix, sequence, flags, counts, the txids of votes and acks, and the signature."""
        return b"".join((
            PREFIX.pack(self.chain_id, self.epoch, self.set_hash, self.signer),
            BUNDLE_TAIL.pack(self.sequence, SEAL if self.seal else 0, len(self.votes), len(self.acks)),
            *self.votes,
            *self.acks,
            self.signature,
        ))

    @classmethod
    def decode(cls, data: bytes) -> Bundle:
        """Read what ``encode`` wrote (MalformedBundle).

        Roots are computed anew from the txids, so a wrong list fails the signature.
        """
        try:
            chain_id, epoch, set_hash, signer = PREFIX.unpack_from(data)
            sequence, flags, votes, acks = BUNDLE_TAIL.unpack_from(data, PREFIX.size)
        except StructError as error:
            raise MalformedBundle("truncated") from error
        _check_ranges(sequence, flags, votes, acks)
        middle = _BEFORE_ROOTS + 32 * votes
        end = middle + 32 * acks
        if len(data) != end + SIGNATURE_SIZE:
            raise MalformedBundle("wrong size")
        data = bytes(data)
        return cls(
            chain_id, epoch, set_hash, signer, sequence, flags == SEAL,
            tuple([data[at : at + 32] for at in range(_BEFORE_ROOTS, middle, 32)]),
            tuple([data[at : at + 32] for at in range(middle, end, 32)]),
            data[end:],
        )  # fmt: skip

    @staticmethod
    def key_of(encoded: bytes) -> tuple[int, int]:
        """Signer and sequence of an encoded bundle, without decoding the rest; ``DecodeError`` if too short."""
        if len(encoded) < PREFIX.size + BUNDLE_TAIL.size:
            raise DecodeError("a bundle that is cut short")
        return PREFIX.unpack_from(encoded)[3], BUNDLE_TAIL.unpack_from(encoded, PREFIX.size)[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bundle) and self.body() == other.body() and self.signature == other.signature

    def __hash__(self) -> int:
        return hash(self.body())

    def __repr__(self) -> str:
        seal = " seal" if self.seal else ""
        return (
            f"<Bundle epoch={self.epoch} signer={self.signer} #{self.sequence}"
            f" votes={len(self.votes)} acks={len(self.acks)}{seal}>"
        )


def _check_ranges(sequence: int, flags: int, votes: int, acks: int) -> None:
    if flags not in (0, SEAL):
        raise MalformedBundle("unknown flags")
    if not (flags or votes or acks):
        raise MalformedBundle("says nothing")
    if sequence == 0:
        raise MalformedBundle("sequence zero")
    if votes + acks > MAX_TXIDS:
        raise MalformedBundle("too many txids")

"""What every signed consensus message shares: body prefix, digest, signer (protocol.md 4)."""

from __future__ import annotations

from struct import Struct

from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.hashes import tagged_hash
from timecoin.primitives.signing import SignatureCheck

SIGNATURE_SIZE = 64
PREFIX = Struct("<32sI32sH")
"""chain_id 32 ‖ epoch u32 ‖ set hash 32 ‖ signer index u16: 70 bytes."""
BUNDLE_TAIL = Struct("<IBII")
"""What follows in a bundle: sequence u32 ‖ flags u8 {seal} ‖ counts of votes and acks, u32 each."""
BUNDLE_ROOTS = Struct("<32s32s")
"""And after that: the roots over votes and acks (``primitives.tree16``)."""
PROPOSAL_TAIL = Struct("<IIiB32s")
"""What follows in a proposal: height u32 ‖ round u32 ‖ valid round i32 ‖ flags u8 {closing} ‖ block hash 32."""
VOTE_TAIL = Struct("<II32s")
"""What follows in prevotes and precommits: height u32 ‖ round u32 ‖ block hash 32; a prevote has flags u8 {fresh} more.
"""
SEAL = FRESH = CLOSING = 1
"""The only flag of a bundle, of a prevote and of a proposal."""


class StatementError(ValueError):
    """A signed message that can count nowhere."""


class WrongSet(StatementError):
    """The message names a set hash other than that of the members it was checked against."""


class NotAMember(StatementError):
    """The signer index lies outside of the set."""


def body_prefix(chain_id: bytes, epoch: int, set_hash: bytes, signer: int) -> bytes:
    """Return the 70 bytes with which each signed body begins (``struct.error`` if a number does not fit)."""
    return PREFIX.pack(chain_id, epoch, set_hash, signer)


def statement_digest(kind: str, body: bytes) -> bytes:
    """Return the 32 bytes that are signed: the tagged hash of ``body`` under ``timecoin/<kind>``."""
    return tagged_hash("timecoin/" + kind, body)


def check_statement(
    members: PowerSet, set_hash: bytes, signer: int, digest: bytes, signature: bytes
) -> SignatureCheck:
    """Return the signature check of a message of ``signer``.

    :raises WrongSet: when ``members`` is not the set that the message names.
    :raises NotAMember: when it has no such index.
    """
    if set_hash != members.set_hash:
        raise WrongSet(set_hash.hex())
    if not 0 <= signer < len(members.members):
        raise NotAMember(str(signer))
    return SignatureCheck(members.members[signer].operator_key, digest, signature, compact=True)

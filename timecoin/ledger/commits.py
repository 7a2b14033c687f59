"""Commits: the precommits of a quorum that decided a block (protocol.md sections 4 and 6)."""

from __future__ import annotations

from timecoin.ledger.errors import BadCommit
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import VOTE_TAIL, body_prefix, statement_digest
from timecoin.primitives.block import Commit
from timecoin.primitives.signing import SignatureBackend, SignatureCheck, check_all


def precommit_digest(
    chain_id: bytes, epoch: int, set_hash: bytes, signer: int, height: int, round_: int, block_hash: bytes
) -> bytes:
    """Return the 32 bytes that a precommit signs.

    Body: chain_id 32 ‖ epoch u32 ‖ set hash 32 ‖ signer u16 ‖ height u32 ‖ round u32 ‖ block hash 32.
    """
    body = body_prefix(chain_id, epoch, set_hash, signer) + VOTE_TAIL.pack(height, round_, block_hash)
    return statement_digest("precommit", body)


def commit_checks(chain_id: bytes, epoch: int, members: PowerSet, commit: Commit) -> list[SignatureCheck]:
    """Return the signature checks of ``commit``, by ``members`` = the set of its block's epoch.

    Raises ``BadCommit`` unless the signers ascend, are members and hold a quorum.
    """
    mask = 0
    last = -1
    for signer, _ in commit.signatures:
        if not last < signer < len(members.members):
            raise BadCommit(f"signer {signer} after {last} of {len(members.members)}")
        mask |= 1 << signer
        last = signer
    if not members.is_quorum(members.power_of(mask)):
        raise BadCommit(f"power {members.power_of(mask)} of {members.total} is no quorum")
    return [
        SignatureCheck(members.members[signer].operator_key, digest, signature, True)
        for signer, signature in commit.signatures
        for digest in (_digest(chain_id, epoch, members, signer, commit),)
    ]


def _digest(chain_id: bytes, epoch: int, members: PowerSet, signer: int, commit: Commit) -> bytes:
    return precommit_digest(
        chain_id, epoch, members.set_hash, signer, commit.height, commit.round, commit.block_hash
    )


def check_commit(
    chain_id: bytes, epoch: int, members: PowerSet, commit: Commit, backend: SignatureBackend
) -> None:
    """Verify ``commit``: members of the set of ``epoch`` with a quorum precommitted its block in one round.

    Raises ``BadCommit``. Which block it ought to be for is the caller's to compare. About 35 µs a signature.
    """
    if not check_all(backend, commit_checks(chain_id, epoch, members, commit)):
        raise BadCommit("a signature is not valid")


def signer_ids(members: PowerSet, commit: Commit) -> tuple[bytes, ...]:
    """Return the masternode ids of the signers of a checked ``commit``, in set order."""
    return tuple([members.members[signer].masternode_id for signer, _ in commit.signatures])

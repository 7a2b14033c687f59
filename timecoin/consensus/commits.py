"""Commits made of precommits, and precommits made of commits (protocol.md 6).

A commit may hold more than a quorum. More is better: whoever is missing from a closing block's commit counts
as absent, and a closing block pays only the masternodes that are in it (protocol.md 3 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.consensus.votes import Precommit
from timecoin.primitives.block import Commit
from timecoin.primitives.hashes import Hash


def build_commit(height: int, round_: int, block_hash: Hash, precommits: Iterable[Precommit]) -> Commit:
    """The commit of all ``precommits`` for this block in this round; one of each signer, ascending. Others
    are left out.
    """
    signatures = {
        vote.signer: vote.signature
        for vote in precommits
        if (vote.height, vote.round, vote.block_hash) == (height, round_, block_hash)
    }
    return Commit(height, round_, block_hash, tuple(sorted(signatures.items())))


def merge_commits(kept: Commit, other: Commit) -> Commit:
    """``kept`` with the signers that only ``other`` has, when both are of one height, round and block; else
    ``kept``.
    """
    if (kept.height, kept.round, kept.block_hash) != (other.height, other.round, other.block_hash):
        return kept
    signatures = dict(other.signatures) | dict(kept.signatures)
    return Commit(kept.height, kept.round, kept.block_hash, tuple(sorted(signatures.items())))


def precommits_of(commit: Commit, chain_id: Hash, epoch: int, set_hash: Hash) -> tuple[Precommit, ...]:
    """The precommits that ``commit`` consists of, for the set and epoch of its block. Nothing is verified
    here.
    """
    height, round_, block_hash = commit.height, commit.round, commit.block_hash
    return tuple([
        Precommit(chain_id, epoch, set_hash, signer, height, round_, block_hash, signature)
        for signer, signature in commit.signatures
    ])

"""Making proofs of what a node holds (protocol.md section 11). Pure; of full bundles tens of milliseconds: in a
thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proof import prove
from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Commit, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.merkle import merkle_branch
from timecoin.primitives.transaction import Transaction
from timecoin.proofs.values import FinalityProof, Foundation, InclusionProof, LinkedBlock, SignedBlock


class NoQuorum(Exception):
    """The acks that are here are no quorum's."""


def foundation_of(links: Sequence[ClosingLink]) -> Foundation:
    """The chain of closing blocks; the first is the anchor, its commit is left out. ValueError without its set."""
    first = links[0]
    if first.members is None:
        raise ValueError("the anchor brings its set")
    return Foundation(first.header, first.members, tuple(links[1:]))


def decode_links(encoded: Iterable[tuple[bytes, bytes, bytes]]) -> list[ClosingLink]:
    """Links as the storage keeps them; ``DecodeError``."""
    return [ClosingLink.decode(*each) for each in encoded]


def finality_proof(
    txid: Hash, foundation: Foundation, members: PowerSet, bundles: Iterable[Bundle], tx: Transaction | None
) -> FinalityProof:
    """A proof by as few of the ``bundles`` of the foundation's next epoch as make a quorum; ``NoQuorum``.

    ``members`` is the set of that epoch; ``tx`` comes with the proof, without its witness.
    """
    chosen = _fewest(txid, members, bundles)
    acks = tuple([prove(chosen[signer], txid, ack=True) for signer in sorted(chosen)])
    return FinalityProof(txid, foundation, _unless_known(foundation, members), acks, _bare(tx))


def signed_inclusion(
    txid: Hash,
    foundation: Foundation,
    header: Header,
    commit: Commit,
    members: PowerSet,
    txids: Sequence[Hash],
    tx: Transaction | None,
) -> InclusionProof:
    """A proof by the commit of a block of the foundation's next epoch; ``txids`` are all of the block."""
    block = SignedBlock(header, commit, _unless_known(foundation, members))
    return _inclusion(txid, foundation, block, txids, tx)


def linked_inclusion(
    txid: Hash, foundation: Foundation, headers: Sequence[Header], txids: Sequence[Hash], tx: Transaction | None
) -> InclusionProof:
    """A proof by parent hashes: ``headers`` go down from below the foundation's last block to that of ``txids``."""
    return _inclusion(txid, foundation, LinkedBlock(tuple(headers)), txids, tx)


def _inclusion(
    txid: Hash,
    foundation: Foundation,
    block: SignedBlock | LinkedBlock,
    txids: Sequence[Hash],
    tx: Transaction | None,
) -> InclusionProof:
    position = txids.index(txid)
    return InclusionProof(txid, foundation, block, position, merkle_branch(txids, position), _bare(tx))


def _fewest(txid: Hash, members: PowerSet, bundles: Iterable[Bundle]) -> dict[int, Bundle]:
    ranked = sorted(bundles, key=lambda each: (-members.members[each.signer].power, each.signer, each.sequence))
    chosen: dict[int, Bundle] = {}
    power = 0
    for bundle in ranked:
        if members.is_quorum(power):
            break
        if bundle.signer not in chosen and txid in bundle.acks:
            chosen[bundle.signer] = bundle
            power += members.members[bundle.signer].power
    if not members.is_quorum(power):
        raise NoQuorum(f"acks of {power} of {members.total}")
    return chosen


def _unless_known(foundation: Foundation, members: PowerSet) -> PowerSet | None:
    known = next((each.members for each in reversed(foundation.links) if each.members is not None), foundation.members)
    return None if known.set_hash == members.set_hash else members


def _bare(tx: Transaction | None) -> Transaction | None:
    return None if tx is None else Transaction.decode(tx.stripped)

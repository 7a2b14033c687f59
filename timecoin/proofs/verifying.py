"""Verifying a proof: neither node nor network, only what is trusted and what the proof brings (protocol.md
section 11).

Every byte of a proof counts: whatever is in it is checked, also what is not needed for a quorum.
"""

from __future__ import annotations

from dataclasses import dataclass

from timecoin.consensus.proof import StatementProof
from timecoin.ledger.closing_chain import Anchor, BadClosingLink, ClosingLink, Trusted, follow, start
from timecoin.ledger.commits import commit_checks
from timecoin.ledger.errors import BadCommit
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import StatementError
from timecoin.primitives.block import EMPTY_COMMIT, Header
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.merkle import merkle_verify
from timecoin.primitives.signing import SignatureBackend, SignatureCheck, check_all
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.proofs.errors import (
    BadStatement,
    BrokenChain,
    EpochClosed,
    NotAnchored,
    NotInBlock,
    TooLittlePower,
    WrongNetwork,
    WrongTransaction,
)
from timecoin.proofs.values import FinalityProof, Foundation, InclusionProof, LinkedBlock, Proof, SignedBlock


@dataclass(frozen=True, slots=True)
class Proved:
    """What a proof proves, and on what it relies.

    ``final``: a quorum of S(``epoch``) acked the transaction; else it is archived in block ``height``, at
    ``position``. ``since`` is the slot time, in Unix seconds, of the last closing block before the acks, or of the
    block. ``anchor`` is what was trusted, ``anchor_time`` its slot time, ``links`` the closing blocks between;
    ``by_signatures``: masternodes' signatures lead from the anchor to it, not hashes alone. ``signers`` (ids), their
    ``power`` and ``total``: of the acks or of the block's commit. ``outputs``: only if the proof brought the
    transaction.
    """

    txid: Hash
    chain_id: Hash
    final: bool
    epoch: int
    since: int
    anchor: Anchor
    anchor_epoch: int
    anchor_time: int
    links: int
    by_signatures: bool
    signers: tuple[Hash, ...] = ()
    power: int = 0
    total: int = 0
    height: int | None = None
    block_hash: Hash | None = None
    position: int | None = None
    outputs: tuple[TxOutput, ...] | None = None


def verify(proof: Proof, anchor: Anchor, backend: SignatureBackend, *, chain_id: Hash | None = None) -> Proved:
    """Say what ``proof`` proves to whoever trusts ``anchor``, a closing block or block 0; raises ``BadProof``.

    ``chain_id`` is the genesis hash, when that is known; the anchor's header names it, too. About 35 µs a signature.
    How old a proof may be is a question apart (``ages.check_age``).
    """
    if isinstance(proof, FinalityProof) and anchor.height > proof.foundation.last.height:
        raise EpochClosed(f"{_text(anchor)} is later than what closed the epoch before the acks")
    trusted = _follow(proof.foundation, anchor, backend, chain_id)
    outputs = _outputs(proof.txid, proof.transaction)
    if isinstance(proof, FinalityProof):
        return _finality(proof, trusted, outputs, backend)
    return _inclusion(proof, trusted, outputs, backend)


def _outputs(txid: Hash, transaction: Transaction | None) -> tuple[TxOutput, ...] | None:
    if transaction is None:
        return None
    if transaction.has_witness:
        raise WrongTransaction("it carries a witness")
    if transaction.txid != txid:
        raise WrongTransaction(f"its txid is {display(transaction.txid)}")
    return transaction.outputs


# From the anchor to the last closing block


def _follow(foundation: Foundation, anchor: Anchor, backend: SignatureBackend, chain_id: Hash | None) -> Trusted:
    header = foundation.header
    if (header.height, header.hash) != anchor:
        raise NotAnchored(f"it begins with block {header.height} {display(header.hash)}, trusted is {_text(anchor)}")
    if chain_id is not None and header.chain_id != chain_id:
        raise WrongNetwork(display(header.chain_id))
    try:
        trusted = start(header.chain_id, anchor, ClosingLink(header, EMPTY_COMMIT, foundation.members))
        for link in foundation.links:
            trusted, checks = follow(trusted, link)
            # One after the other: what is not signed is not followed any further.
            _require_signed(checks, link.header, backend)
    except BadClosingLink as problem:
        raise BrokenChain(str(problem)) from problem
    return trusted


def _text(anchor: Anchor) -> str:
    return f"block {anchor.height} {display(anchor.block_hash)}"


def _require_signed(checks: list[SignatureCheck], header: Header, backend: SignatureBackend) -> None:
    if not check_all(backend, checks):
        raise BrokenChain(f"a signature in the commit of block {header.height} is not valid")


def _next_set(trusted: Trusted, given: PowerSet | None) -> PowerSet:
    members = trusted.members if given is None else given
    if members.set_hash != trusted.header.next_set_hash:
        raise BrokenChain(f"the set is not the one that block {trusted.header.height} names for the next epoch")
    return members


# Finality


def _finality(
    proof: FinalityProof, trusted: Trusted, outputs: tuple[TxOutput, ...] | None, backend: SignatureBackend
) -> Proved:
    members, epoch = _next_set(trusted, proof.members), trusted.header.epoch + 1
    mask, checks = 0, []
    for ack in proof.acks:
        checks.append(_ack_check(ack, proof.txid, trusted.header.chain_id, epoch, members))
        if mask >> ack.head.signer:
            raise BadStatement(f"signer {ack.head.signer} twice, or out of order")
        mask |= 1 << ack.head.signer
    power = members.power_of(mask)
    if not members.is_quorum(power):
        raise TooLittlePower(f"{power} of {members.total} is no quorum")
    if not check_all(backend, checks):
        raise BadStatement("a signature is not valid")
    return _proved(
        proof.foundation,
        proof.txid,
        outputs,
        final=True,
        epoch=epoch,
        since=trusted.header.slot_time,
        by_signatures=True,
        said=(members.ids_of(mask), power, members.total),
    )


def _ack_check(ack: StatementProof, txid: Hash, chain_id: Hash, epoch: int, members: PowerSet) -> SignatureCheck:
    head = ack.head
    if not ack.ack:
        raise BadStatement("a vote is no ack")
    if ack.txid != txid:
        raise BadStatement(f"it is about {display(ack.txid)}")
    if head.chain_id != chain_id:
        raise WrongNetwork(display(head.chain_id))
    if head.epoch < epoch:
        raise EpochClosed(f"the acks are of epoch {head.epoch}, which is closed; an inclusion proof is what to ask for")
    if head.epoch > epoch:
        raise BadStatement(f"it is of epoch {head.epoch}, the chain leads to epoch {epoch}")
    if not ack.holds():
        raise BadStatement("the path does not lead to what was signed")
    try:
        return head.check(members)
    except StatementError as problem:
        raise BadStatement(f"not by a member of the set of epoch {epoch}") from problem


# Inclusion


def _inclusion(
    proof: InclusionProof, trusted: Trusted, outputs: tuple[TxOutput, ...] | None, backend: SignatureBackend
) -> Proved:
    if isinstance(proof.block, SignedBlock):
        header, said = proof.block.header, _signed_block(proof.block, trusted, backend)
    else:
        header, said = _linked_block(proof.block, trusted.header), ((), 0, 0)
    if not merkle_verify(proof.txid, proof.position, header.tx_count, proof.branch, header.tx_root):
        raise NotInBlock(f"block {header.height} {display(header.hash)}")
    return _proved(
        proof.foundation,
        proof.txid,
        outputs,
        final=False,
        epoch=header.epoch,
        since=header.slot_time,
        by_signatures=isinstance(proof.block, SignedBlock) or bool(proof.foundation.links),
        said=said,
        place=(header.height, header.hash, proof.position),
    )


def _signed_block(block: SignedBlock, trusted: Trusted, backend: SignatureBackend) -> tuple[tuple[Hash, ...], int, int]:
    header, before = block.header, trusted.header
    if header.chain_id != before.chain_id:
        raise WrongNetwork(display(header.chain_id))
    if header.epoch != before.epoch + 1:
        raise BrokenChain(f"block of epoch {header.epoch} after the closing block of epoch {before.epoch}")
    if header.height <= before.height or (header.height == before.height + 1 and header.previous != before.hash):
        raise BrokenChain(f"block {header.height} does not follow block {before.height}")
    members = _next_set(trusted, block.members)
    if header.set_hash != members.set_hash:
        raise BrokenChain("the block names another set than the closing block before it")
    if (block.commit.height, block.commit.block_hash) != (header.height, header.hash):
        raise BrokenChain("the commit is for another block")
    try:
        checks = commit_checks(header.chain_id, header.epoch, members, block.commit)
    except BadCommit as problem:
        raise TooLittlePower(problem.detail) from problem
    _require_signed(checks, header, backend)
    mask = sum([1 << signer for signer, _ in block.commit.signatures])
    return members.ids_of(mask), members.power_of(mask), members.total


def _linked_block(block: LinkedBlock, header: Header) -> Header:
    for below in block.headers:
        if below.hash != header.previous:
            raise BrokenChain(f"block {header.height} has another parent than block {below.height}")
        header = below
    return header


def _proved(
    foundation: Foundation,
    txid: Hash,
    outputs: tuple[TxOutput, ...] | None,
    *,
    final: bool,
    epoch: int,
    since: int,
    by_signatures: bool,
    said: tuple[tuple[Hash, ...], int, int],
    place: tuple[int, Hash, int] | tuple[None, None, None] = (None, None, None),
) -> Proved:
    first = foundation.header
    return Proved(
        txid=txid,
        chain_id=first.chain_id,
        final=final,
        epoch=epoch,
        since=since,
        anchor=Anchor(first.height, first.hash),
        anchor_epoch=first.epoch,
        anchor_time=first.slot_time,
        links=len(foundation.links),
        by_signatures=by_signatures,
        signers=said[0],
        power=said[1],
        total=said[2],
        height=place[0],
        block_hash=place[1],
        position=place[2],
        outputs=outputs,
    )

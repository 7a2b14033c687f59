"""A block that others decided: whether it is the one that its commit names, before anything in it is judged."""

from __future__ import annotations

from timecoin.ledger import linked
from timecoin.ledger.commits import check_commit
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Block, Commit, Header
from timecoin.primitives.signing import SignatureBackend


class ForgedBlock(BlockInvalid):
    """No quorum decided what was sent: its sender lied."""

    code = "bad-block-transaction"


class DecidedInvalid(BlockInvalid):
    """A quorum decided a block that breaks a rule: it, or the node that finds so, is broken; its sender is not."""

    code = "bad-decided-block"


def check_names(header: Header, commit: Commit) -> None:
    """Raise ``ForgedBlock`` unless ``commit`` is for the block of ``header``; signatures are not looked at."""
    if commit.block_hash != header.hash or commit.height != header.height:
        raise ForgedBlock("the commit is for another block")


def check_body(block: Block) -> None:
    """Raise ``ForgedBlock`` unless ``block`` is what its header names (:func:`timecoin.ledger.linked.check_body`)."""
    try:
        linked.check_body(block)
    except BlockInvalid as error:
        raise ForgedBlock(str(error)) from error


def check_signed(
    chain_id: bytes, header: Header, commit: Commit, members: PowerSet, backend: SignatureBackend
) -> None:
    """Raise ``ForgedBlock`` or ``BadCommit`` unless a quorum of ``members``, the set of the epoch that the header
    claims, decided the block of ``header``. About 35 µs a signature.
    """
    check_names(header, commit)
    if header.chain_id != chain_id:
        raise ForgedBlock("a block of another network")
    check_commit(chain_id, header.epoch, members, commit, backend)


def check_decided(
    chain_id: bytes, block: Block, commit: Commit, members: PowerSet, backend: SignatureBackend
) -> None:
    """As :func:`check_signed`, and that ``block`` is whole: two hashes a transaction more."""
    check_signed(chain_id, block.header, commit, members, backend)
    check_body(block)

"""Blocks that are vouched for by a hash that is trusted already, as those that come with a snapshot."""

from __future__ import annotations

from timecoin.ledger import errors
from timecoin.ledger.assembly import merkle_roots
from timecoin.primitives.block import HEADER_SIZE, Block, Header, evidence_hash
from timecoin.primitives.hashes import Hash, display


def check_linked(block_hash: Hash, data: bytes) -> Block:
    """The block of that hash, of which every byte follows from it.

    A quorum decided the hash, so no rule of the ledger is asked again. Raises ``DecodeError`` when ``data`` is no
    block, ``BlockInvalid`` when it is another one or was tampered with. Pure, and made for a thread.
    """
    header = Header.decode(data[:HEADER_SIZE])
    if header.hash != block_hash:
        raise errors.BadPrevious(f"{display(header.hash)} instead of {display(block_hash)}")
    block = Block.decode(data)
    check_body(block)
    return block


def check_body(block: Block) -> None:
    """Raise ``BlockInvalid`` unless ``block`` holds what its header names, to the last byte of every witness.

    Whoever knows the header's hash to be decided then knows that the whole block is.
    """
    header = block.header
    if header.tx_count != len(block.transactions):
        raise errors.BadTxCount(f"{len(block.transactions)} instead of {header.tx_count}")
    if block.last_commit.hash != header.last_commit_hash:
        raise errors.BadCommitHash()
    if evidence_hash(block.evidence) != header.evidence_hash:
        raise errors.BadEvidenceHash()
    tx_root, wtx_root = merkle_roots(block.transactions)
    if tx_root != header.tx_root:
        raise errors.BadTxRoot()
    if wtx_root != header.wtx_root:
        raise errors.BadWtxRoot()

"""Verifying a block by building it again from its free choices and comparing (protocol.md 2, 3, 6, 7)."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger import errors
from timecoin.ledger.assembly import BLOCK_VERSION, Assembled, assemble
from timecoin.ledger.blocktx import BlockTx, check_order
from timecoin.ledger.commits import check_commit
from timecoin.ledger.evidence import ArchivedIn, check_evidence
from timecoin.ledger.params import Parameters
from timecoin.ledger.resolving import block_signature_checks, resolve
from timecoin.ledger.rotation import proposer
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit, Header, evidence_hash
from timecoin.primitives.signing import SignatureBackend

__all__ = [
    "block_signature_checks",
    "check_commit",
    "check_last_commit",
    "resolve",
    "verify_block",
    "verify_proposal",
]

_GENESIS_HEIGHT = 0

_FROM_STATE: tuple[tuple[str, type[errors.BlockInvalid]], ...] = (
    ("version", errors.BadBlockVersion),
    ("chain_id", errors.BadChainId),
    ("height", errors.BadHeight),
    ("previous", errors.BadPrevious),
    ("epoch", errors.BadEpoch),
    ("set_hash", errors.BadSetHash),
    ("next_set_hash", errors.BadNextSetHash),
    ("proposer_index", errors.BadProposer),
)
"""Header fields that follow from the state (and the header's round), with the error of each."""

_FROM_CONTENT: tuple[tuple[str, type[errors.BlockInvalid]], ...] = (
    ("tx_root", errors.BadTxRoot),
    ("wtx_root", errors.BadWtxRoot),
    ("state_hash", errors.BadStateHash),
    ("utxo_commitment", errors.BadUtxoCommitment),
)
"""Header fields that follow from what the block holds, with the error of each."""


def verify_proposal(
    params: Parameters,
    state: LedgerState,
    header: Header,
    txs: Sequence[BlockTx],
    last_commit: Commit,
    evidence: Sequence[bytes],
    backend: SignatureBackend,
    archived_in: ArchivedIn,
) -> Assembled:
    """Verify the block of ``header`` after ``state``'s tip and return it as everybody applies it.

    ``txs`` are its valid payments in any order (see :func:`resolve`); the coin of every archived output
    carries its true code. ``archived_in`` looks into the chain up to ``state``'s tip. Checks everything about
    the block but those payments' own validity and signatures. Raises the broken rule's
    :class:`~timecoin.ledger.errors.BlockInvalid`; cheap rules come first. The caller bounds ``header.round``:
    the proposer's rotation takes a step for each round. Pure, and made for a thread.
    """
    check_header(state, header)
    _check_attachments(header, txs, last_commit, evidence)
    check_evidence(params, state, evidence, archived_in, backend)
    check_last_commit(state, last_commit, backend)
    assembled = assemble(
        params,
        state,
        closing=header.closing,
        slot_time=header.slot_time,
        proposer_index=header.proposer_index,
        round=header.round,
        txs=txs,
        last_commit=last_commit,
        evidence=evidence,
        backend=backend,
    )
    _compare(header, assembled.block.header)
    return assembled


def check_header(state: LedgerState, header: Header) -> None:
    """Check the fields that follow from ``state`` alone, which a node can do before it has any body."""
    due: dict[str, int | bytes] = {
        "version": BLOCK_VERSION,
        "chain_id": state.chain_id,
        "height": state.height + 1,
        "previous": state.block_hash,
        "epoch": state.epoch,
        "set_hash": state.current.set_hash,
        "next_set_hash": state.following.set_hash,
        "proposer_index": proposer(state.current, state.priorities, header.round),
    }
    for name, error in _FROM_STATE:
        if getattr(header, name) != due[name]:
            raise error(_shown(getattr(header, name), due[name]))


def _check_attachments(
    header: Header, txs: Sequence[BlockTx], last_commit: Commit, evidence: Sequence[bytes]
) -> None:
    if header.tx_count != len(txs) + 1:
        raise errors.BadTxCount(_shown(header.tx_count, len(txs) + 1))
    if header.last_commit_hash != last_commit.hash:
        raise errors.BadCommitHash()
    if header.evidence_hash != evidence_hash(evidence):
        raise errors.BadEvidenceHash()


def check_last_commit(state: LedgerState, last_commit: Commit, backend: SignatureBackend) -> None:
    """Verify ``last_commit`` as one for ``state``'s tip, by the set of the tip's own epoch; ``BadCommit``.

    Block 0 is decided by nobody, so block 1 has the empty one.
    """
    if state.height == _GENESIS_HEIGHT:
        if last_commit != EMPTY_COMMIT:
            raise errors.BadCommit("block 0 has none")
        return
    if last_commit.height != state.height or last_commit.block_hash != state.block_hash:
        raise errors.BadCommit("for another block")
    check_commit(state.chain_id, state.header.epoch, state.tip_set, last_commit, backend)


def _compare(header: Header, due: Header) -> None:
    for name, error in _FROM_CONTENT:
        if getattr(header, name) != getattr(due, name):
            raise error(_shown(getattr(header, name), getattr(due, name)))
    if header.encode() != due.encode():
        raise errors.BlockInvalid("header")


def _shown(found: int | bytes, due: int | bytes) -> str:
    if isinstance(found, bytes) and isinstance(due, bytes):
        return f"{found[::-1].hex()} instead of {due[::-1].hex()}"
    return f"{found!r} instead of {due!r}"


def verify_block(
    params: Parameters,
    state: LedgerState,
    block: Block,
    txs: Sequence[BlockTx],
    backend: SignatureBackend,
    archived_in: ArchivedIn,
) -> Assembled:
    """Verify ``block`` after ``state``'s tip; ``txs`` are its payments in its order (:func:`resolve`).

    As :func:`verify_proposal`, and the order of the payments and every byte of the coinbase. The payments'
    signatures and the commit that decided the block are the caller's to check.
    """
    if not block.transactions:
        raise errors.BadCoinbase("no transactions")
    check_order(txs)
    assembled = verify_proposal(
        params, state, block.header, txs, block.last_commit, block.evidence, backend, archived_in
    )
    if assembled.block.transactions[0].raw != block.transactions[0].raw:
        raise errors.BadCoinbase()
    return assembled

"""A masternode that says whatever a test wants, and the evidence that follows from it."""

from __future__ import annotations

from tests.ledger.builders import BACKEND, Chain, account, operator
from timecoin.consensus.accusing import ack_after_seal, ack_left_out, double, rival_votes
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.proposal import NO_ROUND, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Block
from timecoin.primitives.transaction import Transaction


class Culprit:
    """Genesis masternode ``number`` in the epoch that is open after ``state``; it signs everything."""

    def __init__(self, state: LedgerState, number: int = 0) -> None:
        self.identity = OperatorIdentity(operator(number).secret, BACKEND)
        signer = state.current.index_of_key(self.identity.operator_key)
        assert signer is not None
        self.signer = signer
        self.id = state.current.members[signer].masternode_id
        self.place = state.chain_id, state.epoch, state.current.set_hash, signer

    def bundle(self, sequence: int, *votes: bytes, acks: tuple[bytes, ...] = (), seal: bool = False) -> Bundle:
        bundle = Bundle(*self.place, sequence, seal, votes, acks)
        return bundle.signed(self.identity.sign(bundle.digest))

    def prevote(self, height: int, block_hash: bytes, round_: int = 0, *, fresh: bool = True) -> Prevote:
        vote = Prevote(*self.place, height, round_, block_hash, fresh=fresh)
        return vote.signed(self.identity.sign(vote.digest))

    def precommit(self, height: int, block_hash: bytes, round_: int = 0) -> Precommit:
        vote = Precommit(*self.place, height, round_, block_hash)
        return vote.signed(self.identity.sign(vote.digest))

    def proposal(self, height: int, block_hash: bytes, round_: int = 0, *, closing: bool = True) -> ProposalHead:
        bare = ProposalHead(*self.place, height, round_, NO_ROUND, closing, block_hash)
        signature = self.identity.sign(bare.digest)
        return ProposalHead(*self.place, height, round_, NO_ROUND, closing, block_hash, signature)

    # Offences

    def double_proposal(self) -> Evidence:
        return double(self.proposal(7, bytes(32)), self.proposal(7, b"\1" * 32))

    def double_prevote(self, height: int = 7) -> Evidence:
        return double(self.prevote(height, b"\1" * 32), self.prevote(height, bytes(32), fresh=False))

    def double_precommit(self) -> Evidence:
        return double(self.precommit(7, bytes(32)), self.precommit(7, b"\1" * 32))

    def double_bundle(self) -> Evidence:
        return double(self.bundle(3, b"\1" * 32).head(), self.bundle(3, b"\2" * 32).head())

    def rival_votes(self, one: Transaction, other: Transaction) -> Evidence:
        return rival_votes((one, other), (self.bundle(1, b"\7" * 32, one.txid), self.bundle(2, other.txid)))

    def ack_after_seal(self) -> Evidence:
        return ack_after_seal(self.bundle(1, seal=True).head(), self.bundle(2, b"\5" * 32, acks=(b"\1" * 32,)).head())

    def ack_left_out(self, txid: bytes, block: Block) -> Evidence:
        """An ack of ``txid``, and a fresh prevote for ``block``."""
        header = block.header
        leaves = [tx.txid for tx in block.transactions]
        prevote = self.prevote(header.height, header.hash)
        return ack_left_out(self.bundle(1, acks=(txid, b"\7" * 32)), txid, prevote, header, leaves)


def every_kind(chain: Chain, culprit: Culprit) -> dict[str, Evidence]:
    """One piece of each kind against ``culprit``, about the block after the chain's tip; by the kind's name."""

    one = chain.payment(account(0), account(1), 10**8)
    chain.reserved.clear()
    other = chain.payment(account(0), account(1), 2 * 10**8)
    chain.reserved.clear()
    left_out = chain.assemble([chain.payment(account(2), account(3), 10**8)]).block
    chain.reserved.clear()
    pieces = (
        culprit.double_proposal(),
        culprit.double_prevote(),
        culprit.double_precommit(),
        culprit.double_bundle(),
        culprit.rival_votes(one, other),
        culprit.ack_after_seal(),
        culprit.ack_left_out(one.txid, left_out),
    )
    return {piece.kind.name: piece for piece in pieces}

"""Whatever a masternode's key can sign, made to measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.schedule import fresh_slot
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled, assemble
from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.rotation import proposer
from timecoin.ledger.state import LedgerState
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.keys import BACKEND, Key

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode


class Forge:
    """Signs with one Byzantine node's key, in the epoch and height that its own chain has open.

    Bundles get numbers of their own behind those of the honest part, none twice, so that they stay fresh to everybody;
    ``number`` and ``epoch`` make them otherwise.
    """

    def __init__(self, node: ByzantineNode) -> None:
        self._node = node
        self._numbers: dict[int, int] = {}

    @property
    def ledger(self) -> LedgerState:
        """The tip of the liar's own chain."""
        return self._node.participant.ledger

    @property
    def signer(self) -> int | None:
        """The liar's index in the open epoch's set; None when it is no member."""
        return self._node.participant.signer

    def _secret(self) -> bytes:
        assert self._node.operator is not None
        return self._node.operator.secret

    def _next_number(self, epoch: int) -> int:
        mine = self.signer
        sequences = self._node.participant.finality.highest_sequences
        own = 0 if mine is None or mine >= len(sequences) else sequences[mine]
        number = max(own + 1, self._numbers.get(epoch, 0)) + 1
        self._numbers[epoch] = number
        return number

    # Statements

    def bundle(
        self,
        votes: Iterable[bytes] = (),
        acks: Iterable[bytes] = (),
        *,
        seal: bool = False,
        number: int | None = None,
        epoch: int | None = None,
        signer: int | None = None,
        chain_id: bytes | None = None,
        key: Key | None = None,
    ) -> wire.Bundles:
        """A bundle in its message; signed by another ``key`` than the liar's own if one is given."""
        ledger = self.ledger
        epoch = ledger.epoch if epoch is None else epoch
        members = ledger.current if epoch <= ledger.epoch else ledger.following
        number = self._next_number(epoch) if number is None else number
        signer = self.signer if signer is None else signer
        chain_id = ledger.chain_id if chain_id is None else chain_id
        draft = Bundle(chain_id, epoch, members.set_hash, signer or 0, number, seal, tuple(votes), tuple(acks))
        secret = self._secret() if key is None else key.secret
        return wire.Bundles((draft.signed(BACKEND.sign_compact(secret, draft.digest)).encode(),))

    def prevote(self, round_: int, block_hash: bytes, *, fresh: bool = False, height: int | None = None) -> wire.Votes:
        """A prevote in its message."""
        draft = Prevote(*self._place(height), round_, block_hash, fresh=fresh)
        return wire.Votes(prevotes=(draft.signed(BACKEND.sign_compact(self._secret(), draft.digest)).encode(),))

    def precommit(self, round_: int, block_hash: bytes, *, height: int | None = None) -> wire.Votes:
        """A precommit in its message."""
        draft = Precommit(*self._place(height), round_, block_hash)
        return wire.Votes(precommits=(draft.signed(BACKEND.sign_compact(self._secret(), draft.digest)).encode(),))

    def _place(self, height: int | None) -> tuple[bytes, int, bytes, int, int]:
        ledger = self.ledger
        height = ledger.height + 1 if height is None else height
        return ledger.chain_id, ledger.epoch, ledger.current.set_hash, self.signer or 0, height

    # Blocks

    def proposer(self, round_: int) -> int:
        """Signer index of whoever proposes in a round of the open height."""
        return proposer(self.ledger.current, self.ledger.priorities, round_)

    def content(
        self, txs: Sequence[BlockTx], *, closing: bool, round_: int, made_by: int | None = None
    ) -> Content | None:
        """What proposes a block with these transactions as of this round; None when there is no such valid block."""
        assembled = self.block(txs, closing=closing, round_=round_, made_by=made_by)
        return None if assembled is None else Content.of(assembled.block)

    def block(
        self, txs: Sequence[BlockTx], *, closing: bool, round_: int, made_by: int | None = None
    ) -> Assembled | None:
        """The block itself. ``made_by``: who its header says to have made it; else that round's proposer."""
        participant, ledger = self._node.participant, self.ledger
        slot = fresh_slot(self._node.now_ms(), ledger.last_closing_slot, participant.params.epoch_seconds)
        try:
            return assemble(
                participant.params,
                ledger,
                closing=closing,
                slot_time=slot if closing else ledger.last_closing_slot,
                proposer_index=self.proposer(round_) if made_by is None else made_by,
                round=round_,
                txs=txs,
                last_commit=participant._current.last_commit,
                backend=self._node.world.signatures,
            )
        except BlockInvalid:
            return None

    def proposal(self, content: Content, round_: int, valid_round: int = NO_ROUND) -> wire.Proposal:
        """A signed proposal in its message."""
        header = content.header
        draft = Proposal(ProposalHead(*self._place(None), round_, valid_round, header.closing, header.hash), content)
        return wire.Proposal(draft.signed(BACKEND.sign_compact(self._secret(), draft.digest)).encode())

    def certified(self) -> list[BlockTx]:
        """What an honest proposer with the liar's knowledge would put into a block."""
        return [BlockTx(entry.tx, entry.coins, entry.fee) for entry in self._node.participant.finality.certified()]

    def block_tx(self, tx: Transaction) -> BlockTx | None:
        """A transaction as a block takes it, if its coins are unspent on the liar's chain; certified or not."""
        coins = [self._node.coin(outpoint) for outpoint in tx.outpoints()]
        found = tuple([coin for coin in coins if coin is not None])
        if len(found) != len(coins):
            return None
        return BlockTx(tx, found, sum([coin.value for coin in found]) - sum([each.value for each in tx.outputs]))

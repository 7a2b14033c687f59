"""Lies told in proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.consensus.proposal import Content
from timecoin.consensus.votes import NIL
from timecoin.ledger.blocktx import BlockTx
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.byzantine import reading
from timecoin.simulation.byzantine.behaviour import behaviour
from timecoin.simulation.byzantine.voting import Forging

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link

LOOKED_AT = 60


class Proposing(Forging):
    """Common to what acts when it is the liar's turn to propose: once in each round of each height."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._done: tuple[int, int] = (0, -1)
        self._bag: dict[bytes, Transaction] = {}

    def is_my_turn(self) -> bool:
        """Is the liar the proposer of the round at hand, and has done nothing about it yet?"""
        forge, height = self.node.forge, self.node.participant.height
        place = height.height, height.round
        if forge.signer is None or place == self._done or height.decision is not None or self.node.participant.busy:
            return False
        return forge.proposer(height.round) == forge.signer

    def done(self) -> None:
        """The turn is over."""
        height = self.node.participant.height
        self._done = height.height, height.round

    def bring(self, *txs: Transaction) -> None:
        """Have bodies ready for whoever asks for those of a block."""
        if len(self._bag) > 1_000:
            self._bag.clear()
        self._bag.update({tx.wtxid: tx for tx in txs})

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """Bodies that only the liar's blocks hold are handed out."""
        if isinstance(message, wire.GetTx) and message.by_wtxid:
            found = [self._bag[key].raw for key in message.ids if key in self._bag]
            if found:
                self.node.send(link, wire.Tx(tuple(found)))
        return message

    def is_own_proposal(self, message: wire.Message) -> bool:
        """A proposal of the honest part's own?"""
        return isinstance(message, wire.Proposal) and bool(reading.own_statements(self.node, message))


@behaviour("conflicting_proposals")
class ConflictingProposals(Proposing):
    """Proposes two blocks in one round, each to one half of the network, and votes for both."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._other: dict[bytes, wire.Proposal | None] = {}

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """To the odd ones another block."""
        if not self.is_own_proposal(message) or not isinstance(message, wire.Proposal):
            return [message]
        if message.proposal not in self._other:
            self._other = {message.proposal: self._another(message.proposal)}
        other = self._other[message.proposal]
        shown = other if link.target.index % 2 and other is not None else message
        proposal = reading.proposal(shown.proposal)
        assert proposal is not None
        round_, block_hash = proposal.round, proposal.block_hash
        forge = self.node.forge
        return [shown, forge.prevote(round_, block_hash, fresh=True), forge.precommit(round_, block_hash)]

    def _another(self, raw: bytes) -> wire.Proposal | None:
        proposal, forge = reading.proposal(raw), self.node.forge
        if proposal is None or not proposal.head.is_fresh or proposal.height != forge.ledger.height + 1:
            return None
        known = forge.certified()
        content: Content | None = None
        if known:
            content = forge.content(known[:-1], closing=proposal.closing, round_=proposal.round)
        if content is None:
            content = forge.content((), closing=not proposal.closing, round_=proposal.round)
        return None if content is None else forge.proposal(content, proposal.round)


@behaviour("omitting")
class Omitting(Proposing):
    """Leaves certified payments out of its blocks, those that others acked too: all of them, or some."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Its own proposals give way to worse ones."""
        return [] if self.is_own_proposal(message) and self._replaces(message) else [message]

    def _replaces(self, message: wire.Message) -> bool:
        return isinstance(message, wire.Proposal) and reading.place_of(message.proposal)[0] == self.node.epoch

    def look(self) -> None:
        """A closing block as early as anybody takes one, without what should be in it."""
        node, params = self.node, self.node.participant.params
        if not self.is_my_turn() or node.now_ms() < node.participant.slot_ms - params.clock_tolerance // 2:
            return
        known = node.forge.certified()
        kept = [] if self.chance.permille(600) else [item for item in known if self.chance.permille(500)]
        round_ = node.participant.height.round
        content = node.forge.content(whole(kept), closing=True, round_=round_)
        if content is not None:
            node.tell_all(
                node.forge.proposal(content, round_), node.forge.prevote(round_, content.header.hash, fresh=True)
            )
        self.done()


def whole(items: list[BlockTx]) -> list[BlockTx]:
    """Those of the items, parents before children, whose parents are archived or among them."""
    kept: dict[bytes, BlockTx] = {}
    for item in items:
        coins = zip(item.tx.outpoints(), item.coins, strict=True)
        # A coin that the pool made has no height yet.
        if all(coin.code or outpoint[:32] in kept for outpoint, coin in coins):
            kept[item.tx.txid] = item
    return list(kept.values())


@behaviour("rival_blocks")
class RivalBlocks(Proposing):
    """Proposes blocks, mostly interim ones, with payments that nobody certified: rivals of certified ones first."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Nothing honest beside them while there are any."""
        return [] if self.is_own_proposal(message) and self._candidates() else [message]

    def _candidates(self) -> list[Transaction]:
        node = self.node
        known = list(node.world.observer.statements.transactions.values())[-LOOKED_AT:]
        finality = node.participant.finality
        return [
            tx
            for tx in known
            if not finality.has_certificate(tx.txid)
            and all(node.coin(outpoint) is not None for outpoint in tx.outpoints())
        ]

    def look(self) -> None:
        """One such block whenever it is its turn."""
        if not self.is_my_turn() or not self.is_time(100, 400):
            return
        candidates = [tx for tx in self._candidates() if not tx.is_coinbase]
        if not candidates:
            return
        rivals = [tx for tx in candidates if self._has_certified_rival(tx)]
        tx = self.chance.pick(rivals or candidates)
        self.bring(tx)
        item, round_ = self.node.forge.block_tx(tx), self.node.participant.height.round
        forge = self.node.forge
        content = None if item is None else forge.content([item], closing=self.chance.permille(200), round_=round_)
        if content is not None:
            self.node.tell_all(forge.proposal(content, round_), forge.prevote(round_, content.header.hash, fresh=True))
            self.done()

    def _has_certified_rival(self, tx: Transaction) -> bool:
        finality = self.node.participant.finality
        rivals = [rival for outpoint in tx.outpoints() for rival in finality.pool.spenders(outpoint)]
        return any(rival.txid != tx.txid and rival.certified for rival in rivals)


@behaviour("claimed_pols")
class ClaimedPols(Proposing):
    """Proposes blocks as if an earlier round had prevoted them: with no proof, with too few prevotes, or with those for
    another block."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Nothing honest in its place, after the first round."""
        later_round = self.node.participant.height.round > 0
        return [] if later_round and self.is_own_proposal(message) else [message]

    def look(self) -> None:
        """In its own turn; the round it claims is one before."""
        height, forge = self.node.participant.height, self.node.forge
        if height.round == 0 or not self.is_my_turn():
            return
        claimed = self.chance.below(height.round)
        due = self.node.now_ms() >= self.node.participant.slot_ms
        known = forge.certified()
        txs = known if self.chance.permille(300) else []
        content = forge.content(whole(list(txs)), closing=due or not txs, round_=claimed)
        if content is None:
            return
        mine = forge.prevote(claimed, content.header.hash).prevotes
        others = tuple([vote.encode() for vote in height.prevotes_for(claimed, NIL)])
        proof = wire.Pol(self.chance.pick((mine, mine * 3, others, mine + others)))
        self.node.tell_all(proof, forge.proposal(content, height.round, claimed))
        self.node.tell_all(forge.prevote(height.round, content.header.hash))
        self.done()

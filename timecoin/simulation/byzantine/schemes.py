"""The attacks that an adversary who sees everything would try, each aimed at one rule of the protocol.

They are the shortest ways to break a protocol that lacks the rule (docs/architecture/testing.rst, *Mutants*); against
the real one they must fail.
"""

from __future__ import annotations

from collections.abc import Container, Generator
from typing import TYPE_CHECKING

from timecoin.consensus.proposal import NO_ROUND, Content
from timecoin.consensus.votes import NIL, Precommit
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.byzantine import adversary as net
from timecoin.simulation.byzantine.behaviour import behaviour
from timecoin.simulation.byzantine.proposing import whole
from timecoin.simulation.byzantine.scheme import (
    SIGNED,
    Scheme,
    Script,
    Situation,
    has_acked,
    has_voted,
    is_sealed,
)

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.node import Node

HURRY = 1_000
"""Milliseconds after which a scheme does not wait any longer for what its plan hoped for."""


class NearSlot(Scheme):
    """Common to what happens where the epoch ends."""

    @property
    def early(self) -> int:
        """Some time before the slot, in milliseconds (negative): enough for a payment or two."""
        return -(self.node.participant.params.epoch_milliseconds // 5)

    def submitted(self, count: int) -> list[Transaction]:
        """So many payments without rivals, given to honest nodes."""
        made = [tx for _ in range(count) for tx in self.payments(1)]
        for tx in made:
            self.chance.pick(self.honest).submit(tx)
        return made

    def take_turn(self) -> Script:
        """Keep every honest closing proposal from the others until it is the liar's turn to close the epoch."""
        mine = self.node.forge.signer
        self.net.hold("turns", lambda link, message: net.is_proposal(message, closing=True, but_by=mine))
        self.muted = frozenset({wire.Proposal})
        tolerance = self.node.participant.params.clock_tolerance // 2
        yield self.reach(-tolerance)
        yield self.is_my_turn


@behaviour("lone_certificate")
class LoneCertificate(NearSlot):
    """Completes a certificate at one node just before the epoch ends, so that it alone acks; the closing block omits
    the payment. Then the liars fall silent, or do the same to another node in the next epoch with the same payment."""

    lasts = 2

    def play(self) -> Script:
        """Aims at: final on the certificate alone, acks of e counted in e+1, ack check re-evaluated with a POL."""
        yield self.reach(self.early)
        made, epoch = self.payments(1), self._epoch
        chosen = self.chance.some(self.honest, 2)
        if not made or len(chosen) < 2:
            return
        txid, (lone, second) = made[0].txid, chosen
        self.net.hold(
            "votes",
            lambda link, message: (
                link.target is not (lone if link.target.epoch == epoch else second) and net.votes_for(message, txid)
            ),
        )
        self.net.hold("acks", lambda link, message: link.target not in (lone, second) and net.acks_of(message, txid))
        lone.submit(made[0])
        yield self.all_of(self.honest, lambda node: has_voted(node, txid))
        self.say([lone], [txid], [txid])
        yield lambda: has_acked(lone, txid)
        if self.chance.permille(500):
            self.muted = frozenset({Precommit})
            yield self._has_prevoted_block
            self.muted = SIGNED
            yield self.close()
            return
        yield self.close()
        yield self.all_of(self.honest, lambda node: has_voted(node, txid))
        self.say([second], [txid], [txid])
        yield lambda: False

    def _has_prevoted_block(self) -> bool:
        """Did the honest part prevote a closing block?"""
        height, mine = self.node.participant.height, self.node.participant.signer
        proposal = height.proposals.of_round(height.round)
        if proposal is None or mine is None or not proposal.closing:
            return False
        return any(vote.signer == mine for vote in height.prevotes_for(height.round, proposal.block_hash))


@behaviour("omission")
class Omission(NearSlot):
    """Waits for a payment to be final, keeps the network from closing the epoch until it is the liar's turn, and then
    proposes a closing block without it."""

    def play(self) -> Script:
        """Aims at: no ack check."""
        yield self.reach(self.early)
        made = self.submitted(2)
        yield self.after(HURRY, self.all_of(self.honest, lambda node: all(has_acked(node, tx.txid) for tx in made)))
        yield from self.take_turn()
        self.propose([tx.txid for tx in made])
        yield self.after(3 * HURRY, self.close())

    def content(self, without: Container[bytes], round_: int) -> Content | None:
        """A closing block made in this round, of all that is certified but these and their children."""
        items = [item for item in self.node.forge.certified() if item.tx.txid not in without]
        return self.node.forge.content(whole(items), closing=True, round_=round_)

    def propose(self, without: Container[bytes]) -> None:
        """A closing block without these."""
        forge, round_ = self.node.forge, self.node.participant.height.round
        content = self.content(without, round_)
        self.done()
        if content is None:
            return
        block_hash = content.header.hash
        self.node.tell_all(forge.proposal(content, round_))
        for liar in self.cabal:
            if liar.forge.signer is not None:
                liar.tell_all(
                    liar.forge.prevote(round_, block_hash, fresh=True), liar.forge.precommit(round_, block_hash)
                )


@behaviour("failed_interim")
class FailedInterim(Omission):
    """Lets an interim block with a final payment be prevoted by too few to be decided, and closes the height without
    the payment in a later round."""

    def play(self) -> Script:
        """Aims at: the kind taken per height; a merely prevoted block counted as archived."""
        yield self.reach(self.early)
        shown: dict[int | None, list[Node]] = {}

        def hidden(link: Link, message: wire.Message) -> bool:
            if not net.is_proposal(message, closing=False):
                return False
            proposer = net.proposer_of(message)
            if proposer not in shown:
                makers = [node for node in self.honest if node.participant.signer == proposer]
                shown[proposer], _ = self.fewer_than_quorum(*makers)
            return link.target not in shown[proposer]

        self.net.hold("interim", hidden)
        self.muted = frozenset({wire.Proposal})
        made = self.submitted(max(1, min(4, self.node.participant.params.interim_txs)))
        yield self.after(HURRY, self.all_of(self.honest, lambda node: all(has_acked(node, tx.txid) for tx in made)))
        yield from self.take_turn()
        self.propose(self._in_interim())
        yield self.after(3 * HURRY, self.close())

    def _in_interim(self) -> set[bytes]:
        """What stands in the interim blocks of the height that anybody was shown."""
        carried = [each for node in self.honest for each in node.participant.height.proposals.carried()]
        return {txid for proposal in carried if not proposal.closing for txid, _ in proposal.txs}


@behaviour("decided_interim")
class DecidedInterim(Omission):
    """Delays the decision of an interim block until payments that are not in it are acked, or until everybody sealed,
    and closes the epoch without them at the next height."""

    def play(self) -> Script:
        """Aims at: the acked set wiped, the seal lifted, at an interim decision."""
        yield self.reach(self.early)
        self.submitted(max(1, min(4, self.node.participant.params.interim_txs)))
        machine = self.node.participant.height
        yield self.after(HURRY, lambda: bool(machine.proposals.carried()))
        if not any(not proposal.closing for proposal in machine.proposals.carried()):
            return
        self.net.hold("precommits", lambda link, message: net.is_precommit(message, machine.height))
        if self.chance.permille(500):
            yield self.after(2 * HURRY, self.all_of(self.honest, is_sealed))
            made = self.submitted(2)
            yield self.after(HURRY, self._are_certified(made))
        else:
            made = self.submitted(2)
            yield self.after(HURRY, self.all_of(self.honest, lambda node: all(has_acked(node, tx.txid) for tx in made)))
        acked = {txid for node in self.honest for txid in node.participant.finality.acked_unarchived()}
        self.net.release("precommits")
        yield from self.take_turn()
        self.propose(acked)
        yield self.after(3 * HURRY, self.close())

    def _are_certified(self, made: list[Transaction]) -> Situation:
        return self.all_of(
            self.honest, lambda node: all(node.participant.finality.has_certificate(tx.txid) for tx in made)
        )


@behaviour("claimed_turn")
class ClaimedTurn(Omission):
    """As omission, but the liar's block claims to have been prevoted in an earlier round, and there is no proof."""

    def propose(self, without: Container[bytes]) -> None:
        """A closing block of an earlier round, by that round's proposer, as its header says; with too few prevotes."""
        forge, round_ = self.node.forge, self.node.participant.height.round
        if round_ == 0:
            return
        claimed = self.chance.below(round_)
        content = self.content(without, claimed)
        self.done()
        if content is None:
            return
        block_hash = content.header.hash
        proof = wire.Pol(tuple(raw for liar in self.cabal for raw in liar.forge.prevote(claimed, block_hash).prevotes))
        self.node.tell_all(proof, forge.proposal(content, round_, claimed if claimed > NO_ROUND else 0))
        for liar in self.cabal:
            liar.tell_all(liar.forge.prevote(round_, block_hash), liar.forge.precommit(round_, block_hash))


@behaviour("orphan_child")
class OrphanChild(NearSlot):
    """Certifies a payment whose parent can never be: some honest nodes locked the parent's coin for a rival, and the
    liars vote for the child alone."""

    def play(self) -> Script:
        """Aims at: a child acked before its parent is certified."""
        yield self.reach(2 * self.early)
        parents = self.payments(2)
        many, few = self.fewer_than_quorum()
        if not parents or not few:
            return
        parent, rival = parents
        child = self.spend(parent)
        self.muted = frozenset({wire.Bundles})
        self.net.hold("parent", lambda link, message: link.target not in many and net.brings(message, parent.txid))
        self.net.hold("child", lambda link, message: link.target not in many and net.brings(message, child.txid))
        self.net.hold("rival", lambda link, message: link.target not in few and net.brings(message, rival.txid))
        few[0].submit(rival)
        many[0].submit(parent)
        yield self.all_of(few, lambda node: has_voted(node, rival.txid))
        yield self.all_of(many, lambda node: has_voted(node, parent.txid))
        many[0].submit(child)
        yield self.all_of(many, lambda node: has_voted(node, child.txid))
        self.say(self.honest, [child.txid])
        yield lambda: False


class Split(NearSlot):
    """Common to what splits the votes of an epoch over two rivals, so that neither is certified."""

    def split(self) -> Generator[Situation, None, tuple[Transaction, Transaction] | None]:
        """The rivals, the lower txid first, once everybody voted: as few as can be for the lower, many for the higher.
        The liars are told of neither. None when there is no coin for it."""
        rivals = self.payments(2)
        many, few = self.fewer_than_quorum()
        if not rivals or not few:
            return None
        low, high = rivals
        self.net.hold("high", lambda link, message: link.target not in many and net.brings(message, high.txid))
        self.net.hold("low", lambda link, message: link.target not in few and net.brings(message, low.txid))
        many[0].submit(high)
        few[0].submit(low)
        yield self.all_of(many, lambda node: has_voted(node, high.txid))
        yield self.all_of(few, lambda node: has_voted(node, low.txid))
        cabal = self.cabal
        self.net.hold("high", lambda link, message: link.target in cabal and net.brings(message, high.txid))
        self.net.hold("low", lambda link, message: link.target in cabal and net.brings(message, low.txid))
        return low, high


@behaviour("split_votes")
class SplitVotes(Split):
    """Splits the votes of an epoch over two rivals at its beginning, and votes for both when blocks were decided."""

    def play(self) -> Script:
        """Aims at: vote locks dropped at an interim decision."""
        yield self.reach(4 * self.early)
        split = yield from self.split()
        if split is None:
            return
        yield self.reach(self.early)
        self.say(self.honest, [tx.txid for tx in split])
        yield lambda: False


@behaviour("carried_votes")
class CarriedVotes(Split):
    """Splits the votes of an epoch over two rivals; in the next one all vote for one of them, and the liars add theirs
    to what the other got before."""

    lasts = 2

    def play(self) -> Script:
        """Aims at: votes of e counted in e+1."""
        yield self.reach(self.early)
        split = yield from self.split()
        if split is None:
            return
        low, high = split
        yield self.close()
        lower_wins = self.all_of(self.honest, lambda node: node.participant.finality.has_certificate(low.txid))
        yield self.after(HURRY, lower_wins)
        self.say(self.honest, [high.txid], [high.txid])
        yield lambda: False


@behaviour("late_certificate")
class LateCertificate(Split):
    """Certifies a payment when everybody has sealed, so that it is in the closing block and nobody holds it for final;
    then offers its rival at the border."""

    lasts = 2

    def play(self) -> Script:
        """Aims at: votes in e+1 before the closing block is applied."""
        yield self.reach(self.early)
        split = yield from self.split()
        if split is None:
            return
        low, high = split
        self.muted = frozenset({wire.Proposal})
        yield self.all_of(self.honest, is_sealed)
        self.say(self.honest, [high.txid])
        yield self.close()
        for node in self.honest:
            self.node.tell(node, wire.Tx((low.raw,)))
        yield lambda: False


@behaviour("late_acks")
class LateAcks(NearSlot):
    """Makes a payment when everybody has prevoted the closing block, and delays the decision until everybody could have
    acked it."""

    def play(self) -> Script:
        """Aims at: no seal."""
        yield self.reach(self.early // 8)
        height = self.node.participant.height.height
        self.net.hold("precommits", lambda link, message: net.is_precommit(message, height))
        yield self.after(3 * HURRY, self.all_of(self.honest, self._has_prevoted))
        made = self.submitted(1)
        yield self.after(HURRY, self.all_of(self.honest, lambda node: all(has_acked(node, tx.txid) for tx in made)))
        # The acks of all have to be on their way before anybody knows of the decision.
        yield self.after(HURRY // 4, lambda: False)
        self.net.release("precommits")
        yield lambda: False

    @staticmethod
    def _has_prevoted(node: Node) -> bool:
        height, mine = node.participant.height, node.participant.signer
        return mine is not None and any(
            vote.signer == mine
            for proposal in height.proposals.carried()
            if proposal.closing
            for vote in height.prevotes_for(proposal.round, proposal.block_hash)
        )


@behaviour("lone_lock")
class LoneLock(NearSlot):
    """Lets the quorum of prevotes for a closing block form before a few nodes only; the others go on to the next round,
    while a payment that is not in the block is certified."""

    def play(self) -> Script:
        """Aims at: the seal lifted at each new round."""
        many, few = self.fewer_than_quorum()
        if not few:
            return
        self.muted = frozenset({wire.Proposal, wire.Votes})
        hidden = [node.participant.signer for node in few]
        self.net.hold(
            "prevotes",
            lambda link, message: (
                link.source in many + few and link.target not in few and net.is_prevote(message, hidden)
            ),
        )
        yield self.reach(0)
        yield self.all_of(few, LateAcks._has_prevoted)
        self.submitted(1)
        height, round_ = self.node.participant.height, few[0].participant.height.round
        for liar in self.cabal:
            liar.tell_all(liar.forge.prevote(round_, NIL), liar.forge.precommit(round_, NIL))
        yield self.after(
            4 * HURRY,
            self.all_of(
                self.honest, lambda node: node.participant.height.round > round_ or node.height >= height.height
            ),
        )
        self.net.release("prevotes")
        yield lambda: False

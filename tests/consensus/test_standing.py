"""What peers send each other about a height, and that nobody can fill a node's memory with votes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.heights import (
    Bench,
    digest,
    make_precommit,
    make_prevote,
    make_proposal,
    power_set,
)
from timecoin.consensus.ballots import ROUNDS_AHEAD, Added, Ballots
from timecoin.consensus.proposal import ProposalHead
from timecoin.consensus.proposals import Proposals
from timecoin.consensus.standing import Pol, Standing, messages_for, pol_of, standing, view
from timecoin.consensus.steps import Step
from timecoin.consensus.votes import NIL, Vote

MEMBERS = power_set((1, 1, 1, 1))
EMPTY = Standing(0, Step.PROPOSE, False, 0, 0)


class StandingTests(SynchronousTestCase):
    def test_own_standing(self) -> None:
        bench = Bench()
        self.assertEqual(standing(bench.height), Standing(0, Step.NEW, False, 0, 0))
        bench.lock_in_round_0()
        self.assertEqual(standing(bench.height), Standing(0, Step.PRECOMMIT, True, 0b1011, 0b1000))

    def test_peer_in_the_same_round_gets_what_it_lacks(self) -> None:
        bench = Bench()
        block = bench.lock_in_round_0()
        everything = messages_for(bench.height, EMPTY)
        self.assertEqual(everything[0], bench.height.proposal_of(block))
        self.assertEqual(everything[1:], (*bench.height.prevotes_for(0, block), bench.my_precommit(0)))
        some = messages_for(bench.height, Standing(0, Step.PREVOTE, True, 0b0011, 0))
        self.assertEqual(some, (bench.my_prevote(0), bench.my_precommit(0)))
        self.assertEqual(messages_for(bench.height, standing(bench.height)), ())

    def test_peer_behind_gets_its_round_and_mine(self) -> None:
        bench = Bench()
        bench.lock_in_round_0()
        bench.to_round(1).prevote(1, NIL, 2)
        sent = messages_for(bench.height, Standing(0, Step.PREVOTE, True, 0b1111, 0b0111))
        self.assertEqual(sent, (bench.my_precommit(0), make_prevote(MEMBERS, 2, 1, NIL)))

    def test_peer_ahead_gets_what_i_have_of_its_round(self) -> None:
        bench = Bench().start().prevote(3, NIL, 2)
        sent = messages_for(bench.height, Standing(3, Step.PREVOTE, False, 0b0001, 0))
        self.assertEqual(sent, (make_prevote(MEMBERS, 2, 3, NIL),))

    def test_proposal_again_travels_behind_its_pol(self) -> None:
        bench = Bench().start()
        content = bench.block(0)
        block = content.header.hash
        bench.propose(0, content).prevote(0, block, 0, 1).to_round(1).propose(1, content, 0)
        pol, proposal, *_ = messages_for(bench.height, Standing(1, Step.PROPOSE, False, 0b1111, 0b1111))
        self.assertEqual(pol, Pol(0, block, bench.height.prevotes_for(0, block)))
        self.assertEqual(proposal, make_proposal(MEMBERS, 1, content, 0))
        self.assertIsNone(pol_of(bench.height, 1, block))

    def test_view(self) -> None:
        bench = Bench()
        block = bench.lock_in_round_0()
        bench.to_round(1).prevote(1, NIL, 2)
        seen = view(bench.height)
        self.assertEqual((seen.round, seen.step), (1, Step.PROPOSE))
        self.assertEqual((seen.locked, seen.valid), ((0, block), (0, block)))
        now, before = seen.rounds
        self.assertEqual((now.proposer, now.proposed, now.prevotes.by_block), (1, None, ((NIL, 1),)))
        self.assertEqual((before.proposed, before.precommits.by_block), (block, ((NIL, 3), (block, 1))))
        self.assertEqual((before.prevotes.signers, before.prevotes.power), (0b1011, 3))


class BoundTests(SynchronousTestCase):
    def test_rounds_ahead_are_few_for_each_signer(self) -> None:
        ballots = Ballots(MEMBERS)
        for round_ in range(1, 50):
            added = ballots.add(make_prevote(MEMBERS, 0, round_, NIL), 0)
            self.assertIs(added, Added.NEW if round_ <= ROUNDS_AHEAD else Added.REFUSED)
        self.assertIs(ballots.add(make_precommit(MEMBERS, 0, 2, NIL), 0), Added.NEW)
        self.assertIs(ballots.add(make_prevote(MEMBERS, 1, 49, NIL), 0), Added.NEW)
        self.assertEqual(ballots.reached(0), 49)
        self.assertIs(ballots.add(make_prevote(MEMBERS, 0, 49, NIL), 49), Added.NEW)

    def test_what_is_needed(self) -> None:
        bench = Bench().start()

        def needs(*votes: Vote) -> list[bool]:
            return [bench.height.needs(vote) for vote in votes]  # type: ignore[arg-type]

        first, second, third = (make_prevote(MEMBERS, 0, 0, digest(tag)) for tag in "abc")
        self.assertEqual(needs(first, second, third), [True] * 3)
        bench.give(first)
        self.assertEqual(needs(first, second, third), [False, True, True])
        bench.give(second)
        self.assertEqual(needs(first, second, third), [False] * 3)
        far = [make_prevote(MEMBERS, 1, round_, NIL) for round_ in range(20, 26)]
        bench.give(*far)
        self.assertEqual(needs(far[0], far[4], far[5]), [False] * 3)
        lower, higher = (make_prevote(MEMBERS, 1, round_, NIL) for round_ in (24, 99))
        self.assertEqual(needs(lower, higher), [False, True])

    def test_needed_proposals(self) -> None:
        bench = Bench().start()
        heads = [make_proposal(MEMBERS, 0, bench.block(0, tag)) for tag in "abc"]

        def needs() -> list[bool]:
            return [bench.height.needs(ProposalHead.decode(proposal.encode())) for proposal in heads]

        self.assertEqual(needs(), [True] * 3)
        bench.give(heads[0])
        self.assertEqual(needs(), [False, True, True])
        bench.give(heads[1])
        self.assertEqual(needs(), [False] * 3)
        bench.prevote(0, heads[2].block_hash, 0, 1, 2)
        self.assertEqual(needs(), [False, False, True])
        self.assertFalse(bench.height.needs(make_proposal(MEMBERS, 8, bench.block(8)).head))

    def test_old_blocks_are_forgotten_unless_needed(self) -> None:
        bench = Bench()
        locked = bench.lock_in_round_0()
        others = []
        for round_ in range(1, 6):
            content = bench.block(round_)
            others.append(content.header.hash)
            bench.to_round(round_).propose(round_, content)
        kept = [block for block in others if bench.height.proposal_of(block) is not None]
        self.assertEqual(kept, others[-2:])
        self.assertIsNotNone(bench.height.proposal_of(locked))

    def test_contents_are_shared(self) -> None:
        proposals, bench = Proposals(), Bench()
        first, again = bench.block(0), bench.block(0)
        self.assertIsNot(first, again)
        proposals.add(make_proposal(MEMBERS, 0, first), wanted=False)
        proposals.add(make_proposal(MEMBERS, 1, again, 0), wanted=False)
        kept = proposals.of_round(1)
        assert kept is not None
        self.assertIs(kept.content, first)

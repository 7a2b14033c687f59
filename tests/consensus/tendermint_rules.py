"""Each rule of one Tendermint height as a check of a machine class, so that mutants can be shown to break it.

Four members of power 1; I am number 3 unless said otherwise; the proposer of round r is r mod 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.consensus.heights import (
    EPOCH,
    HEIGHT,
    Bench,
    digest,
    make_precommit,
    make_prevote,
    make_proposal,
)
from timecoin.consensus.commits import build_commit
from timecoin.consensus.proposal import NO_ROUND, Proposal
from timecoin.consensus.steps import (
    Broken,
    EnteredRound,
    Equivocation,
    Freshness,
    SetTimeout,
    Step,
    TimeoutKind,
    Unjournaled,
    Validity,
    WantPol,
    WantProposal,
)
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.primitives.block import Commit

Rule = Callable[[type[Height]], None]

PROPOSE, PREVOTE, PRECOMMIT = TimeoutKind.PROPOSE, TimeoutKind.PREVOTE, TimeoutKind.PRECOMMIT


# L11-L21: rounds and proposing


def proposer_without_valid_value_asks_for_one(cls: type[Height]) -> None:
    bench = Bench(cls, me=0).start()
    assert bench.asked_for_value == [0]
    content = bench.block(0)
    bench.height.value(0, content)
    bench.pump()
    proposal, prevote = bench.signed
    assert isinstance(proposal, Proposal) and isinstance(prevote, Prevote)
    assert (proposal.block_hash, proposal.valid_round, proposal.round) == (content.header.hash, NO_ROUND, 0)
    assert (prevote.block_hash, prevote.fresh) == (content.header.hash, True)


def proposer_proposes_its_valid_value(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    for round_ in (1, 2, 3):
        bench.to_round(round_)
    proposal = next(message for message in bench.signed if isinstance(message, Proposal))
    assert (proposal.round, proposal.block_hash, proposal.valid_round) == (3, block, 0)
    assert bench.asked_for_value == []
    assert proposal.header.round == 0


def proposer_that_was_late_for_the_quorum_proposes_it_too(cls: type[Height]) -> None:
    """L42: a valid value without a lock."""
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.propose(0, content).prevote(0, NIL, 0, 1).expire(PREVOTE, 0)
    assert bench.precommitted(0) == NIL
    bench.height.pol(0, content.header.hash, bench_pol(bench, 0, content.header.hash, 0, 1, 2))
    bench.pump()
    assert bench.height.locked_hash is None
    for round_ in (1, 2, 3):
        bench.to_round(round_)
    proposal = next(message for message in bench.signed if isinstance(message, Proposal))
    assert (proposal.block_hash, proposal.valid_round) == (content.header.hash, 0)


def value_that_its_quorum_could_not_have_is_not_proposed(cls: type[Height]) -> None:
    """More than two thirds lied: they prevoted a block in a round before the one that it was made for. I only wait."""
    bench = Bench(cls, me=2).start()
    content = bench.block(1)
    block = content.header.hash
    bench.precommit(0, NIL, 0, 1, 3).propose(1, content)
    bench.height.pol(0, block, bench_pol(bench, 0, block, 0, 1, 3))
    bench.pump()
    assert bench.height.valid_round == 0
    bench.precommit(1, NIL, 0, 1, 3)
    assert bench.height.round == 2 and not bench.height.silent
    assert not [message for message in bench.signed if isinstance(message, Proposal)]


def value_that_comes_late_is_dropped(cls: type[Height]) -> None:
    bench = Bench(cls, me=0).start().expire(PROPOSE, 0)
    bench.height.value(0, bench.block(0))
    bench.pump()
    assert [type(message) for message in bench.signed] == [Prevote]
    bench = Bench(cls, me=0).start().precommit(0, NIL, 1, 2, 3)
    bench.height.value(0, bench.block(0))
    assert bench.pump().signed == []


def block_that_was_forgotten_is_judged_anew(cls: type[Height]) -> None:
    """Its bodies are gone, too: what I lock on must be here, to be written down with my precommit."""
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, block, 0)
    for round_ in (1, 2, 3, 4):
        bench.to_round(round_)
    assert bench.height.proposals.carrying(block) is None
    bench.checks.validities[block] = Validity.WAIT
    bench.prevote(0, block, 1, 2).propose(4, content, 0).prevote(4, block, 0, 1, 2)
    assert bench.prevoted(4) is None and bench.precommitted(4) is None
    bench.checks.validities[block] = Validity.VALID
    bench.poke()
    assert (bench.prevoted(4), bench.precommitted(4)) == (block, block)


def others_wait_for_the_proposal(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    assert bench.signed == [] and bench.asked_for_value == []
    assert [(e.timeout.kind, e.delay_ms) for e in bench.of_type(SetTimeout)] == [(PROPOSE, 3000)]
    bench.to_round(1).to_round(2)
    timers = [(e.timeout.round, e.delay_ms) for e in bench.of_type(SetTimeout) if e.timeout.kind is PROPOSE]
    assert timers == [(0, 3000), (1, 3500), (2, 4000)]


# L22-L33: prevotes


def fresh_proposal_is_prevoted(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.propose(0, content)
    vote = bench.my_prevote(0)
    assert vote is not None and (vote.block_hash, vote.fresh) == (content.header.hash, True)
    assert bench.checks.asked == [content.header.hash]
    assert bench.height.step is Step.PREVOTE


def invalid_proposal_gets_nil(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.checks.validities[content.header.hash] = Validity.INVALID
    bench.propose(0, content)
    assert bench.prevoted(0) == NIL
    assert bench.checks.asked == []


def invalid_block_of_a_pol_gets_nil(cls: type[Height]) -> None:
    """Derived prevotes skip the local checks, never validity."""
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.checks.validities[block] = Validity.INVALID
    bench.prevote(0, block, 0, 1, 2).to_round(1).propose(1, content, 0)
    assert bench.prevoted(1) == NIL


def incomplete_block_waits(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.checks.validities[block] = Validity.WAIT
    bench.propose(0, content).poke()
    assert bench.prevoted(0) is None and bench.checks.asked == []
    bench.checks.validities[block] = Validity.VALID
    assert bench.poke().prevoted(0) == block


def missing_certificate_waits_until_the_time_out(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.checks.verdicts[content.header.hash] = Freshness.WAIT
    bench.propose(0, content).poke()
    assert bench.prevoted(0) is None
    bench.checks.verdicts[content.header.hash] = Freshness.ACCEPT
    assert bench.poke().prevoted(0) == content.header.hash
    bench = Bench(cls).start()
    bench.checks.verdicts[content.header.hash] = Freshness.WAIT
    bench.propose(0, content).expire(PROPOSE, 0)
    assert bench.prevoted(0) == NIL


def rejected_fresh_proposal_gets_nil(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    bench.checks.demanded.add(digest("acked"))
    bench.propose(0, bench.block(0))
    vote = bench.my_prevote(0)
    assert vote is not None and vote.is_nil and not vote.fresh


def locked_refuses_another_fresh_block(cls: type[Height]) -> None:
    bench = Bench(cls)
    bench.lock_in_round_0()
    bench.to_round(1).propose(1, bench.block(1))
    assert bench.prevoted(1) == NIL
    assert len(bench.checks.asked) == 1


def locked_accepts_its_block_without_pol(cls: type[Height]) -> None:
    """And without local checks, whose answer may be no by now."""
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.checks.demanded.add(digest("acked since"))
    carrier = bench.height.proposal_of(block)
    assert carrier is not None
    bench.to_round(1).to_round(2).propose(2, carrier.content, 1)
    vote = bench.my_prevote(2)
    assert vote is not None and (vote.block_hash, vote.fresh) == (block, False)
    assert len(bench.checks.asked) == 1


def unlocked_accepts_a_block_with_pol_without_local_checks(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    bench.checks.demanded.add(digest("acked"))
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, block, 0, 1, 2)
    assert bench.prevoted(0) == NIL
    asked = len(bench.checks.asked)
    bench.to_round(1).propose(1, content, 0)
    vote = bench.my_prevote(1)
    assert vote is not None and (vote.block_hash, vote.fresh) == (block, False)
    assert len(bench.checks.asked) == asked


def claimed_pol_is_not_believed(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.to_round(1).prevote(0, block, 0, 1).propose(1, content, 0)
    assert bench.prevoted(1) is None
    assert bench.of_type(WantPol) == [WantPol(0, block)] and bench.height.wants() == (WantPol(0, block),)
    liar = make_prevote(bench.members, 1, 0, block)
    assert not bench.height.pol(0, block, [liar, liar, liar])
    assert bench.pump().prevoted(1) is None
    bench.expire(PROPOSE, 1)
    assert bench.prevoted(1) == NIL


def pol_that_arrives_is_believed(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.to_round(1).propose(1, content, 0)
    assert bench.height.pol(0, block, bench_pol(bench, 0, block, 0, 1, 2))
    assert bench.pump().prevoted(1) == block
    assert bench.height.wants() == ()


def pol_of_another_round_or_block_does_not_count(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content, other = bench.block(0), bench.block(1)
    block = content.header.hash
    bench.to_round(1).to_round(2).prevote(1, other.header.hash, 0, 1, 2).prevote(0, block, 0, 1)
    bench.propose(2, content, 1)
    assert bench.prevoted(2) is None


def lock_is_given_up_for_a_later_pol(cls: type[Height]) -> None:
    bench = Bench(cls)
    bench.lock_in_round_0()
    other = bench.block(1, "other")
    block = other.header.hash
    bench.to_round(1).propose(1, other).prevote(1, block, 0, 1, 2)
    assert bench.prevoted(1) == NIL
    bench.precommit(1, NIL, 0, 1, 2).propose(2, other, 1)
    assert bench.prevoted(2) == block
    bench = Bench(cls)
    bench.lock_in_round_0()
    bench.to_round(1).to_round(2).propose(2, other, 1)
    assert bench.prevoted(2) is None
    bench.prevote(1, block, 0, 1, 2)
    assert bench.prevoted(2) == block and bench.height.locked_hash != block


def lock_is_kept_against_an_earlier_pol(cls: type[Height]) -> None:
    """Locked in round 1, a block is proposed again with a POL of round 0."""
    bench = Bench(cls).start()
    first, second = bench.block(0, "first"), bench.block(1, "second")
    bench.propose(0, first).precommit(0, NIL, 0, 1, 2)
    bench.propose(1, second).prevote(1, second.header.hash, 0, 1)
    assert bench.precommitted(1) == second.header.hash
    bench.to_round(2).prevote(0, first.header.hash, 0, 1, 2).propose(2, first, 0)
    assert bench.prevoted(2) == NIL


def one_prevote_a_round(cls: type[Height]) -> None:
    bench = Bench(cls).start().expire(PROPOSE, 0)
    bench.propose(0, bench.block(0)).poke()
    assert len(bench.signed) == 1


# L34-L46, L61: precommits


def quorum_of_prevotes_locks(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    height = bench.height
    assert (height.locked_round, height.locked_hash) == (height.valid_round, height.valid_hash) == (0, block)
    assert height.prevotes_for(0, block) == (*bench_pol(bench, 0, block, 0, 1), bench.my_prevote(0))


def no_precommit_without_quorum(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.propose(0, content).prevote(0, content.header.hash, 0)
    assert bench.precommitted(0) is None
    exact = Bench(cls, me=2, powers=(1, 1, 1)).start()
    content = exact.block(0)
    exact.propose(0, content).prevote(0, content.header.hash, 0)
    assert exact.precommitted(0) is None, "two thirds are no quorum"


def no_precommit_for_an_incomplete_block(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.checks.validities[block] = Validity.WAIT
    bench.propose(0, content).prevote(0, block, 0, 1, 2).expire(PROPOSE, 0)
    assert bench.prevoted(0) == NIL and bench.precommitted(0) is None
    bench.checks.validities[block] = Validity.VALID
    assert bench.poke().precommitted(0) == block


def no_precommit_before_my_prevote(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.checks.verdicts[content.header.hash] = Freshness.WAIT
    bench.propose(0, content).prevote(0, content.header.hash, 0, 1, 2)
    assert bench.signed == []
    bench.expire(PROPOSE, 0)
    assert (bench.prevoted(0), bench.precommitted(0)) == (NIL, content.header.hash)


def quorum_without_the_block_asks_for_it(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.expire(PROPOSE, 0).prevote(0, block, 0, 1, 2)
    assert bench.precommitted(0) is None
    assert bench.of_type(WantProposal) == [WantProposal(0, block)]
    assert bench.height.wants() == (WantProposal(0, block),)
    assert bench.propose(0, content).precommitted(0) == block
    assert bench.height.wants() == ()


def late_quorum_gives_a_valid_value_but_no_lock(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, NIL, 0, 1).expire(PREVOTE, 0)
    bench.height.pol(0, block, bench_pol(bench, 0, block, 0, 1, 2))
    bench.pump()
    assert bench.precommitted(0) == NIL
    height = bench.height
    assert (height.locked_round, height.valid_round, height.valid_hash) == (NO_ROUND, 0, block)


def quorum_of_an_earlier_round_is_a_valid_value_only(cls: type[Height]) -> None:
    """A quorum for round 0 completed in round 1: no lock, no precommit in either round."""
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).to_round(1).prevote(0, block, 0, 1)
    height = bench.height
    assert bench.precommitted(0) is None and bench.precommitted(1) is None
    assert (height.locked_hash, height.valid_hash) == (None, block)
    bench.expire(PROPOSE, 1)
    assert bench.precommitted(1) is None and height.locked_hash is None


def valid_value_never_goes_back(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    first, second = bench.block(0, "first"), bench.block(1, "second")
    bench.propose(0, first).to_round(1).propose(1, second).prevote(1, second.header.hash, 0, 1)
    bench.prevote(0, first.header.hash, 0, 1, 2)
    assert (bench.height.valid_round, bench.height.valid_hash) == (1, second.header.hash)


def nil_quorum_precommits_nil_at_once(cls: type[Height]) -> None:
    bench = Bench(cls).start().prevote(0, NIL, 0, 1).expire(PROPOSE, 0)
    assert bench.precommitted(0) == NIL


def split_prevotes_wait_for_the_time_out(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.propose(0, content).prevote(0, content.header.hash, 0)
    assert not [e for e in bench.of_type(SetTimeout) if e.timeout.kind is PREVOTE]
    bench.prevote(0, NIL, 1).prevote(0, NIL, 2)
    timers = [e.delay_ms for e in bench.of_type(SetTimeout) if e.timeout.kind is PREVOTE]
    assert timers == [1000] and bench.precommitted(0) is None
    assert bench.expire(PREVOTE, 0).precommitted(0) == NIL


# L47, L65: ends of rounds


def split_precommits_wait_for_the_time_out(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.precommit(0, NIL, 0)
    assert bench.height.round == 0
    bench.precommit(0, NIL, 1)
    timers = [e.delay_ms for e in bench.of_type(SetTimeout) if e.timeout.kind is PRECOMMIT]
    assert timers == [1000] and bench.height.round == 0
    bench.expire(PRECOMMIT, 0)
    assert (bench.height.round, bench.height.step, bench.height.locked_hash) == (1, Step.PROPOSE, block)


def nil_precommits_end_the_round_at_once(cls: type[Height]) -> None:
    bench = Bench(cls).start().precommit(0, NIL, 0, 1)
    assert bench.height.round == 0
    bench.precommit(0, NIL, 2)
    assert bench.height.round == 1
    assert bench.of_type(EnteredRound) == [EnteredRound(0), EnteredRound(1)]


def stale_timers_do_nothing(cls: type[Height]) -> None:
    bench = Bench(cls).start().to_round(1)
    bench.expire(PROPOSE, 0)
    assert bench.signed == []
    bench.expire(PROPOSE, 1)
    assert [message.round for message in bench.signed] == [1]
    bench.expire(PROPOSE, 1)
    assert len(bench.signed) == 1


# L49: decisions


def quorum_of_precommits_decides(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.precommit(0, block, 0)
    assert bench.decided is None
    bench.precommit(0, block, 1)
    assert bench.decided == block and bench.height.decision == (0, block)
    assert [signer for signer, _ in bench.height.commit(0, block).signatures] == [0, 1, 3]
    bench.precommit(0, block, 2)
    assert [signer for signer, _ in bench.height.commit(0, block).signatures] == [0, 1, 2, 3]


def two_thirds_of_precommits_do_not_decide(cls: type[Height]) -> None:
    bench = Bench(cls, me=2, powers=(1, 1, 1)).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, block, 0, 1).precommit(0, block, 0)
    assert bench.precommitted(0) == block and bench.decided is None
    assert bench.precommit(0, block, 1).decided == block


def power_decides_not_heads(cls: type[Height]) -> None:
    bench = Bench(cls, me=3, powers=(1, 1, 1, 7)).start()
    content = bench.block(0)
    assert bench.propose(0, content).decided == content.header.hash
    bench = Bench(cls, me=3, powers=(10, 1, 1, 1)).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, block, 1, 2).precommit(0, block, 1, 2)
    assert bench.precommitted(0) is None and bench.decided is None


def earlier_round_decides(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.precommit(0, NIL, 0, 1).expire(PRECOMMIT, 0)
    assert bench.height.round == 1
    bench.height.committed(bench_commit(bench, 0, block, 0, 1, 2))
    assert bench.pump().decided == block


def later_round_decides(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(2)
    block = content.header.hash
    bench.propose(2, content).precommit(2, block, 0, 1, 2)
    assert bench.decided == block


def precommits_of_different_rounds_do_not_decide(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.precommit(0, block, 0).precommit(1, block, 1, 2)
    assert bench.decided is None


def decision_waits_for_the_block(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.checks.validities[block] = Validity.WAIT
    bench.precommit(0, block, 0, 1, 2)
    assert bench.decided is None and bench.of_type(WantProposal) == [WantProposal(0, block)]
    bench.propose(0, content)
    assert bench.decided is None
    bench.checks.validities[block] = Validity.VALID
    assert bench.poke().decided == block


def nothing_is_signed_after_the_decision(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    bench.precommit(0, content.header.hash, 0, 1, 2).propose(0, content)
    assert bench.decided == content.header.hash
    bench.expire(PROPOSE, 0).expire(PRECOMMIT, 0).precommit(0, NIL, 0, 1, 2).prevote(4, NIL, 0, 1, 2).poke()
    assert bench.signed == [] and bench.height.step is Step.DECIDED


def decision_of_an_invalid_block_raises_the_alarm(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.checks.validities[block] = Validity.INVALID
    bench.propose(0, content).precommit(0, block, 0, 1, 2).poke()
    (broken,) = bench.of_type(Broken)
    assert bench.decided is None and broken.commits == (bench.height.commit(0, block),)


def second_decision_raises_the_alarm(cls: type[Height]) -> None:
    bench = Bench(cls)
    block = bench.lock_in_round_0()
    bench.precommit(0, block, 0, 1)
    rival = bench.block(1).header.hash
    bench.precommit(1, rival, 0, 1, 2).precommit(1, rival, 0)
    (broken,) = bench.of_type(Broken)
    assert [commit.block_hash for commit in broken.commits] == [block, rival]
    assert bench.decided == block


# L55: skipping rounds


def more_than_a_third_ahead_is_followed(cls: type[Height]) -> None:
    bench = Bench(cls).start().prevote(4, NIL, 0)
    assert bench.height.round == 0
    bench.precommit(4, NIL, 1)
    assert bench.height.round == 4 and bench.height.step is Step.PROPOSE


def a_third_ahead_is_not_followed(cls: type[Height]) -> None:
    bench = Bench(cls, me=2, powers=(1, 1, 1)).start().prevote(4, NIL, 0)
    assert bench.height.round == 0
    assert bench.prevote(4, NIL, 1).height.round == 4


def peers_in_different_later_rounds_are_followed(cls: type[Height]) -> None:
    bench = Bench(cls).start().prevote(1_000, NIL, 0).prevote(3, NIL, 1)
    assert bench.height.round == 3
    assert bench.prevote(900, NIL, 1).height.round == 900


def messages_for_a_later_round_wait_for_it(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(1)
    bench.propose(1, content)
    assert bench.signed == []
    bench.to_round(1)
    assert bench.prevoted(1) == content.header.hash


# Who counts


def foreign_messages_do_not_count(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content)
    good = make_prevote(bench.members, 0, 0, block)
    for foreign in (
        replace(good, signer=4),
        replace(good, epoch=EPOCH + 1),
        replace(good, height=HEIGHT + 1),
        replace(good, set_hash=digest("other set")),
        replace(good, chain_id=digest("other chain")),
    ):
        assert not bench.height.needs(foreign)
        assert not bench.height.prevote(foreign)
    assert bench.prevote(0, block, 0).precommitted(0) is None
    assert bench.height.needs(make_prevote(bench.members, 1, 0, block))
    assert bench.prevote(0, block, 1).precommitted(0) == block


def proposal_of_another_signer_does_not_count(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    proposal = make_proposal(bench.members, 0, bench.block(0))
    forged = Proposal(replace(proposal.head, signer=1), proposal.content)
    assert not bench.height.needs(forged.head)
    assert not bench.height.proposal(forged) and bench.pump().signed == []


def proposal_whose_header_was_made_for_another_round_does_not_count(cls: type[Height]) -> None:
    """Fresh: header round = round. Derived: header round ≤ valid round < round (protocol.md 6)."""
    bench = Bench(cls).start()
    old, new = bench.block(0), bench.block(1, proposer=1)
    bench.to_round(1).propose(1, old)
    assert bench.signed == []
    bench.prevote(0, new.header.hash, 0, 1, 2).propose(1, new, 0)
    assert bench.signed == []
    bench.propose(1, new)
    assert bench.prevoted(1) == new.header.hash


def a_signer_counts_once_for_a_block(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, block, 0, 0, 0)
    bench.give(make_prevote(bench.members, 0, 0, block, fresh=True))
    assert bench.precommitted(0) is None
    assert bench.height.ballots.prevotes(0).power == 2


def double_vote_is_reported_once_and_counts_for_both(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.propose(0, content).prevote(0, NIL, 0).prevote(0, block, 0)
    bench.prevote(0, digest("third"), 0).prevote(0, block, 0)
    (proof,) = bench.of_type(Equivocation)
    assert isinstance(proof.first, Prevote) and isinstance(proof.second, Prevote)
    assert (proof.first.block_hash, proof.second.block_hash) == (NIL, block)
    assert bench.prevote(0, block, 1).precommitted(0) == block
    assert bench.height.ballots.prevotes(0).power == 3


def quorum_with_a_triple_voter_is_believed(cls: type[Height]) -> None:
    """Somebody saw this quorum, so everybody must be able to, whatever its liar told them before."""
    bench = Bench(cls).start()
    content = bench.block(0)
    block = content.header.hash
    bench.prevote(0, NIL, 0).prevote(0, digest("x"), 0).to_round(1).propose(1, content, 0)
    bench.prevote(0, block, 0)
    assert bench.height.pol(0, block, bench_pol(bench, 0, block, 0, 1, 2))
    assert bench.pump().prevoted(1) == block
    bench.precommit(1, NIL, 0).precommit(1, digest("x"), 0)
    assert bench.height.committed(bench_commit(bench, 1, block, 0, 1, 2))
    assert bench.pump().decided == block


def double_proposal_is_reported_and_the_first_stands(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    first, second, third = (bench.block(0, tag) for tag in "abc")
    bench.checks.verdicts[first.header.hash] = Freshness.WAIT
    bench.propose(0, first).propose(0, second).propose(0, third).propose(0, second)
    (proof,) = bench.of_type(Equivocation)
    assert [proof.first.block_hash, proof.second.block_hash] == [first.header.hash, second.header.hash]
    assert proof.first.encode() != proof.second.encode() and len(proof.first.encode()) == 179
    assert bench.signed == []
    bench.checks.verdicts.clear()
    assert bench.poke().prevoted(0) == first.header.hash
    bench.prevote(0, second.header.hash, 0, 1, 2)
    assert bench.precommitted(0) == second.header.hash


def third_proposal_is_taken_when_a_quorum_wants_it(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    first, second, third = (bench.block(0, tag) for tag in "abc")
    bench.propose(0, first).propose(0, second).propose(0, third)
    assert bench.height.proposal_of(third.header.hash) is None
    bench.prevote(0, third.header.hash, 0, 1, 2)
    assert bench.of_type(WantProposal) == [WantProposal(0, third.header.hash)]
    assert bench.propose(0, third).precommitted(0) == third.header.hash


def message_of_mine_that_i_do_not_know_silences_me(cls: type[Height]) -> None:
    bench = Bench(cls).start()
    stranger = make_prevote(bench.members, 3, 0, NIL)
    assert not bench.height.holds(stranger)
    bench.give(stranger)
    assert bench.of_type(Unjournaled) == [Unjournaled(stranger)]
    bench.propose(0, bench.block(0)).to_round(1).expire(PROPOSE, 1)
    assert bench.signed == [] and bench.height.silent


# A network of one; followers


def a_network_of_one_decides_at_once(cls: type[Height]) -> None:
    bench = Bench(cls, me=0, powers=(1,)).start()
    assert bench.asked_for_value == [0]
    content = bench.block(0)
    bench.height.value(0, content)
    assert bench.pump().decided == content.header.hash
    assert [type(message) for message in bench.signed] == [Proposal, Prevote, Precommit]


def a_follower_decides_and_never_signs(cls: type[Height]) -> None:
    bench = Bench(cls, me=None).start()
    first, second = bench.block(0), bench.block(1)
    bench.propose(0, first).prevote(0, first.header.hash, 0, 1, 2, 3).precommit(0, NIL, 0, 1, 2)
    assert bench.height.round == 1
    bench.propose(1, second).precommit(1, second.header.hash, 0, 1, 3)
    assert bench.decided == second.header.hash
    assert bench.signed == [] and bench.checks.asked == []


# Durability


def nothing_counts_before_it_is_durable(cls: type[Height]) -> None:
    bench = Bench(cls, durable=False).start()
    content = bench.block(0)
    bench.propose(0, content).prevote(0, content.header.hash, 0, 1)
    assert bench.prevoted(0) == content.header.hash and bench.precommitted(0) is None
    bench.give(bench.signed[0])
    assert bench.precommitted(0) == content.header.hash


def restart_remembers_lock_and_votes(cls: type[Height]) -> None:
    before = Bench(cls)
    block = before.lock_in_round_0()
    carrier = before.height.proposal_of(block)
    assert carrier is not None
    journal = [*before.signed, carrier, *before.height.prevotes_for(0, block)]
    bench = Bench(cls)
    bench.height.restore(journal)
    bench.start()
    height = bench.height
    assert (height.round, height.step) == (0, Step.PRECOMMIT)
    assert (height.locked_round, height.valid_hash) == (0, block)
    bench.propose(0, bench.block(0, "rival")).poke()
    assert bench.signed == []
    bench.to_round(1).propose(1, bench.block(1))
    assert bench.prevoted(1) == NIL
    bench.to_round(2).to_round(3)
    proposal = next(message for message in bench.signed if isinstance(message, Proposal))
    assert (proposal.round, proposal.block_hash, proposal.valid_round) == (3, block, 0)


def restart_goes_on_behind_the_last_step(cls: type[Height]) -> None:
    bench = Bench(cls)
    bench.height.restore([make_prevote(bench.members, 3, 2, NIL)])
    bench.start()
    assert (bench.height.round, bench.height.step) == (2, Step.PREVOTE)
    content = bench.block(2)
    bench.propose(2, content).prevote(2, content.header.hash, 0, 1, 2)
    assert [type(message) for message in bench.signed] == [Precommit]


def restarted_proposer_keeps_its_proposal(cls: type[Height]) -> None:
    before = Bench(cls, me=0, durable=False).start()
    before.height.value(0, before.block(0, "first"))
    proposal = before.pump().signed[0]
    bench = Bench(cls, me=0)
    bench.height.restore([proposal])
    bench.start()
    assert bench.asked_for_value == []
    bench.height.value(0, bench.block(0, "second"))
    bench.pump()
    assert [type(message) for message in bench.signed] == [Prevote]
    assert bench.prevoted(0) == proposal.block_hash


def restart_with_a_lock_but_without_its_block_asks_for_it(cls: type[Height]) -> None:
    before = Bench(cls)
    block = before.lock_in_round_0()
    bench = Bench(cls)
    bench.height.restore(before.signed)
    bench.start().to_round(1).to_round(2).to_round(3)
    assert bench.asked_for_value == [] and bench.of_type(WantProposal) == [WantProposal(0, block)]


# What the rules above need


def bench_pol(bench: Bench, round_: int, block: bytes, *signers: int) -> tuple[Prevote, ...]:
    return tuple(make_prevote(bench.members, signer, round_, block) for signer in signers)


def bench_commit(bench: Bench, round_: int, block: bytes, *signers: int) -> Commit:
    votes = [make_precommit(bench.members, signer, round_, block) for signer in signers]
    return build_commit(HEIGHT, round_, block, votes)


HELPERS = ("bench_pol", "bench_commit")
RULES: dict[str, Rule] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and name not in HELPERS
}

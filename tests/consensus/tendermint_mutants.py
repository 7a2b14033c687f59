"""Machines that break one rule each. A rule or a scenario must fail on every one of them."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.consensus.ballots import Added, Ballots
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal
from timecoin.consensus.steps import (
    Decided,
    Freshness,
    Message,
    NeedValue,
    Step,
    Timeout,
    TimeoutKind,
    Validity,
)
from timecoin.consensus.tendermint import Height, _Basis
from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.hashes import Hash


class L15ProposesAnewInsteadOfTheValidValue(Height):
    def _propose(self) -> bool:
        if self._owes_proposal() and not self._asked_value:
            self._asked_value = True
            self._effects.append(NeedValue(self.round))
        return False

    def value(self, round_: int, content: Content, now: int = 0) -> None:
        if round_ == self.round and self._owes_proposal():
            self._sign(self._pen.proposal(self.round, content, NO_ROUND))


class L19ProposesWithoutItsValidRound(Height):
    def _propose(self) -> bool:
        self.valid_round, kept = NO_ROUND if self.locked_hash is None else self.valid_round, self.valid_round
        if self.locked_hash is None and self.valid_hash is not None:
            self.valid_hash, hidden = None, self.valid_hash
            super()._propose()
            self.valid_hash = hidden
        else:
            super()._propose()
        self.valid_round = kept
        return False


class L21NoProposeTimer(Height):
    def _set_timer(self, kind: TimeoutKind) -> None:
        if kind is not TimeoutKind.PROPOSE:
            super()._set_timer(kind)


class TimersDoNotGrow(Height):
    def _set_timer(self, kind: TimeoutKind) -> None:
        kept, self.round = self.round, 0
        super()._set_timer(kind)
        self.round = kept


class L23PrevotesWithoutValidity(Height):
    def _answer_proposal(self) -> bool:
        proposal = self.proposals.of_round(self.round)
        if proposal is not None and self._verdicts.get(proposal.block_hash) is not Validity.VALID:
            self._verdicts[proposal.block_hash] = Validity.VALID
        return super()._answer_proposal()


class L23LockedPrevotesAnotherFreshBlock(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        basis = super()._basis(proposal)
        return _Basis.FRESH if basis is _Basis.REFUSE and proposal.head.is_fresh else basis


class L23LockedRefusesItsOwnBlockWithoutPol(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        if proposal.head.is_fresh or self._has_pol(proposal.valid_round, proposal.block_hash):
            return super()._basis(proposal)
        return _Basis.WAIT


class L28BelievesAClaimedPol(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        basis = super()._basis(proposal)
        return _Basis.DERIVED if basis is _Basis.WAIT and self.locked_round <= proposal.valid_round else basis


class L28TakesAPolFromAThird(Height):
    def _has_pol(self, round_: int, block_hash: Hash) -> bool:
        return self.members.exceeds_third(self.ballots.prevotes(round_).power_for(block_hash))


class L28TakesThePolOfAnyBlock(Height):
    def _has_pol(self, round_: int, block_hash: Hash) -> bool:
        return bool(self.ballots.prevotes(round_).quorums)


class L28NeverAsksForThePol(Height):
    def _want(self, want: object) -> None:
        pass


class L29IgnoresItsLock(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        basis = super()._basis(proposal)
        return _Basis.DERIVED if basis is _Basis.REFUSE and not proposal.head.is_fresh else basis


class L29NeverUnlocks(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        if self.locked_hash not in (None, proposal.block_hash):
            return _Basis.REFUSE
        return super()._basis(proposal)


class R10ChecksDerivedProposalsToo(Height):
    def _basis(self, proposal: Proposal) -> _Basis:
        basis = super()._basis(proposal)
        return _Basis.FRESH if basis is _Basis.DERIVED else basis


class R10ChecksFreshProposalsNot(Height):
    def _answer_fresh(self, proposal: Proposal) -> bool:
        return self._cast_prevote(proposal.block_hash, fresh=True)


class R10RejectsWhereItShouldWait(Height):
    def _answer_fresh(self, proposal: Proposal) -> bool:
        if self._checks.fresh(proposal) is Freshness.WAIT:
            return self._cast_prevote(NIL, fresh=False)
        return super()._answer_fresh(proposal)


class R10AcceptsWhereItShouldWait(Height):
    def _answer_fresh(self, proposal: Proposal) -> bool:
        if self._checks.fresh(proposal) is Freshness.WAIT:
            return self._cast_prevote(proposal.block_hash, fresh=True)
        return super()._answer_fresh(proposal)


class R10ChecksAgainBeforeThePrecommit(Height):
    def _lock_and_precommit(self) -> bool:
        proposal = self.proposals.of_round(self.round)
        if proposal is not None and self._checks.fresh(proposal) is not Freshness.ACCEPT:
            return False
        return super()._lock_and_precommit()


class R10CallsDerivedFresh(Height):
    def _cast_prevote(self, block_hash: Hash, *, fresh: bool) -> bool:
        return super()._cast_prevote(block_hash, fresh=block_hash != NIL)


class R10CallsFreshDerived(Height):
    def _cast_prevote(self, block_hash: Hash, *, fresh: bool) -> bool:
        return super()._cast_prevote(block_hash, fresh=False)


class L34NoPrevoteTimer(Height):
    def _set_timer(self, kind: TimeoutKind) -> None:
        if kind is not TimeoutKind.PREVOTE:
            super()._set_timer(kind)


class L34PrevoteTimerTooEarly(Height):
    def _set_vote_timers(self) -> bool:
        if self.step is Step.PREVOTE:
            self._set_timer(TimeoutKind.PREVOTE)
        return super()._set_vote_timers()


class L36PrecommitsWithoutTheBlock(Height):
    def _lock_and_precommit(self) -> bool:
        for round_, block_hash in self.ballots.locks:
            if round_ == self.round and self.step is Step.PREVOTE:
                self._lock(round_, block_hash)
                return self._cast_precommit(block_hash)
        return False


class L36PrecommitsBeforeItsPrevote(Height):
    def _lock_and_precommit(self) -> bool:
        if self.step is Step.PROPOSE:
            self.step = Step.PREVOTE
            if super()._lock_and_precommit():
                return True
            self.step = Step.PROPOSE
        return super()._lock_and_precommit()


class L36PrecommitsOnAThird(Height):
    def _lock_and_precommit(self) -> bool:
        proposal = self.proposals.of_round(self.round)
        if self.step is Step.PREVOTE and proposal is not None:
            power = self.ballots.prevotes(self.round).power_for(proposal.block_hash)
            if self.members.exceeds_third(power):
                self._lock(self.round, proposal.block_hash)
                return self._cast_precommit(proposal.block_hash)
        return super()._lock_and_precommit()


class L36PrecommitsOnAQuorumOfAnotherRound(Height):
    def _lock_and_precommit(self) -> bool:
        for round_, block_hash in self.ballots.locks:
            if self.step is Step.PREVOTE and self._verdict(round_, block_hash) is Validity.VALID:
                self._lock(round_, block_hash)
                return self._cast_precommit(block_hash)
        return False


class L38DoesNotLock(Height):
    def _lock(self, round_: int, block_hash: Hash) -> None:
        self.valid_round, self.valid_hash = round_, block_hash


class L42NoValidValueWithoutALock(Height):
    def _take_valid_value(self) -> bool:
        return False


class L42LocksLate(Height):
    def _take_valid_value(self) -> bool:
        before = self.valid_round
        if not super()._take_valid_value():
            return False
        if self.valid_round > before and self.valid_hash is not None:
            self._lock(self.valid_round, self.valid_hash)
        return True


class L42ValidValueGoesBack(Height):
    def _take_valid_value(self) -> bool:
        for round_, block_hash in self.ballots.locks[-1:]:
            another = (round_, block_hash) != (self.valid_round, self.valid_hash) and round_ <= self.round
            if another and self._verdict(round_, block_hash) is Validity.VALID:
                self.valid_round, self.valid_hash = round_, block_hash
                return True
        return False


class L44NoNilPrecommitOnAQuorum(Height):
    def _precommit_nil(self) -> bool:
        return False


class L44NilPrecommitOnAThird(Height):
    def _precommit_nil(self) -> bool:
        power = self.ballots.prevotes(self.round).power_for(NIL)
        if self.step is Step.PREVOTE and self.members.exceeds_third(power):
            return self._cast_precommit(NIL)
        return False


class L47NoPrecommitTimer(Height):
    def _set_timer(self, kind: TimeoutKind) -> None:
        if kind is not TimeoutKind.PRECOMMIT:
            super()._set_timer(kind)


class L47DoesNotEndTheRoundOnNil(Height):
    def _end_round(self) -> bool:
        return False


class L47EndsTheRoundOnAThird(Height):
    def _end_round(self) -> bool:
        if not self.members.exceeds_third(self.ballots.precommits(self.round).power_for(NIL)):
            return False
        self._begin(self.round + 1, Step.PROPOSE)
        return True


class L49DecidesTheCurrentRoundOnly(Height):
    def _decide(self) -> bool:
        kept = list(self.ballots.decisions)
        self.ballots.decisions[:] = [decision for decision in kept if decision[0] == self.round]
        decided = super()._decide()
        self.ballots.decisions[:] = kept
        return decided


class L49DecidesWithoutValidity(Height):
    def _decide(self) -> bool:
        for _, block_hash in self.ballots.decisions:
            self._verdicts[block_hash] = Validity.VALID
        return super()._decide()


class L49DecidesOnAThird(Height):
    def _decide(self) -> bool:
        for proposal in self.proposals.carried():
            tally = self.ballots.precommits(proposal.round)
            if self.members.exceeds_third(tally.power_for(proposal.block_hash)):
                self.decision = (proposal.round, proposal.block_hash)
                self._effects.append(Decided(*self.decision, self.commit(*self.decision)))
                return True
        return super()._decide()


class L49DecidesOverRounds(Height):
    def _decide(self) -> bool:
        for proposal in self.proposals.carried():
            mask = 0
            for round_ in range(self.round + 3):
                mask |= self.ballots.precommits(round_).mask_for(proposal.block_hash)
            if self.members.is_quorum(self.members.power_of(mask)):
                self.decision = (proposal.round, proposal.block_hash)
                self._effects.append(Decided(*self.decision, self.commit(*self.decision)))
                return True
        return False


class L49GoesOnAfterTheDecision(Height):
    def _is_running(self) -> bool:
        return self.started


class R12IgnoresASecondDecision(Height):
    def _report_broken(self, block_hash: Hash, commits: object) -> None:
        pass


class L55DoesNotSkip(Height):
    def _skip_rounds(self) -> bool:
        return False


class L55FollowsAnybody(Height):
    def _skip_rounds(self) -> bool:
        ahead = max(self.ballots._rounds.values(), default=0)
        if ahead <= self.round:
            return False
        self._begin(ahead, Step.PROPOSE)
        return True


class L57NoNilPrevoteAtTheTimeOut(Height):
    def timeout(self, timeout: Timeout, now: int = 0) -> None:
        if timeout.kind is not TimeoutKind.PROPOSE:
            super().timeout(timeout, now)


class L61NoNilPrecommitAtTheTimeOut(Height):
    def timeout(self, timeout: Timeout, now: int = 0) -> None:
        if timeout.kind is not TimeoutKind.PREVOTE:
            super().timeout(timeout, now)


class L65NoNewRoundAtTheTimeOut(Height):
    def timeout(self, timeout: Timeout, now: int = 0) -> None:
        if timeout.kind is not TimeoutKind.PRECOMMIT:
            super().timeout(timeout, now)


class TimersOfOtherRoundsFire(Height):
    def timeout(self, timeout: Timeout, now: int = 0) -> None:
        super().timeout(Timeout(timeout.kind, timeout.height, self.round), now)


class UnlocksInEachRound(Height):
    def _begin(self, round_: int, step: Step) -> None:
        super()._begin(round_, step)
        self.locked_round, self.locked_hash = NO_ROUND, None


class RestartForgetsTheLock(Height):
    def restore(self, messages: Iterable[Message]) -> None:
        super().restore(messages)
        self.locked_round = self.valid_round = NO_ROUND
        self.locked_hash = self.valid_hash = None


class RestartForgetsTheValidValue(Height):
    def restore(self, messages: Iterable[Message]) -> None:
        super().restore(messages)
        self.valid_round, self.valid_hash = NO_ROUND, None


class RestartForgetsItsVotes(Height):
    def _resumed_step(self) -> Step:
        self._pen._signed.clear()
        return Step.PROPOSE


class RestartForgetsItsProposal(Height):
    def restore(self, messages: Iterable[Message]) -> None:
        super().restore([message for message in messages if not isinstance(message, Proposal)])


class RestartBeginsAtRoundZero(Height):
    def restore(self, messages: Iterable[Message]) -> None:
        super().restore(messages)
        self.round = 0


class AcceptsAnyProposer(Height):
    def proposal(self, proposal: Proposal, now: int = 0) -> bool:
        return self._input(proposal) if self._heard.belongs(proposal) else False


class AcceptsForeignVotes(Height):
    def prevote(self, prevote: Prevote, now: int = 0) -> bool:
        return self._input(prevote) if prevote.signer < len(self.members) else False


class KeepsSigningAfterAnUnknownMessage(Height):
    def _watch_own(self, message: Message) -> None:
        pass


class TakesAnyPolWhole(Height):
    def _input_quorum(self, round_: int, block_hash: Hash, votes: Iterable[Prevote | Precommit]) -> bool:
        for vote in votes:
            self._input(vote, certified=True)
        return True


class TakesNoPolWhole(Height):
    def _input_quorum(self, round_: int, block_hash: Hash, votes: Iterable[Prevote | Precommit]) -> bool:
        for vote in votes:
            self._input(vote)
        return True


class CountsFirstVotesOnly(Height):
    def _keep(self, message: Message, *, certified: bool) -> Added:
        if not isinstance(message, Proposal):
            tally = self.ballots.prevotes if isinstance(message, Prevote) else self.ballots.precommits
            if tally(message.round).first(message.signer) is not None:
                return Added.REFUSED
        return super()._keep(message, certified=certified)


class FollowersSign(Height):
    def _begin(self, round_: int, step: Step) -> None:
        super()._begin(round_, step)
        self.step = step


class _TwoThirds(PowerSet):
    def is_quorum(self, power: int) -> bool:
        return 3 * power >= 2 * self.total


class QuorumIsTwoThirds(Height):
    def __init__(self, **options: object) -> None:
        members = options["members"]
        assert isinstance(members, PowerSet)
        options["members"] = _TwoThirds(members.members)
        super().__init__(**options)  # type: ignore[arg-type]


class _OneThird(PowerSet):
    def exceeds_third(self, power: int) -> bool:
        return 3 * power >= self.total


class SkipsOnOneThird(Height):
    def __init__(self, **options: object) -> None:
        members = options["members"]
        assert isinstance(members, PowerSet)
        options["members"] = _OneThird(members.members)
        super().__init__(**options)  # type: ignore[arg-type]


class _CountsAgain(Ballots):
    """Each copy of a vote counts."""

    def add(self, vote: Prevote | Precommit, current: int, *, certified: bool = False) -> Added:
        added = super().add(vote, current, certified=certified)
        if added is Added.KNOWN and isinstance(vote, Prevote):
            tally = self._prevotes[vote.round]
            tally._first.pop(vote.signer)
            tally._by_block[vote.block_hash].pop(vote.signer)
            return super().add(vote, current, certified=certified)
        return added


class CountsASignerTwice(Height):
    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.ballots = self._heard.ballots = _CountsAgain(self.members)


MUTANTS: dict[str, type[Height]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Height) and value is not Height
}

FORKS: dict[type[Height], tuple[int, int]] = {
    L36PrecommitsOnAThird: (1, 5),
    L23LockedPrevotesAnotherFreshBlock: (5, 15),
    L38DoesNotLock: (5, 15),
    UnlocksInEachRound: (5, 15),
}
"""Those that fork in random lives: with which cast, within how many seeds."""

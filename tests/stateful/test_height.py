"""One height of Tendermint among anybody: what it signs always follows from what it was shown (arXiv:1807.04938).

The model keeps every message that was given in, in this life and before, and judges each signature by the rules
of the paper's algorithm 1 and of R10 alone, knowing nothing of how the machine comes to it. The other members say
anything, so quorums contradict each other at will.
"""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.heights import (
    CHAIN_ID,
    EPOCH,
    HEIGHT,
    PARAMS,
    Checks,
    fake_signature,
    make_content,
    make_precommit,
    make_prevote,
    make_proposal,
    power_set,
)
from tests.stateful.running import run
from timecoin.consensus.commits import build_commit
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal
from timecoin.consensus.steps import (
    Broken,
    Decided,
    EnteredRound,
    Freshness,
    Message,
    NeedValue,
    SetTimeout,
    Sign,
    Step,
    Timeout,
    Unjournaled,
    Validity,
)
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote

TAGS = ("a", "b")
ROUNDS = 5

Vote = tuple[int, int, bytes]
"""Signer, round, block."""


class HeightMachine(RuleBasedStateMachine):
    """``shown`` sets are of this life, ``ever`` sets of all; ``sent`` are my own messages that became durable."""

    @initialize(powers=st.sampled_from(((1, 1, 1, 1), (3, 2, 2, 1), (1, 1, 1), (1,))), me=st.integers(0, 3))
    def begin(self, powers: tuple[int, ...], me: int) -> None:
        self.members = power_set(powers)
        self.me = me % len(powers)
        self.others = [signer for signer in range(len(powers)) if signer != self.me]
        self.checks = Checks()
        self.contents: dict[bytes, Content] = {}
        self.sent: dict[tuple[type[Message], int], Message] = {}
        self.journal: list[Message] = []
        self.ever_prevoted: set[Vote] = set()
        self.ever_precommitted: set[Vote] = set()
        self.ever_proposed: dict[tuple[int, bytes], Proposal] = {}
        self.live()

    def live(self) -> None:
        """A machine that knows its journal."""
        self.height = Height(
            params=PARAMS,
            chain_id=CHAIN_ID,
            epoch=EPOCH,
            height=HEIGHT,
            members=self.members,
            signer=self.me,
            proposer_of=lambda round_: round_ % len(self.members),
            checks=self.checks,
        )
        self.outbox: list[Message] = []
        self.timers: list[Timeout] = []
        self.asked: list[int] = []
        self.decided: tuple[int, bytes] | None = None
        self.round = self.valid_round = -1
        self.height.restore(self.journal)
        self.height.start()
        self.pump()

    # The world

    def block(self, round_: int, tag: str) -> Content:
        content = make_content(self.members, round_, tag)
        self.contents[content.header.hash] = content
        return content

    def blocks(self) -> list[bytes]:
        return [NIL, *self.contents]

    def remember(self, message: Message) -> None:
        if isinstance(message, Proposal):
            self.ever_proposed[(message.round, message.block_hash)] = message
        elif isinstance(message, Prevote):
            self.ever_prevoted.add((message.signer, message.round, message.block_hash))
        else:
            self.ever_precommitted.add((message.signer, message.round, message.block_hash))

    def give(self, *messages: Message) -> None:
        for message in messages:
            self.remember(message)
            if isinstance(message, Proposal):
                self.height.proposal(message)
            elif isinstance(message, Prevote):
                self.height.prevote(message)
            else:
                self.height.precommit(message)
            self.pump()

    def power(self, votes: Iterable[Vote], round_: int, block: bytes) -> bool:
        """Whether a quorum said it."""
        signers = {signer for signer, its_round, its_block in votes if (its_round, its_block) == (round_, block)}
        return self.members.is_quorum(sum(self.members.members[signer].power for signer in signers))

    def pump(self) -> None:
        while effects := self.height.take_effects():
            for effect in effects:
                if isinstance(effect, Sign):
                    self.judge(effect.draft)
                    self.outbox.append(effect.draft.signed(fake_signature(self.me)))
                elif isinstance(effect, SetTimeout):
                    assert effect.delay_ms > 0 and effect.timeout.round == self.round
                    self.timers.append(effect.timeout)
                elif isinstance(effect, NeedValue):
                    assert effect.round % len(self.members) == self.me
                    self.asked.append(effect.round)
                elif isinstance(effect, EnteredRound):
                    assert effect.round > self.round
                    self.round = effect.round
                elif isinstance(effect, Decided):
                    self.judge_decision(effect)
                elif isinstance(effect, Broken):
                    self.judge_broken(effect)
                else:
                    assert not isinstance(effect, Unjournaled)

    # The rules

    def judge(self, draft: Message) -> None:
        """A signature must follow from what is known. Drafts that were never durable do not count."""
        assert draft.signer == self.me and draft.height == HEIGHT
        before = self.sent.get((type(draft), draft.round))
        assert before is None, f"a second {type(draft).__name__} of round {draft.round}"
        assert not any((type(m), m.round) == (type(draft), draft.round) for m in self.outbox)
        assert draft.round == self.round and self.decided is None
        if isinstance(draft, Proposal):
            self.judge_proposal(draft)
        elif isinstance(draft, Prevote):
            self.judge_prevote(draft)
        else:
            self.judge_precommit(draft)

    def judge_proposal(self, draft: Proposal) -> None:
        assert draft.round % len(self.members) == self.me
        if draft.valid_round == NO_ROUND:
            # Made for this round, and only without a lock (L14 to L18).
            assert draft.header.round == draft.round and self.locked() is None
        else:
            assert draft.valid_round < draft.round
            assert self.power(self.ever_prevoted, draft.valid_round, draft.block_hash)
            assert self.is_valid(draft.block_hash)
            locked = self.locked()
            assert locked is None or draft.valid_round >= locked[0]

    def locked(self) -> tuple[int, bytes] | None:
        """The round and block of my last precommit for a block, drafted or durable."""
        mine = [*self.sent.values(), *self.outbox]
        locks = [(m.round, m.block_hash) for m in mine if isinstance(m, Precommit) and not m.is_nil]
        return max(locks, default=None)

    def is_valid(self, block: bytes) -> bool:
        return self.checks.validities.get(block, Validity.VALID) is Validity.VALID

    def judge_prevote(self, draft: Prevote) -> None:
        if draft.is_nil:
            assert not draft.fresh
            return
        proposal = self.ever_proposed.get((draft.round, draft.block_hash))
        assert proposal is not None and proposal.signer == draft.round % len(self.members)
        assert self.is_valid(draft.block_hash)
        locked, pol = self.locked(), proposal.valid_round
        if draft.fresh:  # L22 and R10
            assert pol == NO_ROUND and locked is None
            assert self.checks.verdicts.get(draft.block_hash, Freshness.ACCEPT) is Freshness.ACCEPT
            return
        if locked is not None and locked[1] == draft.block_hash:
            return
        if locked is not None:  # L28: only a quorum as late as my lock frees me
            backed = any(
                self.power(self.ever_prevoted, round_, draft.block_hash) for round_ in range(locked[0], draft.round)
            )
            assert backed, f"locked in {locked[0]} on another block"
            return
        earlier = range(draft.round)
        assert any(self.power(self.ever_prevoted, round_, draft.block_hash) for round_ in earlier), "no POL"

    def judge_precommit(self, draft: Precommit) -> None:
        if not draft.is_nil:  # L36
            assert self.power(self.ever_prevoted, draft.round, draft.block_hash)
            assert self.is_valid(draft.block_hash)
            assert self.height.proposal_of(draft.block_hash) is not None
            assert self.height.locked_round == draft.round and self.height.locked_hash == draft.block_hash

    def judge_decision(self, effect: Decided) -> None:
        assert self.decided is None
        self.decided = (effect.round, effect.block_hash)
        assert self.power(self.ever_precommitted, effect.round, effect.block_hash)
        assert self.is_valid(effect.block_hash) and effect.block_hash != NIL
        commit = effect.commit
        assert (commit.round, commit.block_hash, commit.height) == (effect.round, effect.block_hash, HEIGHT)
        power = sum(self.members.members[signer].power for signer, _ in commit.signatures)
        assert self.members.is_quorum(power)

    def judge_broken(self, effect: Broken) -> None:
        """Only what proves that a third or more lied: two blocks, or an invalid one, by quorums."""
        for commit in effect.commits:
            assert self.power(self.ever_precommitted, commit.round, commit.block_hash)
        blocks = {commit.block_hash for commit in effect.commits}
        assert len(blocks) == 2 or not any(self.is_valid(block) for block in blocks)

    # What may happen

    @rule(round_=st.integers(0, ROUNDS), tag=st.sampled_from(TAGS), data=st.data())
    def propose(self, round_: int, tag: str, data: st.DataObject) -> None:
        if round_ % len(self.members) == self.me:
            return
        old = [content for content in self.contents.values() if content.header.round < round_]
        if old and data.draw(st.booleans()):
            content = data.draw(st.sampled_from(old))
            valid_round = data.draw(st.integers(content.header.round, round_ - 1))
            self.give(make_proposal(self.members, round_, content, valid_round))
        else:
            self.give(make_proposal(self.members, round_, self.block(round_, tag)))

    @rule(data=st.data(), round_=st.integers(0, ROUNDS), prevote=st.booleans(), many=st.booleans())
    def vote(self, data: st.DataObject, round_: int, prevote: bool, many: bool) -> None:
        if not self.others:
            return
        block = data.draw(st.sampled_from(self.blocks()))
        signers = self.others if many else [data.draw(st.sampled_from(self.others))]
        make = make_prevote if prevote else make_precommit
        self.give(*[make(self.members, signer, round_, block) for signer in signers])

    @rule(data=st.data(), round_=st.integers(0, ROUNDS), tag=st.sampled_from(TAGS))
    def usual_round(self, data: st.DataObject, round_: int, tag: str) -> None:
        """Everybody is of one mind for a moment: so locks come about."""
        if round_ % len(self.members) != self.me:
            content = self.block(round_, tag)
            self.give(make_proposal(self.members, round_, content))
            self.persist()
            self.give(*[make_prevote(self.members, signer, round_, content.header.hash) for signer in self.others])

    @rule(data=st.data(), round_=st.integers(0, ROUNDS))
    def pol(self, data: st.DataObject, round_: int) -> None:
        block = data.draw(st.sampled_from(self.blocks()))
        votes = [make_prevote(self.members, signer, round_, block) for signer in self.others]
        votes += [
            m for m in self.sent.values() if isinstance(m, Prevote) and (m.round, m.block_hash) == (round_, block)
        ]
        if votes:
            for vote in votes:
                self.remember(vote)
            self.height.pol(round_, block, votes)
            self.pump()

    @rule(data=st.data(), round_=st.integers(0, ROUNDS))
    def commit(self, data: st.DataObject, round_: int) -> None:
        block = data.draw(st.sampled_from(self.blocks()))
        votes = [make_precommit(self.members, signer, round_, block) for signer in self.others]
        if block != NIL and votes:
            for vote in votes:
                self.remember(vote)
            self.height.committed(build_commit(HEIGHT, round_, block, votes))
            self.pump()

    @rule(data=st.data())
    def timeout(self, data: st.DataObject) -> None:
        if self.timers:
            self.height.timeout(data.draw(st.sampled_from(self.timers[-6:])))
            self.pump()

    @rule(tag=st.sampled_from(TAGS))
    def value(self, tag: str) -> None:
        if self.asked:
            round_ = self.asked.pop()
            content = self.block(round_, "mine " + tag)
            # What is built here is judged before it is proposed.
            self.checks.validities.pop(content.header.hash, None)
            self.height.value(round_, content)
            self.pump()

    @rule(data=st.data(), validity=st.sampled_from(Validity))
    def judged(self, data: st.DataObject, validity: Validity) -> None:
        """A block is being verified, or was: a verdict is for good."""
        if self.contents:
            block = data.draw(st.sampled_from(list(self.contents)))
            unseen = not any(known == block for _, known in self.ever_proposed)
            if unseen or self.checks.validities.get(block) is Validity.WAIT:
                self.checks.validities[block] = validity
                self.height.poke()
                self.pump()

    @rule(data=st.data(), verdict=st.sampled_from(Freshness))
    def certified(self, data: st.DataObject, verdict: Freshness) -> None:
        if self.contents:
            self.checks.verdicts[data.draw(st.sampled_from(list(self.contents)))] = verdict
            self.height.poke()
            self.pump()

    @rule()
    def persist(self) -> None:
        """What I signed is durable and sent, with what rests on it; only now it counts."""
        while self.outbox:
            message = self.outbox.pop(0)
            self.sent[(type(message), message.round)] = message
            self.journal.append(message)
            if isinstance(message, Precommit) and not message.is_nil:
                proposal = self.height.proposal_of(message.block_hash)
                assert proposal is not None, "the block of a lock is not here"
                self.journal.append(proposal)
                self.journal += self.height.prevotes_for(message.round, message.block_hash)
            self.give(message)

    @precondition(lambda self: self.decided is None)
    @rule()
    def crash(self) -> None:
        """What was not durable was not sent, and is forgotten; so is all that others said but for the journal."""
        lock = max(
            ((m.round, m.block_hash) for m in self.sent.values() if isinstance(m, Precommit) and not m.is_nil),
            default=(NO_ROUND, None),
        )
        self.live()
        assert (self.height.locked_round, self.height.locked_hash) >= lock or lock[0] == NO_ROUND
        last = max((message.round for message in self.sent.values()), default=0)
        assert self.height.round >= last

    # What must hold at all times

    @invariant()
    def is_locked_on_what_it_precommitted(self) -> None:
        if hasattr(self, "height") and self.decided is None:
            locked = self.locked()
            expected = (NO_ROUND, None) if locked is None else locked
            assert (self.height.locked_round, self.height.locked_hash) == expected

    @invariant()
    def valid_value_only_grows(self) -> None:
        if hasattr(self, "height"):
            assert self.height.valid_round >= max(self.valid_round, self.height.locked_round)
            self.valid_round = self.height.valid_round

    @invariant()
    def decides_what_it_can(self) -> None:
        """A quorum of precommits in its tallies, for a block that is here and valid, decides."""
        if not hasattr(self, "height"):
            return
        height = self.height
        assert height.decision == self.decided
        assert (height.step is Step.DECIDED) == (self.decided is not None)
        if self.decided is None:
            for round_ in range(ROUNDS + 1):
                for block in self.contents:
                    quorum = height.ballots.precommits(round_).has_quorum(block)
                    assert not (quorum and height.proposal_of(block) is not None and self.is_valid(block))

    @invariant()
    def tallies_are_of_real_votes(self) -> None:
        if not hasattr(self, "height"):
            return
        for round_ in range(ROUNDS + 1):
            for block in self.blocks():
                assert self.power(self.ever_prevoted, round_, block) or not self.height.ballots.prevotes(
                    round_
                ).has_quorum(block)
                signers = {vote.signer for vote in self.height.prevotes_for(round_, block)}
                assert signers <= {signer for signer, r, b in self.ever_prevoted if (r, b) == (round_, block)}


class HeightTest(SynchronousTestCase):
    def test_random_lives(self) -> None:
        run(HeightMachine, 80, 40)

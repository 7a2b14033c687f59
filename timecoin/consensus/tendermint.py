"""One height of Tendermint, with the local checks of fresh proposals.

Source: arXiv:1807.04938, algorithm 1, and protocol.md 6. Pure: messages, timers and answers go in, effects
come out, nothing else happens. Comments of the form ``L22`` name the line of the paper's algorithm at which a
rule begins. What differs from the paper, all of it safe without any assumption:

* L22 asks the local checks of R10; a locked block or my valid value is prevoted without a POL at hand (my own
  quorum backs it).
* L36 also takes a valid value from a POL of an earlier round that I complete late.
* L47: a quorum of nil precommits ends the round without waiting.
* L55 follows more than a third of the power that is in a later round *or beyond*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from timecoin.consensus.ballots import Added
from timecoin.consensus.commits import build_commit, precommits_of
from timecoin.consensus.heard import Heard
from timecoin.consensus.pen import Pen
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.steps import (
    Broken,
    Decided,
    Effect,
    EnteredRound,
    Freshness,
    LocalChecks,
    Message,
    NeedValue,
    SetTimeout,
    Sign,
    Step,
    Timeout,
    TimeoutKind,
    Unjournaled,
    Validity,
    Want,
    WantPol,
    WantProposal,
)
from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Commit
from timecoin.primitives.hashes import Hash

__all__ = ["Freshness", "Height", "LocalChecks", "Step", "Timeout", "TimeoutKind", "Validity"]


class _Basis(Enum):
    """On what a prevote for a proposal would rest (R10)."""

    DERIVED = "derived"
    FRESH = "fresh"
    WAIT = "wait"
    REFUSE = "refuse"


class Height:
    """The Tendermint state of one height for one node.

    ``signer`` is my index in ``members``, or None for a follower, who never signs but decides like everybody.
    ``proposer_of(round)`` is the signer index of a round's proposer.  Messages given in had their signatures
    verified; inputs tell whether a message was new and is worth relaying.  After each input carry out
    ``take_effects``, in order.  Every ``Sign`` must be carried out, sooner or later: start a height only when
    its owner may sign.  ``now`` is in milliseconds and only shown (``round_started``).
    """

    def __init__(
        self,
        *,
        params: Parameters,
        chain_id: Hash,
        epoch: int,
        height: int,
        members: PowerSet,
        signer: int | None,
        proposer_of: Callable[[int], int],
        checks: LocalChecks,
    ) -> None:
        self.height = height
        self.epoch = epoch
        self.members = members
        self.signer = signer
        self.started = False
        self.round = 0
        self.step = Step.NEW
        self.locked_round, self.valid_round = NO_ROUND, NO_ROUND
        self.locked_hash: Hash | None = None
        self.valid_hash: Hash | None = None
        self.decision: tuple[int, Hash] | None = None
        self.round_started = 0
        self._params = params
        self._chain_id = chain_id
        self._checks = checks
        self._heard = Heard(chain_id, epoch, height, members, proposer_of)
        self.ballots = self._heard.ballots
        self.proposals = self._heard.proposals
        self._verdicts: dict[Hash, Validity] = {}
        self._pen = Pen(chain_id, epoch, members.set_hash, signer, height)
        self._timers: set[TimeoutKind] = set()
        self._asked_value = False
        self._wants: dict[Want, None] = {}
        self._broken: set[Hash] = set()
        self._effects: list[Effect] = []
        self._now = 0

    # Inputs

    def restore(
        self,
        messages: Iterable[Message],
        reached: int = 0,
        unwritten: Iterable[Message] = (),
        proposed: Mapping[int, bytes] | None = None,
    ) -> None:
        """Before ``start``: what my journal holds of this height, mine and others', in any order.

        I continue in the last round for which I signed anything, at least in the one that I had ``reached``,
        behind the last step that I signed, and am locked on the block of my last precommit for a block; its
        proposal and POL are among ``messages`` (protocol.md 4). What is ``unwritten``, signed by me and not durable
        yet, binds me just as much, but it is not said: it is counted, and shown to others, when it comes in.
        ``proposed`` are the bodies of my proposals by round, those that were forgotten, too.
        """
        self._pen.recall_proposals(proposed or {})
        known = [message for message in messages if self._heard.belongs(message)]
        signed = [*known, *[message for message in unwritten if self._heard.belongs(message)]]
        self.round = max(reached, self._pen.recall(signed) or 0)
        for message in known:
            self._keep(message, certified=True)
        mine = [vote for vote in signed if isinstance(vote, Precommit) and self._pen.wrote(vote)]
        locks = [vote for vote in mine if not vote.is_nil]
        if locks:
            last = max(locks, key=lambda vote: vote.round)
            self._lock(last.round, last.block_hash)

    def start(self, now: int = 0) -> None:
        """Enter the height (R7 says when): begin round 0, or go on where the journal ended."""
        if self.started:
            return
        self._tell(now)
        self.started = True
        self._begin(self.round, self._resumed_step())
        self._advance()

    def proposal(self, proposal: Proposal, now: int = 0) -> bool:
        """A proposal; True when it was new."""
        self._tell(now)
        return self._input(proposal) if self._heard.is_acceptable(proposal, self.round) else False

    def prevote(self, prevote: Prevote, now: int = 0) -> bool:
        """A prevote; True when it was new."""
        self._tell(now)
        return self._input(prevote) if self._heard.belongs(prevote) else False

    def precommit(self, precommit: Precommit, now: int = 0) -> bool:
        """A precommit; True when it was new."""
        self._tell(now)
        return self._input(precommit) if self._heard.belongs(precommit) else False

    def pol(self, round_: int, block_hash: Hash, prevotes: Iterable[Prevote], now: int = 0) -> bool:
        """Prevotes that are said to be a quorum for this block in this round; True when they are.

        Only a true quorum is taken whole (beyond the two votes that are kept of any signer); others are
        single prevotes.
        """
        self._tell(now)
        return self._input_quorum(round_, block_hash, prevotes)

    def committed(self, commit: Commit, now: int = 0) -> bool:
        """A commit of this height whose signatures were verified; True when it is a quorum's.

        It decides as soon as its block is here.
        """
        self._tell(now)
        votes = precommits_of(commit, self._chain_id, self.epoch, self.members.set_hash)
        return self._input_quorum(commit.round, commit.block_hash, votes)

    def end(self, commit: Commit) -> None:
        """The block of this commit, whose signatures were verified, was applied, whoever decided it.

        Votes that come later are still kept, for ``commit``; no rule and no check is asked any more: the owner has left
        this height, and perhaps its epoch.
        """
        for vote in precommits_of(commit, self._chain_id, self.epoch, self.members.set_hash):
            if self._keep(vote, certified=True) is Added.CONFLICT:
                self._effects.append(self._heard.equivocation(vote))
        self.started = True
        if self.decision is None:
            self.decision, self.step = (commit.round, commit.block_hash), Step.DECIDED

    def timeout(self, timeout: Timeout, now: int = 0) -> None:
        """A timer fired; nothing happens when its round or step is over."""
        self._tell(now)
        if not self._is_running() or (timeout.height, timeout.round) != (self.height, self.round):
            return
        if timeout.kind is TimeoutKind.PROPOSE and self.step is Step.PROPOSE:  # L57
            self._cast_prevote(NIL, fresh=False)
        elif timeout.kind is TimeoutKind.PREVOTE and self.step is Step.PREVOTE:  # L61
            self._cast_precommit(NIL)
        elif timeout.kind is TimeoutKind.PRECOMMIT:  # L65
            self._begin(self.round + 1, Step.PROPOSE)
        self._advance()

    def poke(self, now: int = 0) -> None:
        """The local checks may answer differently now."""
        self._tell(now)
        self._advance()

    def value(self, round_: int, content: Content, now: int = 0) -> None:
        """The block that ``NeedValue(round_)`` asked for; too late, it is dropped.

        Raises ``MalformedProposal`` when it is not made for this height and round.
        """
        self._tell(now)
        if round_ == self.round and self._owes_proposal() and self.valid_hash is None:
            self._sign(self._pen.proposal(self.round, content, NO_ROUND))

    def take_effects(self) -> tuple[Effect, ...]:
        """What the inputs since the last call ask for, in order."""
        effects, self._effects = tuple(self._effects), []
        return effects

    # Queries

    @property
    def silent(self) -> bool:
        """Whether nothing is signed here: a follower, or a message of mine turned up that I do not know."""
        return self._pen.silent

    @property
    def heard_mask(self) -> int:
        """Mask of all signers of whom any message of this height came."""
        return self.ballots.heard_mask

    def proposer(self, round_: int) -> int:
        """Signer index of a round's proposer."""
        return self._heard.proposer(round_)

    def holds(self, message: Message) -> bool:
        """Whether this very message (by its signed body) is known, or was drafted here."""
        return self._pen.wrote(message) or self._heard.holds(message)

    def needs(self, head: ProposalHead | Prevote | Precommit) -> bool:
        """Whether a message is worth verifying; a proposal is asked about by its head alone."""
        return self._heard.needs(head, self.round, self._needed())

    def proposal_of(self, block_hash: Hash) -> Proposal | None:
        """A proposal that carries this block."""
        return self.proposals.carrying(block_hash)

    def prevotes_for(self, round_: int, block_hash: Hash) -> tuple[Prevote, ...]:
        """The prevotes for a block in a round, in signer order: its POL when they are a quorum."""
        return self.ballots.prevotes(round_).votes_for(block_hash)

    def commit(self, round_: int, block_hash: Hash) -> Commit:
        """All precommits known by now, late ones too, as a commit; not always a quorum."""
        votes = self.ballots.precommits(round_).votes_for(block_hash)
        return build_commit(self.height, round_, block_hash, votes)

    def wants(self) -> tuple[Want, ...]:
        """What was asked for with ``WantProposal`` and ``WantPol`` and is still missing: ask again at each
        sync interval.
        """
        if self.decision is not None:
            return ()
        return tuple([want for want in self._wants if self._is_missing(want)])

    # Keeping messages

    def _tell(self, now: int) -> None:
        self._now = max(self._now, now)

    def _input(self, message: Message, *, certified: bool = False) -> bool:
        self._watch_own(message)
        added = self._keep(message, certified=certified)
        if added is Added.CONFLICT:
            self._effects.append(self._heard.equivocation(message))
        self._advance()
        return added in (Added.NEW, Added.CONFLICT)

    def _input_quorum(self, round_: int, block_hash: Hash, votes: Iterable[Prevote | Precommit]) -> bool:
        votes = [vote for vote in votes if self._heard.belongs(vote)]
        proof = block_hash != NIL and self._heard.is_quorum(round_, block_hash, votes)
        for vote in votes:
            self._input(vote, certified=proof)
        return proof

    def _watch_own(self, message: Message) -> None:
        if message.signer == self.signer and not self._pen.wrote(message):
            self._pen.silent = True
            self._effects.append(Unjournaled(message))

    def _keep(self, message: Message, *, certified: bool) -> Added:
        wanted = certified or (isinstance(message, Proposal) and message.block_hash in self._needed())
        return self._heard.keep(message, self.round, wanted=wanted)

    def _needed(self) -> set[Hash]:
        """The blocks without which I cannot go on."""
        mine = [block_hash for block_hash in (self.locked_hash, self.valid_hash) if block_hash is not None]
        return {block_hash for _, block_hash in (*self.ballots.locks, *self.ballots.decisions)} | set(mine)

    # Rounds

    def _is_running(self) -> bool:
        return self.started and self.decision is None

    def _resumed_step(self) -> Step:
        if self._pen.has_signed(Precommit, self.round):
            return Step.PRECOMMIT
        return Step.PREVOTE if self._pen.has_signed(Prevote, self.round) else Step.PROPOSE

    def _begin(self, round_: int, step: Step) -> None:  # L11
        # A follower has nothing to sign: it waits for precommits from the first moment of each round.
        self.round, self.step = round_, Step.PRECOMMIT if self.signer is None else step
        self.round_started = self._now
        self._timers.clear()
        self._wants.clear()
        self._asked_value = False
        self.proposals.prune(round_, self._needed())
        # With a forgotten block its bodies go, and with them what its verdict was worth.
        self._verdicts = {key: verdict for key, verdict in self._verdicts.items() if self.proposals.carrying(key)}
        self._effects.append(EnteredRound(round_))
        if self.step is Step.PROPOSE:
            self._set_timer(TimeoutKind.PROPOSE)

    def _set_timer(self, kind: TimeoutKind) -> None:
        if kind in self._timers:
            return
        self._timers.add(kind)
        delay = self._first_delay(kind) + self.round * self._params.timeout_delta
        self._effects.append(SetTimeout(Timeout(kind, self.height, self.round), delay))

    def _first_delay(self, kind: TimeoutKind) -> int:
        params = self._params
        if kind is TimeoutKind.PROPOSE:
            return params.timeout_propose
        return params.timeout_prevote if kind is TimeoutKind.PREVOTE else params.timeout_precommit

    @property
    def timers(self) -> tuple[tuple[TimeoutKind, int], ...]:
        """The waits of the round that have begun, and how long each is, in milliseconds."""
        extra = self.round * self._params.timeout_delta
        return tuple([(kind, self._first_delay(kind) + extra) for kind in TimeoutKind if kind in self._timers])

    # Rules. Each acts at most once, tells whether it did, and then all are asked again.

    def _advance(self) -> None:
        if not self.started:
            return
        while self.decision is None and self._apply_one_rule():
            pass
        if self.decision is not None:
            self._watch_decisions()

    def _apply_one_rule(self) -> bool:
        return (
            self._decide()
            or self._skip_rounds()
            or self._propose()
            or self._answer_proposal()
            or self._lock_and_precommit()
            or self._take_valid_value()
            or self._precommit_nil()
            or self._end_round()
            or self._set_vote_timers()
        )

    def _decide(self) -> bool:  # L49
        for round_, block_hash in self.ballots.decisions:
            verdict = self._verdict(round_, block_hash)
            if verdict is Validity.VALID:
                self.decision, self.step = (round_, block_hash), Step.DECIDED
                self._effects.append(Decided(round_, block_hash, self.commit(round_, block_hash)))
                return True
            if verdict is Validity.INVALID:
                self._report_broken(block_hash, (self.commit(round_, block_hash),))
        return False

    def _skip_rounds(self) -> bool:  # L55
        reached = self.ballots.reached(self.round)
        if reached == self.round:
            return False
        self._begin(reached, Step.PROPOSE)
        return True

    def _propose(self) -> bool:  # L14
        if not self._owes_proposal():
            return False
        if self.valid_hash is not None:
            carrier = self._carrier(self.valid_round, self.valid_hash)
            # A quorum in a round before the one that a block was made for is of liars; nobody would take it from me.
            if carrier is not None and carrier.header.round <= self.valid_round:
                self._sign(self._pen.proposal(self.round, carrier.content, self.valid_round))
        elif not self._asked_value:
            self._asked_value = True
            self._effects.append(NeedValue(self.round))
        return False

    def _answer_proposal(self) -> bool:  # L22, L28
        proposal = self.proposals.of_round(self.round)
        if self.step is not Step.PROPOSE or proposal is None:
            return False
        verdict, basis = self._verdict(proposal.round, proposal.block_hash), self._basis(proposal)
        if verdict is Validity.INVALID or basis is _Basis.REFUSE:
            return self._cast_prevote(NIL, fresh=False)
        if verdict is Validity.WAIT or basis is _Basis.WAIT:
            return False
        if basis is _Basis.DERIVED:
            return self._cast_prevote(proposal.block_hash, fresh=False)
        return self._answer_fresh(proposal)

    def _basis(self, proposal: Proposal) -> _Basis:
        """R10. A claimed POL of which less than a quorum is here is a reason to wait, never to refuse."""
        if proposal.block_hash in (self.locked_hash, self.valid_hash):
            return _Basis.DERIVED
        if proposal.head.is_fresh:
            return _Basis.FRESH if self.locked_hash is None else _Basis.REFUSE
        if not self._has_pol(proposal.valid_round, proposal.block_hash):
            self._want(WantPol(proposal.valid_round, proposal.block_hash))
            return _Basis.WAIT
        return _Basis.DERIVED if self.locked_round <= proposal.valid_round else _Basis.REFUSE

    def _answer_fresh(self, proposal: Proposal) -> bool:
        answer = self._checks.fresh(proposal)
        if answer is Freshness.WAIT:
            return False
        if answer is Freshness.REJECT:
            return self._cast_prevote(NIL, fresh=False)
        return self._cast_prevote(proposal.block_hash, fresh=True)

    def _lock_and_precommit(self) -> bool:  # L36, while my precommit is still to come
        if self.step is not Step.PREVOTE:
            return False
        for round_, block_hash in self.ballots.locks:
            if round_ == self.round and self._verdict(round_, block_hash) is Validity.VALID:
                self._lock(round_, block_hash)
                return self._cast_precommit(block_hash)
        return False

    def _take_valid_value(self) -> bool:  # L42
        for round_, block_hash in self.ballots.locks:
            in_time = round_ < self.round or (round_ == self.round and self.step is Step.PRECOMMIT)
            if self.valid_round < round_ and in_time and self._verdict(round_, block_hash) is Validity.VALID:
                self.valid_round, self.valid_hash = round_, block_hash
                return True
        return False

    def _precommit_nil(self) -> bool:  # L44
        if self.step is Step.PREVOTE and self.ballots.prevotes(self.round).has_quorum(NIL):
            return self._cast_precommit(NIL)
        return False

    def _end_round(self) -> bool:
        if not self.ballots.precommits(self.round).has_quorum(NIL):
            return False
        self._begin(self.round + 1, Step.PROPOSE)
        return True

    def _set_vote_timers(self) -> bool:
        if self.step is Step.PREVOTE and self.ballots.prevotes(self.round).has_quorum_of_any:  # L34
            self._set_timer(TimeoutKind.PREVOTE)
        if self.ballots.precommits(self.round).has_quorum_of_any:  # L47
            self._set_timer(TimeoutKind.PRECOMMIT)
        return False

    def _watch_decisions(self) -> None:
        assert self.decision is not None
        for round_, block_hash in self.ballots.decisions:
            if block_hash != self.decision[1]:
                rivals = (self.commit(*self.decision), self.commit(round_, block_hash))
                self._report_broken(block_hash, rivals)

    def _report_broken(self, block_hash: Hash, commits: tuple[Commit, ...]) -> None:
        if block_hash not in self._broken:
            self._broken.add(block_hash)
            self._effects.append(Broken(commits))

    # What the rules ask

    def _has_pol(self, round_: int, block_hash: Hash) -> bool:
        return self.ballots.prevotes(round_).has_quorum(block_hash)

    def _carrier(self, round_: int, block_hash: Hash) -> Proposal | None:
        carrier = self.proposals.carrying(block_hash)
        if carrier is None:
            self._want(WantProposal(round_, block_hash))
        return carrier

    def _verdict(self, round_: int, block_hash: Hash) -> Validity:
        """What is known of a block. Only one that is here is valid: I may have to propose it again."""
        carrier = self._carrier(round_, block_hash)
        if carrier is None:
            return Validity.WAIT
        if block_hash not in self._verdicts:
            verdict = self._checks.validity(carrier)
            if verdict is Validity.WAIT:
                return verdict
            self._verdicts[block_hash] = verdict
        return self._verdicts[block_hash]

    def _want(self, want: Want) -> None:
        if want not in self._wants:
            self._wants[want] = None
            self._effects.append(want)

    def _is_missing(self, want: Want) -> bool:
        if isinstance(want, WantProposal):
            return self.proposals.carrying(want.block_hash) is None
        return not self._has_pol(want.round, want.block_hash)

    # What the rules do

    def _lock(self, round_: int, block_hash: Hash) -> None:
        self.locked_round, self.locked_hash = round_, block_hash
        self.valid_round, self.valid_hash = round_, block_hash

    def _owes_proposal(self) -> bool:
        return (
            self._is_running()
            and not self._pen.silent
            and self.step is Step.PROPOSE
            and not self._pen.has_signed(Proposal, self.round)
            and self.proposer(self.round) == self.signer
        )

    def _cast_prevote(self, block_hash: Hash, *, fresh: bool) -> bool:
        self.step = Step.PREVOTE
        self._sign(self._pen.prevote(self.round, block_hash, fresh=fresh))
        return True

    def _cast_precommit(self, block_hash: Hash) -> bool:
        self.step = Step.PRECOMMIT
        self._sign(self._pen.precommit(self.round, block_hash))
        return True

    def _sign(self, draft: Message | None) -> None:
        if draft is not None:
            self._effects.append(Sign(draft))

"""The height at hand: Tendermint's machine with its blocks built, gathered, judged and checked (protocol.md
R7 to R10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from timecoin.consensus import archiving, schedule, steps
from timecoin.consensus import effects as fx
from timecoin.consensus.candidates import Candidate, Stage
from timecoin.consensus.context import Context
from timecoin.consensus.decided import ForgedBlock
from timecoin.consensus.jobs import AssembleBlock, JudgeProposal
from timecoin.consensus.proposal import Content, Proposal
from timecoin.consensus.records import RecordKind, encode_list
from timecoin.consensus.steps import Freshness, Validity
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.rotation import proposer
from timecoin.mempool.entry import Entry
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import Transaction

_NO_BODIES: Mapping[bytes, Transaction] = MappingProxyType({})


@dataclass(slots=True)
class _Wanted:
    """A value that I owe to a round; a closing one waits for seals until ``deadline`` (R9)."""

    round: int
    deadline: int
    job: AssembleBlock | None = None


class CurrentHeight:
    """Everything of one height that ends with its decision.

    ``last_commit`` is the best commit known of the tip. ``decided`` holds the outcome; ``broken`` the commits
    that prove R12; ``unjournaled`` that a message of my own key turned up which my journal lacks.
    """

    def __init__(self, context: Context, last_commit: Commit) -> None:
        self._context = context
        self._candidates: dict[bytes, Candidate] = {}
        self._jobs: dict[JudgeProposal, Candidate] = {}
        self._wanted: _Wanted | None = None
        self._awaited: tuple[bytes, Commit] | None = None
        self._heard: list[steps.Message] = []
        self._proposed: dict[int, bytes] = {}
        self._mine: set[tuple[type[steps.Message], bytes]] = set()
        self._unwritten: dict[tuple[type[steps.Message], bytes], steps.Message] = {}
        self.last_commit = last_commit
        self.decided: tuple[Assembled, Commit] | None = None
        self.broken: tuple[bytes, ...] | None = None
        self.unjournaled = False
        self.machine = self._new_machine()

    def _new_machine(self) -> Height:
        context, ledger = self._context, self._context.ledger
        # Every draft of a machine must be signed: one that may not sign is a follower until it may.
        members, priorities = ledger.current, ledger.priorities
        return Height(
            params=context.params,
            chain_id=context.chain_id,
            epoch=ledger.epoch,
            height=ledger.height + 1,
            members=members,
            signer=context.signer if context.may_sign else None,
            proposer_of=lambda round_: proposer(members, priorities, round_),
            checks=self,
        )

    @property
    def number(self) -> int:
        """The height."""
        return self.machine.height

    def end(self, commit: Commit) -> Height:
        """The block of this verified commit was applied: all but the machine, which still takes late votes, is let go.

        Machine and checks refer to each other; without this, blocks would stay in memory until garbage is collected.
        """
        self.machine.end(commit)
        for effect in self.machine.take_effects():
            if isinstance(effect, steps.Equivocation):
                self._context.offence(effect)
        self._candidates.clear()
        self._jobs.clear()
        self._heard.clear()
        self._unwritten.clear()
        self._wanted = self._awaited = self.decided = None
        return self.machine

    def restore(self, messages: Iterable[steps.Message], bodies: Mapping[bytes, Transaction]) -> None:
        """Before anything else: what my journal holds of this height, and its transactions by wtxid."""
        messages = list(messages)
        self._heard.extend(messages)
        self._mine.update(
            (type(message), message.body()) for message in messages if message.signer == self._context.signer
        )
        self.machine.restore(messages)
        for message in messages:
            if isinstance(message, Proposal):
                self._consider(message, bodies)
        for message in messages:
            self._look_for_left_out(message)

    def permission_changed(self) -> None:
        """I may sign now, or no more: the machine begins again with the same messages, as after a restart."""
        if (self.machine.signer is not None) == self._context.may_sign or self.decided is not None:
            return
        before = self.machine
        self.machine = self._new_machine()
        # Proposals of rounds long past are forgotten, mine too: those rounds must not come again.
        self.machine.restore(self._heard, before.round, self._unwritten.values(), self._proposed)
        if before.started:
            self.machine.start(self._context.now)
        self.enter_if_due()
        self.pump()

    # Entering (R7)

    def enter_if_due(self) -> None:
        """Start the height once one of R7's reasons holds."""
        context = self._context
        if context.started and not context.halted and not self.machine.started and self._due():
            self.machine.start(context.now)
            self.pump()

    def _due(self) -> bool:
        context, finality = self._context, self._context.finality
        return (
            finality.sealed
            or context.now >= context.slot_ms
            or finality.certified_count >= context.params.interim_txs
            or finality.certified_bytes >= context.params.interim_bytes
            or context.members.exceeds_third(context.members.power_of(self.machine.heard_mask))
            or any(candidate.stage is Stage.VALID for candidate in self._candidates.values())
        )

    # Messages

    def receive(self, message: Proposal | Prevote | Precommit) -> bool:
        """A verified or own durable message of this height; True when it was new."""
        now = self._context.now
        self._watch_own(message)
        self._unwritten.pop((type(message), message.body()), None)
        if isinstance(message, Proposal):
            fresh = self.machine.proposal(message, now)
            if fresh:
                self._consider(message)
                self.machine.poke(now)
        elif isinstance(message, Prevote):
            fresh = self.machine.prevote(message, now)
        else:
            fresh = self.machine.precommit(message, now)
        if fresh:
            self._heard.append(message)
            self._look_for_left_out(message)
        self.enter_if_due()
        self.pump()
        return fresh

    def _look_for_left_out(self, message: steps.Message) -> None:
        """Does a fresh prevote for a closing block leave out what its signer acked (protocol.md 3)?"""
        candidate = self._candidates.get(message.block_hash)
        if candidate is None or not candidate.content.header.closing or isinstance(message, Precommit):
            return
        context = self._context
        for vote in [message] if isinstance(message, Prevote) else self._heard:
            if isinstance(vote, Prevote) and vote.block_hash == message.block_hash:
                tallies = context.finality.counter.tallies
                context.accuse(context.left_out.prevoted(vote, candidate.content, tallies))

    def _watch_own(self, message: steps.Message) -> None:
        # The machine sees this too, but only once it may sign: what I may have forgotten shows itself before
        # that.
        if message.signer == self._context.signer and (type(message), message.body()) not in self._mine:
            self.unjournaled = True

    def pol(self, round_: int, block_hash: bytes, prevotes: Iterable[Prevote]) -> None:
        """Verified prevotes that are said to be the POL of an earlier round."""
        prevotes = tuple(prevotes)
        for prevote in prevotes:
            if prevote.height == self.number:
                self._watch_own(prevote)
        if self.machine.pol(round_, block_hash, prevotes, self._context.now):
            self._heard.extend(prevotes)
            for prevote in prevotes:
                self._look_for_left_out(prevote)
        self.pump()

    def timeout(self, timeout: steps.Timeout) -> None:
        """One of Tendermint's timers fired."""
        self.machine.timeout(timeout, self._context.now)
        self.pump()

    # Bodies and judgement

    def _consider(self, proposal: Proposal, bodies: Mapping[bytes, Transaction] = _NO_BODIES) -> None:
        if proposal.block_hash in self._candidates:
            return
        candidate = Candidate(proposal.content, proposal.signer)
        self._candidates[proposal.block_hash] = candidate
        candidate.gather(self._find)
        for wtxid in tuple(candidate.missing):
            if wtxid in bodies:
                candidate.take_body(bodies[wtxid])
        candidate.count_certificates(self._context.finality.is_backed)
        self._fetch(candidate, candidate.proposer)
        self._judge_when_complete(candidate)

    def _fetch(self, candidate: Candidate, signer: int | None) -> None:
        if candidate.missing:
            self._context.emit(fx.WantTransactions(tuple(candidate.missing), True, signer))

    def _find(self, txid: bytes, wtxid: bytes) -> BlockTx | None:
        entry = self._context.finality.pool.get(txid)
        return None if entry is None or entry.tx.wtxid != wtxid else _block_tx(entry)

    def wants_body(self, wtxid: bytes) -> bool:
        """Does a proposal wait for this body?"""
        return any(wtxid in candidate.missing for candidate in self._candidates.values())

    def body_admitted(self, tx: Transaction) -> None:
        """A transaction entered the pool, verified."""
        for candidate in tuple(self._candidates.values()):
            if tx.wtxid in candidate.missing:
                candidate.gather(self._find, (tx.wtxid,))
                self._judge_when_complete(candidate)

    def body_fetched(self, tx: Transaction) -> None:
        """A body that a proposal waits for and the pool does not take; it is verified with the block."""
        for candidate in tuple(self._candidates.values()):
            if candidate.take_body(tx):
                self._judge_when_complete(candidate)

    def body(self, wtxid: bytes) -> Transaction | None:
        """A body that a proposal names, if it is here."""
        bodies = (candidate.body(wtxid) for candidate in self._candidates.values())
        return next((tx for tx in bodies if tx is not None), None)

    def _judge_when_complete(self, candidate: Candidate) -> None:
        if candidate.missing or candidate.stage is not Stage.GATHERING:
            return
        candidate.stage = Stage.JUDGING
        context = self._context
        if self._lacks_parent(candidate):
            candidate.judged(ForgedBlock("a parent is neither in the block nor archived"))
            return
        job = JudgeProposal(
            context.params,
            context.ledger,
            candidate.content,
            tuple(candidate.known.values()),
            tuple(candidate.foreign.values()),
            context.source.coin_reader(),
        )
        self._jobs[job] = candidate
        context.emit(fx.RunJob(job))

    def _lacks_parent(self, candidate: Candidate) -> bool:
        contained = {txid for txid, _ in candidate.content.txs}
        entries = self._context.entries(candidate.known)
        return any(parent not in contained for entry in entries for parent in entry.parents)

    def job_done(self, job: fx.Job, outcome: Assembled | Exception) -> None:
        """A job of this height came back; those of earlier heights are not known here and are ignored."""
        if isinstance(job, AssembleBlock):
            self._built(job, outcome)
        elif isinstance(job, JudgeProposal) and job in self._jobs:
            self._jobs.pop(job).judged(outcome)
            self.machine.poke(self._context.now)
        self._decide_when_judged()
        self.enter_if_due()
        self.pump()

    def certificates_changed(self, txids: Iterable[bytes]) -> None:
        """Transactions were certified, or acked by more than a third."""
        for candidate in tuple(self._candidates.values()):
            if candidate.uncertified and candidate.count_certificates(self._context.finality.is_backed, txids):
                self.machine.poke(self._context.now)
        self.pump()

    def tick(self) -> None:
        """Time went by: a height may be due, a value owed, a slot no longer early."""
        self.enter_if_due()
        self.build_if_due()
        if self.machine.started:
            self.machine.poke(self._context.now)
            self.pump()

    def ask_again(self) -> None:
        """What was asked for did not come: ask whoever is there, for the proposer may be gone or a liar."""
        for candidate in self._candidates.values():
            self._fetch(candidate, None)
        for want in self.machine.wants():
            self._carry_out(want)

    # LocalChecks

    def validity(self, proposal: Proposal) -> Validity:
        """Is the block valid, as far as is known?"""
        candidate = self._candidates.get(proposal.block_hash)
        if candidate is None or candidate.stage in (Stage.GATHERING, Stage.JUDGING):
            return Validity.WAIT
        return Validity.VALID if candidate.stage is Stage.VALID else Validity.INVALID

    def fresh(self, proposal: Proposal) -> Freshness:
        """R10 (i) and (ii), after the seal of R9."""
        context = self._context
        candidate = self._candidates[proposal.block_hash]
        if proposal.closing:
            early = proposal.header.slot_time * 1000 > context.now + context.params.clock_tolerance
            if early:
                return Freshness.WAIT
            context.seal()
            if self._show_missing_acked(proposal):
                return Freshness.REJECT
        return Freshness.WAIT if candidate.uncertified else Freshness.ACCEPT

    def _show_missing_acked(self, proposal: Proposal) -> bool:
        candidate = self._candidates[proposal.block_hash]
        if candidate.holds_acked:
            return False
        contained = {txid for txid, _ in proposal.txs}
        missing = tuple(txid for txid in self._context.finality.acked_unarchived() if txid not in contained)
        # I am sealed: what I acked can only become less.
        candidate.holds_acked = not missing
        if missing:
            self._context.emit(fx.ShowTransactions(missing, proposal.signer))
        return bool(missing)

    # The machine's effects

    def pump(self) -> None:
        """Carry out what the machine asks for."""
        while self.decided is None and (effects := self.machine.take_effects()):
            for effect in effects:
                self._carry_out(effect)

    def _carry_out(self, effect: steps.Effect) -> None:
        context = self._context
        if isinstance(effect, steps.SetTimeout):
            context.emit(fx.WakeAt(context.now + effect.delay_ms, effect.timeout))
        elif isinstance(effect, steps.Sign):
            self._sign(effect.draft)
        elif isinstance(effect, steps.NeedValue):
            self._want_value(effect.round)
        elif isinstance(effect, steps.Decided):
            self._awaited = (effect.block_hash, effect.commit)
            self._decide_when_judged()
        elif isinstance(effect, steps.EnteredRound):
            self._forget_old()
        elif isinstance(effect, steps.WantProposal):
            context.emit(fx.WantProposal(self.number, effect.block_hash))
        elif isinstance(effect, steps.WantPol):
            context.emit(fx.WantPol(self.number, effect.round, effect.block_hash))
        elif isinstance(effect, steps.Equivocation):
            context.offence(effect)
        elif isinstance(effect, steps.Unjournaled):
            self.unjournaled = True
        elif isinstance(effect, steps.Broken):
            proofs = tuple(commit.encode() for commit in effect.commits)
            self.broken = proofs

    def _forget_old(self) -> None:
        """Blocks that the machine forgot are not judged, built on or repeated any more: they are large."""
        kept = {proposal.block_hash for proposal in self.machine.proposals.carried()}
        for message in self._heard:
            if isinstance(message, Proposal) and message.signer == self._context.signer:
                # When the machine begins again it must know my own, whoever shows them to me.
                self._proposed[message.round] = message.body()
        self._heard = [
            message for message in self._heard if not isinstance(message, Proposal) or message.block_hash in kept
        ]
        if self._awaited is not None:
            kept.add(self._awaited[0])
        self._candidates = {key: value for key, value in self._candidates.items() if key in kept}

    def _sign(self, draft: steps.Message) -> None:
        context = self._context
        if not context.may_sign or context.identity is None:
            return
        message = draft.signed(context.identity.sign(draft.digest))
        key = type(message), message.body()
        self._mine.add(key)
        # Whatever becomes of the permission to sign before it is durable: it is never drafted a second time.
        self._unwritten[key] = message
        if isinstance(message, Proposal):
            context.outbox.message(RecordKind.PROPOSAL, message)
        elif isinstance(message, Prevote):
            context.outbox.message(RecordKind.PREVOTE, message)
        else:
            self._journal_locked(message)
            context.outbox.message(RecordKind.PRECOMMIT, message)

    def _journal_locked(self, precommit: Precommit) -> None:
        candidate = self._candidates.get(precommit.block_hash)
        proposal = self.machine.proposal_of(precommit.block_hash)
        if candidate is None or proposal is None:
            return
        outbox = self._context.outbox
        outbox.record(RecordKind.PROPOSAL, proposal.encode())
        for known in candidate.known.values():
            outbox.body(known.tx)
        for tx in candidate.foreign.values():
            outbox.body(tx)
        prevotes = self.machine.prevotes_for(precommit.round, precommit.block_hash)
        outbox.record(RecordKind.POL, encode_list(vote.encode() for vote in prevotes))

    # My own values (R7, R9)

    def _want_value(self, round_: int) -> None:
        context, params = self._context, self._context.params
        wait = params.seal_wait + params.seal_wait_delta * round_
        self._wanted = _Wanted(round_, context.now + wait)
        if context.now >= context.slot_ms:
            context.seal()
        if context.finality.sealed:
            context.emit(fx.WakeAt(self._wanted.deadline, None))
        self.build_if_due()

    def build_if_due(self) -> None:
        """Build the value that I owe: an interim one at once, a closing one when the seals are there or the
        wait is over.
        """
        wanted, context = self._wanted, self._context
        if (
            wanted is None
            or wanted.job is not None
            or not context.may_sign
            or context.clock_is_wrong
            or self.machine.round != wanted.round
        ):
            return
        finality = context.finality
        unsealed = context.alive & ~finality.seals_mask
        if finality.sealed and unsealed and context.now < wanted.deadline:
            return
        self._build(wanted)

    def _build(self, wanted: _Wanted) -> None:
        context, ledger = self._context, self._context.ledger
        space = archiving.Room(context.params.max_block_bytes, context.params.max_block_txs)
        owed = context.finality.owed()
        chosen, complete = archiving.fill(context.finality.certified(), owed, space)
        closing = context.finality.sealed and complete
        if not closing and not chosen:
            return
        slot = schedule.fresh_slot(context.now, ledger.last_closing_slot, context.params.epoch_seconds)
        signer = context.signer
        assert signer is not None
        wanted.job = AssembleBlock(
            context.params,
            ledger,
            closing,
            slot if closing else ledger.last_closing_slot,
            signer,
            wanted.round,
            tuple(_block_tx(entry) for entry in chosen),
            self.last_commit,
            context.docket.choose(ledger),
        )
        context.emit(fx.RunJob(wanted.job))

    def _built(self, job: AssembleBlock, outcome: Assembled | Exception) -> None:
        wanted = self._wanted
        if wanted is None or wanted.job is not job:
            return
        self._wanted = None
        if isinstance(outcome, Exception):
            raise outcome
        content = Content.of(outcome.block)
        candidate = Candidate(content, job.proposer_index)
        candidate.missing.clear()
        candidate.known = {item.tx.txid: item for item in job.txs}
        candidate.judged(outcome)
        candidate.count_certificates(self._context.finality.is_backed)
        self._candidates[content.header.hash] = candidate
        self.machine.value(wanted.round, content, self._context.now)

    # Deciding (R11)

    def _decide_when_judged(self) -> None:
        if self._awaited is None or self.decided is not None:
            return
        block_hash, commit = self._awaited
        candidate = self._candidates.get(block_hash)
        if candidate is not None and candidate.assembled is not None:
            self.decided = (candidate.assembled, commit)


def _block_tx(entry: Entry) -> BlockTx:
    return BlockTx(entry.tx, entry.coins, entry.fee)

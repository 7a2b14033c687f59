"""
Blocks, sets and messages for tests of one height, and a bench on which a single machine is driven by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.steps import (
    Decided,
    Effect,
    Freshness,
    Message,
    NeedValue,
    SetTimeout,
    Sign,
    Timeout,
    TimeoutKind,
    Validity,
)
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.primitives.block import EMPTY_COMMIT, Header, evidence_hash
from timecoin.primitives.merkle import merkle_root

CHAIN_ID = bytes([7]) * 32
EPOCH = 3
HEIGHT = 9
PARAMS = Parameters()

E = TypeVar("E")


def digest(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


def power_set(powers: Sequence[int]) -> PowerSet:
    return PowerSet(
        Member(digest("id", i), b"\x02" + digest("key", i), power, b"") for i, power in enumerate(powers)
    )


def make_content(
    members: PowerSet,
    round_: int,
    tag: object = "",
    txs: tuple[bytes, ...] = (),
    closing: bool = True,
    proposer: int | None = None,
    height: int = HEIGHT,
) -> Content:
    coinbase = digest("coinbase", round_, tag)
    ids = tuple((txid, digest("witness", txid)) for txid in txs)
    header = Header(
        version=1,
        previous=digest("previous"),
        tx_root=merkle_root([coinbase, *txs]),
        slot_time=1_800_000_000,
        tx_count=1 + len(txs),
        chain_id=CHAIN_ID,
        height=height,
        epoch=EPOCH,
        closing=closing,
        wtx_root=merkle_root([coinbase, *(wtxid for _, wtxid in ids)]),
        last_commit_hash=EMPTY_COMMIT.hash,
        evidence_hash=evidence_hash(()),
        set_hash=members.set_hash,
        next_set_hash=members.set_hash,
        state_hash=digest("state"),
        utxo_commitment=digest("utxo"),
        proposer_index=round_ % len(members) if proposer is None else proposer,
        round=round_,
    )
    return Content(header, EMPTY_COMMIT, (), coinbase, ids)


def make_proposal(members: PowerSet, round_: int, content: Content, valid_round: int = NO_ROUND) -> Proposal:
    header = content.header
    head = ProposalHead(
        CHAIN_ID, EPOCH, members.set_hash, round_ % len(members), header.height, round_, valid_round,
        header.closing, header.hash, fake_signature(round_ % len(members)),
    )  # fmt: skip
    return Proposal(head, content)


def make_prevote(
    members: PowerSet, signer: int, round_: int, block: bytes, *, fresh: bool = False
) -> Prevote:
    place = (CHAIN_ID, EPOCH, members.set_hash, signer, HEIGHT, round_)
    return Prevote(*place, block, fake_signature(signer), fresh)


def make_precommit(members: PowerSet, signer: int, round_: int, block: bytes) -> Precommit:
    return Precommit(CHAIN_ID, EPOCH, members.set_hash, signer, HEIGHT, round_, block, fake_signature(signer))


def fake_signature(signer: int) -> bytes:
    return bytes([signer + 1]) * 64


class Checks:
    """Local checks by table; what is not in the tables is valid and acceptable."""

    def __init__(self) -> None:
        self.validities: dict[bytes, Validity] = {}
        self.verdicts: dict[bytes, Freshness] = {}
        self.demanded: set[bytes] = set()
        self.asked: list[bytes] = []

    def validity(self, proposal: Proposal) -> Validity:
        return self.validities.get(proposal.block_hash, Validity.VALID)

    def fresh(self, proposal: Proposal) -> Freshness:
        self.asked.append(proposal.block_hash)
        if self.demanded - {txid for txid, _ in proposal.txs}:
            return Freshness.REJECT
        return self.verdicts.get(proposal.block_hash, Freshness.ACCEPT)


class Bench:
    """One machine, signer ``me`` of a set, with everybody else played by the test.

    The proposer of round r is r mod n. What the machine signs is given back to it at once, unless ``durable``
    is False.
    """

    def __init__(
        self,
        cls: type[Height] = Height,
        me: int | None = 3,
        powers: Sequence[int] = (1, 1, 1, 1),
        *,
        durable: bool = True,
        members: PowerSet | None = None,
    ) -> None:
        self.members = members or power_set(powers)
        self.checks = Checks()
        self.durable = durable
        self.height = cls(
            params=PARAMS,
            chain_id=CHAIN_ID,
            epoch=EPOCH,
            height=HEIGHT,
            members=self.members,
            signer=me,
            proposer_of=lambda round_: round_ % len(self.members),
            checks=self.checks,
        )
        self.me = me
        self.effects: list[Effect] = []
        self.signed: list[Message] = []

    def start(self) -> Bench:
        self.height.start(0)
        return self.pump()

    def pump(self) -> Bench:
        while effects := self.height.take_effects():
            for effect in effects:
                self.effects.append(effect)
                if isinstance(effect, Sign):
                    assert self.me is not None
                    message = effect.draft.signed(fake_signature(self.me))
                    self.signed.append(message)
                    if self.durable:
                        self.give(message)
        return self

    def give(self, *messages: Message) -> Bench:
        for message in messages:
            if isinstance(message, Proposal):
                self.height.proposal(message)
            elif isinstance(message, Prevote):
                self.height.prevote(message)
            else:
                self.height.precommit(message)
        return self.pump()

    # What others say

    def block(self, round_: int, tag: object = "", **options: object) -> Content:
        return make_content(self.members, round_, tag, **options)  # type: ignore[arg-type]

    def propose(self, round_: int, content: Content, valid_round: int = NO_ROUND) -> Bench:
        return self.give(make_proposal(self.members, round_, content, valid_round))

    def prevote(self, round_: int, block: bytes, *signers: int) -> Bench:
        return self.give(*(make_prevote(self.members, signer, round_, block) for signer in signers))

    def precommit(self, round_: int, block: bytes, *signers: int) -> Bench:
        return self.give(*(make_precommit(self.members, signer, round_, block) for signer in signers))

    def expire(self, kind: TimeoutKind, round_: int) -> Bench:
        """The timer fires, provided it was set."""
        timeout = Timeout(kind, HEIGHT, round_)
        assert timeout in [effect.timeout for effect in self.of_type(SetTimeout)], f"{timeout} was never set"
        self.height.timeout(timeout)
        return self.pump()

    def poke(self) -> Bench:
        self.height.poke()
        return self.pump()

    # What came of it

    def of_type(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def my_prevote(self, round_: int) -> Prevote | None:
        return next((m for m in self.signed if isinstance(m, Prevote) and m.round == round_), None)

    def my_precommit(self, round_: int) -> Precommit | None:
        return next((m for m in self.signed if isinstance(m, Precommit) and m.round == round_), None)

    def prevoted(self, round_: int) -> bytes | None:
        """The block of my prevote, NIL, or None when there is none."""
        vote = self.my_prevote(round_)
        return None if vote is None else vote.block_hash

    def precommitted(self, round_: int) -> bytes | None:
        vote = self.my_precommit(round_)
        return None if vote is None else vote.block_hash

    @property
    def decided(self) -> bytes | None:
        decisions = self.of_type(Decided)
        assert len(decisions) <= 1
        return decisions[0].block_hash if decisions else None

    @property
    def asked_for_value(self) -> list[int]:
        return [effect.round for effect in self.of_type(NeedValue)]

    def lock_in_round_0(self) -> bytes:
        """Make me precommit a block of round 0."""
        content = self.block(0, "locked")
        block = content.header.hash
        self.start().propose(0, content).prevote(0, block, 0, 1)
        assert self.precommitted(0) == block
        return block

    def to_round(self, round_: int) -> Bench:
        """Everybody else precommitted nil in the round before."""
        return self.precommit(round_ - 1, NIL, 0, 1, 2)

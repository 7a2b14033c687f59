"""No honest node can be accused: whatever honest masternodes signed in random lives, with crashes, losses and
partitions, no two statements of theirs make evidence that verifies, however it is put together (protocol.md 3).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import combinations, product

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.memory_disk import Disk
from tests.consensus.participants import Network
from tests.consensus.test_participant_chaos import Trouble
from tests.ledger import builders
from tests.ledger.accusations import Culprit, every_kind
from timecoin.consensus.accusing import ack_after_seal, ack_left_out, double, rival_votes
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import SignedMessage
from timecoin.consensus.proposal import Content, Proposal, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.errors import BadEvidence
from timecoin.ledger.evidence import accused, is_refuted, signature_checks
from timecoin.ledger.evidence_kinds import Evidence, decode
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.ledger.state import LedgerState
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import Transaction

SEEDS = range(8)
MUTATIONS = 60

Maker = Callable[[], Evidence]


class Said:
    """Everything that was signed in a life, sorted by signer key, and the blocks that it was about."""

    def __init__(self, network: Network) -> None:
        self.transactions = network.watch.transactions
        self.contents: dict[bytes, Content] = {}
        self.bundles: dict[tuple[object, ...], list[Bundle]] = {}
        self.heads: dict[tuple[object, ...], list[ProposalHead]] = {}
        self.prevotes: dict[tuple[object, ...], list[Prevote]] = {}
        self.precommits: dict[tuple[object, ...], list[Precommit]] = {}
        for message in network.watch.signed:
            self._sort(message)

    def _sort(self, message: SignedMessage) -> None:
        if isinstance(message, Bundle):
            self._add(self.bundles, message)
        elif isinstance(message, Proposal):
            self.contents[message.block_hash] = message.content
            self._add(self.heads, message.head)
        elif isinstance(message, Prevote):
            self._add(self.prevotes, message)
        else:
            self._add(self.precommits, message)

    @staticmethod
    def _add(kind: dict, message: object) -> None:  # type: ignore[type-arg]
        said = kind.setdefault((message.epoch, message.set_hash, message.signer), [])  # type: ignore[attr-defined]
        if message not in said:
            said.append(message)

    # Every way to build evidence

    def attempts(self) -> Iterator[Maker]:
        """Makers for all pairs of statements of one signer, whether they fit or not."""
        for said in (self.heads, self.prevotes, self.precommits):
            for messages in said.values():
                for one, other in combinations(messages, 2):
                    yield partial(double, one, other)  # type: ignore[arg-type]
        for place, bundles in self.bundles.items():
            yield from self._of_bundles(bundles)
            yield from self._left_out(bundles, self.prevotes.get(place, []))

    def _of_bundles(self, bundles: list[Bundle]) -> Iterator[Maker]:
        for one, other in combinations(bundles, 2):
            yield partial(double, one.head(), other.head())
            yield partial(ack_after_seal, one.head(), other.head())
            yield partial(ack_after_seal, other.head(), one.head())
        votes = [(bundle, self.transactions[txid]) for bundle in bundles for txid in bundle.votes]
        for (first, one), (second, other) in combinations(votes, 2):
            yield partial(_rival_votes, first, one, second, other)

    def _left_out(self, bundles: list[Bundle], prevotes: list[Prevote]) -> Iterator[Maker]:
        acks = [(bundle, txid) for bundle in bundles for txid in bundle.acks]
        for (bundle, txid), prevote in product(acks, prevotes):
            for content in self._contents_for(prevote):
                leaves = (content.coinbase, *[each for each, _ in content.txs])
                yield partial(ack_left_out, bundle, txid, prevote, content.header, leaves)

    def _contents_for(self, prevote: Prevote) -> Iterable[Content]:
        """The block that it names, and one that it does not."""
        named = self.contents.get(prevote.block_hash)
        others = [content for content in self.contents.values() if content is not named][:1]
        return others if named is None else [named, *others]


def _rival_votes(first: Bundle, one: Transaction, second: Bundle, other: Transaction) -> Evidence:
    return rival_votes((one, other), (first, second))


class Court:
    """Judges evidence after each block of a chain, as the nodes did when it was the tip."""

    def __init__(self, network: Network) -> None:
        disk = max((node.disk for node in network.nodes), key=lambda each: each.ledger.height)
        self.disk: Disk = disk
        chain = builders.Chain(network.genesis)
        self.states: list[LedgerState] = [chain.state]
        for block, commit in zip(disk.blocks[1:], disk.commits[1:], strict=True):
            chain.apply(block, commit)
            self.states.append(chain.state)

    def archived_in(self, height: int, txid: bytes, epoch: int) -> int | None:
        place = self.disk.places.get(txid)
        if place is None or place[0] > height or self.disk.blocks[place[0]].header.epoch != epoch:
            return None
        return place[0]

    def convicts(self, piece: Evidence) -> bool:
        """At any height at all?"""
        return any(self._convicts(state, piece) for state in self.states)

    def _convicts(self, state: LedgerState, piece: Evidence) -> bool:
        try:
            member = accused(state, piece)
        except BadEvidence:
            return False
        if is_refuted(piece, partial(self.archived_in, state.height)):
            return False
        return check_all(builders.BACKEND, signature_checks(piece, member))


class HonestLivesTest(SynchronousTestCase):
    def test_nobody_is_convicted(self) -> None:
        made = refuted = 0
        for seed in SEEDS:
            life = Trouble(seed)
            self.assertTrue(life.run(), f"seed {seed}")
            court = Court(life.network)
            for attempt in Said(life.network).attempts():
                made += 1
                try:
                    piece = attempt()
                except NoOffence:
                    continue
                refuted += 1
                self.assertFalse(court.convicts(piece), f"seed {seed}: {piece}")
            for node in life.network.nodes:
                self.assertEqual(list(node.participant.pending_evidence()), [])
                self.assertEqual([piece for block in node.disk.blocks for piece in block.evidence], [])
        self.assertGreater(made, 10_000, "there was something to try")
        self.assertGreater(refuted, 10, "the chain's word was needed")

    def test_the_court_convicts(self) -> None:
        """What the test above does finds a liar, if there is one."""
        network = Network(4, seed=3).start()
        network.run_to_height(1)
        court = Court(network)
        culprit = Culprit(court.states[0], 2)
        for piece in every_kind(builders.Chain(network.genesis), culprit).values():
            self.assertTrue(court.convicts(piece), str(piece))

    def test_no_forgery_convicts(self) -> None:
        """Bytes of true evidence changed at random, cut and mixed; and honest statements put in its place."""
        network = Network(4, seed=3).start()
        network.run_to_height(1)
        court, chance = Court(network), random.Random(7)
        chain = builders.Chain(network.genesis)
        true = [piece.encode() for piece in every_kind(chain, Culprit(court.states[0], 2)).values()]
        true += [piece.encode() for piece in every_kind(chain, Culprit(court.states[0], 1)).values()]
        for raw in true:
            for _ in range(MUTATIONS):
                forged = _mutated(raw, chance, true)
                if forged in true:
                    continue
                try:
                    piece = decode(forged)
                except NoOffence:
                    continue
                self.assertFalse(court.convicts(piece), forged.hex())


def _mutated(raw: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    at = chance.randrange(len(raw))
    kind = chance.randrange(5)
    if kind == 0:
        return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]
    if kind == 1:
        return raw[:at] + raw[at + chance.randint(1, 40) :]
    if kind == 2:
        other = chance.choice(others)
        return raw[:at] + other[at : at + chance.randint(1, 250)] + raw[at + 250 :]
    if kind == 3:
        size = chance.choice((64, 70, 32, 4))
        other = chance.choice(others)
        start = chance.randrange(max(1, len(other) - size))
        return raw[:at] + other[start : start + size] + raw[at + size :]
    return raw[:at] + chance.randbytes(chance.randint(1, 8)) + raw[at + 1 :]

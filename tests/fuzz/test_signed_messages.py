"""A Byzantine signer may sign anything: nobody's node raises, halts or breaks a promise, and the chain goes on."""

from __future__ import annotations

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import payments, rivals
from tests.fuzz.choices import Choices
from tests.fuzz.effort import effort
from tests.fuzz.liar import Liar
from tests.ledger import builders
from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import SignedMessage
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.votes import Prevote
from timecoin.p2p import messages as wire
from timecoin.p2p.messages import MessageError

LIAR = 3


def as_wire(message: SignedMessage) -> wire.Message:
    """The message as a peer sends it."""
    if isinstance(message, Bundle):
        return wire.Bundles((message.encode(),))
    if isinstance(message, Proposal):
        return wire.Proposal(message.encode())
    if isinstance(message, Prevote):
        return wire.Votes(prevotes=(message.encode(),))
    return wire.Votes(precommits=(message.encode(),))


class Scenario:
    """Three honest nodes and a liar, who says what the choices say between pauses of any length."""

    def __init__(self, choices: Choices, seed: int) -> None:
        self.choices = choices
        self.network = Network(4, seed=seed, verifies=True)
        self.network.route = self._route
        self.network.start()
        self.network.run(500)
        signer = self.network[LIAR].participant.signer
        assert signer is not None
        self.network.watch.dishonest.add(signer)
        self.liar = Liar(OperatorIdentity(builders.operator(LIAR).secret, builders.BACKEND))
        self.honest = self.network.nodes[:LIAR]
        self.waiting = [*payments(self.network, 6), *rivals(self.network, 6)]
        self.told = 0

    def _route(self, link: Link, message: wire.Message) -> tuple[int, ...]:
        if link.source.index == LIAR or self.network.random.random() < 0.05:
            return ()
        return (self.network.random.randint(5, 60),)

    def play(self, steps: int) -> None:
        """Run the scenario; raises whatever a node does that it may not."""
        for _ in range(steps):
            if not self.choices:
                break
            self._step()
        for node in self.honest:
            if not node.up:
                node.boot()
        self.network.route = lambda link, message: () if link.source.index == LIAR else (10,)
        epoch = self.honest[0].participant.ledger.epoch
        assert self.network.run_to_epoch(epoch + 2, 120_000, self.honest), "the chain stands still"
        self.network.watch.finish(self.honest)
        halts = [alarm for node in self.honest for alarm in node.alarms if isinstance(alarm, fx.Halt)]
        assert not halts, halts

    def _step(self) -> None:
        choices, node = self.choices, self.choices.pick(self.honest)
        if not node.up:
            node.boot()
        if not self.liar.is_member(node):
            self.network.run(1_000)
            return
        what = choices.number(16)
        if what == 0:
            self.network.run(choices.pick((1, 50, 1_000, 3_000, 9_000)))
        elif what == 1 and self.waiting:
            node.offer(self.waiting.pop())
        elif what == 2 and choices.rarely():
            node.crash()
        elif what == 3:
            self._show_pol(node)
        else:
            self._say(node)
        self.network.run(choices.pick((0, 0, 5, 30)))

    def _say(self, node: Node) -> None:
        message = self.liar.message(node, self.choices)
        if message is None or not node.up:
            return
        self.told += 1
        link = node.links.get(LIAR)
        if link is not None and self.choices.number(2):
            try:
                frame = wire.decode(wire.KIND_OF[type(as_wire(message))].number, wire.encode_payload(as_wire(message)))
            except MessageError:
                return
            node.guard(lambda: node.intake.message(link, frame))  # type: ignore[arg-type]
        elif self._counts(node, message):
            node.guard(lambda: node.feed(partial(node.participant.receive, message, node.now_ms())))

    @staticmethod
    def _counts(node: Node, message: SignedMessage) -> bool:
        """Signatures are verified against a set, so only a message that names the set gets so far."""
        named = message.head.set_hash if isinstance(message, Proposal) else message.set_hash
        ledger = node.participant.ledger
        return named in (ledger.current.set_hash, ledger.tip_set.set_hash)

    def _show_pol(self, node: Node) -> None:
        members = node.participant.members
        votes = [vote for vote in self.liar.pol(node, self.choices) if vote.set_hash == members.set_hash]
        if votes and node.up:
            first = self.choices.pick(votes)
            round_ = self.choices.u32(first.round, first.round)
            node.guard(lambda: node.feed(partial(node.participant.pol, round_, first.block_hash, votes, node.now_ms())))


class LiarTest(SynchronousTestCase):
    def test_anything_signed(self) -> None:
        told = 0
        for seed in range(6 * effort()):
            scenario = Scenario(Choices.of_seed(seed, 20_000), seed)
            try:
                scenario.play(150)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
            told += scenario.told
        self.assertGreater(told, 100 * effort())

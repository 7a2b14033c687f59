"""Evidence on the wire: who is believed, who is punished, who is told."""

from __future__ import annotations

from dataclasses import replace

from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import Chain
from tests.node.fakes import NotedPeer
from tests.node.test_intake import IntakeTestCase
from timecoin.consensus.accusing import double
from timecoin.ledger.evidence_kinds import AckLeftOut, Evidence
from timecoin.p2p import messages as wire
from timecoin.simulation.memory_chain import Reader


class EvidenceTest(IntakeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.culprit = Culprit(self.participant.ledger, 3)
        self.peer = self.at_my_height(self.connect(1))

    def at_my_height(self, peer: NotedPeer, *, epoch: int = 1, height: int = 1) -> NotedPeer:
        status = wire.Status(epoch=epoch, height=height, round=0, step=0, tip_hash=bytes(32))
        self.send(peer, status)
        self.host.answer()
        peer.sent.clear()
        return peer

    def give(self, piece: Evidence | bytes, peer: NotedPeer | None = None) -> int:
        """How many questions it took."""
        encoded = piece if isinstance(piece, bytes) else piece.encode()
        self.send(peer or self.peer, wire.Evidence(encoded))
        answered = self.host.answer()
        self.announce()
        return answered

    @property
    def pending(self) -> list[Evidence]:
        return list(self.participant.pending_evidence())

    def test_every_kind_is_verified_taken_and_passed_on(self) -> None:
        chain = Chain(self.network.genesis)
        for name, piece in every_kind(chain, self.culprit).items():
            with self.subTest(name):
                self.setUp()
                others = [self.at_my_height(self.connect(number)) for number in (2, 4)]
                self.assertEqual(self.give(piece), 1)
                self.assertEqual(self.pending, [piece])
                for other in others:
                    self.assertEqual(other.take(wire.Evidence), [wire.Evidence(piece.encode())])
                self.assertEqual(self.peer.take(wire.Evidence), [], "it has it")
                self.assertEqual(self.peer.accused, [])

    def test_known_costs_nothing(self) -> None:
        piece, other = self.culprit.double_prevote(), self.at_my_height(self.connect(2))
        self.give(piece)
        for sender in (self.peer, other):
            self.assertEqual(self.give(piece, sender), 0)
            self.assertEqual(sender.accused, [])
        self.assertEqual(len(self.pending), 1)

    def test_false_accusations(self) -> None:
        good = self.culprit.double_prevote().encode()
        one, other = self.culprit.prevote(7, b"\1" * 32), self.culprit.prevote(7, b"\2" * 32)
        foreign = Culprit(self.participant.ledger, 3)
        foreign.place = (bytes(32), *foreign.place[1:])
        no_set = Culprit(self.participant.ledger, 3)
        no_set.place = (*no_set.place[:2], bytes(32), no_set.signer)
        for piece in (
            b"",
            b"?",
            good[:-1],
            good + b"\0",
            double(one, other.signed(bytes(64))),
            double(one.signed(other.signature), other),
            foreign.double_prevote(),
            no_set.double_bundle(),
        ):
            peer = self.connect(2)
            self.give(piece, peer)
            self.assertEqual(len(peer.accused), 1, piece)
            self.assertIn("a false accusation", peer.accused[0])
            self.assertEqual(self.pending, [])
            self.lose(peer)

    def test_refuted_by_the_chain(self) -> None:
        piece = every_kind(Chain(self.network.genesis), self.culprit)["ACK_LEFT_OUT"]
        assert isinstance(piece, AckLeftOut)
        asked: list[tuple[bytes, int]] = []

        def archived_in(reader: Reader, txid: bytes, epoch: int) -> int:
            asked.append((txid, epoch))
            return 0

        self.patch(Reader, "archived_in", archived_in)
        self.assertEqual(self.give(piece), 1)
        self.assertEqual(asked, [(piece.txid, 1)])
        self.assertEqual((len(self.peer.accused), self.pending), (1, []))
        self.assertFalse([reader for reader in self.network[0].readers if reader.open])

    def test_what_cannot_be_judged_is_no_offence(self) -> None:
        """A peer may be further than we are, or not as far."""
        for epoch in (0, 2, 7):
            self.culprit.place = (self.culprit.place[0], epoch, *self.culprit.place[2:])
            self.assertEqual(self.give(self.culprit.double_prevote()), 0)
        self.assertEqual((self.peer.accused, self.pending), ([], []))

    def test_a_bad_signature_does_not_taint_the_good_piece(self) -> None:
        votes = [self.culprit.prevote(7, bytes([n]) * 32) for n in (1, 2)]
        self.give(double(votes[0], votes[1].signed(bytes(64))))
        self.assertEqual(self.give(double(*votes), self.connect(2)), 1)
        self.assertEqual(len(self.pending), 1)

    def test_one_against_each(self) -> None:
        """A second piece is looked at only if it is better: of a later epoch, or much smaller."""
        small, large = self.culprit.double_precommit(), self.culprit.rival_votes(*self.rivals())
        self.assertEqual(self.give(large), 1)
        self.assertEqual(self.give(self.culprit.double_bundle()), 0)
        self.assertGreater(len(large.encode()), 2 * len(small.encode()) - 100)
        other = Culprit(self.participant.ledger, 2)
        self.assertEqual(self.give(other.double_bundle()), 1)
        self.assertEqual(len(self.pending), 2)
        self.assertEqual(self.peer.accused, [])

    def test_what_is_of_no_use_is_not_remembered_of_its_sender(self) -> None:
        """Who broke the protocol once can sign proofs of it without end; those under way at once are all verified."""
        for height in range(7, 27):
            self.send(self.peer, wire.Evidence(self.culprit.double_prevote(height).encode()))
        self.assertEqual(self.host.answer(), 20)
        view = self.gossip.view(self.peer)
        assert view is not None
        self.assertEqual(view.evidence, {piece.encode() for piece in self.pending})
        self.announce()
        self.assertEqual((self.peer.accused, self.peer.take(wire.Evidence)), ([], []))

    def rivals(self) -> tuple[object, object]:
        chain = Chain(self.network.genesis)
        one = chain.payment(chain.account(0), chain.account(1), 10**8)
        chain.reserved.clear()
        return one, chain.payment(chain.account(0), chain.account(1), 2 * 10**8)

    def test_whoever_connects_is_told_once_it_is_where_we_are(self) -> None:
        piece = self.culprit.double_prevote()
        self.give(piece)
        late = self.connect(2)
        self.assertEqual(late.take(wire.Evidence), [])
        for epoch, height, told in ((1, 5, []), (2, 1, []), (1, 1, [piece]), (1, 1, [])):
            self.send(late, wire.Status(epoch=epoch, height=height, round=0, step=0, tip_hash=bytes(32)))
            self.host.answer()
            self.assertEqual([message.evidence for message in late.take(wire.Evidence)], [p.encode() for p in told])

    def test_not_told_before_it_can_judge(self) -> None:
        behind = self.at_my_height(self.connect(2), height=0)
        self.give(self.culprit.double_prevote())
        self.assertEqual(behind.take(wire.Evidence), [])

    def test_a_masternode_jailed_meanwhile(self) -> None:
        """Between the question and the answer a block convicted it."""
        self.send(self.peer, wire.Evidence(self.culprit.double_prevote().encode()))
        ledger = self.participant.ledger

        window = self.participant._context.window
        window.ledger = replace(ledger, epoch_jailed=(self.culprit.id,))
        self.host.answer()
        self.assertEqual((self.pending, self.peer.accused), ([], []))
        self.assertEqual(self.give(self.culprit.double_bundle()), 0)


class LateBundleTest(IntakeTestCase):
    """Bundles of the epoch before prove things, and count nowhere."""

    def test_verified_by_the_set_of_their_epoch_and_once(self) -> None:
        network = self.network
        network.start(1, 2, 3)
        self.assertTrue(network.run_to_epoch(2))
        node = network[0]
        culprit = Culprit(network[0].participant.ledger, 3)
        culprit.place = (culprit.place[0], 1, network[0].participant.ledger.previous_set.set_hash, culprit.signer)
        link = node.links[1]
        late = culprit.bundle(700, acks=(b"\1" * 32,))
        shown: list[object] = []
        self.patch(node, "ask", lambda checks, answer: (shown.append(checks), answer(True)))
        for _ in range(3):
            node.intake.message(link, wire.Bundles((late.encode(),)))  # type: ignore[arg-type]
        self.assertEqual(len(shown), 1)
        self.assertEqual([piece.place.epoch for piece in node.participant.pending_evidence()], [1])

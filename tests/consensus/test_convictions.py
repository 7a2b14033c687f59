"""A masternode breaks the protocol in front of one honest node: all convict it, it leaves the set, the network goes on.

The liar's own node is honest; the test signs with its key besides, so that its statements contradict each other.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import payments, rivals
from tests.ledger.accusations import Culprit
from timecoin.consensus import context
from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.status import Status
from timecoin.ledger.assembly import assemble
from timecoin.ledger.evidence_kinds import Evidence, Kind, decode
from timecoin.ledger.params import Parameters
from timecoin.p2p import messages as wire

LIAR = 3


class ConvictionCase(SynchronousTestCase):
    """Four masternodes, ``self.liar`` is the last; nobody hears what is sent to its own node."""

    def setUp(self) -> None:
        parameters = Parameters.for_epoch_seconds(4, jail_epochs=3, unbonding_epochs=2, interim_txs=4)
        self.network = Network(4, seed=11, parameters=parameters, verifies=True).start()
        self.network.run(500)
        self.liar = Culprit(self.network[0].participant.ledger, LIAR)
        self.network.watch.dishonest.add(self.liar.signer)
        self.network.route = self._route

    @staticmethod
    def _route(link: Link, message: wire.Message) -> tuple[int, ...]:
        # Shown a message of its own key, the liar's node would fall silent and be absent from some of what follows.
        return () if link.target.index == LIAR and isinstance(message, wire.Bundles | wire.Evidence) else (10,)

    @property
    def honest(self) -> list[Node]:
        return self.network.nodes[:LIAR]

    def show(self, message: fx.SignedMessage, *indexes: int) -> None:
        for index in indexes or (0,):
            node = self.network[index]
            node.feed(lambda node=node: node.participant.receive(message, node.now_ms()))  # type: ignore[misc]

    def held(self, node: Node) -> list[Evidence]:
        return list(node.participant.pending_evidence())

    def assert_convicted(self, kind: Kind) -> None:
        """Everywhere on the docket, in one block, out of the set two epochs later; nobody else."""
        network, honest = self.network, self.honest
        network.run(300)
        for node in honest:
            self.assertEqual([piece.kind for piece in self.held(node)], [kind], str(node.index))
            accused = [alarm.proof for alarm in node.alarms if isinstance(alarm, fx.Misbehaviour)]
            self.assertEqual([proof for proof in accused if isinstance(proof, Evidence)], self.held(node))
            self.assertEqual(node.accused, [])
        epoch = honest[0].participant.ledger.epoch
        self.assertTrue(network.run_to_epoch(epoch + 1, 30_000, honest))
        self.assert_jailed(epoch)
        self.assertTrue(network.run_to_epoch(epoch + 2, 30_000, honest))
        for node in honest:
            members = [member.masternode_id for member in node.participant.members.members]
            self.assertEqual(len(members), 3)
            self.assertNotIn(self.liar.id, members)
        self.pay_and_go_on(epoch + 2)

    def assert_jailed(self, epoch: int) -> None:
        for node in self.honest:
            ledger = node.participant.ledger
            entry = ledger.registry.get(self.liar.id)
            assert entry is not None
            self.assertEqual((entry.status, entry.jailed), ("jailed", epoch))
            pieces = [piece for block in node.disk.blocks for piece in block.evidence]
            self.assertEqual([decode(piece).place.signer for piece in pieces], [self.liar.signer])
            self.assertEqual(self.held(node), [])

    def pay_and_go_on(self, epoch: int) -> None:
        network, honest = self.network, self.honest
        payment = payments(network, 8)[7]
        honest[1].submit(payment)
        self.assertTrue(network.run_to_epoch(epoch + 1, 30_000, honest))
        network.run(200)
        for node in honest:
            self.assertIn(payment.txid, node.disk.places)
            self.assertEqual(node.participant.ledger.state_hash, honest[0].participant.ledger.state_hash)
        network.watch.finish(honest)


class KindTests(ConvictionCase):
    def test_double_prevote(self) -> None:
        height = self.network[0].participant.height.height
        self.show(self.liar.prevote(height, b"\1" * 32))
        self.assertEqual(self.held(self.network[0]), [])
        self.show(self.liar.prevote(height, bytes(32), fresh=False))
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_double_precommit(self) -> None:
        height = self.network[0].participant.height.height
        self.show(self.liar.precommit(height, b"\1" * 32))
        self.show(self.liar.precommit(height, bytes(32)))
        self.assert_convicted(Kind.DOUBLE_PRECOMMIT)

    def proposal(self, round_: int, slot: int) -> Proposal:
        participant = self.network[0].participant
        ledger = participant.ledger
        block = assemble(
            participant.params,
            ledger,
            closing=True,
            slot_time=ledger.last_closing_slot + slot * participant.params.epoch_seconds,
            proposer_index=self.liar.signer,
            round=round_,
            txs=(),
            last_commit=self.network[0].disk.commits[-1],
        ).block
        place = (*self.liar.place, block.header.height, round_, NO_ROUND, True, block.header.hash)
        bare = ProposalHead(*place)
        return Proposal(ProposalHead(*place, self.liar.identity.sign(bare.digest)), Content.of(block))

    def test_double_proposal(self) -> None:
        machine = self.network[0].participant.height
        if machine.proposer(0) != self.liar.signer and machine.proposer(1) != self.liar.signer:
            self.network.run_to_height(1)
            self.network.run(100)
            self.liar = Culprit(self.network[0].participant.ledger, LIAR)
            machine = self.network[0].participant.height
        round_ = next(n for n in range(3) if machine.proposer(n) == self.liar.signer)
        for slot in (1, 2):
            self.show(self.proposal(round_, slot))
        self.assert_convicted(Kind.DOUBLE_PROPOSAL)

    def test_double_bundle(self) -> None:
        self.show(self.liar.bundle(1, b"\1" * 32))
        self.show(self.liar.bundle(1, b"\2" * 32))
        self.assert_convicted(Kind.DOUBLE_BUNDLE)

    def test_ack_after_seal(self) -> None:
        self.show(self.liar.bundle(1, seal=True))
        self.show(self.liar.bundle(2, acks=(b"\1" * 32,)))
        self.assert_convicted(Kind.ACK_AFTER_SEAL)

    def test_votes_for_rivals(self) -> None:
        payment, rival = rivals(self.network, 0)
        self.network[0].submit(payment)
        self.network[1].submit(rival)
        self.network.run(30)
        for tx in (payment, rival):
            self.assertIn(tx.txid, self.network[2].participant.finality.pool)
            self.show(self.liar.bundle(7 + (tx is rival), tx.txid), 2)
        self.network.run(10)
        self.assertEqual([piece.kind for piece in self.held(self.network[2])], [Kind.RIVAL_VOTES])
        self.assert_convicted(Kind.RIVAL_VOTES)

    def test_votes_for_many_rivals(self) -> None:
        """Evidence is made of one pair: of each it would take longer than the bundles take to make."""
        network, node = self.network, self.network[2]
        pairs = [rivals(network, number) for number in range(3)]
        for payment, rival in pairs:
            network[0].submit(payment)
            network[1].submit(rival)
        network.run(30)
        with patch.object(context, "evidence_of", side_effect=context.evidence_of) as made:
            for side in (0, 1):
                self.show(self.liar.bundle(7 + side, *[pair[side].txid for pair in pairs]), 2)
        self.assertEqual(made.call_count, 1)
        self.assertEqual(len([alarm for alarm in node.alarms if isinstance(alarm, fx.Misbehaviour)]), 1)
        self.assert_convicted(Kind.RIVAL_VOTES)

    def test_vote_for_a_rival_that_was_rejected(self) -> None:
        payment, rival = rivals(self.network, 0)
        self.network[0].submit(payment)
        self.network[1].submit(rival)
        self.network.run(200)
        for node in self.honest:
            self.assertTrue(node.participant.finality.status(payment.txid).status is Status.FINAL)  # type: ignore[union-attr]
            self.assertNotIn(rival.txid, node.participant.finality.pool)
        self.show(self.liar.bundle(7, payment.txid))
        self.show(self.liar.bundle(8, rival.txid))
        self.assert_convicted(Kind.RIVAL_VOTES)

    def test_vote_for_one_that_is_archived(self) -> None:
        """The rival's body came when the payment was final; that vote turns up after the interim block."""
        network, node = self.network, self.network[0]
        network.route = lambda link, message: () if link.source.index == LIAR else (10,)
        payment, rival = rivals(network, 0)
        node.submit(payment)
        network.run(300)
        self.show(self.liar.bundle(8, rival.txid))
        node.offer(rival)
        self.assertNotIn(rival.txid, node.participant.finality.pool)
        self.assertEqual(self.held(node), [])
        node.submit(*payments(network, 8)[1:7])
        self.assertTrue(network.run_to_height(1, 3_000, self.honest))
        self.assertFalse(node.disk.blocks[1].header.closing)
        self.assertIn(payment.txid, node.disk.places)
        self.show(self.liar.bundle(9, payment.txid))
        self.assertEqual([piece.kind for piece in self.held(node)], [Kind.RIVAL_VOTES])


class LeftOutTests(ConvictionCase):
    """The liar's node prevotes freshly for an honest closing block; it acked something else, as the test says."""

    @staticmethod
    def _route(link: Link, message: wire.Message) -> tuple[int, ...]:
        # Its own seal would make its late acks another offence.
        is_mute = link.source.index == LIAR and isinstance(message, wire.Bundles)
        return () if is_mute else ConvictionCase._route(link, message)

    def bundle(self) -> Bundle:
        return self.liar.bundle(1, acks=(b"\1" * 32, b"\2" * 32))

    def assert_nobody_is_accused(self) -> None:
        self.network.run(200)
        for node in self.honest:
            self.assertEqual(self.held(node), [])
            self.assertEqual([piece for block in node.disk.blocks for piece in block.evidence], [])

    def test_ack_first(self) -> None:
        self.show(self.bundle(), 0, 1, 2)
        self.assertEqual([self.held(node) for node in self.honest], [[], [], []])
        self.assertTrue(self.network.run(8_000, lambda: all(len(self.held(node)) for node in self.honest)))
        self.assert_convicted(Kind.ACK_LEFT_OUT)

    def test_ack_shown_after_the_decision(self) -> None:
        self.network.run_to_epoch(2)
        self.show(self.bundle(), 1)
        self.assertEqual([len(self.held(node)) for node in self.honest], [0, 1, 0])
        self.assert_convicted(Kind.ACK_LEFT_OUT)

    def test_ack_too_late(self) -> None:
        """Two epochs later there is nothing left that anybody could verify."""
        self.network.run_to_epoch(3)
        self.show(self.bundle(), 1)
        self.assert_nobody_is_accused()

    def test_what_the_block_holds_is_no_offence(self) -> None:
        payment = payments(self.network, 1)[0]
        self.network[0].submit(payment)
        self.network.run(300)
        self.show(self.liar.bundle(1, acks=(payment.txid,)), 0, 1, 2)
        self.network.run_to_epoch(2)
        self.show(self.liar.bundle(2, acks=(payment.txid,)), 0, 1, 2)
        self.assert_nobody_is_accused()

    def test_what_an_interim_block_holds_is_no_offence(self) -> None:
        paid = payments(self.network, 4)
        self.network[0].submit(*paid)
        self.assertTrue(self.network.run_to_height(1))
        self.assertFalse(self.network[0].disk.blocks[1].header.closing)
        self.network.run_to_epoch(2)
        self.show(self.liar.bundle(1, acks=tuple(tx.txid for tx in paid)), 0, 1, 2)
        self.assert_nobody_is_accused()


class LifeTests(ConvictionCase):
    """What becomes of a piece between the moment it is made and the block that holds it."""

    def offend(self, *indexes: int) -> None:
        height = self.network[0].participant.height.height
        self.show(self.liar.prevote(height, b"\1" * 32), *indexes)
        self.show(self.liar.prevote(height, b"\2" * 32), *indexes)

    def cut_off(self, index: int) -> None:
        others = {0, 1, 2, LIAR} - {index}
        self.network.groups = [others, {index}]

    def test_the_accuser_crashes_before_anybody_heard(self) -> None:
        self.cut_off(0)
        self.offend()
        self.network.run(100)
        self.assertEqual(len(self.held(self.network[0])), 1)
        self.assertEqual([self.held(node) for node in self.honest[1:]], [[], []])
        self.network[0].crash()
        self.network.run(500)
        self.network.groups.clear()
        self.network[0].boot()
        self.assertEqual(len(self.held(self.network[0])), 1)
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_the_accuser_crashes_after_the_border(self) -> None:
        """Carried over into the next segment of the journal, it is good for one epoch more."""
        for node in self.honest:
            node.participant._context.docket.choose = lambda state: ()  # type: ignore[method-assign]
        self.network[LIAR].participant._context.docket.choose = lambda state: ()  # type: ignore[method-assign]
        self.offend()
        self.network.run_to_epoch(2)
        self.assertEqual([len(self.held(node)) for node in self.honest], [1, 1, 1])
        for node in self.network.nodes:
            node.crash()
        for node in self.network.nodes:
            node.boot()
        self.network.run(500)
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_it_expires(self) -> None:
        for node in self.network.nodes:
            node.participant._context.docket.choose = lambda state: ()  # type: ignore[method-assign]
        self.offend()
        self.network.run_to_epoch(2)
        self.assertEqual([len(self.held(node)) for node in self.honest], [1, 1, 1])
        self.network.run_to_epoch(3)
        self.network.run(100)
        for node in self.honest:
            self.assertEqual(self.held(node), [])
            self.assertEqual(node.accused, [])

    def test_who_connects_later_is_told(self) -> None:
        self.network[2].crash()
        self.offend()
        self.network.run(300)
        self.network[2].boot()
        self.network.run(300)
        self.assertEqual(len(self.held(self.network[2])), 1)
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_who_lags_is_told_when_it_is_there(self) -> None:
        """It connects while it cannot judge yet what the others hold."""
        self.network[2].crash()
        self.network.run_to_epoch(2, nodes=self.honest[:2])
        self.liar = Culprit(self.network[0].participant.ledger, LIAR)
        self.offend()
        self.network.run(200)
        self.network[2].boot()
        self.network.run(1_500)
        self.assertEqual(len(self.held(self.network[2])), 1)
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_each_is_relayed_once(self) -> None:
        sent: list[tuple[int, int]] = []

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            if isinstance(message, wire.Evidence):
                sent.append((link.source.index, link.target.index))
            return self._route(link, message)

        self.network.route = route
        self.offend()
        self.network.run(2_000)
        self.assertEqual(len(sent), len(set(sent)))

    def test_one_piece_is_enough(self) -> None:
        """More of the same adds nothing to memory, journal or wire."""
        self.offend()
        height = self.network[0].participant.height.height
        journal = len(self.network[0].disk.journal)
        for round_ in range(1, 4):
            self.show(self.liar.precommit(height, b"\1" * 32, round_))
            self.show(self.liar.precommit(height, b"\2" * 32, round_))
        self.network.run(200)
        self.assertEqual([len(self.held(node)) for node in self.honest], [1, 1, 1])
        kinds = [record[0] for record in self.network[0].disk.journal[journal:]]
        self.assertLessEqual(kinds.count(9), 1)

    def test_prevotes_shown_apart(self) -> None:
        """One to each of two nodes, which both hear from the liar directly."""
        height = self.network[0].participant.height.height
        for index, block_hash in enumerate((b"\1" * 32, b"\2" * 32, b"\2" * 32)):
            self.show(self.liar.prevote(height, block_hash), index)
        self.assert_convicted(Kind.DOUBLE_PREVOTE)

    def test_precommits_shown_apart(self) -> None:
        """Each honest node saw one of them; the commit of the block brings them together."""
        network = self.network

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            if link.source.index == LIAR and isinstance(message, wire.Votes):
                return ()
            return self._route(link, message)

        network.route = route
        network.run(
            8_000,
            lambda: any(node.participant.height.round == 0 and node.participant.height.started for node in self.honest),
        )
        height = network[0].participant.height.height
        self.show(self.liar.precommit(height, bytes(32)), 0)
        network.run(5_000, lambda: bool(network[1].participant.height.proposals.of_round(0)))
        proposal = network[1].participant.height.proposals.of_round(0)
        assert proposal is not None
        self.show(self.liar.precommit(height, proposal.block_hash), 1, 2)
        self.assertTrue(network.run_to_height(height, 10_000, self.honest))
        self.assertTrue(network.run(10_000, lambda: any(self.held(node) for node in self.honest)))

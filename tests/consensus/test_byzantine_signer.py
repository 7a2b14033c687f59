"""One masternode of four shows its statements to one node alone, in whatever form is hardest to pass on: the
chain goes on, and what that node acked is archived.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import chain_of, payments, rivals
from tests.ledger import builders
from timecoin.consensus import tally
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction

LIAR = 3


class ShownToOneTest(SynchronousTestCase):
    """Nodes 0 and 1 vote for a payment, node 2 for its rival: the liar's vote makes a certificate, at node 0."""

    def setUp(self) -> None:
        self.network = Network(4, seed=5).start()
        self.network.run(500)
        liar = self.network[LIAR].participant.signer
        assert liar is not None
        self.liar = liar
        self.network.watch.dishonest.add(liar)
        self.network.route = self._route
        self.payment, self.rival = rivals(self.network, 0)

    @staticmethod
    def _route(link: Link, message: wire.Message) -> tuple[int, ...]:
        return () if link.source.index == LIAR else (10,)

    def bundle(self, sequence: int, *votes: bytes, acks: tuple[bytes, ...] = (), seal: bool = False) -> Bundle:
        ledger = self.network[0].participant.ledger
        place = ledger.chain_id, ledger.epoch, ledger.current.set_hash
        bundle = Bundle(*place, self.liar, sequence, seal, votes, acks)
        secret = builders.operator(LIAR).secret
        return bundle.signed(OperatorIdentity(secret, builders.BACKEND).sign(bundle.digest))

    def show(self, bundle: Bundle, *indexes: int) -> None:
        for index in indexes:
            node = self.network[index]
            node.feed(lambda node=node: node.participant.receive(bundle, node.now_ms()))

    def offer(self, node: Node, tx: Transaction) -> None:
        """As a user would, so that this node votes before it hears of the other spend."""
        node.submit(tx)

    def vote(self) -> None:
        for index, tx in enumerate((self.payment, self.payment, self.rival)):
            self.offer(self.network[index], tx)
        self.network.run(300)

    def assert_goes_on(self) -> None:
        honest = self.network.nodes[:LIAR]
        self.network.run(1_000)
        self.assertIn(self.payment.txid, honest[0].participant.finality.acked_unarchived())
        self.assertTrue(self.network.run_to_epoch(2, 60_000, honest))
        self.network.run(100)
        for node in honest:
            self.assertIn(self.payment.txid, node.disk.places)
        self.network.watch.finish(honest)

    def test_with_a_gap(self) -> None:
        """What comes before it was never made: nobody gets the number without a gap that sync goes by."""
        self.vote()
        self.show(self.bundle(5, self.payment.txid), 0)
        self.assert_goes_on()

    def test_far_ahead(self) -> None:
        self.vote()
        self.show(self.bundle(1_000_000, self.payment.txid), 0)
        self.assert_goes_on()

    def test_under_a_number_used_twice(self) -> None:
        """The others have a bundle of that number, another one."""
        self.vote()
        self.show(self.bundle(1, self.payment.txid), 0)
        self.show(self.bundle(1, self.rival.txid), 1, 2)
        self.assert_goes_on()

    def test_behind_an_allowance_used_up(self) -> None:
        """The others have no room for statements of the liar about unknown bodies; this one is known."""
        self.vote()
        with patch.object(tally, "MAX_UNKNOWN", 3):
            self.show(self.bundle(1, *[bytes([n]) * 32 for n in range(1, 4)]), 1, 2)
            self.show(self.bundle(2, self.payment.txid), 0)
            self.assert_goes_on()

    def test_what_an_ack_rests_on_survives(self) -> None:
        """The node that acked crashes at once; its certificate was on disk with the ack."""
        for sequence in (5, 1_000_000):
            with self.subTest(sequence=sequence):
                self.setUp()
                self.vote()
                self.show(self.bundle(sequence, self.payment.txid), 0)
                self.network.run(1_000)
                self.network[0].crash()
                self.network[0].boot()
                self.network.run(100)
                self.assertTrue(self.network[0].participant.finality.has_certificate(self.payment.txid))
                self.assert_goes_on()

    def test_payments_of_others_are_final_meanwhile(self) -> None:
        self.vote()
        self.show(self.bundle(5, self.payment.txid), 0)
        other = payments(self.network, 2)[1]
        self.network[2].submit(other)
        self.network.run(1_000)
        for node in self.network.nodes[:LIAR]:
            self.assertTrue(node.participant.finality.ack_power(other.txid) * 3 > node.participant.members.total * 2)
        self.assert_goes_on()

    def test_child_acked_alone(self) -> None:
        """The others are sealed and ack nothing; the liar's seal holds a child and not its parent."""
        network, honest = self.network, self.network.nodes[:LIAR]
        parent, child = chain_of(network, 2)
        lossy = lambda link, message: () if isinstance(message, wire.Proposal) else self._route(link, message)  # noqa: E731
        network.route = lossy
        network.run(network[0].participant.slot_ms - network.now + 50)
        self.assertTrue(all(node.participant.finality.sealed for node in honest))
        for tx in (parent, child):
            network[0].submit(tx)
            network.run(100)
        self.show(self.bundle(1, acks=(child.txid,), seal=True), 0, 1, 2)
        network.run(100)
        network.route = self._route
        self.assertTrue(network.run_to_epoch(2, 60_000, honest))

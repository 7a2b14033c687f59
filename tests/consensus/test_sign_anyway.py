"""The operator's override of a silent masternode (protocol.md section 4, *Journal*)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network


class SignAnywayTest(SynchronousTestCase):
    def test_ends_the_silence_at_once(self) -> None:
        network = Network(4).start()
        self.assertTrue(network.run_to_epoch(2))
        node = network[3]
        self.assertFalse(node.participant.silenced)
        node.crash()
        node.disk.settle(9)
        node.boot()
        network.run(2_000)
        self.assertTrue(node.participant.silenced)
        self.assertFalse(node.participant.may_sign)
        node.feed(lambda: node.participant.sign_anyway(node.now_ms()))
        self.assertTrue(node.participant.may_sign)
        self.assertFalse(node.participant.silenced)
        # It is needed, and signs.
        network[0].crash()
        network.restart_after = None
        self.assertTrue(network.run_to_epoch(4, nodes=network.nodes[1:]))

    def test_waits_for_the_exchange_of_state(self) -> None:
        network = Network(4).start()
        self.assertTrue(network.run_to_epoch(2))
        for node in network.nodes[1:]:
            node.crash()
        node = network[3]
        node.disk.settle(9)
        node.boot()
        node.feed(lambda: node.participant.sign_anyway(node.now_ms()))
        network.run(1_000)
        self.assertFalse(node.participant.may_sign or node.participant.silenced)
        network.start(1)
        self.assertTrue(network.run(3_000, lambda: node.participant.may_sign))

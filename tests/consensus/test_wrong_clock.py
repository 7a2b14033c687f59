"""A masternode whose clock is far from the others' does everything but propose (protocol.md section 9)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network
from timecoin.ledger.rotation import proposer

MINUTE = 60_000


class WrongClockTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network(4).start()
        self.tolerance = self.network.genesis.parameters.clock_tolerance

    def next_proposer(self) -> int:
        ledger = self.network[0].participant.ledger
        return proposer(ledger.current, ledger.priorities, 0)

    def decide(self) -> tuple[int, int]:
        """Signer and round of the next block."""
        self.assertTrue(self.network.run_to_height(self.network[0].height + 1, MINUTE))
        header = self.network[0].participant.ledger.header
        return header.proposer_index, header.round

    def test_others_propose(self) -> None:
        for offset in (self.tolerance + 1, -self.tolerance - 1):
            wrong = self.next_proposer()
            participant = self.network[wrong].participant
            participant.clock_offset(offset)
            self.assertTrue(participant.clock_is_wrong)
            signer, round_ = self.decide()
            self.assertNotEqual(signer, wrong)
            self.assertGreater(round_, 0)
            self.assertTrue(self.network[wrong].participant.may_sign)
            participant.clock_offset(None)
            self.assertFalse(participant.clock_is_wrong)
        self.network.close()

    def test_within_the_tolerance_it_proposes(self) -> None:
        for offset in (self.tolerance, -self.tolerance, 0, None):
            expected = self.next_proposer()
            for node in self.network.nodes:
                node.participant.clock_offset(offset)
                self.assertFalse(node.participant.clock_is_wrong)
            self.assertEqual(self.decide(), (expected, 0))

    def test_set_right_in_time_it_still_proposes(self) -> None:
        network, wrong = self.network, self.next_proposer()
        participant = network[wrong].participant
        participant.clock_offset(self.tolerance + 1)
        network.run(participant.slot_ms - network.now + network.genesis.parameters.timeout_propose // 2)
        self.assertEqual(participant.height.round, 0)
        participant.clock_offset(0)
        self.assertEqual(self.decide(), (wrong, 0))

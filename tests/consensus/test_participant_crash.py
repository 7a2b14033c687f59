"""Crashes at every write of a short life, of one node and of all at once: what is on disk is enough to go
on.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network
from tests.consensus.scenarios import archived_everywhere, chain_of, payments
from timecoin.consensus.effects import Change
from timecoin.consensus.records import RecordKind, decode_record
from timecoin.ledger.params import Parameters

PARAMETERS = Parameters.for_epoch_seconds(4, interim_txs=3)


def short_life(masternodes: int = 4, seed: int = 1) -> Network:
    """Five payments, an interim block among them, and two closing blocks."""
    network = Network(masternodes, seed=seed, parameters=PARAMETERS)
    first, second, third = payments(network, 4)[1:]
    child, grandchild = chain_of(network, 2)
    for n, tx in enumerate((first, child, second, grandchild, third)):
        node = network[n % masternodes]
        network.after(300 * n, lambda node=node, tx=tx: node.offer(tx))
    return network.start()


class CrashTest(SynchronousTestCase):
    def assert_recovers(self, network: Network) -> None:
        self.assertTrue(network.run_to_epoch(4, 40_000), "no progress after the crash")
        network.close()
        self.assertEqual([node.alarms for node in network.nodes], [[] for _ in network.nodes])

    def test_every_write_of_one_node(self) -> None:
        baseline = short_life()
        baseline.run_to_epoch(3)
        writes = baseline[1].disk.writes
        self.assertGreater(writes, 20)
        for number in range(writes):
            # Before and after in turn: after one write and before the next differ in what is on the wire only.
            network = short_life()
            network[1].disk.crash_at = (number, number % 2 == 1)
            self.assert_recovers(network)

    def test_every_write_of_one_alone(self) -> None:
        """Nobody else remembers anything: the disk alone must do."""
        baseline = short_life(1)
        baseline.run_to_epoch(3)
        for number in range(baseline[0].disk.writes):
            for done in (False, True):
                network = short_life(1)
                network[0].disk.crash_at = (number, done)
                self.assert_recovers(network)

    def test_power_cut(self) -> None:
        """All at once, at many moments: nobody's memory is left."""
        for moment in range(0, 6_000, 310):
            network = short_life(seed=moment)
            network.run(moment)
            for node in network.nodes:
                node.crash()
            network.after(100, lambda network=network: network.start() and None)
            self.assert_recovers(network)

    def test_crash_again_and_again(self) -> None:
        network = short_life(seed=7)
        for n in range(12):
            network.run(450)
            network[n % 3].crash()
            network.after(200, network[n % 3].boot)
        self.assert_recovers(network)


class RestartTest(SynchronousTestCase):
    def test_final_is_told_once(self) -> None:
        network = Network(4).start()
        (tx,) = payments(network, 1)
        network[1].submit(tx)
        network.run(1_000)
        self.assertEqual(network[0].told(Change.FINAL), [tx.txid])
        network[0].crash()
        network[0].boot()
        network.run(1_000)
        self.assertEqual(network[0].told(Change.FINAL), [tx.txid])

    def test_pending_survives(self) -> None:
        """What was submitted while nobody could vote is announced after the restart and carried over
        borders.
        """
        network = Network(4).start()
        network.run_to_epoch(2)
        network.groups = [{0}, {1, 2, 3}]
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(200)
        network[0].crash()
        network.run_to_epoch(4, nodes=network.nodes[1:])
        network[0].boot()
        network.run(500)
        network.groups = []
        self.assertTrue(network.run_to_epoch(6))
        self.assertTrue(archived_everywhere(network, tx))
        network.close()

    def test_pending_is_carried_when_the_journal_rotates(self) -> None:
        network = Network(4).start()
        network.run_to_epoch(2)
        network.groups = [{0}, {1}, {2}, {3}]
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(200)
        network[0].crash()
        network.groups = []
        network.run_to_epoch(3, nodes=network.nodes[1:])
        network[0].boot()
        network.route = lambda link, message: (
            () if type(message).__name__ in ("Tx", "Inv", "Bundles") else (10,)
        )
        self.assertTrue(network.run_to_epoch(4))
        network.run(100)
        records = [decode_record(record) for record in network[0].disk.journal]
        carried = [record for record in records if record.kind is RecordKind.PENDING]
        self.assertEqual(len(carried), 1)

    def test_stored_but_not_rotated(self) -> None:
        """The closing block is durable, the journal still that of the epoch before."""
        network = Network(4).start()
        node = network[0]
        (tx,) = payments(network, 1)
        node.submit(tx)
        rotate = node.disk.rotate

        def cut(carry: object) -> None:
            node.disk.rotate = rotate  # type: ignore[method-assign]
            node.disk.crash_at = (node.disk.writes, False)
            node.disk.write(lambda: None)

        node.disk.rotate = cut  # type: ignore[method-assign]
        network.run_to_epoch(2)
        network.run(1_000)
        self.assertEqual(node.life, 2)
        self.assertTrue(network.run_to_epoch(4))
        self.assertEqual(node.life, 2)
        network.close()

    def test_stored_messages_are_sent_again(self) -> None:
        """A proposal that nobody got before its proposer died is shown afterwards, not made anew."""
        network = Network(4, seed=2).start()
        network.run_to_epoch(2)
        network.run(6_000)
        proposer = next(n for n in network.nodes if n.participant.height.proposer(0) == n.participant.signer)
        network.groups = [{proposer.index}]
        self.assertTrue(network.run(6_000, lambda: bool(proposer.participant.height.proposals.of_round(0))))
        before = proposer.participant.height.proposals.of_round(0)
        proposer.crash()
        proposer.boot()
        network.groups = []
        self.assertTrue(network.run_to_epoch(3))
        assert before is not None
        self.assertEqual(proposer.disk.blocks[2].header.hash, before.block_hash)
        network.close()

"""Networks of whole participants: payments become final, are archived, and everybody holds the same chain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network
from tests.consensus.scenarios import archived_everywhere, chain_of, final_everywhere, payments, rivals
from tests.ledger import builders
from timecoin.consensus.effects import Change
from timecoin.ledger.params import Parameters
from timecoin.ledger.tiers import Tier


class LifeTest(SynchronousTestCase):
    def assert_same_chains(self, network: Network) -> None:
        network.close()
        self.assertEqual(len({node.disk.ledger.encode() for node in network.nodes}), 1)
        self.assertEqual([node.alarms for node in network.nodes], [[] for _ in network.nodes])
        self.assertFalse([reader for node in network.nodes for reader in node.readers if reader.open])

    def test_one_alone(self) -> None:
        """A network of one works by all the rules."""
        network = Network(1, verifies=True).start()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        self.assertTrue(network.run(100, lambda: final_everywhere(network, tx)))
        self.assertTrue(network.run_to_epoch(4))
        self.assertEqual(network[0].disk.places[tx.txid], (1, 1))
        self.assertEqual([block.header.closing for block in network[0].disk.blocks], [True] * 4)
        self.assert_same_chains(network)

    def test_payment(self) -> None:
        """Three message delays to finality; the closing block archives it; reported once, with its time."""
        network = Network(4, verifies=True, followers=1).start()
        network.run(300)
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        self.assertTrue(network.run(80, lambda: final_everywhere(network, tx)))
        self.assertTrue(network.run_to_epoch(3))
        for node in network.nodes:
            self.assertEqual(node.disk.places[tx.txid], (1, 1))
            for change in (Change.CERTIFIED, Change.FINAL, Change.ARCHIVED):
                self.assertEqual(node.told(change), [tx.txid])
            final = next(report for report in node.reports if report.change is Change.FINAL)
            assert final.milliseconds is not None
            self.assertLess(final.milliseconds, 80)
            archived = next(report for report in node.reports if report.change is Change.ARCHIVED)
            self.assertEqual((archived.height, archived.milliseconds), (1, final.milliseconds))
        self.assert_same_chains(network)

    def test_everybody_is_paid(self) -> None:
        """The next block's last commit names all, precommits that came after the decision too."""
        network = Network(4).start()
        self.assertTrue(network.run_to_epoch(4))
        for block in network[0].disk.blocks[2:]:
            self.assertEqual([signer for signer, _ in block.last_commit.signatures], [0, 1, 2, 3])

    def test_interim_blocks(self) -> None:
        """Under load the epoch is archived bit by bit; votes, acks and seal go on as if nothing had been."""
        network = Network(4, parameters=Parameters.for_epoch_seconds(8, interim_txs=3), accounts=14).start()
        txs = payments(network, 14)
        for n, tx in enumerate(txs):
            network.after(100 * n, lambda tx=tx, n=n: network[n % 4].submit(tx))
        self.assertTrue(network.run(3_000, lambda: final_everywhere(network, *txs)))
        self.assertTrue(network.run_to_epoch(3))
        kinds = [block.header.closing for block in network[0].disk.blocks[1:]]
        self.assertIn(False, kinds)
        self.assertTrue(archived_everywhere(network, *txs))
        self.assert_same_chains(network)

    def test_chain_of_payments(self) -> None:
        """Each spends the one before; they come to different nodes, in any order."""
        network = Network(4).start()
        txs = chain_of(network, 10)
        for n, tx in enumerate(txs):
            network.after(60 * n, lambda tx=tx, n=n: network[n % 4].submit(tx))
        self.assertTrue(network.run(2_000, lambda: final_everywhere(network, *txs)))
        self.assertTrue(network.run_to_epoch(2))
        self.assertTrue(archived_everywhere(network, *txs))
        self.assert_same_chains(network)

    def test_unequal_powers(self) -> None:
        genesis = builders.network(
            tiers=[Tier.GOLD, Tier.GOLD, Tier.GOLD, Tier.GOLD, Tier.SILVER, Tier.BRONZE],
            parameters=Parameters.for_epoch_seconds(8),
        )
        network = Network(6, genesis=genesis).start()
        (tx,) = payments(network, 1)
        network[5].submit(tx)
        self.assertTrue(network.run(300, lambda: final_everywhere(network, tx)))
        self.assertTrue(network.run_to_epoch(3))
        self.assert_same_chains(network)

    def test_rivals(self) -> None:
        """Signed twice at the same moment: never two finals, and after the epoch the coin is decided."""
        for seed in range(6):
            network = Network(4, seed=seed).start()
            network.run(300)
            one, two = rivals(network, 0)
            network[seed % 2].submit(one)
            network[2 + seed % 2].submit(two)
            self.assertTrue(network.run_to_epoch(4))
            where = [node.disk.places for node in network.nodes]
            self.assertEqual([(one.txid in places) + (two.txid in places) for places in where], [1] * 4)
            loser = one if two.txid in where[0] else two
            self.assertIn(loser.txid, network.watch.rejected)
            self.assert_same_chains(network)

    def test_follower_reports_the_same(self) -> None:
        network = Network(4, followers=1).start()
        txs = payments(network, 5)
        for tx in txs:
            network[4].submit(tx)
        self.assertTrue(network.run_to_epoch(2))
        follower, master = network[4], network[0]
        self.assertFalse(follower.participant.may_sign)
        for change in (Change.CERTIFIED, Change.FINAL, Change.ARCHIVED):
            self.assertEqual(set(follower.told(change)), set(master.told(change)))
            self.assertEqual(len(follower.told(change)), len(txs))
        self.assert_same_chains(network)

    def test_late_node_adopts(self) -> None:
        """A masternode that was never there reads the chain from its peers, then takes part."""
        network = Network(4, accounts=4)
        network.start(0, 1, 2)
        txs = payments(network, 3)
        for tx in txs:
            network[0].submit(tx)
        self.assertTrue(network.run_to_epoch(5, nodes=network.nodes[:3]))
        network.start(3)
        self.assertTrue(network.run_to_height(network[0].height, 3_000))
        self.assertTrue(archived_everywhere(network, *txs))
        # Its directory is new and the network not in its first epoch: silent through the open one and the next.
        self.assertTrue(network.run(6_000, lambda: network[3].disk.barred > 0))
        silent = network[3].disk.barred
        self.assertEqual(silent, network[0].disk.ledger.epoch + 1)
        self.assertFalse(network[3].participant.may_sign)
        self.assertTrue(network.run_to_epoch(silent + 1))
        self.assertTrue(network[3].participant.may_sign)
        network[1].crash()
        late = payments(network, 4)[3]
        network[3].submit(late)
        self.assertTrue(
            network.run_to_epoch(network[0].disk.ledger.epoch + 2, nodes=[network[3], network[0]])
        )
        self.assertIn(late.txid, network[0].disk.places)

    def test_pauses_without_quorum(self) -> None:
        """Two of four away: no finality, no block; one returns: everything that waited goes on."""
        network = Network(4).start()
        network.run_to_epoch(2)
        network[2].crash()
        network[3].crash()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        height = network[0].height
        network.run(40_000)
        self.assertEqual([node.height for node in network.nodes[:2]], [height] * 2)
        self.assertEqual(network[0].told(Change.CERTIFIED), [])
        network[2].boot()
        alive = network.nodes[:3]
        self.assertTrue(network.run_to_height(height + 2, 30_000, alive))
        self.assertTrue(all(tx.txid in node.disk.places for node in alive))
        network.watch.finish(alive)

    def test_partition_heals(self) -> None:
        network = Network(4, seed=3).start()
        network.run_to_epoch(2)
        network.groups = [{0, 1}, {2, 3}]
        one, two = payments(network, 2)
        network[0].submit(one)
        network[2].submit(two)
        network.run(20_000)
        self.assertFalse(any(node.told(Change.FINAL) for node in network.nodes))
        network.groups = []
        self.assertTrue(network.run_to_height(network[0].height + 3))
        self.assertTrue(archived_everywhere(network, one, two))
        self.assert_same_chains(network)

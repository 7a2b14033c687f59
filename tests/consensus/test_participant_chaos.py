"""Random schedules: loss, duplication, reordering, partitions, crashes, rivals; in all of them one chain, no
lies.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import chain_of, payments
from timecoin.ledger.params import Parameters
from timecoin.p2p import messages as wire
from timecoin.primitives.amounts import COIN

SEEDS = 25
TROUBLE_MS = 16_000
ACCOUNTS = 9


class Trouble:
    """One random life: trouble first, then fair weather in which everything must settle."""

    def __init__(self, seed: int) -> None:
        self.random = chance = random.Random(seed)
        masternodes = chance.choice((1, 3, 4, 4, 4, 5, 7))
        parameters = Parameters.for_epoch_seconds(4, interim_txs=chance.choice((2, 3, 1_000)))
        self.network = network = Network(
            masternodes,
            seed=seed,
            followers=chance.choice((0, 1)),
            parameters=parameters,
            accounts=ACCOUNTS,
        )
        self.end = network.now + TROUBLE_MS
        self.loss = chance.choice((0.0, 0.05, 0.2))
        self.doubles = chance.choice((0.0, 0.1))
        self.spread = chance.choice((20, 150, 600))
        network.route = self.route
        network.start()
        self._submit_all()
        self._crash_some()
        if chance.random() < 0.5:
            network.after(chance.randint(0, TROUBLE_MS), self.part)

    def route(self, link: Link, message: wire.Message) -> list[int]:
        if self.network.now >= self.end:
            return [self.random.randint(1, 20)]
        delays = [] if self.random.random() < self.loss else [self.random.randint(1, self.spread)]
        if self.random.random() < self.doubles:
            delays.append(self.random.randint(1, 2 * self.spread))
        return delays

    def _submit_all(self) -> None:
        network = self.network
        plain = payments(network, ACCOUNTS)
        rivals = payments(network, ACCOUNTS, 2 * COIN)[1:4]
        for tx in (*plain[1:], *rivals, *chain_of(network, 5)):
            node = self.random.choice(network.nodes)
            when = self.random.randint(0, TROUBLE_MS * 2 // 3)
            network.after(when, lambda node=node, tx=tx: node.offer(tx))

    def _crash_some(self) -> None:
        for _ in range(self.random.choice((0, 2, 5))):
            node = self.random.choice(self.network.nodes)
            self.network.after(self.random.randint(0, TROUBLE_MS), lambda node=node: self.crash(node))

    def crash(self, node: Node) -> None:
        if node.up:
            node.crash()
            self.network.after(self.random.randint(100, 4_000), lambda: None if node.up else node.boot())

    def part(self) -> None:
        nodes = list(range(len(self.network.nodes)))
        self.random.shuffle(nodes)
        middle = self.random.randint(1, len(nodes))
        self.network.groups = [set(nodes[:middle]), set(nodes[middle:])]
        self.network.after(self.random.randint(500, 6_000), self.network.groups.clear)

    def run(self) -> bool:
        """False when the network did not go on once the trouble was over."""
        network = self.network
        network.run(TROUBLE_MS + 6_000)
        epoch = max(node.participant.ledger.epoch for node in network.nodes if node.up)
        return network.run_to_epoch(epoch + 2, 30_000)


class ChaosTest(SynchronousTestCase):
    def test_seeds(self) -> None:
        for seed in range(SEEDS):
            life = Trouble(seed)
            self.assertTrue(life.run(), f"seed {seed} does not go on")
            life.network.close()
            for node in life.network.nodes:
                self.assertEqual(node.alarms, [], f"seed {seed}")
                self.assertFalse([reader for reader in node.readers if reader.open], f"seed {seed}")

    def test_same_seed_same_life(self) -> None:
        one, two = Trouble(3), Trouble(3)
        one.run()
        two.run()
        self.assertEqual(one.network.watch.statements, two.network.watch.statements)
        self.assertEqual(one.network.watch.blocks, two.network.watch.blocks)

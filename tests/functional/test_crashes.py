"""kill -9 at random moments: the node comes back and never contradicts what it signed (protocol.md 4)."""

from __future__ import annotations

import random

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.functional.load import SETTLED, Load
from tests.functional.observer import Observer
from tests.functional.support import Devnet, FunctionalCase, Node, together
from tests.functional.test_agreement import agreed_chain
from tests.functional.testimony import ArchivedBlock, Testimony
from timecoin.primitives.hashes import parse_display

EPOCH = 4
KILLS = 5


class CrashTests(FunctionalCase):
    async def test_one_node_killed_again_and_again(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        observer = Observer(net)
        self.addCleanup(observer.stop)
        observer.start()
        await observer.connected(4)
        load = Load(net, rate=20)
        load.start(self)
        victim = net.nodes[1]
        await self._torment(net, victim, random.Random(20))
        await load.stop()
        self.assertEqual([], load.refused)
        await together(load.all_in(node, SETTLED, 30) for node in net.nodes)
        await together(load.all_in(node, ("archived",), 40) for node in net.nodes)
        blocks = await self._blocks(net)
        await observer.stop()
        await together(node.stop() for node in net.nodes)
        self._judge(net, observer.testimony, blocks)

    async def _torment(self, net: Devnet, victim: Node, dice: random.Random) -> None:
        for _ in range(KILLS):
            await deferLater(reactor, dice.uniform(0.2, 2.5))  # a random moment is what is wanted here
            victim.kill()
            await deferLater(reactor, dice.uniform(0.0, 1.0))
            victim.start()
            # Sometimes it is killed again while it still starts.
            if dice.random() < 0.8:
                await net.votes([victim], 40)
        await net.votes([victim], 40)

    async def _blocks(self, net: Devnet) -> list[ArchivedBlock]:
        top = min(await together(node.height() for node in net.nodes))
        chain = await agreed_chain(net.nodes, top)
        return [
            ArchivedBlock(block["height"], [parse_display(tx["txid"]) for tx in block["tx"]])
            for block in chain
        ]

    def _judge(self, net: Devnet, testimony: Testimony, blocks: list[ArchivedBlock]) -> None:
        heard = [testimony.count(signer) for signer in range(4)]
        for node in net.nodes:
            self.assertGreater(testimony.read_journal(node.files.data_dir, net.genesis.chain_id), 0)
        self.assertGreater(min(heard), 50)
        self.assertEqual(0, testimony.forged)
        self.assertEqual([], testimony.contradictions(blocks))

"""Nodes that come late or come back: they sync, and tell the same of every transaction (protocol.md 10)."""

from __future__ import annotations

from tests.functional.load import SETTLED, Load
from tests.functional.support import Devnet, FunctionalCase, Node, together, until
from tests.functional.test_agreement import agreed_chain

EPOCH = 4
UNBONDING = 3
"""Epochs: who was away for longer is one that joins, and so is a fresh node of a network that is older."""


class JoiningTests(FunctionalCase):
    async def test_a_late_follower_and_a_masternode_that_was_away(self) -> None:
        net = self.devnet(4, EPOCH, unbonding_epochs=UNBONDING)
        await net.up()
        away, others = net.nodes[3], net.nodes[:3]
        await away.stop()
        load = Load(net, rate=10, nodes=others)
        load.start(self)
        start = await others[0].epoch()
        await until(lambda: self._reached(others[0], start + UNBONDING + 2), "it was away for long", 60)
        follower = await self._join(net, others)
        away.start()
        await net.votes([away])
        await self._same_statuses(load, [*net.nodes])
        await load.stop()
        self.assertEqual([], load.refused)
        await together(load.all_in(node, ("archived",)) for node in net.nodes)
        await agreed_chain(net.nodes, await others[0].height())
        await self._takes_part(net, away)
        for node in (away, follower):
            self._compared_peers(node)
        info = await follower.call("getconsensusinfo")
        self.assertEqual((None, False), (info["signer"], info["voting"]))

    async def _reached(self, node: Node, epoch: int) -> bool:
        return await node.epoch() >= epoch

    def _compared_peers(self, node: Node) -> None:
        """Before it believed anything."""
        text = node.files.log.read_text(encoding="utf-8")
        self.assertIn(f"is older than {UNBONDING} epochs", text)
        self.assertIn("returning ends: the chain here leads to it", text)
        self.assertNotIn("Traceback", text)

    async def _join(self, net: Devnet, others: list[Node]) -> Node:
        """A follower that knows one node finds all, and catches up while blocks go on."""
        follower = net.follower(others[:1])
        follower.start()
        await follower.answers()
        await follower.reaches(await others[0].height())

        async def knows_all() -> bool:
            connected = {each["node_id"] for each in await follower.call("getpeerinfo")}
            return connected >= {node.files.node_id for node in others}

        await until(knows_all, "the follower is connected with every masternode that runs")
        return follower

    async def _same_statuses(self, load: Load, nodes: list[Node]) -> None:
        """A payment that is sent now is final at every node, also when the follower takes it."""
        for node in nodes:
            tx = load.wallet.payment()
            await node.call("sendrawtransaction", tx.raw.hex())
            txid = tx.txid[::-1].hex()
            for each in nodes:
                answer = await each.patiently("waitforfinality", txid, 30_000)
                self.assertIn(answer["status"], SETTLED, f"sent to {node.name}, asked {each.name}")

    async def _takes_part(self, net: Devnet, node: Node) -> None:
        """The one that was away signs blocks again: the commits of others' blocks name it."""
        signer = (await node.call("getconsensusinfo"))["signer"]
        self.assertIsNotNone(signer)

        async def proposes() -> bool:
            height = await net.nodes[0].height()
            hashes = [
                await net.nodes[0].call("getblockhash", each)
                for each in range(max(1, height - 3), height + 1)
            ]
            headers = [await net.nodes[0].call("getblockheader", each) for each in hashes]
            return signer in [header["proposer_index"] for header in headers if header["round"] == 0]

        await until(proposes, "it proposes blocks again")

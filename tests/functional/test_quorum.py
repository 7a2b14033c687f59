"""Without a third of the power the network stops; when it returns, it goes on (protocol.md 0, promise 3)."""

from __future__ import annotations

import time

from tests.functional.load import SETTLED, Load
from tests.functional.support import Devnet, FunctionalCase, together, until
from tests.functional.test_agreement import agreed_chain

EPOCH = 4


class QuorumTests(FunctionalCase):
    async def test_two_of_four_down(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        up, down = net.nodes[:2], net.nodes[2:]
        load = Load(net, rate=10)
        before = load.wallet.payment()
        await up[0].call("sendrawtransaction", before.raw.hex())
        await self._final(net, before.txid[::-1].hex())
        down[0].kill()
        await down[1].stop()
        orphaned = await self._stands_still(net, load)
        down[0].start()
        await net.votes([*up, down[0]])
        three = [*up, down[0]]
        for node in three:
            for txid in orphaned:
                answer = await node.patiently("waitforfinality", txid, 30_000)
                self.assertIn(answer["status"], SETTLED)
        height = await up[0].height()
        await together(node.reaches(height + 2) for node in three)
        await together(load.all_in(node, ("archived",)) for node in three)
        await agreed_chain(three, height + 2)

    async def _stands_still(self, net: Devnet, load: Load) -> list[str]:
        """Payments to the two that are left come no further than pending, and no block does."""
        up = net.nodes[:2]
        heights = [await node.height() for node in up]
        load.start(self)

        async def slot_is_past() -> bool:
            infos = await together(node.call("getconsensusinfo") for node in up)
            return all(info["sealed"] and time.time() > info["next_slot"] + EPOCH for info in infos)

        await until(slot_is_past, "the next slot is past by an epoch")
        await load.stop()
        self.assertEqual([], load.refused)
        self.assertGreater(len(load.sent), 5)
        txids = [each.txid for each in load.sent]
        for node in up:
            self.assertEqual({"pending"}, set(await together(node.status(txid) for txid in txids)))
            info = await node.call("getconsensusinfo")
            self.assertFalse(info["voting"])
        late = [await node.height() for node in up]
        # The block that was under way when the third one left may still have been decided.
        self.assertLessEqual(max(late) - min(heights), 1)
        return txids

    async def _final(self, net: Devnet, txid: str) -> None:
        for node in net.nodes:
            answer = await node.patiently("waitforfinality", txid, 30_000)
            self.assertIn(answer["status"], SETTLED)

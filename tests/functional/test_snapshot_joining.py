"""Nodes that join an old network by a snapshot, as processes (protocol.md section 10)."""

from __future__ import annotations

from tests.functional.load import Load
from tests.functional.support import Devnet, FunctionalCase, Node, until

EPOCH = 4


class SnapshotJoiningTests(FunctionalCase):
    timeout = 200

    async def test_a_follower_joins_by_a_snapshot(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        load = Load(net, rate=10)
        load.start(self)
        await self._snapshot_is_held(net)
        follower = joiner(net, net.nodes[:4])
        follower.start()
        await follower.answers(60)
        self.assertIn("joining by the snapshot", follower.files.log.read_text())
        self.assertIn("the snapshot is in place", follower.files.log.read_text())
        await follower.reaches(await net.nodes[0].height())
        await load.stop()
        await self._same_coins(net.nodes[0], follower)

    async def _snapshot_is_held(self, net: Devnet) -> None:
        async def held() -> bool:
            return await net.nodes[0].epoch() > 8

        await until(held, "a snapshot is made", 80)

    async def _same_coins(self, one: Node, other: Node) -> None:
        async def same() -> bool:
            infos = [await each.call("gettxoutsetinfo") for each in (one, other)]
            return infos[0]["height"] == infos[1]["height"] and infos[0] | {"disk_size": 0} == infos[1] | {
                "disk_size": 0
            }

        await until(same, "both tell the same of all coins", 20)


def joiner(net: Devnet, pinned: list[Node], sync: str = "ahead_epochs = 2") -> Node:
    """A follower with a [sync] section."""
    node = net.follower(pinned)
    with node.files.config.open("a", encoding="utf-8") as file:
        file.write(f"[sync]\n{sync}\n")
    return node

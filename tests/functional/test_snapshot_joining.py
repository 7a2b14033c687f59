"""Nodes that join an old network by a snapshot, as processes (protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.functional.load import Load
from tests.functional.relay import Relay
from tests.functional.support import Devnet, FunctionalCase, Node, together, until
from timecoin.p2p import messages as wire
from timecoin.primitives.block import HEADER_SIZE, Header

EPOCH = 4
OLD = 10
"""The epoch in which the network is old enough: two snapshots were made, and an epoch closed since."""


class SnapshotJoiningTests(FunctionalCase):
    timeout = 240

    async def test_joining(self) -> None:
        """By a snapshot older than the trusted block, through a crash; among liars; and by blocks where those
        are wanted.
        """
        net = self.devnet(4, EPOCH)
        await net.up()
        load = Load(net, rate=10)
        load.start(self)
        await until(lambda: self._reached(net, OLD), "the network is old", 90)
        follower = joiner(net, net.nodes, f"ahead_epochs = 2\ntrusted = {await self._newest(net)}")
        follower.start()
        await self._crashes_once(follower)
        others = [follower, await self._among_liars(net), await self._by_blocks(net)]
        await load.stop()
        self.assertEqual([], load.refused)
        await together(self._same_coins(net.nodes[0], other) for other in others)
        self._tells_how_it_joined(*others)

    async def _reached(self, net: Devnet, epoch: int) -> bool:
        return await net.nodes[0].epoch() >= epoch

    async def _newest(self, net: Devnet) -> str:
        """The newest block, whatever it is, as the section [sync] wants it: what an operator copies from another."""
        height = await net.nodes[0].height()
        return f"{height}:{await net.nodes[0].call('getblockhash', height)}"

    async def _crashes_once(self, node: Node) -> None:
        """kill -9 while it joins; the next start goes on."""
        await until(lambda: "joining from the trusted block" in text(node), f"{node.name} joins", 40)
        node.kill()
        node.start()
        await node.answers(60)

    async def _among_liars(self, net: Devnet) -> Node:
        """Two honest peers, and five that lie, stall, boast and forge."""
        relays = [
            Relay(net, net.nodes[0], lie, boast)
            for lie, boast in (
                (wrong_chunk, 0),
                (wrong_chunk, 0),
                (silent, 5_000),
                (forged_headers, 50_000),
                (wrong_blocks, 0),
            )
        ]
        for relay in relays:
            self.addCleanup(relay.stop)
            await relay.start()
        node = joiner(net, net.nodes[2:4], "ahead_epochs = 2", relays)
        node.start()
        await node.answers(100)
        # Which of them is asked for what is chance; tests/node/test_snapshot_sync.py has each lie for itself.
        self.assertGreater(sum(relay.lied for relay in relays), 0)
        await node.reaches(await net.nodes[0].height())
        return node

    async def _by_blocks(self, net: Devnet) -> Node:
        """All blocks are wanted, and in the end all of them are there."""
        node = joiner(net, net.nodes[:4], "ahead_epochs = 2\nmode = blocks")
        node.start()
        await node.answers(60)
        await node.reaches(await net.nodes[0].height() - 1)
        self.assertFalse((await node.call("getblockchaininfo"))["pruned"])
        return node

    async def _same_coins(self, one: Node, other: Node) -> None:
        async def same() -> bool:
            mine, theirs = [await each.call("gettxoutsetinfo") | {"disk_size": 0} for each in (one, other)]
            return bool(mine == theirs)

        await until(same, f"{one.name} and {other.name} tell the same of all coins", 30)

    def _tells_how_it_joined(self, by_anchor: Node, among_liars: Node, by_blocks: Node) -> None:
        for node in (by_anchor, among_liars):
            self.assertIn("the snapshot is in place", text(node))
        self.assertIn("is older than the trusted block: following headers down to it", text(by_anchor))
        self.assertNotIn("no trusted block is given", text(by_anchor))
        self.assertIn("no trusted block is given", text(among_liars))
        self.assertIn("blocks are fetched, not a snapshot", text(by_blocks))
        for node in (by_anchor, among_liars, by_blocks):
            self.assertNotIn("Traceback", text(node))

    async def test_nobody_holds_a_snapshot(self) -> None:
        """Then it fetches all blocks."""
        net = self.devnet(2, EPOCH)
        for each in net.nodes:
            config = each.files.config.read_text(encoding="utf-8")
            self.assertNotIn("[storage]", config)
            each.files.config.write_text(f"{config}\n[storage]\nsnapshots = no\n", encoding="utf-8")
        await net.up()
        await until(lambda: self._reached(net, 6), "the network is old", 60)
        node = joiner(net, net.nodes, "ahead_epochs = 2")
        node.start()
        await node.answers(60)
        self.assertIn("no peer holds a snapshot", text(node))
        await node.reaches(await net.nodes[0].height())
        self.assertFalse((await node.call("getblockchaininfo"))["pruned"])
        await self._same_coins(net.nodes[0], node)

    async def test_a_trusted_hash_that_contradicts_the_chain_here(self) -> None:
        """One clear line, and no start."""
        net = self.devnet(1, EPOCH)
        await net.up()
        await net.nodes[0].reaches(1)
        await net.nodes[0].stop()
        with net.nodes[0].files.config.open("a", encoding="utf-8") as file:
            file.write(f"\n[sync]\ntrusted = 1:{'ab' * 32}\n")
        net.nodes[0].start()
        assert net.nodes[0].child is not None
        self.assertEqual(1, await net.nodes[0].child.ended(30))
        self.assertIn(f"1:{'ab' * 32} is trusted", net.nodes[0].child.text)


def joiner(net: Devnet, pinned: Iterable[Node], sync: str, relays: Iterable[Relay] = ()) -> Node:
    """A follower with a [sync] section, that also knows ``relays``."""
    node = net.follower(pinned)
    config = node.files.config.read_text(encoding="utf-8")
    config = config.replace("peers = ", "peers = " + "".join(f"{each.pinned} " for each in relays))
    node.files.config.write_text(f"{config}[sync]\n{sync}\n", encoding="utf-8")
    return node


def text(node: Node) -> str:
    """Its log."""
    return node.files.log.read_text(encoding="utf-8") if node.files.log.exists() else ""


# Lies


def wrong_chunk(answer: wire.Message) -> wire.Message:
    if not isinstance(answer, wire.Chunk):
        return answer
    return wire.Chunk(answer.snapshot, answer.index, answer.data[:-1] + bytes([answer.data[-1] ^ 1]))


def wrong_blocks(answer: wire.Message) -> wire.Message:
    if not isinstance(answer, wire.Blocks):
        return answer
    return wire.Blocks(tuple(wire.BlockWithCommit(each.block[:-1] + b"?", each.commit) for each in answer.blocks))


def silent(answer: wire.Message) -> None:
    return None


def forged_headers(answer: wire.Message) -> wire.Message:
    if not isinstance(answer, wire.ClosingHeaders):
        return answer
    links = []
    for link in answer.links:
        header = Header.decode(link.header[:HEADER_SIZE])
        links.append(wire.ClosingParts(replace(header, round=header.round + 1).encode(), link.commit, link.members))
    return wire.ClosingHeaders(answer.from_epoch, tuple(links))

"""A coin signed twice: never two finals, and usable again after the epoch (protocol.md R1 to R5)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.functional.load import SETTLED, Load, change_of, pay
from tests.functional.support import Devnet, FunctionalCase, Node, together, until
from tests.functional.test_agreement import agreed_chain
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.client import RpcFailure

EPOCH = 4
PAIRS = 12


@dataclass
class Pair:
    """Two payments of one coin, and those that nodes took."""

    coin: OwnedCoin
    rivals: tuple[Transaction, Transaction]
    taken: int = 0

    @property
    def txids(self) -> list[str]:
        """As displayed."""
        return [display(tx.txid) for tx in self.rivals]


class RivalTests(FunctionalCase):
    async def test_a_coin_signed_twice(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        seen = [(await node.call("getfinalityevents", 0, 0, 1))["last"] for node in net.nodes]
        load = Load(net, rate=10)
        load.start(self)
        dice = random.Random(3)
        pairs = []
        for number in range(PAIRS):
            pairs.append(await self._send_pair(net, load, dice))
            if number % 3 == 2:
                # Another epoch, so that pairs meet every part of one.
                height = await net.nodes[0].height()
                await net.nodes[0].reaches(height + 1)
        self.assertGreater(sum(pair.taken == 2 for pair in pairs), PAIRS // 2)
        winners = [await self._winner(net, pair) for pair in pairs]
        await self._usable_again(net, winners)
        await load.stop()
        self.assertEqual([], load.refused)
        await together(load.all_in(node, ("archived",)) for node in net.nodes)
        await agreed_chain(net.nodes, await net.nodes[0].height())
        for node, since in zip(net.nodes, seen, strict=True):
            await self._one_final(node, since, pairs)

    async def _send_pair(self, net: Devnet, load: Load, dice: random.Random) -> Pair:
        coin = load.wallet.take()
        rivals = pay(coin, dice.randbytes(32)), pay(coin, dice.randbytes(32))
        pair = Pair(coin, rivals)

        async def send(node: Node, tx: Transaction) -> None:
            try:
                await node.call("sendrawtransaction", tx.raw.hex())
                pair.taken += 1
            except RpcFailure as failure:
                # The other one of the pair was there first, and it is too late for this one.
                assert failure.code in (-25, -26), failure

        nodes = dice.sample(net.nodes, 2)
        await together(send(node, tx) for node, tx in zip(nodes, rivals, strict=True))
        return pair

    async def _winner(self, net: Devnet, pair: Pair) -> tuple[OwnedCoin, Transaction]:
        """The one that is archived, everywhere the same; the other is rejected or was never known."""

        async def decided() -> list[str]:
            words = [[await node.status(txid) for txid in pair.txids] for node in net.nodes]
            archived = {tuple(word == "archived" for word in each) for each in words}
            return words if len(archived) == 1 and any(next(iter(archived))) else []  # type: ignore[return-value]

        words = await until(decided, f"one of {pair.txids} is archived everywhere", 4 * EPOCH + 20)
        won = words[0].index("archived")
        for each in words:
            self.assertIn(each[1 - won], ("rejected", "unknown"))
        return pair.coin, pair.rivals[won]

    async def _usable_again(self, net: Devnet, winners: list[tuple[OwnedCoin, Transaction]]) -> None:
        """What was left of each coin pays at once."""
        again = [pay(change_of(tx, coin), b"\x05" * 32) for coin, tx in winners]
        await together(net.nodes[0].call("sendrawtransaction", tx.raw.hex()) for tx in again)
        for tx in again:
            answer = await net.nodes[2].patiently("waitforfinality", display(tx.txid), 20_000)
            self.assertIn(answer["status"], SETTLED)

    async def _one_final(self, node: Node, since: int, pairs: list[Pair]) -> None:
        """The node has told of at most one final, and of one archived transaction, of each pair."""
        events = []
        while (page := await node.call("getfinalityevents", since, 0))["events"]:
            self.assertFalse(page["missed"])
            events += page["events"]
            since = events[-1]["n"]
        told = {word: {event["txid"] for event in events if event["status"] == word} for word in SETTLED}
        for pair in pairs:
            settled = [told["final"] & set(pair.txids), told["archived"] & set(pair.txids)]
            self.assertLessEqual(len(settled[0]), 1)
            self.assertEqual(1, len(settled[1]))
            self.assertEqual(1, len(settled[0] | settled[1]), f"{node.name}: {pair.txids}")

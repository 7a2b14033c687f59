"""Four masternodes under load: one chain, all final, nothing lost, no coin too many (protocol.md 0)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.functional.load import SETTLED, Load
from tests.functional.support import Devnet, FunctionalCase, Node, together, until
from timecoin.ledger.rewards import reward
from timecoin.primitives.amounts import COIN

EPOCH = 4


async def chain_of(node: Node, top: int) -> list[dict[str, Any]]:
    """The blocks of a node up to ``top``, as getblock shows them without what depends on its tip."""

    async def block(height: int) -> dict[str, Any]:
        shown: dict[str, Any] = await node.call("getblock", await node.call("getblockhash", height), 2)
        return {
            name: value for name, value in shown.items() if name not in ("confirmations", "nextblockhash")
        }

    return [await block(height) for height in range(top + 1)]


async def agreed_chain(nodes: list[Node], top: int) -> list[dict[str, Any]]:
    """The chain up to ``top``, the same at all nodes; AssertionError at the first difference."""
    await together(node.reaches(top) for node in nodes)
    chains = await together(chain_of(node, top) for node in nodes)
    for node, chain in zip(nodes[1:], chains[1:], strict=True):
        for ours, theirs in zip(chains[0], chain, strict=True):
            assert ours == theirs, f"{nodes[0].name} and {node.name} differ at {ours['height']}"
    return chains[0]


def unspent(chain: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """The coins that a chain of getblock's objects leaves, in base units."""
    coins: dict[tuple[str, int], int] = {}
    for block in chain:
        for tx in block["tx"]:
            coins |= {(tx["txid"], out["n"]): int(out["value"] * COIN) for out in tx["vout"] if out["value"]}
        for tx in block["tx"][1:]:
            for spent in tx["vin"]:
                del coins[(spent["txid"], spent["vout"])]
    return coins


class AgreementTests(FunctionalCase):
    async def test_several_epochs_under_load(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        load = Load(net, rate=20)
        load.start(self)
        first = await net.nodes[0].epoch()

        async def several_epochs() -> bool:
            return await net.nodes[0].epoch() >= first + 4

        await until(several_epochs, "four epochs pass", 60)
        await load.stop()
        self.assertEqual([], load.refused)
        self.assertGreater(len(load.sent), 100)
        await together(load.all_in(node, SETTLED, 20) for node in net.nodes)
        await together(load.all_in(node, ("archived",), 40) for node in net.nodes)
        coins = await net.nodes[1].call("gettxoutsetinfo")
        chain = await agreed_chain(net.nodes, coins["height"])
        self._check_archive(chain, load)
        self._check_supply(net, chain, coins)
        await self._check_same_tip(net)

    def _check_archive(self, chain: list[dict[str, Any]], load: Load) -> None:
        archived = [tx["txid"] for block in chain for tx in block["tx"][1:]]
        self.assertEqual(sorted(each.txid for each in load.sent), sorted(archived))
        spent = [(i["txid"], i["vout"]) for block in chain for tx in block["tx"][1:] for i in tx["vin"]]
        self.assertEqual(len(spent), len(set(spent)))
        for lower, upper in pairwise(chain):
            self.assertEqual(lower["hash"], upper["previousblockhash"])

    def _check_supply(self, net: Devnet, chain: list[dict[str, Any]], shown: dict[str, Any]) -> None:
        """What there is = allocations + what closing blocks created, by getblock and by gettxoutsetinfo."""
        coins = unspent(chain)
        self.assertEqual(chain[-1]["hash"], shown["bestblock"])
        self.assertEqual(chain[-1]["utxo_commitment"], shown["muhash"])
        self.assertEqual(len(coins), shown["txouts"])
        self.assertEqual(Decimal(sum(coins.values())) / COIN, shown["total_amount"])
        started = sum(output.value for output in net.genesis.allocations)
        created = sum(coins.values()) - started
        limit = reward(len(net.nodes), net.genesis.parameters.base_reward)
        closings = sum(block["closing"] for block in chain[1:])
        self.assertLessEqual(created, closings * limit)
        # The newest epoch's fees may not be paid out yet, and who came too late for a commit earns nothing.
        self.assertGreater(created, (closings - 1) * limit // 4)

    async def _check_same_tip(self, net: Devnet) -> None:
        """State hash, commitment and coin figures are the same wherever the tip is the same."""

        async def same() -> bool:
            infos = await together(node.call("getblockchaininfo") for node in net.nodes)
            sets = await together(node.call("gettxoutsetinfo") for node in net.nodes)
            names = (
                "blocks",
                "bestblockhash",
                "state_hash",
                "supply",
                "epoch",
                "chain_id",
                "last_closing_slot",
            )
            tips = {tuple(info[name] for name in names) for info in infos}
            figures = {
                (each["height"], each["txouts"], each["muhash"], each["total_amount"]) for each in sets
            }
            return len(tips) == 1 and len(figures) == 1

        await until(same, "all nodes show the same tip", 20)

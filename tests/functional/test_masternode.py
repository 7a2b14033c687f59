"""A fifth node registers as a masternode over RPC, votes two epochs later, changes its address and leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.functional.load import BACKEND, FEE_RATE, Wallet
from tests.functional.support import Devnet, FunctionalCase, Node, timecoin, until
from timecoin.cli.devnet_files import HOST
from timecoin.cli.payment import make_payment
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN

EPOCH_SECONDS = 8
BRONZE = 50 * COIN


class MasternodeTests(FunctionalCase):
    timeout = 240

    async def command(self, node: Node, *words: str | Path) -> Any:
        """The answer of ``timecoin masternode`` as a process, in JSON."""
        first, *rest = words
        where = ("--config", node.files.config, "--json")
        child = self.run_child(*timecoin("masternode", first, *where, *rest))
        self.assertEqual(await child.ended(40), 0, child.text)
        return json.loads(child.text)

    async def newcomer(self, net: Devnet) -> tuple[Node, str]:
        """A follower with an operator key of its own, and that key's public half."""
        node = net.follower(net.nodes)
        secret = node.files.directory / "operator.key"
        child = self.run_child(*timecoin("masternode", "genkey", secret))
        self.assertEqual(await child.ended(20), 0, child.text)
        text = node.files.config.read_text(encoding="utf-8")
        text = text.replace("[p2p]\n", f"[p2p]\nadvertise = {HOST}:{node.files.p2p_port}\n")
        node.files.config.write_text(text + "[masternode]\nenabled = yes\noperator_key_file = operator.key\n")
        node.start()
        await node.answers()
        return node, child.text.strip()

    async def fund(self, node: Node, funds: Wallet, amount: int) -> None:
        """A final payment to a new address of the node's wallet."""
        script = address.decode(await node.call("getnewaddress"), "timed")
        tx = make_payment(funds.take(), script, amount, FEE_RATE, BACKEND)
        txid = await node.call("sendrawtransaction", tx.raw.hex())
        status = await node.patiently("waitforfinality", txid, 30_000)
        self.assertIn(status["status"], ("final", "archived"))

    async def entry(self, node: Node, masternode_id: str) -> dict[str, Any]:
        """What the registry holds of a masternode; {} when nothing."""
        listed = await node.call("masternode", "list")
        return next((each for each in listed if each["id"] == masternode_id), {})

    async def test_from_registration_to_farewell(self) -> None:
        net = self.devnet(4, EPOCH_SECONDS, bronze_collateral=BRONZE, unbonding_epochs=20)
        await net.up()
        first, funds = net.nodes[0], Wallet(net)
        node, public = await self.newcomer(net)
        await node.call("createwallet", "purse")
        await self.fund(node, funds, BRONZE + 2 * COIN)
        await self.fund(node, funds, 3 * COIN)

        service = f"{HOST}:{node.files.p2p_port}"
        found = await self.command(node, "register", "--service", service)
        self.assertEqual((found["operator_key"], found["tier"], found["power"]), (public, "bronze", 10))
        masternode_id = found["id"]

        async def seated() -> bool:
            return bool((await self.entry(first, masternode_id)).get("in_set"))

        await until(seated, "the newcomer sits in the set", 60)
        # Sent at the end of an epoch it may be archived in the next.
        self.assertIn(await first.epoch(), range(found["set_epoch"], found["set_epoch"] + 3))
        await self.it_votes(first, node, funds, masternode_id)
        await self.it_moves(first, node, masternode_id)
        await self.it_leaves(first, node, masternode_id)

    async def it_votes(self, first: Node, node: Node, funds: Wallet, masternode_id: str) -> None:
        """By its own word, and by the bundles that others have of it."""

        async def votes() -> bool:
            return bool((await node.call("masternode", "status"))["voting"])

        await until(votes, "the newcomer votes", 60)

        async def heard() -> bool:
            await first.call("sendrawtransaction", funds.payment().raw.hex())
            members = (await first.call("getconsensusinfo"))["members"]
            return any(each["masternode_id"] == masternode_id and each["last_bundle"] > 0 for each in members)

        await until(heard, "others hear the newcomer's votes", 30, poll=0.5)
        epoch = await first.call("getepochinfo")
        self.assertEqual(epoch["sets"][0]["size"], 5)
        self.assertGreater((await node.call("getepochinfo"))["reward"]["mine"], 0)

    async def it_moves(self, first: Node, node: Node, masternode_id: str) -> None:
        """Its new address is in the registry an epoch later; its collateral is nothing that its wallet would spend."""
        service = f"{HOST}:{node.files.p2p_port + 7}"
        changed = await self.command(node, "update", masternode_id, "--service", service)
        self.assertEqual(changed["id"], masternode_id)

        async def moved() -> bool:
            return (await self.entry(first, masternode_id)).get("service") == service

        await until(moved, "the registry holds the new address", 40)
        collateral = (await self.entry(first, masternode_id))["collateral"]
        unspent = await node.call("listunspent", 0)
        self.assertNotIn(collateral["txid"], [each["txid"] for each in unspent if each["vout"] == collateral["vout"]])

    async def it_leaves(self, first: Node, node: Node, masternode_id: str) -> None:
        """Out of the set two epochs later, its collateral still locked."""
        farewell = await self.command(node, "unregister", masternode_id)
        self.assertGreater(farewell["release_epoch"], farewell["set_epoch"])

        async def gone() -> bool:
            found = await self.entry(first, masternode_id)
            return found.get("status") == "unregistered" and not found["in_set"]

        await until(gone, "the newcomer is out of the set", 60)
        self.assertEqual([each["size"] for each in (await first.call("getepochinfo"))["sets"]], [4, 4, 4])
        self.assertGreaterEqual((await self.entry(first, masternode_id))["release_epoch"], farewell["release_epoch"])

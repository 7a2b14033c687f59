"""Two wallets on a real network: pay to and fro, crash, lock, restore from words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.functional.support import Devnet, FunctionalCase, Node, until
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import parse_display
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.client import RpcFailure

EPOCH = 6


class WalletTests(FunctionalCase):
    async def pay_from_fund(self, net: Devnet, where: str, amount: int) -> str:
        """A payment of a fund of the genesis file to an address."""
        fund = net.files.funds[0]
        outpoint = make_outpoint(parse_display(fund["txid"]), fund["vout"])
        coin = OwnedCoin(outpoint, fund["amount"], bytes.fromhex(fund["secret"]))
        tx = make_payment(coin, address.decode(where, net.genesis.network_info.hrp), amount, 200, get_backend())
        txid = await net.nodes[0].call("sendrawtransaction", tx.raw.hex())
        await net.nodes[0].patiently("waitforfinality", txid, 30_000)
        return str(txid)

    async def settled(self, node: Node, total: Decimal) -> None:
        """Wait until all that a wallet has is final or archived, and is that much."""

        async def there() -> bool:
            mine = (await node.call("getbalances"))["mine"]
            self.assertEqual(
                sum(mine[each] for each in ("pending", "certified", "final", "archived")),
                mine["trusted"] + mine["untrusted_pending"],
            )
            return bool(mine["final"] + mine["archived"] == total and mine["trusted"] == total)

        await until(there, f"{node.name} has {total}", 40)

    async def fee(self, node: Node, txid: str) -> Decimal:
        found: Decimal = -(await node.call("gettransaction", txid))["fee"]
        return found

    async def refused(self, code: int, node: Node, method: str, *params: Any) -> None:
        try:
            await node.call(method, *params)
        except RpcFailure as failure:
            self.assertEqual(code, failure.code, failure)
        else:
            self.fail(f"{method} was to be refused")

    async def test_to_and_fro_through_crash_lock_and_restore(self) -> None:
        net = self.devnet(2, EPOCH)
        await net.up()
        one, two = net.nodes
        await one.call("createwallet", "alice", False, False, None, False, True, True)
        await two.call("createwallet", "bob", False, False, "secret", False, True, True)
        await self.pay_from_fund(net, await one.call("getnewaddress", "salary"), 3 * COIN)
        await self.settled(one, Decimal(3))

        # There, while the other is locked, and back once it is unlocked.
        first = await one.call("sendtoaddress", await two.call("getnewaddress"), 2, "rent")
        await self.settled(two, Decimal(2))
        await self.refused(-13, two, "sendtoaddress", await one.call("getnewaddress"), 1)
        await two.call("walletpassphrase", "secret", 60)
        back = await two.call("sendtoaddress", await one.call("getnewaddress", "back"), 1)
        await two.call("walletlock")
        await self.settled(one, Decimal(2) - await self.fee(one, first))
        left = Decimal(1) - await self.fee(two, back)
        await self.settled(two, left)

        # A crash right after a payment was answered: it is there, and the same, after the restart.
        sent = await one.call("sendtoaddress", await two.call("getnewaddress"), "0.5")
        raw = (await one.call("gettransaction", sent))["hex"]
        one.kill()
        one.start()
        await net.votes(net.nodes)
        self.assertEqual(["alice"], await one.call("listwallets"))
        self.assertEqual(raw, (await one.call("gettransaction", sent))["hex"])
        await self.settled(two, left + Decimal("0.5"))
        rest = Decimal(2) - await self.fee(one, first) - Decimal("0.5") - await self.fee(one, sent)
        await self.settled(one, rest)

        # Archived in the end, as Core's and Dash's words say.
        async def archived() -> Any:
            found = await one.call("gettransaction", sent)
            return found if found["status"] == "archived" else None

        found = await until(archived, "the payment is archived", 40)
        self.assertTrue(found["instantlock"] and found["chainlock"] and found["confirmations"] >= 1)

        # From the words alone everything is found again, on another node, by its rescan.
        words = (await one.call("getwalletwords"))["words"]
        await one.call("unloadwallet", "alice", False)
        await two.call("unloadwallet", "bob", False)
        await two.call("restorewalletfromwords", "alice again", words)
        await self.settled(two, rest)
        lines = await two.call("listtransactions", "*", 100)
        self.assertEqual({"send", "receive"}, {each["category"] for each in lines})
        self.assertIn(first, {each["txid"] for each in lines})

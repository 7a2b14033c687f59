"""``docs/operators/merchant.rst`` is executed: each of its code blocks, in order, against a network of real nodes.

``<blanks>`` are filled in with :func:`tests.functional.page.fill_in`; nothing else of a block is changed. What a block
asks somebody at a terminal it gets on standard input.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.docs.written import HOME
from tests.functional.page import Shell, blocks, fill_in
from tests.functional.processes import kill
from tests.functional.support import FunctionalCase, until
from timecoin.cli.devnet_node import child_environment
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import parse_display
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import make_outpoint

PAGE = HOME / "docs" / "operators" / "merchant.rst"
#: Long enough that what comes right after an opening is over before the next one, which tells everything as archived.
EPOCH_SECONDS = 20
TYPED = {"keys": "the owner's\n", "till": "the till's\n", "unlock": "the till's\n"}
ORDERS = 5


class MerchantTest(FunctionalCase):
    timeout = 240

    def pay(self, where: str, units: int) -> tuple[str, str]:
        """A signed payment of a fresh fund of the genesis file: its bytes in hex, and its txid."""
        fund = self.net.files.funds[self.spent]
        self.spent += 1
        outpoint = make_outpoint(parse_display(fund["txid"]), fund["vout"])
        coin = OwnedCoin(outpoint, fund["amount"], bytes.fromhex(fund["secret"]))
        script = address.decode(where, self.net.genesis.network_info.hrp)
        tx = make_payment(coin, script, units, 200, get_backend())
        return tx.raw.hex(), tx.txid[::-1].hex()

    async def paid(self, where: str, units: int) -> str:
        """A payment that is final at the shop's node; its txid."""
        raw, txid = self.pay(where, units)
        await self.customers.call("sendrawtransaction", raw)
        await self.shops.patiently("waitforfinality", txid, 30_000)
        return txid

    def shipped(self) -> list[list[str]]:
        """[address, txid] of the orders that the shop was told to be paid."""
        log = self.place / "shipping.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [line.split()[1:] for line in lines if line.startswith("ship ")]

    async def ships(self, where: str, *txids: str, seconds: float = 30, poll: float = 0.05) -> None:
        """Wait until the shop is told that one of these paid what was left of an order."""
        try:
            await until(
                lambda: any([where, txid] in self.shipped() for txid in txids),
                f"order {where} is shipped",
                seconds,
                poll,
            )
        except AssertionError as late:
            raise AssertionError(f"{late}; the shop:\n{(self.place / 'shipping.log').read_text()}") from None

    async def listens(self, where: str) -> None:
        """Wait until the shop listens to an address."""
        question = f"SELECT watched FROM orders WHERE address = '{where}'"
        command = [
            sys.executable,
            "-c",
            f"import sqlite3; print(sqlite3.connect('shop.db').execute({question!r}).fetchone()[0])",
        ]
        await until(lambda: subprocess.check_output(command, cwd=self.place) == b"1\n", "the shop listens", 30, 0.3)

    async def test_the_page(self) -> None:
        await self.begin()
        for block in blocks(PAGE.read_text(encoding="utf-8")):
            text = fill_in(block.text, self.words)
            if block.language == "python":
                (self.place / block.name).write_text(text, encoding="utf-8")
            elif block.language == "ini":
                await self.configure(text)
            else:
                await self.step(f"before_{block.name}")
                self.said = self.shell.run(text, TYPED.get(block.name, ""))
                await self.step(f"after_{block.name}")
        # Fails when a block lost its name, and with it what is held of it.
        self.assertEqual(self.done, {each for each in dir(self) if each.startswith(("before_", "after_"))})
        await self.proof_needs_no_node()

    async def begin(self) -> None:
        """Two masternodes, at one of which a customer has money, and the shop's node, which is none."""
        self.place, self.spent, self.said, self.done = self.directory(), 0, "", set[str]()
        self.net = net = self.devnet(2, EPOCH_SECONDS)
        self.customers, keys = net.nodes
        self.shops = net.follower(net.nodes)
        net.start()
        await net.votes([self.customers, keys], 90)
        await self.shops.answers()
        self.shell = Shell(self.place, child_environment() | {"PATH": self.path()})
        self.addCleanup(self.end_watch)
        await self.customers.call("createwallet", "customer")
        await self.paid(await self.customers.call("getnewaddress"), 20 * COIN)
        self.words = {
            "node.ini": str(self.shops.files.config),
            "keys.ini": str(keys.files.config),
            "customer.ini": str(self.customers.files.config),
            "genesis.json": str(net.genesis_file),
            "rpc port": str(self.shops.files.rpc_port),
            "customer address": await self.customers.call("getnewaddress"),
        }

    def path(self) -> str:
        """Where the installed commands are, before everything else."""
        return f"{Path(sys.executable).parent}:{child_environment()['PATH']}"

    async def step(self, name: str) -> None:
        """What the test does before or after a block, if anything."""
        found: Any = getattr(self, name.replace("-", "_"), None)
        if found is not None:
            self.done.add(found.__name__)
            await found()

    def end_watch(self) -> None:
        if "WATCH" in self.shell.variables:
            kill(int(self.shell.variables["WATCH"]))

    async def configure(self, text: str) -> None:
        """Into the section [rpc] of the shop's node, which is the last one; then restart it."""
        section, _, lines = text.partition("\n")
        self.assertEqual(section, "[rpc]")
        with self.shops.files.config.open("a", encoding="utf-8") as file:
            file.write(lines)
        await self.shops.stop()
        self.shops.start()
        await self.shops.answers()

    async def after_user(self) -> None:
        found = re.search(r"^auth = (shop:\S+)$", self.said, re.M)
        assert found is not None
        self.words["shop:…, as printed"] = found[1]
        self.assertEqual((self.place / "shop.password").stat().st_mode & 0o777, 0o600)

    async def after_keys(self) -> None:
        self.assertRegex(self.shell.variables["XPUB"], r"^\[[0-9a-f]{8}/84h/1h/0h\]tpub\w+$")
        self.assertRegex(self.said, r"(?m)^([a-z]+ ){11}[a-z]+$")
        self.assertNotIn("the owner's", self.said)

    async def after_watch_only(self) -> None:
        info = await self.shops.call("getwalletinfo")
        self.assertEqual((info["walletname"], info["private_keys_enabled"]), ("shop", False))

    async def after_pay(self) -> None:
        self.assertRegex(self.said, r"final after \d+ ms")
        await self.ships(self.shell.variables["ADDRESS"], self.shell.variables["TXID"])
        await self.told_in_time()

    async def told_in_time(self) -> None:
        """From the submission at one node to the line of the shop at another one, in less than a second."""
        took = []
        for _ in range(ORDERS):
            where = self.shell.run("python shop.py order 0.1").strip()
            await self.listens(where)
            raw, txid = self.pay(where, COIN // 10)
            begun = time.monotonic()
            await self.customers.call("sendrawtransaction", raw)
            await self.ships(where, txid, poll=0.005)
            took.append(time.monotonic() - begun)
        self.assertLess(statistics.median(took), 1.0, took)

    async def after_proof(self) -> None:
        self.assertRegex(self.said, rf"^PROVED: transaction {self.shell.variables['TXID']}\n")

    async def before_archive(self) -> None:
        """As the page says: from the event archived on."""

        async def archived() -> bool:
            return await self.shops.status(self.shell.variables["TXID"]) == "archived"

        await until(archived, "the payment is archived", 60, 0.2)

    async def after_archive(self) -> None:
        self.assertIn("is archived in block ", self.said)
        self.assertIn(f" 0.25000000 TIME to {self.shell.variables['ADDRESS']}\n", self.said)

    async def before_stop(self) -> None:
        """An order that the shop listens to when it is killed, too little of which is paid before that.

        In a fresh epoch: its end would tell the shop what it is to learn from the events that it missed.
        """
        epoch = await self.shops.epoch()

        async def opened() -> bool:
            return await self.shops.epoch() > epoch

        await until(opened, "the next epoch", 60, 0.1)
        self.unfinished = self.shell.run("python shop.py order 0.3").strip()
        await self.listens(self.unfinished)
        await self.paid(self.unfinished, COIN // 10)

    async def after_stop(self) -> None:
        self.last = await self.paid(self.unfinished, COIN // 5)
        self.assertNotIn(self.unfinished, [each[0] for each in self.shipped()])
        self.assertNotIn(self.shell.variables["MISSED"], [each[0] for each in self.shipped()])

    async def after_again(self) -> None:
        missed = self.shell.variables["MISSED"]
        # Sooner than by waiting for the blocks: from the events that were missed.
        await self.ships(self.unfinished, self.last, seconds=10)
        await self.ships(missed, (await self.history())[missed])
        await self.node_crashes()
        told = [each[0] for each in self.shipped()]
        self.assertEqual(len(told), len(set(told)))

    async def node_crashes(self) -> None:
        """An order the second half of which is paid while the shop's node is away."""
        where = self.shell.run("python shop.py order 0.2").strip()
        await self.listens(where)
        first = await self.paid(where, COIN // 10)
        self.shops.kill()
        raw, txid = self.pay(where, COIN // 10)
        await self.customers.call("sendrawtransaction", raw)
        await self.customers.patiently("waitforfinality", txid, 30_000)
        self.shops.start()
        await self.shops.answers()
        # The first one's event may have died with the node: it is told again, before or after the other's.
        await self.ships(where, first, txid)

    async def history(self) -> dict[str, str]:
        """The txid of each address that the customer paid."""
        lines = await self.customers.call("listtransactions", "*", 100)
        return {each["address"]: each["txid"] for each in lines if each["category"] == "send"}

    async def after_till(self) -> None:
        await self.paid(self.shell.variables["TILL"], COIN)

    async def after_refund(self) -> None:
        self.assertRegex(self.said, r"final after \d+ ms")

    async def after_balance(self) -> None:
        lines = dict(line.split()[:2] for line in self.said.splitlines()[:4])
        # 0.25 + 5 × 0.1 + 0.5 + 0.3 + 0.2
        self.assertEqual(Decimal(lines["final"]) + Decimal(lines["archived"]), Decimal("1.75"), self.said)

    async def proof_needs_no_node(self) -> None:
        """With every node dead, in a directory with the genesis file and the proof alone."""
        txid, lonely = self.shell.variables["TXID"], self.directory()
        shutil.copy(self.net.genesis_file, lonely / "genesis.json")
        shutil.copy(self.place / f"{txid}.json", lonely / "proof.json")
        self.net.kill()
        shell = Shell(lonely, {"PATH": self.path(), "HOME": str(lonely)})
        self.assertIn(
            f"PROVED: transaction {txid}", shell.run("timecoin verify-proof proof.json --genesis genesis.json")
        )

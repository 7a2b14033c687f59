"""Four operators in four directories hold a ceremony by the command line, and their network finalises a payment."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

from tests.functional.support import Devnet, FunctionalCase, Node, is_free, timecoin, together
from timecoin.cli.devnet_files import HOST, DevnetFiles, NodeFiles
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis
from timecoin.primitives.address import encode
from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import make_outpoint

BACKEND = get_backend()
NAMES = ("ann", "bob", "cleo", "dan")
SECRET = (12345).to_bytes(32, "big")
SCRIPT = p2wpkh(hash160(BACKEND.public_key(SECRET)))
COIN = 10**8


def _free_ports() -> int:
    bases = list(range(20_000, 32_000, 40))
    random.SystemRandom().shuffle(bases)
    return next(base for base in bases if all(is_free(port) for port in range(base, base + 8)))


class CeremonyTests(FunctionalCase):
    async def run_timecoin(self, home: Path, *words: str | Path) -> str:
        """A command in an operator's own directory; what it printed."""
        child = self.run_child(*timecoin("genesis", *words), cwd=home)
        self.assertEqual(await child.ended(60), 0, child.text)
        return child.text

    def send(self, file: Path, homes: list[Path]) -> None:
        for home in homes:
            if file.parent != home:
                shutil.copy(file, home)

    async def test_a_ceremony(self) -> None:
        place, base = self.directory(), _free_ports()
        homes = [place / name for name in NAMES]
        for home in homes:
            home.mkdir()
        terms = ("--network", "ournet", "--operators", "4", "--epoch-seconds", "10", "--out", "terms.json")
        await self.run_timecoin(homes[0], "propose", *terms)
        self.send(homes[0] / "terms.json", homes)
        await together(self.contribute(home, base + 2 * number) for number, home in enumerate(homes))
        for home in homes:
            self.send(home / f"{home.name}.json", homes)
        parts = [f"{name}.json" for name in NAMES]
        # Each combines for itself, in another order.
        orders = [parts, parts[::-1], parts[2:] + parts[:2], parts[1:] + parts[:1]]
        await together(
            self.run_timecoin(home, "combine", "--terms", "terms.json", *order)
            for home, order in zip(homes, orders, strict=True)
        )
        self.assertEqual(len({(home / "genesis.json").read_bytes() for home in homes}), 1)
        shown = await together(self.check(home, parts) for home in homes)
        self.assertEqual(len({_hash(text) for text in shown}), 1)
        net = self.network(place, homes, base)
        await net.up()
        await self.pay(net)
        self.assertEqual((await net.nodes[0].call("getblockchaininfo"))["chain_id"], _hash(shown[0]))
        self._passed = True

    async def contribute(self, home: Path, port: int) -> None:
        asked = ["--allocate", f"{encode(SCRIPT, 'timed')}=50"] if home.name == "ann" else []
        seat = ("--name", home.name, "--masternode", f"bronze@{HOST}:{port}")
        files = ("--keys", "keys", "--out", f"{home.name}.json")
        await self.run_timecoin(home, "contribute", "--terms", "terms.json", *seat, *asked, *files)

    async def check(self, home: Path, parts: list[str]) -> str:
        own = ("--part", f"{home.name}.json", "--keys", "keys")
        return await self.run_timecoin(home, "check", "genesis.json", *parts, "--terms", "terms.json", *own)

    def network(self, place: Path, homes: list[Path], base: int) -> Devnet:
        """The nodes of the four directories."""
        shutil.copy(homes[0] / "genesis.json", place)
        files = [self.node(home, base + 2 * number) for number, home in enumerate(homes)]
        return self.watched(Devnet(DevnetFiles(place, "ournet", tuple(files), ())))

    def node(self, home: Path, port: int) -> NodeFiles:
        data = home / "data"
        data.mkdir(mode=0o700)
        shutil.move(home / "keys" / "node.key", data)
        files = NodeFiles(home.name, "", port, port + 1, home)
        files.config.write_text(
            f"""\
[node]
network = ournet
data_dir = data
genesis = genesis.json
[p2p]
listen = tcp:{port}:interface={HOST}
[rpc]
listen = tcp:{port + 1}:interface={HOST}
[masternode]
enabled = yes
operator_key_file = keys/operator.key
""",
            encoding="utf-8",
        )
        return files

    async def pay(self, net: Devnet) -> None:
        """The coin that ann asked for is paid on at bob's node, and final at dan's."""
        genesis = Genesis.load(net.genesis_file.read_bytes())
        coinbase = first_state(genesis)[0].transactions[0]
        vout = next(n for n, output in enumerate(genesis.allocations) if output.script == SCRIPT)
        coin = OwnedCoin(make_outpoint(coinbase.txid, vout), 50 * COIN, SECRET)
        tx = make_payment(coin, SCRIPT, 20 * COIN, 200, BACKEND)
        bob, dan = net.nodes[1], net.nodes[3]
        txid = await bob.call("sendrawtransaction", tx.raw.hex())
        self.assertIn((await self.final(dan, txid))["status"], ("final", "archived"))

    async def final(self, node: Node, txid: str) -> dict[str, object]:
        found: dict[str, object] = await node.patiently("waitforfinality", txid, 30_000)
        return found


def _hash(shown: str) -> str:
    found = re.search(r"Genesis hash:\n  ([0-9a-f ]{71})\n", shown)
    assert found is not None, shown
    return found[1].replace(" ", "")

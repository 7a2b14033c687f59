"""``timecoin devnet``: network.json as promised, nothing left running, the same chain at the second start."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from typing import Any

from tests.functional.processes import Child, is_alive, kill, session_members
from tests.functional.support import FunctionalCase, timecoin, until
from timecoin.rpc.client import BlockingClient


class DevnetCommandTests(FunctionalCase):
    def _devnet(self, directory: Path, *options: str) -> Child:
        return self.run_child(*timecoin("devnet", "--dir", directory, *options))

    async def _described(self, child: Child, directory: Path) -> dict[str, Any]:
        """network.json, once it is there."""
        path = directory / "network.json"

        def there() -> bool:
            assert child.status is None, child.text
            return path.exists()

        await until(there, f"{path} is there", 60)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def _call(self, node: dict[str, Any], method: str, *params: Any) -> Any:
        client = BlockingClient(node["rpc"], Path(node["cookie"]), timeout=20)
        try:
            return client.call(method, *params)
        finally:
            client.close()

    async def _nothing_left(self, pids: list[int]) -> None:
        await until(lambda: not any(map(is_alive, pids)), "every node has ended", 30)

    async def test_start_stop_and_start_again(self) -> None:
        directory = self.directory() / "net"
        child = self._devnet(directory, "--nodes", "3", "--epoch-seconds", "4", "--payment")
        network = await self._described(child, directory)
        pids = self._check_description(network, directory)
        self.assertEqual(set(pids), set(session_members(child.pid)) - {child.pid})
        await until(lambda: "archived" in child.text, "the payment is archived", 40)
        for word in ("submitted", "certified", "final     on every node (3)", "archived  in block"):
            self.assertIn(word, child.text)
        tip = self._call(network["nodes"][0], "getblockcount")
        hashes = [self._call(network["nodes"][0], "getblockhash", n) for n in range(tip + 1)]
        child.signal(signal.SIGINT)
        self.assertEqual(0, await child.ended(20))
        self.assertIn("all nodes have ended", child.text)
        self.assertNotIn("Traceback", child.text)
        await self._nothing_left(pids)
        self.assertFalse((directory / "network.json").exists())

        again = self._devnet(directory)
        second = await self._described(again, directory)
        self.assertEqual(network["funds"], second["funds"])
        for node in second["nodes"]:
            self.assertEqual(hashes, [self._call(node, "getblockhash", n) for n in range(tip + 1)])
        third = self._devnet(directory)
        self.assertEqual(1, await third.ended(20))
        self.assertIn("in use by process", third.text)
        again.signal(signal.SIGTERM)
        again.signal(signal.SIGTERM)
        self.assertEqual(0, await again.ended(20))
        self.assertNotIn("Traceback", again.text)
        await self._nothing_left([node["pid"] for node in second["nodes"]])

    def _check_description(self, network: dict[str, Any], directory: Path) -> list[int]:
        self.assertEqual({"network", "genesis", "nodes", "funds"}, set(network))
        self.assertEqual("devnet", network["network"])
        self.assertTrue(Path(network["genesis"]).is_file())
        self.assertEqual(0o600, stat.S_IMODE((directory / "network.json").stat().st_mode))
        self.assertGreaterEqual(len({(fund["txid"], fund["vout"]) for fund in network["funds"]}), 1_000)
        for fund in network["funds"]:
            self.assertEqual({"address", "secret", "txid", "vout", "amount"}, set(fund))
        self.assertEqual(32, len(bytes.fromhex(network["funds"][0]["secret"])))
        for node in network["nodes"]:
            names = {"name", "pid", "node_id", "data_dir", "config", "log", "p2p", "rpc", "cookie"}
            self.assertEqual(names, set(node))
            self.assertTrue(
                all(Path(node[name]).exists() for name in ("data_dir", "config", "log", "cookie"))
            )
            info = self._call(node, "getnetworkinfo")
            self.assertEqual((node["node_id"], 2), (info["node_id"], info["connections"]))
            self.assertTrue(self._call(node, "getconsensusinfo")["voting"])
            fund = network["funds"][-1]
            coin = self._call(node, "gettxout", fund["txid"], fund["vout"])
            self.assertEqual(fund["amount"], coin["value"] * 10**8)
            self.assertEqual(fund["address"], coin["scriptPubKey"]["address"])
        return [node["pid"] for node in network["nodes"]]

    async def test_nodes_do_not_outlive_a_killed_supervisor_but_a_killed_node_is_started_again(self) -> None:
        directory = self.directory() / "net"
        child = self._devnet(directory, "--nodes", "1", "--epoch-seconds", "4")
        network = await self._described(child, directory)
        first = network["nodes"][0]["pid"]
        kill(first)

        async def another() -> int:
            network = await self._described(child, directory)
            pid = network["nodes"][0]["pid"]
            return pid if pid not in (None, first) else 0

        pid = await until(another, "the node runs again", 40)
        kill(child.pid)
        await self._nothing_left([child.pid, pid])

    async def test_bad_directories(self) -> None:
        directory = self.directory()
        (directory / "something").write_text("else", encoding="ascii")
        child = self._devnet(directory)
        self.assertEqual(1, await child.ended(20))
        self.assertIn("is not empty and holds no devnet", child.text)
        self.assertEqual(1, len(child.text.splitlines()))

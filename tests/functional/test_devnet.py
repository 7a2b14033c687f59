"""``timecoin devnet`` with real nodes: network.json, a payment, a crash, a second start, nothing left
behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.processes import hear_interrupts
from tests.functional.test_daemon import is_running, until
from timecoin.cli.devnet_node import child_environment
from timecoin.rpc.client import BlockingClient

COMMAND = [sys.executable, "-c", "from timecoin.cli.main import main; main()"]


class DevnetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.output = self.directory.with_suffix(".out")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            run = subprocess.Popen(
                [*COMMAND, "devnet", "--dir", str(self.directory), *words],
                env=child_environment(),
                stdout=output,
                stderr=output,
                preexec_fn=hear_interrupts,
            )
        self.addCleanup(run.wait, 10)
        self.addCleanup(run.kill)
        return run

    def described(self) -> dict[str, Any]:
        path = self.directory / "network.json"
        until(path.exists, f"network.json is written: {self.output.read_text()}")
        network: dict[str, Any] = json.loads(path.read_text())
        return network

    def client(self, node: dict[str, Any]) -> BlockingClient:
        client = BlockingClient(node["rpc"], Path(node["cookie"]), timeout=5)
        self.addCleanup(client.close)
        return client

    def said(self, text: str) -> Any:
        return until(lambda: text in self.output.read_text(), f"{text!r} in {self.output.read_text()!r}")

    def test_a_network_from_start_to_stop_twice(self) -> None:
        run = self.start("--nodes", "2", "--epoch-seconds", "5", "--payment")
        network = self.described()
        self.assertEqual(len(network["funds"]), 1_000)
        for step in (
            "submitted to node0",
            "certified on",
            "final     on every node (2)",
            "archived  in block",
        ):
            self.said(step)
        genesis = self.client(network["nodes"][0]).call("getblockhash", 0)
        victim = network["nodes"][1]["pid"]
        os.kill(victim, signal.SIGKILL)
        self.said("node1 ended by signal 9, starting it again in 0.5 s")
        until(lambda: self.described()["nodes"][1]["pid"] not in (victim, None), "the node is started again")
        pids = [node["pid"] for node in self.described()["nodes"]]
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(30), 0)
        self.assertEqual([pid for pid in pids if is_running(pid)], [])

        run = self.start()
        until(lambda: "all 2 nodes vote" in self.output.read_text(), "the network votes again")
        again = self.described()
        client = self.client(again["nodes"][0])
        self.assertEqual(client.call("getblockhash", 0), genesis)
        self.assertGreaterEqual(client.call("getblockcount"), 1)
        self.assertEqual(again["funds"], network["funds"])
        other = subprocess.run(
            [*COMMAND, "devnet", "--dir", str(self.directory)],
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertEqual(other.returncode, 1)
        self.assertIn("in use by process", other.stderr)
        pids = [node["pid"] for node in again["nodes"]]
        run.kill()
        until(lambda: not any(is_running(pid) for pid in pids), "the nodes end with their supervisor")

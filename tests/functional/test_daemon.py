"""``twistd timecoin`` as real processes: refusals in one line, daemonising, stopping, supervision."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from timecoin.cli.connection import address_of
from timecoin.cli.devnet_node import child_environment
from timecoin.node.config import load
from timecoin.rpc.client import BlockingClient

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
LIMIT = 30.0


def until(ready: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {LIMIT:g} s: {what}")


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


class DaemonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir(parents=True)
        self.config = self.base / "node.ini"
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            self.p2p, self.rpc = one.getsockname()[1], two.getsockname()[1]
        self.write()

    def write(self, more: str = "", name: str = "node.ini") -> Path:
        path = self.base / name
        path.write_text(
            f"[node]\ndata_dir = data\n[p2p]\nlisten = tcp:{self.p2p}:interface=127.0.0.1\n"
            f"[rpc]\nlisten = tcp:{self.rpc}:interface=127.0.0.1\n{more}"
        )
        return path

    def twistd(
        self, *words: str, config: Path | None = None, twistd: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        command = [*TWISTD, *twistd, "timecoin", "--config", str(config or self.config), *words]
        return subprocess.run(
            command,
            cwd=self.base,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            stdin=subprocess.DEVNULL,
        )

    def client(self) -> BlockingClient:
        known = load(self.config)
        client = BlockingClient(address_of(known), known.cookie_path, timeout=5)
        self.addCleanup(client.close)
        return client

    def daemon(self) -> int:
        """Start one in the background; its pid."""
        done = self.twistd()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid = int((self.base / "twistd.pid").read_text())
        self.addCleanup(lambda: is_running(pid) and os.kill(pid, signal.SIGKILL))
        until((self.base / "data" / "ready").exists, "the node is ready")
        return pid

    def assertRefused(self, done: subprocess.CompletedProcess[str], *words: str) -> None:
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done)
        self.assertTrue(done.stderr.startswith("timecoin: "), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_refusals_touch_nothing(self) -> None:
        bad = self.write("[p2q]\n", "bad.ini")
        for flags in ((), ("--nodaemon",)):
            self.assertRefused(self.twistd(config=bad, twistd=flags), "bad.ini: [p2q] unknown section")
            self.assertRefused(
                self.twistd(config=self.base / "gone.ini", twistd=flags), "gone.ini: cannot be read"
            )
            with socket.create_server(("127.0.0.1", self.rpc)):
                self.assertRefused(self.twistd(twistd=flags), "[rpc] listen", "Address already in use")
        self.assertEqual(sorted(os.listdir(self.base)), ["bad.ini", "node.ini"])

    def test_a_daemon_from_start_to_stop(self) -> None:
        pid = self.daemon()
        self.assertEqual(self.client().call("getblockcount"), 0)
        self.assertIn("timecoin is ready", (self.base / "twistd.log").read_text())
        self.p2p, self.rpc = 0, 0
        other = self.base / "other.ini"
        other.write_text("[node]\ndata_dir = data\n[p2p]\nlisten = none\n[rpc]\nenabled = no\n")
        self.assertRefused(
            self.twistd(config=other, twistd=("--pidfile=other.pid",)),
            "data_dir",
            "in use by another process",
        )
        self.assertTrue((self.base / "data" / "ready").exists())
        os.kill(pid, signal.SIGTERM)
        until(lambda: not is_running(pid), "the daemon ends")
        self.assertFalse((self.base / "twistd.pid").exists())
        self.assertFalse((self.base / "data" / ".cookie").exists())
        self.assertFalse((self.base / "data" / "ready").exists())

    def test_stop_by_rpc_and_again(self) -> None:
        for _ in range(2):
            pid = self.daemon()
            self.assertEqual(self.client().call("stop"), "TimeCoin node stopping")
            until(lambda: not is_running(pid), "the daemon ends")  # noqa: B023

    def test_a_data_directory_of_another_network(self) -> None:
        (self.base / "data").mkdir()
        (self.base / "data" / "genesis.hash").write_text("11" * 32)
        self.assertRefused(self.twistd(), "[node] data_dir", "belongs to another network")

    def test_a_start_that_fails_late_exits_non_zero(self) -> None:
        (self.base / "data").mkdir()
        (self.base / "data" / "node.key").write_text("no key")
        done = self.twistd(twistd=("--nodaemon", "--pidfile="))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("timecoin: cannot start joining", done.stderr)
        self.assertIn("node.key: no key of 64 hex digits", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_supervised_node_ends_with_its_supervisor(self) -> None:
        command = [
            *TWISTD,
            "--nodaemon",
            "--pidfile=",
            "--logfile=node.log",
            "timecoin",
            "--config",
            str(self.config),
        ]
        node = subprocess.Popen(
            [*command, "--supervised"], cwd=self.base, env=child_environment(), stdin=subprocess.PIPE
        )
        self.addCleanup(node.wait, 5)
        self.addCleanup(node.kill)
        until((self.base / "data" / "ready").exists, "the node is ready")
        self.assertEqual(os.getpgid(node.pid), node.pid)
        assert node.stdin is not None
        node.stdin.close()
        self.assertEqual(node.wait(LIMIT), 0)
        self.assertIn("the supervisor is gone", (self.base / "node.log").read_text())

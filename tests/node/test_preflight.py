"""What is refused before anything is touched, and the watch on a supervisor."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from txtorcon import controller

from timecoin.node import halt_proof, preflight
from timecoin.node.config import ConfigError, parse
from timecoin.node.root import StartRefused
from timecoin.node.supervised import StdinWatch
from timecoin.storage.datadir import GENESIS_NAME, LOCK_NAME


class PreflightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.base = Path(self.mktemp())
        self.base.mkdir()

    def config(self, text: str = "") -> Any:
        quiet = "" if "[p2p]" in text else "[p2p]\nlisten = none\n"
        quiet += "" if "[rpc]" in text else "[rpc]\nenabled = no\n"
        return parse(f"[node]\ndata_dir = data\n{quiet}{text}", "node.ini", self.base)

    def refusal(self, text: str = "") -> str:
        return str(self.assertRaises(ConfigError, preflight.check, self.config(text)))

    def test_defaults_pass_and_touch_nothing(self) -> None:
        preflight.check(self.config())
        self.assertEqual(os.listdir(self.base), [])

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = self.refusal(f"[rpc]\nlisten = tcp:{port}:interface=127.0.0.1\n")
        place = f"node.ini: [rpc] listen = 'tcp:{port}:interface=127.0.0.1'"
        self.assertEqual(text, f"{place}: cannot listen: Address already in use")

    def test_a_free_port_stays_free(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        preflight.check(self.config(f"[rpc]\nlisten = tcp:{port}:interface=127.0.0.1\n"))
        socket.create_server(("127.0.0.1", port)).close()

    def test_an_endpoint_that_is_none(self) -> None:
        self.assertIn("is no endpoint", self.refusal("[p2p]\nlisten = nonsense:24100\n"))
        self.assertIn("[p2p] listen", self.refusal("[p2p]\nlisten = tcp:24100:colour=red\n"))

    def test_other_kinds_of_endpoints_are_left_to_the_start(self) -> None:
        preflight.check(self.config("[p2p]\nlisten = unix:/nowhere/socket\n"))

    def test_no_tor_is_launched_to_check_an_onion_service(self) -> None:
        launched: list[object] = []
        self.patch(controller, "launch", lambda *arguments, **more: launched.append(arguments))
        for more in ("", ":controlPort=9051", ":hiddenServiceDir=/nowhere/onion"):
            preflight.check(self.config(f"[p2p]\nlisten = onion:24100{more}\n"))
        self.assertEqual(launched, [])

    def test_a_genesis_file_that_is_missing(self) -> None:
        config = parse("[node]\ngenesis = gone.json\n", "node.ini", self.base)
        problem = str(self.assertRaises(ConfigError, preflight.check, config))
        self.assertIn("[node] genesis = ", problem)
        self.assertIn("No such file", problem)

    def test_an_operator_key_that_others_can_read(self) -> None:
        key = self.base / "operator.key"
        key.write_text("00" * 32)
        key.chmod(0o644)
        text = "[masternode]\nenabled = yes\noperator_key_file = operator.key\n"
        self.assertIn("must be readable by its owner only", self.refusal(text))
        key.chmod(0o600)
        preflight.check(self.config(text))
        key.unlink()
        self.assertIn("No such file", self.refusal(text))

    def test_an_operator_key_that_is_none(self) -> None:
        key = self.base / "operator.key"
        key.write_text("secret")
        key.chmod(0o600)
        told = self.refusal("[masternode]\nenabled = yes\noperator_key_file = operator.key\n")
        self.assertIn("holds no key of 64 hex digits", told)
        self.assertNotIn("secret", told)

    def test_a_data_directory_that_cannot_be_made(self) -> None:
        (self.base / "data").write_text("a file")
        self.assertIn("data is no directory", self.refusal())
        (self.base / "data").unlink()
        self.patch(os, "access", lambda path, mode: path != self.base.absolute())
        self.assertIn(f"this user may not write in {self.base.absolute()}", self.refusal())
        (self.base / "data").mkdir()
        preflight.check(self.config())

    def test_a_data_directory_in_use(self) -> None:
        (self.base / "data").mkdir()
        with open(self.base / "data" / LOCK_NAME, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("[node] data_dir = ", self.refusal())
        preflight.check(self.config())

    def test_no_start_after_a_halt(self) -> None:
        directory = self.base / "data"
        directory.mkdir()
        halt_proof.keep(directory, (b"one", b"two"))
        self.assertEqual((directory / "halt-proof-1.hex").read_text(), b"two".hex() + "\n")
        for path in sorted(directory.iterdir()):
            text = self.refusal()
            self.assertRegex(text, f"^node.ini: \\[node\\] data_dir = .*/data: holds {path.name}, .*runbook.rst, R12$")
            path.unlink()
        preflight.check(self.config())
        halt_proof.keep(directory, ())
        self.assertIn("holds halt-proof-0.hex", self.refusal())

    def test_a_data_directory_of_another_network(self) -> None:
        (self.base / "data").mkdir()
        (self.base / "data" / GENESIS_NAME).write_text("11" * 32 + "\n")
        self.assertIn("belongs to another network", self.refusal())


class StdinWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.ended: list[bool] = []
        self.reactor = MemoryReactor()
        self.watch = StdinWatch(self.reactor, lambda: self.ended.append(True), self.reading)

    def test_end_of_file_ends(self) -> None:
        self.watch.startService()
        self.assertIn(self.watch, self.reactor.getReaders())
        os.write(self.writing, b"ignored")
        self.watch.doRead()
        self.assertEqual(self.ended, [])
        os.close(self.writing)
        self.watch.doRead()
        self.assertEqual(self.ended, [True])
        self.assertEqual(self.reactor.getReaders(), [])

    def test_only_once_and_not_after_a_stop(self) -> None:
        self.addCleanup(os.close, self.writing)
        self.watch.startService()
        self.watch.stopService()
        self.watch.connectionLost(None)  # type: ignore[arg-type]
        self.assertEqual(self.ended, [])

    def test_a_file_is_no_pipe(self) -> None:
        self.addCleanup(os.close, self.writing)
        with open(self.mktemp(), "w") as file:
            self.assertRaises(StartRefused, StdinWatch(self.reactor, lambda: None, file.fileno()).startService)

"""``timecoin masternode``: what it asks a node, what it prints, and keys made without one."""

from __future__ import annotations

import json
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, key
from timecoin.cli import connection
from timecoin.cli.main import main

ID = "ab" * 32
SENT = {
    "id": ID,
    "txid": "cd" * 32,
    "fee": Decimal("0.00050000"),
    "epoch": 7,
    "registry_epoch": 8,
    "set_epoch": 9,
    "release_epoch": None,
    "notes": ["keep it running"],
}
REGISTERED = SENT | {"tier": "bronze", "power": 10, "payout": "timed1x"}
STATUS = {"masternode": True, "id": ID, "status": "eligible", "power": 10, "voting": False, "abstains": "behind"}


class MasternodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.asked: list[tuple[str, Any]] = []
        self.answer: Any = SENT
        self.patch(connection.Connection, "call", self.called)

    def called(self, method: str, *params: Any, **named: Any) -> Any:
        self.asked.append((method, named or params))
        return self.answer

    def run_it(self, *words: str, code: int = 0) -> Result:
        where = ["--url", "http://127.0.0.1:1", "--cookie", "nosuch"] if words[0] != "genkey" else []
        done = CliRunner().invoke(main, ["masternode", words[0], *where, *words[1:]])
        self.assertEqual(done.exit_code, code, done.output)
        return done

    def key_file(self, name: str = "owner") -> str:
        path = self.directory / name
        path.write_text(key(name).secret.hex() + "\n")
        return str(path)

    def test_genkey(self) -> None:
        path = self.directory / "operator.key"
        public = self.run_it("genkey", str(path)).output.strip()
        self.assertEqual(BACKEND.public_key(bytes.fromhex(path.read_text().strip())).hex(), public)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIn("cannot be written", self.run_it("genkey", str(path), code=1).output)
        self.assertEqual(self.asked, [])

    def test_register(self) -> None:
        self.answer = REGISTERED
        done = self.run_it(
            "register", "--service", "10.0.0.1:5", "--tier", "silver", "--operator-key-file", self.key_file()
        )
        options = {"service": "10.0.0.1:5", "tier": "silver", "operator_secret": key("owner").secret.hex()}
        self.assertEqual(self.asked, [("masternode", {"command": "register", "options": options})])
        self.assertIn(f"Registration (bronze, power 10) of masternode {ID} sent: transaction {'cd' * 32}", done.output)
        self.assertIn("in the set that votes from epoch 9 on", done.output)
        self.assertIn("rewards go to timed1x", done.output)
        self.assertNotIn(key("owner").secret.hex(), done.output)

    def test_changes(self) -> None:
        self.run_it("update", ID, "--service", "10.0.0.1:5", "--owner-key-file", self.key_file())
        options = {"service": "10.0.0.1:5", "owner_secret": key("owner").secret.hex()}
        self.assertEqual(self.asked.pop(), ("masternode", {"command": "update", "id": ID, "options": options}))
        self.answer = SENT | {"release_epoch": 155}
        done = self.run_it("unregister", ID, "--fee-rate", "120.5")
        self.assertEqual(self.asked.pop()[1]["options"], {"fee_rate": "120.5"})
        self.assertIn("can be spent from epoch 155 on\n  note: keep it running\n", done.output)
        self.run_it("return", ID)
        self.assertEqual(self.asked.pop(), ("masternode", {"command": "return", "id": ID, "options": {}}))

    def test_key_files_that_are_none(self) -> None:
        path = self.directory / "bad"
        for text in ("", "00" * 32, "hush hush", "é"):
            path.write_text(text)
            done = self.run_it("unregister", ID, "--owner-key-file", str(path), code=1)
            self.assertNotIn(text or "\0", done.output.replace(str(path), ""))
        self.run_it("unregister", ID, "--owner-key-file", "nosuch", code=1)
        self.assertEqual(self.asked, [])

    def test_list_and_count(self) -> None:
        entry = {
            "id": ID,
            "tier": "gold",
            "power": 1_000,
            "status": "eligible",
            "in_set": True,
            "service": "10.0.0.1:5",
        }
        self.answer = [entry]
        self.assertIn(f"{ID}  gold     1000  eligible      yes     10.0.0.1:5\n", self.run_it("list").output)
        self.assertEqual(json.loads(self.run_it("list", "--json").output), [entry])
        tiers = {"free": 0, "bronze": 1, "silver": 2, "gold": 3}
        self.answer = {"total": 6, "eligible": 5, "in_set": 4, "total_power": 3_210, "connected": 3, "tiers": tiers}
        self.assertIn("6 registered (0 free, 1 bronze, 2 silver, 3 gold), 5 eligible\n", self.run_it("count").output)

    def test_status(self) -> None:
        self.answer = STATUS
        done = self.run_it("status").output
        self.assertIn(f"Masternode {ID}: eligible\n", done)
        self.assertIn("it signs nothing: behind\n", done)
        self.run_it("sign-anyway", ID)
        self.assertEqual(self.asked[-1], ("masternode", ("sign-anyway", ID)))
        self.answer = STATUS | {"id": None}
        self.assertIn("no registered masternode", self.run_it("status").output)

    def test_amounts_are_exact_in_json(self) -> None:
        self.assertIn('"fee": 0.00050000', self.run_it("unregister", ID, "--json").output)

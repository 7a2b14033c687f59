"""``timecoin verify-proof``: outcomes, exit statuses, and that it asks nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tests.proofs.story import STORY
from timecoin.cli.main import main
from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.proofs.proof_file import encode
from timecoin.proofs.values import Proof

NOW = STORY.chain.state.header.slot_time + 60


class VerifyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.genesis = self.file("genesis.json", STORY.chain.genesis.encode())

    def file(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)

    def run_on(self, proof: Proof | bytes, *words: str, now: int = NOW) -> Result:
        data = proof if isinstance(proof, bytes) else encode(proof)
        return CliRunner().invoke(main, ["verify-proof", self.file("proof", data), "--time", str(now), *words])

    def by_genesis(self, proof: Proof | bytes, *words: str, now: int = NOW) -> Result:
        return self.run_on(proof, "--genesis", self.genesis, *words, now=now)

    def test_final(self) -> None:
        done = self.by_genesis(STORY.finality())
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn(f"PROVED: transaction {display(STORY.open.txid)}\n", done.output)
        self.assertIn("is final: acked in epoch 4 by 300 of 410 power (3 masternodes)\n", done.output)
        where = address.encode(STORY.open.outputs[0].script, "timed")
        self.assertIn(f"output 0: 3.00000000 TIME to {where}\n", done.output)
        self.assertIn("(the genesis file) of epoch 0\n  and on the signed closing blocks of the 3 epochs", done.output)
        self.assertNotIn("Warning", done.output)

    def test_archived_as_json(self) -> None:
        done = self.by_genesis(STORY.signed(3, 0), "--json")
        shown = json.loads(done.output)
        self.assertEqual((done.exit_code, shown["valid"], shown["status"]), (0, True, "archived"))
        self.assertEqual(shown["txid"], display(STORY.paid[3][0].txid))
        self.assertEqual((shown["epoch"], shown["anchor"]["links"], shown["power"]), (3, 2, 410))
        self.assertEqual(shown["outputs"][0]["value"], 1.0)
        self.assertIn('"value": 1.00000000', done.output)

    def test_by_a_trusted_block(self) -> None:
        height, block_hash = STORY.anchor_of(3)
        done = self.run_on(STORY.linked(1, 1, 3), "--trusted", f"{height}:{display(block_hash)}")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn(f"relying on block {height} {display(block_hash)} (named by --trusted) of epoch 3\n", done.output)
        self.assertNotIn("commit is signed", done.output)

    def test_by_a_header(self) -> None:
        header = STORY.links[2].header
        for data in (header.encode(), header.encode().hex().encode() + b"\n", f'"{header.encode().hex()}"'.encode()):
            done = self.by_genesis(STORY.finality(2), "--header", self.file("header", data))
            self.assertEqual(done.exit_code, 0, done.output)
            self.assertIn("(the header given) of epoch 2", done.output)

    def test_not_proved(self) -> None:
        good = encode(STORY.finality())
        for data in (good.replace(b'"acks":["', b'"acks":["AAAA'), b"{}", b"no JSON"):
            done = self.by_genesis(data)
            self.assertEqual(done.exit_code, 1)
            self.assertTrue(done.output.startswith("NOT PROVED: "))
        shown = json.loads(self.by_genesis(b"{}", "--json").output)
        self.assertEqual((shown["valid"], shown["code"]), (False, "proof-malformed"))

    def test_wrong_anchor(self) -> None:
        done = self.by_genesis(STORY.finality(1))
        self.assertEqual(done.exit_code, 1)
        self.assertIn("(proof-anchor)", done.output)

    def test_the_trusted_block_closed_the_epoch_of_the_acks(self) -> None:
        done = self.by_genesis(STORY.finality(), "--trusted", f"999:{'ab' * 32}")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("(proof-epoch-closed)", done.output)

    def test_ages(self) -> None:
        late = NOW + 144 * 600
        self.assertIn("(proof-set-left)", self.by_genesis(STORY.finality(), now=late).output)
        done = self.by_genesis(STORY.signed(3, 0), now=late)
        self.assertEqual(done.exit_code, 0)
        self.assertIn("Warning: the anchor is older", done.output)

    def test_usage(self) -> None:
        proof = encode(STORY.finality())
        for words in ((), ("--trusted", "1:2"), ("--trusted", "x"), ("--trusted", f"1:{'00' * 32}", "--header", "y")):
            self.assertEqual(self.run_on(proof, *words).exit_code, 2, words)

    def test_unreadable(self) -> None:
        proof = STORY.finality()
        interim = STORY.chain.blocks[1].header.encode()
        for words in (
            ("--genesis", "nosuch"),
            ("--genesis", self.file("bad", b"{}")),
            ("--header", self.file("short", b"00")),
            ("--header", self.file("interim", interim)),
        ):
            done = self.run_on(proof, *words)
            self.assertEqual(done.exit_code, 3, words)
            self.assertTrue(done.output.startswith("error: "))
        missing = CliRunner().invoke(main, ["verify-proof", "nosuch", "--genesis", self.genesis])
        self.assertEqual(missing.exit_code, 3)

    def test_from_standard_input(self) -> None:
        words = ["verify-proof", "-", "--genesis", self.genesis, "--time", str(NOW)]
        done = CliRunner().invoke(main, words, input=encode(STORY.finality()))
        self.assertEqual(done.exit_code, 0, done.output)

    def test_it_brings_neither_node_nor_network_along(self) -> None:
        code = "import sys; from timecoin.cli.main import main; main(['verify-proof', '--help'], standalone_mode=False)"
        code += (
            "; print([n for n in sys.modules if n.startswith(('twisted', 'ZODB', 'timecoin.p2p', 'timecoin.storage'))])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stdout.splitlines()[-1], "[]")

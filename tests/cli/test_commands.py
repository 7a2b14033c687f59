"""The command line without processes: conversions, printing, making networks, what a devnet is made of."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from timecoin.cli import devnet_files
from timecoin.cli.connection import address_of
from timecoin.cli.devnet import prepare
from timecoin.cli.devnet_display import Display, NodeView, summary, table
from timecoin.cli.devnet_files import DevnetError, make_devnet, open_devnet
from timecoin.cli.genesis_options import parse_seat
from timecoin.cli.main import main
from timecoin.cli.payment import PAYMENT_VBYTES, OwnedCoin, make_payment
from timecoin.cli.rpc import show
from timecoin.cli.words import convert, convert_named
from timecoin.ledger.coins import Coin
from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.tiers import Tier
from timecoin.ledger.validation import check_inputs, check_transaction, signature_checks
from timecoin.node.config import ConfigError, load
from timecoin.primitives.hashes import parse_display
from timecoin.primitives.signing import check_all, get_backend
from timecoin.primitives.transaction import make_outpoint


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


class LazyTests(SynchronousTestCase):
    def test_each_command_is_where_it_is_said_to_be(self) -> None:
        context = click.Context(main)
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            assert command is not None
            self.assertEqual(command.name, name)
        self.assertIsNone(main.get_command(context, "nosuch"))

    def test_a_call_does_not_bring_the_simulator_along(self) -> None:
        code = "import sys; from timecoin.cli.main import main; main(['rpc', '--help'], standalone_mode=False)"
        code += "; print(sorted(name for name in sys.modules if name.startswith('timecoin.simulation')))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stdout.splitlines()[-1], "[]")


class RpcArgumentTests(SynchronousTestCase):
    def test_words_become_what_the_method_takes(self) -> None:
        self.assertEqual(convert("getblockhash", ("7",)), [7])
        self.assertEqual(convert("getblock", ("11" * 32, "true")), ["11" * 32, True])
        self.assertEqual(convert("gettxout", ("11" * 32, "0", "false")), ["11" * 32, 0, False])
        self.assertEqual(convert("testmempoolaccept", ('["00"]', "0.1")), [["00"], Decimal("0.1")])
        self.assertEqual(convert("masternode", ("list",)), ["list"])
        self.assertEqual(convert("unknown", ("1", "x")), [1, "x"])

    def test_words_that_are_no_json(self) -> None:
        self.assertRaises(click.UsageError, convert, "getblockhash", ("x",))
        self.assertRaises(click.UsageError, convert_named, "getblock", ("verbosity=1", "11"))

    def test_named(self) -> None:
        named = convert_named("getblock", (f"blockhash={'1' * 64}", "verbosity=2"))
        self.assertEqual(named, {"blockhash": "1" * 64, "verbosity": 2})
        self.assertEqual(convert_named("getblock", ("1" * 64, "verbose=2")), {"args": ["1" * 64], "verbose": 2})

    def test_results(self) -> None:
        self.assertEqual(show(b"null"), "")
        self.assertEqual(show(b'"text\\nmore"'), "text\nmore")
        self.assertEqual(show(b'{"value":0.00000001,"n":[]}'), '{\n  "value": 0.00000001,\n  "n": []\n}')

    def test_where_a_node_answers(self) -> None:
        path = Path(self.mktemp())
        path.write_text("[node]\ndata_dir = data\n[rpc]\nlisten = unix:/x tcp:5:interface=127.0.0.2\n")
        self.assertEqual(address_of(load(path)), "http://127.0.0.2:5")
        path.write_text("[rpc]\nenabled = no\n")
        self.assertRaises(ConfigError, address_of, load(path))

    def test_exit_statuses(self) -> None:
        self.assertEqual(run("rpc", "--url", "http://127.0.0.1:1", "getblockcount").exit_code, 2)
        away = run("rpc", "--url", "http://127.0.0.1:1", "--cookie", "/nowhere/.cookie", "getblockcount")
        self.assertEqual((away.exit_code, "is the node running?" in away.output), (1, True))
        lost = run("rpc", "--config", "/nowhere/node.ini", "getblockcount")
        self.assertEqual((lost.exit_code, lost.output.count("\n")), (1, 1))


class GenesisTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = Path(self.mktemp())
        self.words = ["genesis", "--out", str(self.out), "--network", "mynet", "--epoch-seconds", "20"]
        self.words += ["--masternode", "gold@203.0.113.1:24100", "--masternode", "free@[2001:db8::1]:24100"]

    def test_a_network(self) -> None:
        done = run(
            *self.words,
            "--funds",
            "3",
            "--fund-amount",
            "2.5",
            "--parameter",
            "min_paid=1",
            "--time",
            "1800000000",
        )
        self.assertEqual(done.exit_code, 0, done.output)
        genesis = Genesis.load((self.out / "genesis.json").read_bytes())
        self.assertEqual(
            (genesis.network, genesis.time, genesis.parameters.min_paid), ("mynet", 1_800_000_000, 1)
        )
        self.assertEqual(genesis.parameters.epoch_seconds, 20)
        self.assertEqual(len(genesis.registrations), 2)
        backend = get_backend()
        for number, registration in enumerate(genesis.registrations):
            directory = self.out / f"masternode{number}"
            for name in ("operator.key", "owner.key", "payout.key", "node.key"):
                self.assertEqual(stat.S_IMODE((directory / name).stat().st_mode), 0o600)
            secret = bytes.fromhex((directory / "operator.key").read_text())
            self.assertEqual(backend.public_key(secret), registration.operator_key)
        self.assertEqual(genesis.peers[0].split("@")[1], "203.0.113.1:24100")

    def test_funds_are_coins_of_block_0(self) -> None:
        run(*self.words, "--funds", "3", "--fund-amount", "2.5")
        self.assertEqual(stat.S_IMODE((self.out / "funds.json").stat().st_mode), 0o600)
        _, _, delta = first_state(Genesis.load((self.out / "genesis.json").read_bytes()))
        funds = json.loads((self.out / "funds.json").read_text())
        self.assertEqual(len(funds), 3)
        for fund in funds:
            coin = delta.added[make_outpoint(parse_display(fund["txid"]), fund["vout"])]
            self.assertEqual((coin.value, fund["amount"]), (250_000_000, 250_000_000))

    def test_nothing_is_overwritten(self) -> None:
        self.assertEqual(run(*self.words).exit_code, 0)
        before = (self.out / "genesis.json").read_bytes()
        again = run(*self.words)
        self.assertEqual(again.exit_code, 1)
        self.assertIn("is there already", again.output)
        self.assertEqual((self.out / "genesis.json").read_bytes(), before)

    def test_allocations(self) -> None:
        address = "timed1qc26p3dmu72a0t7qu6e4ryfg9djgtgzgqctf6yy"
        self.assertEqual(run(*self.words, "--allocate", f"{address}=12.5").exit_code, 0)
        genesis = Genesis.load((self.out / "genesis.json").read_bytes())
        self.assertEqual(genesis.allocations[-1].value, 1_250_000_000)

    def test_mistakes(self) -> None:
        for extra in (
            ("--masternode", "platinum@1.2.3.4:5"),
            ("--masternode", "gold@example.org:5"),
            ("--allocate", "nonsense=1"),
            ("--parameter", "colour=1"),
            ("--parameter", "max_block_txs=1"),
            ("--fund-amount", "-1"),
            ("--network", "My Net"),
        ):
            done = run(*self.words, *extra)
            self.assertIn(done.exit_code, (1, 2), extra)
            self.assertFalse((self.out / "genesis.json").exists())

    def test_seats(self) -> None:
        self.assertEqual(parse_seat("Bronze@127.0.0.1:1").tier, Tier.BRONZE)
        self.assertEqual(str(parse_seat("free@[::1]:1").service), "[::1]:1")


class PaymentTests(SynchronousTestCase):
    def test_a_payment_is_valid_and_pays_its_fee(self) -> None:
        done = prepare(Path(self.mktemp()).absolute(), 1, 60, 26_000, 2)
        genesis = Genesis.load((done.directory / "genesis.json").read_bytes())
        _, state, delta = first_state(genesis)
        backend = get_backend()
        for fund in done.funds:
            outpoint = make_outpoint(parse_display(fund["txid"]), fund["vout"])
            coin = OwnedCoin(outpoint, fund["amount"], bytes.fromhex(fund["secret"]))
            tx = make_payment(coin, delta.added[outpoint].script, 10**8, 200, backend)
            spent: list[Coin] = [delta.added[outpoint]]
            check_transaction(genesis.parameters, tx)
            self.assertEqual(
                check_inputs(genesis.parameters, state.registry, 1, tx, spent), 200 * PAYMENT_VBYTES
            )
            self.assertTrue(check_all(backend, signature_checks(tx, spent)))
            self.assertLessEqual(tx.vsize, PAYMENT_VBYTES)
            self.assertRaises(ValueError, make_payment, coin, spent[0].script, coin.value, 200, backend)


class DevnetFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()

    def test_made_once_found_again(self) -> None:
        made = make_devnet(self.directory, 3, 10, 26_000, 5)
        self.assertEqual(open_devnet(self.directory), made)
        self.assertEqual([node.p2p_port for node in made.nodes], [26_000, 26_002, 26_004])
        self.assertEqual(prepare(self.directory, None, None, None, 5), made)
        self.assertRaises(DevnetError, prepare, self.directory, 4, None, None, 5)
        self.assertRaises(DevnetError, prepare, self.directory, None, None, 27_000, 5)

    def test_every_configuration_is_valid(self) -> None:
        made = make_devnet(self.directory, 3, 10, 26_000, 5)
        backend = get_backend()
        for node in made.nodes:
            config = load(node.config)
            self.assertEqual(config.data_dir, node.data_dir)
            self.assertEqual(config.rpc_endpoints, (f"tcp:{node.rpc_port}:interface=127.0.0.1",))
            others = {each.node_id for each in made.nodes} - {node.node_id}
            self.assertEqual({peer.node_id.hex() for peer in config.p2p.peers}, others)
            secret = bytes.fromhex((node.data_dir / "node.key").read_text())
            self.assertEqual(backend.public_key(secret).hex(), node.node_id)
            self.assertTrue(config.masternode.enabled)
            self.assertTrue(config.genesis_path.exists())

    def test_the_description(self) -> None:
        made = make_devnet(self.directory, 2, 10, 26_000, 5)
        shown: dict[str, Any] = json.loads(json.dumps(made.describe([11, None])))
        self.assertEqual(set(shown), {"network", "genesis", "nodes", "funds"})
        self.assertEqual(
            shown["nodes"][0],
            {
                "name": "node0",
                "pid": 11,
                "node_id": made.nodes[0].node_id,
                "data_dir": str(self.directory / "node0" / "data"),
                "config": str(self.directory / "node0" / "node.ini"),
                "log": str(self.directory / "node0" / "node.log"),
                "p2p": "127.0.0.1:26000",
                "rpc": "http://127.0.0.1:26001",
                "cookie": str(self.directory / "node0" / "data" / ".cookie"),
            },
        )
        self.assertEqual(len(shown["funds"]), 5)
        self.assertEqual(set(shown["funds"][0]), {"address", "secret", "txid", "vout", "amount"})

    def test_a_directory_of_something_else(self) -> None:
        self.directory.mkdir()
        (self.directory / "letter.txt").write_text("dear")
        self.assertRaises(DevnetError, open_devnet, self.directory)
        self.assertIsNone(open_devnet(self.directory / "new"))

    def test_secrets_are_for_the_owner(self) -> None:
        make_devnet(self.directory, 1, 10, 26_000, 5)
        for name in ("devnet.json", "node0/data/operator.key", "node0/data/node.key"):
            self.assertEqual(stat.S_IMODE((self.directory / name).stat().st_mode), 0o600)

    def test_free_ports(self) -> None:
        first = devnet_files._free_ports(4)
        self.assertTrue(devnet_files.FIRST_PORT <= first < devnet_files.LAST_PORT)


class DisplayTests(SynchronousTestCase):
    views = [
        NodeView("node0", 11, 7, 3, 2, True, None, 0),
        NodeView("node1", 12, 6, 3, 1, False, "has no journal", 4),
        NodeView("node2", 13),
        NodeView("node3", None),
    ]

    def test_a_line(self) -> None:
        self.assertEqual(
            summary(self.views),
            "1 of 4 voting, epoch 3, height 6-7: node1 has no journal, node2 starting, node3 down",
        )

    def test_plain_output_repeats_nothing(self) -> None:
        console = Console(record=True, force_terminal=False, width=200, file=io.StringIO())
        display = Display(console)
        display.start()
        for _ in range(3):
            display.update(self.views[:1])
        display.line("a [not markup] line")
        display.stop()
        self.assertEqual(console.export_text(), "1 of 1 voting, epoch 3, height 7\na [not markup] line\n")

    def test_a_table(self) -> None:
        self.assertEqual(table(self.views).row_count, 4)

"""Commands that call a node, over a client that notes what it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from click.testing import CliRunner, Result
from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_network import networked
from tests.rpc.fake_node import FakeNode
from timecoin.cli import connection
from timecoin.cli.main import main
from timecoin.cli.status_screen import duration, screen
from timecoin.rpc import codec
from timecoin.rpc.client import RpcFailure, RpcUnreachable
from timecoin.rpc.errors import IN_WARMUP, METHOD_NOT_FOUND
from timecoin.rpc.methods import all_methods
from timecoin.rpc.methods_chain import getblockchaininfo
from timecoin.rpc.methods_network import getnetworkinfo, getpeerinfo
from timecoin.rpc.methods_status import getstatus
from timecoin.rpc.table import Context
from timecoin.rpc.target import Login

WHERE = ("--url", "http://127.0.0.1:1", "--cookie", "/nowhere/.cookie")


def interrupt() -> None:
    """What Ctrl-C does to a command."""
    raise KeyboardInterrupt


class NotedClient:
    """Stands in for ``BlockingClient``; ``answers`` are results, exceptions or functions, by method."""

    made: ClassVar[list[tuple[Any, ...]]]
    calls: ClassVar[list[tuple[str, Any]]]
    answers: ClassVar[dict[str, Any]]

    def __init__(self, *arguments: Any) -> None:
        self.made.append(arguments)

    def call_raw(self, method: str, params: Any) -> bytes:
        self.calls.append((method, params))
        answer = self.answers.get(method)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return codec.encode(answer)


class OverRpc(SynchronousTestCase):
    def setUp(self) -> None:
        NotedClient.made, NotedClient.calls, NotedClient.answers = [], [], {}
        self.patch(connection, "BlockingClient", NotedClient)
        self.patch(connection, "_RETRY_SECONDS", 0.0)

    def run_words(self, *words: str, given: str = "", env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(main, words, input=given, env=env)

    def rpc(self, *words: str, given: str = "") -> Result:
        return self.run_words("rpc", *WHERE, *words, given=given)


class RpcCommandTests(OverRpc):
    def test_an_answer(self) -> None:
        NotedClient.answers = {"getblockcount": 7}
        done = self.rpc("getblockcount")
        self.assertEqual((done.exit_code, done.output), (0, "7\n"))
        self.assertEqual(NotedClient.calls, [("getblockcount", [])])

    def test_an_error_is_told_by_the_exit_status(self) -> None:
        NotedClient.answers = {"getblockhash": RpcFailure(-8, "Block height out of range")}
        done = self.rpc("getblockhash", "9")
        self.assertEqual(done.exit_code, 8)
        self.assertEqual(done.output, "error code: -8\nerror message:\nBlock height out of range\n")

    def test_named_as_bitcoin_cli_writes_it(self) -> None:
        self.rpc("-named", "getblock", f"blockhash={'1' * 64}", "verbosity=2")
        self.assertEqual(NotedClient.calls, [("getblock", {"blockhash": "1" * 64, "verbosity": 2})])

    def test_negative_numbers_are_no_options(self) -> None:
        self.rpc("getblockhash", "-1")
        self.assertEqual(NotedClient.calls, [("getblockhash", [-1])])

    def test_arguments_from_standard_input(self) -> None:
        self.rpc("-stdin", "getblock", given=f"{'1' * 64}\n1\n")
        self.assertEqual(NotedClient.calls, [("getblock", ["1" * 64, 1])])

    def test_a_passphrase_from_standard_input(self) -> None:
        self.rpc("-stdinwalletpassphrase", "walletpassphrase", "60", given="two words\n")
        self.assertEqual(NotedClient.calls[0][1][0], "two words")
        self.rpc("-stdinwalletpassphrase", "encryptwallet", given="two words\n")
        self.assertEqual(NotedClient.calls.pop(), ("encryptwallet", ["two words"]))
        refused = self.rpc("-stdinwalletpassphrase", "getblockcount", given="two words\n")
        self.assertEqual((refused.exit_code, len(NotedClient.calls)), (2, 1))
        self.assertNotIn("two words", refused.output)

    def test_the_wallet_is_in_the_path(self) -> None:
        self.rpc("-rpcwallet=my savings/1", "getblockcount")
        self.assertEqual(NotedClient.made[0][0], "http://127.0.0.1:1/wallet/my%20savings%2F1")

    def test_users_and_where_their_password_comes_from(self) -> None:
        words = ("rpc", "--url", "https://node:2", "-rpcuser=alice")
        self.run_words(*words, "-stdinrpcpass", "getblockcount", given="secret\n")
        self.run_words(*words, "getblockcount", env={connection.PASSWORD_VARIABLE: "secret"})
        self.assertEqual([each[1] for each in NotedClient.made], [Login("alice", "secret")] * 2)
        refused = self.run_words(*words, "getblockcount", env={connection.PASSWORD_VARIABLE: None})  # type: ignore[dict-item]
        self.assertEqual(refused.exit_code, 2)
        self.assertEqual(self.run_words(*words, "--cookie", "x", "getblockcount").exit_code, 2)

    def test_a_node_that_starts_is_waited_for(self) -> None:
        answers = iter([RpcUnreachable("nobody listens"), RpcFailure(IN_WARMUP, "Loading"), 5])
        NotedClient.answers = {"getblockcount": lambda: next(answers)}
        done = self.rpc("-rpcwait", "getblockcount")
        self.assertEqual((done.exit_code, done.output, len(NotedClient.calls)), (0, "5\n", 3))

    def test_waiting_ends(self) -> None:
        NotedClient.answers = {"getblockcount": RpcUnreachable("nobody listens")}
        self.assertEqual(self.rpc("-rpcwait", "-rpcwaittimeout=0", "getblockcount").exit_code, 1)
        self.assertEqual(self.rpc("getblockcount").exit_code, 1)
        self.assertEqual(len(NotedClient.calls), 2)


class BitcoinCliHabitTests(OverRpc):
    def setUp(self) -> None:
        super().setUp()
        context = Context(FakeNode(Clock()), all_methods())
        networked(context)
        NotedClient.answers = {
            "getblockchaininfo": lambda: self.successResultOf(Deferred.fromCoroutine(getblockchaininfo(context))),
            "getnetworkinfo": lambda: getnetworkinfo(context),
            "getpeerinfo": lambda: getpeerinfo(context),
            "getwalletinfo": RpcFailure(-18, "No wallet is loaded."),
        }

    def test_getinfo(self) -> None:
        done = self.rpc("-getinfo")
        self.assertEqual(done.exit_code, 0, done.output)
        for line in ("Chain: regtest (", "Blocks: 1\n", "Network: in ", "Version: 0.", "Warnings: "):
            self.assertIn(line, done.output)
        self.assertNotIn("Balance", done.output)

    def test_getinfo_with_wallets(self) -> None:
        NotedClient.answers["getbalances"] = {"mine": {"trusted": Decimal("0E-8")}}
        NotedClient.answers["getwalletinfo"] = {"walletname": "shop"}
        self.assertIn("Wallet: shop\nBalance: 0.00000000\n", self.rpc("-getinfo").output)
        NotedClient.answers |= {"getwalletinfo": RpcFailure(-19, "which?"), "listwallets": ["shop", "till"]}
        self.assertIn("Balances\n0.00000000  shop\n0.00000000  till\n", self.rpc("-getinfo").output)
        NotedClient.answers["getwalletinfo"] = RpcFailure(-18, "is not loaded")
        self.assertEqual(self.rpc("-getinfo", "-rpcwallet=none").exit_code, 18)

    def test_netinfo(self) -> None:
        counted, listed = self.rpc("-netinfo"), self.rpc("-netinfo", "4")
        self.assertEqual((counted.exit_code, listed.exit_code), (0, 0), counted.output + listed.output)
        self.assertIn("total", counted.output)
        self.assertNotIn("<->", counted.output)
        self.assertIn("<->", listed.output)
        self.assertEqual(self.rpc("-netinfo", "x").exit_code, 2)

    def test_an_option_that_is_none_is_no_method(self) -> None:
        for words in (("-datadir=/x", "getblockcount"), ("-rpcpassword=secret", "getblockcount"), ("-generate",)):
            done = self.rpc(*words)
            self.assertEqual(done.exit_code, 2)
            self.assertIn(f"Invalid parameter {words[0].partition('=')[0]}", done.output)
            self.assertNotIn("secret", done.output)
        self.assertEqual((self.rpc().exit_code, NotedClient.calls), (2, []))

    def test_the_exit_status_is_bitcoin_clis(self) -> None:
        NotedClient.answers = {"nosuch": RpcFailure(METHOD_NOT_FOUND, "Method not found")}
        self.assertEqual(self.rpc("nosuch").exit_code, 32601 % 256)

    def test_host_and_port(self) -> None:
        login = ("--cookie", "/nowhere/.cookie", "getblockcount")
        for words, url in (
            (("-rpcport=7",), "http://127.0.0.1:7"),
            (("-rpcconnect=node.example", "-rpcport=7"), "http://node.example:7"),
            (("-rpcconnect=node.example:7",), "http://node.example:7"),
            (("-rpcconnect=::1", "-rpcport=7"), "http://[::1]:7"),
        ):
            self.run_words("rpc", *words, *login)
            self.assertEqual(NotedClient.made.pop()[0], url)
        self.assertEqual(self.rpc("-rpcport=7", "getblockcount").exit_code, 2)

    def test_the_cookie_goes_to_nobody_else_unasked(self) -> None:
        config = Path(self.mktemp())
        config.write_text("[node]\ndata_dir = data\n[rpc]\nlisten = tcp:5:interface=127.0.0.1\n")
        away = self.run_words("rpc", "--config", str(config), "-rpcconnect=10.0.0.1", "-rpcport=7", "getblockcount")
        self.assertEqual((away.exit_code, NotedClient.made), (2, []))
        self.run_words("rpc", "--config", str(config), "-rpcconnect=localhost", "getblockcount")
        self.assertEqual(NotedClient.made[0][0], "http://localhost:5")

    def test_a_command_typed_wrongly(self) -> None:
        self.assertIn("Did you mean 'status'?", self.run_words("stauts").output)
        self.assertIn("Did you mean 'balance'?", self.run_words("wallet", "ballance").output)


class StandardStreamTests(SynchronousTestCase):
    def timecoin(self, words: str) -> tuple[int, str]:
        """Exit status and standard error, by a shell that closes and redirects streams."""
        start = "import sys; from timecoin.cli.main import main; sys.argv[0] = 'timecoin'; main()"
        command = ["sh", "-c", f'"$0" -c "$1" {words}', sys.executable, start]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def test_closed_input_is_empty(self) -> None:
        status, told = self.timecoin("rpcauth --stdin alice <&-")
        self.assertEqual((status, told.splitlines()[-1]), (2, "Error: the password is empty"))

    def test_a_full_disk_is_one_line(self) -> None:
        status, told = self.timecoin("completion bash > /dev/full")
        self.assertEqual((status, told), (1, "error: cannot write the output: No space left on device\n"))


class StatusTests(OverRpc):
    def setUp(self) -> None:
        super().setUp()
        self.node = FakeNode(Clock())
        NotedClient.answers = {"getstatus": lambda: getstatus(Context(self.node, all_methods()))}

    def test_plain_lines_when_nobody_looks(self) -> None:
        done = self.run_words("status", *WHERE)
        self.assertEqual(done.exit_code, 0)
        self.assertIn("finality: p50 24 ms, p99 80 ms, slowest 80 ms (last 3 payments)\n", done.output)
        self.assertIn("power: 110 of 110 connected, a quorum is 74 (2 masternodes)\n", done.output)
        self.assertIn("warning syncing: at block 1 of 3\n", done.output)
        self.assertNotIn("\x1b", done.output)

    def test_watching_ends_with_ctrl_c(self) -> None:
        looks = iter([getstatus(Context(self.node, all_methods()))])
        NotedClient.answers = {"getstatus": lambda: next(looks, None) or interrupt()}
        done = self.run_words("status", *WHERE, "--watch", "--every", "0.2")
        self.assertEqual((done.exit_code, "Aborted" in done.output), (0, False), done.output)

    def test_an_error_is_told_by_the_exit_status(self) -> None:
        self.node.free = 5
        self.assertEqual(self.run_words("status", *WHERE).exit_code, 4)
        NotedClient.answers = {"getstatus": RpcUnreachable("nobody listens")}
        self.assertEqual(self.run_words("status", *WHERE).exit_code, 1)

    def test_json(self) -> None:
        found = json.loads(self.run_words("status", *WHERE, "--json").output)
        self.assertEqual(found["consensus"]["quorum"], 74)
        self.assertEqual(self.run_words("status", *WHERE, "--json", "--watch").exit_code, 2)

    def test_the_screen(self) -> None:
        console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
        self.addCleanup(console.file.close)
        console.print(screen(getstatus(Context(self.node, all_methods()))))  # type: ignore[arg-type]
        shown = console.export_text()
        for expected in ("devnet", "epoch", "masternode", "WARNING syncing", "2 masternodes"):
            self.assertIn(expected, shown)

    def test_durations(self) -> None:
        shown = [duration(seconds) for seconds in (0, 59, 60, 3_599, 3_600, 86_399, 86_400, 1_000_000)]
        expected = ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 0 h", "11 d 13 h"]
        self.assertEqual(shown, expected)


class CompletionTests(SynchronousTestCase):
    def completed(self, words: str, position: int) -> list[str]:
        """What bash is offered."""
        env = dict(os.environ, COMP_WORDS=words, COMP_CWORD=str(position), _TIMECOIN_COMPLETE="bash_complete")
        command = [sys.executable, "-c", "from timecoin.cli.main import main; main(prog_name='timecoin')"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    def test_commands_and_methods(self) -> None:
        self.assertEqual(self.completed("timecoin sta", 1), ["status"])
        self.assertEqual(self.completed("timecoin rpc getblockco", 2), ["getblockcount"])
        self.assertEqual(self.completed("timecoin rpc help getblockco", 3), ["getblockcount"])

    def test_scripts(self) -> None:
        for shell in ("bash", "zsh", "fish"):
            done = CliRunner().invoke(main, ["completion", shell])
            self.assertEqual(done.exit_code, 0, shell)
            self.assertIn("_TIMECOIN_COMPLETE", done.output)
        self.assertEqual(CliRunner().invoke(main, ["completion", "tcsh"]).exit_code, 2)

"""The manhole of a real node, entered with OpenSSH's own client."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor as _reactor

from tests.functional.processes import Child
from tests.functional.ssh import Client, Terminal, fingerprint, keygen
from tests.functional.support import Devnet, FunctionalCase, is_free, until

LOCK = "import threading; a = threading.Lock(); a.acquire(); a.acquire()"


class ManholeTests(FunctionalCase):
    """One node of one masternode; all in few lives, because a node takes seconds to start."""

    timeout = 240

    def prepare(self, listen: str) -> None:
        self.net: Devnet = self.devnet(1, epoch_seconds=20)
        self.node = self.net.nodes[0]
        self.mine = self.directory()
        self.keys = {
            "ed25519": keygen(self.mine / "ed25519", "ed25519", "ann@desk"),
            "rsa": keygen(self.mine / "rsa", "rsa", "bob", 2048),
            "single": keygen(self.mine / "single", "ecdsa", "robot"),
            "stranger": keygen(self.mine / "stranger", "ed25519", "eve"),
        }
        self.authorized = self.node.files.directory / "authorized_keys"
        self.authorize(self.keys["ed25519"], self.keys["rsa"], "restrict " + self.keys["single"])
        config = self.node.files.config
        text = config.read_text(encoding="utf-8")
        config.write_text(
            f"{text}\n[manhole]\nlisten = {listen}\nauthorized_keys = authorized_keys\n", encoding="utf-8"
        )

    def authorize(self, *lines: str) -> None:
        self.authorized.write_text("\n".join(lines) + "\n", encoding="ascii")
        self.authorized.chmod(0o600)

    def port(self) -> int:
        return next(port for port in range(31_900, 32_700) if is_free(port))

    async def ssh(
        self, key: str | None, *command: str, client: Client | None = None, options: tuple[str, ...] = ()
    ) -> Child:
        """Run ssh to its end."""
        path = None if key is None else self.mine / key
        line = (client or self.client).command(path, *command, options=options)
        child = self.run_child(*line)
        await child.ended(60)
        return child

    async def test_over_loopback(self) -> None:
        port = self.port()
        self.prepare(f"tcp:{port}:interface=127.0.0.1")
        self.client = Client(self.mine, port)
        self.node.start()
        await self.node.answers()
        await until(lambda: "started manhole" in self.log(), "the manhole")
        await self.commands()
        await self.refusals()
        await self.blocking()
        await self.session()
        await self.restart()
        self.assert_logged()
        await self.bad_settings()
        self._passed = True

    def log(self) -> str:
        return self.node.files.log.read_text(encoding="utf-8") if self.node.files.log.exists() else ""

    async def commands(self) -> None:
        """Single commands with each kind of key, and their exit statuses."""
        for key in ("ed25519", "rsa", "single"):
            child = await self.ssh(key, "6 * 7")
            self.assertEqual((child.status, child.text), (0, "42\n"))
        for command, status, text in (
            ("node", 0, "== node =="),
            ("consensus", 0, "A quorum is connected."),
            ("help()", 0, "Payments do not become final?"),
            ("help(peers)", 0, ".get(number"),
            ("chain.block(0)", 0, "== block 0 =="),
            ("chain.last()", 0, "== last blocks =="),
            ("mempool.oldest()", 0, "== oldest in the mempool =="),
            ("finality.recent()", 0, "== recent events =="),
            ("consensus.members()", 0, "== masternodes of the open epoch =="),
            ("consensus.round()", 0, "== round =="),
            ("wallet", 0, "== wallets =="),
            ("settings", 0, "p2p.max_inbound"),
            ("settings.set('log.p2p', 'debug')", 0, "'debug'"),
            ("settings.set('log.p2p', 'loud')", 1, "must be one of"),
            ("1 / 0", 1, "ZeroDivisionError"),
            ("1 +", 2, "SyntaxError"),
            ("exit(9)", 9, ""),
        ):
            child = await self.ssh("ed25519", command)
            self.assertEqual(child.status, status, f"{command}: {child.text}")
            self.assertIn(text, child.text)

    async def refusals(self) -> None:
        """Other keys, passwords, terminals for keys without, a file that others could have written."""
        child = await self.ssh("stranger", "1")
        self.assertEqual(child.status, 255)
        self.assertIn("Permission denied (publickey)", child.text)
        child = await self.ssh(None, "1", options=("-o", "PubkeyAuthentication=no"))
        self.assertIn("Permission denied (publickey)", child.text)
        child = await self.ssh("ed25519", "-s", "sftp")
        self.assertNotEqual(child.status, 0)
        child = await self.ssh("single", options=("-tt",))
        self.assertIn("PTY allocation request failed", child.text)
        self.authorized.chmod(0o622)
        self.assertEqual((await self.ssh("ed25519", "1")).status, 255)
        self.authorize(self.keys["rsa"], 'from="10.0.0.1" ' + self.keys["ed25519"])
        self.assertEqual((await self.ssh("ed25519", "1")).status, 255)
        self.assertEqual((await self.ssh("rsa", "1")).status, 0)
        self.authorize(self.keys["ed25519"], self.keys["rsa"])

    async def blocking(self) -> None:
        """Commands that would hold or end the node do neither."""
        for command in ("while True: pass", "import time; time.sleep(60)", LOCK):
            child = await self.ssh("ed25519", command)
            self.assertEqual(child.status, 124, child.text)
            self.assertIn("held the node for more than 2 s", child.text)
        for command, status in (
            ("import sys; sys.exit(5)", 5),
            ("from twisted.internet import reactor; reactor.stop()", 1),
            ("raise KeyboardInterrupt", 1),
            ("def f(): f()\nf()", 1),
        ):
            self.assertEqual((await self.ssh("ed25519", command)).status, status, command)
        child = await self.ssh("ed25519", "for _ in range(100): print('x' * 100_000)")
        self.assertLess(len(child.text), 400_000)
        self.assertGreaterEqual(await self.node.height(), 0)

    async def session(self) -> None:
        """A terminal: lines, keys, sizes, what waits, leaving."""
        terminal = Terminal(self.client.command(self.mine / "ed25519", options=("-tt",)), _reactor)  # type: ignore[arg-type]
        self.addCleanup(terminal.close)
        await terminal.sees(">>> ")
        terminal.press("a = 20 + 1\ra * 2\r")
        await terminal.sees("\r\n42\r\n>>> ")
        terminal.press("for n in range(3):\rprint('n', n)\r\r"[:19] + "    print('n', n)\r\r")
        await terminal.sees("n 2\r\n>>> ")
        terminal.press("nonsense\x03")
        await terminal.sees("^C\r\n>>> ")
        terminal.press("conse\t\r")
        await terminal.sees("== consensus ==")
        terminal.press("await chain.block(0)\r")
        await terminal.sees("== block 0 ==")
        terminal.resize(30, 60)
        terminal.press("'after the resize'\r")
        await terminal.sees("'after the resize'\r\n")
        terminal.press("finality.wait('" + "ab" * 32 + "', 100)\r")
        await terminal.sees("waits; the result is shown when it comes")
        terminal.press("\x03")
        await terminal.sees("== never seen ==")
        terminal.press("while True: pass\r\r")
        await terminal.sees("held the node")
        terminal.press("\x04")
        self.assertEqual(await terminal.ended(), 0)

    async def restart(self) -> None:
        """The host keys and what was kept are the same afterwards; ssh would refuse another host key."""
        await self.ssh("ed25519", "settings.keep('p2p.max_inbound', 33)")
        data = self.node.files.directory / "data"
        hosts = [data / f"ssh_host_{kind}_key" for kind in ("ed25519", "rsa")]
        before = [path.read_bytes() for path in hosts]
        for path in hosts:
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        await self.node.stop()
        self.node.start()
        await self.node.answers()
        await until(lambda: self.log().count("started manhole") == 2, "the manhole")
        self.assertEqual([path.read_bytes() for path in hosts], before)
        child = await self.ssh("rsa", "settings.get('p2p.max_inbound')", options=("-o", "StrictHostKeyChecking=yes"))
        self.assertEqual(child.status, 0, child.text)
        self.assertIn("33", child.text)
        self.assertIn("setting p2p.max_inbound = 33 (kept in settings.json)", self.log())

    async def bad_settings(self) -> None:
        """Settings that were kept and cannot be taken keep the node from starting, with one line."""
        await self.node.stop()
        path = self.node.files.directory / "data" / "settings.json"
        before = self.node.files.console.read_text(encoding="utf-8")
        path.write_text('{"p2p.max_inbound": "many"}', encoding="ascii")
        self.node.start()
        assert self.node.child is not None
        self.assertEqual(await self.node.child.ended(30), 1)
        said = self.node.files.console.read_text(encoding="utf-8").removeprefix(before).splitlines()
        self.assertEqual(len(said), 1, said)
        self.assertIn(f"{path}: p2p.max_inbound = 'many': must be a whole number from 0 to 10000", said[0])

    def assert_logged(self) -> None:
        """Who did what."""
        log = self.log()
        for name, comment in (("ed25519", "ann@desk"), ("rsa", "bob")):
            self.assertIn(f"of {fingerprint(self.keys[name], self.mine)} {comment} at 127.0.0.1:", log)
        self.assertIn("runs '6 * 7'", log)
        self.assertIn("stopped after 2.", log)
        self.assertIn("others may write to it", log)
        self.assertIn("option 'from' is not supported here", log)
        self.assertIn(f"refused a login with key {fingerprint(self.keys['stranger'], self.mine)}", log)
        self.assertEqual([line for line in log.splitlines() if "Traceback" in line], [])

    async def test_over_a_unix_socket(self) -> None:
        # The names of unix sockets are short, and those of trial's directories long.
        short = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, short)
        socket = short / "manhole.sock"
        self.prepare(f"unix:{socket}")
        self.client = Client(self.mine, socket=socket)
        self.node.start()
        await self.node.answers()
        await until(socket.exists, "the socket")
        self.assertEqual(stat.S_IMODE(socket.stat().st_mode), 0o600)
        child = await self.ssh("ed25519", "peers")
        self.assertEqual((child.status, child.text.splitlines()[0]), (0, "== peers =="))
        piped = await self.piped("a = 2\nprint(a)\nfor n in range(2):\n    print(n)\n\na + 40\n")
        self.assertEqual((piped.status, piped.text), (0, "2\n0\n1\n42\n"))
        failed = await self.piped("print(1)\n1 / 0\nprint(2)\n")
        self.assertEqual((failed.status, failed.text.splitlines()[0]), (1, "1"))
        self.assertNotIn("\n2\n", failed.text)
        self.node.kill()
        # The socket is left behind, and no hindrance.
        self.node.start()
        await self.node.answers()
        await until(lambda: self.log().count("started manhole") == 2, "the manhole")
        self.assertEqual((await self.ssh("ed25519", "1 + 1")).text, "2\n")
        self._passed = True

    async def piped(self, text: str) -> Child:
        """ssh with commands on its standard input."""
        source = self.mine / "commands"
        source.write_text(text, encoding="ascii")
        line = self.client.command(self.mine / "ed25519", options=("-T",))
        program = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[2:], stdin=open(sys.argv[1])))"
        child = self.run_child(sys.executable, "-c", program, source, *line)
        await child.ended(60)
        return child

"""Start, stop and start again: nothing acknowledged is lost, refusals are one line and touch nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.functional.load import SETTLED, Load
from tests.functional.processes import Child, is_alive, kill
from tests.functional.support import Devnet, FunctionalCase, Node, timecoin, together, twistd, until
from timecoin.consensus.records import RecordKind
from timecoin.storage.journal import Journal

EPOCH = 4
STOP_SECONDS = 6.0


class StoppingTests(FunctionalCase):
    async def test_sigterm_loses_nothing(self) -> None:
        """Under load, and then all at once; what was acknowledged is known, what was final is final."""
        net = self.devnet(2, EPOCH)
        await net.up()
        load = Load(net, rate=30)
        load.start(self)
        height = await net.nodes[0].height()
        for node in net.nodes:
            await net.nodes[0].reaches(height + 1)
            await node.stop(STOP_SECONDS)
            node.start()
            await net.votes(net.nodes)
        await load.stop()
        self.assertEqual([], load.refused)
        self.assertGreater(len(load.sent), 50)
        final = [
            txid for txid in [each.txid for each in load.sent] if await net.nodes[0].status(txid) in SETTLED
        ]
        await together(node.stop(STOP_SECONDS) for node in net.nodes)
        heights = [node.tail() for node in net.nodes]
        self.assertNotIn("Traceback", "".join(heights))
        net.start()
        await together(node.answers() for node in net.nodes)
        for txid in final:
            self.assertIn(await net.nodes[0].status(txid), SETTLED)
        await net.votes(net.nodes)
        await together(load.all_in(node, ("archived",), 40) for node in net.nodes)

    async def test_acknowledged_before_a_crash(self) -> None:
        """A network of one, killed right after its answers: what it took is archived in the end."""
        net = self.devnet(1, EPOCH)
        [node] = net.nodes
        await net.up()
        load = Load(net, rate=1)
        for _ in range(3):
            for _ in range(10):
                await load.send_one()
            node.kill()
            node.start()
            await net.votes([node])
        self.assertEqual([], load.refused)
        self.assertEqual(30, len(load.sent))
        await load.all_in(node, ("archived",), 40)

    async def test_the_rpc_stop(self) -> None:
        net = self.devnet(1, EPOCH)
        [node] = net.nodes
        await net.up()
        self.assertEqual("TimeCoin node stopping", await node.call("stop"))
        assert node.child is not None
        self.assertEqual(0, await node.child.ended(STOP_SECONDS))
        self.assertFalse(node.files.cookie.exists())
        self.assertFalse((node.files.data_dir / "ready").exists())


class NetworkOfOneTests(FunctionalCase):
    async def test_it_finalises_archives_and_goes_on(self) -> None:
        net = self.devnet(1, EPOCH)
        [node] = net.nodes
        await net.up()
        load = Load(net, rate=30)
        load.start(self)
        height = await node.height()
        await node.reaches(height + 2)
        node.kill()
        node.start()
        await net.votes([node])
        await load.stop()
        self.assertEqual([], load.refused)
        await load.all_in(node, SETTLED, 10)
        await load.all_in(node, ("archived",), 20)
        set_info = await node.call("gettxoutsetinfo")
        await node.stop()
        node.start()
        await node.answers()
        self.assertGreaterEqual(await node.height(), set_info["height"])


class RefusalTests(FunctionalCase):
    """Each ends with status 1 and one line, before anything is touched."""

    def setUp(self) -> None:
        self.net = self.devnet(1, EPOCH)
        self.node = self.net.nodes[0]

    async def _refused(self, *words: str, status: int = 1, config: Path | None = None) -> None:
        child = self.run_child(
            *twistd("-n", "--pidfile=", "timecoin", "--config", config or self.node.files.config),
            cwd=self.directory(),
        )
        self.assertEqual(status, await child.ended(20), child.text)
        self.assertEqual(1, len(child.text.splitlines()), child.text)
        for word in words:
            self.assertIn(word, child.text)

    def _config(self, **changes: str) -> Path:
        """The node's configuration with other lines, and a data directory that does not exist."""
        text = self.node.files.config.read_text(encoding="utf-8")
        for old, new in ({"data_dir = data": "data_dir = nowhere"} | changes).items():
            assert old in text, old
            text = text.replace(old, new)
        path = self.node.files.directory / "other.ini"
        path.write_text(text, encoding="utf-8")
        self.addCleanup(lambda: self.assertFalse((path.parent / "nowhere").exists()))
        return path

    async def test_bad_configurations(self) -> None:
        genesis = "genesis = ../genesis.json"
        for changes, words in (
            ({"[rpc]": "[rcp]"}, ("[rcp]", "unknown section", "did you mean rpc")),
            (
                {genesis: f"{genesis}\ngenessis = 1"},
                ("[node] genessis", "unknown key", "did you mean genesis"),
            ),
            (
                {"enabled = yes": "enabled = perhaps"},
                ("[masternode] enabled", "'perhaps'", "must be yes or no"),
            ),
            ({genesis: "genesis = ../none.json"}, ("[node] genesis", "none.json", "No such file")),
            ({genesis: "genesis = node.ini"}, ("[node] genesis", "node.ini")),
            ({"network = devnet": "network = testnet"}, ("[node] network", "is for devnet")),
            (
                {"operator_key_file = data/operator.key": "operator_key_file = data/no.key"},
                ("no.key", "No such file"),
            ),
        ):
            await self._refused(*words, config=self._config(**changes))
        await self._refused("none.ini", "No such file", config=self.net.files.directory / "none.ini")

    async def test_a_port_in_use(self) -> None:
        self.node.start()
        await self.node.answers()
        await self._refused("[p2p] listen", "Address already in use", config=self._config())

    async def test_a_data_directory_in_use(self) -> None:
        self.node.start()
        await self.node.answers()
        await self._refused("[node] data_dir", "in use by another process")
        self.assertTrue(self.node.runs)
        self.assertEqual(0, await self.node.height() * 0)

    async def test_another_genesis(self) -> None:
        """A directory belongs to its network for ever."""
        self.node.start()
        await self.node.answers()
        await self.node.stop()
        other = Devnet.make(self.directory() / "other", 1, EPOCH)
        self.net.genesis_file.write_bytes(other.genesis_file.read_bytes())
        child = self._run_node()
        self.assertEqual(1, await child.ended(20), child.text)
        self.assertIn("belongs to another network", child.text)
        self.assertEqual(1, child.text.count("timecoin: "))

    async def test_a_journal_that_does_not_read_back(self) -> None:
        """Also a start that fails half way ends, with status 1."""
        self.node.start()
        await self.node.answers()
        await self.node.stop()
        journal = Journal.open(self.node.files.data_dir, self.net.genesis.chain_id)
        journal.append([bytes((RecordKind.BUNDLE,)) + b"nonsense"])
        journal.close()
        child = self._run_node()
        self.assertEqual(1, await child.ended(20), child.text)
        self.assertIn("journal does not read back", child.text)

    def _run_node(self) -> Child:
        log = self.directory() / "log"
        return self.run_child(
            *twistd("-n", "--pidfile=", f"--logfile={log}", "timecoin", "--config", self.node.files.config)
        )


class DaemonTests(FunctionalCase):
    async def test_in_the_background(self) -> None:
        net = self.devnet(1, EPOCH)
        [node] = net.nodes
        where = self.directory()
        command = twistd(
            f"--pidfile={where / 'twistd.pid'}",
            f"--logfile={where / 'log'}",
            "timecoin",
            "--config",
            node.files.config,
        )
        child = self.run_child(*command, cwd=where)
        self.addCleanup(self._kill_daemon, where)
        self.assertEqual(0, await child.ended(20), child.text)
        self.assertEqual("", child.text)
        await self._runs(node, where)
        pid = int((where / "twistd.pid").read_text(encoding="ascii"))
        self.assertNotEqual(child.pid, pid)
        self.assertEqual(
            pid, os.getsid(pid) and int((node.files.data_dir / "ready").read_text(encoding="ascii"))
        )
        second = self.run_child(*command, cwd=where)
        self.assertEqual(1, await second.ended(20), second.text)
        self.assertTrue(is_alive(pid))
        rpc = self.run_child(*timecoin("rpc", "--config", node.files.config, "getblockcount"))
        self.assertEqual(0, await rpc.ended(20), rpc.text)
        self.assertTrue(rpc.text.strip().isdecimal())
        os.kill(pid, signal.SIGTERM)
        await until(lambda: not is_alive(pid), "the daemon ends", STOP_SECONDS)
        self.assertFalse((where / "twistd.pid").exists())
        self.assertIn("stopped storage", (where / "log").read_text(encoding="utf-8"))

    async def _runs(self, node: Node, where: Path) -> None:
        async def votes() -> bool:
            return bool((await node.call("getconsensusinfo"))["voting"])

        await until(votes, f"the daemon votes; {where / 'log'}", 30)

    def _kill_daemon(self, where: Path) -> None:
        pidfile = where / "twistd.pid"
        if pidfile.exists():
            kill(int(pidfile.read_text(encoding="ascii")))

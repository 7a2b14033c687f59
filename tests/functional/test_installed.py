"""An installed wheel, and etc/node.ini as it comes, far from the checkout."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

from tests.functional.processes import Child
from tests.functional.support import FunctionalCase, free_ports, is_free, timecoin, twistd, until
from timecoin.ledger import networks

_CHECKOUT = Path(__file__).resolve().parents[2]
_TWISTD = "from twisted.scripts.twistd import run; run()"


class InstalledTests(FunctionalCase):
    def _spawn(self, *arguments: str | Path, cwd: Path) -> Child:
        """A process without a path to the checkout."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        child = Child(arguments, self.directory() / "output", cwd=cwd, environment=environment)
        self.addCleanup(child.kill_all)
        return child

    async def _done(self, *arguments: str | Path, cwd: Path, seconds: float = 60) -> str:
        child = self._spawn(*arguments, cwd=cwd)
        self.assertEqual(0, await child.ended(seconds), child.text)
        return child.text

    async def _install(self, place: Path) -> Path:
        """A wheel of the checkout in a fresh environment that finds the dependencies here; its Python."""
        source = place / "source"
        source.mkdir()
        for name in ("setup.py", "pyproject.toml", "README.rst"):
            shutil.copy(_CHECKOUT / name, source)
        for name in ("timecoin", "twisted"):
            shutil.copytree(_CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
        await self._done(
            *pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", place, source, cwd=place
        )
        await self._done(sys.executable, "-m", "venv", "--without-pip", place / "env", cwd=place)
        python = place / "env" / "bin" / "python"
        [wheel] = place.glob("timecoin-*.whl")
        await self._done(
            *pip, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel, cwd=place
        )
        # A bare path: .pth files over there, such as that of an editable install, do not count.
        [own] = (place / "env" / "lib").glob("python*/site-packages")
        (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        return python

    async def test_a_wheel(self) -> None:
        place = self.directory()
        python = await self._install(place)
        outside = self.directory()
        where = await self._done(python, "-c", "import timecoin; print(timecoin.__file__)", cwd=outside)
        self.assertIn(str(place / "env"), where)
        self.assertIn("timecoin", await self._done(python, "-c", _TWISTD, "--help", cwd=outside))
        usage = await self._done(python, "-c", _TWISTD, "timecoin", "--help", cwd=outside)
        self.assertIn("--config", usage)
        command = python.with_name("timecoin")
        devnet = self._spawn(
            command, "devnet", "--nodes", "1", "--dir", outside / "net", "--epoch-seconds", "4", "--payment",
            "--base-port", str(free_ports(10)), cwd=outside,
        )  # fmt: skip

        def archived() -> bool:
            assert devnet.status is None, devnet.text
            return "archived" in devnet.text

        await until(archived, "a payment is archived", 60)
        config = outside / "net" / "node0" / "node.ini"
        info = await self._done(command, "rpc", "--config", config, "getblockchaininfo", cwd=outside)
        self.assertIn('"network": "devnet"', info)
        devnet.signal(signal.SIGTERM)
        self.assertEqual(0, await devnet.ended(20), devnet.text)


class NodeIniTests(FunctionalCase):
    async def test_as_it_comes(self) -> None:
        """etc/node.ini runs a node of the built-in devnet, and `timecoin rpc` finds it by the same file."""
        network = networks.get("devnet")
        for port in (network.p2p_port, network.rpc_port):
            self.assertTrue(is_free(port), f"port {port} of the devnet must be free for this test")
        home = self.directory()
        config = _CHECKOUT / "etc" / "node.ini"
        node = self.run_child(
            *twistd("-n", "--pidfile=", "timecoin", "--config", config), cwd=home, HOME=str(home)
        )
        await until(lambda: (home / ".timecoin" / "devnet" / "ready").exists(), "the node is ready", 30)
        rpc = self.run_child(*timecoin("rpc", "--config", config, "getblockcount"), HOME=str(home))
        self.assertEqual((0, "0\n"), (await rpc.ended(20), rpc.text))
        node.signal(signal.SIGTERM)
        self.assertIn(await node.ended(10), (0, -signal.SIGTERM))
        self.assertNotIn("Traceback", node.text)

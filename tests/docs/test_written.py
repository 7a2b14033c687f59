"""README, docs and samples name only what exists."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import re
import textwrap
from types import ModuleType
from unittest.mock import MagicMock

import click
from twisted.trial.unittest import SynchronousTestCase

from tests.docs.written import HOME, PAGES, README, code, literals, text
from timecoin.cli.main import main
from timecoin.ledger import networks
from timecoin.node.config import sections, specs
from timecoin.node.facade import Facade
from timecoin.node.gauges import add_gauges
from timecoin.node.halt_proof import PROOF_FILE
from timecoin.ops.metrics import NodeMetrics
from timecoin.rpc.methods import all_methods

CORE = ("primitives", "ledger", "mempool", "consensus")
ROOMS = (*CORE, "proofs", "wallet", "storage", "p2p", "rpc", "ops", "node", "cli")
GUIDE, RUNBOOK = HOME / "docs" / "operators" / "guide.rst", HOME / "docs" / "operators" / "runbook.rst"
#: One that is said to be missing, and the beginning of a log line.
NO_COMMANDS = ("backup", "is")
FILES = (".ini", ".key", ".log", ".rst")
#: What packages are imported as, where it is not their name; and those that Twisted loads.
IMPORTED_AS = {
    "twisted[tls,conch]": "twisted",
    "pyopenssl": "OpenSSL",
    "zodb": "ZODB",
    "prometheus-client": "prometheus_client",
}
LOADED = {"service-identity", "txtorcon"}
METRIC_ENDS = ("", "_total", "_bucket", "_sum", "_count")


def commands() -> dict[str, click.Command]:
    assert isinstance(main, click.Group)
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> set[str]:
    """The options of a command, and of those below it."""
    own = {option for parameter in command.params for option in parameter.opts}
    if not isinstance(command, click.Group):
        return own
    context = click.Context(command)
    below = [command.get_command(context, name) for name in command.list_commands(context)]
    return own.union(*[options_of(each) for each in below if each is not None])


def resolve(name: str) -> None:
    """Raise ImportError or AttributeError unless ``name`` is something in the package."""
    parts = name.split(".")
    found: object = importlib.import_module(f"timecoin.{'.'.join(parts[:2])}")
    for part in parts[2:]:
        if part not in getattr(found, "__annotations__", {}):
            found = getattr(found, part)
    assert isinstance(found, ModuleType) or found is not None


def metric_names() -> set[str]:
    families = [family.name for family in node_metrics().registry.collect()]
    return {family + end for family in families for end in METRIC_ENDS}


class Commands(SynchronousTestCase):
    def test_make_targets(self) -> None:
        targets = set(re.findall(r"^([a-z]+):", text(HOME / "Makefile"), re.M))
        named = {name for page in PAGES for name in re.findall(r"(?:^|``| )make ([a-z]+)(?:``|  )", text(page))}
        self.assertTrue({"run", "test", "bench"} <= named)
        self.assertEqual(named - targets, set())

    def test_timecoin_commands_and_their_options(self) -> None:
        seen = set()
        for page in PAGES:
            flat = text(page).replace("\\\n", " ")
            for name, rest in re.findall(r"(?:``|^    |\$\()timecoin ([a-z-]+)(.*?)(?:``|$)", flat, re.M):
                if name in NO_COMMANDS:
                    continue
                known = options_of(commands()[name])
                options = re.findall(r"(?<= )--[a-z-]+", rest)
                self.assertEqual(set(options) - known, set(), f"{page.name}: timecoin {name}{rest}")
                seen.add(name)
        self.assertEqual(seen, set(commands()))

    def test_rpc_methods(self) -> None:
        known, found = all_methods(), 0
        for page in (README, GUIDE, RUNBOOK):
            called = re.findall(r"timecoin rpc (?:--config \S+ )?([a-z]+)", text(page))
            named = [each for each in literals(page) if re.fullmatch(r"(?:get|send|waitfor)[a-z]+", each)]
            for name in called + named:
                self.assertIn(name, known, page.name)
                found += 1
        self.assertGreater(found, 20)

    def test_benchmarks(self) -> None:
        for page in PAGES:
            for name in re.findall(r"benchmarks\.([a-z_]+)", text(page)):
                self.assertTrue((HOME / "benchmarks" / f"{name}.py").exists(), f"{page.name}: {name}")

    def test_the_payment_by_hand_is_python_with_imports_that_exist(self) -> None:
        script = re.search(r"<<'END'\n(.*?)\nEND", code(README), re.S)
        assert script is not None
        tree = ast.parse(script[1])
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        self.assertGreater(len(imports), 3)
        for node in imports:
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                importlib.import_module(f"{node.module}.{alias.name}") if not hasattr(module, alias.name) else None


class Names(SynchronousTestCase):
    def test_dotted_names_exist(self) -> None:
        found = 0
        for page in PAGES:
            for literal in literals(page):
                match = re.match(rf"(?:{'|'.join(ROOMS)})(?:\.\w+)+", literal)
                if match is not None and not literal.endswith(FILES):
                    resolve(match[0])
                    found += 1
        self.assertGreater(found, 100)

    def test_files_exist(self) -> None:
        found = 0
        for page in PAGES:
            for literal in literals(page):
                if re.fullmatch(r"(?:docs|etc|timecoin|tests|benchmarks)/[\w./*-]*(?:\.\w+|/)|tests/\w+", literal):
                    self.assertTrue(list(HOME.glob(literal.rstrip("/"))), f"{page.name}: {literal}")
                    found += 1
        self.assertGreater(found, 60)

    def test_each_decision_is_listed(self) -> None:
        pages = HOME / "docs" / "decisions"
        listed = {literal for literal in literals(pages / "README.rst") if literal.endswith(".rst")}
        self.assertEqual(listed, {page.name for page in pages.glob("*.rst")} - {"README.rst"})

    def test_each_dependency_is_explained_and_used(self) -> None:
        declared = re.search(r"install_requires=\[(.*?)\n    \]", text(HOME / "setup.py"), re.S)
        assert declared is not None
        explained = set(literals(HOME / "docs" / "decisions" / "dependencies.rst"))
        sources = "\n".join(map(text, (HOME / "timecoin").rglob("*.py")))
        for name in re.findall(r'(?m)^ *"([^ "]+) ', declared[1]):
            self.assertIn(name, explained)
            imported = rf"(?m)^ *(?:import|from) {re.escape(IMPORTED_AS.get(name, name))}\b"
            self.assertTrue(name in LOADED or re.search(imported, sources), f"{name} is not used")


def node_metrics() -> NodeMetrics:
    """All figures, as a node has them."""
    metrics = NodeMetrics()
    add_gauges(metrics, MagicMock(), MagicMock(), MagicMock(), MagicMock())
    return metrics


class Operators(SynchronousTestCase):
    def test_every_section_and_key_of_the_configuration_is_in_the_guide(self) -> None:
        written = set(literals(GUIDE))
        for section, kind in sections().items():
            self.assertIn(f"[{section}]", written)
            for key in specs(kind):
                self.assertTrue({key, f"[{section}] {key}"} & written, f"[{section}] {key}")

    def test_ports(self) -> None:
        for name in ("mainnet", "testnet", "devnet", "mynet"):
            network = networks.get(name)
            self.assertRegex(text(GUIDE), rf"(?m)^\S.* {network.p2p_port} +{network.rpc_port}\b")

    def test_every_reason_to_abstain_is_in_the_runbook(self) -> None:
        source = ast.parse(textwrap.dedent(inspect.getsource(Facade._abstains)))
        constants = [node.value for node in ast.walk(source) if isinstance(node, ast.Constant)]
        reasons = [each for each in constants if isinstance(each, str) and " " in each]
        shown = [re.sub(r" N$", " ", literal) for literal in literals(RUNBOOK)]
        self.assertGreater(len(reasons), 4)
        for reason in reasons:
            if not reason.endswith("."):  # its docstring
                self.assertIn(reason, shown)

    def test_the_guide_lists_the_metrics(self) -> None:
        families = {family.name for family in node_metrics().registry.collect()}
        listed = {each.removesuffix("_total") for each in literals(GUIDE) if each.startswith("timecoin_")}
        self.assertEqual(listed, families)


class Samples(SynchronousTestCase):
    def test_alerts_name_metrics_that_exist(self) -> None:
        named = set(re.findall(r"timecoin_[a-z_]+", text(HOME / "etc" / "alerts.yml")))
        self.assertGreater(len(named), 3)
        self.assertEqual(named - metric_names(), set())

    def test_alerts_are_in_the_runbook(self) -> None:
        alerts = re.findall(r"- alert: (\w+)", text(HOME / "etc" / "alerts.yml"))
        self.assertEqual(set(alerts) - set(literals(RUNBOOK)), set())

    def test_the_unit_waits_for_ready_and_not_after_r12(self) -> None:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(text(HOME / "etc" / "timecoin.service"))
        self.assertEqual((unit["Service"]["Type"], unit["Service"]["NotifyAccess"]), ("notify", "main"))
        self.assertIn("--nodaemon", unit["Service"]["ExecStart"])
        proofs = unit["Unit"]["AssertPathExistsGlob"]
        self.assertEqual(proofs, "!/var/lib/timecoin/" + PROOF_FILE.format("*"))

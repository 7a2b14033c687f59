"""node.ini: what is read, and the one line that says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from timecoin.node import config_kinds as kinds
from timecoin.node.config import ConfigError, load, parse, sections, specs
from timecoin.node.config_docs import render
from timecoin.node.rpc_options import rpc_options
from timecoin.rpc.auth import Users
from timecoin.rpc.dispatch import Bounds
from timecoin.rpc.server import Limits

NODE_ID = "02" + "ab" * 32
BASE = Path("/srv/node")


def read(text: str) -> Any:
    return parse(text, "node.ini", BASE)


class Defaults(SynchronousTestCase):
    def test_the_file_that_ships_is_the_declared_table(self) -> None:
        shipped = Path(__file__).parents[2] / "etc" / "node.ini"
        self.assertEqual(shipped.read_text(encoding="utf-8"), render())

    def test_the_file_that_ships_says_what_an_empty_one_means(self) -> None:
        self.assertEqual(parse(render(), "node.ini", BASE), read(""))

    def test_every_key_is_explained(self) -> None:
        for section in sections().values():
            for name, spec in specs(section).items():
                self.assertGreater(len(spec.doc), 20, name)
                self.assertTrue(spec.doc.endswith("."), name)

    def test_defaults_work(self) -> None:
        config = read("")
        self.assertEqual(config.node.network, "devnet")
        self.assertEqual(config.data_dir, Path.home() / ".timecoin" / "devnet")
        self.assertEqual(config.p2p_endpoints, ("tcp:24300",))
        self.assertEqual(config.rpc_endpoints, ("tcp:24301:interface=127.0.0.1",))
        self.assertEqual(config.metrics_endpoints, ())
        self.assertTrue(config.genesis_path.exists())

    def test_ports_follow_the_network(self) -> None:
        for network, p2p in (("mainnet", 24100), ("testnet", 24200)):
            config = read(f"[node]\nnetwork = {network}\n")
            self.assertEqual(config.p2p_endpoints, (f"tcp:{p2p}",))
            self.assertEqual(config.rpc_endpoints, (f"tcp:{p2p + 1}:interface=127.0.0.1",))


class Values(SynchronousTestCase):
    def test_paths_count_from_the_file(self) -> None:
        config = read("[node]\ndata_dir = data\ngenesis = ../genesis.json\n")
        self.assertEqual(config.data_dir, BASE / "data")
        self.assertEqual(config.genesis_path, BASE / "../genesis.json")
        self.assertEqual(config.cookie_path, BASE / "data" / ".cookie")

    def test_a_path_that_no_file_can_have(self) -> None:
        for path in ("x" * 256, "ü" * 128, "/x" * 2_048, "a\0b"):
            for key in ("data_dir", "genesis"):
                problem = self.assertRaises(ConfigError, read, f"[node]\n{key} = {path}\n")
                self.assertEqual(problem.key, key)
        self.assertFalse(read(f"[node]\ndata_dir = {'x' * 255}\n").genesis_path.is_dir())

    def test_typed_values(self) -> None:
        config = read(
            f"[p2p]\nlisten = tcp:1:interface=127.0.0.1 tcp6:2\nadvertise = [2001:db8::1]:24100\n"
            f"peers = {NODE_ID}@seed.example.org:24100 {NODE_ID}@127.0.0.1:9\n"
            f"[rpc]\nenabled = no\n[storage]\npack_hours = 0\n"
        )
        self.assertEqual(config.p2p.listen, ("tcp:1:interface=127.0.0.1", "tcp6:2"))
        self.assertEqual(str(config.p2p.advertise), "[2001:db8::1]:24100")
        self.assertEqual(str(config.p2p.peers[0]), f"{NODE_ID}@seed.example.org:24100")
        self.assertEqual(config.p2p.peers[1].port, 9)
        self.assertEqual(config.rpc_endpoints, ())
        self.assertEqual(config.storage.pack_hours, 0)

    def test_wallets(self) -> None:
        config = read("[wallet]\nload = shop, my savings,shop\n")
        self.assertEqual(config.wallet.load, ("shop", "my savings"))
        self.assertEqual(config.wallet_dir, config.data_dir / "wallets")
        self.assertEqual(read("[wallet]\ndir = /srv/w\n").wallet_dir, Path("/srv/w"))

    def test_none_is_no_endpoint(self) -> None:
        self.assertEqual(read("[p2p]\nlisten = none\n").p2p_endpoints, ())

    def test_percent_and_hash_inside_values_are_plain(self) -> None:
        self.assertEqual(read("[storage]\nblocks = zconfig:///a%20b#c\n").storage.blocks, "zconfig:///a%20b#c")


USER = "alice:00$" + "ab" * 32


class RpcOptions(SynchronousTestCase):
    def test_users_lists_and_networks(self) -> None:
        config = read(
            f"[rpc]\nauth = {USER}\n  {USER.replace('alice', 'bob')}\nwhitelist = alice:help,stop bob:\n"
            "allow_ip = 10.0.0.0/8 fd00::1\nlisten = tcp:1\nmax_cost = 50\n"
        )
        limits, bounds, users = rpc_options(config.rpc)
        self.assertEqual([str(each) for each in limits.allowed], ["10.0.0.0/8", "fd00::1/128"])
        self.assertEqual([str(each) for each in users.salted], [USER, USER.replace("alice", "bob")])
        self.assertEqual([each.methods for each in users.white_lists], [frozenset({"help", "stop"}), frozenset()])
        self.assertIsNone(users.strict)
        self.assertEqual((bounds.cost, bounds.batch), (50, 1000))

    def test_endpoints_of_this_machine_need_no_rule(self) -> None:
        for endpoint in (
            "unix:/tmp/x",
            "tcp:1:interface=127.0.0.2",
            r"tcp6:1:interface=\:\:1",
            "tcp:1:interface=localhost",
        ):
            self.assertEqual(read(f"[rpc]\nlisten = {endpoint}\n").rpc_endpoints, (endpoint,))

    def test_the_defaults_are_those_of_the_server(self) -> None:
        self.assertEqual(rpc_options(read("").rpc), (Limits(), Bounds(), Users()))


class Complaints(SynchronousTestCase):
    def complaint(self, text: str) -> str:
        problem = self.assertRaises(ConfigError, read, text)
        self.assertNotIn("\n", str(problem))
        self.assertTrue(str(problem).startswith("node.ini: "), str(problem))
        return str(problem)

    def test_unknown_section(self) -> None:
        self.assertIn("[nodes] unknown section (did you mean node?); allowed: node, p2p,", self.complaint("[nodes]\n"))

    def test_unknown_key(self) -> None:
        text = self.complaint("[p2p]\nmax_inbounds = 3\n")
        self.assertIn("[p2p] max_inbounds unknown key (did you mean max_inbound?); allowed: listen,", text)

    def test_keys_are_case_sensitive_and_there_is_no_default_section(self) -> None:
        self.assertIn("unknown key", self.complaint("[p2p]\nListen = none\n"))
        self.assertIn("unknown section", self.complaint("[DEFAULT]\nnetwork = mainnet\n"))

    def test_twice(self) -> None:
        self.assertIn("[node] is there twice (line 3)", self.complaint("[node]\nnetwork = devnet\n[node]\n"))
        self.assertIn("network is there twice", self.complaint("[node]\nnetwork = devnet\nnetwork = devnet\n"))

    def test_not_an_ini(self) -> None:
        self.assertIn("line 1: a [section] must come first", self.complaint("network = devnet\n"))
        self.assertIn("line 2", self.complaint("[node]\nnonsense\n"))

    def test_what_may_be_a_password_is_not_repeated(self) -> None:
        for text in ("alice:hunter2", "alice", "alice:00$" + "A" * 64, f"{USER} {USER}"):
            complaint = self.complaint(f"[rpc]\nauth = {text}\n")
            self.assertIn("[rpc] auth must be NAME:SALT$HASH", complaint)
            self.assertNotIn("alice", complaint)

    def test_bad_values(self) -> None:
        bad = {
            "[node]\nnetwork = My Net": "must be mainnet, testnet",
            "[node]\nlog_level = loud": "must be one of debug, info",
            "[p2p]\nmax_inbound = -1": "must be a whole number from 0 to 10000",
            "[p2p]\nmax_inbound = 10001": "must be a whole number",
            "[p2p]\nmax_inbound = 1e3": "must be a whole number",
            "[p2p]\nmax_inbound = \u0663": "must be a whole number",
            "[p2p]\nmax_inbound =": "must be a whole number",
            "[p2p]\nlisten = 24100": "must be endpoint strings",
            "[p2p]\nlisten = tcp:0": "must be endpoint strings",
            "[p2p]\nlisten = tcp:65536": "must be endpoint strings",
            "[p2p]\nlisten = none tcp:1": "must be endpoint strings",
            "[p2p]\nadvertise = example.org:24100": "must be an IPv4",
            "[p2p]\nadvertise = 1.2.3.4": "must be an IPv4",
            "[p2p]\nadvertise = 2001:db8::1:24100": "must be an IPv4",
            "[p2p]\npeers = 127.0.0.1:24100": "must be nodeid@host:port",
            f"[p2p]\npeers = {NODE_ID}@bad_host:1": "must be nodeid@host:port",
            f"[p2p]\npeers = {NODE_ID.upper()}@h:1": "must be nodeid@host:port",
            "[p2p]\nseeds = http://example.org/": "must be https:// URLs",
            "[rpc]\nenabled = maybe": "must be yes or no",
            "[rpc]\nallow_ip = example.org": "must be addresses such as",
            "[rpc]\nallow_ip = 10.0.0.0/33": "must be addresses such as",
            "[rpc]\nwhitelist = alice": "must be NAME:method,method",
            "[rpc]\nwhitelist_default = 1": "must be one of auto, yes, no",
            "[rpc]\nlisten = tcp:1": "others than this machine can reach it, so allow_ip",
            "[rpc]\nlisten = tcp:1:interface=0.0.0.0": "so allow_ip must say who may",
            "[rpc]\nlisten = tcp:1:interface=127.0.0.1:interface=1.2.3.4": "so allow_ip must say who may",
            "[rpc]\nlisten = onion:1": "so allow_ip must say who may",
            "[rpc]\nlisten = ssl:1:interface=127.0.0.1": "needs privateKey=FILE",
            "[rpc]\nlisten = ssl:1:interface=127.0.0.1:privateKey=a.pem": "paths that begin with /",
            "[rpc]\nlisten = ssl:1:interface=127.0.0.1:privateKey=/a.pem:sslmethod=TLSv1_METHOD": "would allow old TLS",
            "[wallet]\nload = shop, ../up": "must be names of wallets",
            "[wallet]\ngap_limit = 0": "must be a whole number from 1",
            "[signing]\nbackend = openssl": "must be one of coincurve, ecdsa",
            "[storage]\ncoins = /var/coins.fs": "must be a zodburi URI",
            "[storage]\ncoins = postgresql://x": "must be a zodburi URI",
        }
        for text, expected in bad.items():
            section, key = text.split("]")[0] + "]", text.split("\n")[1].split(" ")[0]
            complaint = self.complaint(text + "\n")
            self.assertIn(expected, complaint)
            self.assertIn(f"{section} {key} = ", complaint)

    def test_what_contradicts_itself(self) -> None:
        self.assertIn("operator_key_file must be given", self.complaint("[masternode]\nenabled = yes\n"))
        text = self.complaint("[p2p]\nlisten = tcp:1\n[rpc]\nlisten = tcp:1\n")
        self.assertIn("[rpc] listen = 'tcp:1': is taken by [p2p]", text)

    def test_files_that_cannot_be_read(self) -> None:
        path = Path(self.mktemp())
        self.assertIn("cannot be read: No such file", str(self.assertRaises(ConfigError, load, path)))
        path.write_bytes(b"[node]\nnetwork = \xff\n")
        self.assertIn("is not UTF-8", str(self.assertRaises(ConfigError, load, path)))
        path.write_bytes(b"#" * 1_000_001)
        self.assertIn("larger than 1 MB", str(self.assertRaises(ConfigError, load, path)))
        self.assertIn("cannot be read: Is a directory", str(self.assertRaises(ConfigError, load, os.getcwd())))


class ManholeAddresses(SynchronousTestCase):
    """Only this machine may reach the manhole."""

    def listen(self, text: str) -> Any:
        return read(f"[manhole]\nlisten = {text}\nauthorized_keys = keys\n").manhole_endpoints

    def test_this_machine(self) -> None:
        for text in ("tcp:24122:interface=127.0.0.1", "tcp:1:interface=127.1.2.3", r"tcp6:24122:interface=\:\:1"):
            self.assertEqual(self.listen(text), (text,))
        self.assertEqual(self.listen("unix:m.sock unix:/run/m"), ("unix:/srv/node/m.sock", "unix:/run/m"))
        self.assertEqual(read("").manhole_endpoints, ())
        self.assertEqual(self.listen("none"), ())

    def test_anything_else(self) -> None:
        for text in (
            "tcp:24122",
            "tcp:24122:interface=0.0.0.0",
            "tcp:24122:interface=192.168.1.5",
            "tcp:24122:interface=localhost",
            "tcp:24122:interface=127.0.0.1:backlog=5",
            "tcp:0:interface=127.0.0.1",
            "tcp:24122:interface=",
            r"tcp6:24122:interface=\:\:",
            "tcp6:24122",
            "unix:",
            "unix:/run/m:mode=666",
            "unix:" + "/x" * 60,
            "unix:/run/",
            "systemd:domain=INET:index=0",
            "onion:24122",
            "ssl:24122",
        ):
            problem = self.assertRaises(ConfigError, self.listen, text)
            self.assertEqual((problem.section, problem.key), ("manhole", "listen"), text)
            self.assertIn("from this machine only", str(problem))

    def test_keys_are_needed(self) -> None:
        problem = self.assertRaises(ConfigError, read, "[manhole]\nlisten = unix:m\n")
        self.assertEqual((problem.section, problem.key), ("manhole", "authorized_keys"))


class Addresses(SynchronousTestCase):
    def test_host_and_port(self) -> None:
        self.assertEqual(kinds.split_address("1.2.3.4:5"), ("1.2.3.4", 5))
        self.assertEqual(kinds.split_address("[::1]:65535"), ("::1", 65535))
        for bad in ("", ":", ":5", "h:", "h:0", "h:65536", "::1:5", "[::1]", "[x]:5", "h:+5"):
            self.assertRaises(ValueError, kinds.split_address, bad)

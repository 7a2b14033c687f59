"""What lies in a devnet's directory: made once, found again at every later start.

``DIR/devnet.json`` (names, ports, funds; mode 0600) is written last and marks a whole devnet; beside it
``genesis.json`` and, for each node, ``nodeN/node.ini`` and ``nodeN/data``.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timecoin.cli.new_network import GENESIS_FILE, OPERATOR_KEY, NewNetwork, Seat, make_network
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import COIN
from timecoin.primitives.signing import get_backend
from timecoin.storage.datadir import LOCK_NAME

FIRST_PORT, LAST_PORT = 25_000, 32_000
FUND_AMOUNT = 100 * COIN
HOST = "127.0.0.1"
_START_SECONDS = 5
_NETWORK = "devnet"
_MARK = "devnet.json"


class DevnetError(Exception):
    """The directory or the ports cannot be used; ``str()`` is one line for the user."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """One node: its name, key, ports on loopback and files."""

    name: str
    node_id: str
    p2p_port: int
    rpc_port: int
    directory: Path

    @property
    def config(self) -> Path:
        """Its node.ini."""
        return self.directory / "node.ini"

    @property
    def data_dir(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @property
    def cookie(self) -> Path:
        """Its RPC password while it runs."""
        return self.data_dir / ".cookie"

    @property
    def log(self) -> Path:
        """Its log."""
        return self.directory / "node.log"

    @property
    def console(self) -> Path:
        """What it prints besides its log."""
        return self.directory / "console.log"

    @property
    def rpc_url(self) -> str:
        """Where it answers RPC."""
        return f"http://{HOST}:{self.rpc_port}"

    def to_json(self, pid: int | None) -> dict[str, Any]:
        """As network.json shows it."""
        return {
            "name": self.name,
            "pid": pid,
            "node_id": self.node_id,
            "data_dir": str(self.data_dir),
            "config": str(self.config),
            "log": str(self.log),
            "p2p": f"{HOST}:{self.p2p_port}",
            "rpc": self.rpc_url,
            "cookie": str(self.cookie),
        }


@dataclass(frozen=True, slots=True)
class DevnetFiles:
    """A whole devnet as its directory holds it."""

    directory: Path
    network: str
    nodes: tuple[NodeFiles, ...]
    funds: tuple[dict[str, Any], ...]

    @property
    def network_json(self) -> Path:
        """The description that other programs read, there once the nodes vote."""
        return self.directory / "network.json"

    def describe(self, pids: list[int | None]) -> dict[str, Any]:
        """The contents of network.json."""
        return {
            "network": self.network,
            "genesis": str(self.directory / GENESIS_FILE),
            "nodes": [node.to_json(pid) for node, pid in zip(self.nodes, pids, strict=True)],
            "funds": list(self.funds),
        }


def open_devnet(directory: Path) -> DevnetFiles | None:
    """The devnet in ``directory``, None when it is empty; DevnetError when it holds something else."""
    mark = directory / _MARK
    try:
        held = json.loads(mark.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if directory.exists() and any(each.name != LOCK_NAME for each in directory.iterdir()):
            raise DevnetError(f"{directory} is not empty and holds no devnet") from None
        return None
    except (OSError, ValueError) as problem:
        raise DevnetError(f"{mark}: {problem}") from None
    nodes = tuple(
        NodeFiles(each["name"], each["node_id"], each["p2p_port"], each["rpc_port"], directory / each["name"])
        for each in held["nodes"]
    )
    return DevnetFiles(directory, held["network"], nodes, tuple(held["funds"]))


def make_devnet(
    directory: Path, count: int, epoch_seconds: int, base_port: int | None, funds: int, **parameters: int
) -> DevnetFiles:
    """Make a devnet of ``count`` bronze masternodes; ``parameters`` replace those that follow from the epoch.
    Raises DevnetError, GenesisError.

    Its genesis time lies ahead, so that epoch 1 lasts until all nodes run: a node that is first seen later
    has to stay silent for an epoch (protocol.md 4, *Journal*).
    """
    first = _free_ports(2 * count) if base_port is None else base_port
    ports = [(first + 2 * n, first + 2 * n + 1) for n in range(count)]
    seats = [Seat(Tier.BRONZE, ServiceAddress.parse(f"{HOST}:{p2p}")) for p2p, _ in ports]
    made = make_network(
        _NETWORK,
        int(time.time()) + _START_SECONDS + count,
        seats,
        Parameters.for_epoch_seconds(epoch_seconds, **({"snapshot_epochs": 4} | parameters)),
        fund_count=funds,
        fund_amount=FUND_AMOUNT,
        as_peers=False,
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(directory / GENESIS_FILE, made.genesis.encode())
    files = DevnetFiles(
        directory, _NETWORK, _nodes(directory, made, ports), tuple(fund.to_json() for fund in made.funds)
    )
    for node, keys in zip(files.nodes, made.masternodes, strict=True):
        keys.write(node.data_dir)
        write_file(node.config, _node_ini(node, files.nodes).encode("utf-8"))
    write_file(directory / _MARK, json.dumps(_marked(files)).encode("utf-8"))
    return files


def _nodes(directory: Path, made: NewNetwork, ports: list[tuple[int, int]]) -> tuple[NodeFiles, ...]:
    backend = get_backend()
    return tuple(
        NodeFiles(f"node{n}", backend.public_key(keys.node).hex(), p2p, rpc, directory / f"node{n}")
        for n, (keys, (p2p, rpc)) in enumerate(zip(made.masternodes, ports, strict=True))
    )


def _marked(files: DevnetFiles) -> dict[str, Any]:
    nodes = [
        {"name": each.name, "node_id": each.node_id, "p2p_port": each.p2p_port, "rpc_port": each.rpc_port}
        for each in files.nodes
    ]
    return {"network": files.network, "nodes": nodes, "funds": list(files.funds)}


def _node_ini(node: NodeFiles, nodes: tuple[NodeFiles, ...]) -> str:
    others = " ".join(f"{each.node_id}@{HOST}:{each.p2p_port}" for each in nodes if each != node)
    return f"""\
# {node.name} of a devnet; etc/node.ini explains every key.
[node]
network = {_NETWORK}
data_dir = data
genesis = ../{GENESIS_FILE}

[p2p]
listen = tcp:{node.p2p_port}:interface={HOST}
advertise = {HOST}:{node.p2p_port}
peers = {others}

[rpc]
listen = tcp:{node.rpc_port}:interface={HOST}

[masternode]
enabled = yes
operator_key_file = data/{OPERATOR_KEY}
"""


def write_file(path: Path, data: bytes) -> None:
    """Put a file (mode 0600) in place, whole."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(fresh, path)


def _free_ports(count: int) -> int:
    """The first of ``count`` ports in a row that nobody listens on."""
    run = 0
    for port in range(FIRST_PORT, LAST_PORT):
        run = run + 1 if _is_free(port) else 0
        if run == count:
            return port - count + 1
    raise DevnetError(f"no {count} free ports in a row between {FIRST_PORT} and {LAST_PORT}: give --base-port")


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True

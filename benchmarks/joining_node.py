"""What joining takes a node, from the start of its process: ``python -m benchmarks.joining_node --cache DIR``.

Two real nodes on loopback. One holds a chain of so many coins that was built once into DIR, and its snapshot; the other
joins by all blocks, then anew by the snapshot. Prints one JSON object; seconds by the clock, until the RPC of the
joining node tells the tip.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.joining import CLOSING, INTERIM, KEYS, Purse, merge
from tests.ledger.builders import BACKEND, Chain, network
from timecoin.cli.devnet_files import NodeFiles
from timecoin.cli.devnet_node import child_environment, command_line
from timecoin.ledger.first import first_block
from timecoin.ledger.params import Parameters
from timecoin.node.key_files import new_key, write_key
from timecoin.node.storage_service import SNAPSHOTS_NAME, committed_block
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.rpc.client import BlockingClient, RpcFailure, RpcUnreachable
from timecoin.storage.chain import ChainStore
from timecoin.storage.database import file_uri
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.snapshot_writer import write_snapshot

HOST = "127.0.0.1"
SNAPSHOT_EPOCHS = 4
GIVE_UP = 1_200.0
_INI = """\
[node]
network = devnet
data_dir = data
genesis = {genesis}
[p2p]
listen = {listen}
peers = {peers}
[rpc]
listen = tcp:{rpc}:interface={host}
[storage]
pack_hours = 0
[sync]
mode = {mode}
ahead_epochs = 1
trusted = genesis
"""


def grow(chain: Chain, store: ChainStore, coins: int) -> None:
    """Blocks of payments into *store*, until there are that many coins and a snapshot is due."""
    purse = Purse(chain)
    store.committed(store.commit_block(committed_block(first_block(chain.genesis), EMPTY_COMMIT)))
    while len(chain.coins) < coins or (chain.state.epoch - 1) % SNAPSHOT_EPOCHS:
        for count, closing in ((INTERIM, False), (CLOSING, True)):
            built = chain.assemble([purse.pay() for _ in range(count)], closing=closing)
            commit = chain.commit(built.block)
            for outpoint in built.delta.removed:
                del chain.coins[outpoint]
            chain.coins.update(built.delta.added)
            chain.state = built.state
            chain.commits.append(commit)
            store.committed(store.commit_block(committed_block(built, commit)))
            merge(store)


def cached(cache: Path, coins: int) -> Path:
    """A directory with a genesis file and the databases and snapshots of a node; made if it is not there."""
    place = cache / f"joining-node-{coins}"
    if not place.exists():
        new = place.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        chain = Chain(
            network(4, accounts=KEYS, funds=100_000 * COIN, parameters=Parameters(snapshot_epochs=SNAPSHOT_EPOCHS))
        )
        (new / "genesis.json").write_bytes(chain.genesis.encode())
        uris = [file_uri(new / name) for name in ("blocks.fs", "coins.fs")]
        store = ChainStore.open(*uris, chain.genesis.chain_id)
        grow(chain, store, coins)
        files = SnapshotFiles(new / SNAPSHOTS_NAME)
        files.open()
        with store.snapshot() as at_tip:
            write_snapshot(files, at_tip, store.tip_state(), lambda: None)
        store.close()
        new.rename(place)
    return place


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


def prepared(directory: Path, genesis: Path, mode: str, source: NodeFiles | None) -> NodeFiles:
    """The files of a node that has not run yet."""
    directory.mkdir()
    (directory / "data").mkdir(mode=0o700)
    secret = new_key(BACKEND)
    write_key(directory / "data" / "node.key", secret)
    files = NodeFiles(directory.name, BACKEND.public_key(secret).hex(), free_port(), free_port(), directory)
    files.config.write_text(
        _INI.format(
            genesis=genesis,
            listen=f"tcp:{files.p2p_port}:interface={HOST}",
            peers="" if source is None else f"{source.node_id}@{HOST}:{source.p2p_port}",
            rpc=files.rpc_port,
            host=HOST,
            mode=mode,
        ),
        encoding="utf-8",
    )
    return files


@contextmanager
def running(files: NodeFiles) -> Iterator[None]:
    """The node's process, ended at the end."""
    with files.console.open("ab") as console:
        child = subprocess.Popen(
            command_line(files),
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=console,
            cwd=files.directory,
            env=child_environment(),
        )
        try:
            yield
        finally:
            child.terminate()
            child.wait(30)


def height_of(files: NodeFiles) -> int:
    """The node's height, -1 while it does not answer."""
    try:
        return int(BlockingClient(files.rpc_url, files.cookie).call("getblockcount"))
    except (RpcFailure, RpcUnreachable):
        return -1


def reach(files: NodeFiles, height: int) -> float:
    """Seconds until the node tells a height."""
    began = time.monotonic()
    while height_of(files) < height:
        if time.monotonic() - began > GIVE_UP:
            raise SystemExit(f"{files.name} does not get there:\n{files.log.read_text(encoding='utf-8')[-3_000:]}")
        time.sleep(0.05)
    return time.monotonic() - began


def measure(cache: Path, coins: int) -> dict[str, Any]:
    """Both ways, one after the other."""
    place = cached(cache, coins)
    directory = Path(tempfile.mkdtemp(prefix="timecoin-joining-"))
    try:
        source = prepared(directory / "source", place / "genesis.json", "blocks", None)
        for name in ("blocks.fs", "coins.fs"):
            shutil.copy(place / name, source.data_dir)
        shutil.copytree(place / SNAPSHOTS_NAME, source.data_dir / SNAPSHOTS_NAME)
        with running(source):
            reach(source, 1)
            return _both(directory, place / "genesis.json", source)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _both(directory: Path, genesis: Path, source: NodeFiles) -> dict[str, Any]:
    tip, seconds = height_of(source), {}
    for mode in ("blocks", "snapshot"):
        files = prepared(directory / mode, genesis, mode, source)
        with running(files):
            seconds[mode] = reach(files, tip)
            found = [
                BlockingClient(each.rpc_url, each.cookie).call("gettxoutsetinfo") | {"disk_size": 0}
                for each in (source, files)
            ]
            if found[0] != found[1]:
                raise SystemExit(f"other coins: {found}")
    return {
        "coins": found[0]["txouts"],
        "blocks": tip,
        "by_blocks_seconds": round(seconds["blocks"], 1),
        "by_snapshot_seconds": round(seconds["snapshot"], 1),
        "blocks_per_second": round(tip / seconds["blocks"], 1),
        "times_faster": round(seconds["blocks"] / seconds["snapshot"], 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="directory for the chain, which is built once")
    parser.add_argument("--coins", type=int, default=200_000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.cache.absolute(), arguments.coins), indent=1))


if __name__ == "__main__":
    main()

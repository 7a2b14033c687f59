"""What joining costs: ``python -m benchmarks.joining --cache DIR`` prints one JSON object.

One chain, two ways to its tip, both from memory to disk in one process: *blocks* judges and stores every block as
block sync does (commit, signatures, header), *snapshot* checks and loads a snapshot as snapshot sync does (closing
headers from block 0, manifest, state, chunks, the blocks of two epochs). The chain is built once into DIR.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from tests.ledger.builders import BACKEND, Chain, account, network, spend
from timecoin.consensus.jobs import JudgeDecided
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.closing_chain import ClosingLink, follow_all, genesis_anchor, start
from timecoin.ledger.coins import Coin
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.linked import check_linked
from timecoin.ledger.snapshot_chunk import check_chunk
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.snapshot_making import PAUSE
from timecoin.node.snapshot_sync_descent import descend
from timecoin.node.storage_service import committed_block
from timecoin.node.wiring import SWITCH_INTERVAL
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import EMPTY_COMMIT, HEADER_SIZE, Block, Commit, Header
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.storage.chain import ChainStore
from timecoin.storage.database import file_uri
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.snapshot_writer import write_snapshot

KEYS = 500
INTERIM, CLOSING = 4_000, 1_000
FEE = 20_000
LEAST = 10 * FEE
RECENT = 20_000
TICK = 0.002
_LENGTH = struct.Struct("<I")


class Purse:
    """All coins of the benchmark's accounts; half of what is spent is recent."""

    def __init__(self, chain: Chain) -> None:
        self.random = random.Random(7)
        self.owners = {account(number).script: account(number) for number in range(KEYS)}
        self.coins = [each for each in chain.coins.items() if each[1].script in self.owners]

    def take(self) -> tuple[OutPoint, Coin]:
        """A coin that leaves the purse."""
        first = max(0, len(self.coins) - RECENT) if self.random.random() < 0.5 else 0
        at = self.random.randrange(first, len(self.coins))
        self.coins[at], self.coins[-1] = self.coins[-1], self.coins[at]
        outpoint, coin = self.coins.pop()
        return (outpoint, coin) if coin.value > LEAST else self.take()

    def pay(self) -> Transaction:
        """A signed payment with one input and two outputs."""
        outpoint, coin = self.take()
        owner = self.owners[coin.script]
        half = (coin.value - FEE) // 2
        payee = account(self.random.randrange(KEYS))
        outputs = [TxOutput(half, payee.script), TxOutput(coin.value - FEE - half, owner.script)]
        tx = spend([(outpoint, coin, owner)], outputs)
        self.coins += [(tx.outpoint(n), Coin(0, each.value, each.script)) for n, each in enumerate(outputs)]
        return tx


def build(chain: Chain, coins: int) -> Iterator[tuple[Block, Commit]]:
    """All blocks, until the set has that many coins at the end of an epoch."""
    purse = Purse(chain)
    yield chain.blocks[0], EMPTY_COMMIT
    while len(chain.coins) < coins:
        for count, closing in ((INTERIM, False), (CLOSING, True)):
            built = chain.assemble([purse.pay() for _ in range(count)], closing=closing)
            commit = chain.commit(built.block)
            _apply(chain, built, commit)
            yield built.block, commit


def _apply(chain: Chain, built: Assembled, commit: Commit) -> None:
    for outpoint in built.delta.removed:
        del chain.coins[outpoint]
    chain.coins.update(built.delta.added)
    chain.state = built.state
    chain.commits.append(commit)


def cached(directory: Path, coins: int) -> tuple[Genesis, list[tuple[bytes, bytes]]]:
    """The genesis and the encoded (block, commit) of every height; made if they are not there."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"joining-{coins}.blocks"
    if not path.exists():
        parts: list[bytes] = []
        chain = Chain(network(4, accounts=KEYS, funds=100_000 * COIN))
        for block, commit in build(chain, coins):
            parts += [block.encode(), commit.encode()]
        whole = [chain.genesis.encode(), *parts]
        new = path.with_suffix(".new")
        new.write_bytes(b"".join(_LENGTH.pack(len(each)) + each for each in whole))
        new.rename(path)
    genesis, *pairs = _split(path.read_bytes())
    return Genesis.load(genesis), list(zip(pairs[::2], pairs[1::2], strict=True))


def _split(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


class Times:
    """Seconds by stage: of CPU, and by the clock, which also counts what else the machine does."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.clock = 0.0

    def run(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of *work*."""
        began, clock = time.process_time(), time.perf_counter()
        result = work(*arguments)
        self.cpu[stage] = self.cpu.get(stage, 0.0) + time.process_time() - began
        self.clock += time.perf_counter() - clock
        return result

    @property
    def total(self) -> float:
        """CPU of all stages."""
        return sum(self.cpu.values())

    def shown(self) -> dict[str, float]:
        """Rounded, with both sums."""
        stages = {f"{stage}_cpu": round(spent, 2) for stage, spent in self.cpu.items()}
        return stages | {"cpu": round(self.total, 2), "clock": round(self.clock, 2)}


def opened(directory: Path, genesis: Genesis) -> ChainStore:
    """A store with block 0."""
    directory.mkdir()
    uris = [file_uri(directory / name) for name in ("blocks.fs", "coins.fs")]
    store = ChainStore.open(*uris, genesis.chain_id)
    store.committed(store.commit_block(committed_block(first_block(genesis), EMPTY_COMMIT)))
    return store


def merge(store: ChainStore) -> None:
    """What the node's merges do after a block."""
    while (token := store.merge()) is not None:
        store.merged(token)


def by_blocks(store: ChainStore, genesis: Genesis, pairs: list[tuple[bytes, bytes]]) -> Times:
    """Block sync, as ``ChainSync``, ``JudgeDecided`` and ``StorageService`` do it."""
    times = Times()
    state = store.tip_state()
    for raw, raw_commit in pairs[1:]:
        block, commit = times.run("decode", lambda b, c: (Block.decode(b), Commit.decode(c)), raw, raw_commit)
        job = JudgeDecided(genesis.parameters, state, block, commit, store.coin_lookup())
        built = times.run("judge", job.run, BACKEND)
        token = times.run("store", lambda b, c: store.commit_block(committed_block(b, c)), built, commit)
        store.committed(token)
        state = built.state
        times.run("merge", merge, store)
    return times


def by_snapshot(
    store: ChainStore,
    genesis: Genesis,
    pairs: list[tuple[bytes, bytes]],
    source: SnapshotFiles,
    links: list[tuple[bytes, bytes, bytes]],
    files: SnapshotFiles,
) -> Times:
    """Snapshot sync, from the bytes that peers send."""
    times = Times()
    held = source.held()[0]
    followed = times.run("headers", follow, genesis, links)
    manifest = times.run("manifest", read_manifest, source)
    state = source.state_part(held.snapshot_id, 0)
    work = times.run("manifest", store.begin_import, manifest, state, followed, files)
    for index in work.missing_ranges():
        data = source.chunk(held.snapshot_id, index)
        coins = times.run("check", check_chunk, manifest, index, data)
        times.run("load", work.load, index, coins, data)
    while work.next_block is not None:
        height, block_hash = work.next_block
        block = times.run("blocks", check_linked, block_hash, pairs[height][0])
        times.run("blocks", work.add_block, block, pairs[height][0])
    store.imported(times.run("finish", work.finish))
    return times


def follow(genesis: Genesis, encoded: list[tuple[bytes, bytes, bytes]]) -> list[ClosingLink]:
    """The closing blocks from block 0 on, verified, each with its set."""
    links = [ClosingLink.decode(*parts) for parts in encoded]
    first = start(genesis.chain_id, genesis_anchor(genesis), links[0])
    reached, checks = follow_all(first, links[1:])
    if not check_all(BACKEND, checks):
        raise SystemExit("a commit does not verify")
    return [ClosingLink(at.header, link.commit, at.members) for at, link in zip([first, *reached], links, strict=True)]


def read_manifest(source: SnapshotFiles) -> Manifest:
    """The manifest from head and pages."""
    held, pages = source.held()[0], []
    while page := source.manifest_page(held.snapshot_id, len(pages)):
        pages.append(page)
    return Manifest.assemble(held.snapshot_id, held.head, pages)


def make_snapshot(store: ChainStore, files: SnapshotFiles) -> tuple[Manifest, dict[str, float]]:
    """Make one as a node does, in a thread with pauses; how long it takes, and how late timers of this thread are."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    ending, made = threading.Event(), []

    def work(view: CoinSnapshot) -> None:
        with view:
            made.append(write_snapshot(files, view, store.tip_state(), lambda: ending.wait(PAUSE) and None))

    store.tip_state()
    thread = threading.Thread(target=work, args=(store.snapshot(),))
    idle = sorted(_lateness(time.perf_counter() + 2.0, lambda: True))
    began = time.perf_counter()
    thread.start()
    late = sorted(_lateness(began + 600.0, thread.is_alive))
    seconds = time.perf_counter() - began
    return made[0], {
        "seconds": round(seconds, 2),
        "idle_late_ms_p99": round(1000 * percentile(idle, 990), 1),
        "idle_late_ms_max": round(1000 * idle[-1], 1),
        "late_ms_p99": round(1000 * percentile(late, 990), 1),
        "late_ms_max": round(1000 * late[-1], 1),
    }


def _lateness(until: float, on: Callable[[], bool]) -> list[float]:
    found = []
    while on() and time.perf_counter() < until:
        due = time.perf_counter() + TICK
        time.sleep(TICK)
        found.append(time.perf_counter() - due)
    return found


def header_cost(pairs: list[tuple[bytes, bytes]], rounds: int = 200) -> float:
    """Microseconds of CPU for one header on the way down from a trusted block."""
    headers = [block[:HEADER_SIZE] for block, _ in reversed(pairs)]
    top = Header.decode(headers[0])
    began = time.process_time()
    for _ in range(rounds):
        descend((top.height, top.hash), headers)
    return round((time.process_time() - began) * 1e6 / rounds / len(headers), 1)


def compare(one: ChainStore, other: ChainStore) -> None:
    """Both stores hold the same coins and the same state."""
    with one.snapshot() as left, other.snapshot() as right:
        if not all(a == b for a, b in zip(left.coins(), right.coins(), strict=True)):
            raise SystemExit("the coins differ")
    if one.tip != other.tip:
        raise SystemExit("the tips differ")


def measure(cache: Path, coins: int) -> dict[str, Any]:
    """Both ways, one after the other."""
    genesis, pairs = cached(cache, coins)
    directory = Path(tempfile.mkdtemp(prefix="timecoin-joining-"))
    try:
        whole = opened(directory / "blocks", genesis)
        blocks = by_blocks(whole, genesis, pairs)
        source, files = (SnapshotFiles(directory / name / "snapshots") for name in ("blocks", "snapshot"))
        joined = opened(directory / "snapshot", genesis)
        for each in (source, files):
            each.open()
        manifest, making = make_snapshot(whole, source)
        links = whole.archive.closings(0, 1 << 16, 1 << 30)
        snapshot = by_snapshot(joined, genesis, pairs, source, links, files)
        compare(whole, joined)
        result = _result(manifest, pairs, blocks, snapshot) | {"make_snapshot": making}
        whole.close()
        joined.close()
        return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _result(manifest: Manifest, pairs: list[tuple[bytes, bytes]], blocks: Times, snapshot: Times) -> dict[str, Any]:
    return {
        "header_us": header_cost(pairs),
        "coins": manifest.coins,
        "blocks": len(pairs),
        "block_bytes": sum(len(block) + len(commit) for block, commit in pairs),
        "snapshot_bytes": sum(each.size for each in manifest.ranges) + len(manifest.encode()) + manifest.state_size,
        "by_blocks_seconds": blocks.shown(),
        "by_snapshot_seconds": snapshot.shown(),
        "times_faster_by_clock": round(blocks.clock / snapshot.clock, 1),
        "times_faster_in_cpu": round(blocks.total / snapshot.total, 1),
        "times_faster_in_cpu_without_merges": round((blocks.total - blocks.cpu["merge"]) / snapshot.total, 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="directory for the chain, which is built once")
    parser.add_argument("--coins", type=int, default=200_000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.cache, arguments.coins), indent=1))


if __name__ == "__main__":
    main()

"""
What storage costs: ``python -m benchmarks.storage`` prints one JSON object; times are CPU or wall as named.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from timecoin.storage.chain import ChainStore
from timecoin.storage.database import file_uri
from timecoin.storage.delta import CommittedBlock
from timecoin.storage.journal import JOURNAL_NAME, Journal
from timecoin.storage.writer import Limits

CHAIN_ID = bytes(32)
PAYMENTS = 5_000
BODY = 230
RECORD = 350
SCRIPT = bytes(34)


class Chain:
    """Blocks of random one-input, two-output payments; half of the coins that they spend are recent."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.height = -1
        self.coins: deque[bytes] = deque()

    def _txids(self, count: int) -> tuple[bytes, ...]:
        return (
            self.random.randbytes(32),
            *sorted((self.random.randbytes(32) for _ in range(count)), key=lambda t: t[::-1]),
        )

    def _spent(self) -> bytes:
        if self.random.random() < 0.5:
            return self.coins.pop()
        self.coins.rotate(self.random.randrange(200))
        return self.coins.popleft()

    def block(self, payments: int, outputs: int = 2, spend: bool = True) -> CommittedBlock:
        self.height += 1
        txids = self._txids(payments)
        removed = tuple(self._spent() for _ in range(payments)) if spend else ()
        coin = (2 * self.height).to_bytes(4, "little") + bytes(8) + SCRIPT
        added = {txid + n.to_bytes(4, "little"): coin for txid in txids for n in range(outputs)}
        self.coins.extend(added)
        body = self.random.randbytes(BODY * payments)
        block_hash = self.random.randbytes(32)
        return CommittedBlock(
            self.height, block_hash, bytes(351), body, bytes(6_700), bytes(30_000), added, removed, txids
        )


def uris(path: Path) -> tuple[str, str]:
    return file_uri(path / "blocks.fs"), file_uri(path / "coins.fs")


def merge_all(store: ChainStore, chunk: int = 300) -> dict[str, float]:
    keys, longest, wall, cpu = 0, 0.0, time.perf_counter(), time.process_time()
    switch = 0.0
    while True:
        start = time.perf_counter()
        token = store.merge(chunk, force=True)
        if token is None:
            break
        longest = max(longest, time.perf_counter() - start)
        start = time.perf_counter()
        store.merged(token)
        switch = max(switch, time.perf_counter() - start)
        keys += token.keys
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "keys": keys,
        "keys_per_s": round(keys / wall) if wall else 0,
        "cpu_us_per_key": round(1e6 * cpu / max(keys, 1), 2),
        "cpu_s": round(cpu, 3),
        "longest_chunk_ms": round(1000 * longest, 1),
        "longest_switch_ms": round(1000 * switch, 2),
    }


def fill(store: ChainStore, chain: Chain, coins: int) -> None:
    while len(chain.coins) < coins:
        store.committed(store.commit_block(chain.block(20_000, outputs=1, spend=False)))
        merge_all(store, 5_000)


def commits(store: ChainStore, chain: Chain, blocks: int) -> dict[str, float]:
    wall, cpu, tick = [], 0.0, 0.0
    for _ in range(blocks):
        block = chain.block(PAYMENTS)
        start, start_cpu = time.perf_counter(), time.process_time()
        token = store.commit_block(block)
        cpu += time.process_time() - start_cpu
        wall.append(time.perf_counter() - start)
        start = time.perf_counter()
        store.committed(token)
        tick = max(tick, time.perf_counter() - start)
    return {
        "wall_ms_median": round(1000 * sorted(wall)[blocks // 2], 1),
        "wall_ms_worst": round(1000 * max(wall), 1),
        "cpu_us_per_payment": round(1e6 * cpu / blocks / PAYMENTS, 2),
        "switch_ms_worst": round(1000 * tick, 3),
    }


def lookups(store: ChainStore, chain: Chain, count: int = 2_000) -> dict[str, float]:
    known = list(chain.coins)
    picks = [chain.random.choice(known) for _ in range(count)]
    cold = timed(lambda: [store.coin_bytes(o) for o in picks]) / count
    hot = timed(lambda: [store.coin_bytes(o) for o in picks]) / count
    return {"coin_cold_us": round(1e6 * cold, 1), "coin_hot_us": round(1e6 * hot, 2)}


def timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def sized(path: Path, coins: int, blocks: int) -> dict[str, Any]:
    chain = Chain(coins)
    limits = Limits(hard_keys=10**9)
    store = ChainStore.open(*uris(path), CHAIN_ID, limits)
    fill(store, chain, coins)
    result: dict[str, Any] = {"commit_block": commits(store, chain, blocks)}
    result["unmerged_keys"] = store.unmerged_keys
    result["lookup_with_overlay"] = lookups(store, chain, 500)
    result["merge"] = merge_all(store)
    result["merge_cpu_us_per_payment"] = round(1e6 * result["merge"]["cpu_s"] / blocks / PAYMENTS, 1)
    result["coins_mb"] = round((path / "coins.fs").stat().st_size / 1e6)
    start = time.perf_counter()
    store.pack(margin=-1.0)
    result["pack_s"], result["packed_mb"] = (
        round(time.perf_counter() - start, 1),
        round((path / "coins.fs").stat().st_size / 1e6),
    )
    store.committed(store.commit_block(chain.block(PAYMENTS)))
    store.committed(store.commit_block(chain.block(PAYMENTS)))
    store.close()
    result["reopened"] = json.loads(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.storage", "open", str(path)], capture_output=True, check=True
        ).stdout
    )
    store = ChainStore.open(*uris(path), CHAIN_ID, limits)
    result["lookup"] = lookups(store, chain)
    store.close()
    return result


def peak_kib() -> int:
    """Peak resident memory in KiB; ``ru_maxrss`` would be the parent's, which exec passes on."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def reopened(path: Path) -> dict[str, float]:
    start = time.perf_counter()
    store = ChainStore.open(*uris(path), CHAIN_ID)
    seconds = time.perf_counter() - start
    rss = peak_kib()
    keys = store.unmerged_keys
    store.close()
    return {"open_s": round(seconds, 3), "peak_rss_mb": round(rss / 1024), "unmerged_keys": keys}


def journal(path: Path, payments: int, appends: int = 300) -> dict[str, float]:
    """Latency of one append of that many records, and CPU a payment."""
    log = Journal.open(path, CHAIN_ID)
    records = [bytes(RECORD) for _ in range(payments)]
    wall, cpu = [], time.process_time()
    for _ in range(appends):
        wall.append(timed(lambda: log.append(records)))
    cpu = time.process_time() - cpu
    log.close()
    wall.sort()
    return {
        "wall_ms_median": round(1000 * wall[appends // 2], 2),
        "wall_ms_p99": round(1000 * wall[appends * 99 // 100], 2),
        "cpu_us_per_payment": round(1e6 * cpu / appends / payments, 2),
        "disk_bytes_per_append": (path / JOURNAL_NAME / "00000001.fs").stat().st_size // appends,
    }


def main() -> None:
    if sys.argv[1:2] == ["open"]:
        print(json.dumps(reopened(Path(sys.argv[2]))))
        return
    sizes = [int(word) for word in sys.argv[1:]] or [200_000, 1_000_000]
    result: dict[str, Any] = {}
    for payments in (20, 200):
        with tempfile.TemporaryDirectory() as directory:
            result[f"journal_{payments}"] = journal(Path(directory), payments)
    for coins in sizes:
        with tempfile.TemporaryDirectory() as directory:
            result[f"coins_{coins}"] = sized(Path(directory), coins, 8)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

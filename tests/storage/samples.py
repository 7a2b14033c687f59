"""A deterministic chain of made-up blocks whose bytes say what they change, and scratch directories."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from timecoin.storage.chain import ChainStore
from timecoin.storage.database import file_uri, reading
from timecoin.storage.delta import CommittedBlock, decode_delta, delta_of, encode_delta
from timecoin.storage.writer import Limits

# Damaged files are the point of some tests; ZODB's own remarks on them are not for the terminal.
logging.getLogger("ZODB").setLevel(logging.CRITICAL + 1)

CHAIN_ID = bytes(range(32))
EAGER = Limits(start_keys=1, batch_keys=150, hard_keys=1_000, hard_blocks=50)


def scratch(case: Any) -> Path:
    """A directory that lasts as long as the test *case*, in which nothing waits for the disk."""
    case.patch(os, "fsync", lambda descriptor: None)
    case.patch(sys.modules["ZODB.FileStorage.FileStorage"], "fsync", lambda descriptor: None)
    path = Path(tempfile.mkdtemp(prefix="timecoin-storage-"))
    case.addCleanup(shutil.rmtree, path, True)
    return path


def uris(path: Path) -> tuple[str, str]:
    return file_uri(path / "blocks.fs"), file_uri(path / "coins.fs")


def open_store(case: Any, path: Path, limits: Limits = EAGER) -> ChainStore:
    store = ChainStore.open(*uris(path), CHAIN_ID, limits)
    case.addCleanup(store.close)
    return store


class SampleChain:
    """Block after block from one seed, and the coin set that they leave (``coins``)."""

    def __init__(self, seed: int = 1, payments: int = 12) -> None:
        self.random = random.Random(seed)
        self.payments = payments
        self.height = -1
        self.coins: dict[bytes, bytes] = {}
        self.txids: dict[bytes, tuple[int, int]] = {}

    def next(self) -> CommittedBlock:
        self.height += 1
        txids = tuple(self.random.randbytes(32) for _ in range(self.payments + 1))
        self.txids.update({txid: (self.height, i) for i, txid in enumerate(txids)})
        spendable = sorted(self.coins)
        removed = tuple(self.random.sample(spendable, min(len(spendable), self.payments * 3 // 4)))
        added = {
            txid + bytes([n, 0, 0, 0]): self.random.randbytes(12 + self.random.choice((22, 34)))
            for txid in txids
            for n in (0, 1)
        }
        for outpoint in removed:
            del self.coins[outpoint]
        self.coins.update(added)
        return sealed(self.height, added, removed, txids)


def sealed(
    height: int, added: dict[bytes, bytes], removed: tuple[bytes, ...], txids: tuple[bytes, ...]
) -> CommittedBlock:
    """A block whose body is the encoding of its own changes, so that they can be derived from it."""
    mark = height.to_bytes(4, "little")
    bare = CommittedBlock(height, b"", b"", b"", b"", b"", added, removed, txids)
    body = encode_delta(delta_of(bare))
    return CommittedBlock(
        height, mark * 8, b"header" + mark, body, b"commit" + mark, b"state" + mark, added, removed, txids
    )


def derive(height: int, block: bytes) -> tuple[dict[bytes, bytes], tuple[bytes, ...]]:
    """The changes that :func:`sealed` put into a block's bytes."""
    changes = decode_delta(block, b"").changes
    added = {outpoint: coin for outpoint, coin in changes.items() if coin is not None}
    return added, tuple(outpoint for outpoint, coin in changes.items() if coin is None)


def recomputed(store: ChainStore) -> dict[bytes, bytes]:
    """The coin set that the stored blocks make, without a look at any tree."""
    coins: dict[bytes, bytes] = {}
    for height in range(store.tip.height + 1):
        added, removed = derive(height, store.archive.block(height))
        for outpoint in removed:
            del coins[outpoint]
        coins.update(added)
    return coins


def advance(store: ChainStore, block: CommittedBlock) -> None:
    """Both halves of a commit."""
    store.committed(store.commit_block(block))


def merge_all(store: ChainStore, limit: int = 40) -> int:
    """Both halves of every merge step that there is; how many there were."""
    steps = 0
    while (token := store.merge(limit, force=True)) is not None:
        store.merged(token)
        steps += 1
    return steps


def tree_of(store: ChainStore) -> dict[bytes, bytes]:
    """What the coin tree holds, whatever the blocks that are not merged yet say."""
    with reading(store._coins_database) as root:
        return dict(root["coins"].items())

"""The coin database made anew from the blocks: after its loss, or with an old copy of it in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from timecoin.storage.archive import Archive
from timecoin.storage.database import committing, connect
from timecoin.storage.delta import BlockDelta, CommittedBlock, delta_of
from timecoin.storage.merging import Batch
from timecoin.storage.opening import open_blocks, open_coins, stored_tip

Derive = Callable[[int, bytes], tuple[dict[bytes, bytes], tuple[bytes, ...]]]
"""(height, encoded block) → (coins added, outpoints removed), as in :class:`CommittedBlock`."""


def rebuild_coins(
    uri_blocks: str, uri_coins: str, chain_id: bytes, derive: Derive, keys: int = 120_000
) -> Iterator[int]:
    """
    Bring the *coins* database up to the tip from the blocks alone; yields each height that is then wholly in
    it.

    Goes on from where the database stands (an interrupted batch is finished first), in batches of about
    *keys* keys. Run it with no ``ChainStore`` open. Raises what opening raises, ``CoinsOutOfStep`` and what
    *derive* raises.
    """
    blocks = open_blocks(uri_blocks, chain_id)
    try:
        coins = open_coins(uri_coins, chain_id)
        try:
            with closing(connect(coins)) as connection:
                yield from _catch_up(Archive(blocks), stored_tip(blocks).height, connection, derive, keys)
        finally:
            coins.close()
    finally:
        blocks.close()


def _catch_up(archive: Archive, tip: int, connection: Any, derive: Derive, keys: int) -> Iterator[int]:
    with committing(connection) as root:
        merged, target = root["progress"].merged, root["progress"].target
    if target > merged:
        yield _apply(connection, Batch([_derived(archive, h, derive) for h in range(merged + 1, target + 1)]))
        merged = target
    deltas = (_derived(archive, height, derive) for height in range(merged + 1, tip + 1))
    for group in _grouped(deltas, keys):
        yield _apply(connection, Batch(group))


def _grouped(deltas: Iterable[BlockDelta], keys: int) -> Iterator[list[BlockDelta]]:
    group: list[BlockDelta] = []
    for delta in deltas:
        group.append(delta)
        if sum(one.size for one in group) >= keys:
            yield group
            group = []
    if group:
        yield group


def _apply(connection: Any, batch: Batch) -> int:
    merged = -1
    while merged != batch.target:
        with committing(connection) as root:
            batch.apply(root, 2_000)
            merged = root["progress"].merged
    return merged


def _derived(archive: Archive, height: int, derive: Derive) -> BlockDelta:
    added, removed = derive(height, archive.block(height))
    txids = tuple(archive.txids(height))
    return delta_of(CommittedBlock(height, b"", b"", b"", b"", b"", added, removed, txids))

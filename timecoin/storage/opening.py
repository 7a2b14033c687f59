"""
Opening the two databases of the chain: identities, first layout, and the changes still to be held in memory.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from BTrees.OOBTree import OOBTree

from timecoin.storage.database import check_identity, committing, connect, identify, open_database, reading
from timecoin.storage.delta import BlockDelta, decode_delta
from timecoin.storage.errors import CoinsOutOfStep
from timecoin.storage.leaves import CoinTree, LocationTree
from timecoin.storage.reader import TipRecord
from timecoin.storage.schema import HeightTree, Progress, Tip

BLOCKS_CACHE = {"cache_size": 400, "cache_size_bytes": 4_000_000}
COINS_CACHE = {"cache_size": 2_000, "cache_size_bytes": 10_000_000}
"""
Per connection. 10 MB of leaves are some 130,000 coins and take 25 MB of memory; any other coin costs a read
of one leaf.
"""


def open_blocks(uri: str, chain_id: bytes) -> Any:
    """The *blocks* database, laid out if new; ``DatabaseUnavailable``, ``WrongGenesis``, ``WrongSchema``."""
    return _open(uri, BLOCKS_CACHE, "blocks", chain_id, _lay_out_blocks)


def open_coins(uri: str, chain_id: bytes) -> Any:
    """The *coins* database, laid out if new; ``DatabaseUnavailable``, ``WrongGenesis``, ``WrongSchema``."""
    return _open(uri, COINS_CACHE, "coins", chain_id, _lay_out_coins)


def _open(uri: str, cache: dict[str, int], kind: str, chain_id: bytes, lay_out: Any) -> Any:
    database = open_database(uri, database_name=kind, **cache)
    try:
        with closing(connect(database)) as connection, committing(connection) as root:
            if not check_identity(root, kind, chain_id):
                lay_out(root)
                identify(root, kind, chain_id)
    except BaseException:
        database.close()
        raise
    return database


def _lay_out_blocks(root: Any) -> None:
    root.update(tip=Tip(), entries=HeightTree(), hashes=OOBTree(), deltas=HeightTree(), states=HeightTree())
    root.update(closings=HeightTree(), sets=OOBTree())


def _lay_out_coins(root: Any) -> None:
    root.update(progress=Progress(), coins=CoinTree(), txids=LocationTree(), twins=OOBTree())


def stored_tip(blocks: Any) -> TipRecord:
    """The newest block that the *blocks* database holds; height −1 when it is empty."""
    with reading(blocks) as root:
        tip = root["tip"]
        state = root["states"].get(tip.height)
        return TipRecord(tip.height, tip.block_hash, tip.coin_count, b"" if state is None else state.data)


def unmerged_deltas(blocks: Any, coins: Any) -> list[BlockDelta]:
    """
    The changes of all blocks that are not wholly in the coin tree, in height order.

    ``CoinsOutOfStep`` when the coin database is ahead of the blocks, or so far behind that changes are gone
    (it was lost, or restored from a copy): :func:`timecoin.storage.rebuild.rebuild_coins` mends that.
    """
    with reading(coins) as root:
        merged, target = root["progress"].merged, root["progress"].target
    with reading(blocks) as root:
        tip, stored = root["tip"].height, root["deltas"]
        if max(merged, target) > tip:
            raise CoinsOutOfStep(f"the coin database is at block {max(merged, target)}, the chain at {tip}")
        missing = next((height for height in range(merged + 1, tip + 1) if height not in stored), None)
        if missing is not None:
            raise CoinsOutOfStep(f"the coin database ends at {merged}, the changes of block {missing} are gone")
        return [_load(root, height) for height in range(merged + 1, tip + 1)]


def _load(root: Any, height: int) -> BlockDelta:
    changes, txids = root["deltas"][height], root["entries"][height].parts[4]
    delta = decode_delta(changes.data, txids.data)
    changes._p_deactivate()
    txids._p_deactivate()
    return delta

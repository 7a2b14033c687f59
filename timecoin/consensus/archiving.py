"""What a proposer puts into a block (protocol.md R7, R8, R9): acked transactions first, parents before
children.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from timecoin.mempool.entry import Entry


class Room(NamedTuple):
    """How much fits into one block: ``max_block_bytes`` and ``max_block_txs``, neither of which counts the
    coinbase.
    """

    bytes: int
    transactions: int


def fill(certified: Iterable[Entry], owed: Collection[bytes], space: Room) -> tuple[list[Entry], bool]:
    """Choose from ``certified`` (parents before children), the ``owed`` first.

    Returns the choice and whether everything owed is in it; only then may the block be a closing one.
    """
    ordered = list(certified)
    chosen: dict[bytes, Entry] = {}
    used = _add(ordered, lambda entry: entry.tx.txid in owed, chosen, space, 0)
    complete = all(txid in chosen for txid in owed)
    if complete:
        _add(ordered, lambda entry: entry.tx.txid not in owed, chosen, space, used)
    return list(chosen.values()), complete


def _add(
    ordered: Iterable[Entry],
    wanted: Callable[[Entry], bool],
    chosen: dict[bytes, Entry],
    space: Room,
    used: int,
) -> int:
    for entry in ordered:
        size = entry.tx.size
        if not wanted(entry) or used + size > space.bytes or len(chosen) >= space.transactions:
            continue
        if all(parent in chosen for parent in entry.parents):
            chosen[entry.tx.txid] = entry
            used += size
    return used

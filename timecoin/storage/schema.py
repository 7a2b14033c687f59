"""
The persistent classes: what stands in the databases.

Renaming or moving one of them breaks every existing database; a changed meaning raises ``database.SCHEMA``.

*blocks* database, root keys: ``identity``; ``tip`` (:class:`Tip`); ``entries`` (LOBTree height →
:class:`Entry`); ``hashes`` (OOBTree block hash → height); ``deltas`` (LOBTree height → :class:`Blob`, only of
blocks not yet in the coin tree); ``states`` (LOBTree height → :class:`Blob`, of the newest blocks); ``closings``
(LOBTree epoch → (height, set hash) of its closing block); ``sets`` (OOBTree set hash → :class:`Blob`); and
``joining`` (:class:`Joining`) while a snapshot is being imported.

*coins* database, root keys: ``identity``; ``progress`` (:class:`Progress`); ``coins``
(:class:`~timecoin.storage.leaves.CoinTree` outpoint → coin bytes); ``txids``
(:class:`~timecoin.storage.leaves.LocationTree` first 8 bytes of the txid → location); ``twins`` (OOBTree
whole txid → location, of txids whose first 8 bytes were taken); and ``loading`` (:class:`Loading`) while a snapshot
is being imported.
"""

from __future__ import annotations

from typing import Any

from BTrees.LOBTree import LOBTree
from persistent import Persistent


class HeightTree(LOBTree):  # type: ignore[misc]
    """Height → persistent object; appended to at its end, so small leaves keep a commit small."""

    max_leaf_size = 32
    max_internal_size = 250


class Blob(Persistent):  # type: ignore[misc]
    """Bytes with an identity of their own, so that whoever loads the holder need not load them."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __getstate__(self) -> bytes:
        return self.data

    def __setstate__(self, state: bytes) -> None:
        self.data = state


class Entry(Persistent):  # type: ignore[misc]
    """
    One decided block: hash, header and commit at hand; the block, its txids (32 bytes each) and their times
    to finality (u32 each) behind references, None where *block* is: of a closing block below the snapshot that the
    chain was joined with, only the header and commit are known.
    """

    def __init__(
        self,
        block_hash: bytes,
        header: bytes,
        commit: bytes,
        block: bytes | None = None,
        txids: bytes = b"",
        times: bytes = b"",
    ) -> None:
        bodies = (None,) * 3 if block is None else (Blob(block), Blob(txids), Blob(times))
        self.parts: tuple[Any, ...] = (block_hash, header, commit, *bodies)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.parts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.parts = state


class Tip(Persistent):  # type: ignore[misc]
    """
    The newest block: height, hash, coins in the set after it, and the ``base`` from which on all blocks are here. The
    only object that each block rewrites whole.
    """

    def __init__(self) -> None:
        self.height = -1
        self.block_hash = b""
        self.coin_count = 0
        self.base = 0


class Progress(Persistent):  # type: ignore[misc]
    """
    How far the coin tree is: every block up to ``merged``, and the first ``done`` steps of the batch (merged,
    ``target``].

    Written in the same transaction as the steps, so that a crash leaves them agreeing. ``coins`` counts the
    tree.
    """

    def __init__(self) -> None:
        self.merged = -1
        self.target = -1
        self.done = 0
        self.coins = 0


class Links(Persistent):  # type: ignore[misc]
    """Closing blocks in a row, (header, commit, set) each, encoded; no set where it is that of the one before."""

    def __init__(self, parts: tuple[tuple[bytes, bytes, bytes], ...]) -> None:
        self.parts = parts

    def __getstate__(self) -> tuple[tuple[bytes, bytes, bytes], ...]:
        return self.parts

    def __setstate__(self, state: tuple[tuple[bytes, bytes, bytes], ...]) -> None:
        self.parts = state


class Joining(Persistent):  # type: ignore[misc]
    """
    A snapshot that is being imported: its manifest and state, and the closing blocks that lead to it from the trusted
    one. ``vouched`` is the block that was trusted from outside, height and hash, if there was one. ``lowest`` is the
    height down to which blocks are stored, and changes with each: all else that is not small stands behind references.
    """

    vouched: tuple[int, bytes] | None = None

    def __init__(self, height: int, manifest: bytes, state: bytes, links: Links) -> None:
        self.height = height
        self.manifest, self.state, self.links = Blob(manifest), Blob(state), links
        self.lowest = height + 1


class Loading(Persistent):  # type: ignore[misc]
    """
    The trees that take the place of the present ones when the import is through, and the ranges that are in them: bit i
    of ``loaded`` is range i.
    """

    def __init__(self, snapshot_id: bytes, height: int, coins: Any, txids: Any, twins: Any) -> None:
        self.snapshot_id, self.height = snapshot_id, height
        self.coins, self.txids, self.twins = coins, txids, twins
        self.loaded = 0
        self.count = 0
        self.complete = False

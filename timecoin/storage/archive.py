"""Decided blocks by height or hash: readable in any thread, each call on a connection of the pool."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from timecoin.storage.database import reading
from timecoin.storage.delta import split_txids
from timecoin.storage.errors import BlockPruned, UnknownBlock
from timecoin.storage.finaltimes import time_at

RECENT_BYTES = 8_000_000
RECENT_TXIDS = 32
_LAST_EPOCH = 2**32 - 1


class Recent:
    """The most recently used byte strings by height, up to *limit* bytes together; safe in any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._items: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, height: int) -> bytes | None:
        """The bytes kept for *height*, or None."""
        with self._lock:
            found = self._items.get(height)
            if found is not None:
                self._items.move_to_end(height)
            return found

    def put(self, height: int, data: bytes) -> None:
        """
        Keep *data* for *height*; the least recently used ones leave, *data* itself if it alone is above the
        limit.
        """
        with self._lock:
            self._size += len(data) - len(self._items.pop(height, b""))
            self._items[height] = data
            while self._size > self._limit:
                self._size -= len(self._items.popitem(last=False)[1])


class Archive:
    """
    Reads of the *blocks* database. All raise ``UnknownBlock`` for a height that is not stored, ``BlockPruned`` when
    it is one of the chain.
    """

    def __init__(self, database: Any) -> None:
        self._database = database
        self._blocks = Recent(RECENT_BYTES)
        self._txids = Recent(RECENT_BYTES // 8)
        self._times = Recent(RECENT_BYTES // 32)
        self._hashes = Recent(RECENT_BYTES // 64)

    def block(self, height: int) -> bytes:
        """The encoded block at *height*."""
        return self._body(self._blocks, height, 3)

    def txids(self, height: int) -> list[bytes]:
        """The txids of the block at *height* in block order, the coinbase's first."""
        return split_txids(self._body(self._txids, height, 4))

    def txid_at(self, height: int, position: int) -> bytes | None:
        """The txid at *position* of the block at *height*; None when there is no such block or position."""
        try:
            joined = self._body(self._txids, height, 4)
        except UnknownBlock:
            return None
        return joined[32 * position : 32 * position + 32] or None

    def final_ms(self, height: int, position: int) -> int | None:
        """Milliseconds that the transaction at *position* took to become final here; None when not seen."""
        return time_at(self._body(self._times, height, 5), position)

    def block_hash(self, height: int) -> bytes:
        """The hash of the block at *height*."""
        found = self._hashes.get(height)
        if found is None:
            found = self._part(height, 0)
            self._hashes.put(height, found)
        return found

    def header(self, height: int) -> bytes:
        """The encoded header (351 bytes) of the block at *height*."""
        return self._part(height, 1)

    def headers(self, first: int, count: int) -> list[bytes]:
        """The headers of the *count* heights from *first* on, as far as they are stored."""
        with reading(self._database) as root:
            found = root["entries"].values(min=first, max=first + count - 1)
            return [entry.parts[1] for entry in found]

    def headers_down(self, through: int, count: int) -> list[bytes]:
        """The header at height *through* and those below it, ≤ *count* together, as far as none is missing."""
        found: list[bytes] = []
        with reading(self._database) as root:
            if through > root["tip"].height:
                return []
            # A list of its own: trees cannot be walked backwards.
            for height, entry in reversed(list(root["entries"].items(min=max(0, through - count + 1), max=through))):
                if height != through - len(found):
                    break
                found.append(entry.parts[1])
        return found

    def commit(self, height: int) -> bytes:
        """The encoded commit that decided the block at *height*."""
        return self._part(height, 2)

    def state(self, height: int) -> bytes | None:
        """The encoded ledger state after the block at *height*, if still kept (the newest few)."""
        with reading(self._database) as root:
            blob = root["states"].get(height)
            return None if blob is None else _take(blob)

    def closings(self, first_epoch: int, count: int, max_bytes: int) -> list[tuple[bytes, bytes, bytes]]:
        """
        (header, commit, set) of the closing blocks of ≤ *count* epochs from *first_epoch* on, encoded, as many as fit
        into *max_bytes* but one at least; the set is empty where it is that of the link before.

        Empty when that epoch is not closed, or not known here.
        """
        links: list[tuple[bytes, bytes, bytes]] = []
        size, known = 0, b""
        with reading(self._database) as root:
            through = min(first_epoch + count - 1, _LAST_EPOCH)
            for epoch, (height, set_hash) in root["closings"].items(min=first_epoch, max=through):
                if epoch != first_epoch + len(links) or height > root["tip"].height:
                    break
                parts = root["entries"][height].parts
                members = b"" if set_hash == known else _take(root["sets"][set_hash])
                size += len(parts[1]) + len(parts[2]) + len(members)
                if links and size > max_bytes:
                    break
                links.append((parts[1], parts[2], members))
                known = set_hash
        return links

    def base(self) -> int:
        """The height from which on every block up to the tip is stored."""
        with reading(self._database) as root:
            base: int = root["tip"].base
            return base

    def height_of(self, block_hash: bytes) -> int | None:
        """The height of the block with that hash, None when it is not in the chain."""
        with reading(self._database) as root:
            height: int | None = root["hashes"].get(block_hash)
            return height

    def _part(self, height: int, index: int) -> bytes:
        with reading(self._database) as root:
            part: bytes = _entry(root, height).parts[index]
            return part

    def _body(self, recent: Recent, height: int, index: int) -> bytes:
        data = recent.get(height)
        if data is None:
            with reading(self._database) as root:
                data = _take(_entry(root, height).parts[index])
            recent.put(height, data)
        return data


def _entry(root: Any, height: int) -> Any:
    entry = root["entries"].get(height)
    if entry is None:
        if 0 <= height <= root["tip"].height:
            raise BlockPruned(f"block {height} is not stored here")
        raise UnknownBlock(f"no block at height {height}")
    return entry


def _take(blob: Any) -> bytes:
    if blob is None:
        raise BlockPruned("only the header of the block is stored here")
    # A block in a connection's cache is a second copy of what Recent bounds.
    data: bytes = blob.data
    blob._p_deactivate()
    return data

"""The tree of the address index: byte keys and values of any length, leaves stored as one byte string each."""

from __future__ import annotations

from typing import Any

import msgspec
from BTrees.OOBTree import OOBTree, OOBucket


class AddressLeaf(OOBucket):  # type: ignore[misc]
    """Some entries in key order; its state is their packed bytes and the reference to the next leaf."""

    def __getstate__(self) -> tuple[Any, ...] | None:
        state = super().__getstate__()
        return state and (msgspec.msgpack.encode(state[0]), *state[1:])

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        super().__setstate__((tuple(msgspec.msgpack.decode(state[0])), *state[1:]))


class AddressTree(OOBTree):  # type: ignore[misc]
    """Key → value of :mod:`timecoin.storage.address_index`."""

    _bucket_type = AddressLeaf
    max_leaf_size = 60
    max_internal_size = 120

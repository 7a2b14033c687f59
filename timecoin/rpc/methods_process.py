"""RPC methods about the process: what it logs, how much memory it takes, which indexes it keeps."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, NotRequired, TypedDict

from timecoin.rpc.errors import INVALID_PARAMETER, METHOD_NOT_FOUND, RpcError
from timecoin.rpc.face_settings import SettingsTree
from timecoin.rpc.table import Context, method

_PREFIX: Final = "log."
_ALL: Final = frozenset(("all", "1", ""))
_NONE: Final = frozenset(("none", "0"))
_DEBUG, _INHERIT = "debug", "inherit"
_PAGE_FILE: Final = Path("/proc/self/statm")


class LockedMemory(TypedDict):
    """Core's pool of locked memory: there is none here, so all is 0."""

    used: int
    free: int
    total: int
    locked: int
    chunks_used: int
    chunks_free: int


class ProcessMemory(TypedDict):
    """Resident memory of the process in bytes, now and at most; now is 0 where the system does not tell."""

    resident: int
    highest: int


class MemoryInfo(TypedDict):
    """What the process takes of memory. One member, by the mode: typed clients read a map of Core's figures only."""

    locked: NotRequired[LockedMemory]
    process: NotRequired[ProcessMemory]


class IndexState(TypedDict):
    """How far an index is."""

    synced: bool
    best_block_height: int


def _rooms(settings: SettingsTree) -> dict[str, str]:
    """The level of each room of the code, by name."""
    return {
        each.path.removeprefix(_PREFIX): each.text
        for each in settings.describe()
        if each.path.startswith(_PREFIX) and each.path != "log.level"
    }


def logging(context: Context, include: list[str] | None = None, exclude: list[str] | None = None) -> dict[str, bool]:
    """Which parts of the node log in detail; they can be switched on and off while it runs.

    The categories are the rooms of the code. First include is done, then exclude; all and none stand for every one. See
    setsetting log.ROOM for other levels.

    :param include: categories to log in detail
    :param exclude: categories to log as all others
    :returns: each category, and whether it is logged in detail
    :error -8: there is no such category
    :error -32601: the log of this node is not its own
    """
    settings = context.settings
    if settings is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    rooms = _rooms(settings)
    by = context.caller.user
    for names, level in ((include, _DEBUG), (exclude, _INHERIT)):
        for room in _chosen(names or (), rooms):
            settings.set(_PREFIX + room, level, by)
    return {room: level == _DEBUG for room, level in _rooms(settings).items()}


def _chosen(names: Iterable[str], rooms: Iterable[str]) -> list[str]:
    known, found = list(rooms), set()
    for name in names:
        if name in _ALL:
            found.update(known)
        elif name not in _NONE:
            if name not in known:
                raise RpcError(INVALID_PARAMETER, f"unknown logging category {name[:80]}")
            found.add(name)
    return sorted(found)


def getmemoryinfo(context: Context, mode: Literal["stats", "mallocinfo", "process"] = "stats") -> MemoryInfo:
    """How much memory the process takes.

    :param mode: stats: Core's figures of locked memory; process: the resident memory; mallocinfo does not exist here
    :returns: bytes
    :error -8: another mode is wanted
    """
    if mode == "mallocinfo":
        raise RpcError(INVALID_PARAMETER, "mallocinfo mode not available")
    if mode == "stats":
        return {"locked": {"used": 0, "free": 0, "total": 0, "locked": 0, "chunks_used": 0, "chunks_free": 0}}
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"process": {"resident": _resident(), "highest": highest}}


def _resident() -> int:
    try:
        pages = int(_PAGE_FILE.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def getindexinfo(context: Context, index_name: str = "") -> dict[str, IndexState]:
    """The indexes that this node keeps: txindex always, addressindex when it is switched on.

    :param index_name: only this one
    :returns: how far each is
    """
    found: dict[str, IndexState] = {"txindex": {"synced": True, "best_block_height": context.node.tip().height}}
    if context.addresses is not None:
        state = context.addresses.state()
        found["addressindex"] = {"synced": state.synced, "best_block_height": state.height}
    return {name: state for name, state in found.items() if index_name in ("", name)}


class ZmqPublisher(TypedDict):
    """A publisher of Core's over ZeroMQ."""

    type: str
    address: str
    hwm: int


def getzmqnotifications(context: Context) -> list[ZmqPublisher]:
    """What is published over ZeroMQ, for clients of Core that ask: nothing. News is pushed over WebSocket and SSE.

    :returns: nothing
    """
    return []


METHODS = (
    method("Control", getmemoryinfo),
    method("Control", logging),
    method("Util", getindexinfo),
    method("Zmq", getzmqnotifications),
)

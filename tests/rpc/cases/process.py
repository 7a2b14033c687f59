"""Cases of ``methods_process``."""

from __future__ import annotations

from tests.rpc.cases import Case
from tests.rpc.fake_addresses import building, indexed
from tests.rpc.fake_settings import with_rooms
from timecoin.rpc.errors import INVALID_PARAMETER, METHOD_NOT_FOUND

CASES = [
    # Clients with types read a map, of Core's figures only.
    Case("getmemoryinfo", result=lambda info: list(info) == ["locked"] and info["locked"]["total"] == 0),
    Case("getmemoryinfo", ["process"], result=lambda info: info["process"]["highest"] > 0),
    Case("getmemoryinfo", ["mallocinfo"], error=INVALID_PARAMETER, says="mallocinfo mode not available"),
    Case("getindexinfo", result={"txindex": {"synced": True, "best_block_height": 1}}),
    Case("getindexinfo", ["addressindex"], result={}),
    Case("getindexinfo", ["addressindex"], context=indexed, result=lambda it: it["addressindex"]["synced"]),
    Case(
        "getindexinfo",
        context=building,
        result=lambda it: it["addressindex"] == {"synced": False, "best_block_height": 0},
    ),
    Case("getzmqnotifications", result=[]),
    Case("logging", context=with_rooms, result={"p2p": False, "rpc": True}),
    Case("logging", [["p2p"], ["rpc"]], context=with_rooms, result={"p2p": True, "rpc": False}),
    Case("logging", [["all"]], context=with_rooms, result={"p2p": True, "rpc": True}),
    Case("logging", [["none"], ["all"]], context=with_rooms, result={"p2p": False, "rpc": False}),
    Case("logging", [["frob"]], context=with_rooms, error=INVALID_PARAMETER, says="unknown logging category frob"),
    Case("logging", error=METHOD_NOT_FOUND),
]

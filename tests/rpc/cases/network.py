"""Cases of ``methods_network`` and ``methods_peers``."""

from __future__ import annotations

from collections.abc import Callable

from tests.rpc.cases import Case
from tests.rpc.fake_network import NOW, networked, refusing
from timecoin.rpc.errors import (
    CLIENT_INVALID_IP_OR_SUBNET,
    CLIENT_NODE_ALREADY_ADDED,
    CLIENT_NODE_NOT_ADDED,
    CLIENT_NODE_NOT_CONNECTED,
    CLIENT_P2P_DISABLED,
    INVALID_PARAMETER,
    INVALID_PARAMS,
    MISC_ERROR,
)
from timecoin.rpc.face_network import NetworkRefused
from timecoin.rpc.table import Context

_NODE = "10.0.0.1:24100"
_KNOWN, _UNKNOWN, _INVALID = (NetworkRefused(kind, "text") for kind in ("known", "unknown", "invalid"))
_DISK_FULL = OSError(28, "No space left on device")


def did(*what: object) -> Callable[[Context], None]:
    """Connections that must have been asked for just this, which they check when it comes."""

    def arrange(context: Context) -> None:
        network = networked(context)

        def check(*asked: object) -> None:
            assert asked == what, asked

        network._do = check  # type: ignore[method-assign]

    return arrange


CASES = [
    Case(
        "getnetworkinfo",
        context=networked,
        result=lambda info: str(info["relayfee"]) == "0.00100000" and info["networks"][1]["limited"] is True,
    ),
    Case("getnetworkinfo", result=lambda info: info["networks"] == [] and info["timecoin_version"] == "0.1.0"),
    Case(
        "getpeerinfo",
        context=networked,
        result=lambda peers: (
            peers[0]["addr"] == "127.0.0.1:25002"
            and peers[0]["connection_type"] == "manual"
            and str(peers[0]["pingtime"]) == "0.002"
            and peers[0]["bytesrecv_per_msg"] == {"pong": 20}
        ),
    ),
    Case("getpeerinfo", error=CLIENT_P2P_DISABLED),
    Case("getconnectioncount", result=2),
    Case(
        "getnettotals", context=networked, result=lambda it: it["totalbytesrecv"] == 20 and it["totalbytessent"] == 10
    ),
    Case("getnettotals", error=CLIENT_P2P_DISABLED),
    Case("getnodeaddresses", context=networked, result=lambda found: len(found) == 1 and found[0]["port"] == 24100),
    Case("getnodeaddresses", [0], context=networked, result=lambda found: len(found) == 2),
    Case("getnodeaddresses", [5, "ipv6"], context=networked, result=lambda found: found[0]["address"] == "::5"),
    Case("getnodeaddresses", [-1], error=INVALID_PARAMETER, says="Address count out of range"),
    Case("getnodeaddresses", [1, "i2p"], error=INVALID_PARAMETER),
    Case("getnodeaddresses", error=CLIENT_P2P_DISABLED),
    Case(
        "getaddrmaninfo",
        context=networked,
        result=lambda info: info["all_networks"] == {"new": 4, "tried": 1, "total": 5},
    ),
    Case("getaddrmaninfo", error=CLIENT_P2P_DISABLED),
    Case("ping", context=did("ping"), result=None),
    Case("ping", error=CLIENT_P2P_DISABLED),
    Case("addnode", [_NODE, "add"], context=did("add", _NODE), result=None),
    Case("addnode", [_NODE, "remove"], context=did("remove", _NODE), result=None),
    Case("addnode", [_NODE, "onetry"], context=did("once", _NODE), result=None),
    Case("addnode", [_NODE, "add", True], context=networked, error=INVALID_PARAMETER, says="v2transport"),
    Case("addnode", [_NODE, "frob"], error=INVALID_PARAMETER),
    Case("addnode", ["?", "add"], context=refusing(_INVALID), error=INVALID_PARAMETER, says="Invalid node address"),
    Case("addnode", [_NODE, "add"], context=refusing(_KNOWN), error=CLIENT_NODE_ALREADY_ADDED, says="already added"),
    Case("addnode", [_NODE, "remove"], context=refusing(_UNKNOWN), error=CLIENT_NODE_NOT_ADDED, says="not been added"),
    Case("addnode", [_NODE, "add"], error=CLIENT_P2P_DISABLED),
    Case(
        "getaddednodeinfo",
        context=networked,
        result=lambda found: [each["connected"] for each in found] == [True, False],
    ),
    Case(
        "getaddednodeinfo",
        ["10.0.0.1:1"],
        context=networked,
        result=lambda found: found[0]["addresses"] == [{"address": "10.0.0.1:1", "connected": "outbound"}],
    ),
    Case("getaddednodeinfo", ["x"], context=networked, error=CLIENT_NODE_NOT_ADDED, says="Node has not been added."),
    Case("getaddednodeinfo", error=CLIENT_P2P_DISABLED),
    Case("disconnectnode", ["127.0.0.1:25002"], context=networked, result=None),
    Case("disconnectnode", {"nodeid": 0}, context=networked, result=None),
    Case("disconnectnode", {"nodeid": 9}, context=networked, error=CLIENT_NODE_NOT_CONNECTED),
    Case("disconnectnode", error=INVALID_PARAMS, says="Only one of address and nodeid"),
    Case("disconnectnode", ["127.0.0.1:25002", 0], error=INVALID_PARAMS),
    Case("disconnectnode", ["127.0.0.1:25002"], error=CLIENT_P2P_DISABLED),
    Case("setban", ["10.0.0.0/8", "add"], context=did("ban", "10.0.0.0/8", NOW + 86_400), result=None),
    Case("setban", ["10.0.0.0/8", "add", 60], context=did("ban", "10.0.0.0/8", NOW + 60), result=None),
    Case("setban", ["10.0.0.1", "add", NOW + 5, True], context=did("ban", "10.0.0.1", NOW + 5), result=None),
    Case("setban", ["10.0.0.1", "remove"], context=did("unban", "10.0.0.1"), result=None),
    Case("setban", ["10.0.0.1", "add", 5, True], context=networked, error=INVALID_PARAMETER, says="in the past"),
    Case("setban", ["10.0.0.1", "add", -5], context=networked, error=INVALID_PARAMETER),
    Case("setban", ["10.0.0.1", "add"], context=refusing(_KNOWN), error=CLIENT_NODE_ALREADY_ADDED),
    Case("setban", ["?", "add"], context=refusing(_INVALID), error=CLIENT_INVALID_IP_OR_SUBNET, says="Invalid IP"),
    Case("setban", ["?", "remove"], context=refusing(_UNKNOWN), error=CLIENT_INVALID_IP_OR_SUBNET, says="Unban failed"),
    Case("setban", ["10.0.0.1", "add"], context=refusing(_DISK_FULL), error=MISC_ERROR, says="No space left"),
    Case("setban", ["10.0.0.1", "add"], error=CLIENT_P2P_DISABLED),
    Case(
        "listbanned",
        context=networked,
        result=[
            {
                "address": "10.0.0.0/8",
                "ban_created": NOW - 10,
                "banned_until": NOW + 90,
                "ban_duration": 100,
                "time_remaining": 90,
            }
        ],
    ),
    Case("listbanned", error=CLIENT_P2P_DISABLED),
    Case("clearbanned", context=did("clear"), result=None),
    Case("clearbanned", context=refusing(_DISK_FULL), error=MISC_ERROR),
    Case("clearbanned", error=CLIENT_P2P_DISABLED),
    Case("setnetworkactive", [False], context=networked, result=False),
    Case("setnetworkactive", [True], context=networked, result=True),
    Case("setnetworkactive", [True], error=CLIENT_P2P_DISABLED),
]

"""Cases of ``methods_status``."""

from __future__ import annotations

from typing import Any

from tests.rpc.cases import Case
from timecoin.rpc.errors import IN_WARMUP


def _figures(status: dict[str, Any]) -> bool:
    assert status["chain"]["blocks"] == 1 and status["chain"]["headers"] == 3
    assert status["finality"] == {"samples": 3, "p50_ms": 24, "p99_ms": 80, "max_ms": 80}
    assert status["consensus"]["quorum"] == 74 and status["consensus"]["total_power"] == 110
    assert status["peers"] == {"inbound": 1, "outbound": 1, "masternodes": 1}
    assert [alert["code"] for alert in status["alerts"]] == ["syncing"]
    return True


CASES = [
    Case("getstatus", result=_figures),
    Case("getstatus", node=lambda node: setattr(node, "free", None), result=lambda s: s["chain"]["disk_free"] is None),
    Case("getstatus", node=lambda node: setattr(node, "warmup", "Loading..."), error=IN_WARMUP),
]

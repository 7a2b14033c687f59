"""Cases of ``methods_consensus``."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.rpc.cases import Case
from tests.rpc.fake_insight import BLOCK, look
from tests.rpc.fake_node import NETWORK, FakeNode
from timecoin.primitives.hashes import display

SHOWN = display(BLOCK)


def halted(found: dict[str, Any]) -> None:
    first, second = found["members"]
    assert (found["quorum_power"], found["connected_power"], found["missing_power"]) == (74, 60, 14)
    assert (first["me"], first["connected"], first["last_bundle"], first["sealed"]) == (True, True, 7, True)
    assert first["prevote"] == {"blockhash": SHOWN, "fresh": True}
    assert first["precommit"] == {"blockhash": SHOWN, "fresh": None}
    assert (second["connected"], second["round"], second["heard"]) == (False, None, True)
    assert second["prevote"] == {"blockhash": None, "fresh": False}
    assert (found["disconnected"], found["unsealed"]) == ([1], [1])
    assert found["prevotes"]["blocks"] == [{"blockhash": SHOWN, "power": 100}, {"blockhash": None, "power": 10}]
    assert (found["prevotes"]["missing"], found["precommits"]["missing"]) == ([], [1])
    assert (found["prevotes"]["missing_power"], found["precommits"]["power"]) == (0, 100)
    assert (found["locked"], found["valid"]) == ({"round": 0, "blockhash": SHOWN}, {"round": 1, "blockhash": SHOWN})
    assert found["timers"] == [{"step": "propose", "milliseconds": 3_500}, {"step": "prevote", "milliseconds": 1_500}]
    assert (found["proposer"], found["proposal"]) == (1, SHOWN)


def weakly_connected(node: FakeNode) -> None:
    info = node.consensus()
    node.consensus = lambda: replace(info, connected_power=60)  # type: ignore[method-assign]


def follower(node: FakeNode) -> None:
    node.masternode_id = None


def epoch(found: dict[str, Any]) -> None:
    assert (found["epoch"], found["state"], found["epoch_seconds"]) == (1, "due", 60)
    assert found["next_slot"] == found["start_slot"] + 60
    assert (found["blocks"], found["transactions"], found["registry_changes"]) == (3, 41, 0)
    assert [(each["epoch"], each["certain"], each["size"]) for each in found["sets"]] == [
        (1, True, 2),
        (2, True, 2),
        (3, False, 2),
    ]
    reward = found["reward"]
    assert reward["certain"] and reward["present"] == 2
    # R(2) = 100 × (1 + ln 2), protocol.md section 7.
    assert reward["created"] == Decimal("169.31471805")
    assert 0 < reward["mine"] < reward["paid"] <= reward["created"]


CASES = [
    Case("getconsensusinfo", result=halted, context=look, node=weakly_connected),
    Case(
        "getconsensusinfo",
        result=lambda it: it["masternode_id"] is None,
        context=look,
        node=follower,
    ),
    Case("getconsensusinfo", error=-32601),
    Case("getepochinfo", result=epoch, context=look),
    Case("getepochinfo", result=lambda it: it["reward"]["mine"] is None, context=look, node=follower),
    Case(
        "getepochinfo",
        result=lambda it: (it["state"], it["seconds_left"]) == ("open", 20),
        context=look,
        node=lambda node: setattr(node, "now_ms", lambda: (NETWORK.genesis.slot_time + 40) * 1_000),
    ),
]

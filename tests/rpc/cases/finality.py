"""Cases of ``methods_finality`` and ``methods_proofs``."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from twisted.internet.defer import succeed

from tests.proofs.story import STORY
from tests.rpc.cases import Case
from tests.rpc.fake_insight import in_story, look, prove
from tests.rpc.fake_node import NOW_MS, FakeNode
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.proofs.proof_file import encode, to_json
from timecoin.rpc.errors import RpcError
from timecoin.rpc.facade import TxStatus
from timecoin.rpc.face_insight import CoinView
from timecoin.rpc.table import Context

NOBODY = "ab" * 32


def with_status(status: str, **more: Any):  # type: ignore[no-untyped-def]
    def arrange(node: FakeNode) -> None:
        txid = node.parent.txid
        node.statuses[txid] = TxStatus(txid, status, 110, 100, 110, **more)

    return arrange


def parent(node: FakeNode) -> list[Any]:
    return [display(node.parent.txid)]


def coin_of(tx: Transaction, n: int, view: CoinView):  # type: ignore[no-untyped-def]
    def arrange(context: Context) -> None:
        look(context).coins[tx.outpoint(n)] = view

    return arrange


def funded(state: str):  # type: ignore[no-untyped-def]
    """A coin of block 0 in a state, with a spender."""

    def arrange(context: Context) -> None:
        view = CoinView(state, b"\5" * 32, NOW_MS - 20) if state != "unspent" else CoinView(state, None, None)
        look(context).coins[_fund(context.node)] = view  # type: ignore[arg-type]

    return arrange


def _fund(node: FakeNode) -> OutPoint:
    return node.blocks[0].transactions[0].outpoint(0)


def fund(node: FakeNode) -> list[Any]:
    return [display(node.blocks[0].transactions[0].txid), 0]


def spent_output(n: int):  # type: ignore[no-untyped-def]
    """An output of an archived transaction that is no coin any more."""

    def arrange(context: Context) -> None:
        node: Any = context.node
        look(context).coins[node.archived.outpoint(n)] = CoinView("spent", None, None)

    return arrange


def archived(n: int):  # type: ignore[no-untyped-def]
    return lambda node: [display(node.archived.txid), n]


OPEN = display(STORY.open.txid)
PAID = display(STORY.paid[1][0].txid)
FINALITY, INCLUSION = STORY.finality(), STORY.signed(1, 0)


def refusing(code: int, message: str):  # type: ignore[no-untyped-def]
    def arrange(context: Context) -> None:
        prove(context).refuses = RpcError(code, message)

    return arrange


def changed() -> dict[str, Any]:
    shown = to_json(INCLUSION)
    return shown | {"position": shown["position"] + 1}


def _tip(node: FakeNode, at: int) -> None:
    state, header = STORY.chain.state, STORY.chain.blocks[at - 1].header
    node.tip = lambda: replace(state, header=header)  # type: ignore[method-assign]


def finish(node: FakeNode) -> None:
    """Waiting ends at its time-out with nothing known."""
    node.wait_final = lambda txid, timeout_ms: succeed(None)  # type: ignore[method-assign]


CASES = [
    Case("gettxstatus", parent, node=with_status("archived", final_ms=41, height=7, block_hash=b"\1" * 32)),
    Case("gettxstatus", parent, lambda found: found["reason"] == "rival", node=with_status("rejected", reason="rival")),
    Case("gettxstatus", [NOBODY], error=-5, says="No such mempool or blockchain transaction"),
    Case("gettxstatus", parent, lambda found: found["votes"] == 110, node=with_status("certified")),
    Case("waitforfinality", lambda node: [*parent(node), 100], node=with_status("final", final_ms=12), advance=0.2),
    Case("waitforfinality", [NOBODY, 100], error=-5, advance=0.2, node=finish),
    Case("waitforfinality", [NOBODY, -1], error=-8),
    Case("waitforfinality", [NOBODY, 3_600_001], error=-8, says="from 0 to 3600000"),
    Case("getfinalityevents", [0], lambda found: found["next"] >= 0),
    Case(
        "getfinalityevents", {"since": 0, "limit": 5, "status": "final"}, lambda found: found["missed"] in (True, False)
    ),
    Case("getfinalityevents", [-1], error=-8),
    Case("getfinalityevents", [0, 0, 10_001], error=-8),
    Case("getfinalityevents", [0, 0, 5, "sent"], error=-8, says="certified"),
    Case(
        "getutxostate",
        fund,
        lambda found: (found["state"], found["by"], found["height"]) == ("unspent", None, 0) and found["value"] > 0,
        context=funded("unspent"),
    ),
    *[
        Case(
            "getutxostate",
            fund,
            lambda found, state=state: (
                (found["state"], found["by"], found["since_ms"]) == (state, "05" * 32, NOW_MS - 20)
            ),
            context=funded(state),
        )
        for state in ("locked", "spent_pending", "spent_final")
    ],
    Case(
        "getutxostate",
        archived(0),
        lambda found: (found["state"], found["by"], found["value"]) == ("spent", None, None),
        context=spent_output(0),
    ),
    Case("getutxostate", archived(9), error=-5, context=spent_output(9)),
    Case("getutxostate", [NOBODY, 0], error=-5, context=look),
    Case("getutxostate", [NOBODY, -1], error=-8, context=look),
    Case("getutxostate", [NOBODY, 2**32], error=-8, context=look),
    Case("getutxostate", [NOBODY, 0], error=-32601),
    Case("getfinalityproof", [OPEN], to_json(FINALITY), context=prove),
    Case("getfinalityproof", [PAID, 0, True], to_json(INCLUSION), context=prove),
    Case("getfinalityproof", {"txid": OPEN, "transaction": False}, lambda it: "transaction" not in it, context=prove),
    Case("getfinalityproof", [NOBODY], error=-5, context=prove),
    Case("getfinalityproof", [OPEN], error=-1, says="certified", context=refusing(-1, "Transaction is certified")),
    Case("getfinalityproof", [OPEN, 3], error=-8, context=refusing(-8, "Block 3 is not a closing block")),
    Case("getfinalityproof", [NOBODY], error=-32601),
    Case(
        "verifyfinalityproof",
        [to_json(FINALITY)],
        lambda found: (
            (found["valid"], found["status"], found["txid"]) == (True, "final", OPEN)
            and found["outputs"][0]["value"] == Decimal(3)
        ),
        node=in_story,
    ),
    Case(
        "verifyfinalityproof",
        [encode(INCLUSION).decode()],
        lambda found: (found["status"], found["epoch"], found["anchor"]["height"]) == ("archived", 1, 0),
        node=in_story,
    ),
    Case(
        "verifyfinalityproof",
        [changed()],
        lambda found: (
            (found["valid"], found["code"]) == (False, "proof-path") and set(found) == {"valid", "code", "reason"}
        ),
        node=in_story,
    ),
    Case("verifyfinalityproof", ["no JSON"], lambda found: found["code"] == "proof-malformed"),
    Case("verifyfinalityproof", [to_json(FINALITY)], lambda found: found["code"] == "proof-anchor"),
    Case(
        "verifyfinalityproof",
        [json.dumps(to_json(STORY.finality(3)))],
        lambda found: found["code"] == "proof-anchor",
        node=lambda node: (in_story(node), node.blocks.pop(), _tip(node, -1)),
    ),
    Case(
        "verifyfinalityproof",
        [to_json(INCLUSION)],
        error=-8,
        says="not kept here",
        node=lambda node: (in_story(node), setattr(node, "base", 5)),
    ),
]

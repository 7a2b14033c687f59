"""Cases of ``methods_rawtx`` and ``methods_package``."""

from __future__ import annotations

from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.chain import NOWHERE, first, pruned, tip
from tests.rpc.cases.coins import archived
from tests.rpc.fake_node import COIN, FakeNode, pay
from timecoin.ledger.errors import FeeTooLow, MissingInputs
from timecoin.mempool.errors import AlreadyKnown
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.errors import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    MISC_ERROR,
    VERIFY_ALREADY_IN_CHAIN,
    VERIFY_ERROR,
    VERIFY_REJECTED,
)
from timecoin.rpc.facade import Preview

TX = pay(1)
CHILD = pay(1, COIN // 2, 0, TX.txid)
RIVAL = pay(1, COIN // 4)
BURN = Transaction(2, TX.inputs, (TxOutput(5, b"\x6a\x57"),), 0)
HEX, CHILD_HEX = TX.raw.hex(), CHILD.raw.hex()
FEES = {"base", "effective-feerate", "effective-includes"}


def refusing(problem: Exception) -> Any:
    return lambda node: setattr(node, "submit_answer", problem)


def seeing(*previews: Preview) -> Any:
    return lambda node: setattr(node, "previews", list(previews))


def in_pool(node: FakeNode) -> str:
    return display(node.parent.txid)


def final(node: FakeNode) -> None:
    node.entries[node.parent.txid] = node.entries[node.parent.txid].__class__(node.parent, 28_400, 0, 1, "final")


def _archived(verbosity: int) -> Any:
    def check(tx: dict[str, Any]) -> None:
        assert (tx["confirmations"], tx["height"]) == (1, 1) and tx["time"] == tx["blocktime"]
        assert tx["instantlock"] and tx["instantlock_internal"] and tx["chainlock"]
        assert ("fee" in tx) == ("prevout" in tx["vin"][0]) == (verbosity > 1)
        assert tx["vout"][0]["scriptPubKey"]["type"] == "witness_v0_keyhash"
        assert tx["vout"][0]["scriptPubKey"]["asm"].startswith("0 ")

    return check


def _pooled(is_final: bool) -> Any:
    def check(tx: dict[str, Any]) -> None:
        assert (tx["instantlock"], tx["chainlock"]) == (is_final, False)
        assert "confirmations" not in tx and "blockhash" not in tx

    return check


CASES = [
    Case("decoderawtransaction", [HEX], result=lambda tx: tx["txid"] == display(TX.txid) and "hex" not in tx),
    Case(
        "decoderawtransaction",
        [BURN.raw.hex()],
        result=lambda tx: tx["vout"][0]["scriptPubKey"]["asm"] == "OP_RETURN 7",
    ),
    Case("decoderawtransaction", ["00"], error=DESERIALIZATION_ERROR, says="TX decode failed"),
    Case("getrawtransaction", lambda node: [in_pool(node)], result=lambda raw: isinstance(raw, str)),
    Case("getrawtransaction", lambda node: [in_pool(node), True], result=_pooled(False)),
    Case("getrawtransaction", lambda node: [in_pool(node), 1], node=final, result=_pooled(True)),
    Case("getrawtransaction", lambda node: [in_pool(node), 2], result=lambda tx: str(tx["fee"]) == "0.00028400"),
    Case(
        "getrawtransaction",
        lambda node: [display(node.child.txid), 2],
        result=lambda tx: tx["vin"][0]["prevout"]["height"] == 0x7FFFFFFF,
    ),
    Case("getrawtransaction", lambda node: [archived(node), 0], result=lambda raw: isinstance(raw, str)),
    Case("getrawtransaction", lambda node: {"txid": archived(node), "verbose": True}, result=_archived(1)),
    Case("getrawtransaction", lambda node: [archived(node), 2], result=_archived(2)),
    Case("getrawtransaction", lambda node: [archived(node), 1, tip(node)], result=lambda tx: tx["in_active_chain"]),
    Case(
        "getrawtransaction", [NOWHERE], error=INVALID_ADDRESS_OR_KEY, says="No such mempool or blockchain transaction"
    ),
    Case(
        "getrawtransaction",
        lambda node: [archived(node), 0, first(node)],
        error=INVALID_ADDRESS_OR_KEY,
        says="provided block",
    ),
    Case(
        "getrawtransaction", lambda node: [archived(node), 0, NOWHERE], error=INVALID_ADDRESS_OR_KEY, says="Block hash"
    ),
    Case("getrawtransaction", lambda node: [archived(node)], node=pruned, error=MISC_ERROR),
    Case("sendrawtransaction", [HEX], result=display(TX.txid)),
    Case("sendrawtransaction", ["zz"], error=DESERIALIZATION_ERROR),
    Case("sendrawtransaction", [HEX], node=refusing(MissingInputs("x")), error=VERIFY_ERROR, says="bad-txns-inputs"),
    Case("sendrawtransaction", [HEX], node=refusing(FeeTooLow("x")), error=VERIFY_REJECTED),
    Case(
        "sendrawtransaction",
        [HEX],
        node=refusing(AlreadyKnown(TX.txid, archived=True)),
        error=VERIFY_ALREADY_IN_CHAIN,
        says="Transaction outputs already in utxo set",
    ),
    Case("sendrawtransaction", [HEX, 1], error=INVALID_PARAMETER, says="not accepted"),
    Case("sendrawtransaction", [HEX], node=seeing(Preview(None, COIN)), error=VERIFY_ERROR, says="Fee exceeds maximum"),
    Case("sendrawtransaction", [HEX, 0], node=seeing(Preview(None, COIN)), result=display(TX.txid)),
    Case("sendrawtransaction", [BURN.raw.hex()], error=VERIFY_ERROR, says="(maxburnamount)"),
    Case("sendrawtransaction", [BURN.raw.hex(), 0, "0.00000005"], result=display(BURN.txid)),
    Case(
        "testmempoolaccept",
        [[HEX, CHILD_HEX]],
        node=seeing(Preview(None, 28_400), Preview("dust", details="dust: 5")),
        result=lambda found: (
            found[0]["allowed"] and set(found[0]["fees"]) == FEES and found[1]["reject-details"] == "dust: 5"
        ),
    ),
    Case("testmempoolaccept", [[HEX], 0], node=seeing(Preview(None, COIN)), result=lambda found: found[0]["allowed"]),
    Case(
        "testmempoolaccept",
        [[HEX]],
        node=seeing(Preview(None, COIN)),
        result=lambda found: found[0]["reject-reason"] == "max-fee-exceeded",
    ),
    Case(
        "testmempoolaccept",
        [[CHILD_HEX, HEX]],
        result=lambda found: [each["package-error"] for each in found] == ["package-not-sorted"] * 2,
    ),
    Case(
        "testmempoolaccept",
        [[HEX, RIVAL.raw.hex()]],
        result=lambda found: found[0]["package-error"] == "conflict-in-package" and "allowed" not in found[0],
    ),
    Case(
        "testmempoolaccept",
        [[HEX, HEX]],
        result=lambda found: found[1]["package-error"] == "package-contains-duplicates",
    ),
    Case("testmempoolaccept", [[]], error=INVALID_PARAMETER, says="between 1 and 25"),
    Case("testmempoolaccept", [["00"]], error=DESERIALIZATION_ERROR),
    Case("testmempoolaccept", [[HEX], 2], error=INVALID_PARAMETER),
    Case(
        "submitpackage",
        [[HEX, CHILD_HEX]],
        result=lambda found: found["package_msg"] == "success" and len(found["tx-results"]) == 2,
    ),
    Case(
        "submitpackage",
        lambda node: [[node.parent.raw.hex()]],
        result=lambda found: set(next(iter(found["tx-results"].values()))["fees"]) == FEES,
    ),
    Case(
        "submitpackage",
        [[HEX]],
        node=refusing(FeeTooLow("x")),
        result=lambda found: (
            found["package_msg"] == "transaction failed" and "error" in next(iter(found["tx-results"].values()))
        ),
    ),
    Case("submitpackage", [[]], error=INVALID_PARAMETER),
    Case("submitpackage", [["00"]], error=DESERIALIZATION_ERROR),
    Case("submitpackage", [[CHILD_HEX, HEX]], error=VERIFY_ERROR, says="package topology disallowed"),
    Case("submitpackage", [[BURN.raw.hex()]], error=VERIFY_ERROR),
    Case("submitpackage", [[HEX], 1], error=INVALID_PARAMETER),
]

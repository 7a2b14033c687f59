"""Cases of ``methods_wallet_addresses``, ``_coins``, ``_history`` and ``_received``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.rpc.cases import Case
from tests.rpc.purses import COIN, OTHER_ADDRESS, Purse, coins, nothing, purse, two
from timecoin.primitives.hashes import display
from timecoin.primitives.script import multisig
from timecoin.primitives.signing import get_backend

BACKEND = get_backend()
KEYS = [BACKEND.public_key(bytes([n]) * 32).hex() for n in (1, 2, 3)]
MULTISIG = f"wsh(multi(2,{','.join(KEYS)}))"
BAD = "timed1nonsense"


def labelled(made: Purse) -> None:
    made.first = made.address(0, "rent")  # type: ignore[attr-defined]
    made.now(made.wallet.set_label(b"\x00\x14" + b"\x42" * 20, "the other"))


def watching(made: Purse) -> None:
    """A multisig address is watched, with a coin on it."""
    from timecoin.ledger.networks import get
    from timecoin.rpc.face_wallet import Import
    from timecoin.wallet.descriptors import Descriptor

    descriptor = Descriptor.parse(MULTISIG, get("devnet"))
    made.now(made.wallet.import_descriptors([Import(descriptor, 0, False, 0, 0, None, 0, "vault")]))
    made.vault = descriptor.script()  # type: ignore[attr-defined]
    made.chain.block(made.chain.gift(descriptor.script(), COIN))
    made.turn()


def coming(*statuses: str) -> Any:
    """A coin of somebody else's at each status, of 1, 2, 3 … TIME."""

    def step(made: Purse) -> None:
        for n, status in enumerate(statuses, 1):
            tx = made.chain.take(made.chain.gift(made.script(), n * COIN))
            if status != "pending":
                made.reach(tx, status)

    return step


def paid(made: Purse) -> None:
    made.paid = made.pay()  # type: ignore[attr-defined]


def paid_and_archived(made: Purse) -> None:
    paid(made)
    made.chain.block()
    made.turn()


def txid(node: Any) -> list[Any]:
    return [display(node.purse.paid.txid)]


def rewarded(made: Purse) -> None:
    made.chain.block(closing=True, reward=made.script())
    made.turn()
    made.paid = made.chain.blocks[-1].transactions[0]  # type: ignore[attr-defined]


def lost(made: Purse) -> None:
    """A payment against which an archived spend of another device won."""
    paid(made)
    rival = type(made.paid)(2, made.paid.inputs, made.paid.outputs[:1])  # type: ignore[attr-defined]
    made.chain.block(rival)
    made.turn()


def members(**wanted: Any) -> Any:
    def check(value: Any) -> None:
        shown = value[-1] if isinstance(value, list) else value
        for name, each in wanted.items():
            assert shown.get(name) == each, (name, shown.get(name), value)

    return check


def one_of(node: Any) -> Any:
    coin = max(node.purse.wallet.state.history.unspent(), key=lambda each: each.value)
    return {"txid": display(coin.txid), "vout": coin.index}


def kept(durable: bool) -> Any:
    def step(made: Purse) -> None:
        coin = made.wallet.state.history.unspent()[0]
        made.now(made.wallet.lock_coins([coin.outpoint], durable))

    return step


def spent_coin(node: Any) -> Any:
    outpoint = node.purse.paid.outpoints()[0]
    return {"txid": outpoint[:32][::-1].hex(), "vout": int.from_bytes(outpoint[32:], "little")}


def received_line(value: list[dict[str, Any]]) -> None:
    line = value[0]
    assert (line["category"], line["amount"], line["confirmations"]) == ("receive", Decimal(1), 1), value
    assert line["status"] == "archived" and line["chainlock"] and line["blockhash"], value


def sent_lines(value: list[dict[str, Any]]) -> None:
    assert [line["category"] for line in value] == ["receive", "send"], value
    assert value[1]["amount"] == Decimal("-0.25") and value[1]["fee"] < 0 and value[1]["comment"] == "a note", value
    assert value[1]["trusted"] and not value[1]["instantlock"] and value[1]["to"] == "somebody", value


def whole(value: dict[str, Any]) -> None:
    assert value["amount"] == Decimal("-0.25") and value["fee"] < 0 and value["decoded"]["vin"], value
    assert value["instantlock"] and value["chainlock"] and value["status"] == "archived", value
    assert value["confirmations"] == 1 and value["blockindex"] == 1, value


def lost_shown(value: dict[str, Any]) -> None:
    assert value["confirmations"] == -1 and len(value["walletconflicts"]) == 1, value
    assert value["status"] == "rejected" and value["reason"] == "conflict" and not value["trusted"], value


def own_info(value: dict[str, Any]) -> None:
    assert value["ismine"] and value["solvable"] and value["hdkeypath"] == "m/84h/1h/0h/0/0", value
    assert value["desc"].startswith("wpkh([") and value["labels"] == ["rent"] and not value["ischange"], value


def vault_info(value: dict[str, Any]) -> None:
    assert value["iswatchonly"] and value["isscript"] and value["sigsrequired"] == 2, value
    assert value["hex"] == multisig(2, [bytes.fromhex(key) for key in KEYS]).hex() and value["labels"] == ["vault"]


def addr(script: bytes) -> str:
    from timecoin.primitives.address import encode

    return encode(script, "timed")


WATCH = {"watch_only": True}
_FIXED = {"bip125-replaceable": "no"}

CASES = [
    Case("getnewaddress", ["rent"], lambda v: v.startswith("timed1q"), context=purse()),
    Case("getnewaddress", ["", "bech32"], context=purse()),
    Case("getnewaddress", [], error=-4, context=purse(blank=True)),
    Case("getnewaddress", ["", "legacy"], error=-5, context=purse()),
    Case("getnewaddress", ["*"], error=-11, context=purse()),
    Case("getnewaddress", ["x" * 1_025], error=-11, context=purse()),
    Case("getrawchangeaddress", [], context=purse()),
    Case("getrawchangeaddress", [], error=-4, context=purse(blank=True)),
    Case("getrawchangeaddress", ["p2sh-segwit"], error=-5, context=purse()),
    Case("keypoolrefill", [100], None, context=purse()),
    Case("keypoolrefill", [-1], error=-8, context=purse()),
    Case("getaddressinfo", lambda n: [n.purse.first], own_info, context=purse(labelled)),
    Case("getaddressinfo", [OTHER_ADDRESS], members(ismine=False, labels=["the other"]), context=purse(labelled)),
    Case("getaddressinfo", lambda n: [addr(n.purse.vault)], vault_info, context=purse(watching, **WATCH)),
    Case("getaddressinfo", lambda n: [n.purse.address(1)], members(ischange=True, labels=[]), context=purse()),
    Case("getaddressinfo", [BAD], error=-5, context=purse()),
    Case("setlabel", [OTHER_ADDRESS, "landlord"], None, context=purse()),
    Case("setlabel", [BAD, "x"], error=-5, context=purse()),
    Case("setlabel", [OTHER_ADDRESS, "*"], error=-11, context=purse()),
    Case("getaddressesbylabel", ["the other"], {OTHER_ADDRESS: {"purpose": "send"}}, context=purse(labelled, coins())),
    Case("getaddressesbylabel", [""], lambda v: len(v) == 2, context=purse(coins(2))),
    Case("getaddressesbylabel", ["nobody"], error=-11, context=purse()),
    Case("listlabels", [], ["", "rent", "the other"], context=purse(labelled, coins())),
    Case("listlabels", ["send"], ["the other"], context=purse(labelled)),
    Case("listlabels", ["else"], error=-8, context=purse()),
    # Balances and coins
    Case("getbalance", [], Decimal("3"), context=purse(coins(3), coming("pending"))),
    Case("getbalance", ["*", 0], Decimal("2"), context=purse(coming("certified", "final"))),
    Case("getbalance", ["*", 2], Decimal("1"), context=purse(coins(2))),
    Case("getbalance", [], Decimal("1"), context=purse(watching, **WATCH)),
    Case("getbalance", ["account"], error=-3, context=purse()),
    Case(
        "getbalances",
        [],
        lambda v: (
            [v["mine"][name] for name in ("pending", "certified", "final", "archived", "trusted")]
            == [Decimal(n) for n in (1, 2, 3, 1, 4)]
        ),
        context=purse(coins(), coming("pending", "certified", "final")),
    ),
    Case("getbalances", [], lambda v: "watchonly" not in v, context=purse(watching, **WATCH)),
    Case("getbalances", [], lambda v: v["watchonly"]["archived"] == 1, context=purse(watching, coins())),
    Case("getunconfirmedbalance", [], Decimal("3"), context=purse(coins(), coming("pending", "certified", "final"))),
    Case("listunspent", [], lambda v: len(v) == 2, context=purse(coins(2), coming("final"))),
    Case("listunspent", [0], lambda v: len(v) == 4, context=purse(coins(2), coming("final", "pending"))),
    Case(
        "listunspent", [0, 99, [], False], lambda v: len(v) == 1, context=purse(coming("final", "pending", "certified"))
    ),
    Case("listunspent", [], members(spendable=True, solvable=True, safe=True, label=""), context=purse(coins())),
    Case(
        "listunspent",
        [],
        lambda v: v[0]["witnessScript"] and not v[0]["spendable"] and v[0]["solvable"],
        context=purse(watching, **WATCH),
    ),
    Case("listunspent", {"minimumAmount": 2}, [], context=purse(coins(2))),
    Case("listunspent", {"query_options": {"maximumCount": 1}}, lambda v: len(v) == 1, context=purse(coins(2))),
    Case("listunspent", {"query_options": {"minimumSumAmount": 2}}, lambda v: len(v) == 2, context=purse(coins(3))),
    Case("listunspent", [1, 9, [OTHER_ADDRESS]], [], context=purse(coins())),
    Case("listunspent", [], [], context=purse(coins(), kept(False))),
    Case("listunspent", [1, 9, [BAD]], error=-5, context=purse()),
    Case("listunspent", [1, 9, [OTHER_ADDRESS] * 2], error=-8, context=purse()),
    Case("lockunspent", lambda n: [False, [one_of(n)], True], True, context=purse(coins())),
    Case("lockunspent", lambda n: [True, [one_of(n)]], True, context=purse(coins(), kept(True))),
    Case("lockunspent", lambda n: [False, [one_of(n)], True], True, context=purse(coins(), kept(False))),
    Case("lockunspent", [True], True, context=purse(coins(), kept(True))),
    Case("lockunspent", [False], True, context=purse()),
    Case("lockunspent", [False, [{"txid": "11" * 32, "vout": 0}]], error=-8, says="unknown", context=purse()),
    Case(
        "lockunspent",
        lambda n: [False, [{**one_of(n), "vout": 7}]],
        error=-8,
        says="out of bounds",
        context=purse(coins()),
    ),
    Case("lockunspent", lambda n: [True, [one_of(n)]], error=-8, says="expected locked", context=purse(coins())),
    Case("lockunspent", lambda n: [False, [one_of(n)]], error=-8, says="already", context=purse(coins(), kept(True))),
    Case("lockunspent", lambda n: [False, [spent_coin(n)]], error=-8, says="unspent", context=purse(coins(), paid)),
    Case("listlockunspent", [], lambda v: len(v) == 1, context=purse(coins(), kept(False))),
    # History
    Case("listtransactions", [], received_line, context=purse(coins())),
    Case("listtransactions", [], sent_lines, context=purse(coins(), paid)),
    Case("listtransactions", [], members(category="generate", generated=True), context=purse(rewarded)),
    Case("listtransactions", [], members(**_FIXED), context=purse(coins(), paid)),
    Case("listtransactions", ["*", 2, 1], lambda v: len(v) == 2, context=purse(coins(4))),
    Case("listtransactions", ["rent"], [], context=purse(labelled, coins())),
    Case("listtransactions", [], members(involvesWatchonly=True), context=purse(watching, **WATCH)),
    Case("listtransactions", ["*", -1], error=-8, context=purse()),
    Case("listtransactions", ["*", 100_001], error=-8, context=purse()),
    Case("listtransactions", ["*", 1, -1], error=-8, context=purse()),
    Case("gettransaction", lambda n: [*txid(n), True, True], whole, context=purse(coins(), paid_and_archived)),
    Case("gettransaction", txid, members(status="pending", confirmations=0, **_FIXED), context=purse(coins(), paid)),
    Case("gettransaction", txid, lost_shown, context=purse(coins(), lost)),
    Case("gettransaction", txid, members(generated=True, amount=Decimal(5)), context=purse(rewarded)),
    Case("gettransaction", ["11" * 32], error=-5, context=purse()),
    Case("listsinceblock", [], lambda v: len(v["transactions"]) == 3, context=purse(coins(2), paid)),
    Case(
        "listsinceblock",
        lambda n: [display(n.blocks[1].header.hash), 2],
        lambda v: len(v["transactions"]) == 1,
        context=purse(coins(2)),
    ),
    Case("listsinceblock", ["11" * 32], error=-5, context=purse()),
    Case("listsinceblock", {"target_confirmations": 0}, error=-8, context=purse()),
    Case("abandontransaction", txid, None, context=purse(coins(), paid)),
    Case("abandontransaction", txid, error=-5, says="archived", context=purse(coins(), paid_and_archived)),
    Case("abandontransaction", ["11" * 32], error=-5, context=purse()),
    # Received
    Case("getreceivedbyaddress", lambda n: [n.purse.address(0)], Decimal(0), context=purse()),
    Case("getreceivedbyaddress", lambda n: [addr(n.purse.vault)], Decimal(1), context=purse(watching, **WATCH)),
    Case("getreceivedbyaddress", [OTHER_ADDRESS], error=-4, context=purse()),
    Case("getreceivedbyaddress", [BAD], error=-5, context=purse()),
    Case("getreceivedbylabel", [""], Decimal(3), context=purse(coins(3), coming("final"))),
    Case("getreceivedbylabel", ["", 0], Decimal(4), context=purse(coins(3), coming("final"))),
    Case("getreceivedbylabel", ["nobody"], error=-4, context=purse()),
    Case("listreceivedbyaddress", [], lambda v: len(v) == 2, context=purse(coins(2), coming("final"))),
    Case("listreceivedbyaddress", [0, True], lambda v: len(v) == 3, context=purse(coins(2), labelled)),
    Case("listreceivedbyaddress", {"address_filter": OTHER_ADDRESS}, [], context=purse(coins())),
    Case("listreceivedbyaddress", [], members(involvesWatchonly=True), context=purse(watching, **WATCH)),
    Case("listreceivedbyaddress", {"address_filter": BAD}, error=-5, context=purse()),
    Case(
        "listreceivedbylabel", [], [{"amount": 2, "confirmations": 1, "label": ""}], context=purse(coins(2), labelled)
    ),
    Case("listreceivedbylabel", [1, True], lambda v: len(v) == 2, context=purse(coins(2), labelled)),
]

_OF_ONE: dict[str, list[Any]] = {
    "getnewaddress": [],
    "getrawchangeaddress": [],
    "keypoolrefill": [],
    "getaddressinfo": [OTHER_ADDRESS],
    "setlabel": [OTHER_ADDRESS, ""],
    "getaddressesbylabel": [""],
    "listlabels": [],
    "getbalance": [],
    "getbalances": [],
    "getunconfirmedbalance": [],
    "listunspent": [],
    "lockunspent": [True],
    "listlockunspent": [],
    "listtransactions": [],
    "gettransaction": ["11" * 32],
    "listsinceblock": [],
    "abandontransaction": ["11" * 32],
    "getreceivedbyaddress": [OTHER_ADDRESS],
    "getreceivedbylabel": [""],
    "listreceivedbyaddress": [],
    "listreceivedbylabel": [],
}
CASES += [Case(name, params, error=-18, context=nothing) for name, params in _OF_ONE.items()]
CASES += [Case(name, params, error=-19, context=two) for name, params in _OF_ONE.items()]

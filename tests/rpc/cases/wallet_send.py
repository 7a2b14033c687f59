"""Cases of ``methods_wallet_send``, ``_fund`` and ``_descriptors``."""

from __future__ import annotations

from typing import Any

from tests.node.wallet_world import refused
from tests.rpc.cases import Case
from tests.rpc.cases.wallet_coins import BAD, KEYS, MULTISIG, one_of, watching
from tests.rpc.purses import COIN, OTHER, OTHER_ADDRESS, Purse, coins, lagging, locked, nothing, purse, two, unlocked
from timecoin.ledger.errors import FeeTooLow
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.wallet.checksums import with_checksum
from timecoin.wallet.hd import ExtendedSecretKey


def _second() -> str:
    from timecoin.primitives.address import encode

    return encode(p2wpkh(b"\x43" * 20), "timed")


SECOND = _second()
FUNDS = (coins(3),)
REFUSING = refused(FeeTooLow)


def refusing(made: Purse) -> None:
    made.chain.refusal = REFUSING


def is_txid(value: str) -> None:
    assert len(value) == 64 and bytes.fromhex(value), value


def sent_result(value: dict[str, Any]) -> None:
    assert value["complete"] and len(value["txid"]) == 64 and "psbt" not in value, value


def only_signed(value: dict[str, Any]) -> None:
    assert value["complete"] and Transaction.decode(bytes.fromhex(value["hex"])).has_witness, value


def a_psbt(value: dict[str, Any]) -> None:
    assert not value["complete"] and value["psbt"].startswith("cHNidP8"), value


def bare(value: int = COIN) -> str:
    """A transaction without inputs, as createrawtransaction makes it."""
    return Transaction(2, (), (TxOutput(value, OTHER),)).raw.hex()


def with_input(node: Any) -> list[Any]:
    coin = node.purse.wallet.state.history.unspent()[0]
    return [Transaction(2, (TxInput(coin.outpoint),), (TxOutput(COIN // 2, OTHER),)).raw.hex()]


def funded(value: dict[str, Any]) -> None:
    tx = Transaction.decode(bytes.fromhex(value["hex"]))
    assert len(tx.inputs) == 2 and value["fee"] > 0 and 0 <= value["changepos"] <= 1, value


def drafted(node: Any) -> list[Any]:
    return [node.purse.draft().raw.hex()]


def signed_away(made: Purse) -> None:
    made.now(made.wallet.sign(made.draft(COIN // 3)))


def rival(node: Any) -> list[Any]:
    """Another spend of the coin that was signed away."""
    (outpoint,) = node.purse.wallet.state.guard._signed
    return [Transaction(2, (TxInput(outpoint),), (TxOutput(COIN // 2, OTHER),)).raw.hex()]


def foreign(value: str = "22") -> str:
    tx = Transaction(2, (TxInput(bytes.fromhex(value) * 36),), (TxOutput(COIN, OTHER),))
    return tx.raw.hex()


def prevtx(**changes: Any) -> dict[str, Any]:
    return {"txid": "22" * 32, "vout": 0x22222222, "scriptPubKey": OTHER.hex(), **changes}


def coin_prevtx(node: Any) -> list[Any]:
    """A coin of the wallet, told of with another script."""
    (text,) = with_input(node)
    return [text, [{**one_of(node), "scriptPubKey": OTHER.hex(), "amount": 1}]]


def incomplete(value: dict[str, Any]) -> None:
    assert not value["complete"] and len(value["errors"]) == 1, value


MASTER = ExtendedSecretKey.from_seed(b"\x05" * 32)


def _keys(private: bool) -> str:
    from timecoin.ledger.networks import get

    versions = get("devnet").keys
    return MASTER.reveal(versions) if private else MASTER.public().text(versions)


PRIVATE = with_checksum(f"wpkh({_keys(True)}/0/*)")
PUBLIC = with_checksum(f"wpkh({_keys(False)}/0/*)")
PAIR = with_checksum(f"wpkh({_keys(False)}/<0;1>/*)")


def request(desc: str, **changes: Any) -> list[Any]:
    return [[{"desc": desc, "timestamp": "now", **changes}]]


def imported(value: list[dict[str, Any]]) -> None:
    assert all(each["success"] for each in value), value


def not_imported(code: int) -> Any:
    def check(value: list[dict[str, Any]]) -> None:
        assert [each["error"]["code"] for each in value] == [code], value

    return check


def scanning(made: Purse) -> None:
    for _ in range(120):
        made.chain.block(made.chain.gift(OTHER))
    made.wallet.rescan(0, None)


def aborted(made: Purse) -> None:
    """A long chain; the scan that is begun next is aborted as soon as it runs."""
    for _ in range(120):
        made.chain.block(made.chain.gift(OTHER))
    made.node.clock.callLater(0.0001, made.wallet.abort_scan)


def shared(made: Purse) -> None:
    """The wallet holds one of the two keys that its coin needs, and change goes to the words' account."""
    from timecoin.ledger.networks import get
    from timecoin.primitives.wif import encode_wif
    from timecoin.rpc.face_wallet import Import
    from timecoin.wallet.descriptors import Descriptor

    one = encode_wif(bytes([1]) * 32, get("devnet").keys.wif)
    descriptor = Descriptor.parse(f"wsh(multi(2,{one},{KEYS[1]}))", get("devnet"))
    made.now(made.wallet.import_descriptors([Import(descriptor, 0, False, 0, 0, None, 0, "")]))
    made.chain.block(made.chain.gift(descriptor.script(), COIN))
    made.turn()


def descriptors(private: bool) -> Any:
    def check(value: dict[str, Any]) -> None:
        assert [each["internal"] for each in value["descriptors"]] == [False, True], value
        assert all(("prv" in each["desc"]) is private for each in value["descriptors"]), value

    return check


PAYERS = {
    "sendtoaddress": [OTHER_ADDRESS, 0.5],
    "sendmany": ["", {OTHER_ADDRESS: 0.5}],
    "send": [{OTHER_ADDRESS: 0.5}],
    "sendall": [[OTHER_ADDRESS]],
}
CASES = [
    *[Case(name, params, error=-4 if name == "send" else -6, context=purse()) for name, params in PAYERS.items()],
    *[Case(name, params, error=-10, context=purse(*FUNDS, lagging)) for name, params in PAYERS.items()],
    *[Case(name, params, error=-13, context=purse(*FUNDS, locked)) for name, params in PAYERS.items()],
    *[Case(name, params, error=-26, context=purse(*FUNDS, refusing)) for name, params in PAYERS.items()],
    Case("sendtoaddress", [OTHER_ADDRESS, 0.5], is_txid, context=purse(*FUNDS)),
    Case("sendtoaddress", [OTHER_ADDRESS, "2.5", "rent", "landlord", True], is_txid, context=purse(*FUNDS, unlocked)),
    Case(
        "sendtoaddress",
        {"address": OTHER_ADDRESS, "amount": 1, "fee_rate": 200, "verbose": True},
        lambda v: v["fee_reason"] == "Requested Fee Rate",
        context=purse(*FUNDS),
    ),
    Case("sendtoaddress", [OTHER_ADDRESS, 0], error=-3, says="Invalid amount for send", context=purse(*FUNDS)),
    Case("sendtoaddress", [OTHER_ADDRESS, 0.00009999], error=-6, says="too small", context=purse(*FUNDS)),
    Case("sendtoaddress", [OTHER_ADDRESS, 1], error=-4, says="disabled", context=purse(watching, watch_only=True)),
    Case("sendtoaddress", [OTHER_ADDRESS, 0.5], error=-4, says="Others have to sign", context=purse(shared)),
    Case("send", [{OTHER_ADDRESS: 0.5}], a_psbt, context=purse(shared)),
    Case("sendtoaddress", [BAD, 1], error=-5, context=purse(*FUNDS)),
    Case(
        "sendtoaddress", {"address": OTHER_ADDRESS, "amount": 1, "replaceable": True}, error=-8, context=purse(*FUNDS)
    ),
    Case("sendtoaddress", {"address": OTHER_ADDRESS, "amount": 1, "fee_rate": 99}, error=-8, context=purse(*FUNDS)),
    Case("sendtoaddress", {"address": OTHER_ADDRESS, "amount": 1, "conf_target": 0}, error=-8, context=purse(*FUNDS)),
    Case(
        "sendtoaddress",
        {"address": OTHER_ADDRESS, "amount": 1, "conf_target": 6, "fee_rate": 100},
        error=-8,
        context=purse(*FUNDS),
    ),
    Case(
        "sendtoaddress", {"address": OTHER_ADDRESS, "amount": 1, "estimate_mode": "x"}, error=-8, context=purse(*FUNDS)
    ),
    Case("sendmany", ["", {OTHER_ADDRESS: 1, SECOND: 0.5}], is_txid, context=purse(*FUNDS)),
    Case(
        "sendmany",
        {"amounts": {OTHER_ADDRESS: 1, SECOND: 0.5}, "subtractfeefrom": [SECOND], "verbose": True},
        lambda v: len(v["txid"]) == 64,
        context=purse(*FUNDS),
    ),
    Case("sendmany", ["account", {OTHER_ADDRESS: 1}], error=-3, context=purse(*FUNDS)),
    Case("sendmany", ["", {OTHER_ADDRESS: 0}], error=-3, context=purse(*FUNDS)),
    Case("sendmany", ["", {OTHER_ADDRESS: 0.00001}], error=-6, context=purse(*FUNDS)),
    Case("sendmany", ["", {OTHER_ADDRESS: 1}], error=-4, says="disabled", context=purse(watching, watch_only=True)),
    Case("sendmany", ["", {BAD: 1}], error=-5, context=purse(*FUNDS)),
    Case("sendmany", ["", {}], error=-8, context=purse(*FUNDS)),
    Case("sendmany", {"amounts": {OTHER_ADDRESS: 1}, "subtractfeefrom": [SECOND]}, error=-8, context=purse(*FUNDS)),
    Case(
        "sendmany",
        {"amounts": {OTHER_ADDRESS: 1}, "subtractfeefrom": [OTHER_ADDRESS] * 2},
        error=-8,
        context=purse(*FUNDS),
    ),
    Case("settxfee", [0.002], True, context=purse()),
    Case("settxfee", [0], True, context=purse()),
    Case("settxfee", ["x"], error=-3, context=purse()),
    Case("settxfee", [0.0005], error=-8, context=purse()),
    Case("bumpfee", ["11" * 32], error=-8, says="No transaction is replaced", context=purse()),
    Case("send", [{OTHER_ADDRESS: 0.5}], sent_result, context=purse(*FUNDS)),
    Case(
        "send",
        lambda n: [[{OTHER_ADDRESS: 0.5}], None, "unset", 150, {"inputs": [one_of(n)]}],
        sent_result,
        context=purse(*FUNDS),
    ),
    Case("send", {"outputs": {OTHER_ADDRESS: 0.5}, "add_to_wallet": False}, only_signed, context=purse(*FUNDS)),
    Case("send", {"outputs": {OTHER_ADDRESS: 0.5}, "psbt": True, "lock_unspents": True}, a_psbt, context=purse(*FUNDS)),
    Case("send", [{OTHER_ADDRESS: 0.5}], error=-4, says="change address", context=purse(watching, watch_only=True)),
    Case(
        "send",
        {"outputs": {OTHER_ADDRESS: 0.5}, "change_address": SECOND},
        a_psbt,
        context=purse(watching, watch_only=True),
    ),
    Case("send", [{OTHER_ADDRESS: "x"}], error=-3, context=purse(*FUNDS)),
    Case("send", [{OTHER_ADDRESS: 0.00001}], error=-4, context=purse(*FUNDS)),
    Case(
        "send",
        {"outputs": {OTHER_ADDRESS: 0.5}, "inputs": [{"txid": "11" * 32, "vout": 0}]},
        error=-4,
        context=purse(*FUNDS),
    ),
    Case("send", [{BAD: 1}], error=-5, context=purse(*FUNDS)),
    Case("send", [[]], error=-8, context=purse(*FUNDS)),
    Case("send", {"outputs": {OTHER_ADDRESS: 0.5}, "change_position": 5}, error=-8, context=purse(*FUNDS)),
    Case("send", [{OTHER_ADDRESS: 0.5}, None, "unset", 100, {"fee_rate": 100}], error=-8, context=purse(*FUNDS)),
    Case("sendall", [[OTHER_ADDRESS, {SECOND: 1}]], sent_result, context=purse(*FUNDS)),
    Case(
        "sendall",
        lambda n: {"recipients": [OTHER_ADDRESS], "inputs": [one_of(n)], "psbt": True},
        a_psbt,
        context=purse(*FUNDS),
    ),
    Case("sendall", [[OTHER_ADDRESS]], a_psbt, context=purse(watching, watch_only=True)),
    Case("sendall", [[OTHER_ADDRESS, {SECOND: "x"}]], error=-3, context=purse(*FUNDS)),
    Case("sendall", [[OTHER_ADDRESS, 7]], error=-3, context=purse(*FUNDS)),
    Case("sendall", [[OTHER_ADDRESS, {SECOND: 0.00001}]], error=-4, context=purse(*FUNDS)),
    Case("sendall", [[OTHER_ADDRESS, {SECOND: 2.9997}]], error=-6, says="dust", context=purse(*FUNDS)),
    Case("sendall", [[BAD]], error=-5, context=purse(*FUNDS)),
    Case("sendall", [[{OTHER_ADDRESS: 1}]], error=-8, context=purse(*FUNDS)),
    Case("sendall", [[OTHER_ADDRESS, OTHER_ADDRESS]], error=-8, context=purse(*FUNDS)),
    Case("sendall", {"recipients": [OTHER_ADDRESS], "replaceable": True}, error=-8, context=purse(*FUNDS)),
    Case("fundrawtransaction", [bare()], funded, context=purse(*FUNDS)),
    Case(
        "fundrawtransaction", lambda n: [*with_input(n), {"lockUnspents": True, "fee_rate": 300}], context=purse(*FUNDS)
    ),
    Case("fundrawtransaction", [bare(5_000)], error=-4, context=purse(*FUNDS)),
    Case("fundrawtransaction", [bare(), {"changeAddress": BAD}], error=-5, context=purse(*FUNDS)),
    Case("fundrawtransaction", [bare(4 * COIN)], error=-4, says="Insufficient", context=purse(*FUNDS)),
    Case("fundrawtransaction", [bare(), {"fee_rate": 1}], error=-8, context=purse(*FUNDS)),
    Case("fundrawtransaction", ["0200000000" + "00" * 5], error=-8, context=purse(*FUNDS)),
    Case("fundrawtransaction", ["zz"], error=-22, context=purse(*FUNDS)),
    Case("signrawtransactionwithwallet", drafted, lambda v: v["complete"], context=purse(*FUNDS)),
    Case("signrawtransactionwithwallet", [foreign()], incomplete, context=purse(*FUNDS)),
    Case("signrawtransactionwithwallet", [foreign(), [prevtx(amount=1)]], incomplete, context=purse(*FUNDS)),
    Case(
        "signrawtransactionwithwallet",
        lambda n: [*rival(n), None, "ALL", True],
        lambda v: v["complete"],
        context=purse(coins(), signed_away),
    ),
    Case("signrawtransactionwithwallet", [foreign(), [prevtx()]], error=-3, context=purse()),
    Case("signrawtransactionwithwallet", rival, error=-4, says="block", context=purse(coins(), signed_away)),
    Case("signrawtransactionwithwallet", lambda n: [*drafted(n), [], "NONE"], error=-8, context=purse(*FUNDS)),
    Case("signrawtransactionwithwallet", drafted, error=-10, context=purse(*FUNDS, lagging)),
    Case("signrawtransactionwithwallet", drafted, error=-13, context=purse(*FUNDS, locked)),
    Case("signrawtransactionwithwallet", ["00"], error=-22, context=purse()),
    Case("signrawtransactionwithwallet", coin_prevtx, error=-22, says="mismatch", context=purse(coins())),
    # Descriptors and scans
    Case("importdescriptors", request(PRIVATE, active=True, range=[0, 5], next_index=3), imported, context=purse()),
    Case("importdescriptors", request(PUBLIC, timestamp=0), imported, context=purse(watch_only=True), advance=1.0),
    Case("importdescriptors", request(PAIR, active=True, range=9), imported, context=purse(watch_only=True)),
    Case(
        "importdescriptors", request(with_checksum(MULTISIG), label="vault"), imported, context=purse(watch_only=True)
    ),
    Case("importdescriptors", request(PUBLIC), not_imported(-4), context=purse()),
    Case("importdescriptors", request(PRIVATE), not_imported(-4), context=purse(watch_only=True)),
    Case("importdescriptors", request(PRIVATE[:-8] + "qqqqqqqq"), not_imported(-5), context=purse()),
    Case("importdescriptors", request(PRIVATE, label="x"), not_imported(-8), context=purse()),
    Case("importdescriptors", request(PRIVATE, next_index=5_000), not_imported(-8), context=purse()),
    Case("importdescriptors", request(with_checksum(MULTISIG), active=True), not_imported(-8), context=purse()),
    Case("importdescriptors", request(with_checksum(MULTISIG), range=3), not_imported(-8), context=purse()),
    Case("importdescriptors", request(PRIVATE, timestamp="soon"), not_imported(-3), context=purse()),
    Case(
        "importdescriptors",
        request(PRIVATE, timestamp=0),
        error=-1,
        says="aborted",
        context=purse(aborted),
        advance=1.0,
    ),
    Case("importdescriptors", request(PRIVATE), error=-4, context=purse(scanning)),
    Case("importdescriptors", request(PRIVATE), error=-13, context=purse(locked)),
    Case("listdescriptors", [], descriptors(False), context=purse(locked)),
    Case("listdescriptors", [True], descriptors(True), context=purse(unlocked)),
    Case("listdescriptors", [True], error=-4, context=purse(watch_only=True)),
    Case("listdescriptors", [True], error=-13, context=purse(locked)),
    Case("rescanblockchain", [], {"start_height": 0, "stop_height": 0}, context=purse(), advance=1.0),
    Case(
        "rescanblockchain",
        [1, 2],
        {"start_height": 1, "stop_height": 2},
        context=purse(lambda made: [made.chain.block(made.chain.gift(OTHER)) for _ in range(3)]),
        advance=1.0,
    ),
    Case("rescanblockchain", [], error=-1, says="aborted", context=purse(aborted), advance=1.0),
    Case("rescanblockchain", [], error=-4, context=purse(scanning)),
    Case("rescanblockchain", [9], error=-8, context=purse()),
    Case("rescanblockchain", [0, 9], error=-8, context=purse()),
    Case("rescanblockchain", [1, 0], error=-8, context=purse(coins())),
    Case("abortrescan", [], False, context=purse()),
    Case("abortrescan", [], True, context=purse(scanning)),
]

_OF_ONE: dict[str, list[Any]] = {
    **PAYERS,
    "settxfee": [0],
    "fundrawtransaction": [bare()],
    "signrawtransactionwithwallet": [foreign()],
    "importdescriptors": [[]],
    "listdescriptors": [],
    "rescanblockchain": [],
    "abortrescan": [],
}
CASES += [Case(name, params, error=-18, context=nothing) for name, params in _OF_ONE.items()]
CASES += [Case(name, params, error=-19, context=two) for name, params in _OF_ONE.items()]

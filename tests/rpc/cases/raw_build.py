"""Cases of ``methods_raw_build``."""

from __future__ import annotations

from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.made import (
    BACKEND,
    FINAL,
    FUND_TXID,
    FUND_WIF,
    INPUT,
    KEYS,
    MAIN_ADDRESS,
    PAYMENT,
    SECRETS,
    VAULT,
    VAULT_ADDRESS,
    VAULT_PREVTX,
    VAULT_SCRIPT,
    VAULT_SPEND,
    WIFS,
)
from timecoin.ledger.coins import Coin
from timecoin.primitives.script import op_return
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_finalise import extract
from timecoin.wallet.raw_signing import NO_COIN, NO_KEY, TOO_FEW, sign_raw

SIGNED = extract(FINAL)
COMPLETE = {"hex": SIGNED.raw.hex(), "complete": True}
AMOUNT = f"{PAYMENT.outputs[0].value / 10**8:.8f}"


def made(value: str) -> Transaction:
    return Transaction.decode(bytes.fromhex(value))


def outputs_in_order(value: str) -> None:
    assert made(value).outputs == (TxOutput(0, op_return(b"\xab\xcd")), TxOutput(1_000_000, VAULT_SCRIPT)), value


def locked(value: str) -> None:
    tx = made(value)
    assert (tx.version, tx.lock_time, tx.inputs[0].sequence) == (1, 500, 0xFFFFFFFE), value


def half(value: dict[str, Any]) -> None:
    (error,) = value["errors"]
    assert not value["complete"] and error["error"] == TOO_FEW and len(error["witness"]) == 4, value


def failing(text: str) -> Any:
    def check(value: dict[str, Any]) -> None:
        assert not value["complete"] and [each["error"] for each in value["errors"]] == [text], value

    return check


def vault_part(number: int) -> str:
    coin = {PAYMENT.outpoint(0): PAYMENT.outputs[0]}
    key = KEYS[number]
    return sign_raw(VAULT_SPEND, coin, {VAULT_SCRIPT: VAULT}, {key: SECRETS[key]}, BACKEND).tx.raw.hex()


def with_vault(node: Any) -> None:
    node.coins[PAYMENT.outpoint(0)] = Coin(2, PAYMENT.outputs[0].value, VAULT_SCRIPT)


def create(*params: Any, error: int, says: str) -> list[Case]:
    """createpsbt complains in the same words."""
    return [Case(name, list(params), error=error, says=says) for name in ("createrawtransaction", "createpsbt")]


BOTH = {VAULT_ADDRESS: 1}

CASES = [
    Case("createrawtransaction", [[INPUT], {VAULT_ADDRESS: AMOUNT}], result=PAYMENT.raw.hex()),
    Case("createrawtransaction", {"inputs": [INPUT], "outputs": [{VAULT_ADDRESS: AMOUNT}]}, result=PAYMENT.raw.hex()),
    Case(
        "createrawtransaction",
        [[INPUT | {"amount": 5, "safe": True}], [{"data": "abcd"}, {VAULT_ADDRESS: 0.01}]],
        result=outputs_in_order,
    ),
    Case("createrawtransaction", [[INPUT], {VAULT_ADDRESS: 1}, 500, False, 1], result=locked),
    Case(
        "createrawtransaction",
        [[INPUT | {"sequence": 0}], {VAULT_ADDRESS: 1}],
        result=lambda value: made(value).inputs[0].sequence == 0,
    ),
    Case("createpsbt", [[INPUT], {VAULT_ADDRESS: AMOUNT}], result=Psbt.create(PAYMENT).text),
    Case("createpsbt", [[], {VAULT_ADDRESS: 1}], result=lambda text: Psbt.from_text(text).inputs == ()),
    *create([INPUT], {VAULT_ADDRESS: "x"}, error=-3, says="Invalid amount"),
    *create([{"vout": 0}], BOTH, error=-3, says="not of expected type string"),
    *create([INPUT], {MAIN_ADDRESS: 1}, error=-5, says=f"Invalid TimeCoin address: {MAIN_ADDRESS}"),
    *create([INPUT], {"1BoatSLRHtKNngkdXEeobR76b53LETtpyT": 1}, error=-5, says="Invalid TimeCoin address"),
    *create([{"txid": "ab", "vout": 0}], BOTH, error=-8, says="txid must be of length 64 (not 2, for 'ab')"),
    *create([{"txid": FUND_TXID}], BOTH, error=-8, says="missing vout key"),
    *create([INPUT | {"vout": -1}], BOTH, error=-8, says="vout cannot be negative"),
    *create([INPUT | {"vout": 2**32}], BOTH, error=-8, says="vout is out of range"),
    *create([INPUT | {"sequence": 2**32}], BOTH, error=-8, says="sequence number is out of range"),
    *create([INPUT], BOTH, -1, error=-8, says="locktime out of range"),
    *create([INPUT], BOTH, 0, True, error=-8, says="never replaces"),
    *create([INPUT], BOTH, 0, None, 3, error=-8, says="version out of range(1~2)"),
    *create([INPUT], {"data": "ab" * 521}, error=-8, says="data of 521 bytes"),
    *create([INPUT], {"data": "x"}, error=-8, says="Data must be hexadecimal string"),
    *create([INPUT], [BOTH, {VAULT_ADDRESS.upper(): 1}], error=-8, says="duplicated address"),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [FUND_WIF]], result=COMPLETE),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [FUND_WIF], [], "ALL"], result=COMPLETE),
    Case("signrawtransactionwithkey", [SIGNED.raw.hex(), []], result=COMPLETE),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), WIFS], result=failing(NO_KEY)),
    Case("signrawtransactionwithkey", [VAULT_SPEND.raw.hex(), WIFS], result=failing(NO_COIN)),
    Case("signrawtransactionwithkey", [VAULT_SPEND.raw.hex(), WIFS[:1], [VAULT_PREVTX]], result=half),
    Case(
        "signrawtransactionwithkey",
        [VAULT_SPEND.raw.hex(), WIFS[1:], [VAULT_PREVTX]],
        result=lambda value: value["complete"] and len(made(value["hex"]).inputs[0].witness) == 4,
    ),
    Case(
        "signrawtransactionwithkey",
        [VAULT_SPEND.raw.hex(), WIFS, [VAULT_PREVTX | {"amount": None}]],
        error=-3,
        says="Missing amount",
    ),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), ["secret"]], error=-5, says="Invalid private key"),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [], [], "NONE"], error=-8, says="signatures cover all"),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [], [], "SOME"], error=-8, says="'SOME' is not a valid"),
    Case(
        "signrawtransactionwithkey",
        [VAULT_SPEND.raw.hex(), WIFS, [VAULT_PREVTX | {"witnessScript": "51"}]],
        error=-8,
        says="does not match scriptPubKey",
    ),
    *create([INPUT] * 2_500, BOTH, error=-8, says="would have more than 100000 bytes"),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [FUND_WIF] * 1_001], error=-8, says="at most 1000"),
    Case("signrawtransactionwithkey", ["00" * 1_000_001, []], error=-22),
    Case("signrawtransactionwithkey", ["zz", []], error=-22, says="at least one input"),
    Case("signrawtransactionwithkey", [PAYMENT.raw.hex(), [], [{}]], error=-22, says="expected object"),
    Case(
        "signrawtransactionwithkey",
        [PAYMENT.raw.hex(), [], [VAULT_PREVTX | {"vout": -1}]],
        error=-22,
        says="vout cannot be negative",
    ),
    Case(
        "signrawtransactionwithkey",
        [PAYMENT.raw.hex(), [], [INPUT | {"scriptPubKey": "00"}]],
        error=-22,
        says="Previous output scriptPubKey mismatch",
    ),
    Case("combinerawtransaction", [[PAYMENT.raw.hex(), SIGNED.raw.hex()]], result=SIGNED.raw.hex()),
    Case(
        "combinerawtransaction",
        [[vault_part(0), vault_part(2)]],
        result=lambda value: all(made(value).inputs[0].witness[1:]),
        node=with_vault,
    ),
    Case("combinerawtransaction", [[PAYMENT.raw.hex(), VAULT_SPEND.raw.hex()]], error=-8, says="differ in more"),
    Case("combinerawtransaction", [[PAYMENT.raw.hex()] * 101], error=-8, says="at most 100"),
    Case("combinerawtransaction", [[]], error=-22, says="Missing transactions"),
    Case("combinerawtransaction", [[PAYMENT.raw.hex(), ""]], error=-22, says="TX decode failed for tx 1."),
    Case("combinerawtransaction", [[VAULT_SPEND.raw.hex()]], error=-25, says="Input not found or already spent"),
    Case("converttopsbt", [PAYMENT.raw.hex()], result=Psbt.create(PAYMENT).text),
    Case("converttopsbt", [SIGNED.raw.hex(), True], result=Psbt.create(PAYMENT).text),
    Case("converttopsbt", [SIGNED.raw.hex()], error=-22, says="must not have scriptSigs and scriptWitnesses"),
    Case("converttopsbt", ["00"], error=-22, says="TX decode failed"),
]

"""Cases of ``methods_psbt``; those of createpsbt stand with createrawtransaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.made import (
    CREATED,
    FEE,
    FINAL,
    FIRST,
    FUND,
    FUND_KEY,
    FUND_WIF,
    KEYS,
    PAYMENT,
    SIGNED,
    UPDATED,
    VAULT,
    VAULT_SPEND,
)
from timecoin.ledger.networks import DEVNET
from timecoin.primitives.hashes import hash160
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_analyse import Role
from timecoin.wallet.psbt_finalise import extract
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_update import ScriptFacts, describe_output

OTHER = Psbt.create(VAULT_SPEND)
LYING = UPDATED.with_input(0, replace(UPDATED.inputs[0], witness_utxo=TxOutput(1, b"")))
FULL = describe_output(
    replace(
        SIGNED,
        xpubs={bytes.fromhex("043587cf") + bytes(41) + KEYS[0]: KeyOrigin(b"abcd", (1,))},
        version=0,
        other={b"\xfc\x01a\x07k": b"v", b"\x50": b"u"},
    ),
    0,
    ScriptFacts(VAULT, {KEYS[0]: KeyOrigin(b"wxyz", (0x80000000, 5))}),
)
ODD = FULL.with_input(
    0, replace(FULL.inputs[0], sighash=0x83, redeem_script=b"\x51", final_script_sig=b"\x01\x05", other={b"\x60": b"y"})
)
DESCRIPTOR = Descriptor.parse(f"wpkh({FUND_KEY.hex()})", DEVNET).public_text
MULTI = f"wsh(multi(2,{','.join(key.hex() for key in KEYS)}))"


def shows_all(value: dict[str, Any]) -> None:
    given, known, (out,) = FULL.inputs[0], value["inputs"][0], value["outputs"]
    assert value["fee"] * 10**8 == FEE and value["psbt_version"] == 0
    assert value["global_xpubs"][0]["xpub"].startswith("tpub") and value["global_xpubs"][0]["path"] == "m/1"
    assert value["proprietary"] == [{"identifier": "61", "subtype": 7, "key": "6b", "value": "76"}]
    assert value["unknown"] == {"50": "75"}
    assert known["partial_signatures"] == {FUND_KEY.hex(): given.partial_signatures[FUND_KEY].hex()}
    assert known["witness_utxo"]["amount"] * 10**8 == FUND.amount
    assert known["non_witness_utxo"]["txid"] == FIRST.txid[::-1].hex()
    assert out["witness_script"]["type"] == "multisig" and out["witness_script"]["asm"].startswith("2 0")
    assert out["bip32_derivs"] == [{"pubkey": KEYS[0].hex(), "master_fingerprint": "7778797a", "path": "m/0h/5"}]


def shows_odd(value: dict[str, Any]) -> None:
    known = value["inputs"][0]
    assert known["sighash"] == "SINGLE|ANYONECANPAY" and known["redeem_script"]["asm"] == "1"
    assert known["final_scriptSig"] == {"asm": "5", "hex": "0105"} and known["unknown"] == {"60": "79"}


def is_updated(text: str) -> None:
    found = Psbt.from_text(text)
    assert found.inputs[0].derivations == {FUND_KEY: KeyOrigin(hash160(FUND_KEY)[:4])}, found
    assert found.inputs[0].non_witness_utxo == FIRST and found.inputs[0].witness_utxo == FIRST.outputs[FUND.vout]
    assert found.outputs[0].witness_script == VAULT and set(found.outputs[0].derivations) == set(KEYS)


def joined(text: str) -> None:
    found = Psbt.from_text(text)
    assert len(found.tx.inputs) == 2 and len(found.tx.outputs) == 2
    assert not any(each.partial_signatures for each in found.inputs)


def analysed(role: Role, **members: Any) -> Any:
    def check(value: dict[str, Any]) -> None:
        assert value["next"] == role.name.lower(), value
        for name, expected in members.items():
            assert value["inputs"][0].get(name) == expected, value

    return check


def bad(name: str, *rest: Any) -> list[Case]:
    texts = ("x", "", "cHNidP8=", CREATED.text[:-4])
    return [Case(name, [text, *rest], error=-22, says="TX decode failed") for text in texts]


WHOLE = {"psbt": FINAL.text, "complete": True, "hex": extract(FINAL).raw.hex()}
HUGE = Psbt.create(Transaction(2, PAYMENT.inputs, PAYMENT.outputs * 2_400))
VERSION_0 = Psbt.create(Transaction(0, PAYMENT.inputs, PAYMENT.outputs))
HASH = hash160(FUND_KEY).hex()

CASES = [
    Case("decodepsbt", [FULL.text], result=shows_all),
    Case("decodepsbt", [ODD.text], result=shows_odd),
    Case("decodepsbt", [FINAL.text], result=lambda value: len(value["inputs"][0]["final_scriptwitness"]) == 2),
    Case("decodepsbt", [CREATED.text], result=lambda value: value["inputs"] == [{}] and "fee" not in value),
    Case("decodepsbt", [LYING.text], result=lambda value: "fee" not in value),
    *bad("decodepsbt"),
    Case("decodepsbt", [HUGE.text], error=-22, says="larger than the ledger takes"),
    Case("combinepsbt", [[CREATED.text, SIGNED.text, UPDATED.text]], result=SIGNED.text),
    Case("combinepsbt", [[]], error=-8, says="Parameter 'txs' cannot be empty"),
    Case("combinepsbt", [[CREATED.text, OTHER.text]], error=-8, says="PSBTs not compatible (different transactions)"),
    Case("combinepsbt", [[UPDATED.text, LYING.text]], error=-8, says="contradict"),
    Case("combinepsbt", [[CREATED.text] * 101], error=-8, says="at most 100"),
    Case("combinepsbt", [[CREATED.text, "x"]], error=-22, says="TX decode failed"),
    Case("joinpsbts", [[SIGNED.text, OTHER.text]], result=joined),
    Case("joinpsbts", [[SIGNED.text]], error=-8, says="At least two PSBTs are required to join PSBTs."),
    Case("joinpsbts", [[SIGNED.text, CREATED.text]], error=-8, says="exists in multiple PSBTs"),
    Case("joinpsbts", [["", ""]], error=-22, says="TX decode failed"),
    Case("finalizepsbt", [SIGNED.text], result={"hex": extract(FINAL).raw.hex(), "complete": True}),
    Case("finalizepsbt", [FINAL.text], result={"hex": extract(FINAL).raw.hex(), "complete": True}),
    Case("finalizepsbt", [SIGNED.text, False], result={"psbt": FINAL.text, "complete": True}),
    Case("finalizepsbt", [UPDATED.text], result={"psbt": UPDATED.text, "complete": False}),
    Case("finalizepsbt", [CREATED.text], result={"psbt": CREATED.text, "complete": False}),
    *bad("finalizepsbt"),
    Case("analyzepsbt", [CREATED.text], result=analysed(Role.UPDATER, has_utxo=False)),
    Case("analyzepsbt", [UPDATED.text], result=analysed(Role.UPDATER, missing={"pubkeys": [HASH]})),
    Case("analyzepsbt", [SIGNED.text], result=analysed(Role.FINALIZER, has_utxo=True, is_final=False)),
    Case("analyzepsbt", [FINAL.text], result=analysed(Role.EXTRACTOR, is_final=True)),
    Case(
        "analyzepsbt",
        [FINAL.text],
        result=lambda value: value["fee"] * 10**8 == FEE and value["estimated_vsize"] == extract(FINAL).vsize,
    ),
    Case("analyzepsbt", [LYING.text], result=lambda value: value["next"] == "creator" and "error" in value),
    *bad("analyzepsbt"),
    Case("utxoupdatepsbt", [CREATED.text], result=UPDATED.text),
    Case("utxoupdatepsbt", [CREATED.text, [DESCRIPTOR, {"desc": MULTI, "range": 7}]], result=is_updated),
    Case("utxoupdatepsbt", [OTHER.text], result=OTHER.text),
    Case("utxoupdatepsbt", [LYING.text], result=UPDATED.text),
    Case("utxoupdatepsbt", [FINAL.text], result=FINAL.text),
    Case(
        "utxoupdatepsbt",
        [CREATED.text],
        node=lambda node: setattr(node, "base", 1),
        result=lambda text: Psbt.from_text(text).inputs[0] == replace(UPDATED.inputs[0], non_witness_utxo=None),
    ),
    Case("utxoupdatepsbt", [CREATED.text, ["wpkh()"]], error=-5),
    Case("utxoupdatepsbt", [CREATED.text, [{"desc": DESCRIPTOR, "range": [3, 1]}]], error=-8, says="begin after end"),
    Case("utxoupdatepsbt", [CREATED.text, [{"range": 1}]], error=-8, says="Descriptor needs to be provided"),
    Case("utxoupdatepsbt", [CREATED.text, [DESCRIPTOR] * 21], error=-8, says="at most 20"),
    *bad("utxoupdatepsbt"),
    Case("descriptorprocesspsbt", [CREATED.text, [f"wpkh({FUND_WIF})"]], result=WHOLE),
    Case("descriptorprocesspsbt", [UPDATED.text, [f"wpkh({FUND_WIF})"], "ALL", False], result=WHOLE),
    Case(
        "descriptorprocesspsbt",
        [UPDATED.text, [f"wpkh({FUND_WIF})"], "ALL", False, False],
        result={"psbt": SIGNED.text, "complete": True},
    ),
    Case(
        "descriptorprocesspsbt",
        [UPDATED.text, [DESCRIPTOR]],
        result=lambda value: not value["complete"] and Psbt.from_text(value["psbt"]).inputs[0].derivations != {},
    ),
    Case("descriptorprocesspsbt", [CREATED.text, ["wpkh(x)"]], error=-5),
    Case("descriptorprocesspsbt", [CREATED.text, [], "NONE"], error=-8),
    Case("descriptorprocesspsbt", [CREATED.text, [{"desc": DESCRIPTOR, "range": "x"}]], error=-3),
    Case("descriptorprocesspsbt", [VERSION_0.text, [f"wpkh({FUND_WIF})"]], error=-22, says="version 0"),
    *bad("descriptorprocesspsbt", []),
]

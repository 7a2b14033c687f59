"""PSBTs as the JSON that Bitcoin Core would show for them; pure, any thread."""

from __future__ import annotations

from collections.abc import Mapping

from embit import base58

from timecoin.ledger.networks import Network
from timecoin.primitives.script import classify, parse_multisig
from timecoin.rpc.asm import disassemble
from timecoin.rpc.codec import amount
from timecoin.rpc.render import decoded_json, script_json
from timecoin.rpc.results_psbt import (
    AnalyzedInput,
    AnalyzedPsbt,
    Bip32Derivation,
    DecodedPsbt,
    GlobalXpub,
    Missing,
    Proprietary,
    PsbtInputShown,
    PsbtOutputShown,
    PsbtScript,
)
from timecoin.wallet.psbt import Psbt, PsbtInput, PsbtOutput
from timecoin.wallet.psbt_analyse import Analysis, InputState
from timecoin.wallet.psbt_errors import PsbtRefused
from timecoin.wallet.psbt_fields import PROPRIETARY, split_proprietary
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_spending import fee

_SIGHASHES = {1: "ALL", 2: "NONE", 3: "SINGLE"}
_ANYONE = 0x80


def psbt_json(psbt: Psbt, network: Network) -> DecodedPsbt:
    """All of a PSBT, as decodepsbt shows it."""
    shown: DecodedPsbt = {
        "tx": decoded_json(psbt.tx, network.hrp),
        "global_xpubs": [_xpub_json(key, origin) for key, origin in psbt.xpubs.items()],
        "psbt_version": psbt.version or 0,
        "proprietary": _proprietary(psbt.other),
        "unknown": _unknown(psbt.other),
        "inputs": [_input_json(each, network.hrp) for each in psbt.inputs],
        "outputs": [_output_json(each) for each in psbt.outputs],
    }
    try:
        left = fee(psbt)
    except PsbtRefused:
        left = None
    if left is not None and psbt.inputs:
        shown["fee"] = amount(left)
    return shown


def _xpub_json(key: bytes, origin: KeyOrigin) -> GlobalXpub:
    text: str = base58.encode_check(key)
    return {"xpub": text, "master_fingerprint": origin.fingerprint.hex(), "path": origin.shown}


def _input_json(known: PsbtInput, hrp: str) -> PsbtInputShown:
    shown: PsbtInputShown = {}
    if known.non_witness_utxo is not None:
        shown["non_witness_utxo"] = decoded_json(known.non_witness_utxo, hrp)
    if (coin := known.witness_utxo) is not None:
        shown["witness_utxo"] = {"amount": amount(coin.value), "scriptPubKey": script_json(coin.script, hrp)}
    if known.partial_signatures:
        shown["partial_signatures"] = {key.hex(): item.hex() for key, item in known.partial_signatures.items()}
    if known.sighash is not None:
        shown["sighash"] = _sighash(known.sighash)
    _add_scripts(shown, known)
    if known.final_script_sig is not None:
        shown["final_scriptSig"] = {"asm": disassemble(known.final_script_sig), "hex": known.final_script_sig.hex()}
    if known.final_witness is not None:
        shown["final_scriptwitness"] = [item.hex() for item in known.final_witness]
    _add_others(shown, known.other)
    return shown


def _output_json(known: PsbtOutput) -> PsbtOutputShown:
    shown: PsbtOutputShown = {}
    _add_scripts(shown, known)
    _add_others(shown, known.other)
    return shown


def _add_scripts(shown: PsbtInputShown | PsbtOutputShown, known: PsbtInput | PsbtOutput) -> None:
    if known.redeem_script is not None:
        shown["redeem_script"] = _script_json(known.redeem_script)
    if known.witness_script is not None:
        shown["witness_script"] = _script_json(known.witness_script)
    if known.derivations:
        shown["bip32_derivs"] = [_derivation(key, origin) for key, origin in known.derivations.items()]


def _add_others(shown: PsbtInputShown | PsbtOutputShown, other: Mapping[bytes, bytes]) -> None:
    if proprietary := _proprietary(other):
        shown["proprietary"] = proprietary
    if unknown := _unknown(other):
        shown["unknown"] = unknown


def script_type(script: bytes) -> str:
    """What Core calls a script; multisig is told although it is none of an output here."""
    if parse_multisig(script) is not None:
        return "multisig"
    return classify(script).value


def _script_json(script: bytes) -> PsbtScript:
    return {"asm": disassemble(script), "hex": script.hex(), "type": script_type(script)}


def _derivation(key: bytes, origin: KeyOrigin) -> Bip32Derivation:
    return {"pubkey": key.hex(), "master_fingerprint": origin.fingerprint.hex(), "path": origin.shown}


def _sighash(kind: int) -> str:
    name = _SIGHASHES.get(kind & ~_ANYONE, "")
    return name and name + ("|ANYONECANPAY" if kind & _ANYONE else "")


def _proprietary(other: Mapping[bytes, bytes]) -> list[Proprietary]:
    found: list[Proprietary] = []
    for key, value in other.items():
        if key[0] == PROPRIETARY:
            identifier, subtype, rest = split_proprietary(key)
            found.append({"identifier": identifier.hex(), "subtype": subtype, "key": rest.hex(), "value": value.hex()})
    return found


def _unknown(other: Mapping[bytes, bytes]) -> dict[str, str]:
    return {key.hex(): value.hex() for key, value in other.items() if key[0] != PROPRIETARY}


def analysis_json(found: Analysis) -> AnalyzedPsbt:
    """As analyzepsbt shows it."""
    shown: AnalyzedPsbt = {"next": found.next.name.lower()}
    if found.inputs:
        shown["inputs"] = [_state_json(each) for each in found.inputs]
    if found.vsize is not None:
        shown["estimated_vsize"] = found.vsize
    if found.vsize is not None and found.fee is not None:
        shown["estimated_feerate"] = amount(found.fee * 1000 // found.vsize)
    if found.fee is not None:
        shown["fee"] = amount(found.fee)
    if found.error is not None:
        shown["error"] = found.error
    return shown


def _state_json(state: InputState) -> AnalyzedInput:
    shown: AnalyzedInput = {"has_utxo": state.has_coin, "is_final": state.is_final, "next": state.next.name.lower()}
    missing: Missing = {}
    if state.missing_keys:
        missing["pubkeys"] = [each.hex() for each in state.missing_keys]
    if state.missing_signatures:
        missing["signatures"] = [each.hex() for each in state.missing_signatures]
    if state.missing_script is not None:
        missing["witnessscript"] = state.missing_script.hex()
    if missing:
        shown["missing"] = missing
    return shown

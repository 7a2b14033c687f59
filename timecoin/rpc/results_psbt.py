"""What results say of PSBTs: Bitcoin Core's members."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from timecoin.rpc.codec import Amount, HexText
from timecoin.rpc.results_tx import DecodedTransaction, ScriptPubKey, ScriptSig


class GlobalXpub(TypedDict):
    """An extended public key that takes part, and where it comes from."""

    xpub: str
    master_fingerprint: HexText
    path: str


class Proprietary(TypedDict):
    """A pair for somebody's own use (type 0xfc)."""

    identifier: HexText
    subtype: int
    key: HexText
    value: HexText


class PsbtScript(TypedDict):
    """A redeem or witness script."""

    asm: str
    hex: HexText
    type: str


class Bip32Derivation(TypedDict):
    """A public key that takes part, and where it comes from."""

    pubkey: HexText
    master_fingerprint: HexText
    path: str


class WitnessUtxo(TypedDict):
    """The output that an input spends."""

    amount: Amount
    scriptPubKey: ScriptPubKey


class PsbtInputShown(TypedDict):
    """What is known of an input."""

    non_witness_utxo: NotRequired[DecodedTransaction]
    witness_utxo: NotRequired[WitnessUtxo]
    partial_signatures: NotRequired[dict[str, HexText]]
    sighash: NotRequired[str]
    redeem_script: NotRequired[PsbtScript]
    witness_script: NotRequired[PsbtScript]
    bip32_derivs: NotRequired[list[Bip32Derivation]]
    final_scriptSig: NotRequired[ScriptSig]
    final_scriptwitness: NotRequired[list[HexText]]
    proprietary: NotRequired[list[Proprietary]]
    unknown: NotRequired[dict[str, HexText]]


class PsbtOutputShown(TypedDict):
    """What is known of an output."""

    redeem_script: NotRequired[PsbtScript]
    witness_script: NotRequired[PsbtScript]
    bip32_derivs: NotRequired[list[Bip32Derivation]]
    proprietary: NotRequired[list[Proprietary]]
    unknown: NotRequired[dict[str, HexText]]


class DecodedPsbt(TypedDict):
    """A PSBT, decoded; ``fee`` once every coin is in it."""

    tx: DecodedTransaction
    global_xpubs: list[GlobalXpub]
    psbt_version: int
    proprietary: list[Proprietary]
    unknown: dict[str, HexText]
    inputs: list[PsbtInputShown]
    outputs: list[PsbtOutputShown]
    fee: NotRequired[Amount]


class FinalizedPsbt(TypedDict):
    """``psbt`` while it is not complete or was not to be extracted, otherwise ``hex`` of the transaction."""

    psbt: NotRequired[str]
    hex: NotRequired[HexText]
    complete: bool


class ProcessedPsbt(TypedDict):
    """``hex``: the transaction, once it is complete."""

    psbt: str
    complete: bool
    hex: NotRequired[HexText]


class Missing(TypedDict):
    """What an input lacks: hashes of public keys (20 bytes), of keys whose signatures are missing, of scripts."""

    pubkeys: NotRequired[list[HexText]]
    signatures: NotRequired[list[HexText]]
    redeemscript: NotRequired[HexText]
    witnessscript: NotRequired[HexText]


class AnalyzedInput(TypedDict):
    """An input: whether its coin is in the PSBT, whether it is final, what it lacks and who is next."""

    has_utxo: bool
    is_final: bool
    missing: NotRequired[Missing]
    next: NotRequired[str]


class AnalyzedPsbt(TypedDict):
    """The inputs, and who is next; size in vbytes, fee in TIME, fee rate in TIME per 1,000 vbytes when they can be
    told; ``error`` when it can never become valid."""

    inputs: NotRequired[list[AnalyzedInput]]
    estimated_vsize: NotRequired[int]
    estimated_feerate: NotRequired[Amount]
    fee: NotRequired[Amount]
    next: str
    error: NotRequired[str]

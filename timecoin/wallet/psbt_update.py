"""The updater of BIP 174: coins, scripts and origins of keys go into a PSBT.

Coins always go in twice, as ``non_witness_utxo``, which proves the amount, and as ``witness_utxo``, without which some
signers do not see that the input has a witness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from timecoin.primitives.hashes import display, sha256
from timecoin.primitives.script import Kind, classify, program
from timecoin.primitives.transaction import Transaction, TxOutput, split_outpoint
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_errors import PsbtRefused
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_spending import stated_coin


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """What is known of one output script: the witness script of a P2WSH, origins by public key."""

    witness_script: bytes | None = None
    derivations: Mapping[bytes, KeyOrigin] = field(default_factory=dict)


def add_previous(psbt: Psbt, index: int, previous: Transaction) -> Psbt:
    """Input ``index`` spends an output of ``previous``; ``PsbtRefused`` when that is not so."""
    txid, n = split_outpoint(psbt.tx.inputs[index].outpoint)
    if previous.txid != txid:
        raise PsbtRefused(index, f"spends an output of {display(txid)}, not of {display(previous.txid)}")
    if n >= len(previous.outputs):
        raise PsbtRefused(index, f"the previous transaction has no output {n}")
    coin = previous.outputs[n]
    if program(coin.script) is None:
        raise PsbtRefused(index, "the coin's script is not one of this ledger")
    return psbt.with_input(index, replace(psbt.inputs[index], non_witness_utxo=previous, witness_utxo=coin))


def add_coin(psbt: Psbt, index: int, coin: TxOutput) -> Psbt:
    """Input ``index`` spends ``coin``, whose transaction is not at hand: some signers will not sign it."""
    return psbt.with_input(index, replace(psbt.inputs[index], witness_utxo=coin))


def describe_input(psbt: Psbt, index: int, facts: ScriptFacts) -> Psbt:
    """Add what is known of the coin of input ``index``, which has to be named in there; ``PsbtRefused``."""
    known = psbt.inputs[index]
    coin = stated_coin(psbt, index)
    if coin is None:
        raise PsbtRefused(index, "it is not said which coin is spent")
    _check_script(index, coin.script, facts.witness_script)
    origins = {**known.derivations, **facts.derivations}
    script = facts.witness_script or known.witness_script
    return psbt.with_input(index, replace(known, witness_script=script, derivations=origins))


def describe_output(psbt: Psbt, index: int, facts: ScriptFacts) -> Psbt:
    """Add what is known of output ``index``, so that a signer can tell change; ``PsbtRefused``."""
    known = psbt.outputs[index]
    _check_script(index, psbt.tx.outputs[index].script, facts.witness_script)
    origins = {**known.derivations, **facts.derivations}
    script = facts.witness_script or known.witness_script
    return psbt.with_output(index, replace(known, witness_script=script, derivations=origins))


def _check_script(index: int, script: bytes, witness_script: bytes | None) -> None:
    if witness_script is None:
        return
    if classify(script) is not Kind.P2WSH or sha256(witness_script) != script[2:]:
        raise PsbtRefused(index, "the witness script is not that of the output script")

"""Signing and merging transactions outside of PSBTs: what signrawtransactionwithkey and combinerawtransaction do.

A multisig witness that lacks signatures holds those that are there, in the order of their keys, and empty items for
the rest, as Bitcoin Core writes it; so half-signed transactions can be handed on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.wallet.psbt_errors import PsbtRefused
from timecoin.wallet.psbt_spending import Keys, Spending, need_of, signature_holds

NO_COIN = "Input not found or already spent"
NO_KEY = "Unable to sign input, invalid stack size (possibly missing key)"
TOO_FEW = "CHECK(MULTI)SIG failing with non-zero signature (possibly need more signatures)"


class Problem(NamedTuple):
    """The input at ``place`` is not completely signed, and why."""

    place: int
    text: str


class Signed(NamedTuple):
    """A transaction with what could be signed of it; complete when there are no ``problems``."""

    tx: Transaction
    problems: tuple[Problem, ...]


def sign_raw(
    tx: Transaction,
    coins: Mapping[OutPoint, TxOutput],
    witness_scripts: Mapping[bytes, bytes],
    secrets: Mapping[bytes, bytes],
    backend: SignatureBackend,
) -> Signed:
    """Add to ``tx`` the signatures that ``secrets`` (by public key) make; what it has already and holds stays.

    ``coins`` are what its inputs spend, as far as known; ``witness_scripts`` by output script. Amounts are believed: a
    false one makes a signature that the ledger does not take.
    """
    return merge_raw([tx], coins, witness_scripts, secrets, backend)


def merge_raw(
    versions: Sequence[Transaction],
    coins: Mapping[OutPoint, TxOutput],
    witness_scripts: Mapping[bytes, bytes],
    secrets: Mapping[bytes, bytes],
    backend: SignatureBackend,
) -> Signed:
    """One transaction with the signatures of all ``versions``, which differ in witnesses only, and of ``secrets``."""
    first = versions[0]
    hasher, ours = Bip143(first), Keys(secrets)
    inputs: list[TxInput] = []
    problems: list[Problem] = []
    for index, spent in enumerate(first.inputs):
        witnesses = [each.inputs[index].witness for each in versions]
        coin = coins.get(spent.outpoint)
        if coin is None:
            found, problem = _longest(witnesses), NO_COIN
        else:
            script = witness_scripts.get(coin.script) or _script_in(witnesses)
            found, problem = _witness(index, coin, script, witnesses, hasher, (ours, secrets), backend)
        inputs.append(spent._replace(witness=found))
        problems += [Problem(index, problem)] if problem else []
    return Signed(Transaction(first.version, tuple(inputs), first.outputs, first.lock_time), tuple(problems))


def _longest(witnesses: Sequence[tuple[bytes, ...]]) -> tuple[bytes, ...]:
    return max(witnesses, key=len)


def _script_in(witnesses: Sequence[tuple[bytes, ...]]) -> bytes | None:
    """The script at the end of a multisig witness, whose first item is empty."""
    return next((each[-1] for each in witnesses if len(each) > 2 and not each[0]), None)


def _witness(
    index: int,
    coin: TxOutput,
    script: bytes | None,
    witnesses: Sequence[tuple[bytes, ...]],
    hasher: Bip143,
    held: tuple[Keys, Mapping[bytes, bytes]],
    backend: SignatureBackend,
) -> tuple[tuple[bytes, ...], str]:
    """The witness and the problem with it, empty when it suffices."""
    try:
        need = need_of(index, coin, script)
    except PsbtRefused as refused:
        return _longest(witnesses), NO_KEY if script is None else refused.reason
    digest = hasher.digest(index, need.script_code, coin.value)
    by_key = _signatures(need, witnesses, digest, backend)
    ours, secrets = held
    by_key |= {key: join_signature(backend.sign(secrets[key], digest)) for key in ours.wanted(need)}
    if not by_key:
        return (), NO_KEY
    if need.key_hash is not None:
        key, item = next(iter(by_key.items()))
        return (item, key), ""
    items = [by_key[key] for key in need.keys if key in by_key][: need.required]
    lacking = need.required - len(items)
    return (b"", *items, *(b"",) * lacking, need.script_code), TOO_FEW if lacking else ""


def _signatures(
    need: Spending, witnesses: Sequence[tuple[bytes, ...]], digest: bytes, backend: SignatureBackend
) -> dict[bytes, bytes]:
    """Signatures in the witnesses that hold, by the key that made them."""
    found: dict[bytes, bytes] = {}
    for items in witnesses:
        keys = items[1:2] if need.key_hash is not None else need.keys
        for item in items[:1] if need.key_hash is not None else items[1:-1]:
            for key in keys:
                if key not in found and need.wants(key) and signature_holds(key, digest, item, backend):
                    found[key] = item
                    break
    return found

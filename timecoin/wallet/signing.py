"""Signatures over the inputs of a transaction, by the keys at hand: P2WPKH and P2WSH multisig, SIGHASH_ALL only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import Kind, classify, p2wpkh_script_code, parse_multisig
from timecoin.primitives.sighash import Bip143, join_signature, split_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction

__all__ = ["Spent", "sign_inputs"]


class Spent(NamedTuple):
    """The coin of an input: ``value`` in base units; ``witness_script`` of a P2WSH one, if it is known."""

    value: int
    script: bytes
    witness_script: bytes | None = None


def sign_inputs(
    tx: Transaction, coins: Mapping[int, Spent], secrets: Mapping[bytes, bytes], backend: SignatureBackend
) -> tuple[Transaction, dict[int, str]]:
    """``tx`` with witnesses for the inputs in ``coins`` that ``secrets`` (by public key) can complete.

    Witnesses that are there stay; signatures of a multisig that are there count. The second value says for each input
    of ``coins`` that is not complete what is missing.
    """
    digests, inputs, missing = Bip143(tx), list(tx.inputs), dict[int, str]()
    for index, coin in coins.items():
        digest = digests.digest(index, _script_code(coin), coin.value)
        witness = _witness(coin, digest, inputs[index].witness, secrets, backend)
        if isinstance(witness, str):
            missing[index] = witness
        else:
            inputs[index] = inputs[index]._replace(witness=witness)
    return Transaction(tx.version, tuple(inputs), tx.outputs, tx.lock_time), missing


def _script_code(coin: Spent) -> bytes:
    if classify(coin.script) is Kind.P2WPKH:
        return p2wpkh_script_code(coin.script[2:])
    return coin.witness_script or b""


def _witness(
    coin: Spent, digest: bytes, present: tuple[bytes, ...], secrets: Mapping[bytes, bytes], backend: SignatureBackend
) -> tuple[bytes, ...] | str:
    if classify(coin.script) is Kind.P2WPKH:
        return _single(coin, digest, present, secrets, backend)
    parsed = parse_multisig(coin.witness_script or b"")
    if parsed is None or sha256(coin.witness_script or b"") != coin.script[2:]:
        return "Unable to sign input, the witness script is not known"
    return _several(coin, parsed, digest, present, secrets, backend)


def _single(
    coin: Spent, digest: bytes, present: tuple[bytes, ...], secrets: Mapping[bytes, bytes], backend: SignatureBackend
) -> tuple[bytes, ...] | str:
    for key, secret in secrets.items():
        if hash160(key) == coin.script[2:]:
            return join_signature(backend.sign(secret, digest)), key
    if (
        len(present) == 2
        and hash160(present[1]) == coin.script[2:]
        and _verifies(present[0], present[1], digest, backend)
    ):
        return present
    return "Unable to sign input, missing key"


def _several(
    coin: Spent,
    parsed: tuple[int, tuple[bytes, ...]],
    digest: bytes,
    present: tuple[bytes, ...],
    secrets: Mapping[bytes, bytes],
    backend: SignatureBackend,
) -> tuple[bytes, ...] | str:
    required, keys = parsed
    signatures: list[bytes] = []
    for key in keys:
        given = [item for item in present[1:-1] if _verifies(item, key, digest, backend)]
        if given:
            signatures.append(given[0])
        elif key in secrets:
            signatures.append(join_signature(backend.sign(secrets[key], digest)))
    if len(signatures) < required:
        return f"Unable to sign input, {len(signatures)} of {required} signatures are here: use a PSBT"
    return (b"", *signatures[:required], coin.witness_script or b"")


def _verifies(item: bytes, key: bytes, digest: bytes, backend: SignatureBackend) -> bool:
    der = split_signature(item)
    return der is not None and backend.verify(key, digest, der)

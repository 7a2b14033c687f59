"""The signer of BIP 174, for the ledger's two kinds of coins and SIGHASH_ALL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.wallet.psbt import Psbt, PsbtInput
from timecoin.wallet.psbt_errors import PsbtError, PsbtRefused
from timecoin.wallet.psbt_spending import Keys, spending

Secrets: TypeAlias = Mapping[bytes, bytes]
"""Secrets (32 bytes) by public key (33 bytes)."""

Refusals: TypeAlias = Callable[[PsbtRefused], None]

VERSIONS = (1, 2)


def sign(psbt: Psbt, secrets: Secrets, backend: SignatureBackend, indexes: Collection[int] | None = None) -> Psbt:
    """Add the signatures that ``secrets`` can make to the inputs ``indexes`` (all that are not final by default).

    An input that none of the keys can sign is left as it is. Raises ``PsbtRefused`` for one that has to be refused
    before it is looked at who signs it (an amount that is not proven, a hash type other than ALL, scripts that do not
    fit) if it is among ``indexes``; inputs that were not asked for by number are then left out. Nothing is signed
    of a transaction with a version that the ledger does not have, such as that of a BIP 322 message.
    """
    check_version(psbt)
    hasher, ours = Bip143(psbt.tx), Keys(secrets)
    wanted = range(len(psbt.inputs)) if indexes is None else sorted(indexes)
    for index in wanted:
        if psbt.inputs[index].is_final:
            continue
        try:
            need = spending(psbt, index)
        except PsbtRefused:
            if indexes is None:
                continue
            raise
        digest = hasher.digest(index, need.script_code, need.coin.value)
        made = {key: join_signature(backend.sign(secrets[key], digest)) for key in ours.wanted(need)}
        psbt = psbt.with_input(index, _with_signatures(psbt.inputs[index], made))
    return psbt


def check_version(psbt: Psbt) -> None:
    """``PsbtError`` for a transaction with a version that the ledger does not have, such as that of a message."""
    if psbt.tx.version not in VERSIONS:
        raise PsbtError(f"a transaction of version {psbt.tx.version} is none of this ledger")


def signable(psbt: Psbt, keys: Collection[bytes]) -> list[int]:
    """The inputs that :func:`sign` would sign with ``keys``: not final and not refused."""
    found, ours = [], Keys(keys)
    for index, known in enumerate(psbt.inputs):
        try:
            need = None if known.is_final else spending(psbt, index)
        except PsbtRefused:
            continue
        if need is not None and ours.wanted(need):
            found.append(index)
    return found


def _with_signatures(known: PsbtInput, made: dict[bytes, bytes]) -> PsbtInput:
    return replace(known, partial_signatures={**known.partial_signatures, **made})

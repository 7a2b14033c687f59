"""The signer of BIP 174, for the ledger's two kinds of coins and SIGHASH_ALL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_errors import PsbtError, PsbtRefused
from timecoin.wallet.psbt_spending import Spending, spending

Secrets: TypeAlias = Mapping[bytes, bytes]
"""Secrets (32 bytes) by public key (33 bytes)."""

Refusals: TypeAlias = Callable[[PsbtRefused], None]

_VERSIONS = (1, 2)


def sign(psbt: Psbt, secrets: Secrets, backend: SignatureBackend, indexes: Collection[int] | None = None) -> Psbt:
    """Add the signatures that ``secrets`` can make to the inputs ``indexes`` (all that are not final by default).

    An input that none of the keys can sign is left as it is. Raises ``PsbtRefused`` for one that has to be refused
    before it is looked at who signs it (an amount that is not proven, a hash type other than ALL, scripts that do not
    fit) if it is among ``indexes``; inputs that were not asked for by number are then left out. Nothing is signed
    of a transaction with a version that the ledger does not have, such as that of a BIP 322 message.
    """
    if psbt.tx.version not in _VERSIONS:
        raise PsbtError(f"a transaction of version {psbt.tx.version} is none of this ledger")
    hasher = Bip143(psbt.tx)
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
        psbt = _sign_input(psbt, index, need, hasher, secrets, backend)
    return psbt


def signable(psbt: Psbt, keys: Collection[bytes]) -> list[int]:
    """The inputs that ``keys`` would sign: not final, not refused, a signature of theirs missing."""
    found = []
    for index, known in enumerate(psbt.inputs):
        try:
            need = None if known.is_final else spending(psbt, index)
        except PsbtRefused:
            continue
        if need is not None and any(need.wants(key) and key not in known.partial_signatures for key in keys):
            found.append(index)
    return found


def _sign_input(
    psbt: Psbt, index: int, need: Spending, hasher: Bip143, secrets: Secrets, backend: SignatureBackend
) -> Psbt:
    digest = hasher.digest(index, need.script_code, need.coin.value)
    made = {key: join_signature(backend.sign(secret, digest)) for key, secret in secrets.items() if need.wants(key)}
    known = psbt.inputs[index]
    return psbt.with_input(index, replace(known, partial_signatures={**known.partial_signatures, **made}))

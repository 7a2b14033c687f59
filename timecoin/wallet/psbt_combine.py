"""The combiner of BIP 174 (one transaction, several signers) and joining (several transactions become one)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from timecoin.primitives.hashes import display
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction, split_outpoint
from timecoin.wallet import psbt_fields as fields
from timecoin.wallet.psbt import Psbt, PsbtInput, PsbtOutput
from timecoin.wallet.psbt_errors import PsbtMismatch, PsbtRefused
from timecoin.wallet.psbt_maps import Pairs
from timecoin.wallet.psbt_spending import signature_holds, spending

_STRICT_INPUT: Final = frozenset(
    (fields.IN_WITNESS_UTXO, fields.IN_SIGHASH, fields.IN_REDEEM_SCRIPT, fields.IN_WITNESS_SCRIPT)
)
_STRICT_OUTPUT: Final = frozenset((fields.OUT_REDEEM_SCRIPT, fields.OUT_WITNESS_SCRIPT))


def combine(psbts: Sequence[Psbt], backend: SignatureBackend | None = None) -> Psbt:
    """One PSBT with everything that any of ``psbts`` knows.

    Of two signatures by one key the first that holds is kept, so that nobody can put a false one in the place of
    another's true one; without a ``backend``, or where it cannot be told, the first.

    Raises :class:`~timecoin.wallet.psbt_errors.PsbtMismatch` without any, when their transactions differ, or when
    they contradict each other about a coin, a script or the hash type.
    """
    if not psbts:
        raise PsbtMismatch("nothing to combine")
    first = psbts[0]
    if any(each.tx.stripped != first.tx.stripped for each in psbts):
        raise PsbtMismatch("PSBTs not compatible (different transactions)")
    known = _merged([each.pairs() for each in psbts], frozenset())
    inputs = [_merged([each.pairs() for each in column], _STRICT_INPUT) for column in _columns(psbts, "inputs")]
    outputs = [_merged([each.pairs() for each in column], _STRICT_OUTPUT) for column in _columns(psbts, "outputs")]
    made = Psbt.of(known, inputs, outputs)
    return made if backend is None else _with_true_signatures(made, psbts, backend)


def _with_true_signatures(made: Psbt, psbts: Sequence[Psbt], backend: SignatureBackend) -> Psbt:
    hasher = Bip143(made.tx)
    for index, known in enumerate(made.inputs):
        told = [each.inputs[index].partial_signatures for each in psbts]
        rivals = {key for each in told for key, item in each.items() if known.partial_signatures.get(key) != item}
        if rivals:
            with suppress(PsbtRefused):
                need = spending(made, index, proven=False)
                digest = hasher.digest(index, need.script_code, need.coin.value)
                better = {key: _first_true(key, told, digest, backend) for key in sorted(rivals)}
                kept = {**known.partial_signatures, **{key: item for key, item in better.items() if item is not None}}
                made = made.with_input(index, replace(known, partial_signatures=kept))
    return made


def _first_true(
    key: bytes, told: Sequence[Mapping[bytes, bytes]], digest: bytes, backend: SignatureBackend
) -> bytes | None:
    items = [each[key] for each in told if key in each]
    return next((item for item in items if signature_holds(key, digest, item, backend)), None)


def _columns(psbts: Sequence[Psbt], name: str) -> zip[tuple[Any, ...]]:
    return zip(*(getattr(each, name) for each in psbts), strict=True)


def _merged(all_pairs: Sequence[Pairs], strict: frozenset[int]) -> Pairs:
    made: Pairs = {}
    for pairs in all_pairs:
        for key, value in pairs.items():
            if made.setdefault(key, value) != value and key[0] in strict:
                raise PsbtMismatch(f"PSBTs contradict each other in field {key[0]:#04x}")
    return made


def join(psbts: Sequence[Psbt], shuffle: Callable[[list[Any]], object]) -> Psbt:
    """One PSBT with the inputs and outputs of all ``psbts``, shuffled, without their signatures.

    The version is the highest, the lock time the lowest (as Core's joinpsbts does it). Raises ``PsbtMismatch`` for
    fewer than two, for an input that two of them spend, and for more than one OP_RETURN output.
    """
    if len(psbts) < 2:
        raise PsbtMismatch("At least two PSBTs are required to join PSBTs.")
    ins = [
        (spent, _unsigned(known)) for each in psbts for spent, known in zip(each.tx.inputs, each.inputs, strict=True)
    ]
    outs = [pair for each in psbts for pair in zip(each.tx.outputs, each.outputs, strict=True)]
    _check_distinct([spent.outpoint for spent, _ in ins])
    if sum(classify(paid.script) is Kind.OP_RETURN for paid, _ in outs) > 1:
        raise PsbtMismatch("a transaction carries one OP_RETURN output at most")
    shuffle(ins)
    shuffle(outs)
    version, lock_time = max(each.tx.version for each in psbts), min(each.tx.lock_time for each in psbts)
    tx = Transaction(version, tuple([spent for spent, _ in ins]), tuple([paid for paid, _ in outs]), lock_time)
    known_outputs: tuple[PsbtOutput, ...] = tuple([known for _, known in outs])
    xpubs = {key: origin for each in reversed(psbts) for key, origin in each.xpubs.items()}
    other = {key: value for each in reversed(psbts) for key, value in each.other.items()}
    return Psbt(tx, tuple([known for _, known in ins]), known_outputs, xpubs, psbts[0].version, other)


def _unsigned(known: PsbtInput) -> PsbtInput:
    return replace(known, partial_signatures={}, final_script_sig=None, final_witness=None)


def _check_distinct(outpoints: list[bytes]) -> None:
    seen: set[bytes] = set()
    for outpoint in outpoints:
        if outpoint in seen:
            txid, n = split_outpoint(outpoint)
            raise PsbtMismatch(f"Input {display(txid)}:{n} exists in multiple PSBTs")
        seen.add(outpoint)

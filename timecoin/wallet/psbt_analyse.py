"""What a PSBT still needs and who is next, in the terms of Core's analyzepsbt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt import Psbt, PsbtInput
from timecoin.wallet.psbt_errors import PsbtRefused
from timecoin.wallet.psbt_finalise import counting, valid_signatures
from timecoin.wallet.psbt_spending import Spending, fee, spending, stated_coin

_DUMMY_SIGNATURE = bytes(72)
_DUMMY_KEY = bytes(33)


class Role(IntEnum):
    """Who is next, in the order of the work."""

    CREATOR = 0
    UPDATER = 1
    SIGNER = 2
    FINALIZER = 3
    EXTRACTOR = 4


@dataclass(frozen=True, slots=True)
class InputState:
    """One input: ``missing_keys`` and ``missing_signatures`` are key hashes (20 bytes), ``missing_script`` the program
    (32 bytes) of a P2WSH whose witness script is not there; ``problem`` says why it can never be signed here."""

    has_coin: bool
    is_final: bool
    next: Role
    missing_keys: tuple[bytes, ...] = ()
    missing_signatures: tuple[bytes, ...] = ()
    missing_script: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """All inputs, who is next, the fee (base units) when every coin is known, the size in vbytes once it can be
    foreseen, and ``error`` when the PSBT can never become a valid transaction."""

    inputs: tuple[InputState, ...]
    next: Role
    fee: int | None = None
    vsize: int | None = None
    error: str | None = None


def analyse(psbt: Psbt, backend: SignatureBackend, max_money: int) -> Analysis:
    """Look at ``psbt``; ``max_money`` bounds amounts (base units)."""
    try:
        coins = [stated_coin(psbt, index) for index in range(len(psbt.inputs))]
    except PsbtRefused as problem:
        return _hopeless(str(problem))
    if (error := _wrong_amounts(psbt, coins, max_money)) is not None:
        return _hopeless(error)
    hasher = Bip143(psbt.tx)
    states = tuple([_state(psbt, index, hasher, backend) for index in range(len(psbt.inputs))])
    bad = next((n for n, each in enumerate(states) if each.problem is not None), None)
    if bad is not None:
        return _hopeless(f"PSBT is not valid. Input {bad}: {states[bad].problem}")
    role = min((each.next for each in states), default=Role.EXTRACTOR)
    return Analysis(states, role, fee(psbt), _vsize(psbt))


def _hopeless(error: str) -> Analysis:
    return Analysis((), Role.CREATOR, error=f"{'' if error.startswith('PSBT') else 'PSBT is not valid. '}{error}")


def _wrong_amounts(psbt: Psbt, coins: list[TxOutput | None], max_money: int) -> str | None:
    for index, coin in enumerate(coins):
        if coin is not None and coin.value > max_money:
            return f"PSBT is not valid. Input {index} has invalid value"
        if coin is not None and classify(coin.script) is Kind.OP_RETURN:
            return f"PSBT is not valid. Input {index} spends unspendable output"
    if sum(each.value for each in psbt.tx.outputs) > max_money:
        return "PSBT is not valid. Output amount invalid"
    left = fee(psbt)
    return "PSBT is not valid. Output amount exceeds input amount" if left is not None and left < 0 else None


def _state(psbt: Psbt, index: int, hasher: Bip143, backend: SignatureBackend) -> InputState:
    known = psbt.inputs[index]
    coin = stated_coin(psbt, index)
    if known.is_final:
        return InputState(coin is not None, True, Role.EXTRACTOR)
    if coin is None:
        return InputState(False, False, Role.UPDATER)
    if classify(coin.script) is Kind.P2WSH and known.witness_script is None:
        return InputState(True, False, Role.UPDATER, missing_script=coin.script[2:])
    try:
        need = spending(psbt, index, proven=False)
    except PsbtRefused as problem:
        return InputState(True, False, Role.UPDATER, problem=problem.reason)
    held = valid_signatures(known, need, hasher.digest(index, need.script_code, need.coin.value), backend)
    if len(held if need.key_hash is not None else counting(need, held)) >= need.required:
        return InputState(True, False, Role.FINALIZER)
    return _lacking(known, need, held)


def _lacking(known: PsbtInput, need: Spending, held: dict[bytes, bytes]) -> InputState:
    if need.key_hash is None:
        unsigned = tuple([hash160(key) for key in need.keys if key not in held])
        return InputState(True, False, Role.SIGNER, missing_signatures=unsigned)
    if any(need.wants(key) for key in (*known.derivations, *known.partial_signatures)):
        return InputState(True, False, Role.SIGNER, missing_signatures=(need.key_hash,))
    return InputState(True, False, Role.UPDATER, missing_keys=(need.key_hash,))


def _vsize(psbt: Psbt) -> int | None:
    """The size of the signed transaction, with signatures of the usual length."""
    spent = []
    for index, (bare, known) in enumerate(zip(psbt.tx.inputs, psbt.inputs, strict=True)):
        try:
            items = known.final_witness or _dummy_witness(spending(psbt, index, proven=False))
        except PsbtRefused:
            return None
        spent.append(bare._replace(witness=items))
    return Transaction(psbt.tx.version, tuple(spent), psbt.tx.outputs, psbt.tx.lock_time).vsize


def _dummy_witness(need: Spending) -> tuple[bytes, ...]:
    if need.key_hash is not None:
        return _DUMMY_SIGNATURE, _DUMMY_KEY
    return b"", *(_DUMMY_SIGNATURE,) * need.required, need.script_code

"""Coins, keys and PSBTs that the tests of PSBTs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import multisig, p2wpkh, p2wsh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_update import ScriptFacts, add_previous, describe_input

BACKEND = get_backend()
COIN = 10**8
VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "bip174.json").read_text())


def secret(n: int) -> bytes:
    return sha256(b"psbt test key %d" % n)


def public(n: int) -> bytes:
    return BACKEND.public_key(secret(n))


def key_script(n: int) -> bytes:
    return p2wpkh(hash160(public(n)))


#: Two of three.
VAULT_KEYS = sorted((1, 2, 3), key=public)
VAULT = multisig(2, [public(n) for n in VAULT_KEYS])
VAULT_SCRIPT = p2wsh(sha256(VAULT))


def previous(*outputs: TxOutput, n: int = 0) -> Transaction:
    """Some transaction that pays to these outputs, with a witness as real ones have."""
    spent = TxInput(make_outpoint(sha256(b"older %d" % n), n), witness=(b"\x30" * 71, b"\x02" * 33))
    return Transaction(2, (spent,), outputs)


FIRST = previous(TxOutput(3 * COIN, key_script(0)), TxOutput(5 * COIN, VAULT_SCRIPT))
FEE = 20_000


def spend(*coins: tuple[Transaction, int], pay: bytes = key_script(9), fee: int = FEE, **other: int) -> Psbt:
    """A PSBT that spends coins into one output; nothing else is known."""
    value = sum(tx.outputs[n].value for tx, n in coins) - fee
    inputs = tuple(TxInput(tx.outpoint(n), **other) for tx, n in coins)
    return Psbt.create(Transaction(2, inputs, (TxOutput(value, pay),)))


def ready() -> Psbt:
    """Spends a coin of key 0 and one of the vault; everything but signatures is in there."""
    psbt = spend((FIRST, 0), (FIRST, 1))
    psbt = add_previous(add_previous(psbt, 0, FIRST), 1, FIRST)
    return describe_input(psbt, 1, ScriptFacts(VAULT))


def secrets(*numbers: int) -> dict[bytes, bytes]:
    return {public(n): secret(n) for n in numbers}


def coins_of(psbt: Psbt) -> list[Coin]:
    """The coins as a ledger would hold them."""
    found = [each.witness_utxo for each in psbt.inputs]
    return [Coin(2, coin.value, coin.script) for coin in found if coin is not None]

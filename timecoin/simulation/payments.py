"""Signed transactions of simulated users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.simulation.keys import Key

FEE = 100_000
"""Always enough for small transactions, in base units."""
NO_LOCK = 0xFFFF_FFFF


class Owned(NamedTuple):
    """A P2WPKH coin and whose it is; ``value`` in base units."""

    outpoint: OutPoint
    value: int
    owner: Key


def spend(
    coins: Sequence[Owned], outputs: Sequence[TxOutput], lock_time: int = 0, sequence: int = NO_LOCK
) -> Transaction:
    """A signed transaction with exactly these inputs and outputs; what is left over is its fee. ``lock_time`` counts
    when ``sequence`` is not :data:`NO_LOCK`."""
    inputs = tuple([TxInput(coin.outpoint, sequence=sequence) for coin in coins])
    bare = Transaction(2, inputs, tuple(outputs), lock_time)
    hasher = Bip143(bare)
    signed = [
        txin._replace(witness=coin.owner.witness(hasher, index, coin.value))
        for index, (txin, coin) in enumerate(zip(bare.inputs, coins, strict=True))
    ]
    return Transaction(2, tuple(signed), bare.outputs, lock_time)


def pay(coin: Owned, payee: Key, value: int) -> tuple[Transaction, Owned]:
    """A payment of ``value`` from one coin, and its change: that goes back to the coin's owner."""
    change = coin.value - value - FEE
    tx = spend([coin], [TxOutput(value, payee.script), TxOutput(change, coin.owner.script)])
    return tx, Owned(tx.outpoint(1), change, coin.owner)


def genesis_coins(genesis: Genesis, owners: Sequence[Key]) -> list[Owned]:
    """The first coin that each of the owners has in block 0."""
    made = first_block(genesis).block.transactions[0]
    by_script: dict[bytes, tuple[int, int]] = {}
    for index, output in enumerate(made.outputs):
        by_script.setdefault(output.script, (index, output.value))
    found = [(by_script[owner.script], owner) for owner in owners]
    return [Owned(made.outpoint(index), value, owner) for (index, value), owner in found]

"""Real signed payments made beforehand: chains from many coins, so that any number of payments needs few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction

AMOUNT = 20_000
FEE_RATE = 100
_CHANGE = 1


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment and the number of the coin that its chain began with."""

    tx: Transaction
    chain: int


def make_payments(coins: Sequence[OwnedCoin], count: int, script: bytes) -> list[Payment]:
    """``count`` payments, one after the other from each of ``coins`` in turn; each spends the change of the one
    before."""
    backend = get_backend()
    current = list(coins)
    payments = []
    for number in range(count):
        chain = number % len(current)
        coin = current[chain]
        tx = make_payment(coin, script, AMOUNT, FEE_RATE, backend)
        payments.append(Payment(tx, chain))
        current[chain] = OwnedCoin(tx.outpoint(_CHANGE), tx.outputs[_CHANGE].value, coin.secret)
    return payments

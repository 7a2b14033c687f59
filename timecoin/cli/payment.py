"""A payment made by hand: one coin with a known secret, to one address, the rest back."""

from __future__ import annotations

from dataclasses import dataclass

from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import p2wpkh, p2wpkh_script_code
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput

#: vbytes of a payment with one P2WPKH input and two P2WPKH outputs, its signature one byte longer than usual.
PAYMENT_VBYTES = 142


@dataclass(frozen=True, slots=True)
class OwnedCoin:
    """A P2WPKH coin and the 32-byte secret that spends it; ``value`` in base units."""

    outpoint: OutPoint
    value: int
    secret: bytes


def make_payment(
    coin: OwnedCoin, script: bytes, amount: int, fee_rate: int, backend: SignatureBackend
) -> Transaction:
    """A signed payment of ``amount`` to ``script``; the change goes back to the coin's key.

    ``fee_rate`` is in base units per vbyte. ValueError when the coin is too small.
    """
    key = backend.public_key(coin.secret)
    own_hash = hash160(key)
    change = coin.value - amount - fee_rate * PAYMENT_VBYTES
    if amount <= 0 or change < 0:
        raise ValueError("the coin is too small for the amount and the fee")
    outputs = (TxOutput(amount, script), TxOutput(change, p2wpkh(own_hash)))
    unsigned = Transaction(2, (TxInput(coin.outpoint),), outputs)
    digest = Bip143(unsigned).digest(0, p2wpkh_script_code(own_hash), coin.value)
    witness = (join_signature(backend.sign(coin.secret, digest)), key)
    return Transaction(2, (TxInput(coin.outpoint, witness=witness),), outputs)

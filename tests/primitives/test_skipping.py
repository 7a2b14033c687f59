"""Transactions picked out of blocks without decoding the others."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import Chain, account, network
from timecoin.primitives import skipping
from timecoin.primitives.amounts import COIN
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.skipping import pick
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput


class SkippingTests(SynchronousTestCase):
    def test_every_position(self) -> None:
        chain = Chain(network(1, accounts=5))
        block = chain.assemble([chain.payment(account(n), account(0), COIN) for n in range(5)]).block
        raw = block.encode()
        for positions in ((0,), (5,), (1, 4), (4, 1, 1), tuple(range(6))):
            picked = pick(raw, positions)
            self.assertEqual(picked, {n: block.transactions[n] for n in positions})

    def test_positions_that_are_not_there(self) -> None:
        raw = Chain(network(1)).assemble().block.encode()
        for position in (1, -1, 2**40):
            with self.assertRaises(DecodeError):
                pick(raw, (position,))

    def test_long_parts(self) -> None:
        inputs = (TxInput(36 * b"\1", b"", 5, (b"x" * 300, b"", b"y" * 70_000)), TxInput(36 * b"\2", b"z" * 253, 5, ()))
        for tx in (
            Transaction(2, inputs, tuple(TxOutput(1, b"\x6a" + b"q" * 300) for _ in range(300)), 9),
            Transaction(1, (TxInput(36 * b"\1", b"", 5, ()),), (TxOutput(1, b"\0"),), 0),
        ):
            self.assertEqual(skipping.skip(b"abc" + tx.raw + b"def", 3), 3 + len(tx.raw))

"""Transactions with the coins they spend, and what a block of them changes in the UTXO set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timecoin.ledger.coins import UNARCHIVED, Coin, CoinDelta
from timecoin.ledger.errors import (
    BadTransaction,
    BadTxOrder,
    DoubleSpend,
    DuplicateTransaction,
    MissingInputs,
)
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import OutPoint, Transaction

_OP_RETURN = 0x6A


class BlockTx(NamedTuple):
    """A valid transaction, the coins of its inputs in their order, and its fee in base units.

    The coin of an output that the chain holds carries its true code. That of a parent not yet archived
    carries ``UNARCHIVED`` or the next height's code, so that a block without that parent is seen to lack
    it.
    """

    tx: Transaction
    coins: tuple[Coin, ...]
    fee: int


class Changes(NamedTuple):
    """The coins that enter the UTXO set, payments' first, and those that leave it, by outpoint."""

    made: dict[OutPoint, Coin]
    gone: dict[OutPoint, Coin]

    @property
    def delta(self) -> CoinDelta:
        """The same, as storage takes it."""
        return CoinDelta(self.made, tuple(self.gone))


def in_block_order(txs: Sequence[BlockTx]) -> list[BlockTx]:
    """Return ``txs`` by ascending txid as displayed, the order in which they stand after the coinbase."""
    return sorted(txs, key=lambda item: item.tx.txid[::-1])


def check_order(txs: Sequence[BlockTx]) -> None:
    """Raise ``DuplicateTransaction`` or ``BadTxOrder`` unless the txids of ``txs`` strictly ascend."""
    last = b""
    for item in txs:
        shown = item.tx.txid[::-1]
        if shown <= last:
            raise DuplicateTransaction(shown.hex()) if shown == last else BadTxOrder(shown.hex())
        last = shown


def changes(height: int, coinbase: Transaction, txs: Sequence[BlockTx]) -> Changes:
    """Return what the block of ``coinbase`` and ``txs`` changes: outputs are added, then inputs removed.

    Raises ``DoubleSpend`` when two transactions spend one outpoint, ``BadTransaction`` when one spends an
    output that is neither in the chain nor made by ``txs``; outputs of the coinbase can be spent from the
    next block.
    """
    made: dict[OutPoint, Coin] = {}
    first_code = 2 * height
    for item in txs:
        _add_outputs(made, item.tx, first_code)
    gone: dict[OutPoint, Coin] = {}
    spent: set[OutPoint] = set()
    for item in txs:
        for txin, coin in zip(item.tx.inputs, item.coins, strict=True):
            outpoint = txin.outpoint
            if outpoint in spent:
                raise DoubleSpend(outpoint.hex())
            spent.add(outpoint)
            if made.pop(outpoint, None) is None:
                if coin.code == UNARCHIVED or coin.code >= first_code:
                    raise BadTransaction(display(item.tx.txid), MissingInputs(outpoint.hex()))
                gone[outpoint] = coin
    _add_outputs(made, coinbase, first_code + 1)
    return Changes(made, gone)


def _add_outputs(made: dict[OutPoint, Coin], tx: Transaction, code: int) -> None:
    txid = tx.txid
    for index, (value, script) in enumerate(tx.outputs):
        if script[0] != _OP_RETURN:
            made[txid + index.to_bytes(4, "little")] = Coin(code, value, script)

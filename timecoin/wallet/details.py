"""One transaction from the owner's side: what came in, what went out, what was paid in fees (Core's categories)."""

from __future__ import annotations

from dataclasses import dataclass

from timecoin.primitives.transaction import TxOutput
from timecoin.wallet.coins import Coin
from timecoin.wallet.history import History
from timecoin.wallet.records import Record

__all__ = ["Entry", "Flow", "entries", "flow"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of listtransactions: ``category`` send, receive or generate; ``amount`` in base units, negative for
    what was sent; ``index`` of the output, ``script`` its receiver."""

    category: str
    amount: int
    index: int
    script: bytes


@dataclass(frozen=True, slots=True)
class Flow:
    """``debit``: the wallet's coins that it spends; ``credit``: those that it makes; base units. ``fee``: what it paid,
    known only when every input is the wallet's. ``watched``: only coins that are watched take part."""

    debit: int
    credit: int
    fee: int | None
    watched: bool

    @property
    def net(self) -> int:
        """What it changed in the balance, the fee apart: Core's ``amount`` of gettransaction."""
        return self.credit - self.debit + (self.fee or 0)


def _spent(history: History, record: Record) -> list[Coin | None]:
    return [history.coin(outpoint) for outpoint in record.tx.outpoints()]


def _made(history: History, record: Record) -> list[Coin | None]:
    return [history.coin(record.tx.outpoint(n)) for n in range(len(record.tx.outputs))]


def flow(history: History, record: Record) -> Flow:
    """What the transaction moved."""
    spent, made = _spent(history, record), _made(history, record)
    debit = sum(coin.value for coin in spent if coin is not None)
    credit = sum(coin.value for coin in made if coin is not None)
    all_known = all(coin is not None for coin in spent)
    fee = debit - sum(output.value for output in record.tx.outputs) if all_known else None
    own = [coin for coin in (*spent, *made) if coin is not None]
    return Flow(debit, credit, fee, watched=not any(coin.owned.spendable for coin in own))


def entries(history: History, record: Record, *, with_change: bool = False) -> list[Entry]:
    """The lines of a transaction: first what was sent, then what was received, each in the order of the outputs.

    Change is left out when the wallet paid, as in Core, unless asked for.
    """
    made = _made(history, record)
    paid = any(coin is not None for coin in _spent(history, record))
    outputs = list(enumerate(zip(record.tx.outputs, made, strict=True)))
    shown = [
        (n, output, coin)
        for n, (output, coin) in outputs
        if with_change or not (paid and coin is not None and coin.owned.change)
    ]
    sent = [Entry("send", -output.value, n, output.script) for n, output, _ in shown] if paid else []
    category = "generate" if record.tx.is_coinbase else "receive"
    return sent + [_received(category, n, output) for n, output, coin in shown if coin is not None]


def _received(category: str, index: int, output: TxOutput) -> Entry:
    return Entry(category, output.value, index, output.script)

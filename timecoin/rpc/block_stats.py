"""The figures of ``getblockstats``: of one block and the coins that it spends; pure, any thread.

Every figure is defined as Bitcoin Core's: amounts in base units, fee rates in base units per vbyte rounded down,
the coinbase counted in ``txs`` and ``outs`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from timecoin.primitives.block import Block
from timecoin.primitives.codec import compact_size
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.render import Coins, fee_of
from timecoin.rpc.results_chain import BlockStats

#: Core's estimate of what an unspent output takes besides its serialisation: outpoint, height and coinbase bit.
_PER_COIN: Final = 36 + 4 + 1
_WITNESS_SCALE: Final = 4
_PERCENTILES: Final = (10, 25, 50, 75, 90)
_OP_RETURN: Final = 0x6A
NAMES: Final = tuple(BlockStats.__annotations__)


class _Rated(NamedTuple):
    """A transaction's fee, fee rate and weight."""

    fee: int
    rate: int
    weight: int


def truncated_median(values: Sequence[int]) -> int:
    """The middle value; of an even number the mean of both, rounded down; 0 of none."""
    if not values:
        return 0
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def percentiles_by_weight(rates: Sequence[tuple[int, int]], total: int) -> list[int]:
    """The rates at 10, 25, 50, 75 and 90 % of ``total`` weight, of (rate, weight) each."""
    found: list[int] = []
    passed = 0
    for rate, weight in sorted(rates):
        passed += weight
        while len(found) < len(_PERCENTILES) and 100 * passed >= _PERCENTILES[len(found)] * total:
            found.append(rate)
    last = max(rates)[0] if rates else 0
    return found + [last] * (len(_PERCENTILES) - len(found))


def _coin_size(output: TxOutput) -> int:
    return 8 + len(compact_size(len(output.script))) + len(output.script) + _PER_COIN


def _rated(payments: Sequence[Transaction], coins: Coins) -> list[_Rated]:
    """Fees of the payments; KeyError when a coin is not known."""
    found = []
    for tx in payments:
        fee = fee_of(tx, coins)
        if fee is None:
            raise KeyError(display(tx.txid))
        found.append(_Rated(fee, fee * _WITNESS_SCALE // tx.weight, tx.weight))
    return found


def block_stats(block: Block, coins: Coins, subsidy: int, median_time: int) -> BlockStats:
    """All figures of a block. ``coins``: those that its transactions spend; KeyError when one is missing."""
    header, payments = block.header, block.transactions[1:]
    stats: BlockStats = {
        "blockhash": display(header.hash),
        "height": header.height,
        "mediantime": median_time,
        "subsidy": subsidy,
        "time": header.slot_time,
        "txs": len(block.transactions),
    }
    stats.update(_fee_figures(_rated(payments, coins)))
    stats.update(_size_figures(payments))
    stats.update(_coin_figures(block.transactions, coins))
    return stats


def _fee_figures(rated: Sequence[_Rated]) -> BlockStats:
    fees, rates = [each.fee for each in rated], [each.rate for each in rated]
    total, weight = sum(fees), sum(each.weight for each in rated)
    return {
        "avgfee": total // len(fees) if fees else 0,
        "avgfeerate": total * _WITNESS_SCALE // weight if weight else 0,
        "feerate_percentiles": percentiles_by_weight([(each.rate, each.weight) for each in rated], weight),
        "maxfee": max(fees, default=0),
        "maxfeerate": max(rates, default=0),
        "medianfee": truncated_median(fees),
        "minfee": min(fees, default=0),
        "minfeerate": min(rates, default=0),
        "totalfee": total,
    }


def _size_figures(payments: Sequence[Transaction]) -> BlockStats:
    sizes = [tx.size for tx in payments]
    segwit = [tx for tx in payments if tx.has_witness]
    return {
        "avgtxsize": sum(sizes) // len(sizes) if sizes else 0,
        "maxtxsize": max(sizes, default=0),
        "mediantxsize": truncated_median(sizes),
        "mintxsize": min(sizes, default=0),
        "swtotal_size": sum(tx.size for tx in segwit),
        "swtotal_weight": sum(tx.weight for tx in segwit),
        "swtxs": len(segwit),
        "total_size": sum(sizes),
        "total_weight": sum(tx.weight for tx in payments),
    }


def _coin_figures(transactions: Sequence[Transaction], coins: Coins) -> BlockStats:
    payments = transactions[1:]
    outputs = [output for tx in transactions for output in tx.outputs]
    kept = [output for output in outputs if output.script[0] != _OP_RETURN]
    spent = [TxOutput(coin.value, coin.script) for coin in (coins[o] for tx in payments for o in tx.outpoints())]
    gone = sum(_coin_size(each) for each in spent)
    return {
        "ins": len(spent),
        "outs": len(outputs),
        "total_out": sum(output.value for tx in payments for output in tx.outputs),
        "utxo_increase": len(outputs) - len(spent),
        "utxo_increase_actual": len(kept) - len(spent),
        "utxo_size_inc": sum(_coin_size(each) for each in outputs) - gone,
        "utxo_size_inc_actual": sum(_coin_size(each) for each in kept) - gone,
    }

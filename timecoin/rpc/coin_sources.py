"""Coins and the transactions that made them, out of the chain and the pool, for methods that build and sign."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput, split_outpoint
from timecoin.rpc.facade import BlockPruned
from timecoin.rpc.table import Context


def coin_of(context: Context, outpoint: OutPoint) -> TxOutput | None:
    """The output at ``outpoint`` if the chain holds it unspent or a transaction of the pool makes it.

    That the pool spends it makes no difference: a coin may be signed for again.
    """
    coin = context.node.coin(outpoint, include_mempool=False)
    if coin is not None:
        return TxOutput(coin.value, coin.script)
    txid, n = split_outpoint(outpoint)
    entry = context.node.pool_entry(txid)
    return entry.tx.outputs[n] if entry is not None and n < len(entry.tx.outputs) else None


async def coins_of(context: Context, tx: Transaction) -> dict[OutPoint, TxOutput]:
    """The coins that ``tx`` spends, as far as they are there; looked up in slices."""
    outpoints = tx.outpoints()
    found = await context.sliced(coin_of(context, outpoint) for outpoint in outpoints)
    return {outpoint: coin for outpoint, coin in zip(outpoints, found, strict=True) if coin is not None}


async def previous_of(context: Context, txids: Iterable[Hash]) -> dict[Hash, Transaction]:
    """The transactions with these txids, of the pool or archived; without those that are not here (any more)."""
    found: dict[Hash, Transaction] = {}
    by_height: dict[int, list[tuple[Hash, int]]] = {}
    for txid in dict.fromkeys(txids):
        entry, place = context.node.pool_entry(txid), context.node.location(txid)
        if entry is not None:
            found[txid] = entry.tx
        elif place is not None:
            by_height.setdefault(place[0], []).append((txid, place[1]))
    for height, wanted in by_height.items():
        try:
            block = await context.node.block_at(height)
        except BlockPruned:
            continue
        found |= {txid: block.transactions[position] for txid, position in wanted}
    return found

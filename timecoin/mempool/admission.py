"""From a decoded transaction to one with coins, fee and signature checks (protocol.md 2, R1, R4, R5)."""

from __future__ import annotations

from typing import NamedTuple

from timecoin.ledger import errors
from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.validation import check_inputs, check_transaction
from timecoin.ledger.witness import Check, signature_checks
from timecoin.mempool.chainview import ChainView
from timecoin.mempool.entry import Entry
from timecoin.mempool.errors import AlreadyKnown, MissingParents, RivalFinal
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction

_OP_RETURN = 0x6A
_TXID = slice(32)
_FROM_PARENT = 0


class Inputs(NamedTuple):
    """The coins of a transaction's inputs, in order, and the entries in the pool that made some of them."""

    coins: tuple[Coin, ...]
    parents: tuple[Entry, ...]


class Prepared(NamedTuple):
    """A transaction valid but for ``checks``, which the caller verifies before it admits it.

    ``fee`` in base units; ``parents`` are txids of unarchived parents; ``version`` tells whether the pool and
    the chain have changed since.
    """

    tx: Transaction
    coins: tuple[Coin, ...]
    parents: tuple[Hash, ...]
    fee: int
    checks: list[Check]
    version: int


def find_inputs(chain: ChainView, pool: Pool, tx: Transaction) -> Inputs:
    """Look up what ``tx`` spends, in the UTXO set and among the outputs of the pool.

    :raises AlreadyKnown: when it is archived.
    :raises MissingParents: when a transaction that made a coin is unknown.
    :raises TxInvalid: when a coin is spent, or never was.
    """
    coins: list[Coin] = []
    parents: dict[Hash, Entry] = {}
    missing: dict[Hash, None] = {}
    for txin in tx.inputs:
        outpoint = txin.outpoint
        parent = pool.get(outpoint[_TXID])
        coin = chain.coin(outpoint) if parent is None else made_by(parent, outpoint)
        if coin is not None:
            coins.append(coin)
            if parent is not None:
                parents[parent.txid] = parent
        elif parent is not None or chain.archived(outpoint[_TXID]) is not None:
            _refuse_spent(chain, tx, outpoint)
        else:
            missing[outpoint[_TXID]] = None
    if missing:
        raise MissingParents(tuple(missing))
    return Inputs(tuple(coins), tuple(parents.values()))


def made_by(parent: Entry, outpoint: OutPoint) -> Coin | None:
    """Return the coin that ``parent`` makes, with code 0, or None when it makes no such coin."""
    index = int.from_bytes(outpoint[32:], "little")
    outputs = parent.tx.outputs
    if index >= len(outputs):
        return None
    value, script = outputs[index]
    return None if script[0] == _OP_RETURN else Coin(_FROM_PARENT, value, script)


def _refuse_spent(chain: ChainView, tx: Transaction, outpoint: OutPoint) -> None:
    if chain.archived(tx.txid) is not None:
        raise AlreadyKnown(tx.txid, archived=True)
    raise errors.MissingInputs(outpoint.hex())


def refuse_spent_finally(pool: Pool, tx: Transaction) -> None:
    """Raise ``RivalFinal`` when a final transaction of the pool spends a coin of ``tx`` (R4)."""
    for txin in tx.inputs:
        for rival in pool.spenders(txin.outpoint):
            if rival.final and rival.txid != tx.txid:
                raise RivalFinal(rival.txid[::-1].hex())


def prepare(
    params: Parameters, chain: ChainView, pool: Pool, tx: Transaction, *, epoch: int, version: int
) -> Prepared:
    """Validate all of ``tx`` but its signatures; raises as ``find_inputs`` and the rules of the ledger."""
    txid = tx.txid
    if txid in pool:
        raise AlreadyKnown(txid, archived=False)
    check_transaction(params, tx)
    coins, parents = find_inputs(chain, pool, tx)
    fee = check_inputs(params, chain.registry, epoch, tx, coins)
    refuse_spent_finally(pool, tx)
    checks = signature_checks(tx, coins)
    return Prepared(tx, coins, tuple([parent.txid for parent in parents]), fee, checks, version)

"""From the transactions of a block to :class:`BlockTx`: coins looked up, rules checked, signatures listed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import BadTransaction, MissingInputs, TxInvalid
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.ledger.validation import check_inputs, check_transaction
from timecoin.ledger.witness import Check, signature_checks
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import OutPoint, Transaction, split_outpoint

CoinLookup = Callable[[OutPoint], Coin | None]
"""The UTXO set after the tip."""


def resolve(
    params: Parameters,
    state: LedgerState,
    transactions: Sequence[Transaction],
    lookup: CoinLookup,
    checked: Container[Hash] = (),
) -> list[BlockTx]:
    """Return the payments of the block after ``state``'s tip with their coins.

    A parent may stand in the same block, in any place; everything else must be in the UTXO set.
    ``checked`` holds wtxids that passed :func:`check_transaction` and :func:`check_inputs` in this epoch,
    which is not done again. Signatures are left to :func:`block_signature_checks`. Raises
    ``BadTransaction`` with the broken rule's ``TxInvalid`` as its ``.cause``.
    """
    parents = {tx.txid: tx for tx in transactions}
    code = 2 * (state.height + 1)
    resolved = []
    for tx in transactions:
        try:
            is_checked = tx.wtxid in checked
            if not is_checked:
                check_transaction(params, tx)
            coins = _coins(tx, parents, code, lookup)
            fee = _fee(tx, coins) if is_checked else _checked_fee(params, state, tx, coins)
        except TxInvalid as error:
            raise BadTransaction(display(tx.txid), error) from error
        resolved.append(BlockTx(tx, coins, fee))
    return resolved


def _checked_fee(params: Parameters, state: LedgerState, tx: Transaction, coins: tuple[Coin, ...]) -> int:
    return check_inputs(params, state.registry, state.epoch, tx, coins)


def _fee(tx: Transaction, coins: tuple[Coin, ...]) -> int:
    return sum([coin.value for coin in coins]) - sum([output.value for output in tx.outputs])


def _coins(
    tx: Transaction, parents: Mapping[Hash, Transaction], code: int, lookup: CoinLookup
) -> tuple[Coin, ...]:
    coins = []
    for txin in tx.inputs:
        parent = parents.get(txin.outpoint[:32])
        coin = lookup(txin.outpoint) if parent is None else _made_here(parent, txin.outpoint, code)
        if coin is None:
            raise MissingInputs(txin.outpoint.hex())
        coins.append(coin)
    return tuple(coins)


def _made_here(parent: Transaction, outpoint: OutPoint, code: int) -> Coin | None:
    _, index = split_outpoint(outpoint)
    if index >= len(parent.outputs):
        return None
    value, script = parent.outputs[index]
    return None if classify(script) is Kind.OP_RETURN else Coin(code, value, script)


def block_signature_checks(txs: Iterable[BlockTx]) -> list[Check]:
    """Return the signature checks of all ``txs``, for batches in threads.

    Raises ``BadTransaction`` when a witness is malformed.
    """
    checks: list[Check] = []
    for item in txs:
        try:
            checks.extend(signature_checks(item.tx, item.coins))
        except TxInvalid as error:
            raise BadTransaction(display(item.tx.txid), error) from error
    return checks

"""How many transactions that are not archived a coin stands behind: masternodes vote for no longer line than
``max_chain`` until a block makes it shorter (protocol.md section 5, R1)."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.node.wallet_chain import WalletChain
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction
from timecoin.wallet.history import History

__all__ = ["Lines"]


class Lines:
    """Lines of a wallet's coins, by what the wallet knows and, of others' transactions, by the node's pool."""

    def __init__(self, history: History, chain: WalletChain) -> None:
        self._history = history
        self._chain = chain

    @property
    def most(self) -> int:
        """The network's ``max_chain``."""
        return self._chain.parameters.max_chain

    def behind(self, txids: Iterable[Hash]) -> set[Hash]:
        """Of these and of what they spend, those that are not archived; with more than ``most``, not all of them."""
        found: set[Hash] = set()
        waiting = list(txids)
        while waiting and len(found) <= self.most:
            txid = waiting.pop()
            tx = None if txid in found else self._unarchived(txid)
            if tx is not None:
                found.add(txid)
                waiting.extend(outpoint[:32] for outpoint in tx.outpoints())
        return found

    def _unarchived(self, txid: Hash) -> Transaction | None:
        record = self._history.get(txid)
        if record is None:
            return self._chain.pool_tx(txid)
        return None if record.status == "archived" else record.tx

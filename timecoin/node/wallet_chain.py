"""The node as its wallets see it: a small face, and how the services of the node stand behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.ledger.coins import Coin
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.networks import Network
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.node.storage_service import StorageService
from timecoin.primitives.block import Block
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.rpc.facade import NodeFacade
from timecoin.storage.snapshot import CoinSnapshot

__all__ = ["NodeChain", "WalletChain"]


class WalletChain(Protocol):
    """What wallets need of the node. Reactor's thread, except :meth:`read_block`."""

    @property
    def network(self) -> Network:
        """The network."""

    @property
    def chain_id(self) -> Hash:
        """The genesis hash."""

    @property
    def parameters(self) -> Parameters:
        """Its parameters."""

    @property
    def tip(self) -> LedgerState:
        """The ledger after the newest block."""

    @property
    def base(self) -> int:
        """The height from which on all blocks are here."""

    @property
    def syncing(self) -> bool:
        """Whether the network is ahead."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""

    def submit(self, tx: Transaction) -> Deferred[Hash]:
        """As ``NodeFacade.submit``."""

    def status(self, txid: Hash) -> tuple[str, str] | None:
        """Status and reason of a transaction; None: not known."""

    def pool_ids(self) -> Iterable[Hash]:
        """The txids in the pool now."""

    def pool_tx(self, txid: Hash) -> Transaction | None:
        """A transaction of the pool."""

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An unspent coin of the chain."""

    def read_block(self, height: int) -> Block:
        """A block; any thread but the reactor's; ``UnknownBlock``."""

    def snapshot(self) -> CoinSnapshot:
        """All unspent coins at the tip, for one other thread."""


class NodeChain:
    """:class:`WalletChain` over the node's services."""

    def __init__(
        self, genesis: Genesis, node: NodeFacade, storage: StorageService, syncing: Callable[[], bool]
    ) -> None:
        self._genesis = genesis
        self._node = node
        self._storage = storage
        self._syncing = syncing

    @property
    def network(self) -> Network:
        """The network."""
        return self._genesis.network_info

    @property
    def chain_id(self) -> Hash:
        """The genesis hash."""
        return self._genesis.chain_id

    @property
    def parameters(self) -> Parameters:
        """Its parameters."""
        return self._genesis.parameters

    @property
    def tip(self) -> LedgerState:
        """The ledger after the newest block."""
        return self._node.tip()

    @property
    def base(self) -> int:
        """The height from which on all blocks are here."""
        return self._storage.chain.base

    @property
    def syncing(self) -> bool:
        """Whether the network is ahead."""
        return self._syncing()

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._node.now_ms()

    def submit(self, tx: Transaction) -> Deferred[Hash]:
        """Validate, store, announce."""
        return self._node.submit(tx)

    def status(self, txid: Hash) -> tuple[str, str] | None:
        """Status and reason of a transaction."""
        found = self._node.status(txid)
        return None if found is None else (found.status, found.reason or "")

    def pool_ids(self) -> Iterable[Hash]:
        """The txids in the pool now."""
        return self._node.pool_ids()

    def pool_tx(self, txid: Hash) -> Transaction | None:
        """A transaction of the pool."""
        entry = self._node.pool_entry(txid)
        return None if entry is None else entry.tx

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An unspent coin of the chain."""
        return self._storage.coin(outpoint)

    def read_block(self, height: int) -> Block:
        """A block."""
        return Block.decode(self._storage.chain.archive.block(height))

    def snapshot(self) -> CoinSnapshot:
        """All unspent coins at the tip."""
        return self._storage.chain.snapshot()

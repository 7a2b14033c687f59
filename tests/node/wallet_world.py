"""A chain that wallets can follow without a node: blocks, a pool and a feed, with the ledger's rules for spends."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock

from tests.rpc.fake_node import NETWORK
from timecoin.consensus.status import Status
from timecoin.ledger.coins import Coin, encode_coin
from timecoin.ledger.errors import MissingInputs, TxInvalid
from timecoin.ledger.first import first_state
from timecoin.ledger.state import LedgerState
from timecoin.ledger.validation import check_inputs, check_transaction, verify_transaction
from timecoin.mempool.errors import AlreadyKnown
from timecoin.node.feed import Feed
from timecoin.node.wallet_service import WalletService
from timecoin.primitives.block import EMPTY_COMMIT, Block
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxInput, TxOutput
from timecoin.storage.errors import BlockPruned
from timecoin.wallet.secrets import Cost

COIN = 10**8
CHEAP = Cost(14, 1, 1)
_FIRST, _STATE, _DELTA = first_state(NETWORK.genesis)
BACKEND = get_backend()


class FakeSnapshot:
    """The coins at the tip, in key order."""

    def __init__(self, coins: dict[OutPoint, Coin], height: int) -> None:
        self._coins = [(outpoint, encode_coin(coin)) for outpoint, coin in sorted(coins.items())]
        self.height, self.count = height, len(coins)

    def steps(self, limit: int) -> Iterator[list[tuple[bytes, bytes]]]:
        for start in range(0, len(self._coins), limit):
            yield self._coins[start : start + limit]

    def __enter__(self) -> FakeSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class FakeChain:
    """``WalletChain`` over lists. Time is the clock's."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.feed = Feed()
        self.network = NETWORK.genesis.network_info
        self.chain_id = NETWORK.genesis.chain_id
        self.parameters = NETWORK.genesis.parameters
        self.blocks = [_FIRST]
        self.state = _STATE
        self.base = 0
        self.syncing = False
        self.coins: dict[OutPoint, Coin] = dict(_DELTA.added)
        self.pool: dict[Hash, tuple[Transaction, str]] = {}
        self.submitted: list[Transaction] = []
        self.refusal: Exception | None = None
        self.read: list[int] = []
        self._number = 0

    # WalletChain

    @property
    def tip(self) -> LedgerState:
        return self.state

    def now_ms(self) -> int:
        return 1_800_000_000_000 + int(self.clock.seconds() * 1000)

    def submit(self, tx: Transaction) -> Deferred[Hash]:
        self.submitted.append(tx)
        try:
            if self.refusal is not None:
                raise self.refusal
            self.admit(tx)
        except Exception as problem:
            return fail(problem)
        return succeed(tx.txid)

    def status(self, txid: Hash) -> tuple[str, str] | None:
        if txid in self.pool:
            return self.pool[txid][1], ""
        archived = any(tx.txid == txid for block in self.blocks for tx in block.transactions)
        return ("archived", "") if archived else None

    def pool_ids(self) -> Iterable[Hash]:
        return list(self.pool)

    def pool_tx(self, txid: Hash) -> Transaction | None:
        return self.pool[txid][0] if txid in self.pool else None

    def coin(self, outpoint: OutPoint) -> Coin | None:
        return self.coins.get(outpoint)

    def read_block(self, height: int) -> Block:
        self.read.append(height)
        if height < self.base:
            raise BlockPruned(str(height))
        return self.blocks[height]

    def snapshot(self) -> Any:
        return FakeSnapshot(self.coins, self.state.height)

    # What happens

    def admit(self, tx: Transaction) -> None:
        """Check by the ledger's rules, take into the pool, tell as pending."""
        if tx.txid in self.pool:
            raise AlreadyKnown(tx.txid, archived=False)
        if any(each.txid == tx.txid for block in self.blocks for each in block.transactions):
            raise AlreadyKnown(tx.txid, archived=True)
        check_transaction(self.parameters, tx)
        coins = [self._spendable(each) for each in tx.outpoints()]
        check_inputs(self.parameters, self.state.registry, self.state.epoch, tx, coins)
        verify_transaction(BACKEND, tx, coins)
        self.pool[tx.txid] = (tx, "pending")
        self._tell(tx, Status.PENDING)

    def _spendable(self, outpoint: OutPoint) -> Coin:
        coin = self.coins.get(outpoint)
        parent = self.pool.get(outpoint[:32])
        if coin is None and parent is not None:
            output = parent[0].outputs[int.from_bytes(outpoint[32:], "little")]
            coin = Coin(0, output.value, output.script)
        if coin is None:
            raise MissingInputs(outpoint.hex())
        return coin

    def _tell(self, tx: Transaction, status: Status, **more: Any) -> None:
        self.feed.transaction(tx.txid, status, self.now_ms(), tx, **more)

    def reach(self, txid: Hash, status: Status, reason: str | None = None) -> None:
        """A transaction of the pool gets a status."""
        tx, _ = self.pool[txid]
        if status is Status.REJECTED:
            del self.pool[txid]
        else:
            self.pool[txid] = (tx, status.value)
        self._tell(tx, status, reason=reason)

    def gift(self, script: bytes, value: int = COIN) -> Transaction:
        """A transaction of somebody else's that pays to a script; not told to anybody yet."""
        self._number += 1
        outpoint = self._number.to_bytes(36, "big")
        self.coins[outpoint] = Coin(0, value + 20_000, b"\x00\x14" + b"\x99" * 20)
        return Transaction(2, (TxInput(outpoint),), (TxOutput(value, script),))

    def take(self, tx: Transaction, status: Status = Status.PENDING) -> Transaction:
        """Put a transaction of others into the pool, unchecked, and tell of it."""
        self.pool[tx.txid] = (tx, "pending")
        self._tell(tx, Status.PENDING)
        if status is not Status.PENDING:
            self.reach(tx.txid, status)
        return tx

    def block(self, *txs: Transaction, closing: bool = False, reward: bytes = b"", told: bool = True) -> None:
        """Archive transactions (all of the pool when none are given) in a block; ``reward``: a script that gets 5."""
        chosen = list(txs) or [tx for tx, _ in self.pool.values()]
        height = self.state.height + 1
        outputs = (TxOutput(5 * COIN, reward),) if reward else (TxOutput(0, b"\x6a\x01\x02"),)
        coinbase = Transaction(2, (TxInput(NULL_OUTPOINT, height.to_bytes(4, "little")),), outputs)
        ordered = (coinbase, *sorted(chosen, key=lambda tx: tx.txid[::-1]))
        header = replace(
            self.blocks[-1].header,
            height=height,
            previous=self.blocks[-1].header.hash,
            closing=closing,
            slot_time=1_800_000_000 + 60 * height,
        )
        block = Block(header, ordered, EMPTY_COMMIT)
        self._apply(block)
        if told:
            for tx in ordered[1:]:
                self._tell(tx, Status.ARCHIVED, height=height)
            self.feed.block(height, header.hash, self.state.epoch, closing, self.now_ms())

    def _apply(self, block: Block) -> None:
        height = block.header.height
        for position, tx in enumerate(block.transactions):
            for n, output in enumerate(tx.outputs):
                self.coins[tx.outpoint(n)] = Coin(2 * height + (position == 0), output.value, output.script)
            self.pool.pop(tx.txid, None)
        for tx in block.transactions[1:]:
            for outpoint in tx.outpoints():
                self.coins.pop(outpoint, None)
        self.blocks.append(block)
        opening = self.state.opening
        if block.header.closing:
            opening = replace(opening, epoch=opening.epoch + 1)
        self.state = replace(self.state, header=block.header, opening=opening)


class World:
    """A chain and a node's wallets upon it, in one directory; threads run at once."""

    def __init__(self, directory: Path, chain: FakeChain | None = None, seed: int = 1, **options: Any) -> None:
        self.clock = Clock() if chain is None else chain.clock
        self.chain = chain or FakeChain(self.clock)
        source = random.Random(seed)
        self.service = WalletService(
            self.clock,
            self.chain,
            self.chain.feed,
            directory,
            BACKEND,
            draw=source.randbytes,
            cost=CHEAP,
            in_thread=options.pop("in_thread", maybeDeferred),
            **options,
        )

    def settle(self) -> None:
        """Let everything that waits for the reactor's next turns happen."""
        for _ in range(200):
            self.clock.advance(0.01)


def refused(code: type[TxInvalid]) -> Exception:
    """What ``submit`` fails with."""
    return code("as the test says")

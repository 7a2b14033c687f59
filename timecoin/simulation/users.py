"""Simulated users: honest ones, whose every payment must become final, and others, whose coins they may lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.simulation.chance import Chance
from timecoin.simulation.genesis import account, owner
from timecoin.simulation.keys import Key
from timecoin.simulation.payments import Owned, genesis_coins, pay

if TYPE_CHECKING:
    from timecoin.simulation.node import Node
    from timecoin.simulation.world import World

AMOUNT = 1_000_000
MAX_UNSETTLED = 20
"""An honest user waits when so many payments of one coin's chain are not archived: below ``max_chain``."""


class Account:
    """An honest user with one chain of payments. ``unsettled`` are those not known to be archived, oldest first."""

    def __init__(self, coin: Owned) -> None:
        self.coin = coin
        self.unsettled: list[Transaction] = []

    def forget(self, archived: dict[bytes, int]) -> None:
        """What is in a block is settled."""
        self.unsettled = [tx for tx in self.unsettled if tx.txid not in archived]


class Users:
    """The first ``honest`` of the accounts never sign two spends of one coin; the others do anything.

    ``made_at`` tells when each honest payment was first offered to a node (microseconds of the clock).
    """

    def __init__(self, world: World, chance: Chance, accounts: int, honest: int, owners: int) -> None:
        self._world = world
        self._chance = chance
        coins = genesis_coins(world.genesis, [account(number) for number in range(accounts)])
        self.accounts = [Account(coin) for coin in coins[:honest]]
        self._careless = coins[honest:]
        self._keys = [account(number) for number in range(honest, accounts)]
        self._used: set[OutPoint] = set()
        self._fees = {number: _coins_of(world, owner(number)) for number in range(owners)}
        self.made_at: dict[bytes, int] = {}
        self.made = 0

    # Nodes to talk to

    def some_node(self, chance: Chance) -> Node | None:
        """One that answers; None when none does."""
        there = [node for node in self._world.nodes if node.responds]
        return chance.pick(there) if there else None

    def give(self, tx: Transaction, node: Node | None) -> bool:
        """Offer a transaction to a node; whether it took it."""
        self._world.observer.made(tx)
        return node is not None and node.submit(tx)

    # Honest users

    def pay_something(self) -> None:
        """One of the honest users makes a payment, at any node."""
        payer = self._chance.pick(self.accounts)
        payee = self._chance.pick(self.accounts).coin.owner
        payer.forget(self._world.observer.chain.archived)
        if len(payer.unsettled) >= MAX_UNSETTLED:
            return
        tx, payer.coin = pay(payer.coin, payee, AMOUNT)
        self.made += 1
        self.made_at[tx.txid] = self._world.clock.now
        payer.unsettled.append(tx)
        node = self.some_node(self._chance)
        if not self.give(tx, node):
            self._offer_again(payer, node)

    def _offer_again(self, payer: Account, node: Node | None) -> None:
        """A node that lacks what came before is told, as wallets do."""
        for tx in payer.unsettled:
            self.give(tx, node)

    def insist(self, nodes: Sequence[Node]) -> list[bytes]:
        """Offer everything unsettled once more, each account at one of these nodes; the txids, which must all become
        final."""
        for payer in self.accounts:
            payer.forget(self._world.observer.chain.archived)
            self._offer_again(payer, self._chance.pick(nodes))
        return [tx.txid for payer in self.accounts for tx in payer.unsettled]

    # The others

    def careless_coin(self, chance: Chance) -> Owned | None:
        """A coin of somebody who may lose it, not spent by anybody here yet."""
        if not self._careless:
            self._careless = list(self._unspent_of_careless())
        while self._careless:
            coin = self._careless.pop(chance.below(len(self._careless)))
            if coin.outpoint not in self._used:
                self._used.add(coin.outpoint)
                return coin
        return None

    def _unspent_of_careless(self) -> Iterator[Owned]:
        by_script = {key.script: key for key in self._keys}
        coins = self._world.observer.chain.unspent
        nodes = [node for node in self._world.nodes if node.honest]
        disk = max(nodes, key=lambda node: node.height).disk
        for outpoint in coins:
            coin = disk.coins.get(outpoint)
            key = None if coin is None else by_script.get(coin.script)
            if coin is not None and key is not None and outpoint not in self._used and coin.value > 10 * AMOUNT:
                yield Owned(outpoint, coin.value, key)

    def careless_key(self, chance: Chance) -> Key:
        """One of their keys."""
        return chance.pick(self._keys)

    # Owners of masternodes

    def owner_coin(self, number: int, least: int = 0) -> Owned | None:
        """A coin of a masternode's owner of at least so many base units, to carry a payload; each is given once."""
        coins = self._fees.get(number, [])
        for coin in coins:
            if coin.value >= least:
                coins.remove(coin)
                return coin
        return None


def _coins_of(world: World, key: Key) -> list[Owned]:
    """The coins that a key has in block 0 and that are no collateral, small ones first."""
    disk = world.nodes[0].disk
    registry = disk.ledger.registry
    found = [
        Owned(outpoint, coin.value, key)
        for outpoint, coin in disk.coins.items()
        if coin.script == key.script and not registry.locked(outpoint, 1)
    ]
    return sorted(found, key=lambda coin: (coin.value, coin.outpoint))


def owners_outputs(owners: int, newcomers: Iterable[int], coins: int, collateral: int) -> list[TxOutput]:
    """What genesis gives to owners: each ``coins`` small ones for payloads, newcomers one for their collateral."""
    small = [TxOutput(10 * AMOUNT, owner(number).script) for number in range(owners) for _ in range(coins)]
    return [*small, *[TxOutput(collateral + 10 * AMOUNT, owner(number).script) for number in newcomers]]

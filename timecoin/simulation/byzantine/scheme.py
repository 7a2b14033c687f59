"""What all schemes share: a script that waits for situations, coins to spend, and the whole network to look at."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

from timecoin.consensus.votes import Precommit
from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.byzantine.adversary import Schemer
from timecoin.simulation.byzantine.node import ByzantineNode
from timecoin.simulation.byzantine.proposing import Proposing
from timecoin.simulation.genesis import VILLAINS, villain
from timecoin.simulation.keys import key
from timecoin.simulation.payments import Owned, genesis_coins, pay

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.node import Node

Situation = Callable[[], bool]
SIGNED: frozenset[type[wire.Message] | type[Precommit]] = frozenset(
    {wire.Bundles, wire.Proposal, wire.Votes, wire.Pol, wire.Blocks}
)
"""All that a masternode signs or proves."""
Script = Generator[Situation, None, None]
"""Yields what it waits for, and goes on when that is so."""


class Scheme(Proposing):
    """One attack, played anew in each epoch; it may last ``lasts`` of them, then what is left of it is given up.

    The honest part of the liar does as it would, but messages of the types ``muted`` are not sent, nor precommits alone
    if these are. Once the faults are over nothing new is begun; but what the liars refuse to say they still do.
    """

    lasts = 1

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self.net = Schemer.of(node.world)
        self.muted: frozenset[type[wire.Message] | type[Precommit]] = frozenset()
        self._script: Script | None = None
        self._wait: Situation = lambda: True
        self._epoch = 0
        self._spent: set[bytes] = set()
        self._coins: list[Owned] = []

    # The script

    def play(self) -> Script:
        """The attack of one epoch."""
        raise NotImplementedError

    def look(self) -> None:
        """Go on when the situation that is waited for is there."""
        if not self.is_leader or self.node.forge.signer is None:
            self._give_up()
            return
        if self._script is None or self.opened >= self._epoch + self.lasts:
            self._give_up()
            if self.net.ended or self.opened == self._epoch:
                return
            self._epoch, self._script, self._wait = self.opened, self.play(), lambda: True
        while self._script is not None and self._wait():
            try:
                self._wait = next(self._script)
            except StopIteration:
                self._give_up()

    def _give_up(self) -> None:
        if self._script is not None:
            self._script = None
            self.muted = frozenset()
            self.net.release_all()

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Nothing of what is muted."""
        if Precommit in self.muted and isinstance(message, wire.Votes) and message.precommits:
            return [wire.Votes(message.prevotes)] if message.prevotes else []
        return [] if type(message) in self.muted else [message]

    def close(self) -> Situation:
        """Did everybody leave the epoch in which the script began?"""
        epoch = self._epoch
        return lambda: all(node.epoch > epoch for node in self.honest)

    # The network

    @property
    def is_leader(self) -> bool:
        """Of several schemers the one with the lowest number acts, with the keys of all."""
        schemers = [node for node in self.cabal if any(isinstance(each, Scheme) for each in node.behaviours)]
        return schemers[:1] == [self.node]

    @property
    def opened(self) -> int:
        """The newest epoch that any honest masternode has open."""
        return max([node.epoch for node in self.honest], default=0)

    @property
    def cabal(self) -> list[ByzantineNode]:
        """All Byzantine masternodes that are up."""
        return [node for node in self.node.world.nodes if isinstance(node, ByzantineNode) and node.up]

    @property
    def honest(self) -> list[Node]:
        """All honest masternodes of the liar's set that are up."""
        members = self.node.forge.ledger.current
        return [
            node
            for node in self.node.world.nodes
            if node.honest
            and node.up
            and node.operator is not None
            and members.index_of_key(node.operator.public) is not None
        ]

    def reach(self, *offsets: int) -> Situation:
        """Is it so many milliseconds after the end of the open epoch's slot (before it: negative)?"""
        due = self.node.participant.slot_ms + sum(offsets)
        return lambda: self.node.now_ms() >= due

    def after(self, milliseconds: int, situation: Situation) -> Situation:
        """Is ``situation`` so, or has so much time gone by?"""
        late = self.node.now_ms() + milliseconds
        return lambda: situation() or self.node.now_ms() >= late

    def all_of(self, nodes: Iterable[Node], test: Callable[[Node], bool]) -> Situation:
        """Is it so for each of these?"""
        nodes = list(nodes)
        return lambda: all(node.up and test(node) for node in nodes)

    def say(self, nodes: Iterable[Node], votes: Iterable[bytes] = (), acks: Iterable[bytes] = ()) -> None:
        """All of the cabal vote and ack, in bundles shown to these nodes only."""
        votes, acks, nodes = tuple(votes), tuple(acks), list(nodes)
        for liar in self.cabal:
            if liar.forge.signer is None:
                continue
            message = liar.forge.bundle(votes, acks)
            for node in nodes:
                liar.tell(node, message)

    def prevote(self, nodes: Iterable[Node], round_: int, block_hash: bytes) -> None:
        """All of the cabal prevote a block before these."""
        nodes = list(nodes)
        for liar in self.cabal:
            if liar.forge.signer is not None:
                message = liar.forge.prevote(round_, block_hash)
                for node in nodes:
                    liar.tell(node, message)

    def power(self, nodes: Iterable[Node]) -> int:
        """Their power in the open epoch's set."""
        members = self.node.forge.ledger.current
        keys = {node.operator.public for node in nodes if node.operator is not None}
        return sum([member.power for member in members.members if member.operator_key in keys])

    def is_quorum(self, nodes: Iterable[Node]) -> bool:
        """Are they one, counted apart from the product?"""
        return 3 * self.power(nodes) > 2 * self.node.forge.ledger.current.total

    def fewer_than_quorum(self, first: Node | None = None) -> tuple[list[Node], list[Node]]:
        """The honest ones in two parts, by chance: the first is none short of being a quorum with the cabal's help, and
        is none without it; none of the other could be added. The second is the rest."""
        many: list[Node] = []
        few: list[Node] = []
        for node in sorted(self.chance.shuffled(self.honest), key=lambda each: each is not first):
            (few if self.is_quorum([*many, node]) else many).append(node)
        return many, few

    # Coins

    def coin(self) -> Owned | None:
        """A coin that every honest node has in its chain and that nobody has spent in any pool."""
        if not self._coins:
            self._coins = genesis_coins(self.node.world.genesis, [villain(number) for number in range(VILLAINS)])
        for coin in self._coins:
            if coin.outpoint not in self._spent and all(
                node.coin(coin.outpoint) is not None and not node.participant.finality.pool.spenders(coin.outpoint)
                for node in self.honest
            ):
                self._spent.add(coin.outpoint)
                return coin
        return None

    def payments(self, count: int) -> list[Transaction]:
        """So many spends of one coin, by ascending txid as displayed; fewer when no coin is left."""
        coin = self.coin()
        if coin is None:
            return []
        made = []
        for number in range(count):
            tx, change = pay(coin, key("villains' shop"), 1_000_000 + number)
            self._coins.append(change)
            self.node.world.observer.made(tx)
            made.append(tx)
        return sorted(made, key=lambda tx: tx.txid[::-1])

    def spend(self, tx: Transaction) -> Transaction:
        """A child of one of the schemer's payments, by its change."""
        coin = next(coin for coin in self._coins if coin.outpoint[:32] == tx.txid)
        self._spent.add(coin.outpoint)
        child, change = pay(coin, key("villains' shop"), 2_000_000)
        self._coins.append(change)
        self.node.world.observer.made(child)
        return child


def has_voted(node: Node, txid: bytes) -> bool:
    """Did the node vote for the transaction in its open epoch?"""
    entry = node.participant.finality.pool.get(txid)
    return entry is not None and entry.voted


def has_acked(node: Node, txid: bytes) -> bool:
    """Did the node ack the transaction in its open epoch, and has not archived it?"""
    return txid in node.participant.finality.acked_unarchived()


def is_sealed(node: Node) -> bool:
    """Did the node seal its open epoch?"""
    return node.participant.finality.sealed

"""The adversary of the model: it sees the whole network, and decides how long each message takes."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache
from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire
from timecoin.primitives.transaction import MalformedTransaction, Transaction
from timecoin.simulation.byzantine import reading

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.world import World

Test = Callable[["Link", wire.Message], bool]
"""Is this message meant?"""


class Schemer:
    """Holds messages back by named rules; released, they go on the wires in the order in which they came.

    There is one for a world, whoever schemes. From :meth:`end` on nothing is held any more.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tests: dict[str, Test] = {}
        self._held: dict[str, list[tuple[Link, wire.Message, int]]] = {}
        self.ended = False
        self.taken = 0

    @classmethod
    def of(cls, world: World) -> Schemer:
        """The schemer of a world, made when it is asked for first."""
        if not isinstance(world.adversary, cls):
            world.adversary = cls(world)
        return world.adversary

    def takes(self, link: Link, message: wire.Message, size: int) -> bool:
        """Hold what a rule is about."""
        for name, test in self._tests.items():
            if test(link, message):
                self._held[name].append((link, message, size))
                self.taken += 1
                return True
        return False

    def hold(self, name: str, test: Test) -> None:
        """From now on hold what ``test`` says; a rule of this name gives way, what it held goes on."""
        self.release(name)
        if not self.ended:
            self._tests[name] = test
            self._held[name] = []

    def release(self, name: str) -> None:
        """End a rule: what it held goes on its way."""
        self._tests.pop(name, None)
        for link, message, size in self._held.pop(name, ()):
            self._world.pass_on(link, message, size)

    def release_all(self) -> None:
        """End all rules."""
        for name in list(self._tests):
            self.release(name)

    def end(self) -> None:
        """The faults are over: nothing takes longer than it takes from here on."""
        self.ended = True
        self.release_all()


# What is in a message


def votes_for(message: wire.Message, txid: bytes) -> bool:
    """Does it hold a vote for the transaction?"""
    return isinstance(message, wire.Bundles) and any(
        bundle is not None and txid in bundle.votes for bundle in map(reading.bundle, message.bundles)
    )


def acks_of(message: wire.Message, txid: bytes) -> bool:
    """Does it hold an ack of the transaction?"""
    return isinstance(message, wire.Bundles) and any(
        bundle is not None and txid in bundle.acks for bundle in map(reading.bundle, message.bundles)
    )


def brings(message: wire.Message, txid: bytes) -> bool:
    """Does it bring or announce the transaction?"""
    if isinstance(message, wire.Tx):
        return any(_txid(raw) == txid for raw in message.transactions)
    return isinstance(message, wire.Inv) and txid in message.txids


def is_proposal(message: wire.Message, *, closing: bool, but_by: int | None = None) -> bool:
    """Is it a proposal of this kind, by another signer than ``but_by``?"""
    found = reading.proposal(message.proposal) if isinstance(message, wire.Proposal) else None
    return found is not None and found.closing is closing and found.signer != but_by


def proposer_of(message: wire.Message) -> int | None:
    """The signer of a proposal."""
    found = reading.proposal(message.proposal) if isinstance(message, wire.Proposal) else None
    return None if found is None else found.signer


def is_prevote(message: wire.Message, signers: Container[int | None]) -> bool:
    """Does it hold a prevote for a block by one of these?"""
    raws = message.prevotes if isinstance(message, wire.Votes | wire.Pol) else ()
    return any(vote is not None and vote.signer in signers and not vote.is_nil for vote in map(reading.prevote, raws))


def is_precommit(message: wire.Message, height: int) -> bool:
    """Does it hold a precommit of this height for a block?"""
    return isinstance(message, wire.Votes) and any(
        vote is not None and vote.height == height and not vote.is_nil
        for vote in map(reading.precommit, message.precommits)
    )


@lru_cache(reading.REMEMBERED)
def _txid(raw: bytes) -> bytes:
    try:
        return Transaction.decode(raw).txid
    except MalformedTransaction:
        return b""

"""What must never be, under the names that the simulator's checkers have.

An invariant over several nodes is a list of patterns: sets of deeds which, each done by a quorum, break it. One over a
single node's statements is a predicate. ``stuck`` is in docs/model/liveness.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import NamedTuple

from docs.model.bounds import PARENTS, RIVALS, Bounds
from docs.model.deeds import Block, Deed, ack, applied, precommit, vote
from docs.model.node import Node

GLOBAL = ("one_block_per_height", "rivals_final", "rival_archived", "final_archived")
LOCAL = ("contradiction", "accusable")


class Way(NamedTuple):
    """Something that is so when each deed in ``quorum`` was done by a quorum and each in ``third`` by more than W/3."""

    quorum: tuple[Deed, ...] = ()
    third: tuple[Deed, ...] = ()

    def and_(self, *others: Way) -> Way:
        """This and all of ``others``."""
        every = (self, *others)
        return Way(sum((way.quorum for way in every), ()), sum((way.third for way in every), ()))


class Pattern(NamedTuple):
    """A way in which the invariant ``name`` is broken."""

    name: str
    way: Way


def patterns(bounds: Bounds, mutant: str) -> Iterator[Pattern]:
    """Every way in which an invariant over several nodes can be broken."""
    yield from agreement(bounds)
    yield from rivals(bounds, mutant)
    yield from archiving(bounds, mutant)


def decided(bounds: Bounds, block: Block) -> list[Way]:
    """R11: the ways in which ``block`` is decided; an honest node's word is enough."""
    return [
        *(Way((precommit(block, round_),)) for round_ in range(block.made, bounds.rounds + 1)),
        Way((), (applied(block),)),
    ]


def final(bounds: Bounds, mutant: str, epoch: int, tx: str) -> list[Way]:
    """R3: acks of a quorum in one epoch, of ``tx`` or of a child of it."""
    bearers = [each for each in bounds.transactions if each == tx or tx in PARENTS[each]]
    if mutant == "final_on_certificate":
        return [Way((vote(epoch, each),)) for each in bearers]
    if mutant == "acks_counted_next_epoch" and epoch > 1:
        return [Way((Deed("counted", of="ack", tx=each),)) for each in bearers]
    return [Way((ack(epoch, each),)) for each in bearers]


def agreement(bounds: Bounds) -> Iterator[Pattern]:
    """No two blocks are decided at one height."""
    for one, two in combinations(bounds.blocks, 2):
        if one.height == two.height:
            for parts in product(decided(bounds, one), decided(bounds, two)):
                yield Pattern("one_block_per_height", parts[0].and_(parts[1]))


def rivals(bounds: Bounds, mutant: str) -> Iterator[Pattern]:
    """A rival of a final transaction is never final, nor in a block, in any epoch; two rivals are never in blocks."""
    for tx in bounds.transactions:
        for rival in RIVALS[tx]:
            holding = [way for block in bounds.blocks if rival in block.content for way in decided(bounds, block)]
            archived = [way for block in bounds.blocks if tx in block.content for way in decided(bounds, block)]
            for epoch in range(1, bounds.epochs + 1):
                for way in final(bounds, mutant, epoch, tx):
                    yield from (Pattern("rival_archived", way.and_(other)) for other in holding)
                    for later in range(1, bounds.epochs + 1):
                        for other in final(bounds, mutant, later, rival):
                            yield Pattern("rivals_final", way.and_(other))
            yield from (Pattern("rival_archived", way.and_(other)) for way, other in product(archived, holding))


def archiving(bounds: Bounds, mutant: str) -> Iterator[Pattern]:
    """What can be final in an epoch is in a block of it, or of one before, once its closing block is decided."""
    for chain in chains(bounds):
        epoch = sum(block.closing for block in chain)
        archived = {tx for block in chain for tx in block.content}
        for tx in bounds.transactions:
            for way in final(bounds, mutant, epoch, tx) if tx not in archived else ():
                for decisions in product(*(decided(bounds, block) for block in chain)):
                    yield Pattern("final_archived", way.and_(*decisions))


def chains(bounds: Bounds) -> Iterator[list[Block]]:
    """Every sequence of blocks from height 1 on that ends with a closing block."""
    by_height = [[block for block in bounds.blocks if block.height == h] for h in range(1, bounds.heights + 1)]
    for length in range(1, bounds.heights + 1):
        for chain in product(*by_height[:length]):
            if chain[-1].closing and sum(block.closing for block in chain) <= bounds.epochs:
                yield list(chain)


def contradiction(me: Node) -> bool:
    """Whether it signed votes for rivals in one epoch, or two prevotes or two precommits in one round of one height."""
    cast = {(deed.epoch, deed.tx) for deed in me.done.get("vote", ())}
    if any((epoch, rival) in cast for epoch, tx in cast for rival in RIVALS[tx]):
        return True
    slots = [
        (deed.what, deed.block.height, deed.round)
        for what in ("prevote", "precommit")
        for deed in me.done.get(what, ())
        if deed.block
    ]
    return len(slots) != len(set(slots))


def accusable(me: Node) -> bool:
    """Section 3, evidence: it acked after its first seal, or acked t and freshly prevoted a closing block without it.

    The second counts unless t is in that block or in the blocks of the epoch below its height.
    """
    return bool(me.done.get("late")) or any(
        acked.epoch == epoch_of(me, block) and acked.tx not in (block.content + archived_in_epoch_below(me, block))
        for block in fresh_closing_prevotes(me)
        for acked in me.done.get("ack", ())
    )


def fresh_closing_prevotes(me: Node) -> list[Block]:
    """The closing blocks that it prevoted in the round that they were made in."""
    cast = me.done.get("prevote", ())
    return [each.block for each in cast if each.block and each.block.closing and each.block.made == each.round]


def epoch_of(me: Node, block: Block) -> int:
    """The epoch that ``block`` belongs to."""
    return 1 + sum(below.closing for below in me.chain_below(block.height))


def archived_in_epoch_below(me: Node, block: Block) -> tuple[str, ...]:
    """The transactions in blocks of the epoch of ``block`` below its height."""
    below = me.chain_below(block.height)
    closings = [index for index, each in enumerate(below) if each.closing]
    return tuple(tx for each in below[closings[-1] + 1 if closings else 0 :] for tx in each.content)

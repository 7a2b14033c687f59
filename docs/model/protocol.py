"""Sections 5 and 6 of protocol.md: what an honest masternode may do next, rule by rule.

``moves`` reads only the node itself; what it must have heard from others stands in the move (``Move.quorum``,
``Move.third``). Messages need no state: a node has heard what somebody sent, or not, as it likes, so whatever was
sent may be used at any time or never; time-outs, losses, reordering and clocks are all in that. The Byzantine
masternode counts for any quorum. Every block may be proposed in any round to anyone, as if the Byzantine one were
always the proposer.

``mutant`` names the one rule that is broken (docs/model/mutants.py says how), or is empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from docs.model.bounds import PARENTS, RIVALS
from docs.model.deeds import Block, Deed, Move, ack, applied, precommit, prevote, vote
from docs.model.node import Node


def moves(me: Node) -> Iterator[Move]:
    """Every step that ``me`` may take, if others have done what it needs."""
    if me.ended:
        return
    yield from votes(me)
    yield from acks(me)
    yield from seals(me)
    yield from prevotes(me)
    yield from precommits(me)
    yield from decisions(me)
    yield from restarts(me)


# R1 ------------------------------------------------------------------------------------------------------------------


def votes(me: Node) -> Iterator[Move]:
    """R1: valid on the chain plus what is certified or voted for, every input unlocked or locked for it."""
    early = me.mutant == "votes_before_closing_applied" and me.epoch < me.bounds.epochs
    for epoch in (me.epoch, me.epoch + 1) if early else (me.epoch,):
        for tx in me.bounds.transactions:
            if me.voted(epoch, tx) or any(locked_for(me, epoch, rival) for rival in RIVALS[tx]):
                continue
            if not valid_on_chain(me, (tx,)):
                continue
            parents = [parent for parent in PARENTS[tx] if parent not in me.archived]
            needed = [certificate(me, epoch, parent) for parent in parents if not me.voted(epoch, parent)]
            yield joined(Move(vote_deeds(me, epoch, tx)), *needed)


def vote_deeds(me: Node, epoch: int, tx: str) -> tuple[Deed, ...]:
    """The vote, and what a mutant remembers with it."""
    match me.mutant:
        case "locks_dropped_at_interim":
            return vote(epoch, tx), Deed("at", of="vote", tx=tx, height=me.height)
        case "votes_counted_next_epoch":
            return vote(epoch, tx), Deed("counted", of="vote", tx=tx)
    return (vote(epoch, tx),)


def locked_for(me: Node, epoch: int, rival: str) -> bool:
    """R1, R11: the vote lock lasts until the epoch's closing block is applied."""
    if me.mutant == "locks_dropped_at_interim":
        return me.has(Deed("at", of="vote", tx=rival, height=me.height))
    return me.voted(epoch, rival)


def valid_on_chain(me: Node, txs: tuple[str, ...]) -> bool:
    """No transaction archived twice, none whose coin an archived rival spent (R8 and section 2)."""
    return not any(tx in me.archived or me.archived & set(RIVALS[tx]) for tx in txs if tx != "filler")


# R2 ------------------------------------------------------------------------------------------------------------------


def acks(me: Node) -> Iterator[Move]:
    """R2: the closing block not applied, not sealed; certificate verified; ancestors certified and acked by me."""
    if sealed(me) and me.mutant != "no_seal":
        return
    for tx in me.bounds.transactions:
        if ack(me.epoch, tx) in me.deeds or tx in me.archived:
            continue
        ancestors = [parent for parent in PARENTS[tx] if parent not in me.archived]
        if me.mutant == "child_before_parent_certified":
            ancestors = []
        if all(parent in me.acked() for parent in ancestors):
            certified = [certificate(me, me.epoch, each) for each in (tx, *ancestors)]
            yield joined(Move(ack_deeds(me, tx)), *certified)


def ack_deeds(me: Node, tx: str) -> tuple[Deed, ...]:
    """The ack; that it came after a seal, if the seal was lifted; and what a mutant remembers with it."""
    late = (Deed("late", epoch=me.epoch),) if ever_sealed(me) else ()
    match me.mutant:
        case "acked_wiped_at_interim":
            return ack(me.epoch, tx), Deed("at", of="ack", tx=tx, height=me.height), *late
        case "acks_counted_next_epoch":
            return ack(me.epoch, tx), Deed("counted", of="ack", tx=tx), *late
    return ack(me.epoch, tx), *late


def certificate(me: Node, epoch: int, tx: str) -> Move:
    """Votes of a quorum of one epoch, of its members only; a filler has one from the start."""
    if tx == "filler":
        return Move(())
    match me.mutant:
        case "votes_counted_next_epoch" if epoch > 1:
            return Move((), quorum=(Deed("counted", of="vote", tx=tx),))
        case "nonmember_votes_counted":  # the Byzantine node, an outsider and one honest node
            return Move((), third=(vote(epoch, tx),))
    return Move((), quorum=(vote(epoch, tx),))


# R9 ------------------------------------------------------------------------------------------------------------------


def seals(me: Node) -> Iterator[Move]:
    """R9: at any time, since clocks are free; never lifted before the closing block is applied."""
    if not sealed(me):
        yield Move((seal_deed(me),))
    if me.mutant == "seal_lifted_each_round" and current_round(me) < me.bounds.rounds:
        yield Move((Deed("round", height=me.height, round=current_round(me) + 1),))


def seal_deed(me: Node) -> Deed:
    """The seal of the epoch; where a mutant lifts it, of this height or round of it."""
    match me.mutant:
        case "seal_lifted_each_round":
            return Deed("seal", epoch=me.epoch, height=me.height, round=current_round(me))
        case "seal_lifted_at_interim":
            return Deed("seal", epoch=me.epoch, height=me.height)
    return Deed("seal", epoch=me.epoch)


def sealed(me: Node) -> bool:
    """Whether it is sealed now."""
    return seal_deed(me) in me.deeds


def ever_sealed(me: Node) -> bool:
    """Whether it sealed in this epoch before, whatever a mutant thinks of it now."""
    return any(deed.epoch == me.epoch for deed in me.done.get("seal", ()))


def current_round(me: Node) -> int:
    """The round that a node which enters rounds explicitly is in."""
    return max((deed.round for deed in me.done.get("round", ()) if deed.height == me.height), default=1)


# R7, R8, R10 ---------------------------------------------------------------------------------------------------------


def prevotes(me: Node) -> Iterator[Move]:
    """R10: once a round, never back; derived without the local checks, or fresh with them."""
    rounds = range(1 + max((*me.prevotes, *me.precommits), default=0), me.bounds.rounds + 1)
    if me.mutant == "seal_lifted_each_round":
        rounds = range(max(rounds.start, current_round(me)), current_round(me) + 1)
    for round_ in rounds:
        for block in me.bounds.blocks:
            if block.height == me.height and block.made <= round_ and valid(me, block):
                yield from (fresh if block.made == round_ else derived)(me, block, round_)


def valid(me: Node, block: Block) -> bool:
    """R8 but for certificates (R10 (i)): conflict-free, ancestors included or archived, nothing archived twice."""
    chosen = set(block.content)
    complete = all(set(PARENTS[tx]) <= chosen | me.archived for tx in chosen)
    return complete and not any(chosen & set(RIVALS[tx]) for tx in chosen) and valid_on_chain(me, block.content)


def derived(me: Node, block: Block, round_: int) -> Iterator[Move]:
    """R10: with a POL of an earlier round, not below my locked round. (Being locked on it implies one.)"""
    for pol_round in range(max(block.made, me.locked_round), round_):
        if me.mutant == "ack_check_with_pol" and not includes_acked(me, block):
            continue
        pol = () if me.mutant == "pol_unverified" else (prevote(block, pol_round),)
        yield Move((prevote(block, round_),), quorum=pol)


def fresh(me: Node, block: Block, round_: int) -> Iterator[Move]:
    """R10: not locked; (i) certificates, or acks of more than a third; (ii) closing: sealed, with all that I acked."""
    if me.locked or not includes_acked(me, block):
        return
    cast = Move((prevote(block, round_),))
    if me.mutant == "uncertified_in_interim" and not block.closing:
        yield cast
        return
    yield joined(cast, *(certificate(me, me.epoch, tx) for tx in block.content))
    if block.content and block.content != ("filler",):
        yield joined(cast, *(acks_of_a_third(me, tx) for tx in block.content))


def acks_of_a_third(me: Node, tx: str) -> Move:
    """R10 (i): acks of more than W/3 stand for a certificate."""
    return certificate(me, me.epoch, tx) if tx == "filler" else Move((), third=(ack(me.epoch, tx),))


def includes_acked(me: Node, block: Block) -> bool:
    """R10 (ii)."""
    if not block.closing:
        return True
    return sealed(me) and to_be_archived(me, block.made) <= set(block.content)


def to_be_archived(me: Node, before: int) -> set[str]:
    """Every transaction that I acked in this epoch and that is not in the decided chain below this height.

    ``before``: the round at hand; earlier ones of the height matter to mutants only.
    """
    acked, counted = me.acked(), set(me.archived)
    earlier = [block for voted_in, block in me.prevotes.items() if voted_in < before and not block.closing]
    match me.mutant:
        case "no_ack_check":
            return set()
        case "ack_check_per_height_kind" if earlier:
            return set()
        case "prevoted_interim_counted_archived":
            counted.update(tx for block in earlier for tx in block.content)
        case "acked_wiped_at_interim":
            acked = {tx for tx in acked if me.has(Deed("at", of="ack", tx=tx, height=me.height))}
        case "acks_not_durable":
            acked = {tx for tx in acked if not me.has(Deed("lost", epoch=me.epoch, tx=tx, of="ack"))}
        case "archived_still_demanded":
            counted = set()
    return acked - counted


# Tendermint, R11 -----------------------------------------------------------------------------------------------------


def precommits(me: Node) -> Iterator[Move]:
    """On a quorum of prevotes of the round that I am in; it locks me. The kind makes no difference."""
    for round_ in range(max((1, 1 + me.locked_round, *me.prevotes)), me.bounds.rounds + 1):
        if me.mutant == "seal_lifted_each_round" and round_ != current_round(me):
            continue
        for block in me.bounds.blocks:
            if block.height == me.height and block.made <= round_ and valid(me, block):
                yield Move((precommit(block, round_),), quorum=(prevote(block, round_),))


def decisions(me: Node) -> Iterator[Move]:
    """R11: on a quorum of precommits of any round, or somebody's commit; ends this height's Tendermint state.

    The node's own statements of the height go with it, so a node that is still there can only apply the block, too.
    What else it could do there is in the variants of one height. The last block of a run need not be applied: nothing
    follows.
    """
    over = tuple(deed for deed in me.deeds if height_of(deed) == me.height)
    for block in me.bounds.blocks:
        last = block.height == me.bounds.heights or (block.closing and me.epoch == me.bounds.epochs)
        if block.height == me.height and not last:
            for round_ in range(block.made, me.bounds.rounds + 1):
                yield Move((applied(block),), quorum=(precommit(block, round_),), forgets=over)
            yield Move((applied(block),), third=(applied(block),), forgets=over)


def height_of(deed: Deed) -> int:
    """The height that a prevote, a precommit or the entering of a round belongs to; 0 for other deeds."""
    if deed.what == "round":
        return deed.height
    return deed.block.height if deed.block and deed.what in ("prevote", "precommit") else 0


# Section 4, durable before sent --------------------------------------------------------------------------------------


def restarts(me: Node) -> Iterator[Move]:
    """A restart loses nothing that the model holds, so it is no step; where a record is not durable, it goes."""
    kind = {"votes_not_durable": "vote", "acks_not_durable": "ack"}.get(me.mutant)
    for deed in me.done.get(kind, ()) if kind else ():
        lost = Deed("lost", epoch=deed.epoch, tx=deed.tx, of=deed.what)
        if deed.epoch == me.epoch and lost not in me.deeds:
            yield Move((lost,))


def joined(move: Move, *conditions: Move) -> Move:
    """``move`` under further conditions."""
    quorum = {deed for each in (move, *conditions) for deed in each.quorum}
    third = {deed for each in (move, *conditions) for deed in each.third}
    return Move(move.deeds, tuple(sorted(quorum, key=str)), tuple(sorted(third, key=str)))

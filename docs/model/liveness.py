"""Whether the honest can go on by themselves: ``stuck`` is a state in which they cannot.

From here on the network is synchronous, clocks are past the slot, and the Byzantine masternode is silent. Then the
honest exchange all they hold (decided blocks, locks with their POL, certificates with the acks that stand for them),
all seal, and an honest proposer of a new round proposes what R7 says. All three are needed for each quorum.
"""

from __future__ import annotations

from typing import NamedTuple

from docs.model.bounds import PARENTS, RIVALS, Bounds
from docs.model.deeds import Block
from docs.model.node import Node


class View(NamedTuple):
    """What of a node decides how the synchronous continuation goes."""

    chain: tuple[Block, ...]
    locked_round: int
    locked: Block | None
    voted: frozenset[str]
    acked: frozenset[str]


def view(me: Node) -> View:
    """The view of ``me``, in its open epoch."""
    voted = frozenset(tx for tx in me.bounds.transactions if me.voted(me.epoch, tx))
    return View(tuple(me.chain), me.locked_round, me.locked, voted, frozenset(me.acked()))


def caught_up(view: View, chain: tuple[Block, ...]) -> View:
    """``view`` after applying ``chain``; what it voted and acked lapses when its epoch closes in it."""
    missed = chain[len(view.chain) :]
    lapsed = any(block.closing for block in missed)
    if not missed:
        return view
    return View(view.chain, 0, None, frozenset() if lapsed else view.voted, frozenset() if lapsed else view.acked)


_NONE = Block(0, False, (), 0)


def stuck(views: tuple[View, ...], bounds: Bounds, mutant: str) -> bool:
    """Whether the synchronous continuation does not decide the epoch's closing block."""
    chain = max((view.chain for view in views), key=len)
    views = tuple(caught_up(view, chain) for view in views)
    here = [view for view in views if len(view.chain) == len(chain)]
    archived = {tx for block in chain for tx in block.content}
    locked_round, block = max((view.locked_round, view.locked or _NONE) for view in here)
    if not locked_round:
        return not fresh_closing_is_accepted(views, archived, mutant)
    if not all(derived_is_accepted(view, block, archived, mutant) for view in views):
        return True
    return not block.closing and not fresh_closing_is_accepted(views, archived | set(block.content), mutant)


def derived_is_accepted(view: View, block: Block, archived: set[str], mutant: str) -> bool:
    """R10, derived: the proposal carries the POL of the highest lock, so nobody's lock speaks against it."""
    if mutant == "ack_check_with_pol" and block.closing:
        return demanded(view, archived, mutant) <= set(block.content)
    return True


def fresh_closing_is_accepted(views: tuple[View, ...], archived: set[str], mutant: str) -> bool:
    """R7, R10, fresh: a valid closing block exists with all that anyone acked, certified to everybody's knowledge."""
    content: set[str] = set()
    for view in views:
        content |= demanded(view, archived, mutant)
    content |= {parent for tx in content for parent in PARENTS[tx] if parent not in archived}
    again = content & archived
    conflict = any(rival in content | archived for tx in content for rival in RIVALS[tx])
    return not again and not conflict and all(certified(views, tx) for tx in content)


def demanded(view: View, archived: set[str], mutant: str) -> set[str]:
    """R10 (ii): what it acked and is not archived."""
    return set(view.acked) if mutant == "archived_still_demanded" else set(view.acked) - archived


def certified(views: tuple[View, ...], tx: str) -> bool:
    """Whether some honest node holds a certificate, or all three voted or still can.

    That it acked it, or voted for a child without having voted for the parent, says that it holds one.
    """
    children = {child for child, parents in PARENTS.items() if tx in parents}
    held = any(tx in view.acked or (view.voted & children and tx not in view.voted) for view in views)
    return held or all(tx in view.voted or not view.voted & set(RIVALS[tx]) for view in views)

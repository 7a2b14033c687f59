"""The variants that are searched, each to the end, and the mutants with what they break.

``states`` and ``steps`` are exact: a model that became smaller by mistake is as bad as a broken one.
"""

from __future__ import annotations

from typing import NamedTuple

from docs.model.bounds import Bounds
from docs.model.invariants import GLOBAL, LOCAL

_INTERIM, _CLOSING = False, True
_FILLER = ((_INTERIM, ("filler",)),)
_INTERIMS = ((_INTERIM, ("t1",)), (_INTERIM, ("t2",)))
_EMPTY = ((_CLOSING, ()),)
_T1 = ((_CLOSING, ("t1",)),)
_CLOSINGS = (*_EMPTY, *_T1, (_CLOSING, ("t2",)))
_FAMILY = ((_CLOSING, ("t1", "child")),)
_CHILD = ((_INTERIM, ("child",)), (_CLOSING, ("child",)))
_RIVALS = ("t1", "t2")
_ALL = (*_RIVALS, "child")
#: All but liveness: where the honest alone are no quorum, the network stops, as it should.
SAFETY = (*GLOBAL, *LOCAL)
EVERYTHING = (*SAFETY, "stuck")


class Variant(NamedTuple):
    """Bounds, the number of canonical states, the steps of the longest way, and which invariants are watched."""

    about: str
    bounds: Bounds
    states: int
    steps: int
    watch: tuple[str, ...] = EVERYTHING


VARIANTS = {
    "rivals": Variant(
        "one height, two rivals, all kinds and contents, 2 rounds",
        Bounds(_RIVALS, ((*_INTERIMS, *_CLOSINGS),), rounds=2, swap=True),
        616_589,
        21,
    ),
    "rounds": Variant(
        "one height, one payment: an interim block with it, a closing one without it, 3 rounds",
        Bounds(("t1",), ((_INTERIMS[0], *_EMPTY),), rounds=3),
        10_550_788,
        27,
    ),
    "heights": Variant(
        "two heights, two rivals: interim, of the rivals or a filler, or closing; then closing; 2 rounds each",
        Bounds(_RIVALS, ((*_FILLER, *_INTERIMS, *_EMPTY), _CLOSINGS), rounds=2, swap=True),
        4_126_675,
        28,
    ),
    "three_heights": Variant(
        "three heights, two rivals, all kinds and contents at the first two, 1 round",
        Bounds(_RIVALS, (*[(*_FILLER, *_INTERIMS, *_CLOSINGS)] * 2, _CLOSINGS), swap=True),
        196_695,
        29,
    ),
    "child": Variant(
        "one height, two rivals and a child of t1, closing blocks, 2 rounds",
        Bounds(_ALL, ((*_CLOSINGS, *_FAMILY),), rounds=2),
        2_332_998,
        27,
    ),
    "one_transaction_blocks": Variant(
        "three heights, two rivals and a child of t1, blocks of one transaction, 1 round",
        Bounds(_ALL, ((*_INTERIMS, *_CLOSINGS), (*_CHILD, *_EMPTY), _EMPTY)),
        1_242_690,
        35,
    ),
    "next_epoch": Variant(
        "two epochs of one closing block each, two rivals, laggards, 1 round",
        Bounds(_RIVALS, (_CLOSINGS, _CLOSINGS), epochs=2, swap=True),
        273_741,
        29,
    ),
    "next_epoch_mixed": Variant(
        "two epochs, a closing block without rivals or with t1, then any kind and content, laggards, 1 round",
        Bounds(_RIVALS, (_CLOSINGS[:2], (*_INTERIMS, *_CLOSINGS)), epochs=2),
        2_497_285,
        29,
    ),
    "exactly_a_third": Variant(
        "three masternodes, one of them Byzantine, which is exactly a third; one height, two rivals, 2 rounds",
        Bounds(_RIVALS, ((*_INTERIMS, *_CLOSINGS),), rounds=2, swap=True, honest=2),
        1_427,
        14,
        SAFETY,
    ),
}

LARGE = {
    "rounds_all_contents": Variant(
        "as rounds, with the closing block that has the payment",
        Bounds(("t1",), ((_INTERIMS[0], *_CLOSINGS[:2]),), rounds=3),
        35_074_520,
        27,
    ),
    "next_epoch_rounds": Variant(
        "as next_epoch, 2 rounds",
        Bounds(_RIVALS, (_CLOSINGS, _CLOSINGS), rounds=2, epochs=2, swap=True),
        31_520_255,
        35,
    ),
}

#: Smaller ones, in which mutants show themselves as well.
_SMALL = {
    "one_round": Bounds(_RIVALS, ((*_INTERIMS, *_CLOSINGS),), swap=True),
    "two_rounds": Bounds(("t1",), ((_INTERIMS[0], *_CLOSINGS[:2]),), rounds=2),
    "filler": Bounds(_RIVALS, ((*_FILLER, *_CLOSINGS), _CLOSINGS), swap=True),
    "family": Bounds(_ALL, ((*_CLOSINGS, *_FAMILY),)),
}
BOUNDS = {name: variant.bounds for name, variant in (VARIANTS | LARGE).items()} | _SMALL


class Break(NamedTuple):
    """What a mutant breaks within which bounds, and how many steps the shortest way there has."""

    bounds: str
    invariant: str
    steps: int


MUTANTS = {
    "no_seal": (Break("one_round", "final_archived", 10), Break("one_round", "accusable", 4)),
    "seal_lifted_each_round": (Break("rivals", "final_archived", 11), Break("rivals", "accusable", 5)),
    "seal_lifted_at_interim": (Break("filler", "accusable", 9),),
    "no_ack_check": (Break("one_round", "final_archived", 10), Break("one_round", "accusable", 5)),
    "ack_check_per_height_kind": (Break("two_rounds", "final_archived", 11),),
    "prevoted_interim_counted_archived": (Break("two_rounds", "final_archived", 11),),
    "locks_dropped_at_interim": (Break("filler", "rivals_final", 13), Break("filler", "contradiction", 7)),
    "acked_wiped_at_interim": (Break("filler", "final_archived", 16),),
    "uncertified_in_interim": (Break("one_round", "rival_archived", 8),),
    "pol_unverified": (Break("rivals", "one_block_per_height", 10),),
    "final_on_certificate": (Break("one_round", "final_archived", 8),),
    "acks_not_durable": (Break("one_round", "final_archived", 11),),
    "votes_not_durable": (Break("one_round", "rivals_final", 9), Break("one_round", "contradiction", 3)),
    "quorum_two_thirds": (
        Break("exactly_a_third", "rivals_final", 4),
        Break("exactly_a_third", "one_block_per_height", 5),
        Break("exactly_a_third", "final_archived", 5),
    ),
    "votes_counted_next_epoch": (Break("next_epoch", "rivals_final", 16),),
    "acks_counted_next_epoch": (Break("next_epoch", "final_archived", 21),),
    "votes_before_closing_applied": (
        Break("next_epoch", "rival_archived", 14),
        Break("next_epoch", "rivals_final", 16),
    ),
    "nonmember_votes_counted": (Break("one_round", "rivals_final", 6), Break("one_round", "rival_archived", 8)),
    "ack_check_with_pol": (Break("two_rounds", "stuck", 8),),
    "archived_still_demanded": (Break("two_rounds", "stuck", 6),),
    "child_before_parent_certified": (Break("family", "stuck", 6),),
}

"""What the simulator found, each as a life that failed before it was mended."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.life import live
from timecoin.simulation.mutants import Hunt
from timecoin.simulation.plan import Fault, Options, Plan, Seat
from timecoin.simulation.planning import make_plan


def _lost_after_opening_alone(kind: str) -> Plan:
    """Node 0 is mute before the end of epoch 3, alone sees the precommits, opens epoch 4, signs there, and loses its
    disk; the others have epoch 3 open when it comes back."""
    all_nodes, slot = (0, 1, 2, 3), 12 * SECOND - SECOND // 2
    faults = (
        Fault(slot - 300 * MILLISECOND, "shown_to_one", (-1, 0), slot + 900 * MILLISECOND, 0, "precommit"),
        Fault(slot + 900 * MILLISECOND, "held", (-1, *all_nodes), slot + 3_400 * MILLISECOND, 0, "precommit"),
        Fault(slot - 300 * MILLISECOND, "held", all_nodes, slot + 2_500 * MILLISECOND, 0, "precommit"),
        Fault(7_530 * MILLISECOND, "one_way", all_nodes, slot + SECOND, detail="mute"),
        Fault(slot + SECOND, kind, (0,), value=1),
    )
    plan = make_plan(Options(seed=1, nodes=4, byzantine=0, epochs=4, faults=(), profile="calm"))
    seats, regions = (Seat("GOLD"),) * 4, (0,) * 4
    return msgspec.structs.replace(
        plan, seats=seats, epoch_seconds=4, payments=20, newcomers=0, followers=0, regions=regions, faults=faults
    )


class FoundTest(SynchronousTestCase):
    def test_signed_in_an_epoch_that_nobody_else_had_opened(self) -> None:
        """Barred only through the highest epoch that peers had open (protocol.md 4), it signed there a second time."""
        outcome = live(_lost_after_opening_alone("new_disk"))
        self.assertIsNone(outcome.violation)
        self.assertEqual(outcome.faults["new_disk"], 1)

    def test_own_proposal_of_a_round_long_past(self) -> None:
        """After a restart the proposer of a forgotten round took its own proposal for one that its journal lacks, and
        was silent: with one liar among four no block was decided any more."""
        outcome = live(make_plan(Options(seed=203092, nodes=4, epochs=1)))
        self.assertIsNone(outcome.violation)

    def test_who_withholds_bodies_is_not_the_only_one_asked(self) -> None:
        """Whoever named a body was asked in turn, but the turn went on while an answer was waited for: of three signers
        it came to the same liar every time, until the payment expired."""
        outcome = live(make_plan(Options(seed=203986, nodes=4, epochs=1)))
        self.assertIsNone(outcome.violation)

    def test_a_rejection_that_waits_for_the_disk_at_the_end_is_no_loss(self) -> None:
        """The observer took it for one: a rival had become final in the last milliseconds of the life."""
        outcome = live(make_plan(Options(seed=600557, nodes=4, epochs=1)))
        self.assertIsNone(outcome.violation)

    def test_a_third_of_the_power_is_silent_beside_a_liar(self) -> None:
        """Only the operator's word ends that (protocol.md 4): the liar was jailed, one of the three others had lost its
        journal, and the observer expected the epoch to close."""
        outcome = live(make_plan(Options(seed=601430, nodes=4, epochs=1)))
        self.assertIsNone(outcome.violation)
        self.assertEqual(outcome.epochs, 3)

    def test_many_newcomers_at_once(self) -> None:
        """Newcomers ended the doubt of a fresh journal only in the first epoch of their membership, and were silent in
        it: where they had a third of the power that epoch never closed."""
        plan = Hunt(1, epochs=5).plan(0, None)
        joins = [Fault(SECOND + number, "join", (4 + number,), value=1) for number in range(3)]
        seats = (Seat("BRONZE"),) * 4
        plan = msgspec.structs.replace(
            plan, seats=seats, newcomers=3, followers=0, regions=(0,) * 7, faults=(*plan.faults, *joins)
        )
        outcome = live(plan)
        self.assertIsNone(outcome.violation)
        self.assertGreater(outcome.epochs, 4)

"""How old acks and anchors may be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.proofs.story import BACKEND, STORY
from timecoin.proofs.ages import check_age, unbonding_seconds
from timecoin.proofs.errors import SetHasLeft
from timecoin.proofs.verifying import verify

PARAMS = STORY.chain.genesis.parameters
BOUND = unbonding_seconds(PARAMS)


class AgeTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.final = verify(STORY.finality(), STORY.anchor, BACKEND)
        self.archived = verify(STORY.signed(1, 0), STORY.anchor, BACKEND)

    def test_the_bound_is_the_unbonding_time(self) -> None:
        self.assertEqual(BOUND, 144 * 600)

    def test_acks_while_their_epoch_is_open(self) -> None:
        age = check_age(self.final, PARAMS, self.final.since + 700)
        self.assertEqual((age.seconds, age.anchor_seconds), (700, 700 + 3 * 600))
        self.assertFalse(age.epoch_is_over or age.anchor_is_old)

    def test_acks_after_their_epoch(self) -> None:
        self.assertTrue(check_age(self.final, PARAMS, self.final.since + 1_200).epoch_is_over)

    def test_acks_prove_nothing_once_their_set_may_have_left(self) -> None:
        check_age(self.final, PARAMS, self.final.since + BOUND)
        self.assertRaises(SetHasLeft, check_age, self.final, PARAMS, self.final.since + BOUND + 1)

    def test_archived_stays_proved_but_the_anchor_is_called_old(self) -> None:
        self.assertFalse(check_age(self.archived, PARAMS, self.archived.anchor_time + BOUND).anchor_is_old)
        self.assertTrue(check_age(self.archived, PARAMS, self.archived.anchor_time + BOUND + 1).anchor_is_old)

    def test_hashes_do_not_age(self) -> None:
        linked = verify(STORY.linked(1, 0, 3), STORY.anchor_of(3), BACKEND)
        self.assertFalse(check_age(linked, PARAMS, linked.anchor_time + 99 * BOUND).anchor_is_old)

    def test_a_clock_that_is_behind(self) -> None:
        self.assertEqual(check_age(self.final, PARAMS, 0).seconds, 0)

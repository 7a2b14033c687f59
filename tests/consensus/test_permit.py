"""May this node sign? (protocol.md 4, *Journal*)"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.consensus.permit import SigningPermit
from timecoin.ledger.powerset import Member, PowerSet


def key(number: int) -> bytes:
    return b"\x02" + bytes([number]) * 32


MEMBERS = PowerSet(Member(bytes([n]) * 32, key(n), 10, b"\x00\x14" + bytes(20)) for n in range(4))


def permit(intact: bool = True, fresh: bool = False, silent_until: int = 0) -> SigningPermit:
    return SigningPermit(intact=intact, fresh=fresh, silent_until=silent_until)


class PermitTest(SynchronousTestCase):
    def test_quorum_with_myself(self) -> None:
        mine = permit()
        mine.hear(key(1), 5)
        self.assertFalse(mine.settle(MEMBERS, 0, 5))
        self.assertFalse(mine.exchanged)
        self.assertFalse(mine.allows(5, MEMBERS))
        mine.hear(key(2), 5)
        self.assertFalse(mine.settle(MEMBERS, 0, 5))
        self.assertTrue(mine.exchanged)
        self.assertTrue(mine.allows(5, MEMBERS))

    def test_myself_counts_once(self) -> None:
        mine = permit()
        mine.hear(key(0), 5)
        mine.hear(key(1), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertFalse(mine.exchanged)

    def test_strangers_do_not_count(self) -> None:
        mine = permit()
        for n in range(4, 20):
            mine.hear(key(n), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertFalse(mine.exchanged)

    def test_incomplete_does_not_count(self) -> None:
        mine = permit()
        mine.hear(key(1), 5)
        mine.hear(key(2), 5, complete=False)
        mine.settle(MEMBERS, 0, 5)
        self.assertFalse(mine.exchanged)
        mine.hear(key(2), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertTrue(mine.exchanged)

    def test_lost_before_the_exchange(self) -> None:
        mine = permit()
        mine.hear(key(1), 5)
        mine.forget(key(1))
        mine.hear(key(2), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertFalse(mine.exchanged)

    def test_lost_after_it(self) -> None:
        mine = permit()
        for n in (1, 2):
            mine.hear(key(n), 5)
        mine.settle(MEMBERS, 0, 5)
        for n in (1, 2):
            mine.forget(key(n))
        self.assertTrue(mine.allows(5, MEMBERS))

    def test_an_old_chain_is_held_though_state_was_exchanged(self) -> None:
        """Returning may begin in a node that has voted before: it was cut off, and its process went on."""
        mine = permit()
        for n in (1, 2):
            mine.hear(key(n), 5)
        mine.settle(MEMBERS, 0, 5)
        mine.held = True
        self.assertFalse(mine.allows(5, MEMBERS))
        mine.override(5)
        self.assertFalse(mine.allows(5, MEMBERS))
        mine.held = False
        self.assertTrue(mine.allows(5, MEMBERS))

    def test_newcomer_settles_before_it_is_a_member(self) -> None:
        # Else it would be silent in the first epoch of its membership, and if many join at once nobody would be left to
        # close that epoch (found by simulation).
        mine = permit(intact=False, fresh=True)
        for n in range(2):
            mine.hear(key(n), 3)
        self.assertFalse(mine.settle(MEMBERS, None, 3))
        self.assertFalse(mine.exchanged)
        mine.hear(key(2), 3)
        self.assertTrue(mine.settle(MEMBERS, None, 3))
        self.assertTrue(mine.exchanged)
        self.assertTrue(mine.silences(3))
        for n in range(3):
            mine.hear(key(n), 5)
        self.assertTrue(mine.allows(5, MEMBERS))

    def test_not_intact(self) -> None:
        """Silent through the highest epoch that anybody of the quorum had open, and the one that I may have opened."""
        mine = permit(intact=False)
        mine.hear(key(1), 7)
        mine.hear(key(2), 6)
        self.assertTrue(mine.settle(MEMBERS, 0, 6))
        self.assertEqual(mine.silent_until, 8)
        self.assertFalse(mine.allows(8, MEMBERS))
        self.assertTrue(mine.allows(9, MEMBERS))
        self.assertFalse(mine.settle(MEMBERS, 0, 6))

    def test_one_liar_cannot_silence_for_good(self) -> None:
        mine = permit(intact=False)
        mine.hear(key(1), 2**32 - 1)
        mine.hear(key(2), 6)
        mine.settle(MEMBERS, 0, 6)
        self.assertEqual(mine.silent_until, 9)

    def test_fresh_in_the_first_epoch(self) -> None:
        mine = permit(intact=False, fresh=True)
        for n in (1, 2):
            mine.hear(key(n), 1)
        self.assertTrue(mine.settle(MEMBERS, 0, 1))
        self.assertEqual(mine.silent_until, 0)
        self.assertTrue(mine.allows(1, MEMBERS))

    def test_fresh_later(self) -> None:
        mine = permit(intact=False, fresh=True)
        mine.hear(key(1), 2)
        mine.hear(key(2), 2)
        self.assertTrue(mine.settle(MEMBERS, 0, 1))
        self.assertEqual(mine.silent_until, 3)

    def test_one_liar_cannot_keep_a_new_network_from_starting(self) -> None:
        """A quorum with myself is in the first epoch: what a single one says beyond it waits for others."""
        for others in (1, 2):
            mine = permit(intact=False, fresh=True)
            mine.hear(key(3), 9)
            mine.hear(key(1), 1)
            self.assertFalse(mine.settle(MEMBERS, 0, 1))
            self.assertFalse(mine.exchanged)
            mine.hear(key(2), others)
            self.assertTrue(mine.settle(MEMBERS, 0, 1))
            self.assertEqual(mine.allows(1, MEMBERS), others == 1)
            self.assertEqual(mine.silent_until, 0 if others == 1 else 5)

    def test_contradicted(self) -> None:
        mine = permit()
        for n in (1, 2):
            mine.hear(key(n), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertTrue(mine.contradicted(5))
        self.assertFalse(mine.contradicted(5))
        self.assertFalse(mine.allows(6, MEMBERS))
        self.assertTrue(mine.allows(7, MEMBERS))

    def test_operator_overrides(self) -> None:
        mine = permit(intact=False, silent_until=9)
        self.assertTrue(mine.silences(10))
        mine.override(5)
        self.assertFalse(mine.silences(5))
        for n in (1, 2):
            mine.hear(key(n), 5)
        self.assertFalse(mine.settle(MEMBERS, 0, 5))
        self.assertTrue(mine.allows(5, MEMBERS))
        self.assertFalse(mine.contradicted(5))
        self.assertTrue(mine.allows(5, MEMBERS))
        self.assertTrue(mine.contradicted(6))
        self.assertFalse(mine.allows(6, MEMBERS))

    def test_behind_the_network(self) -> None:
        """More than a third of the power is further: what I would sign is of no use, and might contradict."""
        mine = permit()
        mine.hear(key(1), 6)
        mine.hear(key(2), 5)
        mine.settle(MEMBERS, 0, 5)
        self.assertTrue(mine.allows(5, MEMBERS))
        mine.hear(key(2), 6)
        self.assertFalse(mine.allows(5, MEMBERS))
        self.assertTrue(mine.allows(6, MEMBERS))

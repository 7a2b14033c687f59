from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import PARAMS, entry, txid
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.tiers import Tier

PREVIOUS = PowerSet([entry(900).member()])


def chosen(*entries: Entry, free_mode: bool = False, **parameters: int) -> tuple[list[int], bool]:
    """The numbers of the masternodes that sit, in order, and the Free mode that follows."""
    numbers = {txid(number): number for number in (*range(1, 400), 900)}
    params = msgspec.structs.replace(PARAMS, **parameters)
    registry = Registry(sorted(entries, key=lambda e: e.order))
    members, still_free = registry.choose_set(params, PREVIOUS, free_mode)
    return [numbers[member.masternode_id] for member in members.members], still_free


class OrderTests(SynchronousTestCase):
    def test_power_then_registration(self) -> None:
        entries = [
            entry(1),
            entry(2, Tier.GOLD, height=9),
            entry(3, Tier.SILVER, height=5),
            entry(4, height=3),
        ]
        entries.append(entry(5, Tier.SILVER, height=4))
        self.assertEqual(chosen(*entries), ([2, 5, 3, 1, 4], False))

    def test_position_breaks_the_tie(self) -> None:
        self.assertEqual(chosen(entry(2, position=8), entry(1, position=9))[0], [2, 1])

    def test_who_may_not_sit(self) -> None:
        away = [entry(2, suspended=True), entry(3, jailed=1, release=9), entry(4, unregistered=1, release=9)]
        self.assertEqual(chosen(entry(1), *away)[0], [1])

    def test_cut(self) -> None:
        entries = [entry(1), entry(2, Tier.SILVER), entry(3, Tier.SILVER), entry(4, Tier.FREE)]
        self.assertEqual(chosen(*entries, max_set=2)[0], [2, 3])

    def test_nobody(self) -> None:
        self.assertEqual(chosen(entry(1, suspended=True)), ([900], False))
        self.assertEqual(chosen(entry(1, Tier.FREE)), ([900], False))


class FreeSeatTests(SynchronousTestCase):
    free = [entry(number, Tier.FREE, height=7) for number in range(10, 40)]

    def seats(self, *paid: Entry, **parameters: int) -> int:
        return len(chosen(*paid, *self.free, **parameters)[0]) - len(paid)

    def test_share_of_the_power(self) -> None:
        """floor(P × 100 / 1000): one Free seat per Bronze masternode."""
        self.assertEqual(self.seats(entry(1)), 1)
        self.assertEqual(self.seats(entry(1), entry(2)), 2)
        self.assertEqual(self.seats(entry(1, Tier.SILVER)), 10)
        self.assertEqual(self.seats(entry(1), free_power_permille=199), 1)
        self.assertEqual(self.seats(entry(1), free_power_permille=0), 0)

    def test_power_of_a_seat(self) -> None:
        self.assertEqual(self.seats(entry(1, Tier.SILVER), free_power=3), 3)

    def test_places(self) -> None:
        self.assertEqual(self.seats(entry(1, Tier.GOLD), max_set=5), 4)

    def test_by_registration_after_the_paid(self) -> None:
        late = entry(50, Tier.FREE, height=2)
        self.assertEqual(chosen(entry(1, height=8), entry(2, height=9), late, *self.free)[0], [1, 2, 50, 10])

    def test_never_a_third(self) -> None:
        paid = [entry(number) for number in range(1, 5)]
        members, _ = Registry([*paid, *self.free]).choose_set(
            msgspec.structs.replace(PARAMS, free_power_permille=499), PREVIOUS, False
        )
        free_power = sum(m.power for m in members.members if m.power == 1)
        self.assertEqual((free_power, members.exceeds_third(free_power)), (19, False))


class FreeModeTests(SynchronousTestCase):
    genesis = [entry(1, Tier.FREE), entry(2, Tier.FREE)]

    def test_only_genesis_seats(self) -> None:
        late = [entry(3, Tier.FREE, height=1), entry(4, Tier.GOLD, height=1)]
        self.assertEqual(chosen(*self.genesis, *late, free_mode=True), ([1, 2], True))

    def test_alone(self) -> None:
        self.assertEqual(chosen(self.genesis[0], free_mode=True), ([1], True))

    def test_ends_with_enough_paid(self) -> None:
        paid = [entry(number, height=1) for number in range(3, 7)]
        self.assertEqual(chosen(*self.genesis, *paid[:3], free_mode=True), ([1, 2], True))
        self.assertEqual(chosen(*self.genesis, *paid, free_mode=True), ([3, 4, 5, 6, 1, 2], False))

    def test_a_third_is_too_much(self) -> None:
        """One with 100 of P = 300, exactly a third, does not let Free mode end; 100 of 310 does."""
        big = entry(3, Tier.SILVER, height=1)
        small = [entry(number, height=1) for number in range(4, 24)]
        self.assertTrue(chosen(*self.genesis, big, *small, free_mode=True)[1])
        self.assertFalse(chosen(*self.genesis, big, *small, entry(30, height=1), free_mode=True)[1])

    def test_suspended_do_not_count(self) -> None:
        paid = [entry(number, height=1) for number in range(3, 6)]
        away = entry(6, height=1, suspended=True)
        self.assertTrue(chosen(*self.genesis, *paid, away, free_mode=True)[1])

    def test_for_good(self) -> None:
        """Out of Free mode the genesis seats alone are nobody, even when all paid ones have left."""
        self.assertEqual(chosen(*self.genesis, free_mode=False), ([900], False))

    def test_nobody_left(self) -> None:
        gone = entry(1, Tier.FREE, unregistered=1, release=9)
        self.assertEqual(chosen(gone, free_mode=True), ([900], True))

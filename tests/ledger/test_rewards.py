from __future__ import annotations

import gmpy2
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.test_powerset import power_set
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.rewards import payouts, reward

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60, database=None)
PARAMS = Parameters()
BASE = PARAMS.base_reward


def values(members: PowerSet, signers: set[bytes] | None, fees: int = 0, supply: int = 0) -> list[int]:
    return [output.value for output in payouts(PARAMS, members, signers, fees, supply)]


class RewardTests(SynchronousTestCase):
    def test_facts(self) -> None:
        """100 × (1 + ln n) TIME; ln 4 = 1.386294361119…, ln 10 = 2.302585092994…, ln 100 = 4.605170185988…"""
        facts = {0: 0, 1: 100_00000000, 2: 169_31471805, 4: 238_62943611, 10: 330_25850929, 100: 560_51701859}
        for n, units in facts.items():
            self.assertEqual(reward(n, BASE), units, n)

    def test_against_mpfr(self) -> None:
        with gmpy2.context(precision=400, round=gmpy2.RoundToNearest):
            for n in (*range(1, 101), 1_000, 65_535):
                exact = gmpy2.mpfr(BASE) * (1 + gmpy2.log(gmpy2.mpfr(n)))
                self.assertEqual(reward(n, BASE), int(gmpy2.floor(exact)), n)

    def test_rounding_digit(self) -> None:
        """With a huge base reward the 50th digit shows: ln 2 ends …9360755 at 50 digits."""
        digits = 69314718055994530941723212145817656807550013436026
        self.assertEqual(reward(2, 10**50), 10**50 + digits)

    def test_negative(self) -> None:
        self.assertRaises(ValueError, reward, -1, BASE)


class PayoutTests(SynchronousTestCase):
    def test_alone(self) -> None:
        self.assertEqual(values(power_set(1), None), [100_00000000])

    def test_fees_join_the_pot(self) -> None:
        self.assertEqual(values(power_set(1), None, fees=7), [100_00000007])

    def test_absent_shares_are_not_created(self) -> None:
        members = power_set(10, 10, 10, 10)
        present = {member.masternode_id for member in members.members[:3]}
        third = reward(3, BASE) * 10 // 40
        self.assertEqual(values(members, present), [third] * 3)

    def test_leaving_others_out_earns_nothing(self) -> None:
        members = power_set(1_000, 100, 10)
        everyone = {member.masternode_id for member in members.members}
        for left_out in members.members[1:]:
            self.assertLess(
                values(members, everyone - {left_out.masternode_id})[0], values(members, everyone)[0]
            )

    def test_nobody(self) -> None:
        self.assertEqual(values(power_set(10, 1), set(), fees=50), [])

    def test_strangers_do_not_count(self) -> None:
        members = power_set(10, 10)
        self.assertEqual(values(members, {bytes(32), members.members[0].masternode_id}), [50_00000000])

    def test_zero_shares_are_left_out(self) -> None:
        members = power_set(1_000, 1)
        params = Parameters(base_reward=0)
        self.assertEqual([o.value for o in payouts(params, members, None, 1_000, 0)], [999])

    def test_supply_cap(self) -> None:
        members = power_set(1)
        self.assertEqual(values(members, None, supply=PARAMS.max_money - 5), [5])
        self.assertEqual(values(members, None, fees=3, supply=PARAMS.max_money), [3])

    @SETTINGS
    @given(
        st.lists(st.integers(1, 1_000), min_size=1, max_size=10),
        st.integers(0, 2**10 - 1),
        st.integers(0, 10**12),
        st.integers(0, 2 * 10**10),
    )
    def test_never_more_than_the_cap(self, powers: list[int], mask: int, fees: int, room: int) -> None:
        """What exists after the closing block: supply - fees + payouts, never more than pot or max_money."""
        members = power_set(*powers)
        supply = PARAMS.max_money - room
        signers = set(members.ids_of(mask))
        paid = values(members, signers, fees, supply)
        self.assertLessEqual(sum(paid), reward(len(signers), BASE) + fees)
        self.assertLessEqual(supply - fees + sum(paid), PARAMS.max_money)
        self.assertTrue(all(value > 0 for value in paid))

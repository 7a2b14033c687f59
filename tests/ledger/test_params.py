from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.params import ParameterError, Parameters
from timecoin.ledger.tiers import Tier


class DefaultTests(SynchronousTestCase):
    def test_protocol_values(self) -> None:
        """The numbers that protocol.md states."""
        params = Parameters()
        params.validate()
        self.assertEqual((params.max_money, params.base_reward), (10**10 * 10**8, 100 * 10**8))
        self.assertEqual((params.dust, params.min_fee_rate, params.max_tx_bytes), (10_000, 100, 100_000))
        self.assertEqual(
            (params.unbonding_epochs, params.jail_epochs, params.absent_epochs), (144, 1_008, 144)
        )
        self.assertEqual((params.max_set, params.max_free, params.free_power_permille), (100, 100, 100))
        self.assertEqual((params.max_block_bytes, params.max_block_txs), (2_000_000, 30_000))
        self.assertEqual((params.interim_bytes, params.interim_txs), (1_000_000, 5_000))

    def test_tiers(self) -> None:
        params = Parameters()
        time = 10**8
        facts = [(999, None), (1_000, Tier.BRONZE), (9_999, Tier.BRONZE), (10_000, Tier.SILVER)]
        facts += [(99_999, Tier.SILVER), (100_000, Tier.GOLD), (10**9, Tier.GOLD)]
        for amount, tier in facts:
            self.assertEqual(params.paid_tier(amount * time), tier, amount)
        self.assertIs(params.paid_tier(1_000 * time - 1), None)
        self.assertEqual([params.power(tier) for tier in Tier], [1, 10, 100, 1_000])
        self.assertEqual(params.threshold(Tier.FREE), 0)


class ShortEpochTests(SynchronousTestCase):
    def test_scaling(self) -> None:
        short = Parameters.for_epoch_seconds(4)
        self.assertEqual((short.clock_tolerance, short.seal_lead), (500, 400))
        self.assertLess(short.timeout_propose, 3_000)
        self.assertEqual(Parameters.for_epoch_seconds(600), Parameters())

    def test_every_length_is_valid(self) -> None:
        for seconds in (1, 2, 3, 4, 5, 7, 10, 30, 60, 80, 81, 600, 3_600):
            Parameters.for_epoch_seconds(seconds).validate()

    def test_overrides(self) -> None:
        self.assertEqual(Parameters.for_epoch_seconds(4, snapshot_epochs=4).snapshot_epochs, 4)


class RefusalTests(SynchronousTestCase):
    def assert_refused(self, parameter: str, **changes: object) -> None:
        params = msgspec.structs.replace(Parameters(), **changes)
        error = self.assertRaises(ParameterError, params.validate)
        self.assertEqual(error.parameter, parameter, str(error))

    def assert_valid(self, **changes: int) -> None:
        msgspec.structs.replace(Parameters(), **changes).validate()

    def test_section_12(self) -> None:
        """Each rule of protocol.md section 12, at and beyond its limit."""
        self.assert_refused("interim_bytes", interim_bytes=1_000_001)
        self.assert_refused("interim_txs", interim_txs=15_001)
        self.assert_valid(interim_txs=15_000)
        self.assert_refused("max_tx_bytes", max_tx_bytes=500_001)
        self.assert_valid(max_tx_bytes=500_000)
        self.assert_refused("max_block_bytes", max_block_bytes=4 * 1024 * 1024)
        self.assert_refused("max_block_bytes", max_evidence_bytes=4 * 1024 * 1024 - 2_000_000)
        self.assert_refused("max_block_txs", max_block_txs=65_536)
        self.assert_refused("clock_tolerance", epoch_seconds=47)
        self.assert_valid(epoch_seconds=48)

    def test_commits_count_for_the_size(self) -> None:
        """A block that fits with a commit of 100 signatures does not with one of 65,535."""
        self.assert_refused("max_block_bytes", max_set=40_000)

    def test_ranges(self) -> None:
        self.assert_refused("max_money", max_money=2**63)
        self.assert_refused("epoch_seconds", epoch_seconds=0)
        self.assert_refused("dust", dust=-1)
        self.assert_refused("base_reward", base_reward=10**18 + 1)
        self.assert_refused("jail_epochs", jail_epochs=2**31)
        self.assert_refused("max_set", max_set=True)
        self.assert_refused("max_set", max_set=10.0)
        self.assert_valid(base_reward=0, dust=0, min_fee_rate=0, max_free=0, free_power_permille=0)

    def test_masternodes(self) -> None:
        self.assert_refused("bronze_collateral", bronze_collateral=10_000 * 10**8)
        self.assert_refused("free_power", silver_power=10)
        self.assert_refused("free_power", free_power=11)
        self.assert_refused("free_power_permille", free_power_permille=500)
        self.assert_refused("min_paid", min_paid=101)

    def test_time_outs(self) -> None:
        self.assert_refused("seal_wait", seal_wait=3_000)
        self.assert_refused("seal_wait_delta", seal_wait_delta=501)

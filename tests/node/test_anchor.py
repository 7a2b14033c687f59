"""Trusted blocks: how they are written, which one counts, and until when they prove anything."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.closing_chain import Anchor
from timecoin.ledger.params import Parameters
from timecoin.node import anchor as module
from timecoin.node.anchor import TrustSetting, chosen_anchor, describe, is_recent, parse_trust

HASH = "00" * 31 + "ab"


class WrittenTest(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        setting = parse_trust(f"17:{HASH}")
        self.assertEqual(setting.anchor, Anchor(17, b"\xab" + bytes(31)))
        for text in (f"17:{HASH}", "genesis", ""):
            self.assertEqual(str(parse_trust(text)), text)

    def test_refused(self) -> None:
        for text in (
            "17",
            HASH,
            f"0:{HASH}",
            f"-1:{HASH}",
            f"{2**32}:{HASH}",
            f"17:{HASH[:-1]}",
            f"17:{HASH.upper()}",
            f"17:{HASH} ",
            f"17:{HASH}\n",
            "Genesis",
        ):
            self.assertRaises(ValueError, parse_trust, text)


class ChosenTest(SynchronousTestCase):
    def test_the_operator_before_the_release(self) -> None:
        mine, theirs = Anchor(1, bytes(32)), Anchor(2, bytes(32))
        self.patch(module, "RELEASE_ANCHORS", {"mainnet": theirs})
        self.assertEqual(chosen_anchor(TrustSetting(mine), "mainnet"), mine)
        self.assertEqual(chosen_anchor(TrustSetting(), "mainnet"), theirs)
        self.assertIsNone(chosen_anchor(TrustSetting(), "devnet"))
        self.assertEqual(describe(mine), "1:" + "0" * 64)


class RecentTest(SynchronousTestCase):
    def test_by_epochs_and_by_the_clock(self) -> None:
        params = Parameters()
        limit, slot = params.unbonding_epochs, 1_700_000_000
        for epochs, slots, recent in ((limit, limit, True), (limit + 1, limit, False), (limit, limit + 1, False)):
            now = 1_000 * (slot + slots * params.epoch_seconds)
            self.assertEqual(is_recent(params, 5, slot, 5 + epochs, now), recent)

    def test_a_clock_that_is_slow(self) -> None:
        self.assertTrue(is_recent(Parameters(), 5, 1_700_000_000, 6, 0))

"""Random schedules: agreement, no contradiction, validity, and a decision once the network is calm."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.height_chaos import CASTS, live


class ChaosTests(SynchronousTestCase):
    @settings(deadline=None, derandomize=True, max_examples=40, database=None)
    @given(st.integers(0, 2**32), st.sampled_from(CASTS))
    def test_random_lives(self, seed: int, cast: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
        live(seed, *cast)

    def test_first_seeds_of_every_cast(self) -> None:
        for cast in CASTS:
            for seed in range(2):
                live(seed, *cast)

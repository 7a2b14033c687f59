"""How hard generated tests try: ``TIMECOIN_TEST_EFFORT`` multiplies their examples (default 1)."""

from __future__ import annotations

import os

VARIABLE = "TIMECOIN_TEST_EFFORT"


def effort() -> int:
    """The factor of the environment, at least 1."""
    return max(1, int(os.environ.get(VARIABLE) or 1))

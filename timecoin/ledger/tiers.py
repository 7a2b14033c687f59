"""Masternode tiers (protocol.md section 3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Tier(IntEnum):
    """The class of a masternode; collateral and power are parameters, the numbers the registry's encoding."""

    FREE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3


#: The paid tiers from the most to the least collateral.
TIERS_BY_POWER: Final = (Tier.GOLD, Tier.SILVER, Tier.BRONZE)

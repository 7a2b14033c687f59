"""What a joining node trusts from outside: a block that its operator or its release names (protocol.md section 10).

Commits prove nothing to somebody who was not there when the collateral behind them was bound: whoever was paid out may
sign another past. So a node that comes new to an old network needs one block from people it trusts, not older than
``unbonding_epochs``; from there on commits prove everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from timecoin.ledger.closing_chain import Anchor
from timecoin.ledger.params import Parameters
from timecoin.primitives.hashes import display, parse_display

RELEASE_ANCHORS: dict[str, Anchor] = {}
"""The block that this release vouches for, by the network's name. There is none before a network has run."""
_WRITTEN = re.compile(r"([0-9]{1,10}):([0-9a-f]{64})\Z")
GENESIS_WORD = "genesis"


@dataclass(frozen=True, slots=True)
class TrustSetting:
    """``trusted`` of node.ini: a block, or (``genesis``) the operator's word that block 0 is enough."""

    anchor: Anchor | None = None
    genesis: bool = False

    def __str__(self) -> str:
        return GENESIS_WORD if self.genesis else "" if self.anchor is None else describe(self.anchor)


def parse_trust(text: str) -> TrustSetting:
    """``HEIGHT:HASH`` (hash as displayed, 64 hex digits), ``genesis`` or nothing; ValueError."""
    if not text:
        return TrustSetting()
    if text == GENESIS_WORD:
        return TrustSetting(genesis=True)
    found = _WRITTEN.match(text)
    if found is None or not 0 < int(found[1]) < 2**32:
        raise ValueError(text)
    return TrustSetting(Anchor(int(found[1]), parse_display(found[2])))


def describe(anchor: Anchor) -> str:
    """``HEIGHT:HASH``, as it is written in node.ini."""
    return f"{anchor.height}:{display(anchor.block_hash)}"


def chosen_anchor(setting: TrustSetting, network: str) -> Anchor | None:
    """The operator's block, else the release's; None: nobody named one."""
    return setting.anchor if setting.anchor is not None else RELEASE_ANCHORS.get(network)


def is_recent(params: Parameters, anchor_epoch: int, anchor_slot: int, newest_epoch: int, now_ms: int) -> bool:
    """Is nobody's collateral of the anchor's sets free yet, by the epochs that peers show and by the own clock?

    Both are asked: peers may hide epochs, and no epoch is shorter than a slot. ``anchor_slot`` in seconds.
    """
    slots = max(0, now_ms // 1_000 - anchor_slot) // params.epoch_seconds
    return max(newest_epoch - anchor_epoch, slots) <= params.unbonding_epochs

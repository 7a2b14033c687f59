"""Masternodes that break the protocol, by named behaviours that can be combined, and an adversary that sees everything
and delays whatever it likes.
"""

from timecoin.simulation.byzantine import identity, proposing, schemer, schemes, sending, voting
from timecoin.simulation.byzantine.behaviour import BEHAVIOURS, Behaviour
from timecoin.simulation.byzantine.node import ByzantineNode

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "ByzantineNode",
    "identity",
    "proposing",
    "schemer",
    "schemes",
    "sending",
    "voting",
]

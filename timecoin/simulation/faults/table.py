"""All kinds of faults by name."""

from __future__ import annotations

from timecoin.simulation.faults import clocks, load, membership, memory, network, process, selective
from timecoin.simulation.faults.kind import FaultKind

_GROUPS = (network, selective, process, memory, clocks, membership, load)

FAULTS: dict[str, FaultKind] = {kind.name: kind for group in _GROUPS for kind in group.KINDS}
"""Name to kind, in a fixed order."""

WIDE_AREA = "wide_area"
"""Nodes on several continents: a fault that begins with the life and never ends."""

NAMES = (WIDE_AREA, *FAULTS)

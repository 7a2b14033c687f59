"""Round-trip times between data centres on five continents, as measured and published.

Source: IBM Cloud, *Network latency dashboards*, inter-region latency of VPC, average in milliseconds from 17 August to
15 September 2024 (repository ``ibm-cloud-docs/vpc``, ``network-latency.md``, table of 15 September 2024). Rows are
where the packet starts. Within a region: the average between two of its zones, 2 ms.
"""

from __future__ import annotations

from timecoin.simulation.clock import MILLISECOND

REGIONS = (
    "Dallas",
    "Toronto",
    "Washington DC",
    "Frankfurt",
    "London",
    "Madrid",
    "Osaka",
    "Sydney",
    "Tokyo",
    "Sao Paulo",
)
ROUND_TRIP_MS = (
    (2, 34, 31, 123, 113, 117, 150, 185, 143, 145),
    (34, 2, 19, 92, 82, 109, 169, 215, 161, 130),
    (32, 20, 2, 91, 76, 88, 173, 214, 166, 118),
    (123, 93, 91, 2, 13, 29, 232, 250, 228, 197),
    (113, 83, 75, 13, 2, 27, 244, 261, 242, 187),
    (121, 109, 90, 29, 27, 2, 259, 275, 256, 207),
    (151, 168, 175, 232, 244, 258, 2, 122, 9, 292),
    (186, 214, 216, 250, 261, 275, 122, 2, 115, 327),
    (143, 162, 166, 231, 242, 257, 9, 115, 2, 284),
    (146, 130, 119, 198, 187, 205, 290, 328, 285, 2),
)


def one_way(source: int, target: int) -> int:
    """Microseconds from one region to another, by their numbers in :data:`REGIONS`: half a round trip."""
    return ROUND_TRIP_MS[source][target] * MILLISECOND // 2

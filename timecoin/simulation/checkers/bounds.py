"""Everything bounded stays in its bound: what a running node holds in memory, looked at after each block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from timecoin.consensus import finality as finality_module
from timecoin.consensus import tally as tally_module
from timecoin.consensus.bundle import MAX_TXIDS
from timecoin.mempool import orphans as orphans_module
from timecoin.node import intake as intake_module
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.simulation.node import Node


class Held(NamedTuple):
    """How much of something a node holds, and how much it may."""

    name: str
    amount: int
    limit: int


def held_by(node: Node) -> Iterator[Held]:
    """All that is counted."""
    finality, intake = node.participant.finality, node.intake
    yield Held("bytes of pending transactions", finality.pool.bytes, finality.pool.max_bytes)
    yield Held("bytes of orphans", finality.orphans.bytes, orphans_module.MAX_BYTES)
    yield Held("early messages", len(intake._ahead), intake_module.MAX_AHEAD)
    yield Held("bytes of early messages", intake._ahead_bytes, intake_module.MAX_AHEAD_BYTES)
    yield Held("deferred bundles", len(finality._deferred), finality_module.MAX_DEFERRED)
    tallies = finality.counter.tallies
    for signer, unknown in enumerate(tallies.unknown):
        name = f"statements of signer {signer} on unknown bodies"
        yield Held(name, unknown, tally_module.MAX_UNKNOWN + MAX_TXIDS)
    most = len(finality.pool) + len(tallies.unknown) * tally_module.MAX_UNKNOWN + tally_module.MAX_UNKEPT
    yield Held("tallies", len(tallies), most)


def check_bounds(node: Node) -> None:
    """Raise ``Violation`` when a node holds more of something than it may, or what it must have forgotten (R6)."""
    for held in held_by(node):
        if held.amount > held.limit:
            raise Violation("bounds", f"node {node.index} holds {held.amount} {held.name}, at most {held.limit}")
    if node.participant.busy:
        return
    finality = node.participant.finality
    for tally in finality.counter.tallies:
        # What was archived before this epoch only a liar names; nobody looks that far back for each of its words.
        if finality.is_archived(tally.txid):
            raise Violation("bounds", f"node {node.index} keeps votes for {tally.txid[::-1].hex()[:16]}, archived")

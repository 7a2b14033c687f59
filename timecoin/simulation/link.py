"""Connections between simulated nodes, as gossip and intake see peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire

if TYPE_CHECKING:
    from timecoin.simulation.node import Node


class Link:
    """One direction of a connection: what ``source`` sends goes to ``target``. The other direction is ``back``."""

    def __init__(self, source: Node, target: Node) -> None:
        self.source, self.target = source, target
        self.is_established = True
        self.back: Link = self
        self.node_id = target.node_id
        self.masternode_id = target.masternode_id
        self.queued_bytes = 0
        self.last_arrival = 0
        self.paused = False
        self.waiting: list[wire.Message] = []

    def send(self, message: wire.Message | bytes) -> bool:
        """Send a message, or a frame that was encoded once for many."""
        if not self.is_established:
            return False
        if not isinstance(message, bytes):
            message = wire.encode_frame(message)
        self.source.transmit(self, message)
        return True

    def sent_off(self, size: int) -> None:
        """So many queued bytes are on the wire."""
        self.queued_bytes -= size

    def misbehaved(self, code: str) -> None:
        """The target did what no honest node does."""
        self.source.accuse(self, code)

    def pause(self) -> None:
        """Take nothing more from the target until :meth:`resume`."""
        self.paused = True

    def resume(self) -> None:
        """Take what waits, then go on."""
        self.paused = False
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.source.take(self, message)

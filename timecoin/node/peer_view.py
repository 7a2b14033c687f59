"""A peer as gossip sees it: what it can be asked for, and what is believed of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from timecoin.p2p import messages as wire


class GossipPeer(Protocol):
    """A connected peer as gossip needs it."""

    @property
    def node_id(self) -> bytes:
        """The peer's node key."""
        ...

    @property
    def masternode_id(self) -> bytes | None:
        """The masternode that the peer proved to be."""
        ...

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait in the peer's sending queue."""
        ...

    def send(self, message: wire.Message | bytes) -> bool:
        """Queue a message or an encoded frame; False when the queue is full."""
        ...

    def misbehaved(self, code: str) -> None:
        """It did what no honest node does: it is closed and discouraged."""
        ...

    def pause(self) -> None:
        """Read nothing more from it until ``resume``."""
        ...

    def resume(self) -> None:
        """End a ``pause``."""
        ...


SEND_QUEUE_LIMIT = 4 << 20
"""No bulk answer is added to a peer's queue above this many bytes; its next status asks again."""
BATCH_BYTES = 256 << 10
"""Bytes of bundles or bodies in one message."""
MOST_STATUSES_BETWEEN = 8
"""However slow a peer is, what it lacks is sent again at every so many of its statuses."""


@dataclass(frozen=True, slots=True)
class Resend:
    """What comes ``after`` that number was sent; it is sent again with status number ``due`` at the earliest."""

    after: int
    due: int
    wait: int


@dataclass(slots=True, eq=False)
class PeerView:
    """What is believed of one peer. ``sequences``: the highest bundle of each signer that it has without a
    gap.

    ``told``: that of its last status and ours then; ``sent``: up to which number it was sent some in answer;
    ``resends``: when it may be sent the same again.
    ``evidence``: that which it has, encoded, of what we hold.
    """

    peer: GossipPeer
    operator_key: bytes | None = None
    signer: int | None = None
    status: wire.Status | None = None
    statuses: int = 0
    connected: int = 0
    told: dict[int, tuple[int, int]] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    resends: dict[int, Resend] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)
    epoch: int = 0
    height: int = 0
    inventory: list[bytes] = field(default_factory=list)
    evidence: set[bytes] = field(default_factory=set)

    def resend_later(self, signer: int, after: int) -> None:
        """It is being sent what comes after a number: not again before twice as many statuses as the last time."""
        last = self.resends.get(signer)
        wait = 2 if last is None or last.after != after else min(2 * last.wait, MOST_STATUSES_BETWEEN)
        self.resends[signer] = Resend(after, self.statuses + wait, wait)


def broadcast(message: wire.Message, views: Collection[PeerView]) -> None:
    """Send a message to some peers, encoded once."""
    if views:
        frame = wire.encode_frame(message)
        for view in views:
            view.peer.send(frame)

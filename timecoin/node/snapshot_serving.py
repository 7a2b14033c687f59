"""What a node answers to those who join: headers, and the snapshots that it holds (protocol.md section 10).

Reads are the host's, as Deferreds; so a simulator that holds everything in memory serves with the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.node.peer_view import SEND_QUEUE_LIMIT, PeerView
from timecoin.p2p import messages as wire

T = TypeVar("T")
CLOSING_BYTES: Final = 1 << 20
"""Bytes of closing headers in one answer."""
MAX_READS: Final = 4
"""Requests of one peer being read at a time; more are not answered, so ask for no more at once."""


class SnapshotReads(Protocol):
    """What is read for answers. None, empty bytes or an empty list: it is not here."""

    def closings(self, first_epoch: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes, bytes]]]:
        """(header, commit, set) of consecutive closing blocks, encoded; the set is empty where it does not change."""
        ...

    def headers_down(self, through: int, count: int) -> Deferred[list[bytes]]:
        """Encoded headers of consecutive blocks from a height downwards."""
        ...

    def snapshots_held(self) -> Sequence[tuple[bytes, bytes]]:
        """(snapshot id, encoded head) of each snapshot, newest first; from memory."""
        ...

    def manifest_page(self, snapshot_id: bytes, page: int) -> Deferred[bytes | None]:
        """Encoded ranges."""
        ...

    def state_part(self, snapshot_id: bytes, part: int) -> Deferred[bytes | None]:
        """A part of the encoded state."""
        ...

    def chunk(self, snapshot_id: bytes, index: int) -> Deferred[bytes | None]:
        """The encoded coins of a range."""
        ...


class SnapshotServing:
    """Answers requests, each peer's within bounds; what is not here is answered with nothing in it, at once."""

    log = Logger()

    def __init__(self, reads: SnapshotReads) -> None:
        self._reads = reads
        self._under_way: dict[bytes, int] = {}

    @property
    def handlers(self) -> Mapping[type[wire.Message], Callable[[PeerView, Any], None]]:
        """Which method takes which message."""
        return {
            wire.GetClosingHeaders: self.on_get_closing_headers,
            wire.GetHeaders: self.on_get_headers,
            wire.GetSnapshots: self.on_get_snapshots,
            wire.GetManifest: self.on_get_manifest,
            wire.GetState: self.on_get_state,
            wire.GetChunk: self.on_get_chunk,
        }

    def on_get_closing_headers(self, view: PeerView, message: wire.GetClosingHeaders) -> None:
        """Send closing headers, as many as fit into one message."""
        first = message.from_epoch
        self._answer(
            view,
            lambda: self._reads.closings(first, message.count, CLOSING_BYTES),
            lambda found: wire.ClosingHeaders(first, tuple([wire.ClosingParts(*parts) for parts in found])),
        )

    def on_get_headers(self, view: PeerView, message: wire.GetHeaders) -> None:
        """Send headers from a height downwards."""
        through = message.through
        self._answer(
            view,
            lambda: self._reads.headers_down(through, message.count),
            lambda found: wire.Headers(through, tuple(found)),
        )

    def on_get_snapshots(self, view: PeerView, message: wire.GetSnapshots) -> None:
        """Send the list of what is held."""
        held = self._reads.snapshots_held()[: wire.MAX_SNAPSHOTS]
        if view.peer.queued_bytes <= SEND_QUEUE_LIMIT:
            view.peer.send(wire.Snapshots(tuple([wire.SnapshotHead(*each) for each in held])))

    def on_get_manifest(self, view: PeerView, message: wire.GetManifest) -> None:
        """Send a page of a manifest."""
        named = message.snapshot, message.page
        self._answer(
            view,
            lambda: self._reads.manifest_page(*named),
            lambda found: wire.ManifestPage(*named, found or b""),
        )

    def on_get_state(self, view: PeerView, message: wire.GetState) -> None:
        """Send a part of a state."""
        named = message.snapshot, message.part
        self._answer(
            view,
            lambda: self._reads.state_part(*named),
            lambda found: wire.StatePart(*named, found or b""),
        )

    def on_get_chunk(self, view: PeerView, message: wire.GetChunk) -> None:
        """Send the coins of a range."""
        named = message.snapshot, message.index
        self._answer(
            view,
            lambda: self._reads.chunk(*named),
            lambda found: wire.Chunk(*named, found or b""),
        )

    def _answer(self, view: PeerView, read: Callable[[], Deferred[T]], made: Callable[[T], wire.Message]) -> None:
        peer = view.peer
        reading = self._under_way.get(peer.node_id, 0)
        if reading >= MAX_READS or peer.queued_bytes > SEND_QUEUE_LIMIT:
            return
        self._under_way[peer.node_id] = reading + 1
        work = read()
        work.addBoth(self._done, peer.node_id)
        work.addCallback(lambda found: peer.send(made(found)))
        work.addErrback(lambda failure: self.log.failure("a snapshot cannot be read", failure))

    def _done(self, result: T, node_id: bytes) -> T:
        left = self._under_way.pop(node_id) - 1
        if left:
            self._under_way[node_id] = left
        return result

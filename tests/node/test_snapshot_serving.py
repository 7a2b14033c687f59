"""What joining nodes get: what is here, nothing for what is not, and never more at once than is bounded."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.node.fakes import NotedPeer
from timecoin.node.peer_view import SEND_QUEUE_LIMIT, PeerView
from timecoin.node.snapshot_serving import MAX_READS, SnapshotServing
from timecoin.p2p import messages as wire

ID = b"i" * 32


class Shelf:
    """Reads that are answered at once, or when told."""

    def __init__(self) -> None:
        self.held = False
        self.reads: list[Deferred[bytes | None]] = []
        self.asked: list[tuple[object, ...]] = []

    def closings(self, first_epoch: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes, bytes]]]:
        self.asked.append((first_epoch, count))
        links = [(b"h%d" % epoch, b"c", b"") for epoch in range(first_epoch, min(first_epoch + count, 5))]
        return succeed(links)

    def headers_down(self, through: int, count: int) -> Deferred[list[bytes]]:
        self.asked.append((through, count))
        return succeed([bytes(351)] * min(count, through + 1))

    def snapshots_held(self) -> Sequence[tuple[bytes, bytes]]:
        return [(ID, b"head")]

    def manifest_page(self, snapshot_id: bytes, page: int) -> Deferred[bytes | None]:
        return self._read(snapshot_id, page, b"ranges %d" % page)

    def state_part(self, snapshot_id: bytes, part: int) -> Deferred[bytes | None]:
        return self._read(snapshot_id, part, b"state %d" % part)

    def chunk(self, snapshot_id: bytes, index: int) -> Deferred[bytes | None]:
        return self._read(snapshot_id, index, b"coins %d" % index)

    def _read(self, snapshot_id: bytes, number: int, data: bytes) -> Deferred[bytes | None]:
        if self.held:
            self.reads.append(Deferred())
            return self.reads[-1]
        return succeed(data if snapshot_id == ID and number < 9 else None)


class ServingTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.shelf = Shelf()
        self.serving = SnapshotServing(self.shelf)
        self.peer = NotedPeer(1)

    def ask(self, message: wire.Message, peer: NotedPeer | None = None) -> list[wire.Message]:
        """What *peer* is sent for *message*."""
        asking = peer or self.peer
        before = len(asking.sent)
        self.serving.handlers[type(message)](PeerView(asking), message)
        return asking.sent[before:]

    def test_every_request_has_its_handler(self) -> None:
        asks = {kind.struct for kind in wire.KINDS if 50 <= kind.number < 62 and kind.number % 2 == 0}
        self.assertEqual(set(self.serving.handlers), asks)

    def test_what_is_here(self) -> None:
        self.assertEqual(self.ask(wire.GetSnapshots()), [wire.Snapshots((wire.SnapshotHead(ID, b"head"),))])
        self.assertEqual(self.ask(wire.GetManifest(ID, 2)), [wire.ManifestPage(ID, 2, b"ranges 2")])
        self.assertEqual(self.ask(wire.GetState(ID, 0)), [wire.StatePart(ID, 0, b"state 0")])
        self.assertEqual(self.ask(wire.GetChunk(ID, 7)), [wire.Chunk(ID, 7, b"coins 7")])
        links = (wire.ClosingParts(b"h3", b"c", b""), wire.ClosingParts(b"h4", b"c", b""))
        self.assertEqual(self.ask(wire.GetClosingHeaders(3, 9)), [wire.ClosingHeaders(3, links)])
        self.assertEqual(self.ask(wire.GetHeaders(1, 9)), [wire.Headers(1, (bytes(351),) * 2)])

    def test_what_is_not_here_is_said_at_once(self) -> None:
        other = bytes(32)
        self.assertEqual(self.ask(wire.GetManifest(other, 2)), [wire.ManifestPage(other, 2, b"")])
        self.assertEqual(self.ask(wire.GetState(ID, 9)), [wire.StatePart(ID, 9, b"")])
        self.assertEqual(self.ask(wire.GetChunk(ID, 9)), [wire.Chunk(ID, 9, b"")])
        self.assertEqual(self.ask(wire.GetClosingHeaders(7, 9)), [wire.ClosingHeaders(7, ())])

    def test_reads_of_one_peer_are_bounded(self) -> None:
        self.shelf.held = True
        for index in range(3 * MAX_READS):
            self.ask(wire.GetChunk(ID, index))
        self.assertEqual(len(self.shelf.reads), MAX_READS)
        other = NotedPeer(2)
        self.ask(wire.GetChunk(ID, 1), other)
        self.assertEqual(len(self.shelf.reads), MAX_READS + 1)
        for read in self.shelf.reads:
            read.callback(b"x")
        self.assertEqual((len(self.peer.sent), len(other.sent)), (MAX_READS, 1))
        self.ask(wire.GetChunk(ID, 5))
        self.assertEqual(len(self.shelf.reads), MAX_READS + 2)

    def test_a_peer_that_does_not_take_what_it_asks_for(self) -> None:
        self.peer.queued_bytes = SEND_QUEUE_LIMIT + 1  # type: ignore[misc]
        for message in (wire.GetSnapshots(), wire.GetChunk(ID, 1), wire.GetClosingHeaders(1, 1)):
            self.assertEqual(self.ask(message), [])
        self.assertEqual(self.shelf.asked, [])

    def test_a_read_that_fails_is_logged(self) -> None:
        self.shelf.held = True
        for index in range(2):
            self.ask(wire.GetChunk(ID, index))
            self.shelf.reads[-1].errback(OSError("disk"))
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.peer.sent, [])

"""Targets at the edges: the wire, files that the node reads back, the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

from twisted.internet.task import Clock

from tests.fuzz.checking import NotTheSame, Target, stable
from tests.p2p.support import FakeOwner
from timecoin.node.config import ConfigError, parse
from timecoin.p2p import addrfile, messages
from timecoin.p2p.framing import HEADER_SIZE, FrameBuffer, FrameError, make_frame
from timecoin.p2p.messages import LIMITS, MessageError
from timecoin.p2p.netaddress import AddressError, NetAddress, parse_address
from timecoin.p2p.peer import Peer
from timecoin.p2p.seeds import MAX_SEEDS, parse_seeds
from timecoin.storage import finaltimes, records
from timecoin.storage.delta import decode_delta, encode_delta
from timecoin.storage.errors import Damaged
from timecoin.storage.lease import BadLease, Lease, read_lease

NOW = 1_800_000_000
EXPORTER = bytes(range(32))


class FileOf:
    """As much of a ``Path`` as the readers of small files use."""

    name = "file"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_bytes(self) -> bytes:
        return self._data


def _wire(number: int) -> Target:
    name = f"wire_{messages.NAMES[number]}"

    def decode(data: bytes) -> messages.Message:
        return messages.decode(number, memoryview(data))

    return stable(name, decode, messages.encode_payload, MessageError, size=2_048)


def frames_of(chunks: Sequence[bytes]) -> tuple[list[tuple[int, bytes]], str]:
    """What a buffer makes of a stream that comes in these pieces, and the error at its end."""
    buffer, found = FrameBuffer(LIMITS), []
    largest = max(LIMITS) + HEADER_SIZE
    try:
        for chunk in chunks:
            buffer.feed(chunk)
            while (frame := buffer.next()) is not None:
                found.append((frame[0], bytes(frame[1])))
            if buffer.held > largest:
                raise NotTheSame(f"{buffer.held} bytes held")
    except FrameError as error:
        return found, type(error).__name__
    return found, ""


def _frames(data: bytes) -> None:
    """The first byte says into how large pieces the rest is cut: no way of cutting makes a difference."""
    size, stream = (data[:1] or b"\0")[0] + 1, data[1:]
    whole = frames_of([stream])
    pieces = frames_of([stream[at : at + size] for at in range(0, len(stream), size)])
    if whole != pieces:
        raise NotTheSame(f"{whole} in one piece, {pieces} in pieces of {size}")


class _Handle:
    def export_keying_material(self, label: bytes, size: int) -> bytes:
        return EXPORTER[:size]


class _Transport:
    """A TLS transport that throws away what is written."""

    def __init__(self) -> None:
        self.written = 0
        self.closing = False

    def getHandle(self) -> _Handle:
        return _Handle()

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def loseConnection(self) -> None:
        self.closing = True

    abortConnection = loseConnection

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing is ever full."""

    def nothing(self) -> None:
        """Reading is not slowed."""

    unregisterProducer = pauseProducing = resumeProducing = nothing


def _peer(data: bytes) -> None:
    """A connection that was just dialled to us, and what comes over it: hello, then anything."""
    clock = Clock()
    clock.advance(NOW)
    owner = FakeOwner("server", clock)
    peer = Peer(owner, inbound=True, address=parse_address("192.0.2.7:40000"))
    peer.makeConnection(cast(Any, _Transport()))
    peer.handshakeCompleted()
    for at in range(0, len(data), 997):
        peer.dataReceived(data[at : at + 997])
    if owner.connected:
        greeted = owner.connected[0]
        repr(greeted), greeted.listen, greeted.rtt_ms, greeted.clock_offset_ms
    clock.advance(5)
    clock.advance(70)
    peer.connectionLost()
    if len(owner.endings) != 1:
        raise NotTheSame(f"the owner heard of {len(owner.endings)} ends")


def _net_address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    read = parse_address(text)
    if parse_address(str(read)) != read:
        raise NotTheSame(f"{read}")
    _describe(read)


def _describe(read: NetAddress) -> None:
    read.group(), read.key(), read.is_known(), read.is_loopback(), read.is_routable(), read.is_dialable(), str(read)


def _seeds(data: bytes) -> None:
    found = parse_seeds(data)
    if len(found) > MAX_SEEDS:
        raise NotTheSame(f"{len(found)} seeds")
    for read in found:
        _describe(read)


def _address_book(data: bytes) -> None:
    """A damaged book is no reason not to start, and what was read can be used."""
    for private in (False, True):
        book, anchors, _ = addrfile.load(cast(Path, FileOf(data)), Random(1), private, NOW)
        for entry in list(book):
            _describe(entry.address)
            _describe(entry.source)
        book.select(NOW)
        messages.encode_frame(
            messages.Addr(
                tuple(
                    messages.AddressRecord(*entry.address, entry.services, entry.last_seen)
                    for entry in book.sample(messages.MAX_ADDRESSES, NOW)
                )
            )
        )
        for entry in list(book):
            book.attempt(entry.address, NOW)
            book.good(entry.address, NOW)
            book.add(entry.address, entry.source, 1, NOW, NOW)
        for anchor in anchors:
            _describe(anchor)


def _lease(data: bytes) -> None:
    lease = read_lease(cast(Path, FileOf(data)))
    assert lease is not None
    if f"timecoin-lease 1 {lease.counter} {lease.nonce.hex()}\n".encode() != data:
        canonical = Lease(lease.counter, lease.nonce)
        if canonical != lease or not data.startswith(b"timecoin-lease 1 0"):
            raise NotTheSame("lease")
    Lease.after(lease)


def _packed_records(data: bytes) -> None:
    if records.pack_records(records.unpack_records(data)) != data:
        raise NotTheSame("records")
    records.count_records(data)


def _delta(data: bytes) -> None:
    """Stored changes of a block: the first byte says how many txids follow behind them."""
    count = (data[:1] or b"\0")[0] % 4
    body, txids = data[1:], bytes(range(32 * count))
    delta = decode_delta(body, txids)
    again = decode_delta(encode_delta(delta), txids)
    if (again.changes, again.positions) != (delta.changes, delta.positions):
        raise NotTheSame("delta")


def _final_times(data: bytes) -> None:
    times = [finaltimes.time_at(data, position) for position in range(len(data) // 4)]
    if finaltimes.pack_times(times) != data[: len(data) // 4 * 4]:
        raise NotTheSame("times")


def _config(data: bytes) -> None:
    config = parse(data.decode("utf-8", "replace"), "node.ini", Path("/nowhere"))
    shown: list[Callable[[], object]] = [
        lambda: config.data_dir,
        lambda: config.genesis_path,
        lambda: config.p2p_endpoints,
        lambda: config.rpc_endpoints,
        lambda: config.metrics_endpoints,
        lambda: config.cookie_path,
    ]
    for show in shown:
        repr(show())


def frame(message: messages.Message) -> bytes:
    """The frame of a message that need not be within its limit."""
    return make_frame(messages.KIND_OF[type(message)].number, messages.encode_payload(message))


WIRE = tuple(_wire(kind.number) for kind in messages.KINDS)

P2P = (
    Target("frames", _frames, (), 4_096),
    Target("peer", _peer, (), 4_096, slow=True),
    Target("net_address", _net_address, (AddressError,), 90),
    Target("seed_list", _seeds, (), 2_048),
    Target("address_book", _address_book, (), 4_096, slow=True),
)

FILES = (
    Target("lease", _lease, (BadLease,), 90),
    Target("packed_records", _packed_records, (Damaged,), 1_024),
    Target("delta", _delta, (Damaged,), 1_024),
    Target("final_times", _final_times, (), 256),
    Target("config", _config, (ConfigError,), 4_096),
)

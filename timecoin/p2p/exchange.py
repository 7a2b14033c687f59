"""Peers tell each other addresses: who listens where spreads from node to node, at a bounded rate."""

from __future__ import annotations

from random import Random

from timecoin.p2p.addrbook import AddressBook
from timecoin.p2p.connections import Connections
from timecoin.p2p.limits import TokenBucket
from timecoin.p2p.messages import MAX_ADDRESSES, Addr, AddressRecord, GetAddr
from timecoin.p2p.netaddress import NetAddress
from timecoin.p2p.peer import Peer

#: A peer's `GetAddr` is answered once in this many ms; we ask as often.
ASK_EVERY_MS = 600_000
#: Of the book, this share (and at least `SHARE_MIN`) is told to one peer, as in Bitcoin.
SHARE_PERCENT, SHARE_MIN = 23, 32
#: An `Addr` of up to this many fresh addresses is news and goes on to `RELAY_TO` peers, as in Bitcoin.
NEWS_SIZE, RELAY_TO = 10, 2
NEWS_AGE_S = 600
#: Hearsay counts as this much older, in seconds, as in Bitcoin.
PENALTY_S = 7_200
#: Addresses taken from one peer: rate a second and at once. Bitcoin's are 0.1 and 1,000.
ADDRESS_RATE, ADDRESS_BURST = 1, MAX_ADDRESSES


class Exchange:
    """Answers `GetAddr`, learns from `Addr` and from hellos, passes news on."""

    def __init__(self, book: AddressBook, connections: Connections, random: Random) -> None:
        self._book = book
        self._connections = connections
        self._random = random
        self._answered: dict[Peer, int] = {}
        self._buckets: dict[Peer, TokenBucket] = {}
        self._taken: dict[Peer, list[int]] = {}

    def connected(self, peer: Peer, now: int) -> None:
        """Take a new peer: learn where it listens, ask for what it knows. ``now`` in ms."""
        self._buckets[peer] = TokenBucket(ADDRESS_RATE, ADDRESS_BURST, now)
        self._taken[peer] = [0, 0]
        greeting, listen = peer.greeting, peer.listen
        if greeting is not None and listen is not None and self._book.accepts(listen):
            source = peer.address or listen
            services, seconds = greeting.hello.services, now // 1000
            fresh = self._book.add(listen, source, services, seconds, now=seconds)
            if fresh:
                self._spread([_record(listen, services, seconds)], peer)
        peer.send(GetAddr())

    def lost(self, peer: Peer) -> None:
        """Forget a peer."""
        self._answered.pop(peer, None)
        self._buckets.pop(peer, None)
        self._taken.pop(peer, None)

    def counts(self, peer: Peer) -> tuple[int, int]:
        """Return how many addresses of a peer were looked at, and how many were over its rate."""
        looked_at, over = self._taken.get(peer, (0, 0))
        return looked_at, over

    def ask_all(self) -> None:
        """Ask every peer again; to be called every `ASK_EVERY_MS`."""
        for peer in self._connections:
            peer.send(GetAddr())

    def asked(self, peer: Peer, now: int) -> None:
        """Answer a `GetAddr`, unless it is asked too often."""
        last = self._answered.get(peer)
        # A tenth of grace, so that an honest peer's timer may run a little early.
        if last is not None and now - last < ASK_EVERY_MS * 9 // 10:
            return
        self._answered[peer] = now
        count = max(SHARE_MIN, len(self._book) * SHARE_PERCENT // 100)
        entries = self._book.sample(min(count, MAX_ADDRESSES), now // 1000)
        if entries:
            peer.send(Addr(tuple(_record(e.address, e.services, e.last_seen) for e in entries)))

    def told(self, peer: Peer, message: Addr, now: int) -> None:
        """Learn addresses; what is over the peer's rate is ignored, unknown networks are too."""
        bucket = self._buckets.get(peer)
        seconds = now // 1000
        source = peer.address or peer.listen
        fresh: list[AddressRecord] = []
        if bucket is None or source is None:
            return
        counts = self._taken[peer]
        for place, record in enumerate(message.addresses):
            if bucket.charge(1, now):
                counts[1] += len(message.addresses) - place
                return
            counts[0] += 1
            if not self._book.accepts(record.address):
                continue
            new = self._book.add(
                record.address, source, record.services, record.last_seen, seconds, penalty=PENALTY_S
            )
            if new and seconds - record.last_seen < NEWS_AGE_S:
                fresh.append(record)
        if fresh and len(message.addresses) <= NEWS_SIZE:
            self._spread(fresh, peer)

    def _spread(self, records: list[AddressRecord], source: Peer) -> None:
        others = [peer for peer in self._connections if peer is not source]
        message = Addr(tuple(records))
        for peer in self._random.sample(others, min(RELAY_TO, len(others))):
            peer.send(message)


def _record(address: NetAddress, services: int, seen: int) -> AddressRecord:
    return AddressRecord(address.network, address.host, address.port, services, seen)

"""Whom to dial, and when: pinned peers, masternodes, anchors, then the address book (protocol.md, 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from timecoin.p2p.addrbook import AddressBook
from timecoin.p2p.connections import Connections
from timecoin.p2p.discourage import Discouraged
from timecoin.p2p.netaddress import AddressError, NetAddress, from_host, split_host_port


class Purpose(IntEnum):
    """Why a node is dialled."""

    PINNED = 0
    MEMBER = 1
    ORDINARY = 2


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to dial. ``host`` is a literal, or for pinned peers also a name; ``node_id``: the key it must
    have.
    """

    host: str
    port: int
    purpose: Purpose
    node_id: bytes | None = None
    masternode_id: bytes | None = None

    @property
    def address(self) -> NetAddress | None:
        """The literal address; None for a name."""
        try:
            return from_host(self.host, self.port)
        except AddressError:
            return None


def to_address(address: NetAddress, purpose: Purpose, masternode_id: bytes | None = None) -> Target:
    """Return the target of a literal address."""
    return Target(address.host_text(), address.port, purpose, masternode_id=masternode_id)


def parse_pinned(text: str) -> Target:
    """Parse ``nodeid@host:port`` (node id: 66 hex digits of the node key) or plain ``host:port``.

    Raises:
        AddressError: not of that form.
    """
    identity, at, where = text.rpartition("@")
    host, port = split_host_port(where)
    if not at:
        return Target(host, port, Purpose.PINNED)
    try:
        node_id = bytes.fromhex(identity)
    except ValueError as error:
        raise AddressError(f"not a node id: {identity!r}") from error
    if len(node_id) != 33:
        raise AddressError(f"not a node id: {identity!r}")
    return Target(host, port, Purpose.PINNED, node_id)


@dataclass(frozen=True, slots=True)
class DialPolicy:
    """``outbound`` ordinary peers are kept; at most ``at_once`` dials are under way; times in ms.

    Waits double from ``first_wait`` to ``last_wait`` (``last_wait_wanted`` for pinned peers and masternodes),
    times a random factor of 0.5 to 1.5. A connection that held ``proven_after`` starts the waits anew.
    ``onion``: Tor is there to dial through.
    """

    outbound: int = 10
    at_once: int = 32
    onion: bool = False
    tick: int = 500
    first_wait: int = 1_000
    last_wait: int = 600_000
    last_wait_wanted: int = 3_000
    proven_after: int = 30_000


@dataclass(slots=True)
class _Wait:
    failures: int = 0
    until: int = 0


#: Most addresses whose waits are remembered; the oldest are forgotten first.
_MAX_WAITS = 4_096

MemberAddresses = Callable[[], Iterable[tuple[bytes, NetAddress]]]


class Dialer:
    """Keeps the wanted connections up. It decides only; ``dial(target)`` does it and reports with `ended`."""

    def __init__(
        self,
        clock: IReactorTime,
        random: Random,
        book: AddressBook,
        connections: Connections,
        discouraged: Discouraged,
        dial: Callable[[Target], None],
        *,
        pinned: Sequence[Target] = (),
        anchors: Sequence[NetAddress] = (),
        members: MemberAddresses = tuple,
        policy: DialPolicy | None = None,
        forbidden: Callable[[Target], bool] = lambda target: False,
    ) -> None:
        """``members`` returns (masternode id, address) of masternodes to be connected with; never ours. What is
        ``forbidden`` is not dialled, for whatever purpose.
        """
        self._forbidden = forbidden
        self._clock = clock
        self._random = random
        self._book = book
        self._connections = connections
        self._discouraged = discouraged
        self._dial = dial
        self._pinned = list(pinned)
        self._anchors = list(anchors)
        self._members = members
        self.policy = policy or DialPolicy()
        self._dialling: dict[Target, None] = {}
        self._waits: dict[tuple[str, int], _Wait] = {}
        self._known_ids: dict[tuple[str, int], bytes] = {}
        self._own: set[tuple[str, int]] = set()
        self._loop = LoopingCall(self.tick)
        self._loop.clock = clock

    # Running

    def start(self) -> None:
        """Begin to dial, at once."""
        self._loop.start(self.policy.tick / 1000)

    def stop(self) -> None:
        """Dial no more."""
        if self._loop.running:
            self._loop.stop()

    def pin(self, target: Target) -> None:
        """Keep a connection to one more pinned peer."""
        if target not in self._pinned:
            self._pinned.append(target)

    def unpin(self, target: Target) -> None:
        """Stop keeping a pinned peer connected; an existing connection stays."""
        if target in self._pinned:
            self._pinned.remove(target)

    def try_once(self, target: Target) -> None:
        """Dial now, once, whatever the waits say; nothing when it is being dialled, connected or forbidden."""
        self._waits.pop((target.host, target.port), None)
        if self._may(target, self._now()):
            self._dialling[target] = None
            self._dial(target)

    @property
    def pinned(self) -> tuple[Target, ...]:
        """The pinned peers."""
        return tuple(self._pinned)

    def tick(self) -> None:
        """Start every dial that is wanted and due."""
        now = self._now()
        for target in self._wanted(now):
            if len(self._dialling) >= self.policy.at_once:
                return
            self._dialling[target] = None
            self._dial(target)

    # What is wanted

    def _wanted(self, now: int) -> Iterator[Target]:
        for target in self._pinned:
            if self._may(target, now):
                yield target
        for masternode_id, address in self._members():
            target = to_address(address, Purpose.MEMBER, masternode_id)
            if not self._connections.has_masternode(masternode_id) and self._may(target, now):
                yield target
        yield from self._ordinary(now)

    def _ordinary(self, now: int) -> Iterator[Target]:
        missing = self.policy.outbound - self._outbound_count()
        tries = 4 * missing + len(self._anchors)
        while missing > 0 and tries > 0:
            tries -= 1
            address = self._anchors.pop(0) if self._anchors else self._book.select(now // 1000)
            if address is None:
                return
            target = to_address(address, Purpose.ORDINARY)
            if not self._discouraged.refuses_address(address, now) and self._may(target, now):
                if self._same_group(address):
                    continue
                self._book.attempt(address, now // 1000)
                missing -= 1
                yield target

    def _outbound_count(self) -> int:
        connected = sum(1 for peer in self._connections if not peer.inbound and peer.masternode_id is None)
        return connected + sum(1 for target in self._dialling if target.purpose is Purpose.ORDINARY)

    def _same_group(self, address: NetAddress) -> bool:
        # One outbound peer for each network group, as in Bitcoin; private networks are all one group and
        # exempt.
        if not address.is_routable():
            return False
        group = address.group()
        return any(
            not peer.inbound and peer.address is not None and peer.address.group() == group
            for peer in self._connections
        )

    def _may(self, target: Target, now: int) -> bool:
        where = (target.host, target.port)
        wait = self._waits.get(where)
        if target.host.endswith(".onion") and not self.policy.onion:
            return False
        if where in self._own or (wait is not None and wait.until > now) or self._forbidden(target):
            return False
        if any((other.host, other.port) == where for other in self._dialling):
            return False
        return not self._is_connected(target)

    def _is_connected(self, target: Target) -> bool:
        node_id = target.node_id or self._known_ids.get((target.host, target.port))
        if node_id is not None and self._connections.get(node_id) is not None:
            return True
        address = target.address
        return address is not None and any(
            peer.listen == address or (peer.address == address and not peer.inbound)
            for peer in self._connections
        )

    # Outcomes

    def succeeded(self, target: Target) -> None:
        """Note that a dial led to a connection that we admitted."""
        self._dialling.pop(target, None)
        address = target.address
        if address is not None:
            self._book.good(address, self._now() // 1000)

    def identified(self, target: Target, node_id: bytes) -> None:
        """Note whose address this is, so that it is not dialled while that node is connected."""
        self._known_ids[(target.host, target.port)] = node_id
        _bound(self._known_ids)

    def ended(self, target: Target, lasted_ms: int, blameless: bool = False) -> None:
        """Note a dial that failed (``lasted_ms`` 0) or a connection that ended.

        ``blameless``: it lost against another connection to the same node, which is no failure.
        """
        self._dialling.pop(target, None)
        where = (target.host, target.port)
        if blameless or lasted_ms >= self.policy.proven_after:
            self._waits.pop(where, None)
        wait = self._waits.setdefault(where, _Wait())
        wait.until = self._now() + self._wait_ms(target, wait.failures)
        wait.failures += 1
        _bound(self._waits)

    def _wait_ms(self, target: Target, failures: int) -> int:
        policy = self.policy
        last = policy.last_wait if target.purpose is Purpose.ORDINARY else policy.last_wait_wanted
        wait = min(last, policy.first_wait << min(failures, 30))
        return int(wait * (0.5 + self._random.random()))

    def is_ourselves(self, target: Target) -> None:
        """Note that an address is our own: it is never dialled again."""
        self._own.add((target.host, target.port))
        address = target.address
        if address is not None:
            self._book.exclude(address)

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)


def _bound(table: dict[tuple[str, int], bytes] | dict[tuple[str, int], _Wait]) -> None:
    while len(table) > _MAX_WAITS:
        del table[next(iter(table))]

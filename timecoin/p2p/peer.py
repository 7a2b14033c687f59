"""One connection to another node, the same object for both directions (protocol.md, section 8)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.p2p.framing import HEADER_SIZE, FrameError, FrameProtocol, OversizeFrame
from timecoin.p2p.handshake import Greeting, Role, check_hello, make_hello
from timecoin.p2p.heartbeat import Heartbeat
from timecoin.p2p.limits import Meter, RateClass
from timecoin.p2p.messages import (
    GREETING_LIMITS,
    LANES,
    LIMITS,
    NAMES,
    RATE_CLASSES,
    Hello,
    Lane,
    Message,
    MessageError,
    Ping,
    Pong,
    Reject,
    decode,
    encode_frame,
)
from timecoin.p2p.netaddress import NetAddress, from_transport
from timecoin.p2p.outgoing import Outgoing
from timecoin.p2p.owner import PeerOwner
from timecoin.p2p.reasons import CloseReason, Code, Refused, parse_code
from timecoin.p2p.tls import exporter_value
from timecoin.p2p.traffic import Traffic

_BY_OWNER, _BY_BUDGET = 1, 2


class _State(Enum):
    TLS = auto()
    GREETING = auto()
    ESTABLISHED = auto()
    CLOSED = auto()


@implementer(IHandshakeListener)
class Peer(FrameProtocol):
    """A node at the other end of a TLS connection.

    ``node_id`` (33-byte node key; empty before the hello), ``session`` (exporter value of the TLS session),
    ``masternode_id`` (proven, or None), ``inbound`` (it dialled us), ``address`` (where it is as seen from
    here; None off IP), ``listen`` (where it says it takes connections), ``rtt_ms`` and ``clock_offset_ms``
    (its clock minus ours; both None before the first pong), ``last_sent`` (when the last message was written or
    queued; ms), ``number`` (its place among all connections of this run, from 0), ``last_of`` (when the last message
    of each class came, by `RateClass`; ms, 0: never), ``closed`` (fires with the `CloseReason` when the connection is
    really gone).
    """

    def __init__(
        self,
        owner: PeerOwner,
        *,
        inbound: bool,
        address: NetAddress | None,
        expected: bytes | None = None,
    ) -> None:
        """``expected``: the node key that a pinned peer must have."""
        super().__init__(GREETING_LIMITS)
        self.owner = owner
        self.inbound = inbound
        self.address = address
        self.node_id = b""
        self.session = b""
        self.masternode_id: bytes | None = None
        self.greeting: Greeting | None = None
        self.reason: CloseReason | None = None
        self.number = 0
        self.last_of = [0] * len(RateClass)
        self.traffic = Traffic()
        self.closed: Deferred[CloseReason] = Deferred()
        self._expected = expected
        self._state = _State.TLS
        self._timers: dict[str, IDelayedCall] = {}
        self.connected_at = self.last_sent = self._now()
        self._heart = Heartbeat(owner.settings.idle_timeout, self._now())
        self._meter = Meter(owner.settings.public_budgets, self._now(), owner.settings.overload_limit)
        self._outgoing = Outgoing(self._write, owner.settings.lane_limits)

    # What the owner uses

    @property
    def is_established(self) -> bool:
        """Whether the peer was admitted and is not closing."""
        return self._state is _State.ESTABLISHED

    @property
    def listen(self) -> NetAddress | None:
        """Where the peer says that it takes connections."""
        return self.greeting.hello.listen if self.greeting else None

    @property
    def role(self) -> Role:
        """Our own end of the TLS session."""
        return Role.SERVER if self.inbound else Role.CLIENT

    @property
    def rtt_ms(self) -> int | None:
        """Round-trip time of the last ping."""
        return self._heart.rtt_ms

    @property
    def least_rtt_ms(self) -> int | None:
        """The shortest round-trip time so far."""
        return self._heart.least_rtt_ms

    @property
    def ping_wait_ms(self) -> int | None:
        """For how long a ping has been out; None when none is."""
        since = self._heart.awaits_since
        return None if since is None else self._now() - since

    @property
    def local_address(self) -> NetAddress | None:
        """This end of the connection; None off IP."""
        return None if self.transport is None else from_transport(self.transport.getHost())

    @property
    def clock_offset_ms(self) -> int | None:
        """The peer's clock minus ours, as of the last ping."""
        return self._heart.offset_ms

    @property
    def last_received(self) -> int:
        """When the last whole message came, or reading was resumed; ms."""
        return self._heart.last_received

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait because the peer reads too slowly (the transport's bounded buffer not counted)."""
        return self._outgoing.queued_bytes

    def send(self, message: Message | bytes) -> bool:
        """Send a message, or a frame of `encode_frame`; never blocks.

        Returns False when it was dropped: not established, or its lane is full. Nothing is lost for good by
        that, as peers compare what they have every `sync_interval`.
        """
        if self._state is not _State.ESTABLISHED:
            return False
        frame = message if isinstance(message, bytes) else encode_frame(message)
        lane = LANES[frame[4]]
        if lane is None or not self._outgoing.push(frame, lane):
            self.traffic.dropped += 1
            self.owner.traffic.dropped += 1
            return False
        self._count_sent(frame)
        return True

    def _count_sent(self, frame: bytes) -> None:
        self.last_sent = self._now()
        self.traffic.went(frame[4], len(frame))
        self.owner.traffic.went(frame[4], len(frame))

    def pause(self) -> None:
        """Read nothing more from this peer until `resume`: TCP slows it down."""
        self.hold(_BY_OWNER)

    def resume(self) -> None:
        """End a `pause`; what waited is delivered at once."""
        self.release(_BY_OWNER)

    def misbehaved(self, code: str) -> None:
        """Close and discourage: it did what no honest node does; ``code`` says what."""
        self.close(Code.VIOLATION, code)

    def close(self, code: Code, text: str = "") -> None:
        """Tell the peer why, then close; at once for us, `close_timeout` at most for the connection."""
        if self._state is _State.CLOSED:
            return
        if self._state is not _State.TLS:
            reject = encode_frame(Reject(str(code), text[:200]))
            self._count_sent(reject)
            self._outgoing.push(reject, Lane.CONTROL)
        self._finish(CloseReason(code, text))
        self._shut()

    def promote(self, masternode_id: bytes | None) -> None:
        """Set the proven masternode id, with a member's budgets (None: an ordinary peer's)."""
        changes = masternode_id is not None or self.masternode_id is not None
        self.masternode_id = masternode_id
        if changes:
            self.refresh_budgets()

    def refresh_budgets(self) -> None:
        """Measure anew, by the settings as they are now."""
        settings = self.owner.settings
        budgets = settings.member_budgets if self.masternode_id else settings.public_budgets
        self._meter = Meter(budgets, self._now(), settings.overload_limit)

    def __repr__(self) -> str:
        """Render for logs: direction, node id, address."""
        arrow = "from" if self.inbound else "to"
        return f"<Peer {arrow} {self.node_id.hex()[:16] or '?'} {self.address or 'nowhere'}>"

    # Connection and handshake

    def connectionMade(self) -> None:
        """Start the clock on TLS and hello together."""
        # UNIX sockets and simulated wires have no such switch, and TLS claims to be TCP over them as well.
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._later("hello", self.owner.settings.hello_timeout, self._hello_timeout)

    def handshakeCompleted(self) -> None:
        """TLS is up: say hello."""
        if self._state is not _State.TLS:
            return
        self._state = _State.GREETING
        assert self.transport is not None
        self.transport.registerProducer(self._outgoing, True)  # type: ignore[attr-defined]
        self.session = exporter_value(self.transport)
        hello = make_hello(self.owner.identity, self.session, self.role, self.owner.height())
        frame = encode_frame(hello)
        self._outgoing.push(frame, Lane.CONTROL)
        self._count_sent(frame)

    def _greet(self, hello: Hello) -> None:
        owner = self.owner
        try:
            greeting = check_hello(
                owner.identity, owner.backend, self.session, self.role.other, hello, self._expected
            )
            self.node_id = greeting.node_id
            self.greeting = greeting
            masternode_id = owner.admit(self, greeting)
        except Refused as refused:
            self.close(refused.code, refused.text)
            return
        self._cancel("hello")
        self.frames.limits = LIMITS
        self._state = _State.ESTABLISHED
        self.promote(masternode_id)
        self._beat()
        owner.established(self)

    def _hello_timeout(self) -> None:
        self.close(Code.HELLO_TIMEOUT)

    # Messages in

    def frame_received(self, kind: int, payload: memoryview) -> None:
        """Charge, decode and hand on one frame."""
        size = len(payload) + HEADER_SIZE
        self.traffic.came(kind, size)
        self.owner.traffic.came(kind, size)
        self._heart.last_received = now = self._now()
        rate_class = RATE_CLASSES[kind]
        wait = 0
        if rate_class is not None:
            self.last_of[rate_class] = now
            wait = self._meter.charge(rate_class, size, now)
        if wait and not self._throttle(wait):
            return
        try:
            message = decode(kind, payload)
        except MessageError as error:
            self.close(Code.MALFORMED, str(error))
            return
        self._dispatch(message, now)

    def _dispatch(self, message: Message, now: int) -> None:
        if isinstance(message, Ping):
            self.send(Pong(message.nonce, self.owner.wall_ms()))
        elif isinstance(message, Pong):
            self._heart.ponged(message, now, self.owner.wall_ms())
        elif isinstance(message, Reject):
            self._rejected(message)
        elif self._state is _State.ESTABLISHED and not isinstance(message, Hello):
            self.owner.received(self, message)
        elif self._state is _State.GREETING and isinstance(message, Hello):
            self._greet(message)
        elif self._state is not _State.CLOSED:
            self.close(Code.UNEXPECTED_MESSAGE, type(message).__name__)

    def frame_error(self, error: FrameError) -> None:
        """Close on what is no frame, too large, or not allowed yet."""
        if isinstance(error, OversizeFrame):
            code = Code.OVERSIZE
        elif self._state is _State.GREETING and error.kind in NAMES:
            code = Code.UNEXPECTED_MESSAGE
        else:
            code = Code.MALFORMED
        self.close(code, str(error))

    def _rejected(self, message: Reject) -> None:
        printable = "".join(c if c.isprintable() else "?" for c in message.text)
        self._finish(CloseReason(parse_code(message.code), printable, by_peer=True))
        self._shut()

    def _throttle(self, wait: int) -> bool:
        if self._meter.overloaded:
            self.close(Code.OVERLOAD)
            return False
        self.hold(_BY_BUDGET)
        self._later("throttle", wait, self._unthrottle)
        return True

    def _unthrottle(self) -> None:
        self.release(_BY_BUDGET)

    def release(self, reason: int) -> None:
        """Drop a reason to hold; silence while held was our own doing and is not counted against the peer."""
        if self.held:
            self._heart.last_received = self._now()
        super().release(reason)

    # Heartbeat

    def _beat(self) -> None:
        code = self._heart.verdict(self._outgoing, self.held, self._now())
        if code is not None:
            self.close(code)
            return
        self.ping()
        self._later("beat", self.owner.settings.ping_interval, self._beat)

    def ping(self) -> None:
        """Ask for a sign of life now."""
        nonce = self.owner.random.getrandbits(64)
        self._heart.pinged(nonce, self._now())
        self.send(Ping(nonce))

    # The end

    def _finish(self, reason: CloseReason) -> None:
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self.reason = reason
        self.end()
        for name in list(self._timers):
            self._cancel(name)
        self.owner.ended(self, reason)

    def _shut(self) -> None:
        transport = self.transport
        if transport is None:
            return
        transport.unregisterProducer()  # type: ignore[attr-defined]
        if self.held:
            # TLS closes only after it has read the other side's goodbye.
            transport.resumeProducing()  # type: ignore[attr-defined]
        self._later("abort", self.owner.settings.close_timeout, self._abort)
        transport.loseConnection()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Forget everything; `closed` fires."""
        code = Code.TLS_FAILED if self._state is _State.TLS else Code.LOST
        text = reason.getErrorMessage() if reason is not None else ""
        self._finish(CloseReason(code, text, by_peer=True))
        self._cancel("abort")
        self._outgoing.stopProducing()
        assert self.reason is not None
        self.closed.callback(self.reason)

    # Helpers

    def _now(self) -> int:
        return int(self.owner.clock.seconds() * 1000)

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _later(self, name: str, delay_ms: int, call: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self.owner.clock.callLater(delay_ms / 1000, self._due, name, call)

    def _due(self, name: str, call: Callable[[], None]) -> None:
        del self._timers[name]
        call()

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

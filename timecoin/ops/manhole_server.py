"""The SSH server of the manhole: only what is strong, few connections, idle ones closed, nothing but sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.avatar import ConchUser
from twisted.conch.error import ConchError
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh import connection, factory, session, transport
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import IRealm, Portal
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.ops.manhole_access import AuthorizedKeys, Grant
from timecoin.ops.manhole_console import Console
from timecoin.ops.manhole_login import KeyChecker, Login
from timecoin.ops.manhole_session import Session
from timecoin.ops.manhole_watch import Watch

MAX_CONNECTIONS = 8
MAX_SESSIONS = 4
"""Channels of one connection."""
_MAX_UNREAD = 4 << 20
"""Bytes of output that a client may leave unread."""
_MAX_EARLY = 65_536
"""Bytes that a client may send before it says what for."""

_CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
_MACS = (b"hmac-sha2-512", b"hmac-sha2-256")
_KEY_EXCHANGES = (b"curve25519-sha256", b"curve25519-sha256@libssh.org", b"ecdh-sha2-nistp256", b"ecdh-sha2-nistp384")


_CONCH = Logger("twisted.conch")
# A Logger in a class takes that class's name, and then Twisted's chatter would pass for ours.
_quiet = property(lambda self: _CONCH)


class Transport(transport.SSHServerTransport):
    """One connection."""

    ourVersionString = b"SSH-2.0-TimeCoin"
    supportedCiphers = [each for each in transport.SSHTransportBase.supportedCiphers if each in _CIPHERS]
    supportedMACs = [each for each in transport.SSHTransportBase.supportedMACs if each in _MACS]
    supportedKeyExchanges = [
        each for each in transport.SSHTransportBase.supportedKeyExchanges if each in _KEY_EXCHANGES
    ]
    supportedCompressions = [b"none"]
    _log = _quiet
    factory: Any
    transport: Any
    _idle: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin; the login has a time-out of its own."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.factory.opened(self)

    def connectionLost(self, reason: Any = None) -> None:
        """Forget it."""
        if self._idle is not None and self._idle.active():
            self._idle.cancel()
        self._idle = None
        self.factory.lost(self)
        super().connectionLost(reason)

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """The client says why it leaves, which is no error of ours."""
        self._log.debug("the client leaves: {reason}", reason=description[:200])

    @property
    def is_logged_in(self) -> bool:
        """Whether a key was proved."""
        return hasattr(self, "avatar")

    def touch(self) -> None:
        """The user did something: begin the idle time anew."""
        if self._idle is not None and self._idle.active():
            self._idle.cancel()
        self._idle = self.factory.reactor.callLater(self.factory.idle_seconds, self._tire)

    def _tire(self) -> None:
        self.sendDisconnect(transport.DISCONNECT_BY_APPLICATION, b"idle for too long")  # type: ignore[no-untyped-call]


class Channel(session.SSHSession):
    """A session's channel, bounded both ways."""

    _log = _quiet

    def request_pty_req(self, data: bytes) -> int:
        """A terminal is wanted; some keys may not have one."""
        assert isinstance(self.avatar, User)
        return super().request_pty_req(data) if self.avatar.grant.terminal else 0

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the client."""
        assert isinstance(self.avatar, User)
        self.avatar.touch()
        if self.client is None and len(self.buf) + len(data) > _MAX_EARLY:
            self.loseConnection()
        else:
            super().dataReceived(data)

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        super().write(data)  # type: ignore[no-untyped-call]
        if len(self.buf or b"") > _MAX_UNREAD:
            self.loseConnection()


class User(ConchUser):
    """Who is logged in: its key's grant, and what its sessions need."""

    conn: Any

    def __init__(self, grant: Grant, server: ManholeFactory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.grant = grant
        self._server = server
        self.reactor = server.reactor
        self.banner = server.banner
        self.channelLookup[b"session"] = Channel

    def lookupChannel(self, channelType: bytes, windowSize: int, maxPacket: int, data: bytes) -> Any:
        """A channel; ConchError for anything but a session, and for one session too many."""
        if len(self.conn.channels) >= MAX_SESSIONS:
            raise ConchError("too many sessions", connection.OPEN_RESOURCE_SHORTAGE)
        self.touch()
        return super().lookupChannel(channelType, windowSize, maxPacket, data)  # type: ignore[no-untyped-call]

    def touch(self) -> None:
        """Begin the idle time anew."""
        self.conn.transport.touch()

    def next_session(self) -> str:
        """A name for the log: a number, the key, from where."""
        return f"session {self._server.next_number()} of {self.grant} at {_where(self.conn.transport)}"

    def make_console(self) -> Console:
        """A console with a namespace of its own."""
        return self._server.make_console()


registerAdapter(Session, User, ISession)


def _where(transport: Any) -> str:
    peer = transport.transport.getPeer()
    return f"{peer.host}:{peer.port}" if hasattr(peer, "port") else "the unix socket"


@implementer(IRealm)
class _Realm:
    def __init__(self, server: ManholeFactory) -> None:
        self._server = server

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        assert IConchUser in interfaces
        return IConchUser, User(avatarId, self._server), lambda: None


class ManholeFactory(factory.SSHFactory):
    """Builds connections; the oldest that is not logged in makes room when they are too many."""

    protocol = Transport
    services = {b"ssh-userauth": Login, b"ssh-connection": connection.SSHConnection}
    noisy = False
    primes = None
    _log = _quiet
    _notes = Logger()

    def __init__(
        self,
        reactor: Any,
        host_keys: dict[bytes, Key],
        authorized: AuthorizedKeys,
        namespace: Callable[[], dict[str, Any]],
        *,
        watch: Watch | None = None,
        idle_seconds: float = 900,
        banner: str = "",
    ) -> None:
        """``namespace`` makes what a session begins with; ``watch`` limits its commands."""
        self.reactor = reactor
        self.privateKeys = dict(host_keys)
        self.publicKeys = {name: key.public() for name, key in host_keys.items()}
        self.portal = Portal(_Realm(self), [KeyChecker(authorized, reactor)])
        self.idle_seconds = idle_seconds
        self.banner = banner
        self.watch = watch or Watch()
        self.connections: dict[Transport, None] = {}
        self._namespace = namespace
        self._sessions = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, or None when all places are taken by users that are logged in."""
        if len(self.connections) >= MAX_CONNECTIONS:
            waiting = next((each for each in self.connections if not each.is_logged_in), None)
            if waiting is None:
                self._notes.warn("{count} are connected: another one is refused", count=len(self.connections))
                return None
            self.connections.pop(waiting)
            waiting.transport.abortConnection()
        return super().buildProtocol(addr)

    def opened(self, made: Transport) -> None:
        """A connection begins."""
        self.connections[made] = None

    def lost(self, gone: Transport) -> None:
        """A connection is gone."""
        self.connections.pop(gone, None)

    def close_all(self, reason: Failure | None = None) -> None:
        """End every connection."""
        for each in tuple(self.connections):
            each.transport.abortConnection()

    def next_number(self) -> int:
        """The next session's number."""
        self._sessions += 1
        return self._sessions

    def make_console(self) -> Console:
        """A console with a namespace of its own."""
        return Console(self._namespace(), self.watch, self.reactor)

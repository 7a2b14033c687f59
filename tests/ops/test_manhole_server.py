"""The manhole's SSH server: how many may come, for how long, and with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.conch.error import ConchError
from twisted.conch.ssh.connection import OPEN_RESOURCE_SHORTAGE, OPEN_UNKNOWN_CHANNEL_TYPE
from twisted.conch.ssh.transport import DISCONNECT_BY_APPLICATION, DISCONNECT_PROTOCOL_ERROR
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.ops.test_manhole_access import ED, RSA
from timecoin.ops.manhole_access import Grant
from timecoin.ops.manhole_login import Login
from timecoin.ops.manhole_server import MAX_CONNECTIONS, MAX_SESSIONS, Channel, ManholeFactory, Transport, User
from timecoin.ops.manhole_session import Session


class Keys:
    """A file in which one key is."""

    path = "authorized_keys"

    def read(self) -> tuple[list[Grant], list[str]]:
        return [Grant(ED.public(), "ann")], []


class Wire(StringTransport):
    """A connection that can be aborted."""

    def abortConnection(self) -> None:
        self.disconnecting = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to delay here."""


class ServerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = ManholeFactory(
            self.clock,
            {b"ssh-ed25519": ED, b"ssh-rsa": RSA},
            Keys(),  # type: ignore[arg-type]
            lambda: {"a": 1},
            idle_seconds=60,
        )
        self.factory.startFactory()

    def connect(self, logged_in: bool = False) -> Any:
        made = self.factory.buildProtocol(None)
        if made is not None:
            made.makeConnection(Wire())
            if logged_in:
                made.avatar, made.logoutFunction = object(), lambda: None
        return made


class ConnectionTests(ServerCase):
    def test_one_too_many_takes_the_place_of_the_oldest_that_is_nobody(self) -> None:
        inside = self.connect(logged_in=True)
        others = [self.connect() for _ in range(MAX_CONNECTIONS - 1)]
        self.assertIsNotNone(self.connect())
        self.assertTrue(others[0].transport.disconnecting)
        self.assertFalse(inside.transport.disconnecting or others[1].transport.disconnecting)

    def test_who_is_inside_stays(self) -> None:
        inside = [self.connect(logged_in=True) for _ in range(MAX_CONNECTIONS)]
        self.assertIsNone(self.connect())
        inside[3].connectionLost(None)
        self.assertIsNotNone(self.connect())

    def test_only_what_is_strong_is_offered(self) -> None:
        offered = [*Transport.supportedCiphers, *Transport.supportedMACs, *Transport.supportedKeyExchanges]
        self.assertGreater(len(offered), 5)
        for weak in (b"cbc", b"3des", b"md5", b"hmac-sha1", b"group1-", b"group14-sha1", b"none"):
            self.assertEqual([each for each in offered if weak in each], [])
        self.assertEqual(Transport.supportedCompressions, [b"none"])
        made = self.connect()
        self.assertEqual(
            set(made.supportedPublicKeys) & {b"ssh-ed25519", b"rsa-sha2-512"}, {b"ssh-ed25519", b"rsa-sha2-512"}
        )

    def test_passwords_are_not_known(self) -> None:
        interfaces = [each.__name__ for each in self.factory.portal.listCredentialsInterfaces()]
        self.assertEqual(interfaces, ["ISSHPrivateKey"])

    def test_idle_ones_are_closed(self) -> None:
        made, told = self.connect(), []
        made.sendDisconnect = lambda *reason: told.append(reason)
        made.touch()
        self.clock.advance(50)
        made.touch()
        self.clock.advance(59)
        self.assertEqual(told, [])
        self.clock.advance(2)
        self.assertEqual(told, [(DISCONNECT_BY_APPLICATION, b"idle for too long")])
        made.touch()
        made.connectionLost(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_change_of_the_idle_time_holds_from_the_next_key_on(self) -> None:
        made, told = self.connect(), []
        made.sendDisconnect = lambda *reason: told.append(reason)
        self.factory.idle_seconds = 5
        made.touch()
        self.clock.advance(6)
        self.assertEqual(len(told), 1)

    def test_the_end(self) -> None:
        made = [self.connect() for _ in range(3)]
        self.factory.close_all()
        self.assertTrue(all(each.transport.disconnecting for each in made))


class LoginTests(ServerCase):
    def login(self) -> tuple[Any, list[Any]]:
        login, told = Login(), []
        login.transport = SimpleNamespace(
            factory=self.factory,
            isEncrypted=lambda way: True,
            sendDisconnect=lambda *reason: told.append(reason),
            sendPacket=lambda *packet: told.append(packet),
            sessionID=b"x",
        )
        login.serviceStarted()
        return login, told

    def test_who_does_not_log_in_is_closed(self) -> None:
        _, told = self.login()
        self.clock.advance(31)
        self.assertEqual(told[0][1], b"you took too long")

    def test_bytes_that_are_no_request(self) -> None:
        for packet in (b"", b"\0\0\0\1a", b"\xff" * 40):
            login, told = self.login()
            login.ssh_USERAUTH_REQUEST(packet)
            self.assertEqual(told[0][0], DISCONNECT_PROTOCOL_ERROR)

    def test_attempts_side_by_side_are_bounded(self) -> None:
        login, told = self.login()
        self.patch(login, "tryAuth", lambda *attempt: Deferred())
        packet = b"\0\0\0\1a\0\0\0\1b\0\0\0\4none"
        for _ in range(12):
            login.ssh_USERAUTH_REQUEST(packet)
        self.assertEqual(told, [])
        login.ssh_USERAUTH_REQUEST(packet)
        self.assertEqual(told[0][1], b"too many attempts")


class UserTests(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = User(Grant(ED.public(), "ann", terminal=False), self.factory)
        made = self.connect()
        self.addCleanup(made.connectionLost, None)
        self.user.conn = SimpleNamespace(channels={}, transport=made)

    def test_sessions_and_nothing_else(self) -> None:
        self.assertIsInstance(self.user.lookupChannel(b"session", 1, 1, b""), Channel)
        for kind in (b"direct-tcpip", b"forwarded-tcpip", b"x11", b"auth-agent@openssh.com"):
            problem = self.assertRaises(ConchError, self.user.lookupChannel, kind, 1, 1, b"")
            self.assertIn(OPEN_UNKNOWN_CHANNEL_TYPE, problem.args)
        self.assertFalse(self.user.gotGlobalRequest(b"tcpip-forward", b""))
        self.assertIsNone(self.user.lookupSubsystem(b"sftp", b""))

    def test_sessions_are_counted(self) -> None:
        self.user.conn.channels = dict.fromkeys(range(MAX_SESSIONS))
        problem = self.assertRaises(ConchError, self.user.lookupChannel, b"session", 1, 1, b"")
        self.assertEqual(problem.data, OPEN_RESOURCE_SHORTAGE)

    def channel(self) -> Any:
        channel = self.user.lookupChannel(b"session", 1 << 17, 1 << 15, b"")
        channel.conn = SimpleNamespace(transport=self.user.conn.transport, sendClose=lambda which: closed.append(which))
        closed: list[Any] = []
        channel.closed_ones = closed
        channel.avatar = self.user
        return channel

    def test_a_key_without_a_terminal_gets_none(self) -> None:
        self.assertEqual(self.channel().request_pty_req(b""), 0)

    def test_what_nobody_reads_is_bounded(self) -> None:
        channel = self.channel()
        channel.buf = b"x" * (5 << 20)
        lost: list[bool] = []
        channel.loseConnection = lambda: lost.append(True)
        channel.write(b"y")
        self.assertEqual(lost, [True])

    def test_what_comes_too_early_is_bounded(self) -> None:
        channel, lost = self.channel(), []
        channel.loseConnection = lambda: lost.append(True)
        for _ in range(3):
            channel.dataReceived(b"z" * 30_000)
        self.assertEqual((lost, len(channel.buf)), ([True], 60_000))


class Process:
    """The other end of a session."""

    def __init__(self) -> None:
        self.shown = b""
        self.status: int | None = None

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def write(self, data: bytes) -> None:
        self.shown += data

    def processEnded(self, reason: Any) -> None:
        self.status = reason.value.exitCode


class SessionTests(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = User(Grant(ED.public(), "ann"), self.factory)
        self.user.conn = SimpleNamespace(
            transport=SimpleNamespace(transport=SimpleNamespace(getPeer=lambda: SimpleNamespace(host="h", port=1)))
        )
        self.factory._namespace = lambda: {"a": 1, "waiting": self.waiting}
        self.waiting: Deferred[int] = Deferred(lambda d: None)
        self.process = Process()
        self.session = Session(self.user)

    def run_command(self, command: bytes) -> None:
        self.session.execCommand(self.process, command)

    def test_a_command(self) -> None:
        self.run_command(b"a + 1")
        self.assertEqual((self.process.shown, self.process.status), (b"2\n", 0))

    def test_a_result_that_comes_later(self) -> None:
        self.run_command(b"waiting")
        self.assertIsNone(self.process.status)
        self.waiting.callback(7)
        self.assertEqual((self.process.shown, self.process.status), (b"7\n", 0))

    def test_a_result_that_never_comes(self) -> None:
        self.run_command(b"waiting")
        self.clock.advance(121)
        self.assertEqual(self.process.status, 1)

    def test_who_leaves_gives_up(self) -> None:
        self.run_command(b"waiting")
        self.session.closed()
        self.assertTrue(self.waiting.called)

    def test_lines_from_a_pipe_wait_for_each_other(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"print('one')\nwaiting\nprint('th")
        self.process.transport.write(b"ree')\n")
        self.session.eofReceived()
        self.clock.pump([0] * 3)
        self.assertEqual((self.process.shown, self.process.status), (b"one\n", None))
        self.waiting.callback(2)
        self.clock.pump([0] * 3)
        self.assertEqual((self.process.shown, self.process.status), (b"one\n2\nthree\n", 0))

    def test_a_last_line_without_an_end(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"a + 4")
        self.session.eofReceived()
        self.clock.pump([0] * 3)
        self.assertEqual((self.process.shown, self.process.status), (b"5\n", 0))

    def test_a_line_that_fails_ends_it(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"1 / 0\nprint('no')\n")
        self.clock.pump([0] * 3)
        self.assertEqual(self.process.status, 1)
        self.assertNotIn(b"no\n", self.process.shown)

    def test_many_lines_at_once(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"a\n" * 2_000)
        self.session.eofReceived()
        self.assertEqual(self.process.shown, b"1\n")
        self.clock.pump([0] * 2_100)
        self.assertEqual((self.process.shown.count(b"1\n"), self.process.status), (2_000, 0))

    def test_who_leaves_between_two_lines(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"a\n" * 3)
        self.session.closed()
        self.clock.pump([0] * 5)
        self.assertEqual((self.process.shown, self.clock.getDelayedCalls()), (b"1\n", []))

    def test_too_much_at_once(self) -> None:
        self.session.openShell(self.process)
        self.process.transport.write(b"x" * 100_000)
        self.assertEqual(self.process.status, 1)

    def test_nothing(self) -> None:
        self.session.openShell(self.process)
        self.session.eofReceived()
        self.assertEqual(self.process.status, 0)

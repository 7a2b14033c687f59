"""Logging in to the manhole: by a public key of the file and nothing else, a failure costs time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh import transport, userauth
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from timecoin.ops.manhole_access import AuthorizedKeys, Grant, KeysFileError, fingerprint

LOGIN_SECONDS = 30
MAX_ATTEMPTS = 6
"""Keys that one connection may try, as with OpenSSH."""
_FIRST_DELAY, _LAST_DELAY = 0.5, 8.0
_CALM_SECONDS = 60.0


@dataclass(slots=True)
class Slowness:
    """How long the next failure takes: from half a second up, doubling with every four of the last minute."""

    now: Callable[[], float]
    failures: int = 0
    last: float = 0.0

    def failed(self) -> float:
        """Count a failure; the seconds to answer it after."""
        if self.now() - self.last > _CALM_SECONDS:
            self.failures = 0
        self.last = self.now()
        self.failures += 1
        return min(_LAST_DELAY, _FIRST_DELAY * 2.0 ** min(10, self.failures // 4))


@implementer(ICredentialsChecker)
class KeyChecker:
    """Takes who proves a key of the file; the avatar id is its :class:`~timecoin.ops.manhole_access.Grant`."""

    credentialInterfaces = (ISSHPrivateKey,)
    _log = Logger()

    def __init__(self, keys: AuthorizedKeys, reactor: Any) -> None:
        self._keys = keys
        self._reactor = reactor
        self._slowness = Slowness(reactor.seconds)

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """Fails with ValidPublicKey when only the signature is still missing, else with UnauthorizedLogin, late."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: Any) -> Grant:
        grant = self._grant(credentials.blob)
        if grant is not None and credentials.signature is None:
            raise ValidPublicKey
        if grant is None or not _proves(grant.key, credentials):
            self._log.warn("refused a login with key {key}", key=_name(credentials.blob))
            await deferLater(self._reactor, self._slowness.failed())
            raise UnauthorizedLogin("key not authorized")
        return grant

    def _grant(self, blob: bytes) -> Grant | None:
        try:
            grants, problems = self._keys.read()
        except KeysFileError as problem:
            self._log.error("nobody can log in: {problem}", problem=problem)
            return None
        for each in problems:
            self._log.warn("{path}: {problem}", path=self._keys.path, problem=each)
        return next((grant for grant in grants if grant.key.blob() == blob), None)


def _proves(key: Key, credentials: Any) -> bool:
    """Whether the signature is good; RSA with SHA-1 (plain ``ssh-rsa``) is not."""
    try:
        if getNS(credentials.signature)[0] == b"ssh-rsa":
            return False
        return bool(key.verify(credentials.signature, credentials.sigData))
    except Exception:
        # Whatever a signature is made of, it opens nothing when it cannot be checked.
        return False


def _name(blob: bytes) -> str:
    try:
        return fingerprint(Key.fromString(blob, type="blob"))
    except Exception:
        # Anything may have been sent as a key.
        return "(unreadable)"


class Login(userauth.SSHUserAuthServer):
    """The login of one connection, with bounds on attempts that are under way side by side, too."""

    loginTimeout = LOGIN_SECONDS
    attemptsBeforeDisconnect = MAX_ATTEMPTS
    transport: Any
    _begun = 0

    def serviceStarted(self) -> None:
        """The client wants to log in."""
        self.clock = self.transport.factory.reactor
        super().serviceStarted()  # type: ignore[no-untyped-call]

    def ssh_USERAUTH_REQUEST(self, packet: bytes) -> Any:
        """One attempt; twice for each key, which is offered before anything is signed with it."""
        self._begun += 1
        if self._begun > 2 * MAX_ATTEMPTS:
            self.transport.sendDisconnect(transport.DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE, b"too many attempts")
            return None
        try:
            return super().ssh_USERAUTH_REQUEST(packet)
        except Exception:
            # conch's parsers end in whatever exception on bytes that are none of a key.
            self.transport.sendDisconnect(transport.DISCONNECT_PROTOCOL_ERROR, b"malformed request")
            return None

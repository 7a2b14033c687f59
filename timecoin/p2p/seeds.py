"""Addresses from an HTTPS seed list, for a node that knows nobody. The server's host name is verified."""

from __future__ import annotations

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IAgent, IResponse

from timecoin.p2p.netaddress import AddressError, NetAddress, parse_address

#: Most bytes of a seed list that are read, and most addresses taken from it.
MAX_BODY, MAX_SEEDS = 64 << 10, 1_000
#: Seconds for the whole request.
TIMEOUT = 30.0


class SeedError(Exception):
    """A seed list that could not be fetched; the text says why."""


class _BoundedBody(Protocol):
    """Collects a response body up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self.whole: Deferred[bytes] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > self._limit:
            self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if self._size > self._limit:
            self.whole.errback(SeedError(f"more than {self._limit} bytes"))
        elif reason.check(ResponseDone):
            self.whole.callback(b"".join(self._chunks))
        else:
            self.whole.errback(reason)


def parse_seeds(body: bytes) -> list[NetAddress]:
    """Return the address literals of a list: one a line; blank lines, comments (``#``) and other lines are
    skipped.
    """
    found: list[NetAddress] = []
    for line in body.decode("utf-8", "replace").splitlines():
        try:
            found.append(parse_address(line.partition("#")[0].strip()))
        except AddressError:
            continue
    return found[:MAX_SEEDS]


async def fetch_seeds(clock: IReactorTime, agent: IAgent, url: str) -> list[NetAddress]:
    """Fetch a seed list.

    ``agent`` is a `twisted.web.client.Agent` with its default `BrowserLikePolicyForHTTPS`, which checks
    certificate and host name with service-identity.

    Raises:
        SeedError: not https, no connection, a bad certificate, an HTTP status other than 200, too long or too
        slow.
    """
    if not url.startswith("https://"):
        raise SeedError(f"not an https URL: {url}")
    try:
        return parse_seeds(await Deferred.fromCoroutine(_get(agent, url)).addTimeout(TIMEOUT, clock))
    except SeedError:
        raise
    except TimeoutError as error:
        raise SeedError(f"{url}: no answer within {TIMEOUT:.0f} s") from error
    except Exception as error:
        # Agent fails with whatever TLS, DNS, TCP or HTTP had to say; all of it means "no list from there".
        raise SeedError(f"{url}: {_cause(error)}") from error


async def _get(agent: IAgent, url: str) -> bytes:
    response: IResponse = await agent.request(b"GET", url.encode("ascii"))
    body = _BoundedBody(MAX_BODY)
    response.deliverBody(body)
    data = await body.whole
    if response.code != 200:
        raise SeedError(f"{url}: HTTP status {response.code}")
    return data


def _cause(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    return "; ".join(reason.getErrorMessage() for reason in reasons) if reasons else str(error)

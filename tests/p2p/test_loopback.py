"""The same over real sockets: TCP on loopback, TLS 1.3, and HTTPS seed lists with real certificates."""

from __future__ import annotations

import datetime
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data
from zope.interface import implementer

from tests.p2p.support import BACKEND, Listener, _One, identity, key
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.messages import Blocks, BlockWithCommit, Inv, Tx, encode_frame
from timecoin.p2p.netaddress import from_host
from timecoin.p2p.reasons import Code
from timecoin.p2p.seeds import MAX_BODY, SeedError, fetch_seeds, parse_seeds
from timecoin.p2p.service import P2PService

reactor: Any = _reactor


async def until(condition: Any, seconds: float = 5.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await deferLater(reactor, 0.005)
    raise AssertionError("it did not happen in time")


class LoopbackTests(TestCase):
    timeout = 20

    async def node(self, name: str, *pinned: str) -> tuple[P2PService, Listener, int]:
        listener = Listener()
        config = P2PConfig(listen=("tcp:0:interface=127.0.0.1",), pinned=pinned, allow_private=True)
        service = P2PService(reactor, Random(name), identity(name), BACKEND, listener, config)
        service.startService()
        [port] = await service.listening
        self.addCleanup(lambda: service.stopService() if service.running else None)
        return service, listener, port.getHost().port  # type: ignore[attr-defined]

    async def test_two_nodes(self) -> None:
        b, heard, port = await self.node("b")
        a, _, _ = await self.node("a", f"{key('b').hex()}@127.0.0.1:{port}")
        await until(lambda: a.peers and b.peers)
        [peer] = a.peers
        version = peer.transport.getHandle().get_protocol_version_name()  # type: ignore[union-attr]
        self.assertEqual((key("b"), "TLSv1.3"), (peer.node_id, version))
        big = Blocks(tuple(BlockWithCommit(b"b" * 1_000_000, b"c" * 6_000) for _ in range(4)))
        self.assertTrue(peer.send(big))
        for number in range(1_000):
            peer.send(Tx((number.to_bytes(4, "big"),)))
        await until(lambda: len(heard.messages) == 1_001)
        messages = [message for _, message in heard.messages]
        self.assertIn(big, messages)
        order = [message.transactions[0] for message in messages if isinstance(message, Tx)]
        self.assertEqual([number.to_bytes(4, "big") for number in range(1_000)], order)
        self.assertEqual(0, peer.queued_bytes)
        await a.stopService()
        await until(lambda: heard.lost)
        self.assertEqual(Code.SHUTTING_DOWN, heard.lost[0][1].code)

    async def test_a_paused_reader_holds_the_sender_back(self) -> None:
        b, heard, port = await self.node("b")
        a, _, _ = await self.node("a", f"127.0.0.1:{port}")
        await until(lambda: a.peers and b.peers)
        b.peers[0].pause()
        frame = encode_frame(Tx((b"x" * 100_000,)))
        sent = 0
        while a.peers[0].send(frame):
            sent += 1
            await deferLater(reactor, 0)
        self.assertGreater(a.peers[0].queued_bytes, 1 << 20)
        b.peers[0].resume()
        await until(lambda: len(heard.messages) == sent)

    async def test_tls_12_is_refused(self) -> None:
        b, _, port = await self.node("b")
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client = _Outcome()
        factory = TLSMemoryBIOFactory(_Client(context), True, _One(client))  # type: ignore[arg-type]
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        self.assertEqual("lost", await client.outcome)
        self.assertEqual((), b.peers)

    async def test_plain_text_is_refused(self) -> None:
        _, _, port = await self.node("b")
        client = _Outcome()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), client)
        client.transport.write(b"hello, anybody there?\r\n" * 10)  # type: ignore[union-attr]
        self.assertEqual("lost", await client.outcome)

    async def test_a_port_in_use_fails_the_start(self) -> None:
        _, _, port = await self.node("b")
        config = P2PConfig(listen=(f"tcp:{port}:interface=127.0.0.1",))
        service = P2PService(reactor, Random(1), identity("c"), BACKEND, Listener(), config)
        service.startService()
        error = await self.assertFailure(service.listening, Exception)
        self.assertIn(str(port), str(error))
        await service.stopService()

    async def test_broadcast_reaches_everybody(self) -> None:
        b, heard_b, port = await self.node("b")
        c, heard_c, port_c = await self.node("c")
        a, _, _ = await self.node("a", f"127.0.0.1:{port}", f"127.0.0.1:{port_c}")
        await until(lambda: len(a.peers) == 2 and b.peers and c.peers)
        self.assertEqual(2, a.broadcast(encode_frame(Inv(()))))
        await until(lambda: heard_b.messages and heard_c.messages)


@implementer(IOpenSSLClientConnectionCreator)
class _Client:
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        return connection


@implementer(IHandshakeListener)
class _Outcome(Protocol):
    """Tells whether TLS came up or the connection was lost first."""

    def __init__(self) -> None:
        self.outcome: Deferred[str] = Deferred()

    def handshakeCompleted(self) -> None:
        self.outcome.callback("up")

    def connectionLost(self, reason: object = None) -> None:
        if not self.outcome.called:
            self.outcome.callback("lost")


def make_certificate(host: str) -> PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return PrivateCertificate.load(
        certificate.public_bytes(pem), KeyPair.load(private, SSL.FILETYPE_PEM), SSL.FILETYPE_PEM
    )


class SeedTests(TestCase):
    timeout = 20

    async def fetch(self, certified: str, path: str = "seeds.txt", trusted: bool = True) -> Any:
        """Serve a list with a certificate for ``certified`` and ask for it as ``localhost``."""
        certificate = make_certificate(certified)
        root = Resource()
        seeds = b"# ours\n20.1.0.1:24100\n\nnonsense\n[2a00::1]:5 # x\n"
        root.putChild(b"seeds.txt", Data(seeds, "text/plain"))
        root.putChild(b"long.txt", Data(b"20.1.0.1:24100\n" * (MAX_BODY // 10), "text/plain"))
        options = CertificateOptions(
            privateKey=certificate.privateKey.original, certificate=certificate.original
        )
        port = reactor.listenSSL(0, Site(root), options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        anchor = Certificate(certificate.original) if trusted else Certificate(make_certificate("x").original)
        agent = Agent(reactor, BrowserLikePolicyForHTTPS(trustRootFromCertificates([anchor])))
        return await fetch_seeds(reactor, agent, f"https://localhost:{port.getHost().port}/{path}")

    async def failing(self, *arguments: Any, **more: Any) -> str:
        attempt = Deferred.fromCoroutine(self.fetch(*arguments, **more))
        return str(await self.assertFailure(attempt, SeedError))

    async def test_a_list(self) -> None:
        found = await self.fetch("localhost")
        self.assertEqual([from_host("20.1.0.1", 24100), from_host("2a00::1", 5)], found)

    async def test_another_host_name_is_refused(self) -> None:
        self.assertIn("DNSMismatch", await self.failing("example.org"))

    async def test_an_unknown_authority_is_refused(self) -> None:
        self.assertIn("certificate verify failed", await self.failing("localhost", trusted=False))

    async def test_not_found(self) -> None:
        self.assertIn("404", await self.failing("localhost", "other.txt"))

    async def test_too_long(self) -> None:
        self.assertIn("more than", await self.failing("localhost", "long.txt"))

    async def test_only_https(self) -> None:
        error = await self.assertFailure(
            Deferred.fromCoroutine(fetch_seeds(reactor, Agent(reactor), "http://localhost/")), SeedError
        )
        self.assertIn("not an https URL", str(error))

    def test_parse(self) -> None:
        self.assertEqual([], parse_seeds(b"\xff\xfe\nexample.org:5\n"))
        self.assertEqual(1_000, len(parse_seeds(b"20.1.0.1:24100\n" * 2_000)))

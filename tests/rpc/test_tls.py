"""RPC over TLS: both clients believe the right certificate and no other."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.rpc.certificates import Authority
from tests.rpc.fake_node import FakeNode
from timecoin.rpc import client as blocking
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.auth import Salted, Users
from timecoin.rpc.client import BlockingClient, RpcUnreachable
from timecoin.rpc.service import RpcService
from timecoin.rpc.target import Login, Target


class TlsTests(TestCase):
    def setUp(self) -> None:
        self.authority = Authority()
        self.ca_file = self.authority.write(Path(self.mktemp()))
        self.users = Users((Salted.make("alice", "pass:wörd"),))

    async def serve(self, *names: str, expired: bool = False, authority: Authority | None = None) -> None:
        pem = (authority or self.authority).issue(Path(self.mktemp()).absolute(), *names, expired=expired)
        endpoint = f"ssl:0:interface=127.0.0.1:privateKey={pem}"
        node = FakeNode(reactor)  # type: ignore[arg-type]
        self.cookie = Path(self.mktemp())
        self.service = RpcService(reactor, node, [endpoint], self.cookie, users=self.users)
        await self.service.startService()
        self.addCleanup(self.service.stopService)
        self.port = self.service.ports[0].getHost().port

    async def both(self, host: str, who: Path | Login | None = None) -> list[Any]:
        """What the two clients get."""
        url, found = f"https://{host}:{self.port}", []
        waiting = AsyncClient(reactor, url, who or self.cookie, self.ca_file)
        client = BlockingClient(url, who or self.cookie, 5, self.ca_file)
        try:
            found.append(await waiting.call("getblockcount"))
        except RpcUnreachable as problem:
            found.append(str(problem))
        try:
            found.append(await deferToThread(client.call, "getblockcount"))
        except RpcUnreachable as problem:
            found.append(str(problem))
        waiting.close()
        client.close()
        return found

    async def refused(self, host: str) -> None:
        with (
            patch.object(self.service.dispatcher, "answer", self.fail),
            patch.object(self.service.gate, "user", self.fail),
        ):
            answers = await self.both(host)
        for each in answers:
            self.assertIsInstance(each, str)

    async def test_by_name_and_by_address(self) -> None:
        await self.serve("localhost", "127.0.0.1")
        for host in ("localhost", "127.0.0.1"):
            self.assertEqual(await self.both(host), [1, 1])

    async def test_a_user_with_a_password(self) -> None:
        await self.serve("localhost")
        self.assertEqual(await self.both("localhost", Login("alice", "pass:wörd")), [1, 1])
        for each in await self.both("localhost", Login("alice", "pass")):
            self.assertIn("does not accept", each)

    async def test_another_name(self) -> None:
        await self.serve("example.org", "127.0.0.1")
        await self.refused("localhost")

    async def test_another_address(self) -> None:
        await self.serve("localhost", "127.0.0.2")
        await self.refused("127.0.0.1")

    async def test_an_address_as_a_name_and_a_common_name_do_not_count(self) -> None:
        await self.serve("example.org")
        await self.refused("localhost")
        await self.refused("127.0.0.1")

    async def test_another_authority(self) -> None:
        await self.serve("localhost", authority=Authority())
        await self.refused("localhost")

    async def test_an_expired_certificate(self) -> None:
        await self.serve("localhost", expired=True)
        await self.refused("localhost")

    async def test_the_names_are_checked_by_more_than_openssl(self) -> None:
        await self.serve("example.org")
        lenient = ssl.create_default_context(cafile=str(self.ca_file))
        lenient.check_hostname = False
        client = BlockingClient(f"https://localhost:{self.port}", self.cookie, 5, self.ca_file)
        with patch.object(blocking, "tls_context", lambda ca_file: lenient):
            try:
                await deferToThread(client.call, "getblockcount")
            except RpcUnreachable as problem:
                self.assertIn("is another's", str(problem))
            else:
                self.fail("it trusted another's certificate")

    async def test_not_before_tls_1_2(self) -> None:
        await self.serve("localhost")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        await self.assertFailure(deferToThread(_handshake, self.port, old), OSError)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(await deferToThread(_handshake, self.port, old), "TLSv1.2")


def _handshake(port: int, context: ssl.SSLContext) -> str | None:

    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as secure:
        return secure.version()


class TargetTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        self.assertEqual(Target.parse("http://h:1"), Target(False, "h", 1, "/"))
        self.assertEqual(Target.parse("https://[::1]/wallet/a%20b"), Target(True, "::1", 443, "/wallet/a%20b"))
        self.assertEqual(Target.parse("https://[::1]/wallet/a%20b").wallet, "a b")
        self.assertEqual(Target.parse("https://[::1]:7").place, "[::1]:7")

    def test_bad_ones(self) -> None:
        for url in ("h:1", "ftp://h", "http://", "http://u:p@h", "http://h/?a", "http://h/a b", "http://h:99999"):
            self.assertRaises(ValueError, Target.parse, url)

    def test_a_password_is_not_shown(self) -> None:
        self.assertNotIn("secret", repr(Login("alice", "secret")))

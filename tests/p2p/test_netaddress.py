"""Addresses: literals, groups, what is routable."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p.netaddress import (
    AddressError,
    NetAddress,
    Network,
    from_host,
    from_transport,
    parse_address,
    split_host_port,
)

# BIP 155's and Bitcoin Core's net_tests.cpp example of a Tor v3 address.
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
ONION_KEY = bytes.fromhex("79bcc625184b05194975c28b66b66b0469f7f6556fb1ac3189a79b40dda32f1f")

fuzz = settings(deadline=None, derandomize=True, max_examples=100, database=None)


class LiteralTests(SynchronousTestCase):
    def test_literals(self) -> None:
        for text in ("1.2.3.4:24100", "[2001:db8::1]:1", f"{ONION}:65535"):
            self.assertEqual(text, str(parse_address(text)))

    def test_onion_key(self) -> None:
        self.assertEqual(NetAddress(Network.TORV3, ONION_KEY, 8333), parse_address(ONION + ":8333"))

    def test_refused(self) -> None:
        for text in (
            "example.org:1",
            "1.2.3.4",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:+1",
            "1.2.3.4:²",
            "::1:1",
            ":1",
            "1.2.3:1",
            "expyuzz4wqqyqhjn.onion:1",
            "a" + ONION[1:] + ":1",
            "",
        ):
            with self.subTest(text=text):
                self.assertRaises(AddressError, parse_address, text)

    def test_names_are_left_alone_by_split(self) -> None:
        self.assertEqual(("node1", 24100), split_host_port("node1:24100"))

    def test_mapped_ipv4_is_ipv4(self) -> None:
        self.assertEqual(parse_address("1.2.3.4:5"), parse_address("[::ffff:1.2.3.4]:5"))
        mapped = NetAddress(Network.IPV6, bytes(10) + b"\xff\xff\x01\x02\x03\x04", 5)
        self.assertFalse(mapped.is_known())

    def test_transport_addresses(self) -> None:
        self.assertEqual(parse_address("1.2.3.4:5"), from_transport(IPv4Address("TCP", "1.2.3.4", 5)))
        self.assertEqual(parse_address("[fe80::1]:5"), from_transport(IPv6Address("TCP", "fe80::1%eth0", 5)))
        self.assertIsNone(from_transport(UNIXAddress("/tmp/x")))
        self.assertIsNone(from_transport(None))

    @fuzz
    @given(st.binary(min_size=16, max_size=16), st.integers(1, 65535))
    def test_text_round_trip(self, raw: bytes, port: int) -> None:
        for address in (
            NetAddress(Network.IPV4, raw[:4], port),
            NetAddress(Network.IPV6, raw, port),
            NetAddress(Network.TORV3, raw * 2, port),
        ):
            if address.is_known():
                self.assertEqual(address, parse_address(str(address)))

    @fuzz
    @given(st.integers(0, 255), st.binary(max_size=40), st.integers(0, 65535))
    def test_no_wire_address_raises(self, network: int, host: bytes, port: int) -> None:
        address = NetAddress(network, host, port)
        self.assertLessEqual(address.is_routable(), address.is_dialable())
        if address.is_dialable():
            address.group()


class ReachTests(SynchronousTestCase):
    def test_routable(self) -> None:
        for text in ("8.8.8.8:1", "[2a00::1]:1", f"{ONION}:1"):
            self.assertTrue(parse_address(text).is_routable(), text)

    def test_not_routable(self) -> None:
        for host in ("127.0.0.1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.0.1", "0.0.0.0", "::1"):
            self.assertFalse(from_host(host, 1).is_routable(), host)
        for host in ("fe80::1", "fc00::1", "ff02::1", "224.0.0.1", "100.64.0.1", "2001:db8::1"):
            self.assertFalse(from_host(host, 1).is_routable(), host)
        self.assertFalse(from_host("8.8.8.8", 0).is_routable())

    def test_dialable(self) -> None:
        self.assertTrue(from_host("127.0.0.1", 1).is_dialable())
        for host, port in (("0.0.0.0", 1), ("::", 1), ("224.0.0.1", 1), ("127.0.0.1", 0)):
            self.assertFalse(from_host(host, port).is_dialable())


class GroupTests(SynchronousTestCase):
    """Bitcoin Core, src/test/netbase_tests.cpp, netbase_getgroup; group contents as there."""

    def test_local_and_private(self) -> None:
        for host in ("127.0.0.1", "10.0.0.1", "169.254.1.1", "0.0.0.0", "::1", "fc00::1"):
            self.assertEqual(b"\x00", from_host(host, 1).group(), host)

    def test_ipv4_and_what_carries_it(self) -> None:
        for host in (
            "1.2.3.4",
            "2002:102:304:9999:9999:9999:9999:9999",
            "64:ff9b::102:304",
            "2001:0:9999:9999:9999:9999:fefd:fcfb",
        ):
            self.assertEqual(bytes([1, 1, 2]), from_host(host, 1).group(), host)

    def test_he_net(self) -> None:
        self.assertEqual(
            bytes([2, 32, 1, 4, 112, 160]), from_host("2001:470:abcd:9999:9999:9999:9999:9999", 1).group()
        )

    def test_ipv6(self) -> None:
        self.assertEqual(bytes([2, 32, 1, 32, 1]), from_host("2001:2001:9999::9999", 1).group())

    def test_onion(self) -> None:
        self.assertEqual(bytes([4, ONION_KEY[0] & 0xF0]), from_host(ONION, 1).group())

    def test_port_does_not_matter(self) -> None:
        self.assertEqual(from_host("8.8.8.8", 1).group(), from_host("8.8.4.4", 2).group())

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.service_address import AddressNetwork, ServiceAddress
from timecoin.primitives.codec import DecodeError, Reader

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60, database=None)
# Source: BIP 155's TORv3 example, with its name in Bitcoin Core's src/test/net_tests.cpp.
ONION_KEY = bytes.fromhex("79bcc625184b05194975c28b66b66b0469f7f6556fb1ac3189a79b40dda32f1f")
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
HOSTS = st.one_of(
    st.tuples(st.just(AddressNetwork.IPV4), st.binary(min_size=4, max_size=4)),
    st.tuples(
        st.just(AddressNetwork.IPV6),
        st.binary(min_size=16, max_size=16).filter(lambda b: b[0] and b[0] != 0xFD),
    ),
    st.tuples(st.just(AddressNetwork.TOR_V3), st.binary(min_size=32, max_size=32)),
)


def read(data: bytes) -> ServiceAddress:
    reader = Reader(data)
    address = ServiceAddress.read(reader)
    reader.finish()
    return address


class ServiceAddressTests(SynchronousTestCase):
    def test_bip155_bytes(self) -> None:
        facts = {
            "1.2.3.4:24100": "0104010203045e24",
            "[1a1b:2a2b:3a3b:4a4b:5a5b:6a6b:7a7b:8a8b]:1": "02101a1b2a2b3a3b4a4b5a5b6a6b7a7b8a8b0001",
            f"{ONION}:65535": "0420" + ONION_KEY.hex() + "ffff",
            "[::1]:0": "0210" + "00" * 15 + "01" + "0000",
        }
        for text, encoded in facts.items():
            address = ServiceAddress.parse(text)
            self.assertEqual(address.encode().hex(), encoded)
            self.assertEqual(str(read(bytes.fromhex(encoded))), text)

    def test_other_texts_are_refused(self) -> None:
        refused = ["example.org:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:01", "1.2.3:5", "::1:80"]
        refused += [
            "[::ffff:1.2.3.4]:1",
            "[fd87:d87e:eb43::1]:1",
            "[0::1]:1",
            "[FE80::1]:1",
            "[fe80::1%eth0]:1",
            ":1",
        ]
        refused += [
            ONION.replace("pg6", "qg6") + ":1",
            ONION.upper() + ":1",
            "aaaa.onion:1",
            "ü.onion:1",
            "1.2.3.4:¹",
        ]
        for text in refused:
            self.assertRaises(ValueError, ServiceAddress.parse, text)

    def test_other_bytes_are_refused(self) -> None:
        refused = [
            "",
            "01",
            "0103010203" + "0001",
            "0105" + "0102030405" + "0001",
            "0310" + "00" * 16 + "0001",
        ]
        refused += [
            "0210" + "00" * 10 + "ffff" + "01020304" + "0001",
            "0210fd87d87eeb43" + "00" * 10 + "0001",
        ]
        refused += ["01fd0400010203040001", "0104010203040001ff", "00" + "0401020304" + "0001"]
        for encoded in refused:
            self.assertRaises(DecodeError, read, bytes.fromhex(encoded))

    @SETTINGS
    @given(HOSTS, st.integers(0, 0xFFFF))
    def test_round_trips(self, host: tuple[AddressNetwork, bytes], port: int) -> None:
        address = ServiceAddress(*host, port)
        self.assertEqual(read(address.encode()), address)
        self.assertEqual(ServiceAddress.parse(str(address)), address)
        for size in range(len(address.encode())):
            self.assertRaises(DecodeError, read, address.encode()[:size])

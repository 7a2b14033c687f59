"""Bans by the operator: what they cover, that they are kept, and that they hold at every door."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from tests.p2p.network import Net
from tests.p2p.support import key
from tests.p2p.test_service import A, B, pin
from timecoin.p2p import banfile
from timecoin.p2p.bans import AlreadyBanned, Ban, BanError, BanList, parse_subject
from timecoin.p2p.dialer import parse_pinned
from timecoin.p2p.netaddress import parse_address
from timecoin.p2p.reasons import Code

ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
NOW, LATER = 1_000, 2_000


class SubjectTests(SynchronousTestCase):
    def test_canonical(self) -> None:
        for text, subject in (
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/255.255.0.0", "10.1.0.0/16"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("[2001:db8::1]", "2001:db8::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            (ONION.upper(), ONION),
            (key("a").hex().upper(), key("a").hex()),
        ):
            self.assertEqual(parse_subject(text), subject)

    def test_nonsense(self) -> None:
        for text in ("", "example.com", "10.0.0.0/33", "10.0.0.1:24100", "x.onion", "02" + "zz" * 32, "02" * 32):
            with self.assertRaises(BanError, msg=text):
                parse_subject(text)


class BanListTests(SynchronousTestCase):
    def banned(self, *subjects: str) -> BanList:
        bans = BanList()
        for subject in subjects:
            bans.add(subject, NOW, LATER)
        return bans

    def test_addresses_within(self) -> None:
        bans = self.banned("10.0.0.0/8", "2001:db8::/32", "192.0.2.7", ONION)
        for text, held in (
            ("10.255.0.1:1", True),
            ("11.0.0.1:1", False),
            ("192.0.2.7:9", True),
            ("192.0.2.8:9", False),
            ("[2001:db8:5::1]:1", True),
            ("[2001:db9::1]:1", False),
            (f"{ONION}:1", True),
        ):
            self.assertIs(bans.holds_address(parse_address(text), NOW), held, text)
        self.assertFalse(bans.holds_address(None, NOW))

    def test_keys(self) -> None:
        bans = self.banned(key("a").hex())
        self.assertTrue(bans.holds_key(key("a"), NOW))
        self.assertFalse(bans.holds_key(key("b"), NOW))

    def test_they_end(self) -> None:
        bans = self.banned("10.0.0.0/8")
        self.assertTrue(bans.holds_address(parse_address("10.0.0.1:1"), LATER - 1))
        self.assertFalse(bans.holds_address(parse_address("10.0.0.1:1"), LATER))
        self.assertEqual(bans.listed(LATER - 1), [Ban("10.0.0.0/8", NOW, LATER)])
        self.assertEqual(bans.listed(LATER), [])
        self.assertEqual(len(bans), 0)

    def test_twice_and_not_at_all(self) -> None:
        bans = self.banned("10.0.0.0/8")
        with self.assertRaises(AlreadyBanned):
            bans.add("10.9.9.9/8", NOW, LATER)
        with self.assertRaises(BanError):
            bans.remove("10.0.0.0/9", NOW)
        bans.remove("10.0.0.0/8", NOW)
        self.assertFalse(bans.holds_address(parse_address("10.0.0.1:1"), NOW))
        bans.add("10.0.0.0/8", NOW, LATER)
        bans.clear()
        self.assertFalse(bans.holds_address(parse_address("10.0.0.1:1"), NOW))


class FileTests(SynchronousTestCase):
    def test_kept(self) -> None:
        path = Path(self.mktemp())
        bans = [Ban("10.0.0.0/8", NOW, LATER), Ban(key("a").hex(), NOW, LATER)]
        banfile.save(path, bans)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(sorted(banfile.load(path).listed(NOW)), sorted(bans))

    def test_no_file(self) -> None:
        self.assertEqual(len(banfile.load(Path(self.mktemp()))), 0)
        self.assertEqual(len(banfile.load(None)), 0)
        banfile.save(None, [])

    def test_a_damaged_file_is_not_passed_over(self) -> None:
        path = Path(self.mktemp())
        for damage in (b"{", b'{"version":2,"banned":[]}', b'{"version":1,"banned":[["x",1,2]]}'):
            path.write_bytes(damage)
            with self.assertRaises(banfile.BanFileUnreadable):
                banfile.load(path)


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.addCleanup(self.net.stop)

    def until(self) -> int:
        return int(self.net.clock.seconds()) + 100

    def test_a_connection_ends_and_is_not_dialled_again(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B, "b"),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        a.ban("10.0.0.0/24", self.until())
        self.net.settle()
        self.assertEqual((self.net.ids("a"), self.net.ids("b")), (set(), set()))
        self.assertEqual([reason.code for _, reason in self.net.listeners["b"].lost], [Code.BANNED])
        dials = self.net.dials.count((A, f"{B}:24100"))
        self.net.run(90)
        self.assertEqual(self.net.dials.count((A, f"{B}:24100")), dials)
        self.net.run(20)
        self.assertEqual(self.net.ids("a"), {"b"})

    def test_a_banned_key_is_turned_away_from_wherever_it_comes(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start("a")
        a.ban(key("b").hex(), self.until())
        self.net.start("b")
        self.net.run(10)
        self.assertEqual(self.net.ids("a"), set())
        self.assertGreater(len(self.net.dials), 0)

    def test_a_banned_address_does_not_get_as_far_as_tls(self) -> None:
        a = self.net.node("a", A)
        self.net.start()
        a.ban("10.0.0.2", self.until())
        factory = a.accept_factory()
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", B, 5)))  # type: ignore[arg-type]
        self.assertFalse(a.is_banned(parse_address("10.0.0.3:5"), None))
        a.unban("10.0.0.2")
        self.assertFalse(a.is_banned(parse_address(f"{B}:5"), None))

    def test_bans_outlive_a_restart(self) -> None:
        path = Path(self.mktemp())
        a = self.net.node("a", A, config={"ban_file": path})
        self.net.start()
        a.ban("10.0.0.2", self.until())
        self.net.stop("a")
        self.net.start("a")
        self.assertEqual([ban.subject for ban in a.bans.listed(0)], ["10.0.0.2/32"])
        a.unban(None)
        self.assertEqual(len(banfile.load(path)), 0)

    def test_switched_off_and_on(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B, "b"),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        a.set_active(False)
        self.net.run(30)
        self.assertEqual(self.net.ids("a"), set())
        self.assertIsNone(a.accept_factory().buildProtocol(IPv4Address("TCP", B, 5)))  # type: ignore[arg-type]
        a.set_active(True)
        self.net.run(30)
        self.assertEqual(self.net.ids("a"), {"b"})

    def test_tried_once(self) -> None:
        a = self.net.node("a", A)
        self.net.node("b", B)
        self.net.start()
        a.dialer.try_once(parse_pinned(pin(B, "b")))
        self.net.settle()
        self.assertEqual(self.net.ids("a"), {"b"})
        self.assertEqual([peer.number for peer in a.peers], [0])

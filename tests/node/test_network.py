"""The operator's hand on connections, over real P2P services on one in-memory network."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.p2p.network import Net
from tests.p2p.support import key
from tests.p2p.test_service import A, B, C, pin
from timecoin.node.network import NodeNetwork, network_of
from timecoin.p2p.netaddress import from_host, parse_address
from timecoin.rpc.face_network import NetworkRefused

PORT = 24100


class NetworkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.addCleanup(self.net.stop)
        self.a = self.net.node("a", A, config={"pinned": (pin(B, "b"),)})
        self.net.node("b", B)
        self.net.node("c", C)
        self.network = NodeNetwork(self.a, lambda peer: None, PORT, onion=False)
        self.net.start()
        self.net.settle()

    def refusal(self, call, *arguments: str) -> str:  # type: ignore[no-untyped-def]
        with self.assertRaises(NetworkRefused) as caught:
            call(*arguments)
        return caught.exception.kind

    def now(self) -> int:
        return int(self.net.clock.seconds())

    def test_peers(self) -> None:
        [b] = self.network.peers()
        self.assertEqual((b.node_id, b.address, b.purpose, b.pinned), (key("b"), f"{B}:24100", "manual", True))
        self.assertEqual((b.network, b.number, len(b.session)), ("not_publicly_routable", 0, 32))
        self.assertIn("hello", b.messages_in)
        self.assertEqual(sum(b.messages_in.values()), b.bytes_received)
        totals = self.network.totals()
        self.assertEqual((totals.received, totals.sent), (b.bytes_received, b.bytes_sent))

    def test_round_trips(self) -> None:
        self.network.ping()
        self.assertIsNotNone(self.network.peers()[0].ping_wait_ms)
        self.net.run(1)
        [b] = self.network.peers()
        self.assertIsNone(b.ping_wait_ms)
        self.assertLessEqual(b.least_ping_ms or 0, b.ping_ms or 0)

    def test_numbers_are_never_used_twice(self) -> None:
        self.assertTrue(self.network.disconnect(number=0))
        self.assertFalse(self.network.disconnect(number=0))
        self.net.run(10)
        [b] = self.network.peers()
        self.assertGreater(b.number, 0)
        self.assertTrue(self.network.disconnect(address=key("b").hex()))
        self.assertFalse(self.network.disconnect(address="10.0.0.9:1"))
        self.assertFalse(self.network.disconnect())

    def test_added_and_removed(self) -> None:
        self.network.add(C)
        self.net.settle()
        self.assertEqual(self.net.ids("a"), {"b", "c"})
        states = {each.text: each.connections for each in self.network.added()}
        self.assertEqual(states, {pin(B, "b"): ((f"{B}:24100", False),), C: ((f"{C}:24100", False),)})
        self.assertEqual(self.refusal(self.network.add, C), "known")
        self.network.remove(C)
        self.assertEqual(self.refusal(self.network.remove, C), "unknown")
        self.network.remove(pin(B, "b"))
        self.assertEqual(self.network.added(), [])
        self.assertEqual(self.net.ids("a"), {"b", "c"})

    def test_tried_once(self) -> None:
        self.network.try_once(f"{key('c').hex()}@{C}:24100")
        self.net.settle()
        self.assertEqual(self.net.ids("a"), {"b", "c"})
        for nonsense in ("", "@", "x@10.0.0.1:5", "2001:db8::1", "10.0.0.1:99999"):
            self.assertEqual(self.refusal(self.network.try_once, nonsense), "invalid", nonsense)

    def test_bans(self) -> None:
        self.network.ban(key("b").hex(), self.now() + 60)
        self.net.run(5)
        self.assertEqual(self.net.ids("a"), set())
        [ban] = self.network.bans()
        self.assertEqual((ban.subject, ban.until - ban.created), (key("b").hex(), 60))
        self.assertEqual(self.refusal(lambda: self.network.ban(key("b").hex(), self.now() + 9)), "known")
        self.assertEqual(self.refusal(lambda: self.network.ban("?", self.now() + 9)), "invalid")
        self.assertEqual(self.refusal(self.network.unban, "?"), "invalid")
        self.assertEqual(self.refusal(self.network.unban, "10.0.0.0/8"), "unknown")
        self.network.unban(key("b").hex())
        self.net.run(10)
        self.assertEqual(self.net.ids("a"), {"b"})
        self.network.ban("10.0.0.0/8", self.now() + 60)
        self.network.clear_bans()
        self.assertEqual(self.network.bans(), [])

    def test_off_and_on(self) -> None:
        self.network.set_active(False)
        self.assertEqual({each.reachable for each in self.network.networks()}, {False})
        self.net.run(5)
        self.assertEqual((self.net.ids("a"), self.network.is_active()), (set(), False))
        self.network.set_active(True)
        self.assertEqual([each.name for each in self.network.networks() if each.reachable], ["ipv4", "ipv6"])

    def test_the_book(self) -> None:
        for n in range(5):
            address = from_host(f"10.0.{n}.1", PORT)
            self.a.book.add(address, address, 1, self.now(), self.now())
        self.assertGreaterEqual(self.network.book()["ipv4"].new, 5)
        self.assertEqual(len(self.network.addresses(2, "")), 2)
        self.assertEqual(self.network.addresses(0, "onion"), [])
        self.assertEqual({each.network for each in self.network.addresses(0, "ipv4")}, {"ipv4"})

    def test_networks_of_addresses(self) -> None:
        for text, name in (("8.8.8.8:1", "ipv4"), ("[2600::1]:1", "ipv6"), ("10.0.0.1:1", "not_publicly_routable")):
            self.assertEqual(network_of(parse_address(text)), name)
        self.assertEqual(network_of(None), "not_publicly_routable")

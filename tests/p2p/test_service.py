"""Services on one in-memory network: dialling, duplicates, slots, exchange, discouragement, stopping."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from txtorcon.endpoints import TorClientEndpoint

from tests.p2p.network import Net
from tests.p2p.support import identity, key, masternode
from tests.p2p.wire import Wire
from timecoin.p2p.admission import Slots
from timecoin.p2p.config import endpoint_for
from timecoin.p2p.connections import Rival, newcomer_wins
from timecoin.p2p.dialer import DialPolicy, Purpose, Target, parse_pinned
from timecoin.p2p.messages import Inv, Votes, encode_frame
from timecoin.p2p.netaddress import AddressError, from_host
from timecoin.p2p.reasons import Code

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"


def pin(host: str, name: str = "") -> str:
    return (f"{key(name).hex()}@" if name else "") + f"{host}:24100"


class NetCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.addCleanup(self.net.stop)

    def codes_lost(self, name: str) -> list[Code]:
        return [reason.code for _, reason in self.net.listeners[name].lost]


class ConnectTests(NetCase):
    def test_a_pinned_peer_is_dialled_and_messages_arrive(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B, "b"),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        self.assertEqual(({"b"}, {"a"}), (self.net.ids("a"), self.net.ids("b")))
        self.assertEqual(1, a.broadcast(Inv(())))
        self.net.settle()
        [(peer, message)] = self.net.listeners["b"].messages
        self.assertEqual((Inv(()), key("a"), True), (message, peer.node_id, peer.inbound))

    def test_broadcast_leaves_out(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B), pin(C))})
        self.net.node("b", B)
        self.net.node("c", C)
        self.net.start()
        self.net.settle()
        without = a.peer(key("b"))
        assert without is not None
        self.assertEqual(1, a.broadcast(encode_frame(Votes()), except_=(without,)))
        self.net.settle()
        self.assertEqual([], self.net.listeners["b"].messages)
        self.assertEqual(1, len(self.net.listeners["c"].messages))

    def test_a_pinned_peer_with_another_key_is_not_taken(self) -> None:
        self.net.node("a", A, config={"pinned": (pin(B, "c"),)})
        # B would find A by A's hello, and be a fine ordinary peer.
        self.net.node("b", B, config={"dialling": DialPolicy(outbound=0)})
        self.net.start()
        self.net.run(5)
        self.assertEqual(set(), self.net.ids("a"))
        self.assertEqual([], self.net.listeners["a"].connected)

    def test_onions_are_dialled_only_with_a_tor(self) -> None:
        self.net.node("b", ONION)
        for onion, expected in ((False, set()), (True, {"b"})):
            policy = DialPolicy(onion=onion)
            self.net.node("a", A, config={"pinned": (pin(ONION, "b"),), "dialling": policy})
            self.net.start()
            self.net.run(5)
            self.assertEqual(expected, self.net.ids("a"))
            self.net.stop()

    def test_how_an_address_is_reached(self) -> None:
        through_tor = endpoint_for(self.net.clock, ONION, 24100)
        assert isinstance(through_tor, TorClientEndpoint)
        self.assertEqual((ONION, 24100), (through_tor.host, through_tor.port))
        for host in (A, "::1", "seed.example.org"):
            self.assertNotIsInstance(endpoint_for(self.net.clock, host, 24100), TorClientEndpoint)

    def test_our_own_address_is_not_dialled(self) -> None:
        self.net.node("a", A, config={"seeds": (from_host(A, 24100),)})
        self.net.start()
        self.net.run(10)
        self.assertEqual([], self.net.dials)

    def test_an_address_that_turns_out_to_be_ours_is_dialled_once(self) -> None:
        config = {"pinned": (pin(A),), "seeds": (from_host(A, 24100),)}
        self.net.node("a", A, config=config, identity=identity("a"))
        self.net.start()
        self.net.run(60)
        self.assertEqual(1, len(self.net.dials))
        self.assertEqual(0, len(self.net.nodes["a"].book))

    def gaps(self, policy: DialPolicy) -> list[float]:
        """Seconds between dials of a pinned peer that is not there, in 200 seconds."""
        self.net.node("a", A, config={"pinned": (pin(B),), "dialling": policy})
        self.net.start()
        moments = []
        for _ in range(400):
            before = len(self.net.dials)
            self.net.run(0.5, step=0.5)
            if len(self.net.dials) > before:
                moments.append(self.net.clock.seconds())
        return [b - a for a, b in itertools.pairwise(moments)]

    def test_waits_grow_and_jitter(self) -> None:
        gaps = self.gaps(DialPolicy(last_wait_wanted=30_000))
        self.assertTrue(4 <= len(gaps) <= 20, gaps)
        self.assertLessEqual(max(gaps), 46)
        self.assertGreater(gaps[4], 4 * gaps[0])

    def test_whoever_is_wanted_is_tried_again_soon(self) -> None:
        """Two rounds after a cut of any length masternodes have found each other again."""
        self.assertLessEqual(max(self.gaps(DialPolicy())), 5)

    def test_a_dial_into_a_black_hole_is_given_up(self) -> None:
        """A SYN that nobody answers is sent again ever later: a dial of its own finds a healed path sooner."""
        for host, seconds in ((B, 10), ("a" * 56 + ".onion", 45)):
            net = Net()
            net.node("a", A, config={"pinned": (f"{host}:24100",), "dialling": DialPolicy(onion=True)})
            net.start()
            net.clock.advance(seconds - 0.1)
            self.assertEqual((1, 1), (len(net.dials), len(net.waiting)))
            net.clock.advance(0.2)
            self.assertEqual((1, 0), (len(net.dials), len(net.waiting)))

    def test_a_lost_peer_is_dialled_again(self) -> None:
        self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        self.net.wires[0].cut()
        self.assertEqual([Code.LOST], self.codes_lost("a"))
        self.net.run(4)
        self.assertEqual({"b"}, self.net.ids("a"))

    def test_the_listener_may_fail(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        self.net.listeners["b"].messages = None  # type: ignore[assignment]
        a.broadcast(Inv(()))
        self.net.settle()
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))
        self.assertEqual([Code.FAULT], self.codes_lost("b"))


class DuplicateTests(NetCase):
    def both_dial(self, first: str, second: str) -> None:
        """Both pin each other; the dials are completed in the order given."""
        self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B, config={"pinned": (pin(A),)})
        order = {A if first == "a" else B: 0}
        self.net.start()
        self.net.waiting.sort(key=lambda entry: order.get(entry[1].source, 1))

    def one_connection(self) -> None:
        self.assertEqual(({"b"}, {"a"}), (self.net.ids("a"), self.net.ids("b")))
        self.assertEqual(1, len(self.net.wires))
        lower = "a" if key("a") < key("b") else "b"
        [peer] = self.net.nodes[lower].peers
        self.assertFalse(peer.inbound)

    def test_simultaneous_dials_whichever_comes_first(self) -> None:
        for first, second in (("a", "b"), ("b", "a")):
            with self.subTest(first=first):
                self.net = Net()
                self.both_dial(first, second)
                self.net.settle()
                self.one_connection()
                self.net.run(120, step=5)
                self.one_connection()

    def test_one_dial_wholly_before_the_other(self) -> None:
        for first, second in (("a", "b"), ("b", "a")):
            with self.subTest(first=first):
                self.net = Net()
                self.both_dial(first, second)
                late = self.net.waiting.pop()
                self.net.settle()
                self.net.waiting.append(late)
                self.net.settle()
                self.one_connection()

    def test_every_interleaving_ends_in_one(self) -> None:
        """The two wires are pumped in all orders of twelve steps with small reads."""
        for choice in range(0, 4096, 101):
            self.net = Net()
            self.both_dial("a", "b")
            self.net.clock.advance(0)
            self.net._connect()
            wires = list(self.net.wires)
            for step in range(12):
                wires[choice >> step & 1].pump(limit=700)
                self.net.clock.advance(0)
            self.net.settle()
            self.one_connection()
            self.net.stop()

    def test_a_second_dial_to_the_same_node_loses(self) -> None:
        self.net.node("a", A, config={"pinned": (pin(B), pin("10.9.9.9"))})
        self.net.node("b", B)
        self.net.at[("10.9.9.9", 24100)] = "b"
        self.net.start()
        self.net.run(30)
        self.assertEqual(1, len(self.net.wires))
        self.assertEqual({"b"}, self.net.ids("a"))
        self.assertLess(len(self.net.dials), 4)
        for reason in (reason for listener in self.net.listeners.values() for _, reason in listener.lost):
            self.assertIn(reason.code, (Code.DUPLICATE, Code.REPLACED))

    def test_a_restarted_peer_replaces_its_ghost(self) -> None:
        self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        self.net.wires[0].stalled = True
        ghost = self.net.nodes["a"]
        self.net.node("a", A, config={"pinned": (pin(B),)}, identity=identity("a", nonce=99))
        self.net.start("a")
        self.net.settle()
        self.assertEqual({"a"}, self.net.ids("b"))
        self.assertEqual([Code.REPLACED], self.codes_lost("b"))
        ghost.stopService()
        self.net.clock.advance(4)

    def test_rule_is_the_same_seen_from_both_ends(self) -> None:
        low, high = sorted((key("a"), key("b")))
        for old_low, new_low, flip in itertools.product((False, True), repeat=3):
            sessions = (b"1", b"2") if flip else (b"2", b"1")
            seen_low = newcomer_wins(
                low, high, Rival(not old_low, sessions[0]), Rival(not new_low, sessions[1])
            )
            seen_high = newcomer_wins(high, low, Rival(old_low, sessions[0]), Rival(new_low, sessions[1]))
            self.assertEqual(seen_low, seen_high)
            if old_low != new_low:
                self.assertEqual(new_low, seen_low)


class SlotTests(NetCase):
    def test_full(self) -> None:
        self.net.node("a", A, config={"slots": Slots(max_inbound=1)})
        self.net.node("b", B, config={"pinned": (pin(A),)})
        self.net.node("c", C, config={"pinned": (pin(A),)})
        self.net.start("a", "b")
        self.net.settle()
        self.net.start("c")
        self.net.settle()
        self.assertEqual({"b"}, self.net.ids("a"))
        self.assertEqual(set(), self.net.ids("c"))

    def test_members_have_reserved_slots(self) -> None:
        member = masternode("m1")
        keys = {member.masternode_id: key("m1/operator")}
        a = self.net.node("a", A, config={"slots": Slots(max_inbound=0)}, member_key=keys.get)
        self.net.node("b", B, config={"pinned": (pin(A),)}, identity=identity("b", masternode=member))
        self.net.start()
        self.net.settle()
        self.assertEqual({"b"}, self.net.ids("a"))
        self.assertEqual(member.masternode_id, a.peers[0].masternode_id)

    def test_a_claim_with_another_key_is_an_ordinary_peer_until_the_registry_catches_up(self) -> None:
        member = masternode("m1")
        keys = {member.masternode_id: key("m1/old")}
        a = self.net.node("a", A, member_key=keys.get)
        self.net.node("b", B, config={"pinned": (pin(A),)}, identity=identity("b", masternode=member))
        self.net.start()
        self.net.settle()
        self.assertIsNone(a.peers[0].masternode_id)
        keys[member.masternode_id] = key("m1/operator")
        a.refresh_members()
        self.assertEqual(member.masternode_id, a.peers[0].masternode_id)
        keys.clear()
        a.refresh_members()
        self.assertIsNone(a.peers[0].masternode_id)

    def test_one_network_group_does_not_take_all(self) -> None:
        self.net.node("a", "8.8.8.8", config={"slots": Slots(max_per_group=2)})
        for number in range(4):
            self.net.node(f"n{number}", f"20.1.0.{number}", config={"pinned": (pin("8.8.8.8"),)})
        self.net.start()
        self.net.settle()
        self.assertEqual(2, len(self.net.ids("a")))

    def test_half_open_connections_crowd_out_their_own_kind(self) -> None:
        a = self.net.node("a", "8.8.8.8", config={"slots": Slots(max_pending=3)})
        self.net.node("b", "30.1.0.1")
        self.net.start()
        factory = a.accept_factory()
        for number in range(8):
            near = IPv4Address("TCP", "30.1.0.1" if number == 0 else "20.1.0.1", 1000 + number)
            server = factory.buildProtocol(near)
            assert server is not None
            self.net.wires.append(Wire(Protocol(), server, near))
        pending = [str(peer.address) for peer in a.connections.pending]
        self.assertEqual(["30.1.0.1:1000", "20.1.0.1:1006", "20.1.0.1:1007"], pending)


class MemberDialTests(NetCase):
    def test_masternodes_are_found_by_their_registered_address(self) -> None:
        members = {name: masternode(name) for name in ("a", "b", "c")}
        hosts = {"a": A, "b": B, "c": C}
        keys = {member.masternode_id: key(f"{name}/operator") for name, member in members.items()}
        for name, member in members.items():
            others = [
                (members[other].masternode_id, from_host(hosts[other], 24100))
                for other in members
                if other != name
            ]
            self.net.node(
                name,
                hosts[name],
                identity=identity(name, masternode=member, listen=from_host(hosts[name], 24100)),
                member_key=keys.get,
                member_addresses=lambda others=others: others,
                config={"dialling": DialPolicy(outbound=0)},
            )
        self.net.start()
        self.net.run(10)
        for name in members:
            self.assertEqual(set(members) - {name}, self.net.ids(name))
        self.assertEqual(3, len(self.net.wires))
        before = len(self.net.dials)
        self.net.run(60, step=1)
        self.assertEqual(before, len(self.net.dials))


class DiscoveryTests(NetCase):
    def test_from_one_live_peer_everybody_is_found(self) -> None:
        names = [f"n{number}" for number in range(6)]
        for number, name in enumerate(names):
            pinned = (pin("20.0.0.1"),) if number else ()
            self.net.node(
                name,
                f"{20 + number}.0.0.1",
                config={"pinned": pinned, "allow_private": False, "dialling": DialPolicy(outbound=8)},
            )
        for name in names:
            self.net.start(name)
            self.net.run(2)
        self.net.run(90, step=1)
        for name in names:
            self.assertEqual(set(names) - {name}, self.net.ids(name), name)

    def test_private_addresses_do_not_spread_on_public_networks(self) -> None:
        self.net.node("a", A, config={"pinned": (pin(B),), "allow_private": False})
        b = self.net.node("b", B, config={"allow_private": False})
        self.net.start()
        self.net.run(2)
        self.assertEqual(0, len(b.book))

    def test_the_book_and_anchors_survive_a_restart(self) -> None:
        path = Path(self.mktemp())
        config = {"address_file": path, "seeds": (from_host("30.0.0.1", 24100),)}
        self.net.node("a", "20.0.0.1", config=config)
        self.net.node("b", "30.0.0.1")
        self.net.start()
        self.net.run(5)
        self.assertEqual({"b"}, self.net.ids("a"))
        self.net.stop("a")
        again = self.net.node("a", "20.0.0.1", config={"address_file": path})
        self.net.start("a")
        self.assertEqual([from_host("30.0.0.1", 24100)], [entry.address for entry in again.book])
        self.assertEqual(("20.0.0.1", "30.0.0.1:24100"), self.net.dials[-1])

    def test_a_damaged_book_is_reported_and_replaced(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"nonsense")
        a = self.net.node("a", A, config={"address_file": path})
        self.net.start()
        self.assertEqual(0, len(a.book))


class MisbehaviourTests(NetCase):
    def misbehave(self, host_b: str) -> tuple[bool, bool]:
        """B misbehaves towards A; tell whether B, and whether C of B's network, get in afterwards."""
        self.net = Net()
        a = self.net.node("a", "8.8.8.8")
        self.net.node("b", host_b, config={"pinned": (pin("8.8.8.8"),)})
        self.net.node("c", host_b[:-1] + "9", config={"pinned": (pin("8.8.8.8"),)})
        self.net.start("a", "b")
        self.net.settle()
        a.discouraged._lifetime = 30_000
        a.peers[0].misbehaved("bad-bundle")
        self.net.run(5)
        self.net.start("c")
        self.net.run(5)
        result = "b" in self.net.ids("a"), "c" in self.net.ids("a")
        self.net.run(120, step=1)
        self.assertEqual({"b", "c"}, self.net.ids("a"))
        self.net.stop()
        return result

    def test_public_peers_by_network_group(self) -> None:
        self.assertEqual((False, False), self.misbehave("20.1.0.1"))

    def test_loopback_and_private_peers_by_node_key(self) -> None:
        self.assertEqual((False, True), self.misbehave("127.0.0.1"))
        self.assertEqual((False, True), self.misbehave("10.1.0.1"))

    def test_a_member_is_not_punished_for_its_neighbours(self) -> None:
        member = masternode("m1")
        a = self.net.node("a", "8.8.8.8", member_key={member.masternode_id: key("m1/operator")}.get)
        self.net.node("b", "20.1.0.1", config={"pinned": (pin("8.8.8.8"),)})
        self.net.node(
            "c",
            "20.1.0.9",
            config={"pinned": (pin("8.8.8.8"),)},
            identity=identity("c", masternode=member),
        )
        self.net.start("a", "b")
        self.net.settle()
        a.peers[0].misbehaved("bad-bundle")
        self.net.start("c")
        self.net.run(5)
        self.assertEqual({"c"}, self.net.ids("a"))

    def test_a_lagging_peer_is_not_discouraged(self) -> None:
        a = self.net.node("a", A)
        self.net.node("b", B, identity=identity("b", chain_id=b"\x33" * 32), config={"pinned": (pin(A),)})
        self.net.start()
        self.net.run(10)
        self.assertEqual(0, len(a.discouraged))


class StopTests(NetCase):
    def test_stop_waits_for_every_connection(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B), pin(C))})
        self.net.node("b", B)
        self.net.node("c", C)
        self.net.start()
        self.net.settle()
        done = a.stopService()
        self.assertNoResult(done)
        self.net.settle()
        self.successResultOf(done)
        self.assertEqual([Code.SHUTTING_DOWN] * 2, self.codes_lost("a"))
        self.assertEqual([Code.SHUTTING_DOWN], self.codes_lost("b"))

    def test_stop_does_not_wait_for_the_dead(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        [wire] = self.net.wires
        wire.pump = lambda limit=0: False  # type: ignore[method-assign]
        done = a.stopService()
        self.net.run(3.5)
        self.assertTrue(wire.client.aborted)
        wire.cut()
        self.successResultOf(done)

    def test_stop_gives_up_dials_under_way(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.start()
        self.assertEqual(1, len(self.net.waiting))
        self.successResultOf(a.stopService())
        self.assertEqual([], self.net.waiting)
        self.assertEqual([], self.net.clock.getDelayedCalls())

    def test_start_again(self) -> None:
        a = self.net.node("a", A, config={"pinned": (pin(B),)})
        self.net.node("b", B)
        self.net.start()
        self.net.settle()
        self.net.stop("a")
        self.net.start("a")
        self.net.run(2)
        self.assertEqual({"b"}, self.net.ids("a"))
        self.assertEqual(1, len(a.peers))


class ClockTests(NetCase):
    def test_outbound_peers_and_masternodes_tell_the_time(self) -> None:
        service = self.net.node("a", A)
        seen: list[SimpleNamespace] = []
        self.patch(service, "connections", seen)

        def peer(inbound: bool, masternode: bool, offset: int) -> None:
            name = b"m" if masternode else None
            seen.append(SimpleNamespace(inbound=inbound, masternode_id=name, clock_offset_ms=offset))

        for offset in (1, 2, 3, 4):
            peer(inbound=True, masternode=False, offset=offset)
        peer(inbound=False, masternode=False, offset=1_000)
        peer(inbound=True, masternode=True, offset=2_000)
        self.assertIsNone(service.clock_offset_ms)
        peer(inbound=True, masternode=True, offset=3_000)
        self.assertEqual(service.clock_offset_ms, 2_000)


class PinnedTests(SynchronousTestCase):
    def test_forms(self) -> None:
        self.assertEqual(Target("node1", 5, Purpose.PINNED), parse_pinned("node1:5"))
        self.assertEqual(
            Target("::1", 5, Purpose.PINNED, key("b")), parse_pinned(f"{key('b').hex()}@[::1]:5")
        )
        for text in ("node1", "xx@node1:5", "aabb@node1:5", "@node1:5", f"{key('b').hex()}@node1"):
            self.assertRaises(AddressError, parse_pinned, text)

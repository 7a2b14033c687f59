"""Two peers over TLS in memory: handshake, rejects, limits, flow control."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.p2p.support import BACKEND, CHAIN, FakeOwner, Listener, Pair, in_tls, key, masternode, signer
from tests.p2p.wire import BUFFER, Wire, settle
from timecoin.p2p.framing import make_frame
from timecoin.p2p.handshake import Role, make_hello
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.limits import MEMBER_BUDGETS, PUBLIC_BUDGETS, Budget, RateClass
from timecoin.p2p.messages import (
    KIND_OF,
    KINDS,
    Bundles,
    GetBlocks,
    Hello,
    Inv,
    Ping,
    Pong,
    Proposal,
    Reject,
    Tx,
    Votes,
    encode_frame,
    encode_payload,
)
from timecoin.p2p.netaddress import parse_address
from timecoin.p2p.owner import PeerSettings
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import Code, Refused
from timecoin.p2p.tls import exporter_value


class PeerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.a = FakeOwner("alice", self.clock)
        self.b = FakeOwner("bob", self.clock)

    def pair(self, **arguments: object) -> Pair:
        pair = Pair(self.a, self.b, self.clock, **arguments)  # type: ignore[arg-type]
        pair.settle()
        return pair

    def codes(self, owner: FakeOwner) -> list[tuple[Code, bool]]:
        return [(reason.code, reason.by_peer) for _, reason in owner.endings]


class HandshakeTests(PeerCase):
    def test_both_sides_learn_who_the_other_is(self) -> None:
        pair = self.pair()
        self.assertEqual([pair.a], self.a.connected)
        self.assertEqual([pair.b], self.b.connected)
        self.assertEqual(key("bob"), pair.a.node_id)
        self.assertEqual(key("alice"), pair.b.node_id)
        assert pair.a.greeting is not None
        self.assertEqual(7, pair.a.greeting.hello.height)

    def test_messages_travel_both_ways(self) -> None:
        pair = self.pair()
        inv = Inv((b"\x01" * 32,))
        self.assertTrue(pair.a.send(inv))
        self.assertTrue(pair.b.send(encode_frame(Tx((b"raw",)))))
        pair.settle()
        self.assertEqual([inv], self.b.messages)
        self.assertEqual([Tx((b"raw",))], self.a.messages)
        self.assertEqual((1, len(encode_frame(inv))), self.b.traffic.by_name()["inv"][:2])

    def test_when_it_last_sent_and_received(self) -> None:
        pair = self.pair()
        start = 1_700_000_000_000
        self.assertEqual((start, start), (pair.a.last_sent, pair.a.last_received))
        self.clock.advance(5)
        pair.a.send(Inv(()))
        pair.settle()
        self.assertEqual((start + 5_000, start), (pair.a.last_sent, pair.a.last_received))
        self.assertEqual((start, start + 5_000), (pair.b.last_sent, pair.b.last_received))
        self.clock.advance(5)
        pair.a.close(Code.SHUTTING_DOWN)
        self.assertEqual(start + 10_000, pair.a.last_sent)

    def test_nothing_is_sent_before_the_hello(self) -> None:
        pair = Pair(self.a, self.b, self.clock)
        self.assertFalse(pair.a.send(Inv(())))

    def test_masternode_claim_reaches_the_owner(self) -> None:
        self.a = FakeOwner("alice", self.clock, masternode=masternode("m1"))
        pair = self.pair()
        self.assertEqual(masternode("m1").masternode_id, pair.b.masternode_id)
        assert pair.b.greeting is not None
        self.assertTrue(pair.b.greeting.proves_masternode(BACKEND, key("m1/operator")))
        self.assertFalse(pair.b.greeting.proves_masternode(BACKEND, key("m2/operator")))

    def test_tls_is_version_13(self) -> None:
        pair = self.pair()
        self.assertEqual("TLSv1.3", pair.a.transport.getHandle().get_protocol_version_name())

    def test_exporter_is_common_to_both_ends_only(self) -> None:
        first, second = self.pair(), Pair(self.a, self.b, self.clock)
        second.settle()
        self.assertEqual(exporter_value(first.a.transport), exporter_value(first.b.transport))
        self.assertNotEqual(exporter_value(first.a.transport), exporter_value(second.a.transport))


class RejectTests(PeerCase):
    def rejected(self, code: Code, **changes: object) -> None:
        """Alice says something of herself that Bob does not take."""
        self.a = FakeOwner("alice", self.clock, **changes)
        self.pair()
        self.assertEqual([], self.b.connected)
        self.assertIn((code, False), self.codes(self.b))
        self.assertEqual([], self.b.messages)

    def test_wrong_network(self) -> None:
        self.rejected(Code.WRONG_NETWORK, magic=1)

    def test_wrong_genesis(self) -> None:
        self.rejected(Code.WRONG_GENESIS, chain_id=b"\x22" * 32)

    def test_too_old(self) -> None:
        self.rejected(Code.TOO_OLD, protocol_min=0, protocol_max=0)

    def test_too_new(self) -> None:
        self.rejected(Code.TOO_NEW, protocol_min=9, protocol_max=9)

    def test_bad_signature(self) -> None:
        self.rejected(Code.BAD_SIGNATURE, sign=signer("mallory"))

    def test_self(self) -> None:
        self.b = FakeOwner("alice", self.clock)
        self.rejected(Code.SELF)

    def test_typed_refusals_of_the_owner_reach_the_peer(self) -> None:
        for code in (Code.DUPLICATE, Code.FULL, Code.DISCOURAGED):
            with self.subTest(code=code):
                self.setUp()
                self.b.refuse = Refused(code, "sorry")
                pair = self.pair()
                self.assertEqual([(code, False)], self.codes(self.b))
                self.assertEqual([(code, True)], self.codes(self.a))
                self.assertEqual("sorry", self.a.endings[0][1].text)
                self.assertFalse(pair.wire.open)
                self.assertEqual(code, self.successResultOf(pair.a.closed).code)

    def test_pinned_key_differs(self) -> None:
        self.pair(expected=key("carol"))
        self.assertEqual([(Code.WRONG_IDENTITY, False)], self.codes(self.a))

    def test_pinned_key_fits(self) -> None:
        self.pair(expected=key("bob"))
        self.assertEqual(1, len(self.a.connected))

    def test_reject_text_is_made_printable(self) -> None:
        pair = self.pair()
        pair.b._outgoing.push(encode_frame(Reject("full", "a\x1b[31mb\n")), 0)  # type: ignore[arg-type]
        pair.settle()
        self.assertEqual("a?[31mb?", self.a.endings[0][1].text)

    def test_unknown_reject_code(self) -> None:
        pair = self.pair()
        pair.b._outgoing.push(encode_frame(Reject("of-the-future")), 0)  # type: ignore[arg-type]
        pair.settle()
        self.assertEqual([(Code.UNKNOWN, True)], self.codes(self.a))


class _Recorder(Protocol):
    """A TLS client or server that says only what a test tells it to."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object = None) -> None:
        self.lost = True


class AdversaryTests(PeerCase):
    """Bob, a real peer, against whatever a client may send."""

    def setUp(self) -> None:
        super().setUp()
        self.peer = Peer(self.b, inbound=True, address=parse_address("127.0.0.1:40000"))
        self.client = _Recorder()

    def connect_tls(self) -> None:
        self.wire = Wire(in_tls(self.client, True, self.clock), in_tls(self.peer, False, self.clock))
        settle(self.clock, self.wire)

    def hello(self, owner: FakeOwner | None = None) -> Hello:
        owner = owner or self.a
        return make_hello(owner.identity, exporter_value(self.client.transport), Role.CLIENT, 1)

    def say(self, data: bytes) -> None:
        self.client.transport.write(data)  # type: ignore[union-attr]
        settle(self.clock, self.wire)

    def ended_with(self, code: Code) -> None:
        self.assertEqual([(code, False)], self.codes(self.b))
        self.assertTrue(self.client.lost)

    def test_an_honest_hello_is_taken(self) -> None:
        self.connect_tls()
        self.say(encode_frame(self.hello()))
        self.assertEqual([self.peer], self.b.connected)

    def test_a_signature_for_the_other_role_is_refused(self) -> None:
        self.connect_tls()
        hello = make_hello(self.a.identity, exporter_value(self.client.transport), Role.SERVER, 1)
        self.say(encode_frame(hello))
        self.ended_with(Code.BAD_SIGNATURE)

    def test_our_own_hello_reflected_is_refused(self) -> None:
        self.connect_tls()
        self.say(self.client.data)
        self.ended_with(Code.BAD_SIGNATURE)

    def test_garbage_before_tls(self) -> None:
        self.wire = Wire(self.client, in_tls(self.peer, False, self.clock))
        self.say(b"GET / HTTP/1.1\r\n\r\n" * 10)
        self.assertEqual([(Code.TLS_FAILED, True)], self.codes(self.b))
        self.assertFalse(self.wire.open)
        self.assertTrue(self.flushLoggedErrors() == [])

    def test_garbage_inside_tls(self) -> None:
        self.connect_tls()
        self.say(b"\xff" * 100)
        self.ended_with(Code.MALFORMED)

    def test_half_a_hello_and_silence(self) -> None:
        self.connect_tls()
        self.say(encode_frame(self.hello())[:40])
        self.clock.advance(9)
        settle(self.clock, self.wire)
        self.assertEqual([], self.b.endings)
        self.clock.advance(1.1)
        settle(self.clock, self.wire)
        self.ended_with(Code.HELLO_TIMEOUT)

    def test_hello_byte_by_byte_does_not_buy_time(self) -> None:
        self.connect_tls()
        frame = encode_frame(self.hello())
        for at in range(12):
            self.say(frame[at : at + 1])
            self.clock.advance(1)
        settle(self.clock, self.wire)
        self.ended_with(Code.HELLO_TIMEOUT)

    def test_silence_before_tls(self) -> None:
        self.wire = Wire(self.client, in_tls(self.peer, False, self.clock))
        self.clock.advance(10.1)
        settle(self.clock, self.wire)
        self.ended_with(Code.HELLO_TIMEOUT)
        self.assertFalse(self.wire.open)

    def test_any_message_before_hello(self) -> None:
        for kind in KINDS:
            if kind.struct in (Hello, Reject):
                continue
            with self.subTest(kind=kind.struct.__name__):
                self.setUp()
                self.connect_tls()
                self.say(make_frame(kind.number, b""))
                self.ended_with(Code.UNEXPECTED_MESSAGE)

    def test_second_hello(self) -> None:
        self.connect_tls()
        self.say(encode_frame(self.hello()) * 2)
        self.ended_with(Code.UNEXPECTED_MESSAGE)

    def test_oversize_frame_of_each_type(self) -> None:
        for kind in KINDS:
            with self.subTest(kind=kind.struct.__name__):
                self.setUp()
                self.connect_tls()
                if kind.struct not in (Hello, Reject):
                    self.say(encode_frame(self.hello()))
                # Only the header is sent: the announcement alone must end it.
                self.say((kind.limit + 1).to_bytes(4, "big") + bytes([kind.number]))
                self.ended_with(Code.OVERSIZE)

    def test_malformed_payload_of_each_type(self) -> None:
        for kind in KINDS:
            with self.subTest(kind=kind.struct.__name__):
                self.setUp()
                self.connect_tls()
                if kind.struct not in (Hello, Reject):
                    self.say(encode_frame(self.hello()))
                self.say(make_frame(kind.number, b"\xc1"))
                self.ended_with(Code.MALFORMED)

    def test_a_peer_that_never_says_goodbye_is_aborted(self) -> None:
        self.connect_tls()
        self.say(encode_frame(self.hello()))
        self.wire.stalled = True
        self.peer.close(Code.FULL)
        settle(self.clock, self.wire)
        self.assertFalse(self.wire.server.aborted)
        self.clock.advance(3.1)
        self.assertTrue(self.wire.server.aborted)

    def test_man_in_the_middle_is_refused(self) -> None:
        """Mallory ends both TLS sessions and passes the plain bytes on in both directions."""
        outer = self.peer
        alice = Peer(self.a, inbound=False, address=parse_address("127.0.0.1:24100"))
        left, right = _Relay(), _Relay()
        left.other, right.other = right, left
        wires = (
            Wire(in_tls(alice, True, self.clock), in_tls(left, False, self.clock)),
            Wire(in_tls(right, True, self.clock), in_tls(outer, False, self.clock)),
        )
        settle(self.clock, *wires)
        self.assertTrue(left.relayed and right.relayed)
        self.assertEqual([], self.a.connected + self.b.connected)
        self.assertEqual([(Code.BAD_SIGNATURE, False)], self.codes(self.a))
        self.assertEqual([(Code.BAD_SIGNATURE, False)], self.codes(self.b))

    def test_the_relay_itself_works(self) -> None:
        """The same relay without its own TLS sessions is no attack and goes through."""
        alice = Peer(self.a, inbound=False, address=parse_address("127.0.0.1:24100"))
        left, right = _Relay(), _Relay()
        left.other, right.other = right, left
        wires = (
            Wire(in_tls(alice, True, self.clock), left),
            Wire(right, in_tls(self.peer, False, self.clock)),
        )
        settle(self.clock, *wires)
        self.assertEqual(([alice], [self.peer]), (self.a.connected, self.b.connected))


class _Relay(Protocol):
    """Passes on what it gets."""

    other: _Relay

    def __init__(self) -> None:
        self.relayed = 0
        self._waiting = b""

    def connectionMade(self) -> None:
        self.pass_on(b"")

    def pass_on(self, data: bytes) -> None:
        self._waiting += data
        if self.transport is not None and self._waiting:
            self.transport.write(self._waiting)
            self._waiting = b""

    def dataReceived(self, data: bytes) -> None:
        self.relayed += len(data)
        self.other.pass_on(data)


class HeartbeatTests(PeerCase):
    def test_round_trip_and_clock_offset(self) -> None:
        pair = self.pair()
        self.assertEqual((0, 0), (pair.a.rtt_ms, pair.a.clock_offset_ms))
        pair.a.ping()
        nonce = pair.a._heart._nonce
        assert nonce is not None
        pair.wire.stalled = True
        self.clock.advance(0.5)
        pair.a.frame_received(
            KIND_OF[Pong].number,
            memoryview(encode_payload(Pong(nonce, int(self.clock.seconds() * 1000) - 250 + 3_000))),
        )
        self.assertEqual((500, 3_000), (pair.a.rtt_ms, pair.a.clock_offset_ms))

    def test_invented_pong_says_nothing(self) -> None:
        pair = self.pair()
        pair.b.send(Pong(1, 5))
        pair.settle()
        self.assertEqual(0, pair.a.clock_offset_ms)

    def test_pings_keep_a_quiet_connection(self) -> None:
        pair = self.pair()
        pair.advance(300, step=5)
        self.assertTrue(pair.a.is_established and pair.b.is_established)

    def test_silence_closes(self) -> None:
        pair = self.pair()
        pair.wire.stalled = True
        self.clock.pump([5] * 13)
        self.assertEqual([(Code.IDLE, False)], self.codes(self.a))
        self.assertEqual([(Code.IDLE, False)], self.codes(self.b))

    def test_silence_while_we_do_not_read_is_no_fault(self) -> None:
        pair = self.pair()
        pair.a.pause()
        for _ in range(30):
            self.clock.advance(5)
            pair.settle()
        self.assertEqual([], self.a.endings)
        pair.a.resume()
        self.clock.advance(5)
        self.assertEqual([], self.a.endings)

    def test_close_leaves_no_timer(self) -> None:
        pair = self.pair()
        pair.a.close(Code.NOT_WANTED)
        pair.settle()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([(Code.NOT_WANTED, True)], self.codes(self.b))

    def test_lost_connection_leaves_no_timer(self) -> None:
        pair = self.pair()
        pair.wire.cut()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([(Code.LOST, True)], self.codes(self.a))
        self.assertEqual(Code.LOST, self.successResultOf(pair.b.closed).code)

    def test_misbehaviour_is_told_and_closed(self) -> None:
        pair = self.pair()
        pair.b.misbehaved("bad-bundle")
        pair.settle()
        self.assertEqual([(Code.VIOLATION, True)], self.codes(self.a))
        self.assertEqual("bad-bundle", self.a.endings[0][1].text)


class FlowTests(PeerCase):
    def test_a_slow_reader_bounds_what_is_buffered(self) -> None:
        pair = self.pair()
        pair.wire.server.paused = True
        frame = encode_frame(Tx((b"x" * 100_000,)))
        sent = [pair.a.send(frame) for _ in range(200)]
        settle(self.clock, pair.wire)
        self.assertLess(pair.wire.client.highest, 3 * BUFFER)
        self.assertFalse(all(sent))
        self.assertLessEqual(pair.a.queued_bytes, 8 << 20)
        self.assertGreater(pair.a.queued_bytes, 7 << 20)
        pair.wire.server.paused = False
        pair.settle()
        self.assertEqual(sum(sent), len(self.b.messages))
        self.assertEqual(0, pair.a.queued_bytes)

    def test_urgent_before_bulk(self) -> None:
        pair = self.pair()
        pair.wire.server.paused = True
        for _ in range(20):
            pair.a.send(Tx((b"x" * 50_000,)))
        settle(self.clock, pair.wire)
        pair.a.send(GetBlocks(1, 1))
        pair.a.send(Votes((b"v",)))
        pair.wire.server.paused = False
        pair.settle()
        kinds = [type(message) for message in self.b.messages]
        self.assertLess(kinds.index(Votes), 5)
        self.assertIs(GetBlocks, kinds[-1])
        self.assertEqual(22, len(kinds))

    def test_the_largest_frame_passes_whole(self) -> None:
        pair = self.pair()
        proposal = Proposal(b"p" * ((4 << 20) - 16))
        self.assertTrue(pair.a.send(proposal))
        pair.settle()
        self.assertEqual([proposal], self.b.messages)

    def test_a_peer_that_never_reads_is_closed(self) -> None:
        pair = self.pair()
        pair.wire.server.paused = True
        for _ in range(4):
            pair.a.send(Tx((b"x" * 100_000,)))
        for _ in range(17):
            self.clock.advance(5)
            # Bob goes on talking, so that he is not idle.
            pair.b.send(Ping(1))
            settle(self.clock, pair.wire)
        self.assertEqual([Code.STALLED], [code for code, _ in self.codes(self.a)])

    def test_owner_pause_holds_messages_back(self) -> None:
        pair = self.pair()
        pair.b.pause()
        pair.a.send(Inv(()))
        pair.settle()
        self.assertEqual([], self.b.messages)
        pair.b.resume()
        pair.settle()
        self.assertEqual([Inv(())], self.b.messages)

    def test_pause_within_a_message_stops_the_next(self) -> None:
        pair = self.pair()
        self.b.received = lambda peer, message: (self.b.messages.append(message), peer.pause())  # type: ignore
        pair.a.send(Inv(()))
        pair.a.send(Tx(()))
        pair.settle()
        self.assertEqual(1, len(self.b.messages))
        pair.b.resume()
        self.assertEqual(2, len(self.b.messages))


class OverloadTests(PeerCase):
    def setUp(self) -> None:
        super().setUp()
        budgets = {name: Budget(1_000, 10_000) for name in PUBLIC_BUDGETS}
        budgets[RateClass.BLOCKS] = Budget(1_000, 10_000, patient=True)
        settings = PeerSettings(
            public_budgets=budgets, member_budgets={name: MEMBER_BUDGETS[name] for name in MEMBER_BUDGETS}
        )
        self.b = FakeOwner("bob", self.clock, settings)

    def flood(self, pair: Pair, seconds: int) -> None:
        frame = encode_frame(Tx((b"x" * 3_744,)))
        for _ in range(seconds):
            if pair.a.queued_bytes < 1 << 20:
                for _ in range(20):
                    pair.a.send(frame)
            self.clock.advance(1)
            settle(self.clock, pair.wire)

    def test_a_flood_is_slowed_to_its_rate(self) -> None:
        pair = self.pair()
        self.flood(pair, 40)
        # 10 kB at once and 1 kB a second, at about 4 kB a message.
        self.assertLessEqual(abs(len(self.b.messages) - (10 + 40) // 4), 2)
        self.assertTrue(pair.b.is_established)
        self.assertTrue(pair.wire.server.paused)

    def test_a_flood_that_lasts_is_dropped_but_not_as_a_violation(self) -> None:
        pair = self.pair()
        self.flood(pair, 80)
        self.assertEqual([(Code.OVERLOAD, False)], self.codes(self.b))
        settle(self.clock, pair.wire)
        self.clock.advance(4)
        settle(self.clock, pair.wire)
        self.assertFalse(pair.wire.open)

    def test_a_member_has_a_budget_of_its_own(self) -> None:
        self.a = FakeOwner("alice", self.clock, masternode=masternode("m1"))
        pair = self.pair()
        self.flood(pair, 5)
        self.assertEqual(100, len(self.b.messages))

    def test_a_burst_within_budget_is_not_slowed(self) -> None:
        pair = self.pair()
        pair.a.send(Bundles((b"x" * 9_000,)))
        pair.settle()
        self.assertEqual(1, len(self.b.messages))
        self.assertFalse(pair.wire.server.paused)


class IdentityTests(PeerCase):
    def test_hello_of_another_chain_is_told_which(self) -> None:
        self.a = FakeOwner("alice", self.clock, chain_id=b"\x22" * 32)
        self.pair()
        self.assertIn(CHAIN[::-1].hex(), self.b.endings[0][1].text)

    def test_listener_contract(self) -> None:
        verifyObject(IPeerListener, Listener())

    def test_identity_is_a_value(self) -> None:
        self.assertEqual(self.a.identity, replace(self.a.identity))

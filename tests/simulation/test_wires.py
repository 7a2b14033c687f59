"""What arrives, when, and what does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.p2p import messages as wire
from timecoin.primitives.hashes import ZERO
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND, Clock
from timecoin.simulation.link import Link
from timecoin.simulation.wide_area import REGIONS, ROUND_TRIP_MS, one_way
from timecoin.simulation.wires import Rule, Wires, parts

STATUS = wire.Status(1, 1, 0, 0, ZERO)


class FakeWorld:
    """Signer n of the set is node n."""

    def __init__(self) -> None:
        self.clock = Clock(1_000_000)

    def maker_of(self, node: Any, set_hash: bytes, signer: int) -> int:
        return signer if set_hash else node.index


def node(index: int) -> Any:
    return SimpleNamespace(index=index, node_id=bytes([index]) * 33, masternode_id=None)


def bundle(signer: int, *, acks: bool = False, votes: bool = False, seal: bool = False) -> bytes:
    one = (b"\x07" * 32,)
    return Bundle(ZERO, 1, b"\x01" * 32, signer, 1, seal, one if votes else (), one if acks else ()).encode()


class WiresTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.world: Any = FakeWorld()
        self.wires = Wires(Chance(1), self.world)
        self.nodes = [node(index) for index in range(4)]

    def link(self, source: int, target: int) -> Link:
        return Link(self.nodes[source], self.nodes[target])

    def test_a_connection_keeps_the_order(self) -> None:
        link = self.link(0, 1)
        arrivals = []
        for _ in range(200):
            arrivals += [self.world.clock.now + delay for delay in self.wires.copies(link, STATUS, 100)]
            self.world.clock.now += 10
        self.assertEqual(arrivals, sorted(arrivals))
        self.assertEqual(len(arrivals), 200)

    def test_reordering(self) -> None:
        self.wires.weather.reordering = 500
        link = self.link(0, 1)
        delays = [delay for _ in range(200) for delay in self.wires.copies(link, STATUS, 100)]
        self.assertNotEqual(delays, sorted(delays))

    def test_loss_and_doubling(self) -> None:
        self.wires.weather.loss = 300
        self.wires.weather.doubling = 300
        counts = [len(self.wires.copies(self.link(0, 1), STATUS, 100)) for _ in range(1_000)]
        self.assertEqual(set(counts), {0, 1, 2})
        self.assertTrue(250 < counts.count(0) < 350)

    def test_a_cut_has_a_direction(self) -> None:
        self.wires.cuts.add((0, 1))
        self.assertEqual(self.wires.copies(self.link(0, 1), STATUS, 100), [])
        self.assertEqual(len(self.wires.copies(self.link(1, 0), STATUS, 100)), 1)

    def test_calm_ends_everything(self) -> None:
        self.wires.cuts.add((0, 1))
        self.wires.weather.loss = 1_000
        self.wires.slow[0] = SECOND
        self.wires.bandwidth[0] = 1
        self.wires.rules.append(Rule(frozenset({"status"}), None, 0b1111, 0, 2**62, False))
        self.wires.calm()
        (delay,) = self.wires.copies(self.link(0, 1), STATUS, 100)
        self.assertLess(delay, 10 * MILLISECOND)

    def test_far_is_slow(self) -> None:
        self.wires.regions = (0, 0, 7, 9)
        near = self.wires.copies(self.link(0, 1), STATUS, 100)[0]
        far = self.wires.copies(self.link(2, 3), STATUS, 100)[0]
        self.assertLess(near, 5 * MILLISECOND)
        self.assertGreaterEqual(far, 163 * MILLISECOND)

    def test_narrow_links_queue(self) -> None:
        self.wires.bandwidth[0] = 10_000
        one, two = self.link(0, 1), self.link(0, 2)
        first = self.wires.copies(one, STATUS, 1_000)[0]
        second = self.wires.copies(two, STATUS, 1_000)[0]
        self.assertTrue(100 * MILLISECOND <= first < 110 * MILLISECOND)
        self.assertTrue(200 * MILLISECOND <= second < 210 * MILLISECOND)
        self.assertEqual((one.queued_bytes, two.queued_bytes), (1_000, 1_000))
        self.world.clock.run_until(self.world.clock.now + 150 * MILLISECOND)
        self.assertEqual((one.queued_bytes, two.queued_bytes), (0, 1_000))

    def test_a_rule_is_about_whose_statement_it_is(self) -> None:
        now = self.world.clock.now
        self.wires.rules.append(Rule(frozenset({"acks"}), 2, 0b1010, now, now + SECOND, True))
        message = wire.Bundles((bundle(2, acks=True),))
        (held,) = self.wires.copies(self.link(0, 1), message, 100)
        self.assertGreaterEqual(held, SECOND)
        for link, other in (
            (self.link(0, 2), message),
            (self.link(0, 1), wire.Bundles((bundle(2, votes=True),))),
            (self.link(0, 3), wire.Bundles((bundle(1, acks=True),))),
        ):
            (delay,) = self.wires.copies(link, other, 100)
            self.assertLess(delay, 10 * MILLISECOND)
        self.world.clock.now += SECOND
        (delay,) = self.wires.copies(self.link(0, 1), message, 100)
        self.assertLess(delay, 10 * MILLISECOND)

    def test_a_rule_may_lose(self) -> None:
        now = self.world.clock.now
        rule = Rule(frozenset({"status"}), None, 0b10, now, now + SECOND, False)
        self.wires.rules.append(rule)
        self.assertEqual(self.wires.copies(self.link(0, 1), STATUS, 100), [])
        self.wires.forget(rule)
        self.wires.forget(rule)
        self.assertEqual(len(self.wires.copies(self.link(0, 1), STATUS, 100)), 1)

    def test_parts(self) -> None:
        of_set = b"\x01" * 32
        prevote = Prevote(ZERO, 1, of_set, 3, 1, 0, ZERO).encode()
        precommit = Precommit(ZERO, 1, of_set, 2, 1, 0, ZERO).encode()
        self.assertEqual(
            list(parts(wire.Bundles((bundle(1, votes=True, acks=True, seal=True),)))),
            [("votes", of_set, 1), ("acks", of_set, 1), ("seal", of_set, 1)],
        )
        self.assertEqual(
            list(parts(wire.Votes((prevote,), (precommit,)))), [("prevote", of_set, 3), ("precommit", of_set, 2)]
        )
        self.assertEqual(list(parts(STATUS)), [("status", b"", 0)])
        self.assertEqual(list(parts(wire.Bundles((b"short",)))), [])
        self.assertEqual(list(parts(wire.Ping(1))), [])


class WideAreaTest(SynchronousTestCase):
    def test_is_a_matrix_of_measurements(self) -> None:
        self.assertGreaterEqual(len(REGIONS), 10)
        self.assertEqual([len(row) for row in ROUND_TRIP_MS], [len(REGIONS)] * len(REGIONS))
        for one in range(len(REGIONS)):
            for two in range(len(REGIONS)):
                there, back = ROUND_TRIP_MS[one][two], ROUND_TRIP_MS[two][one]
                self.assertLessEqual(abs(there - back), 5)
                self.assertEqual(one_way(one, two), there * 500)

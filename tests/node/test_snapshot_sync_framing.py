"""Liars that try to make honest peers look like liars, or the true snapshot look false or out of reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.node.joiners import Joiner, Server, Source
from tests.node.test_snapshot_sync import JoinCase, Said, StateOf, changed_coin, no_chunks
from timecoin.node.snapshot_sync_stages import Stage
from timecoin.p2p import messages as wire


class FramingCase(JoinCase):
    def assertOnlyDropped(self, joiner: Joiner, *liars: Server) -> None:
        self.assertJoined(joiner)
        self.assertEqual(sorted(joiner.dropped), sorted(each.name for each in liars))


class FramedTest(FramingCase):
    """What one or two liars say of a true snapshot costs nobody else anything."""

    def test_a_false_head_under_the_true_id(self) -> None:
        joiner, liar = self.joiner(), Server("a liar", self.source, false_head)
        joiner.add(liar)
        joiner.wait(1)
        joiner.add(*self.honest(2))
        self.assertJoined(joiner)
        self.assertEqual(set(joiner.dropped) - {"a liar"}, set())

    def test_a_false_page_of_a_true_manifest(self) -> None:
        for name in ("a liar", "z liar"):
            joiner, liar = self.joiner(), Server(name, self.source, false_page)
            joiner.add(liar)
            joiner.wait(4)
            joiner.add(*self.honest(2))
            self.assertOnlyDropped(joiner, liar)

    def test_a_false_part_of_a_true_state(self) -> None:
        joiner, liar = self.joiner(), Server("a liar", self.source, false_part)
        joiner.add(liar)
        joiner.wait(4)
        joiner.add(*self.honest(2))
        self.assertOnlyDropped(joiner, liar)

    def test_false_pages_among_honest_ones(self) -> None:
        joiner = self.joiner()
        liars = [Server(f"liar {n}", self.source, lie) for n, lie in enumerate((false_page, false_part))]
        joiner.add(*self.honest(1), *liars, *self.honest(1, 1))
        self.assertJoined(joiner)
        self.assertEqual([each for each in joiner.dropped if each.startswith("honest")], [])

    def test_two_false_chunks_of_one_range_of_a_true_manifest(self) -> None:
        joiner = self.joiner()
        (sender,), liars = self.honest(1), [Server(f"liar {n}", self.source, changed_coin) for n in range(2)]
        sender.lie = no_chunks
        joiner.add(sender)
        joiner.wait(4)
        self.assertIs(joiner.stage, Stage.COINS)
        joiner.add(*liars)
        joiner.wait(40)
        self.assertEqual(sorted(joiner.dropped), ["liar 0", "liar 1"])
        sender.lie = None
        self.assertOnlyDropped(joiner, *liars)

    def test_two_false_chunks_when_the_sender_of_the_manifest_is_gone(self) -> None:
        joiner = self.joiner()
        (sender,), liars = self.honest(1), [Server(f"liar {n}", self.source, changed_coin) for n in range(2)]
        joiner.stop_after = 7
        joiner.add(sender)
        joiner.wait(4)
        joiner.lose(sender)
        joiner = self.joiner(disk=joiner.disk, resume=True)
        joiner.add(*liars)
        joiner.wait(10)
        joiner.add(*self.honest(1, 1))
        self.assertOnlyDropped(joiner, *liars)


class OutOfReachTest(FramingCase):
    """Snapshots that are offered and do not come keep nobody from those that do."""

    def test_offers_that_nobody_fills(self) -> None:
        for count in (1, 4):
            joiner = self.joiner()
            stallers = [Server(f"staller {n}", self.source, Stalling(self.source, n)) for n in range(count)]
            joiner.add(*stallers)
            joiner.wait(3)
            joiner.add(*self.honest(1))
            outcome = joiner.run(60 * (count + 2))
            self.assertTrue(outcome.imported, outcome.reason)
            self.assertEqual(joiner.dropped, {})

    def test_one_that_offers_something_new_each_time(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("staller", self.source, Fickle(self.source)))
        joiner.wait(3)
        joiner.add(*self.honest(1))
        outcome = joiner.run(200)
        self.assertTrue(outcome.imported, outcome.reason)

    def test_offers_do_not_pile_up(self) -> None:
        joiner, fickle = self.joiner(), Fickle(self.source)
        server = Server("staller", self.source, fickle)
        joiner.add(server)
        joiner.wait(3)
        for _ in range(50):
            for message in fickle(server, wire.GetSnapshots()) or ():
                joiner.machine.message(b"staller", message, joiner.now)
        offers = joiner.machine._loading._offers
        assert offers is not None
        self.assertLessEqual(offers.count, wire.MAX_SNAPSHOTS)

    def test_a_manifest_that_one_holder_does_not_send(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("a staller", self.source, no_manifest_or_state), *self.honest(1))
        outcome = joiner.run(40)
        self.assertTrue(outcome.imported, outcome.reason)
        self.assertEqual(joiner.dropped, {})


def false_head(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetSnapshots):
        return None
    false = []
    for held in server.source.files.held():
        head = server.source.manifest.head
        false.append(wire.SnapshotHead(held.snapshot_id, head._replace(state_size=head.state_size + 1).encode()))
    return [wire.Snapshots(tuple(false))]


def false_page(server: Server, message: wire.Message) -> Said:
    return _garbled(server, message) if isinstance(message, wire.GetManifest) else None


def false_part(server: Server, message: wire.Message) -> Said:
    return _garbled(server, message) if isinstance(message, wire.GetState) else None


def _garbled(server: Server, message: wire.Message) -> Sequence[wire.Message]:
    (true,) = server.source.answer(message)
    if isinstance(true, wire.ManifestPage):
        return [wire.ManifestPage(true.snapshot, true.page, true.ranges[:-1] + bytes([true.ranges[-1] ^ 1]))]
    assert isinstance(true, wire.StatePart)
    return [wire.StatePart(true.snapshot, true.part, true.data[:-1] + bytes([true.data[-1] ^ 1]))]


def no_manifest_or_state(server: Server, message: wire.Message) -> Said:
    return () if isinstance(message, wire.GetManifest | wire.GetState) else None


class Stalling(StateOf):
    """Offers a snapshot of its own, whose id is above the true one's, and nothing of it."""

    def __init__(self, source: Source, number: int) -> None:
        for salt in range(1_000):
            super().__init__(source, 0)
            state_hash = (1_000 * number + salt).to_bytes(32, "big")
            self.manifest = replace(self.manifest, state_hash=state_hash)
            if self.manifest.snapshot_id > self.true:
                return
        raise AssertionError("no such id")

    def __call__(self, server: Server, message: wire.Message) -> Said:
        if isinstance(message, wire.GetManifest | wire.GetState | wire.GetChunk):
            return ()
        return super().__call__(server, message)


class Fickle(Stalling):
    """Another snapshot each time that it is asked."""

    def __init__(self, source: Source) -> None:
        self.source, self.number = source, 0
        super().__init__(source, 0)

    def __call__(self, server: Server, message: wire.Message) -> Said:
        if isinstance(message, wire.GetSnapshots):
            self.number += 1
            Stalling.__init__(self, self.source, self.number)
        return super().__call__(server, message)

"""Byzantine masternodes do what their names say, and honest ones survive it."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.written import HOME, text
from timecoin.consensus import effects as fx
from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine import BEHAVIOURS, reading
from timecoin.simulation.byzantine.adversary import Schemer
from timecoin.simulation.clock import SECOND
from timecoin.simulation.life import Life
from timecoin.simulation.mutants import Hunt
from timecoin.simulation.node import Node
from timecoin.simulation.violation import Violation

CONTRADICTING = (
    "double_votes",
    "double_acks",
    "vote_everything",
    "nil_votes",
    "double_precommits",
    "conflicting_proposals",
)
TOGETHER = (
    ("twins", "late"),
    ("omitting", "stale_epoch", "withheld_bodies"),
    ("rival_blocks", "vote_everything", "false_status"),
    ("claimed_pols", "selective_sending", "double_precommits"),
    ("schemer", "garbage"),
)


class Watched:
    """A life of one liar, and what the honest nodes say of it."""

    def __init__(self, seed: int, *behaviours: str, nodes: int = 4) -> None:
        hunt = Hunt(1, behaviours, nodes=nodes, overrides={"interim_txs": 4})
        self.life = Life(hunt.plan(seed, None))
        self.seen: Counter[str] = Counter()
        self.rounds = 0
        observer = self.life.world.observer
        judged, applied = observer.accused, observer.applied

        def accused(node: Node, other: Node, code: str) -> None:
            self.seen["accused"] += not other.honest
            judged(node, other, code)

        def archived(node: Node, block: fx.BlockArchived) -> None:
            self.rounds = max(self.rounds, block.round)
            applied(node, block)

        def misbehaved(node: Node, what: fx.Misbehaviour) -> None:
            self.seen["misbehaviour"] += 1

        observer.accused, observer.applied, observer.misbehaviour = accused, archived, misbehaved  # type: ignore[method-assign]

    def run(self) -> Watched:
        """To the end; raises ``Violation``."""
        self.life.run()
        return self


class BehavioursTest(SynchronousTestCase):
    def test_each_is_explained(self) -> None:
        page = text(HOME / "docs" / "architecture" / "testing.rst")
        for name, made_by in BEHAVIOURS.items():
            self.assertIn(f"``{name}``", page)
            self.assertTrue(made_by.__doc__, name)

    def test_contradictions_are_seen_and_jailed(self) -> None:
        for name in CONTRADICTING:
            watched = Watched(11, name).run()
            self.assertTrue(watched.seen["misbehaviour"], name)
            entries = watched.life.honest[0].disk.ledger.registry.entries
            self.assertTrue(any(entry.jailed for entry in entries), name)

    def test_what_no_honest_node_sends_ends_the_connection(self) -> None:
        for name in ("garbage", "non_member"):
            self.assertTrue(Watched(11, name).run().seen["accused"], name)

    def test_the_faults_of_the_slow_are_not_punished(self) -> None:
        for name in ("late", "withheld_bodies", "withheld_certificates", "never_seals", "deaf"):
            self.assertEqual(Watched(3, name).run().seen["accused"], 0, name)

    def test_together(self) -> None:
        for seed, names in enumerate(TOGETHER):
            Watched(seed, *names, nodes=4 + seed).run()

    def test_a_round_is_lost_when_a_proposer_omits(self) -> None:
        self.assertGreater(max(Watched(seed, "omission").run().rounds for seed in (11, 12)), 0)

    def test_twins_are_nodes_with_one_key(self) -> None:
        watched = Watched(1, "twins")
        watched.life._begin()
        world = watched.life.world
        world.clock.run_until(world.began + SECOND)
        liars = [node for node in world.nodes if not node.honest]
        self.assertGreater(len(liars), 1)
        self.assertEqual(len({node.operator for node in liars}), 1)
        self.assertTrue(all(node.up for node in liars))


class SchemerTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.life = Life(Hunt(1).plan(0, None))
        self.life._begin()
        self.world = self.life.world
        self.schemer = Schemer.of(self.world)

    def run_for(self, seconds: int) -> None:
        self.world.clock.run_until(self.world.clock.now + seconds * SECOND)

    def test_there_is_one_for_a_world(self) -> None:
        self.assertIs(Schemer.of(self.world), self.schemer)

    def test_what_is_held_arrives_when_it_is_released(self) -> None:
        victim = self.world.nodes[3]
        self.schemer.hold("all", lambda link, message: link.target is victim and not isinstance(message, wire.Status))
        self.run_for(6)
        self.assertEqual([node.epoch for node in self.world.nodes], [2, 2, 2, 1])
        self.schemer.release("all")
        self.run_for(2)
        self.assertEqual(victim.epoch, self.world.nodes[0].epoch)

    def test_nothing_is_held_once_the_faults_are_over(self) -> None:
        self.schemer.hold("all", lambda link, message: True)
        self.schemer.end()
        self.schemer.hold("again", lambda link, message: True)
        self.run_for(6)
        self.assertEqual(self.schemer.taken, 0)
        self.assertEqual([node.epoch for node in self.world.nodes], [2] * 4)


class ForgeTest(SynchronousTestCase):
    def test_what_is_forged_is_well_signed_and_of_a_number_not_used(self) -> None:
        life = Life(Hunt(1, ("silence",)).plan(0, None))
        life._begin()
        life.world.clock.run_until(life.world.began + 2 * SECOND)
        liar = next(node for node in life.world.nodes if not node.honest)
        forge = liar.forge  # type: ignore[attr-defined]
        numbers = set()
        for _ in range(3):
            bundle = reading.bundle(forge.bundle([bytes(32)]).bundles[0])
            assert bundle is not None
            self.assertTrue(life.world.signatures.all_hold([bundle.check(forge.ledger.current)]))
            numbers.add(bundle.sequence)
        self.assertEqual(len(numbers), 3)

    def test_a_violation_inside_of_a_liar_is_still_one(self) -> None:
        life = Life(Hunt(1, ("silence",)).plan(0, None))
        life._begin()
        liar = next(node for node in life.world.nodes if not node.honest)

        def violate() -> None:
            raise Violation("crash", "seen from within")

        def confuse() -> None:
            raise ZeroDivisionError

        self.assertRaises(Violation, liar.guard, violate)
        liar.guard(confuse)
        self.assertFalse(liar.up)

"""Every kind of fault alone: it strikes, does what it says, and every invariant holds."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.chance import Chance
from timecoin.simulation.disk import Ending
from timecoin.simulation.faults.kind import Scene
from timecoin.simulation.faults.table import FAULTS
from timecoin.simulation.life import Life, live
from timecoin.simulation.plan import Fault, Options, Plan, Seat
from timecoin.simulation.planning import make_plan

EPOCHS = 2


def bare(seed: int = 1, **changes: object) -> Plan:
    """A life of four nodes without faults."""
    plan = make_plan(Options(seed=seed, nodes=4, byzantine=0, epochs=EPOCHS, faults=(), profile="calm"))
    usual: dict[str, object] = {
        "seats": (Seat("GOLD"),) * 4,
        "payments": 6,
        "newcomers": 1,
        "followers": 0,
        "regions": (0,) * 5,
        "epoch_seconds": 4,
    }
    return msgspec.structs.replace(plan, **{**usual, **changes})


def scene(plan: Plan) -> Scene:
    return Scene(
        profile="storm",
        masternodes=4,
        newcomers=1,
        nodes=5,
        byzantine=(),
        frail=(2,),
        leavers=(3,),
        epoch=plan.epoch,
        span=plan.turbulence,
        slots=tuple(plan.slot(number) for number in range(1, plan.epochs + 1)),
        overrides=plan.overrides,
    )


def struck(kind: str, at: int, **fields: object) -> Life:
    """A life in which one fault has just struck."""
    life = Life(bare())
    life._begin()
    life.world.clock.run_until(life.world.began + at)
    life._strike(Fault(at=at, kind=kind, **fields))  # type: ignore[arg-type]
    return life


class AloneTest(SynchronousTestCase):
    def test_every_kind(self) -> None:
        for number, (name, kind) in enumerate(FAULTS.items()):
            changes = {"overrides": {**bare().overrides, "absent_epochs": 2}} if name == "absence" else {}
            plan = bare(number, **changes)
            drawn = [fault for fault in kind.draw(Chance(number), scene(plan)) if fault.at < plan.turbulence]
            self.assertTrue(drawn, name)
            outcome = live(msgspec.structs.replace(plan, faults=tuple(drawn)))
            self.assertIsNone(outcome.violation, f"{name}: {outcome.violation}")
            self.assertEqual(outcome.faults, {name: len(drawn)})
            self.assertGreaterEqual(outcome.epochs, EPOCHS)


class StrikeTest(SynchronousTestCase):
    def test_crash_and_restart(self) -> None:
        life = struck("crash", 1_500_000, nodes=(2,), value=300)
        node = life.world.nodes[2]
        self.assertFalse(node.up)
        life.world.clock.run_until(life.world.clock.now + 400_000)
        self.assertTrue(node.up)

    def test_crash_at_a_step(self) -> None:
        life = struck("crash_at_step", 1_500_000, nodes=(1,), value=5)
        node = life.world.nodes[1]
        due = node.moments + 5
        life.world.clock.run_until(life.world.clock.now + 2_000_000, lambda node=node: not node.up)
        self.assertFalse(node.up)
        self.assertEqual(node.moments, due)

    def test_crash_at_a_write(self) -> None:
        for detail in ("before", "in: lost", "in: done", "after"):
            life = struck("crash_at_write", 1_500_000, nodes=(1,), value=1, detail=detail)
            node = life.world.nodes[1]
            self.assertTrue(
                life.world.clock.run_until(life.world.clock.now + 3_000_000, lambda node=node: not node.up), detail
            )
            life.world.clock.run_until(life.world.clock.now + 2_000_000)
            self.assertTrue(node.up, detail)
            self.assertIsNone(node.ending)

    def test_a_write_under_way_is_done_or_lost(self) -> None:
        for ending, more in ((Ending.LOST, 0), (Ending.DONE, 1)):
            life = struck("burst", 1_500_000, value=3)
            node = next(node for node in life.world.nodes)
            self.assertTrue(
                life.world.clock.run_until(life.world.clock.now + 500_000, lambda node=node: bool(node._journal_writes))
            )
            before = len(list(node.disk.log.entries()))
            node.ending = ending
            node.crash()
            self.assertEqual(len(list(node.disk.log.entries())) > before, bool(more))

    def test_a_paused_node_says_nothing_and_then_goes_on(self) -> None:
        life = struck("pause", 1_500_000, nodes=(0,), until=2_500_000)
        node = life.world.nodes[0]
        moments = node.moments
        life.world.clock.run_until(life.world.began + 2_400_000)
        self.assertEqual(node.moments, moments)
        self.assertTrue(node.frozen)
        life.world.clock.run_until(life.world.began + 2_600_000)
        self.assertGreater(node.moments, moments)

    def test_a_full_disk_stops_the_node_until_there_is_room(self) -> None:
        life = struck("full_disk", 1_500_000, nodes=(0,), until=3_500_000)
        node = life.world.nodes[0]
        life.world.clock.run_until(life.world.began + 3_400_000)
        self.assertFalse(node.up)
        life.world.clock.run_until(life.world.began + 5_000_000)
        self.assertTrue(node.up)

    def test_clocks(self) -> None:
        life = struck("jump", 1_500_000, nodes=(1,), value=-2_500)
        one, two = life.world.nodes[0], life.world.nodes[1]
        self.assertEqual(one.now_ms() - two.now_ms(), 2_500)
        life = struck("drift", 1_500_000, nodes=(1,), value=100_000)
        one, two = life.world.nodes[0], life.world.nodes[1]
        life.world.clock.run_until(life.world.clock.now + 1_000_000)
        self.assertEqual(two.now_ms() - one.now_ms(), 100)

    def test_nobody_loses_memory_in_the_first_epoch(self) -> None:
        life = struck("new_disk", 1_500_000, nodes=(2,), value=100)
        self.assertTrue(life.world.nodes[2].up)

    def test_a_newcomer_becomes_a_masternode(self) -> None:
        life = Life(msgspec.structs.replace(bare(), faults=(Fault(1_200_000, "join", (4,), value=1),)))
        life.run()
        ledger = life.world.nodes[0].disk.ledger
        newcomer = life.world.nodes[4].operator
        assert newcomer is not None
        self.assertIsNotNone(ledger.current.index_of_key(newcomer.public))
        self.assertIn(life.world.maker_of(life.world.nodes[0], ledger.current.set_hash, 4), range(5))

    def test_a_new_key_is_taken_up(self) -> None:
        life = Life(msgspec.structs.replace(bare(), faults=(Fault(1_200_000, "new_key", (1,), value=1),)))
        old = life.world.nodes[1].operator
        life.run()
        new = life.world.nodes[1].operator
        assert old is not None and new is not None
        members = life.world.nodes[0].disk.ledger.current
        self.assertIsNone(members.index_of_key(old.public))
        self.assertIsNotNone(members.index_of_key(new.public))

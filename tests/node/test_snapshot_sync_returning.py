"""A chain of one's own that is older than the unbonding time: what leads on from it, and when nobody is believed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.node.joiners import EPOCHS, Joiner, Server, Source
from tests.node.test_snapshot_sync_trusted import continued, stall
from tests.storage.joined import StoredChain, grow
from timecoin.ledger.closing_chain import Anchor
from timecoin.node import snapshot_sync_descent
from timecoin.node.snapshot_sync_stages import Outcome, Stage
from timecoin.node.snapshot_sync_trust import ASK_AGAIN_MS, DESCENT_STALL_MS, INBOUND_WAIT_MS, RETURN_WAIT_MS
from timecoin.p2p import messages as wire

Said = Sequence[wire.Message] | None


@cache
def past() -> StoredChain:
    """What the node has: some epochs and an interim block."""
    return continued(grow(EPOCHS), 0)


@cache
def present() -> StoredChain:
    """What the network has: some more epochs."""
    return later_than(past(), 2)


@cache
def false_present() -> StoredChain:
    """What those sign who had a quorum when the node left: a longer chain that follows from the same tip."""
    return later_than(past(), 5)


@cache
def false_past() -> StoredChain:
    """Another interim block at the end, and other epochs that follow."""
    chain = grow(EPOCHS)
    chain.epoch(payments=3)
    return continued(chain, 1)


def later_than(chain: StoredChain, epochs: int) -> StoredChain:
    """The same chain until its tip, then as many closing blocks; how many decides what is in them."""
    later = StoredChain()
    for assembled, commit in chain.assembled[1:]:
        later.apply(assembled.block, commit)
    later.close()
    for _ in range(epochs - 1):
        later.epoch(payments=epochs)
    return later


class ReturnCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(snapshot_sync_descent, "HEADERS_AT_ONCE", 2)
        self.source = self.sourced(present())
        params = self.source.chain.params
        away = 1_000 * params.unbonding_epochs * params.epoch_seconds
        self.late = 1_000 * past().state.last_closing_slot + away + 1_000 * params.epoch_seconds

    def sourced(self, chain: StoredChain) -> Source:
        """Peers with a chain."""
        return Source(self, chain)

    def anchor(self, chain: StoredChain | None = None, height: int = -1) -> Anchor:
        header = (chain or present()).blocks[height].header
        return Anchor(header.height, header.hash)

    def returning(self, own: StoredChain | None = None, **options: Any) -> Joiner:
        return Joiner(self, self.source, **({"now": self.late, "own": own or past()} | options))

    def honest(self, count: int, start: int = 0) -> list[Server]:
        return [Server(f"honest {n}", self.source) for n in range(start, start + count)]

    def of(self, chain: StoredChain, count: int, name: str = "a liar") -> list[Server]:
        source = self.sourced(chain)
        return [Server(f"{name} {n}", source) for n in range(count)]

    def assertLeads(self, outcome: Outcome) -> None:
        """To the present: every block after the tip here is known, and the newest closing one is a checkpoint."""
        self.assertIsNone(outcome.contradiction)
        self.assertFalse(outcome.imported)
        path, blocks = outcome.path, present().blocks
        assert path is not None
        self.assertLessEqual(path.lowest, past().state.height)
        for block in blocks[path.lowest : path.highest + 1]:
            self.assertEqual(path.hash_at(block.header.height), block.header.hash)
        newest = [block.header for block in blocks if block.header.closing][-1]
        self.assertEqual(outcome.checkpoint, Anchor(newest.height, newest.hash))


class AgreementTest(ReturnCase):
    """Without a trusted block."""

    def test_three_groups_agree(self) -> None:
        joiner = self.returning()
        joiner.add(*self.honest(3))
        self.assertLeads(joiner.run())
        self.assertTrue(any("no trusted block is given" in each for each in joiner.notes))
        self.assertTrue(any("3 network groups agree" in each for each in joiner.notes))

    def test_a_chain_that_ends_with_a_closing_block(self) -> None:
        joiner = self.returning(own=grow(EPOCHS))
        joiner.add(*self.honest(3))
        self.assertLeads(joiner.run())

    def test_one_group_has_to_wait(self) -> None:
        joiner = self.returning()
        joiner.add(*self.honest(2), group=b"one group")
        joiner.wait(15)
        self.assertIs(joiner.stage, Stage.AGREEMENT)
        joiner.add(*self.honest(2, 2))
        self.assertLeads(joiner.run())

    def test_who_comes_by_itself_does_not_count_for_long(self) -> None:
        """Liars from everywhere dial a node that comes back before it has dialled anybody."""
        joiner = self.returning()
        joiner.add(*self.of(false_present(), 5), chosen=False)
        joiner.wait(INBOUND_WAIT_MS / 1000 - 5)
        self.assertIs(joiner.stage, Stage.AGREEMENT)
        joiner.add(*self.honest(1))
        joiner.wait(20)
        self.assertIs(joiner.stage, Stage.REFUSED)

    def test_who_is_behind_says_nothing_of_what_came_since(self) -> None:
        """Three that come back like this one, and a liar: they agree with whatever follows from their own past."""
        joiner = self.returning()
        joiner.add(*self.of(later_than(past(), 1), 3, "behind"), *self.of(false_present(), 1))
        joiner.wait(10)
        self.assertIs(joiner.stage, Stage.AGREEMENT)
        joiner.add(*self.honest(1))
        joiner.wait(20)
        self.assertIs(joiner.stage, Stage.REFUSED)

    def test_liars_that_leave_with_their_chain(self) -> None:
        """What they agreed on is not waited for, whether they leave before or after that."""
        for wait, count in ((1, 1), (5, 3)):
            joiner, liars = self.returning(), self.of(false_present(), count)
            for each in liars:
                each.lie = no_headers
            joiner.add(*liars)
            joiner.wait(wait + 2)
            self.assertIn(joiner.stage, (Stage.AGREEMENT, Stage.OWN))
            for each in liars:
                joiner.lose(each)
            joiner.add(*[Server(f"later {n}", self.source, began_later) for n in range(3)])
            joiner.wait(200)
            joiner.add(*self.honest(3))
            self.assertLeads(joiner.run(400))

    def test_where_all_come_by_themselves(self) -> None:
        joiner = self.returning()
        joiner.add(*self.honest(1), chosen=False)
        self.assertLeads(joiner.run())

    def test_a_longer_chain_of_old_keys_beside_the_true_one(self) -> None:
        """Both have valid commits: none is chosen, as often as it is asked again, until the operator says which."""
        liars = self.of(false_present(), 3)
        joiner = self.returning()
        joiner.add(*liars, *self.honest(1))
        for _ in range(3):
            joiner.wait(ASK_AGAIN_MS / 1000 + 5)
            self.assertIs(joiner.stage, Stage.REFUSED)
        self.assertEqual(joiner.dropped, {})
        self.assertIn("a liar 0 says", " ".join(joiner.machine.report))
        self.assertTrue(any("set [sync] trusted" in each for each in joiner.notes))
        trusting = self.returning(anchor=self.anchor())
        trusting.add(*self.of(false_present(), 3), *self.honest(1))
        self.assertLeads(trusting.run())

    def test_liars_that_cannot_sign_stop_nobody(self) -> None:
        def forged(server: Server, message: wire.Message) -> Said:
            if not isinstance(message, wire.GetClosingHeaders):
                return None
            junk = wire.ClosingParts(bytes(351), bytes(40), b"")
            return [wire.ClosingHeaders(message.from_epoch, (junk,))]

        joiner = self.returning()
        joiner.add(*[Server(f"a liar {n}", self.source, forged, epoch=10_000) for n in range(3)], *self.honest(3))
        self.assertLeads(joiner.run())
        self.assertEqual(sorted(joiner.dropped), [f"a liar {n}" for n in range(3)])

    def test_what_peers_agree_on_is_not_the_chain_here(self) -> None:
        joiner = self.returning()
        joiner.add(*self.of(false_past(), 3, "another"))
        joiner.wait(30)
        self.assertIs(joiner.stage, Stage.REFUSED)
        self.assertTrue(any("on another chain than the one here" in each for each in joiner.notes))
        self.assertIn(f"at height {past().state.height} the chain here has", joiner.machine.report[0])


class NobodyAheadTest(ReturnCase):
    """A whole network that stood still: nobody has anything newer, and it goes on."""

    def test_after_a_while(self) -> None:
        joiner = self.returning()
        joiner.add(*self.of(past(), 3, "as far"))
        joiner.wait(RETURN_WAIT_MS / 1000 - 1)
        self.assertIsNone(joiner.machine.outcome)
        joiner.wait(2)
        outcome = joiner.run()
        self.assertEqual((outcome.path, outcome.checkpoint), (None, None))

    def test_not_on_the_word_of_those_who_came_by_themselves(self) -> None:
        joiner = self.returning()
        joiner.add(*self.of(past(), 5, "as far"), chosen=False)
        joiner.wait(INBOUND_WAIT_MS / 1000 - 2)
        self.assertIsNone(joiner.machine.outcome)
        joiner.add(*self.honest(1))
        self.assertLeads(joiner.run())

    def test_somebody_who_is_ahead_comes_in_time(self) -> None:
        joiner = self.returning()
        joiner.add(*self.of(past(), 2, "as far"))
        joiner.wait(RETURN_WAIT_MS / 1000 - 2)
        joiner.add(*self.honest(1))
        self.assertLeads(joiner.run())

    def test_alone_it_waits(self) -> None:
        joiner = self.returning()
        joiner.wait(600)
        self.assertIs(joiner.stage, Stage.PEERS)
        joiner.add(*self.honest(3))
        self.assertLeads(joiner.run())

    def test_a_boaster_holds_up_nobody(self) -> None:
        joiner = self.returning()
        boaster = Server("a boaster", self.source, lambda server, message: (), epoch=9_000)
        joiner.add(boaster, *self.of(past(), 3, "as far"))
        self.assertIsNone(joiner.run().path)

    def test_peers_that_all_began_later(self) -> None:
        """They are ahead and cannot show what follows from here; nobody's word is taken that nothing does."""
        joiner = self.returning()
        joiner.add(*[Server(f"later {n}", self.source, began_later) for n in range(2)], *self.of(past(), 1))
        joiner.wait(150)
        self.assertIs(joiner.stage, Stage.HEADERS)
        self.assertTrue(
            any("none shows closing headers that follow from the chain here" in each for each in joiner.notes)
        )
        self.assertEqual(joiner.dropped, {})

    def test_the_operator_knows_of_a_newer_block(self) -> None:
        """Then it is not believed that there is none."""
        joiner = self.returning(anchor=self.anchor())
        joiner.add(*self.of(past(), 5, "as far"))
        joiner.wait(100)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        joiner.add(*self.honest(1))
        self.assertLeads(joiner.run())


class TrustedTest(ReturnCase):
    def test_one_peer_is_enough(self) -> None:
        for height in (-1, -2, -3):
            joiner = self.returning(anchor=self.anchor(height=height), now=self.late)
            joiner.add(*self.honest(1))
            self.assertLeads(joiner.run())
            self.assertFalse(any("agree" in each or "no trusted block" in each for each in joiner.notes))

    def test_an_old_trusted_block_is_not_enough(self) -> None:
        joiner = self.returning(anchor=self.anchor(), now=10 * self.late)
        joiner.add(*self.honest(3))
        self.assertLeads(joiner.run())
        self.assertTrue(any("epochs old" in each for each in joiner.notes))

    def test_an_eclipse_by_old_keys(self) -> None:
        joiner = self.returning(anchor=self.anchor())
        joiner.add(*self.of(false_present(), 5))
        joiner.wait(100)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        joiner.add(*self.honest(1))
        self.assertLeads(joiner.run())

    def test_the_chain_here_is_false(self) -> None:
        """One line, and the end of the node: one of the two is false, and which one it cannot know."""
        joiner = self.returning(anchor=self.anchor(false_past()))
        joiner.add(*self.of(false_past(), 2, "true"))
        outcome = joiner.run()
        assert outcome.contradiction is not None
        self.assertIn(f"does not lead to the trusted {false_past().state.height}:", outcome.contradiction)
        self.assertIn(f"at height {past().state.height} the chain here has", outcome.contradiction)

    def test_headers_that_stall_half_way(self) -> None:
        """It begins anew, and never goes on without them."""
        for height in (-1, -2):
            anchor = self.anchor(height=height)
            joiner = self.returning(anchor=anchor)
            lie = partial(stalled_below, anchor.height)
            joiner.add(*[Server(f"{n}", self.source, lie) for n in range(3)])
            joiner.wait(2 * DESCENT_STALL_MS / 1000)
            self.assertIsNone(joiner.machine.outcome)
            self.assertTrue(any("beginning anew" in each for each in joiner.notes))
            joiner.add(*self.honest(1))
            self.assertLeads(joiner.run(300))


def stalled_below(height: int, server: Server, message: wire.Message) -> Said:
    return stall(message, height)


def began_later(server: Server, message: wire.Message) -> Said:
    """Has no closing headers but the newest."""
    if isinstance(message, wire.GetClosingHeaders) and message.from_epoch < server.epoch - 1:
        return [wire.ClosingHeaders(message.from_epoch, ())]
    return None


def no_headers(server: Server, message: wire.Message) -> Said:
    return () if isinstance(message, wire.GetHeaders) else None

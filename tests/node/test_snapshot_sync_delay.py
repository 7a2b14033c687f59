"""Peers that hold a joining node up, or lead it astray, with true answers: slow, short, or to be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.node.joiners import EPOCHS, Server, Source
from tests.node.test_snapshot_sync import JoinCase, Said, forged_link, rival_chain
from tests.storage.joined import StoredChain, grow
from timecoin.ledger.closing_chain import Anchor
from timecoin.node.snapshot_sync_blocks import AHEAD_BYTES, Blocks
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Send
from timecoin.node.snapshot_sync_stages import Stage
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block


class SlowHeadersTest(JoinCase):
    def test_one_that_shows_a_header_every_seven_seconds(self) -> None:
        """Others are asked after the first of them."""
        joiner, slow = self.joiner(), Server("a dripper", self.source, one_link, delay_ms=7_000)
        joiner.add(slow)
        joiner.wait(3)
        joiner.add(*self.honest(1))
        joiner.wait(10)
        self.assertNotIn(joiner.stage, (Stage.PEERS, Stage.HEADERS))
        self.assertEqual(slow.count(wire.GetClosingHeaders), 1)
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})

    def test_a_slow_one_will_do_when_there_is_no_other(self) -> None:
        joiner, slow = self.joiner(), Server("slow", self.source, one_link, delay_ms=3_000)
        joiner.add(slow)
        joiner.wait(6 + 3 * (EPOCHS + 2))
        self.assertIn(joiner.stage, (Stage.OFFERS, Stage.MANIFEST, Stage.COINS, Stage.BLOCKS))
        self.assertEqual(joiner.dropped, {})


class LargeBlocksTest(JoinCase):
    """Blocks that wait for a late one above them are bounded in bytes, whoever fills them with what."""

    def test_what_waits_is_bounded(self) -> None:
        desk = Desk(bytes(32), 0, {b"1": JoinPeer(b"1", b"", ""), b"2": JoinPeer(b"2", b"", "")})
        header = self.source.chain.blocks[-1].header
        blocks = Blocks(desk, Due(1_000), None)
        blocks.work()
        kept = 0
        for _ in range(500):
            for each in desk.take_effects():
                assert isinstance(each, Send) and isinstance(each.message, wire.GetBlocks)
                start, count = each.message.from_height, each.message.count
                if start + count > 1_000:
                    continue
                pairs = [
                    wire.BlockWithCommit(replace(header, height=start + n).encode() + bytes((1 << 20) - 500), b"")
                    for n in range(min(count, 3))
                ]
                kept += sum(len(pair.block) for pair in pairs)
                blocks.takes(desk.peers[each.peer], wire.Blocks(tuple(pairs)))
            desk.now += 100
            blocks.work()
        self.assertGreater(kept, AHEAD_BYTES)
        self.assertLess(kept, 2 * AHEAD_BYTES)


class Due:
    """An import whose next block is at a height."""

    def __init__(self, height: int) -> None:
        self.next_block: tuple[int, bytes] | None = (height, bytes(32))

    def missing_ranges(self) -> list[int]:
        return []

    def load(self, index: int, coins: Sequence[tuple[bytes, bytes]], data: bytes) -> None:
        raise AssertionError("there are no coins")

    def add_block(self, block: Block, data: bytes) -> None:
        raise AssertionError("the one that is due did not come")


class FirstComersTest(JoinCase):
    """One that is quick decides nothing by saying little."""

    def test_one_that_says_nothing_has_happened(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("liar", self.source, epoch=1))
        joiner.wait(5)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)

    def test_one_that_shows_no_headers(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("liar", self.source, no_links))
        joiner.wait(5)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)


class AgreementTest(JoinCase):
    def setUp(self) -> None:
        super().setUp()
        params = self.source.chain.params
        self.late = 1_000 * (self.source.chain.state.last_closing_slot + params.unbonding_epochs * params.epoch_seconds)

    def test_a_dissenter_that_takes_it_back_and_says_it_again(self) -> None:
        joiner, liar = self.joiner(now=self.late), Server("zzz liar", self.source, Wavering())
        joiner.add(*self.honest(3), liar)
        self.assertJoined(joiner)
        self.assertLess(liar.count(wire.GetClosingHeaders), 20)

    def test_where_the_chains_part_is_found_by_halving(self) -> None:
        """Who dissents need not show all its headers."""
        other = Server("zzz other", Source(self, parted_chain()))
        joiner = self.joiner(now=self.late)
        joiner.add(*self.honest(3))
        joiner.add(other)
        joiner.wait(5)
        self.assertIs(joiner.stage, Stage.REFUSED)
        self.assertIn(f"epoch {EPOCHS} was closed", " ".join(joiner.machine.report))
        asked = [each for each in other.asked if isinstance(each, wire.GetClosingHeaders)]
        self.assertTrue(all(each.count == 1 for each in asked))
        self.assertEqual(joiner.dropped, {})

    def test_a_peer_behind_the_trusted_block_has_no_opinion(self) -> None:
        """And one that is all that there is stalls nothing."""
        anchor = next(each.header for each in reversed(self.source.chain.blocks) if each.header.closing)
        joiner = self.joiner(now=self.late, anchor=Anchor(anchor.height, anchor.hash), ahead_epochs=2)
        joiner.add(*self.honest(1), Server("zzz behind", self.source, no_links, epoch=2))
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})

    def test_nothing_is_a_checkpoint_before_it_is_proven(self) -> None:
        """A chain of old keys that is short enough to be fetched by blocks must not bar the way to the true one."""
        joiner = self.joiner(now=self.late, ahead_epochs=EPOCHS - 1)
        joiner.add(Server("boaster", Source(self, rival_chain(2)), epoch=EPOCHS + 1))
        outcome = joiner.run()
        self.assertIn("not far behind", outcome.reason)
        self.assertIsNone(outcome.checkpoint)

    def test_headers_that_nobody_has(self) -> None:
        """All peers joined by snapshots: their closing headers begin later than the chain here."""
        joiner = self.joiner(now=self.late)
        joiner.add(*[Server(f"newcomer {n}", self.source, no_old_links) for n in range(2)])
        outcome = joiner.run()
        self.assertIn("no peer shows", outcome.reason)
        self.assertTrue(any("trusted" in each and "no peer shows" in each for each in joiner.notes))


def one_link(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    return server.source.answer(wire.GetClosingHeaders(message.from_epoch, 1))


def no_links(server: Server, message: wire.Message) -> Said:
    return [wire.ClosingHeaders(1, ())] if isinstance(message, wire.GetClosingHeaders) else None


def no_old_links(server: Server, message: wire.Message) -> Said:
    if isinstance(message, wire.GetClosingHeaders) and message.from_epoch < 3:
        return [wire.ClosingHeaders(message.from_epoch, ())]
    return None


class Wavering:
    """Shows a false header, then the true ones, then the false one again, for a while."""

    def __init__(self) -> None:
        self.left = 100

    def __call__(self, server: Server, message: wire.Message) -> Said:
        if not isinstance(message, wire.GetClosingHeaders):
            return None
        self.left -= 1
        false = list(forged_link(server, wire.GetClosingHeaders(EPOCHS, 1)) or ())
        if message.count == 1 and message.from_epoch == EPOCHS:
            return false
        true = list(server.source.answer(message))
        empty = all(isinstance(each, wire.ClosingHeaders) and not each.links for each in true)
        return true + (false if empty and self.left > 0 else [])


def parted_chain() -> StoredChain:
    """The same past up to the last epoch."""
    chain = StoredChain()
    for assembled, commit in grow(EPOCHS).assembled[1:]:
        if assembled.block.header.epoch < EPOCHS:
            chain.apply(assembled.block, commit)
    chain.epoch(payments=1)
    return chain

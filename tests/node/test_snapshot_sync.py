"""Joining by a snapshot: every stage with honest peers, and with peers that lie, stall, vanish or lack things."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.node.joiners import EPOCHS, Disk, Joiner, Server, Source, shared_source
from tests.storage.joined import StoredChain
from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.node.snapshot_sync_stages import Stage
from timecoin.node.snapshot_sync_trust import ALONE_MS, ASK_AGAIN_MS
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block, Header

Said = Sequence[wire.Message] | None


class JoinCase(SynchronousTestCase):
    def setUp(self) -> None:
        # Thousands of them; that what is written is durable others test.
        for module in (os, sys.modules["ZODB.FileStorage.FileStorage"]):
            self.patch(module, "fsync", lambda descriptor: None)
        self.source = shared_source(self)

    def joiner(self, **options: object) -> Joiner:
        return Joiner(self, self.source, **options)  # type: ignore[arg-type]

    def honest(self, count: int, start: int = 0) -> list[Server]:
        return [Server(f"honest {n}", self.source) for n in range(start, start + count)]

    def assertJoined(self, joiner: Joiner) -> None:
        outcome = joiner.run()
        self.assertTrue(outcome.imported, outcome.reason)
        store, chain = joiner.disk.store, self.source.chain
        self.assertEqual(store.tip.block_hash, self.source.manifest.block_hash)
        self.assertEqual({o: store.coin(o) for o in chain.coins}, dict(chain.coins))
        for height in range(chain.state.height - 3, chain.state.height + 1):
            self.assertEqual(store.archive.block(height), chain.blocks[height].encode())


class HonestTest(JoinCase):
    def test_one_peer_is_enough_while_the_chain_is_young(self) -> None:
        joiner = self.joiner()
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})
        self.assertTrue(any("no trusted block" in each for each in joiner.notes))

    def test_parts_come_from_several(self) -> None:
        joiner, servers = self.joiner(), self.honest(3)
        joiner.add(*servers)
        self.assertJoined(joiner)
        self.assertTrue(all(each.count(wire.GetChunk) for each in servers))
        self.assertEqual(sum(each.count(wire.GetChunk) for each in servers), len(self.source.manifest.ranges))

    def test_the_joined_node_holds_the_snapshot_too(self) -> None:
        joiner = self.joiner()
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertEqual(joiner.disk.files.held(), self.source.files.held())

    def test_who_is_not_far_behind_does_not_join(self) -> None:
        joiner = self.joiner(ahead_epochs=EPOCHS)
        joiner.add(*self.honest(2))
        outcome = joiner.run()
        self.assertEqual((outcome.imported, outcome.checkpoint), (False, None))

    def test_alone(self) -> None:
        joiner = self.joiner()
        joiner.wait(ALONE_MS / 1000 + 1)
        self.assertIn("no peer", joiner.run().reason)

    def test_only_blocks_are_wanted(self) -> None:
        joiner = self.joiner(snapshot=False)
        joiner.add(*self.honest(1))
        outcome = joiner.run()
        newest = self.source.chain.blocks[-1].header
        self.assertEqual((outcome.imported, outcome.checkpoint), (False, Anchor(newest.height, newest.hash)))

    def test_nobody_holds_a_snapshot(self) -> None:
        joiner = self.joiner()
        joiner.add(*[Server(f"{n}", self.source, no_snapshot) for n in range(3)])
        outcome = joiner.run()
        self.assertIn("no peer holds a snapshot", outcome.reason)
        self.assertIsNotNone(outcome.checkpoint)
        self.assertEqual(joiner.dropped, {})

    def test_a_peer_that_comes_later(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("lacks it", self.source, no_snapshot))
        joiner.wait(6)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)

    def test_progress_is_told(self) -> None:
        joiner = self.joiner()
        joiner.stop_after = 8
        joiner.add(*self.honest(1))
        joiner.wait(5)
        self.assertIs(joiner.stage, Stage.COINS)
        self.assertIn("fetching coins: coins:", str(joiner.machine))
        progress = joiner.machine.progress
        assert progress is not None
        self.assertEqual(progress.total, len(self.source.manifest.ranges))


class CrashTest(JoinCase):
    def test_after_a_crash_it_goes_on(self) -> None:
        """At whatever piece of work it dies, the next run goes on, and asks for nothing twice that it has."""
        whole = self.joiner()
        whole.add(*self.honest(1))
        self.assertJoined(whole)
        for works in range(4, whole.works, 5):
            disk = Disk(self, self.source.chain)
            first = self.joiner(disk=disk)
            first.stop_after = works
            first.add(*self.honest(1))
            first.wait(5)
            disk.close()
            begun = disk.store.unfinished_import() is not None
            second, server = self.joiner(disk=disk, resume=True), self.honest(1)[0]
            second.add(server)
            self.assertJoined(second)
            if begun:
                self.assertEqual(server.count(wire.GetManifest), 0)

    def test_a_snapshot_that_nobody_holds_any_more(self) -> None:
        disk = Disk(self, self.source.chain)
        first = self.joiner(disk=disk)
        first.stop_after = 7
        first.add(*self.honest(1))
        first.wait(5)
        disk.close()
        self.assertIsNotNone(disk.store.unfinished_import())
        self.source = Source(self, longer(self.source.chain))
        second = self.joiner(disk=disk, resume=True)
        second.add(*self.honest(2))
        second.run(300)
        self.assertJoined(second)


class LiarTest(JoinCase):
    def assertJoinedWithout(self, joiner: Joiner, *liars: Server) -> None:
        self.assertJoined(joiner)
        self.assertEqual(sorted(joiner.dropped), sorted(each.name for each in liars))

    def test_wrong_chunks(self) -> None:
        for lie in (empty_chunk_bytes, other_chunk, changed_coin):
            joiner, liar = self.joiner(), Server("liar", self.source, lie)
            joiner.add(liar, *self.honest(2))
            self.assertJoinedWithout(joiner, liar)

    def test_a_false_manifest_goes_with_its_senders(self) -> None:
        """Two who hold the same lie: the range fails from both, then the manifest is out."""
        joiner = self.joiner()
        liars = [Server(f"liar {n}", self.source, FalseManifest(self.source)) for n in range(3)]
        joiner.add(*liars)
        joiner.wait(3)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertLessEqual(set(joiner.dropped), {each.name for each in liars})
        self.assertGreaterEqual(len(joiner.dropped), 2)

    def test_a_manifest_that_does_not_multiply_up(self) -> None:
        joiner, liar = self.joiner(), Server("liar", self.source, RaisedManifest(self.source))
        joiner.add(liar)
        joiner.wait(6)
        self.assertIn("commitment", joiner.dropped["liar"])
        joiner.add(*self.honest(1))
        self.assertJoinedWithout(joiner, liar)

    def test_a_malformed_offer(self) -> None:
        joiner, liar = self.joiner(), Server("liar", self.source, malformed_head)
        joiner.add(liar, *self.honest(1))
        self.assertJoinedWithout(joiner, liar)

    def test_false_blocks(self) -> None:
        for lie in (changed_block, junk_block):
            joiner, liar = self.joiner(), Server("a liar", self.source, lie)
            joiner.add(liar, *self.honest(1))
            self.assertJoinedWithout(joiner, liar)

    def test_forged_headers(self) -> None:
        for lie in (forged_link, unsigned_link, junk_link, gap_link):
            joiner, liar = self.joiner(), Server("a liar", self.source, lie, epoch=10_000)
            joiner.add(liar, *self.honest(2))
            self.assertJoinedWithout(joiner, liar)

    def test_a_huge_epoch_that_is_not_shown(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("boaster", self.source, epoch=4_000_000_000), *self.honest(2))
        self.assertJoined(joiner)

    def test_stalling_peers_are_replaced(self) -> None:
        joiner = self.joiner()
        stalling = [Server(f"a staller {n}", self.source, silent, epoch=10_000) for n in range(3)]
        joiner.add(*stalling, *self.honest(1))
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})

    def test_one_that_stalls_in_the_middle(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("staller", self.source, no_chunks), *self.honest(1))
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})

    def test_a_manifest_that_does_not_come(self) -> None:
        """The same snapshot is taken from others that come later, also by peers that were asked before."""
        joiner = self.joiner()
        fickle = Server("fickle", self.source, no_manifest)
        joiner.add(fickle)
        joiner.wait(80)
        self.assertIs(joiner.stage, Stage.MANIFEST)
        self.assertTrue(any("given up" in each for each in joiner.notes))
        fickle.lie = None
        joiner.wait(20)
        self.assertJoined(joiner)

    def test_many_false_snapshots_do_not_drive_it_to_blocks(self) -> None:
        joiner = self.joiner()
        liars = [Server(f"liar {n}", self.source, StateOf(self.source, n)) for n in range(5)]
        joiner.add(*liars)
        joiner.wait(5)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertLessEqual(set(joiner.dropped), {each.name for each in liars})

    def test_all_stall(self) -> None:
        joiner = self.joiner()
        joiner.add(*[Server(f"staller {n}", self.source, no_chunks) for n in range(3)])
        outcome = joiner.run(400)
        self.assertFalse(outcome.imported)
        self.assertEqual(joiner.dropped, {})

    def test_peers_that_vanish(self) -> None:
        joiner, (one, two) = self.joiner(), self.honest(2)
        joiner.stop_after = 7
        joiner.add(one)
        joiner.wait(6)
        self.assertIs(joiner.stage, Stage.COINS)
        joiner.stop_after = None
        joiner.lose(one)
        disk = joiner.disk
        disk.close()
        again = self.joiner(disk=disk, resume=True)
        again.add(two)
        self.assertJoined(again)

    def test_peers_without_the_blocks(self) -> None:
        """A node that joined by a later snapshot lacks blocks: that is no lie."""
        joiner = self.joiner()
        joiner.add(Server("a newcomer", self.source, no_blocks), *self.honest(1))
        self.assertJoined(joiner)
        self.assertEqual(joiner.dropped, {})


class TrustTest(JoinCase):
    """Which chain is believed."""

    def setUp(self) -> None:
        super().setUp()
        params = self.source.chain.params
        self.late = 1_000 * (self.source.chain.state.last_closing_slot + params.unbonding_epochs * params.epoch_seconds)

    def anchor(self, epoch: int = 2) -> Anchor:
        header = next(
            each.header for each in self.source.chain.blocks if each.header.closing and each.header.epoch == epoch
        )
        return Anchor(header.height, header.hash)

    def test_from_a_trusted_block(self) -> None:
        for epoch in range(1, EPOCHS + 1):
            joiner = self.joiner(anchor=self.anchor(epoch), ahead_epochs=0)
            joiner.add(*self.honest(1))
            self.assertJoined(joiner)
            self.assertFalse(any("no trusted block" in each for each in joiner.notes))

    def test_a_trusted_block_that_no_peer_knows(self) -> None:
        joiner = self.joiner(anchor=Anchor(self.anchor().height, bytes(32)))
        joiner.add(*self.honest(2))
        joiner.wait(60)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        self.assertTrue(any("does not know the trusted block" in each for each in joiner.notes))
        self.assertEqual(joiner.dropped, {})

    def test_an_old_chain_without_a_trusted_block_needs_three_groups(self) -> None:
        joiner = self.joiner(now=self.late)
        joiner.add(*self.honest(2), group=b"one group")
        joiner.wait(10)
        self.assertIs(joiner.stage, Stage.AGREEMENT)
        joiner.add(*self.honest(2, 2))
        self.assertJoined(joiner)
        self.assertTrue(any("3 network groups agree" in each for each in joiner.notes))

    def test_where_there_are_no_three_groups(self) -> None:
        joiner = self.joiner(now=self.late)
        joiner.add(*self.honest(2), group=b"one group")
        self.assertJoined(joiner)
        self.assertTrue(any("peers of 1 network groups agree" in each for each in joiner.notes))

    def test_the_operator_says_that_genesis_will_do(self) -> None:
        joiner = self.joiner(now=self.late, genesis_will_do=True)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertFalse(any("agree" in each for each in joiner.notes))

    def test_an_old_trusted_block_is_not_enough(self) -> None:
        joiner = self.joiner(now=self.late, anchor=self.anchor())
        joiner.add(*self.honest(3))
        self.assertJoined(joiner)
        self.assertTrue(any("epochs old" in each for each in joiner.notes))

    def test_two_chains_with_valid_commits(self) -> None:
        """None is chosen, and it is told who showed what; when the other is gone, it goes on."""
        other = Server("other", Source(self, rival_chain()))
        joiner = self.joiner(now=self.late)
        joiner.add(*self.honest(3), other)
        joiner.wait(30)
        self.assertIs(joiner.stage, Stage.REFUSED)
        self.assertEqual(joiner.dropped, {})
        report = " ".join(joiner.machine.report)
        self.assertIn("other says", report)
        self.assertIn("honest 1 says", report)
        joiner.wait(ASK_AGAIN_MS / 1000 + 20)
        self.assertIs(joiner.stage, Stage.REFUSED)
        joiner.lose(other)
        joiner.wait(ASK_AGAIN_MS / 1000)
        self.assertJoined(joiner)

    def test_who_comes_late_is_asked_for_its_newest(self) -> None:
        """And not, before it told how far it is, for the first epoch, of which all say the same."""
        parted = StoredChain()
        for assembled, commit in self.source.chain.assembled[1:5]:
            parted.apply(assembled.block, commit)
        for _ in range(EPOCHS - 2):
            parted.epoch(payments=3)
        joiner = self.joiner(now=self.late)
        joiner.add(*self.honest(2), group=b"one group")
        joiner.wait(10)
        joiner.add(Server("other", Source(self, parted)))
        joiner.wait(30)
        self.assertIs(joiner.stage, Stage.REFUSED)

    def test_a_dissenter_that_cannot_show_its_chain(self) -> None:
        """One liar stops nobody."""
        for lie in (forged_link, unsigned_link, junk_link):
            joiner, liar = self.joiner(now=self.late), Server("zzz liar", self.source, lie)
            joiner.add(*self.honest(3), liar)
            self.assertJoined(joiner)
            self.assertEqual(list(joiner.dropped), ["zzz liar"])

    def test_the_other_chain_does_not_follow_from_a_trusted_block(self) -> None:
        joiner = self.joiner(anchor=self.anchor())
        other = Server("another", Source(self, rival_chain()))
        joiner.add(other, *self.honest(1))
        joiner.run()
        self.assertJoined(joiner)


# Lies


def silent(server: Server, message: wire.Message) -> Said:
    return ()


def no_snapshot(server: Server, message: wire.Message) -> Said:
    return [wire.Snapshots(())] if isinstance(message, wire.GetSnapshots) else None


def no_chunks(server: Server, message: wire.Message) -> Said:
    return () if isinstance(message, wire.GetChunk) else None


def no_blocks(server: Server, message: wire.Message) -> Said:
    return [wire.Blocks(())] if isinstance(message, wire.GetBlocks) else None


def empty_chunk_bytes(server: Server, message: wire.Message) -> Said:
    return [wire.Chunk(message.snapshot, message.index, bytes(50))] if isinstance(message, wire.GetChunk) else None


def other_chunk(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetChunk):
        return None
    other = (message.index + 1) % len(server.source.manifest.ranges)
    return [wire.Chunk(message.snapshot, message.index, server.source.files.chunk(message.snapshot, other) or b"")]


def changed_coin(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetChunk):
        return None
    data = bytearray(server.source.files.chunk(message.snapshot, message.index) or b"")
    data[-1] ^= 1
    return [wire.Chunk(message.snapshot, message.index, bytes(data))]


def malformed_head(server: Server, message: wire.Message) -> Said:
    return [wire.Snapshots((wire.SnapshotHead(bytes(32), b"?"),))] if isinstance(message, wire.GetSnapshots) else None


class FalseManifest:
    """Its ranges multiply up to the commitment, but two of them have each other's MuHash."""

    def __init__(self, source: Source) -> None:
        ranges = list(source.manifest.ranges)
        ranges[0], ranges[1] = ranges[0]._replace(muhash=ranges[1].muhash), ranges[1]._replace(muhash=ranges[0].muhash)
        self.manifest = replace(source.manifest, ranges=tuple(ranges))
        self.true = source.manifest.snapshot_id

    def __call__(self, server: Server, message: wire.Message) -> Said:
        manifest, files = self.manifest, server.source.files
        snapshot_id = manifest.snapshot_id
        if isinstance(message, wire.GetSnapshots):
            return [wire.Snapshots((wire.SnapshotHead(snapshot_id, manifest.head.encode()),))]
        if isinstance(message, wire.GetManifest):
            return [wire.ManifestPage(snapshot_id, message.page, manifest.page(message.page))]
        if isinstance(message, wire.GetState):
            return [wire.StatePart(snapshot_id, message.part, files.state_part(self.true, message.part) or b"")]
        if isinstance(message, wire.GetChunk):
            return [wire.Chunk(snapshot_id, message.index, files.chunk(self.true, message.index) or b"")]
        return None


class RaisedManifest(FalseManifest):
    """Its ranges do not even multiply up."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        ranges = list(source.manifest.ranges)
        ranges[0] = ranges[0]._replace(muhash=ranges[1].muhash)
        self.manifest = replace(source.manifest, ranges=tuple(ranges))


class StateOf(FalseManifest):
    """A manifest of its own for each: with another state."""

    def __init__(self, source: Source, number: int) -> None:
        super().__init__(source)
        self.manifest = replace(source.manifest, state_hash=bytes([number + 1]) * 32)


def no_manifest(server: Server, message: wire.Message) -> Said:
    return () if isinstance(message, wire.GetManifest) else None


def changed_block(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetBlocks):
        return None
    (answer,) = server.source.answer(message)
    assert isinstance(answer, wire.Blocks)
    pairs = []
    for pair in answer.blocks:
        block = Block.decode(pair.block)
        pairs.append(wire.BlockWithCommit(replace(block, evidence=(b"?",)).encode(), pair.commit))
    return [wire.Blocks(tuple(pairs))]


def junk_block(server: Server, message: wire.Message) -> Said:
    return [wire.Blocks((wire.BlockWithCommit(b"junk", b""),))] if isinstance(message, wire.GetBlocks) else None


def _links(server: Server, message: wire.GetClosingHeaders) -> list[ClosingLink]:
    found = server.source.store.archive.closings(message.from_epoch, message.count, 1 << 20)
    return [ClosingLink.decode(*each) for each in found]


def _said(message: wire.GetClosingHeaders, links: Sequence[ClosingLink]) -> Said:
    return [wire.ClosingHeaders(message.from_epoch, tuple(wire.ClosingParts(*each.encode()) for each in links))]


def forged_link(server: Server, message: wire.Message) -> Said:
    """Another block, whose commit names the true one."""
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    links = _links(server, message)
    return _said(message, [each._replace(header=replace(each.header, round=9)) for each in links])


def unsigned_link(server: Server, message: wire.Message) -> Said:
    """Another block with a commit for it that nobody signed."""
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    links = []
    for each in _links(server, message):
        header: Header = replace(each.header, round=9)
        signatures = tuple((signer, bytes(63) + b"\1") for signer, _ in each.commit.signatures)
        commit = replace(each.commit, block_hash=header.hash, signatures=signatures)
        links.append(each._replace(header=header, commit=commit))
    return _said(message, links)


def junk_link(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    return [wire.ClosingHeaders(message.from_epoch, (wire.ClosingParts(b"junk", b"", b""),))]


def gap_link(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    return _said(message, _links(server, message)[1:])


def rival_chain(epochs: int = EPOCHS) -> StoredChain:
    """Another past, signed by the same masternodes."""
    chain = StoredChain()
    for _ in range(epochs):
        chain.epoch(payments=3)
    return chain


def longer(chain: StoredChain) -> StoredChain:
    """The same chain some epochs later."""
    later = StoredChain()
    for assembled, commit in chain.assembled[1:]:
        later.apply(assembled.block, commit)
    for _ in range(EPOCHS):
        later.epoch()
    return later

"""Joining from a trusted block that is newer than every snapshot: what leads down to one, and who lies about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.joiners import EPOCHS, Disk, Joiner, Server, Source
from tests.storage.joined import StoredChain, grow
from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.ledger.snapshot_manifest import Head
from timecoin.node import snapshot_sync_descent
from timecoin.node.snapshot_sync_ancestry import check_rooted
from timecoin.node.snapshot_sync_anchor import ASK_LACKING_MS, ASK_OTHERS_MS, TELL_MS
from timecoin.node.snapshot_sync_headers import ForgedLinks
from timecoin.node.snapshot_sync_stages import Outcome, Stage
from timecoin.node.snapshot_sync_trust import DESCENT_STALL_MS
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header

Said = Sequence[wire.Message] | None
SINCE = 3
"""Epochs since the snapshot; an interim block is the tip."""


def continued(chain: StoredChain, epochs: int, payments: int = 2) -> StoredChain:
    """The same chain some epochs later, and an interim block of the next."""
    later = StoredChain()
    for assembled, commit in chain.assembled[1:]:
        later.apply(assembled.block, commit)
    for _ in range(epochs):
        later.epoch(payments)
    later.interim([later.payment(builders.account(0), builders.account(1), 10**8)])
    return later


@cache
def chain_at_snapshot() -> StoredChain:
    return grow(EPOCHS)


@cache
def chain_now() -> StoredChain:
    return continued(chain_at_snapshot(), SINCE)


class Later(Source):
    """Its snapshot is of the last block of ``old``, its tip that of ``new``."""

    def __init__(self, case: Any, old: StoredChain | None = None, new: StoredChain | None = None) -> None:
        super().__init__(case, old or chain_at_snapshot())
        self.chain = new or chain_now()
        self.chain.fill(self.store)


class TrustedCase(SynchronousTestCase):
    def setUp(self) -> None:
        for module in (os, sys.modules["ZODB.FileStorage.FileStorage"]):
            self.patch(module, "fsync", lambda descriptor: None)
        self.patch(snapshot_sync_descent, "HEADERS_AT_ONCE", 2)
        self.source = Later(self)

    def anchor(self, height: int = -1) -> Anchor:
        header = self.source.chain.blocks[height].header
        return Anchor(header.height, header.hash)

    def joiner(self, **options: Any) -> Joiner:
        return Joiner(self, self.source, **({"anchor": self.anchor()} | options))

    def honest(self, count: int, start: int = 0) -> list[Server]:
        return [Server(f"honest {n}", self.source) for n in range(start, start + count)]

    def assertJoined(self, joiner: Joiner) -> Outcome:
        outcome = joiner.run()
        self.assertTrue(outcome.imported, outcome.reason)
        store, manifest = joiner.disk.store, self.source.manifest
        self.assertEqual((store.tip.height, store.tip.block_hash), (manifest.height, manifest.block_hash))
        old = chain_at_snapshot()
        self.assertEqual({o: store.coin(o) for o in old.coins}, dict(old.coins))
        return outcome

    def assertJoinedWithout(self, joiner: Joiner, *liars: Server) -> None:
        self.assertJoined(joiner)
        self.assertEqual(sorted(joiner.dropped), sorted(each.name for each in liars))


class HonestTest(TrustedCase):
    def test_any_trusted_block_will_do(self) -> None:
        """Closing or interim; above the snapshot, that block itself, below it."""
        for height in range(self.source.manifest.height - 3, len(self.source.chain.blocks)):
            joiner = self.joiner(anchor=self.anchor(height))
            joiner.add(*self.honest(2))
            self.assertJoined(joiner)
            self.assertEqual(joiner.dropped, {})
            self.assertFalse(any("no trusted block" in each for each in joiner.notes))

    def test_headers_come_from_several(self) -> None:
        joiner, servers = self.joiner(), self.honest(3)
        joiner.add(*servers)
        self.assertJoined(joiner)
        self.assertTrue(all(each.count(wire.GetHeaders) > 1 for each in servers))

    def test_no_header_is_asked_for_twice(self) -> None:
        joiner, (server,) = self.joiner(), self.honest(1)
        joiner.add(server)
        self.assertJoined(joiner)
        asked = [
            height
            for each in server.asked
            if isinstance(each, wire.GetHeaders)
            for height in range(each.through, each.through - each.count, -1)
        ]
        self.assertEqual(sorted(asked), list(range(self.source.manifest.height, self.anchor().height + 1)))

    def test_no_block_but_those_of_the_trusted_chain_can_come_after_it(self) -> None:
        joiner = self.joiner()
        joiner.add(*self.honest(1))
        path = self.assertJoined(joiner).path
        assert path is not None
        blocks = self.source.chain.blocks
        self.assertEqual((path.lowest, path.highest), (self.source.manifest.height, len(blocks) - 1))
        for block in blocks:
            self.assertFalse(path.contradicts(block.header))
        self.assertTrue(path.contradicts(replace(blocks[-2].header, round=9)))

    def test_progress_is_told(self) -> None:
        joiner = self.joiner()
        server = Server("slow", self.source, delay_ms=1_500)
        joiner.add(server)
        texts = set()
        for _ in range(60):
            joiner.wait(0.5)
            texts.add(str(joiner.machine))
        self.assertTrue(
            any(each.startswith("following headers down to a snapshot: headers: ") for each in texts), texts
        )
        self.assertJoined(joiner)

    def test_the_snapshot_that_is_not_below_is_taken_first(self) -> None:
        """Of one above the trusted block no headers are needed but closing ones."""
        joiner, (server,) = self.joiner(anchor=self.anchor(self.source.manifest.height - 2)), self.honest(1)
        joiner.add(server)
        self.assertJoined(joiner)
        self.assertEqual(server.count(wire.GetHeaders), 1)

    def test_a_peer_that_joined_later_lacks_old_headers(self) -> None:
        joiner = self.joiner()
        newcomer = Server("a newcomer", self.source, lambda server, asked: only_above(asked, self.anchor().height - 3))
        joiner.add(newcomer, *self.honest(1))
        self.assertJoinedWithout(joiner)

    def test_a_trusted_block_that_peers_get_only_now(self) -> None:
        joiner = self.joiner()
        server = Server("behind", self.source, no_headers)
        joiner.add(server)
        joiner.wait(10)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        server.lie = None
        joiner.wait(ASK_LACKING_MS / 1000)
        self.assertJoinedWithout(joiner)


class CrashTest(TrustedCase):
    def test_after_a_crash_it_goes_on(self) -> None:
        whole = self.joiner()
        whole.add(*self.honest(1))
        self.assertJoined(whole)
        for works in range(0, whole.works, 3):
            disk = Disk(self, self.source.chain)
            first = self.joiner(disk=disk)
            first.stop_after = works
            first.add(*self.honest(1))
            first.wait(20)
            disk.close()
            begun = disk.store.unfinished_import()
            second, (server,) = self.joiner(disk=disk, resume=True), self.honest(1)
            if begun is not None:
                self.assertEqual(begun.vouched, self.anchor())
            second.add(server)
            self.assertJoined(second)
            if begun is not None:
                self.assertEqual(server.count(wire.GetHeaders), 0, "what was begun is proven already")


class LiarTest(TrustedCase):
    def test_false_headers(self) -> None:
        for lie in (changed_header, other_height, shuffled, repeated_parent):
            joiner, liar = self.joiner(), Server("a liar", self.source, lie)
            joiner.add(liar, *self.honest(2))
            self.assertJoinedWithout(joiner, liar)

    def test_headers_of_another_fork_below_the_true_trusted_one(self) -> None:
        """Who has the trusted block cannot have another past."""
        fork = Later(self, fork_chain(), continued(fork_chain(), SINCE))
        top = self.anchor().height

        def lie(server: Server, message: wire.Message) -> Said:
            if isinstance(message, wire.GetHeaders) and message.through < top:
                return fork.answer(message)
            return None

        joiner, liar = self.joiner(), Server("a liar", self.source, lie)
        joiner.add(liar, *self.honest(2))
        self.assertJoinedWithout(joiner, liar)

    def test_an_eclipse_by_old_keys(self) -> None:
        """A longer chain with valid commits, a snapshot and all: nothing of it is believed, whoever is asked first."""
        fork = Later(self, fork_chain(), continued(fork_chain(), SINCE + 2))
        joiner = self.joiner()
        liars = [Server(f"a liar {n}", fork) for n in range(5)]
        joiner.add(*liars)
        joiner.wait(20)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)

    def test_a_forged_closing_block_that_true_ones_follow(self) -> None:
        """Old keys sign another closing block of the snapshot's epoch, that names the true next set: the true closing
        headers follow from it by their commits, up to the trusted block. Only the headers between tell.
        """
        true, forged = chain_at_snapshot(), fork_chain()
        self.assertEqual(true.blocks[-1].header.next_set_hash, forged.blocks[-1].header.next_set_hash)
        fork = Source(self, forged)

        def lie(server: Server, message: wire.Message) -> Said:
            if isinstance(message, wire.GetClosingHeaders) and message.from_epoch > EPOCHS:
                return None
            return None if isinstance(message, wire.GetHeaders) else fork.answer(message)

        for extra in (0, 1):
            joiner = self.joiner()
            liars = [Server(f"a liar {n}", self.source, lie) for n in range(3)]
            joiner.add(*liars, *self.honest(extra))
            joiner.wait(30)
            self.assertEqual(joiner.disk.store.tip.height, self.source.manifest.height if extra else 0)
            self.assertTrue(any("not below the trusted one" in each for each in joiner.notes) or extra)

    def test_a_snapshot_that_is_far_too_old(self) -> None:
        """It costs headers of three snapshots' time, not of the whole past."""
        self.patch(snapshot_sync_descent, "RANGES_AHEAD", 1)
        self.source = Later(self, grow(1), continued(chain_at_snapshot(), 4 * EPOCHS))
        joiner, (server,) = self.joiner(), self.honest(1)
        joiner.add(server)
        outcome = joiner.run()
        self.assertFalse(outcome.imported)
        self.assertTrue(any("so old" in each for each in joiner.notes))
        asked = min(each.through for each in server.asked if isinstance(each, wire.GetHeaders))
        self.assertGreater(asked, self.source.manifest.height + 2)

    def test_offers_of_false_snapshots_without_end(self) -> None:
        """Who has the trusted block is dropped for one; others are heard no more. So it gets to blocks in time."""
        for height, dropped in ((self.anchor().height, 1), (-1, 0)):
            offers = EndlessOffers(self.source.manifest.head, height)
            joiner, liar = self.joiner(), Server("a liar", self.source, offers)
            joiner.add(liar, Server("honest", self.source, no_snapshots))
            outcome = joiner.run()
            self.assertEqual(outcome.reason, "no peer holds a snapshot of the chain")
            self.assertEqual(len(joiner.dropped), dropped)

    def test_more_headers_than_asked_for(self) -> None:
        def lie(server: Server, message: wire.Message) -> Said:
            if not isinstance(message, wire.GetHeaders):
                return None
            many = server.source.answer(wire.GetHeaders(message.through, wire.MAX_HEADERS))
            return [*many, *many, *many]

        joiner = self.joiner()
        joiner.add(Server("generous", self.source, lie))
        self.assertJoinedWithout(joiner)

    def test_headers_that_nobody_asked_for(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("pushy", self.source, pushy), *self.honest(1))
        self.assertJoinedWithout(joiner)

    def test_one_header_at_a_time(self) -> None:
        joiner = self.joiner()
        joiner.add(Server("a miser", self.source, miserly), *self.honest(1))
        self.assertJoinedWithout(joiner)

    def test_stalling_below_the_trusted_block(self) -> None:
        top = self.anchor().height
        joiner = self.joiner()
        stallers = [Server(f"a staller {n}", self.source, lambda _, asked: stall(asked, top)) for n in range(3)]
        joiner.add(*stallers, *self.honest(1))
        self.assertJoinedWithout(joiner)

    def test_all_stall_right_below_it(self) -> None:
        top = self.anchor().height
        joiner = self.joiner()
        joiner.add(*[Server(f"{n}", self.source, lambda _, asked: stall(asked, top)) for n in range(3)])
        outcome = joiner.run(DESCENT_STALL_MS // 1000 + 30)
        self.assertFalse(outcome.imported)
        self.assertIn("do not come", outcome.reason)

    def test_all_stall_further_down(self) -> None:
        """Then blocks are fetched, of the trusted chain and no other."""
        top = self.anchor().height - 2
        joiner = self.joiner()
        joiner.add(*[Server(f"{n}", self.source, lambda _, asked: stall(asked, top)) for n in range(3)])
        outcome = joiner.run(300)
        self.assertFalse(outcome.imported)
        self.assertIn("headers", outcome.reason)
        newest = [each.header for each in self.source.chain.blocks if each.header.closing][-1]
        self.assertEqual(outcome.checkpoint, Anchor(newest.height, newest.hash))
        assert outcome.path is not None
        self.assertEqual(outcome.path.hash_at(self.anchor().height), self.anchor().block_hash)

    def test_a_closing_header_with_another_commit(self) -> None:
        """Hash and set are vouched for by the trusted block, the commit is not: it is checked before it is kept."""
        joiner, liar = self.joiner(anchor=self.anchor(-2)), Server("a liar", self.source, unsigned_commit)
        joiner.add(liar)
        joiner.wait(3)
        joiner.add(*self.honest(1))
        self.assertJoinedWithout(joiner, liar)

    def test_a_commit_of_nobody(self) -> None:
        link = links(self.source, wire.GetClosingHeaders(EPOCHS, 1))[0]
        self.assertEqual(check_rooted(link.header, link.encode(), builders.BACKEND).link, link)
        self.assertRaises(ForgedLinks, check_rooted, link.header, unsigned(link).encode(), builders.BACKEND)


class UnknownTest(TrustedCase):
    """A trusted block that is not on the chain of any peer."""

    def test_the_operator_is_told_and_it_looks_on(self) -> None:
        joiner, servers = self.joiner(anchor=Anchor(self.anchor().height, bytes(32))), self.honest(3)
        joiner.add(*servers)
        joiner.wait(3 * TELL_MS / 1000 + 5)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        told = [each for each in joiner.notes if "none of 3 peers has the trusted block" in each]
        self.assertEqual(len(told), 3)
        self.assertIn("3 have " + self.anchor().block_hash[::-1].hex(), told[0])
        self.assertIn("[sync] trusted", str(joiner.machine))
        self.assertEqual(joiner.dropped, {})
        for each in servers:
            self.assertLessEqual(each.count(wire.GetHeaders), 2 + 3 * TELL_MS // ASK_OTHERS_MS)

    def test_a_height_that_nobody_has(self) -> None:
        joiner, servers = self.joiner(anchor=Anchor(4_000_000_000, bytes(32))), self.honest(2)
        joiner.add(*servers)
        joiner.wait(65)
        self.assertIs(joiner.stage, Stage.ANCHOR)
        self.assertTrue(any("none of 2 peers has the trusted block 4000000000:" in each for each in joiner.notes))
        self.assertLessEqual(servers[0].count(wire.GetHeaders), 66_000 // ASK_LACKING_MS + 1)

    def test_somebody_who_has_it_comes_later(self) -> None:
        fork = Later(self, fork_chain(), continued(fork_chain(), SINCE))
        joiner = self.joiner()
        joiner.add(*[Server(f"of another chain {n}", fork) for n in range(3)])
        joiner.wait(30)
        joiner.add(*self.honest(1))
        self.assertJoined(joiner)
        self.assertTrue(all("another chain" in each for each in joiner.dropped), joiner.dropped)

    def test_a_header_of_another_height_is_no_answer(self) -> None:
        joiner, liar = self.joiner(), Server("a liar", self.source, below_asked)
        joiner.add(liar, *self.honest(1))
        self.assertJoinedWithout(joiner, liar)


@cache
def fork_chain() -> StoredChain:
    """Another past with the same sets, signed by the same keys."""
    chain = StoredChain()
    for _ in range(EPOCHS):
        chain.epoch(payments=3)
    return chain


# Lies


class EndlessOffers:
    """Each time another block of the snapshot's height; ``shown``: it has headers from there on only."""

    def __init__(self, head: Head, shown: int) -> None:
        self._head, self._shown, self._count = head, shown, 0

    def __call__(self, server: Server, message: wire.Message) -> Said:
        if isinstance(message, wire.GetSnapshots):
            self._count += 1
            head = self._head._replace(block_hash=bytes([self._count]) * 32)
            return [wire.Snapshots((wire.SnapshotHead(bytes([self._count]) * 32, head.encode()),))]
        if isinstance(message, wire.GetHeaders) and message.through != self._shown:
            return [wire.Headers(message.through, ())]
        return None


def no_snapshots(server: Server, message: wire.Message) -> Said:
    return [wire.Snapshots(())] if isinstance(message, wire.GetSnapshots) else None


def headers_of(server: Server, message: wire.GetHeaders) -> list[bytes]:
    (answer,) = server.source.answer(message)
    assert isinstance(answer, wire.Headers)
    return list(answer.headers)


def below_top(server: Server, message: wire.Message) -> list[bytes] | None:
    """The honest headers, if they are below the tip."""
    if not isinstance(message, wire.GetHeaders) or message.through == server.source.store.tip.height:
        return None
    return headers_of(server, message)


def said(message: wire.Message, headers: Sequence[bytes]) -> Said:
    assert isinstance(message, wire.GetHeaders)
    return [wire.Headers(message.through, tuple(headers))]


def changed_header(server: Server, message: wire.Message) -> Said:
    headers = below_top(server, message)
    if headers is None:
        return None
    last = Header.decode(headers[-1])
    return said(message, [*headers[:-1], replace(last, round=last.round + 1).encode()])


def other_height(server: Server, message: wire.Message) -> Said:
    headers = below_top(server, message)
    if headers is None or not isinstance(message, wire.GetHeaders):
        return None
    return said(message, headers_of(server, wire.GetHeaders(message.through - 1, message.count)))


def shuffled(server: Server, message: wire.Message) -> Said:
    headers = below_top(server, message)
    return (
        None if headers is None else said(message, headers[::-1]) if len(headers) > 1 else said(message, [bytes(351)])
    )


def repeated_parent(server: Server, message: wire.Message) -> Said:
    """Names the snapshot of another fork as its parent."""
    headers = below_top(server, message)
    if headers is None:
        return None
    first = replace(Header.decode(headers[0]), previous=fork_chain().blocks[-1].header.hash)
    return said(message, [first.encode(), *headers[1:]])


def below_asked(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetHeaders):
        return None
    return said(message, headers_of(server, wire.GetHeaders(message.through - 1, message.count)))


def only_above(message: wire.Message, height: int) -> Said:
    if isinstance(message, wire.GetHeaders) and message.through < height:
        return [wire.Headers(message.through, ())]
    return None


def no_headers(server: Server, message: wire.Message) -> Said:
    return [wire.Headers(message.through, ())] if isinstance(message, wire.GetHeaders) else None


def stall(message: wire.Message, height: int) -> Said:
    return () if isinstance(message, wire.GetHeaders) and message.through < height else None


def miserly(server: Server, message: wire.Message) -> Said:
    return said(message, headers_of(server, message)[:1]) if isinstance(message, wire.GetHeaders) else None


def pushy(server: Server, message: wire.Message) -> Said:
    junk = [wire.Headers(height, (bytes(351),) * 8) for height in range(1_000, 1_100)]
    return [*junk, *server.source.answer(message)]


def links(source: Source, message: wire.GetClosingHeaders) -> list[ClosingLink]:
    (answer,) = source.answer(message)
    assert isinstance(answer, wire.ClosingHeaders)
    return [ClosingLink.decode(*each) for each in answer.links]


def unsigned(link: ClosingLink) -> ClosingLink:
    signatures = tuple((signer, bytes(63) + b"\1") for signer, _ in link.commit.signatures)
    return link._replace(commit=replace(link.commit, signatures=signatures))


def unsigned_commit(server: Server, message: wire.Message) -> Said:
    if not isinstance(message, wire.GetClosingHeaders):
        return None
    found = [unsigned(each) for each in links(server.source, message)]
    return [wire.ClosingHeaders(message.from_epoch, tuple(wire.ClosingParts(*each.encode()) for each in found))]

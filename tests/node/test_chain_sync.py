"""Block sync: ranges of several peers, slow ones, liars, bounds; with a participant that only takes blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import NotedPeer
from timecoin.consensus import effects as fx
from timecoin.node import chain_sync as module
from timecoin.node.chain_sync import AHEAD, RANGE, REQUEST_TIMEOUT_MS, ChainSync
from timecoin.node.gossip import SEND_QUEUE_LIMIT
from timecoin.node.peer_view import PeerView
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block, Commit
from timecoin.storage.errors import UnknownBlock

BLOCKS = 40


@cache
def chain_of_blocks() -> list[tuple[bytes, bytes]]:
    """Block 1 and its commit, and so on."""
    chain = builders.Chain()
    for _ in range(BLOCKS):
        chain.close()
    pairs = zip(chain.blocks[1:], chain.commits[1:], strict=True)
    return [(block.encode(), commit.encode()) for block, commit in pairs]


class Tip:
    def __init__(self) -> None:
        self.height = 0


class Taker:
    """What block sync needs of a participant: it adopts when :meth:`Host.apply` says so."""

    def __init__(self) -> None:
        self.ledger = Tip()
        self.syncing = False
        self.adopting: Block | None = None

    def adopt(self, block: Block, commit: Commit, now: int) -> bool:
        if self.syncing or block.header.height != self.ledger.height + 1:
            return False
        assert commit.block_hash == block.header.hash
        self.adopting, self.syncing = block, True
        return True


class Host:
    def __init__(self) -> None:
        self.participant = Taker()
        self.now = 1_000_000
        self.held: list[Callable[[], None]] | None = None

    def now_ms(self) -> int:
        return self.now

    def feed(self, work: Callable[[], None]) -> None:
        work() if self.held is None else self.held.append(work)


class Storage:
    """A chain to serve from."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.pairs = pairs
        self.asked: list[tuple[int, int, int]] = []
        self.failing = False

    @property
    def ledger_height(self) -> int:
        return len(self.pairs)

    def blocks_with_commits(self, start: int, count: int, size: int) -> Deferred[list[tuple[bytes, bytes]]]:
        self.asked.append((start, count, size))
        if self.failing:
            return fail(UnknownBlock("?"))
        return succeed(list(self.pairs[start - 1 : start - 1 + count]))


class SyncTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.pairs = chain_of_blocks()
        self.host, self.storage = Host(), Storage(self.pairs)
        self.sync = ChainSync(cast(Any, self.host), cast(Any, self.storage))
        self.count = 0

    def connect(self, height: int = BLOCKS + 1) -> tuple[NotedPeer, PeerView]:
        """A peer that works on a height."""
        self.count += 1
        peer = NotedPeer(self.count)
        view = PeerView(peer)
        self.status(view, height)
        return peer, view

    def status(self, view: PeerView, height: int = BLOCKS + 1) -> None:
        view.height = height
        self.sync.on_status(view)

    def asked(self, peer: NotedPeer) -> list[tuple[int, int]]:
        return [(each.from_height, each.count) for each in peer.take(wire.GetBlocks)]

    def answer(self, view: PeerView, start: int, count: int) -> None:
        self.send(view, self.pairs[start - 1 : start - 1 + count])

    def send(self, view: PeerView, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.sync.on_blocks(view, wire.Blocks(tuple(wire.BlockWithCommit(*pair) for pair in pairs)))

    def apply(self, count: int = 1) -> None:
        """What is being adopted becomes the tip."""
        taker = self.host.participant
        for _ in range(count):
            assert taker.adopting is not None
            taker.ledger.height = taker.adopting.header.height
            taker.adopting, taker.syncing = None, False
            self.sync.work()

    def refuse(self) -> None:
        taker = self.host.participant
        assert taker.adopting is not None
        height = taker.adopting.header.height
        taker.adopting, taker.syncing = None, False
        self.sync.bad_block(fx.BadBlock(height, "it is false"))

    @property
    def adopting(self) -> int | None:
        block = self.host.participant.adopting
        return None if block is None else block.header.height

    # Asking

    def test_a_peer_on_the_same_height_is_asked_nothing(self) -> None:
        for height in (0, 1):
            peer, _ = self.connect(height)
            self.assertEqual(self.asked(peer), [])
        self.assertEqual((self.sync.best_height, self.sync.syncing), (0, False))

    def test_what_is_being_stored_is_not_asked_for(self) -> None:
        self.host.participant.syncing = True
        peer, view = self.connect(2)
        self.assertEqual(self.asked(peer), [])
        self.host.participant.syncing = False
        self.status(view, 2)
        self.assertEqual(self.asked(peer), [(1, 1)])

    def test_ranges_of_several_peers(self) -> None:
        peers = [self.connect()[0] for _ in range(6)]
        expected = [[(1 + RANGE * n, RANGE)] for n in range(AHEAD // RANGE)] + [[], []]
        self.assertEqual([self.asked(peer) for peer in peers], expected)
        self.assertEqual((self.sync.best_height, self.sync.syncing), (BLOCKS, True))

    def test_those_with_little_to_send_first(self) -> None:
        busy, view = self.connect()
        self.sync.peer_lost(view)
        self.asked(busy)
        busy.queued_bytes = 1_000_000
        self.host.participant.syncing = True
        view.height = 0
        self.sync.on_status(view)
        free, other = self.connect(0)
        self.host.participant.syncing = False
        view.height = other.height = 3
        self.sync.work()
        self.assertEqual((self.asked(free), self.asked(busy)), ([(1, 2)], []))

    def test_the_whole_chain(self) -> None:
        peers = [self.connect() for _ in range(3)]
        for _ in range(BLOCKS):
            for peer, view in peers:
                for start, count in self.asked(peer):
                    self.answer(view, start, count)
            self.apply()
        self.assertEqual(self.host.participant.ledger.height, BLOCKS)
        self.assertFalse(self.sync.syncing)
        self.assertEqual([self.asked(peer) for peer, _ in peers], [[], [], []])
        self.assertEqual((self.sync._fetched, self.sync._bytes), ({}, 0))

    def test_blocks_wait_for_their_turn(self) -> None:
        (_one, first), (_two, second) = self.connect(), self.connect()
        self.answer(second, 1 + RANGE, RANGE)
        self.assertIsNone(self.adopting)
        self.answer(first, 1, RANGE)
        self.assertEqual(self.adopting, 1)
        self.apply(2 * RANGE - 1)
        self.assertEqual(self.adopting, 2 * RANGE)

    def test_less_than_asked_for(self) -> None:
        peer, view = self.connect()
        self.asked(peer)
        self.answer(view, 1, 2)
        self.assertEqual(self.asked(peer), [(3, RANGE)])
        self.send(view, [])
        self.assertEqual((self.asked(peer), peer.accused), ([(3, RANGE)], []))

    def test_more_than_asked_for_is_left_out(self) -> None:
        _peer, view = self.connect()
        self.answer(view, 1, RANGE + 4)
        self.assertEqual(sorted(self.sync._fetched), list(range(1, RANGE + 1)))

    def test_unasked_blocks_are_ignored(self) -> None:
        peer, view = self.connect(1)
        self.answer(view, 1, 3)
        self.assertEqual((self.sync._fetched, peer.accused, self.adopting), ({}, [], None))

    def test_blocks_decided_here_meanwhile(self) -> None:
        _, view = self.connect()
        self.host.held = []
        self.answer(view, 1, RANGE)
        self.host.participant.ledger.height = 3
        held, self.host.held = self.host.held, None
        for work in held:
            work()
        self.sync.work()
        self.assertEqual((self.adopting, min(self.sync._fetched)), (4, 4))

    def test_the_buffer_is_bounded(self) -> None:
        self.patch(module, "MAX_BUFFER_BYTES", sum(len(b) + len(c) for b, c in self.pairs[1:4]))
        (one, first), (two, second) = self.connect(), self.connect()
        self.asked(two)
        self.answer(second, 1 + RANGE, RANGE)
        self.assertEqual(self.asked(two), [])
        self.answer(first, 1, RANGE)
        self.asked(one)
        self.apply(2 * RANGE - 4)
        self.assertEqual((self.asked(one), self.asked(two)), ([], []))
        self.apply(2)
        self.assertEqual(len(self.asked(one)), 1)

    # Peers that fail

    def test_a_lost_peer_leaves_its_range_to_others(self) -> None:
        (_one, first), (two, second) = self.connect(), self.connect()
        self.asked(two)
        self.answer(second, 1 + RANGE, RANGE)
        self.asked(two)
        self.sync.peer_lost(first)
        self.answer(second, 1 + 2 * RANGE, RANGE)
        self.assertEqual(self.asked(two)[-1], (1, RANGE))
        self.answer(first, 1, RANGE)
        self.assertIsNone(self.adopting)

    def test_a_slow_peer_leaves_its_range_to_others(self) -> None:
        (one, _first), (two, second) = self.connect(), self.connect()
        self.asked(one)
        self.host.now += REQUEST_TIMEOUT_MS
        self.answer(second, 1 + RANGE, RANGE)
        self.asked(two)
        self.host.now += 1
        self.answer(second, 1 + 2 * RANGE, RANGE)
        self.assertEqual((self.asked(one), self.asked(two)), ([], [(1, RANGE)]))
        self.assertEqual(one.accused, [])

    def test_a_slow_answer_is_taken(self) -> None:
        """On a line on which an answer takes longer than the time-out, syncing goes on all the same."""
        peer, view = self.connect()
        for start in (1, 1 + RANGE, 1 + 2 * RANGE):
            self.assertEqual(self.asked(peer), [(start, RANGE)])
            self.host.now += REQUEST_TIMEOUT_MS + 1
            self.status(view)
            self.assertEqual(self.asked(peer), [])
            self.status(view)
            self.asked(peer)
            self.answer(view, start, RANGE)
            self.assertEqual(self.adopting, start)
            self.apply(RANGE)
            # The answer to the second question is of no use, but no offence.
            self.answer(view, start, RANGE)
        self.assertEqual(peer.accused, [])

    def test_an_answer_that_never_comes(self) -> None:
        peer, view = self.connect()
        self.asked(peer)
        for _ in range(3):
            self.host.now += REQUEST_TIMEOUT_MS + 1
            self.status(view)
            self.status(view)
            self.assertEqual(self.asked(peer), [(1, RANGE)])
        self.answer(view, 1, 1)
        self.assertEqual(self.adopting, 1)

    def test_a_liar_is_dropped_and_others_are_asked(self) -> None:
        (one, liar), (two, honest) = self.connect(), self.connect()
        self.asked(two)
        self.answer(honest, 1 + RANGE, RANGE)
        self.answer(liar, 1, RANGE)
        for peer in (one, two):
            self.asked(peer)
        self.answer(liar, 1 + 3 * RANGE, RANGE)
        self.apply(2)
        self.refuse()
        self.assertEqual((len(one.accused), two.accused, self.adopting), (1, [], None))
        self.sync.peer_lost(liar)
        self.assertEqual(sorted(self.sync._fetched), list(range(1 + RANGE, 1 + 2 * RANGE)))
        self.answer(honest, 1 + 2 * RANGE, RANGE)
        self.assertIn((3, RANGE), self.asked(two))
        self.assertNotIn((3, RANGE), self.asked(one))
        self.answer(honest, 3, RANGE)
        self.assertEqual(self.adopting, 3)

    def test_a_block_that_does_not_read(self) -> None:
        peer, view = self.connect()
        block, commit = self.pairs[0]
        self.send(view, [(block[:-1], commit)])
        self.assertEqual((len(peer.accused), self.adopting, self.sync._bytes), (1, None, 0))

    def test_malformed_answers(self) -> None:
        block, commit = self.pairs[0]
        for pair in ((block[:100], commit), (block, commit[:-1]), (b"", b"")):
            peer, view = self.connect()
            self.send(view, [pair])
            self.assertEqual(len(peer.accused), 1)
            self.sync.peer_lost(view)
        self.assertEqual(self.sync._fetched, {})

    def test_other_heights_than_asked_for(self) -> None:
        for pairs in (self.pairs[1:3], [self.pairs[0], self.pairs[2]]):
            peer, view = self.connect()
            self.send(view, pairs)
            self.assertEqual((len(peer.accused), self.sync._fetched), (1, {}))
            self.sync.peer_lost(view)

    def test_bad_news_of_a_block_that_nobody_waits_for(self) -> None:
        peer, view = self.connect()
        self.sync.bad_block(fx.BadBlock(1, "?"))
        self.answer(view, 1, 2)
        self.sync.bad_block(fx.BadBlock(9, "?"))
        self.assertEqual((peer.accused, self.adopting), ([], 1))

    # Answering

    def test_serving(self) -> None:
        peer, view = NotedPeer(1), PeerView(NotedPeer(0))
        view.peer = peer
        self.sync.on_get_blocks(view, wire.GetBlocks(3, 1_000))
        (blocks,) = peer.take(wire.Blocks)
        self.assertEqual([tuple(pair) for pair in blocks.blocks], self.pairs[2 : 2 + RANGE])
        for start in (0, BLOCKS + 1, 10**9):
            self.sync.on_get_blocks(view, wire.GetBlocks(start, 1))
        peer.queued_bytes = SEND_QUEUE_LIMIT + 1
        self.sync.on_get_blocks(view, wire.GetBlocks(1, 1))
        self.assertEqual((peer.sent, len(self.storage.asked)), ([], 1))

    def test_blocks_that_cannot_be_read(self) -> None:
        self.storage.failing = True
        view = PeerView(NotedPeer(1))
        self.sync.on_get_blocks(view, wire.GetBlocks(3, 1))
        self.assertEqual(len(self.flushLoggedErrors(UnknownBlock)), 1)

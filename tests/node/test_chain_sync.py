"""Block sync: ranges of several peers, slow ones, liars, bounds, rivals; with a participant that only takes blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import NotedPeer
from timecoin.consensus import effects as fx
from timecoin.ledger.closing_chain import Anchor
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.node import chain_sync as module
from timecoin.node.chain_sync import AHEAD, ANSWERS_UNDER_WAY, ChainSync
from timecoin.node.header_path import HeaderPath
from timecoin.node.peer_view import SEND_QUEUE_LIMIT, PeerView
from timecoin.node.sync_sources import FIRST_RANGE, FIRST_REST_MS, RANGE, REQUEST_TIMEOUT_MS
from timecoin.p2p import messages as wire
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import Block, Commit, Header
from timecoin.primitives.transaction import Transaction
from timecoin.storage.errors import Damaged, UnknownBlock

BLOCKS = 80
Pair = tuple[bytes, bytes]


class Built:
    """A chain of empty closing blocks, the last one interim: what is served, and the state after each block."""

    def __init__(self) -> None:
        self.chain = builders.Chain()
        self.states: list[LedgerState] = [self.chain.state]
        self.pairs: list[Pair] = []
        for number in range(BLOCKS):
            block = self.chain.close() if number < BLOCKS - 1 else self.chain.interim([self._payment()])
            self.pairs.append((block.encode(), self.chain.commits[-1].encode()))
            self.states.append(self.chain.state)

    def _payment(self) -> Transaction:
        return self.chain.payment(builders.account(0), builders.account(1), COIN)

    def rival(self, height: int, signers: Sequence[int] | None = None, **fields: object) -> Pair:
        """Another block of a height, with a commit by its set."""
        block = Block.decode(self.pairs[height - 1][0])
        other = replace(block, header=replace(block.header, **{"round": 3, **fields}))  # type: ignore[arg-type]
        members = self.states[height - 1].current
        return other.encode(), builders.commit_by(other.header, members, signers=signers).encode()


@cache
def built() -> Built:
    """Made once."""
    return Built()


class Taker:
    """What block sync needs of a participant: it adopts when :meth:`SyncTest.apply` says so."""

    params = Parameters()

    def __init__(self) -> None:
        self.ledger = built().states[0]
        self.syncing = False
        self.adopting: Block | None = None
        self.halts: list[tuple[str, tuple[bytes, ...]]] = []

    def adopt(self, block: Block, commit: Commit, now: int, *, checked: bool = False) -> bool:
        assert checked
        if self.syncing or block.header.height != self.ledger.height + 1:
            return False
        assert commit.block_hash == block.header.hash
        self.adopting, self.syncing = block, True
        return True

    def decided_twice(self, reason: str, proofs: tuple[bytes, ...], now: int) -> None:
        self.halts.append((reason, proofs))


class Host:
    def __init__(self) -> None:
        self.participant = Taker()
        self.now = 1_000 * built().states[-1].last_closing_slot
        self.held: list[Callable[[], None]] | None = None

    def now_ms(self) -> int:
        return self.now

    def feed(self, work: Callable[[], None]) -> None:
        work() if self.held is None else self.held.append(work)


class Storage:
    """A chain to serve from; threads work at once, or when released."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self.asked: list[tuple[int, int, int]] = []
        self.error: Exception | None = None
        self.held: list[tuple[Deferred[Any], Callable[[], Any]]] | None = None

    @property
    def ledger_height(self) -> int:
        return len(self.pairs)

    def blocks_with_commits(self, start: int, count: int, size: int) -> Deferred[list[Pair]]:
        self.asked.append((start, count, size))
        if self.error is not None:
            return fail(self.error)
        return self.in_reading_thread(lambda: list(self.pairs[start - 1 : start - 1 + count]))

    def headers_with_commits(self, start: int, count: int) -> Deferred[list[Pair]]:
        return succeed([(block[:351], commit) for block, commit in self.pairs[start - 1 : start - 1 + count]])

    def in_reading_thread(self, work: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        if self.held is None:
            return maybeDeferred(work, *arguments)
        waiting: Deferred[Any] = Deferred()
        self.held.append((waiting, lambda: work(*arguments)))
        return waiting

    def release(self) -> None:
        held, self.held = self.held or [], None
        for waiting, work in held:
            waiting.callback(work())


class SyncCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.pairs = built().pairs
        self.host, self.storage = Host(), Storage(self.pairs)
        self.sync = ChainSync(cast(Any, self.host), cast(Any, self.storage), builders.BACKEND)
        self.count = 0

    def connect(self, height: int = BLOCKS + 1) -> tuple[NotedPeer, PeerView]:
        """A peer that works on a height."""
        self.count += 1
        peer = NotedPeer(self.count)
        view = PeerView(peer)
        self.status(view, height)
        return peer, view

    def status(self, view: PeerView, height: int = BLOCKS + 1, tip: bytes | None = None) -> None:
        if tip is None:
            tip = built().states[min(height - 1, BLOCKS)].block_hash if height > 0 else bytes(32)
        view.height = height
        view.status = wire.Status(epoch=1, height=height, round=0, step=0, tip_hash=tip)
        self.sync.on_status(view)

    def asked(self, peer: NotedPeer) -> list[tuple[int, int]]:
        return [(each.from_height, each.count) for each in peer.take(wire.GetBlocks)]

    def answer(self, view: PeerView, start: int, count: int) -> None:
        self.send(view, self.pairs[start - 1 : start - 1 + count])

    def send(self, view: PeerView, pairs: Sequence[Pair]) -> None:
        self.sync.on_blocks(view, wire.Blocks(tuple(wire.BlockWithCommit(*pair) for pair in pairs)))

    def wait(self, milliseconds: int) -> None:
        """Time passes, and the clock is looked at."""
        for _ in range(milliseconds // 50):
            self.host.now += 50
            self.sync.tick()
        self.host.now += milliseconds % 50
        self.sync.tick()

    def apply(self, count: int = 1) -> None:
        """What is being adopted becomes the tip."""
        taker = self.host.participant
        for _ in range(count):
            assert taker.adopting is not None
            self.decide(taker.adopting.header.height)

    def decide(self, height: int) -> None:
        """The tip is at a height."""
        taker = self.host.participant
        taker.ledger = built().states[height]
        taker.adopting, taker.syncing = None, False
        self.sync.work()

    def refuse(self, *, decided: bool) -> None:
        taker = self.host.participant
        assert taker.adopting is not None
        height = taker.adopting.header.height
        taker.adopting, taker.syncing = None, False
        self.sync.bad_block(fx.BadBlock(height, "it is false", decided))

    @property
    def adopting(self) -> int | None:
        block = self.host.participant.adopting
        return None if block is None else block.header.height

    @property
    def waiting(self) -> list[int]:
        return list(self.sync._queue)


class AskingTest(SyncCase):
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
        peers = [self.connect()[0] for _ in range(3)]
        first, second = ([(1 + FIRST_RANGE * n, FIRST_RANGE) for n in numbers] for numbers in ((0, 1), (2, 3)))
        self.assertEqual([self.asked(peer) for peer in peers[:2]], [first, second])
        self.assertEqual((self.sync.best_height, self.sync.syncing), (BLOCKS, True))

    def test_the_window_is_bounded(self) -> None:
        self.assertLess(AHEAD, 2**16)
        self.patch(module, "AHEAD", 20)
        peers = [self.connect()[0] for _ in range(3)]
        self.assertEqual([self.asked(peer) for peer in peers], [[(1, 8), (9, 8)], [(17, 4)], []])

    def test_those_with_little_to_send_first(self) -> None:
        self.host.participant.syncing = True
        (busy, view), (free, other) = self.connect(2), self.connect(2)
        busy.queued_bytes = 1_000_000
        self.host.participant.syncing = False
        view.height = other.height = 3
        self.sync.work()
        self.assertEqual((self.asked(free), self.asked(busy)), ([(1, 2)], []))

    def test_quick_peers_are_asked_first_and_for_more(self) -> None:
        (_slow, slow), (quick, fast) = self.connect(), self.connect()
        self.host.now += 100
        self.answer(fast, 17, 8)
        self.assertEqual(self.asked(quick)[-1], (33, BLOCKS - 32))
        self.host.now += 1_900
        self.answer(slow, 1, 8)
        sizes = [source.range_size for source in self.sync._sources.values()]
        self.assertLess(sizes[0], FIRST_RANGE)
        self.assertGreater(sizes[1], sizes[0])

    def test_the_whole_chain(self) -> None:
        peers = [self.connect() for _ in range(3)]
        for _ in range(BLOCKS):
            for peer, view in peers:
                for start, count in self.asked(peer):
                    self.host.now += 10
                    self.answer(view, start, count)
            self.apply()
        self.assertEqual(self.host.participant.ledger.height, BLOCKS)
        self.assertFalse(self.sync.syncing)
        self.assertEqual([self.asked(peer) for peer, _ in peers], [[], [], []])
        self.assertEqual((self.waiting, self.sync._queue.bytes), ([], 0))
        self.assertEqual([peer.accused for peer, _ in peers], [[], [], []])

    def test_blocks_wait_for_their_turn(self) -> None:
        (_one, first), (_two, second) = self.connect(), self.connect()
        self.answer(second, 17, 8)
        self.assertIsNone(self.adopting)
        self.answer(first, 1, 8)
        self.answer(first, 9, 8)
        self.assertEqual(self.adopting, 1)
        self.apply(23)
        self.assertEqual(self.adopting, 24)

    def test_less_than_asked_for(self) -> None:
        peer, view = self.connect()
        self.asked(peer)
        self.host.now += 10
        self.answer(view, 1, 2)
        self.assertEqual(self.asked(peer), [(3, 6)])

    def test_more_than_asked_for_is_left_out(self) -> None:
        _peer, view = self.connect()
        self.answer(view, 1, FIRST_RANGE + 4)
        self.assertEqual(self.waiting, list(range(1, FIRST_RANGE + 1)))

    def test_unasked_blocks_are_ignored(self) -> None:
        peer, view = self.connect(1)
        self.answer(view, 1, 3)
        self.assertEqual((self.waiting, peer.accused, self.adopting), ([], [], None))

    def test_blocks_decided_here_meanwhile(self) -> None:
        _, view = self.connect()
        self.host.held = []
        self.answer(view, 1, 8)
        self.host.participant.ledger = built().states[3]
        held, self.host.held = self.host.held, None
        for work in held:
            work()
        self.sync.work()
        self.assertEqual((self.adopting, min(self.waiting)), (4, 4))

    def test_the_buffer_is_bounded(self) -> None:
        self.patch(module, "MAX_BUFFER_BYTES", 6 * sum(len(each) for each in self.pairs[1]))
        (one, _first), (two, second) = self.connect(), self.connect()
        self.assertEqual((self.asked(one), self.asked(two)), ([(1, 8)], []))
        self.wait(600)
        self.assertEqual(self.asked(two), [(1, 8)])
        self.answer(second, 1, 8)
        self.assertEqual(self.asked(two), [])

    def test_a_full_buffer_makes_room_for_what_is_needed(self) -> None:
        """Else a liar that holds the next block while others fill the buffer would end the sync for good."""
        self.patch(module, "AHEAD", 32)
        self.connect()
        two, second = self.connect()
        self.asked(two)
        self.answer(second, 17, 8)
        self.answer(second, 25, 8)
        self.assertEqual((self.asked(two), self.waiting), ([], list(range(17, 33))))
        self.patch(module, "MAX_BUFFER_BYTES", self.sync._queue.bytes - 1)
        self.wait(600)
        self.assertEqual((self.asked(two), self.waiting), ([(1, 8)], list(range(17, 32))))
        self.answer(second, 1, 8)
        self.assertEqual(self.adopting, 1)

    def test_far_blocks_are_checked_when_their_set_is_known(self) -> None:
        _, view = self.connect()
        self.answer(view, 1, 8)
        self.assertEqual(self.sync._queue.verified, 2)
        self.apply(2)
        self.assertEqual(self.sync._queue.verified, 4)

    def test_progress(self) -> None:
        _, view = self.connect()
        self.connect()
        self.answer(view, 1, 8)
        self.answer(view, 9, 8)
        for _ in range(16):
            self.host.now += 250
            self.apply()
        progress = self.sync.progress
        self.assertEqual((progress.done, progress.total, progress.sources), (16, BLOCKS, 1))
        self.assertAlmostEqual(progress.rate or 0, 4, delta=0.5)
        self.assertAlmostEqual(progress.seconds_left or 0, 16, delta=2)
        self.assertIn("16 of 80 (20.0 %)", str(progress))


class LiarTest(SyncCase):
    """Peers that claim what they do not have, are slow on purpose, or send what nobody decided."""

    def test_one_liars_huge_height_moves_nothing(self) -> None:
        self.decide(BLOCKS)
        self.connect()
        self.connect()
        liar, view = self.connect(4_000_000_000)
        self.assertEqual((self.sync.best_height, self.sync.syncing), (BLOCKS, False))
        self.assertEqual(len(self.asked(liar)), 2)
        self.wait(REQUEST_TIMEOUT_MS + 100)
        self.assertEqual((self.asked(liar), liar.accused), ([], []))
        self.wait(FIRST_REST_MS)
        self.assertEqual(len(self.asked(liar)), 2)
        self.status(view, 4_000_000_000)
        self.wait(REQUEST_TIMEOUT_MS + FIRST_REST_MS)
        self.assertEqual(self.asked(liar), [])

    def test_alone_it_is_believed_until_it_does_not_deliver(self) -> None:
        self.decide(BLOCKS)
        self.connect(1_000_000)
        self.assertTrue(self.sync.syncing)
        self.wait(REQUEST_TIMEOUT_MS + 100)
        self.assertEqual((self.sync.best_height, self.sync.syncing), (BLOCKS, False))

    def test_several_liars_rest_too(self) -> None:
        self.decide(BLOCKS)
        self.connect()
        for _ in range(5):
            self.connect(1_000_000)
        self.assertTrue(self.sync.syncing)
        self.wait(REQUEST_TIMEOUT_MS + 100)
        self.assertFalse(self.sync.syncing)

    def test_an_empty_answer_is_no_delivery_and_no_offence(self) -> None:
        self.decide(BLOCKS)
        liar, view = self.connect(1_000_000)
        self.asked(liar)
        self.send(view, [])
        self.assertEqual((self.asked(liar), liar.accused, self.sync.syncing), ([], [], False))

    def test_peers_without_the_next_block_are_told_of_once_a_minute(self) -> None:
        """They joined by snapshots: if all did, this node never catches up, and its operator has to know."""
        with capturedLogs() as logs:
            for _ in range(3):
                peer, view = self.connect()
                self.assertTrue(self.asked(peer))
                self.send(view, [])
        told = [formatEvent(each) for each in logs if each["log_level"] is LogLevel.warn]
        self.assertEqual(len(told), 1)
        self.assertIn("does not have block 1, though it is at 80", told[0])

    def test_what_a_verified_commit_shows_is_believed(self) -> None:
        self.connect(1)
        _, view = self.connect(3)
        self.assertFalse(self.sync.syncing)
        self.answer(view, 1, 2)
        self.assertEqual((self.sync.best_height, self.sync.syncing), (2, True))

    def test_a_silent_peer_does_not_hold_a_range(self) -> None:
        """Others that have nothing else to do take it over long before the time-out."""
        self.patch(module, "AHEAD", 16)
        (one, _first), (two, second) = self.connect(), self.connect()
        self.assertEqual((self.asked(one), self.asked(two)), ([(1, 8), (9, 8)], []))
        self.wait(600)
        self.assertEqual(self.asked(two), [(1, 8)])
        self.host.now += 10
        self.answer(second, 1, 8)
        self.wait(500)
        self.assertIn((9, 8), self.asked(two))
        self.assertEqual(one.accused, [])

    def test_a_slow_loris_among_others(self) -> None:
        """One that gives a block every 4.9 s; with it the chain comes almost as quickly as without it."""
        took = [self._sync(slow) for slow in (False, True)]
        self.assertLess(took[1], took[0] + 3_000)

    def _sync(self, slow: bool) -> int:
        self.setUp()
        self.patch(module, "AHEAD", 24)
        loris = self.connect() if slow else None
        peer, view = self.connect()
        began, dripped = self.host.now, self.host.now
        late: list[int] = []
        while self.host.participant.ledger.height < BLOCKS:
            self.wait(50)
            if loris is not None:
                late += [start for start, _ in self.asked(loris[0])]
                if self.host.now - dripped >= 4_900 and late:
                    dripped = self.host.now
                    self.answer(loris[1], late.pop(0), 1)
            for start, count in self.asked(peer):
                self.answer(view, start, count)
            while self.adopting is not None:
                self.apply()
            self.assertLess(self.host.now - began, 60_000)
        return self.host.now - began

    def test_a_lost_peer_leaves_its_range_to_others(self) -> None:
        (_one, first), (two, second) = self.connect(), self.connect()
        self.asked(two)
        self.sync.peer_lost(first)
        self.host.now += 10
        self.answer(second, 17, 8)
        self.assertEqual(self.asked(two)[0][0], 1)
        self.answer(first, 1, 8)
        self.assertIsNone(self.adopting)

    def test_a_slow_answer_is_taken(self) -> None:
        """On a line on which an answer takes longer than the time-out, syncing goes on all the same."""
        peer, view = self.connect()
        for start in (1, 17, 33):
            self.assertEqual(self.asked(peer), [(start, 8), (start + 8, 8)])
            self.wait(REQUEST_TIMEOUT_MS + 1_000)
            self.assertEqual(self.asked(peer), [])
            self.answer(view, start, 8)
            self.answer(view, start + 8, 8)
            self.assertEqual(self.adopting, start)
            self.apply(16)
            peer.sent.clear()
            self.sync.peer_lost(view)
            self.status(view)
        self.assertEqual(peer.accused, [])

    def test_late_answers_are_never_an_offence(self) -> None:
        """Even when so many are owed that some were forgotten."""
        peer, view = self.connect()
        owed: list[tuple[int, int]] = []
        for _ in range(12):
            owed += self.asked(peer)
            self.wait(REQUEST_TIMEOUT_MS + 100)
            self.sync._sources[peer.node_id]._rests_until = 0
            self.sync.work()
        self.assertGreater(len(owed), 16)
        self.host.participant.ledger = built().states[60]
        for start, count in owed:
            self.answer(view, start, count)
        self.assertEqual(peer.accused, [])

    def test_the_same_answer_twice_is_no_offence(self) -> None:
        """Nobody loses by it, whatever between us made two of one."""
        peer, view = self.connect()
        (start, count), *others = self.asked(peer)
        self.assertTrue(others)
        for _ in range(2):
            self.answer(view, start, count)
        self.assertEqual(peer.accused, [])

    def test_a_false_block_is_found_before_its_turn(self) -> None:
        """Its commit is verified when it comes: the honest blocks stay, all else of the liar goes."""
        (one, liar), (two, honest) = self.connect(), self.connect()
        few = built().rival(2, signers=[0, 1])
        self.host.held = []
        self.send(liar, [self.pairs[0], few, *self.pairs[2:8]])
        self.assertEqual((len(one.accused), two.accused), (1, []))
        self.assertIn("false block 2", one.accused[0])
        self.assertEqual(self.waiting, [1])
        self.answer(honest, 17, 8)
        self.assertEqual(self.waiting, [1, *range(17, 25)])
        self.answer(liar, 9, 8)
        self.assertEqual(self.waiting, [1, *range(17, 25)])
        self.sync.peer_lost(liar)
        self.assertEqual(self.asked(two)[-1][0], 2)

    def test_the_commit_is_verified_before_the_body(self) -> None:
        """A body of another block costs two hashes a transaction, and its sender the connection."""
        peer, view = self.connect()
        block = Block.decode(self.pairs[0][0])
        swapped = replace(block, evidence=(b"junk",)).encode()
        self.send(view, [(swapped, self.pairs[0][1])])
        self.assertEqual((len(peer.accused), self.adopting), (1, None))

    def test_a_commit_for_another_block(self) -> None:
        peer, view = self.connect()
        self.send(view, [(self.pairs[0][0], self.pairs[1][1])])
        self.assertEqual((len(peer.accused), self.waiting), (1, []))

    def test_a_block_that_does_not_read(self) -> None:
        peer, view = self.connect()
        block, commit = self.pairs[0]
        self.send(view, [(block[:-1], commit)])
        self.assertEqual((len(peer.accused), self.adopting, self.sync._queue.bytes), (1, None, 0))

    def test_malformed_answers(self) -> None:
        block, commit = self.pairs[0]
        for pair in ((block[:100], commit), (block, commit[:-1]), (b"", b"")):
            peer, view = self.connect()
            self.send(view, [pair])
            self.assertEqual(len(peer.accused), 1)
            self.sync.peer_lost(view)
        self.assertEqual(self.waiting, [])

    def test_other_heights_than_asked_for(self) -> None:
        for pairs in (self.pairs[1:3], [self.pairs[0], self.pairs[2]]):
            peer, view = self.connect()
            self.send(view, pairs)
            self.assertEqual((len(peer.accused), self.waiting), (1, []))
            self.sync.peer_lost(view)

    def test_bad_news_of_a_block_that_nobody_waits_for(self) -> None:
        peer, view = self.connect()
        self.sync.bad_block(fx.BadBlock(1, "?"))
        self.answer(view, 1, 2)
        self.sync.bad_block(fx.BadBlock(9, "?", True))
        self.assertEqual((peer.accused, self.adopting, self.host.participant.halts), ([], 1, []))

    def test_checks_that_fail_are_done_again(self) -> None:
        peer, view = self.connect()
        self.storage.held = []
        self.answer(view, 1, 8)
        held, self.storage.held = self.storage.held, None
        for waiting, _ in held:
            waiting.errback(MemoryError("?"))
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        self.asked(peer)
        self.answer(view, 9, 8)
        self.assertEqual(peer.accused, [])
        self.assertEqual(self.asked(peer)[0][0], 1)


class RivalTest(SyncCase):
    """R12: what a quorum decided beside the chain here."""

    def setUp(self) -> None:
        super().setUp()
        self.halts = self.host.participant.halts
        self.decide(BLOCKS)

    def shows(self, height: int, rival: Pair) -> NotedPeer:
        """A peer whose tip at a height is another one, and that shows it when asked."""
        peer, view = self.connect(0)
        self.status(view, height + 1, Header.decode(rival[0][:351]).hash)
        self.assertEqual(self.asked(peer), [(height, 1)])
        self.send(view, [rival])
        return peer

    def test_a_rival_of_the_tip(self) -> None:
        for height in (BLOCKS, BLOCKS - 1):
            rival = built().rival(height)
            peer = self.shows(height, rival)
            reason, proofs = self.halts.pop()
            self.assertIn(f"two blocks were decided at height {height}", reason)
            own = self.pairs[height - 1]
            self.assertEqual(proofs, (own[0][:351] + own[1], rival[0][:351] + rival[1]))
            self.assertEqual(peer.accused, [])

    def test_after_a_restart_the_epoch_before_is_known(self) -> None:
        self.sync = ChainSync(cast(Any, self.host), cast(Any, self.storage), builders.BACKEND)
        self.connect(1)
        self.shows(BLOCKS - 1, built().rival(BLOCKS - 1))
        self.assertEqual(len(self.halts), 1)

    def test_older_ones_are_ignored(self) -> None:
        peer = self.shows(BLOCKS - 2, built().rival(BLOCKS - 2))
        self.assertEqual((self.halts, peer.accused), ([], []))

    def test_what_is_long_ago_by_the_clock_is_ignored(self) -> None:
        params = self.host.participant.params
        self.host.now += 1_000 * params.unbonding_epochs * params.epoch_seconds
        peer = self.shows(BLOCKS, built().rival(BLOCKS))
        self.assertEqual((self.halts, peer.accused), ([], []))

    def test_a_rival_without_a_quorum_is_a_lie(self) -> None:
        peer = self.shows(BLOCKS, built().rival(BLOCKS, signers=[0, 1]))
        self.assertEqual((self.halts, len(peer.accused)), ([], 1))

    def test_a_peer_that_cannot_show_it(self) -> None:
        peer, view = self.connect(0)
        self.status(view, BLOCKS + 1, b"?" * 32)
        self.assertEqual(self.asked(peer), [(BLOCKS, 1)])
        self.status(view, BLOCKS + 1, b"?" * 32)
        self.assertEqual(self.asked(peer), [])
        self.answer(view, BLOCKS, 1)
        self.assertEqual((self.halts, peer.accused), ([], []))

    def test_a_decided_block_on_another_tip(self) -> None:
        self.decide(BLOCKS - 1)
        other = built().rival(BLOCKS, previous=bytes(32))
        peer, view = self.connect()
        self.send(view, [other])
        ((reason, proofs),) = self.halts
        self.assertIn(f"block {BLOCKS} was decided on another block {BLOCKS - 1}", reason)
        own = self.pairs[BLOCKS - 2]
        self.assertEqual(proofs, (own[0][:351] + own[1], other[0][:351] + other[1]))
        self.assertEqual((peer.accused, self.sync.syncing), ([], False))

    def test_a_decided_block_that_is_invalid_here(self) -> None:
        self.decide(BLOCKS - 1)
        peer, view = self.connect()
        self.answer(view, BLOCKS, 1)
        self.refuse(decided=True)
        ((reason, proofs),) = self.halts
        self.assertIn("it is false", reason)
        self.assertEqual((len(proofs), peer.accused), (2, []))

    def test_an_old_one_that_is_invalid_costs_its_sender_the_connection(self) -> None:
        self.decide(5)
        params = self.host.participant.params
        self.host.now += 1_000 * params.unbonding_epochs * params.epoch_seconds
        peer, view = self.connect()
        self.send(view, self.pairs[5:13])
        self.refuse(decided=True)
        self.assertEqual((self.halts, len(peer.accused)), ([], 1))


class CheckpointTest(SyncCase):
    """A block that is trusted from outside."""

    def setUp(self) -> None:
        super().setUp()
        self.ends: list[str] = []
        self.sync.wrong_chain = self.ends.append

    def test_the_trusted_block_is_adopted(self) -> None:
        self.sync.checkpoint = Anchor(2, built().states[2].block_hash)
        _, view = self.connect()
        self.answer(view, 1, 8)
        self.apply(3)
        self.assertEqual((self.adopting, self.ends), (4, []))

    def test_no_other_of_its_height_is(self) -> None:
        self.sync.checkpoint = Anchor(2, bytes(32))
        peer, view = self.connect()
        self.answer(view, 1, 8)
        self.apply(1)
        self.assertEqual((self.adopting, len(self.ends), peer.accused), (None, 1, []))
        self.assertIn("2:" + "0" * 64, self.ends[0])

    def path(self, top: Header, *below: bytes) -> None:
        self.sync.path = HeaderPath(top)
        for each in below:
            self.sync.path.add(each)

    def test_blocks_of_the_trusted_chain(self) -> None:
        headers = [state.header for state in built().states]
        self.path(headers[5], *[each.hash for each in headers[4:1:-1]])
        peer, view = self.connect()
        self.answer(view, 1, 8)
        self.apply(8)
        self.assertEqual((self.ends, peer.accused), ([], []))

    def test_a_decided_block_beside_them_costs_its_sender_the_connection(self) -> None:
        """Old keys sign it; it is not even kept."""
        headers = [state.header for state in built().states]
        self.path(headers[5], headers[4].hash, bytes(32))
        peer, view = self.connect()
        self.answer(view, 1, 8)
        self.assertEqual((self.ends, len(peer.accused), self.adopting), ([], 1, None))

    def test_a_chain_here_that_they_do_not_follow(self) -> None:
        headers = [state.header for state in built().states]
        self.path(headers[5], headers[4].hash)
        self.decide(3)
        other = replace(headers[3], round=9)
        self.host.participant.ledger = replace(self.host.participant.ledger, header=other)
        _, view = self.connect()
        self.send(view, self.pairs[3:11])
        self.assertEqual(len(self.ends), 1)
        self.assertIn("data directory", self.ends[0])


class AnsweringTest(SyncCase):
    def view(self) -> tuple[NotedPeer, PeerView]:
        peer = NotedPeer(1)
        return peer, PeerView(peer)

    def test_serving(self) -> None:
        peer, view = self.view()
        self.sync.on_get_blocks(view, wire.GetBlocks(3, 1_000))
        (blocks,) = peer.take(wire.Blocks)
        self.assertEqual([tuple(pair) for pair in blocks.blocks], self.pairs[2 : 2 + RANGE])
        peer.queued_bytes = SEND_QUEUE_LIMIT + 1
        self.sync.on_get_blocks(view, wire.GetBlocks(1, 1))
        self.assertEqual((peer.sent, len(self.storage.asked)), ([], 1))

    def test_what_is_not_here_is_said_at_once(self) -> None:
        peer, view = self.view()
        for start in (BLOCKS + 1, 10**9):
            self.sync.on_get_blocks(view, wire.GetBlocks(start, 1))
            self.assertEqual(peer.take(wire.Blocks), [wire.Blocks(())])

    def test_blocks_that_cannot_be_read(self) -> None:
        for error, logged in ((UnknownBlock("?"), 0), (Damaged("?"), 1)):
            self.storage.error = error
            peer, view = self.view()
            self.sync.on_get_blocks(view, wire.GetBlocks(3, 1))
            self.assertEqual(len(self.flushLoggedErrors(Damaged)), logged)
            self.assertEqual(peer.sent, [wire.Blocks(())])

    def test_few_at_a_time(self) -> None:
        """Twenty thousand questions at once make the disk read only a few ranges."""
        peer, view = self.view()
        self.storage.held = []
        for _ in range(100):
            self.sync.on_get_blocks(view, wire.GetBlocks(1, 8))
        self.assertEqual(len(self.storage.asked), ANSWERS_UNDER_WAY)
        self.storage.release()
        self.assertEqual(len(peer.take(wire.Blocks)), ANSWERS_UNDER_WAY)
        self.sync.on_get_blocks(view, wire.GetBlocks(1, 8))
        self.assertEqual(len(peer.take(wire.Blocks)), 1)
        self.assertEqual(self.sync._answering, {})

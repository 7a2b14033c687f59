"""Fetching decided blocks from peers: ranges from several at once, adopted one after the other (protocol.md 10,
*Block sync*).

Whom to ask for what is in :mod:`timecoin.node.sync_ranges`, what a peer's word is worth in
:mod:`timecoin.node.sync_sources`, what waits for its turn in :mod:`timecoin.node.block_queue`. A peer that sends what
no quorum decided is dropped; one that is slow, or lags, never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.consensus import effects as fx
from timecoin.consensus.decided import check_names
from timecoin.consensus.participant import Participant
from timecoin.ledger.closing_chain import Anchor
from timecoin.ledger.errors import BlockInvalid
from timecoin.node.anchor import describe
from timecoin.node.block_queue import BlockQueue, Fetched, check_batch, sets_by_epoch
from timecoin.node.header_path import HeaderPath
from timecoin.node.peer_view import SEND_QUEUE_LIMIT, PeerView
from timecoin.node.rival_blocks import RivalBlocks, is_live
from timecoin.node.storage_service import StorageService
from timecoin.node.sync_progress import Meter, Progress
from timecoin.node.sync_ranges import Ranges
from timecoin.node.sync_sources import RANGE, Request, Source, believed_height
from timecoin.p2p import messages as wire
from timecoin.primitives.block import HEADER_SIZE, Block, Commit, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import display
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.storage.errors import UnknownBlock

AHEAD = 512
"""Blocks fetched ahead of the tip; what lies further is not asked for."""
MAX_BUFFER_BYTES = 64 << 20
"""What waits here and what may be under way, together; the next block is asked for in any case."""
ANSWER_BYTES = (4 << 20) - (64 << 10)
LACK_EVERY_MS = 60_000
ANSWERS_UNDER_WAY = 4
"""Questions of one peer that are answered at the same time; no honest node asks more."""


class SyncHost(Protocol):
    """What drives the participant."""

    participant: Participant

    def now_ms(self) -> int:
        """The clock."""
        ...

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input of the participant."""
        ...


class ChainSync:
    """Keeps the chain at the height of the peers. A peer that sends a false block is dropped, and the range asked of
    another; a decided block that contradicts the chain here ends the process (R12).
    """

    log = Logger()

    def __init__(self, host: SyncHost, storage: StorageService, backend: SignatureBackend | None = None) -> None:
        self._host = host
        self._storage = storage
        self._backend = backend or get_backend()
        self._sources: dict[bytes, Source] = {}
        self._queue = BlockQueue()
        self._adopting: Fetched | None = None
        self._checking = False
        self._answering: Counter[bytes] = Counter()
        self._average = 1_000
        self._told_lack = -LACK_EVERY_MS
        self._meter = Meter("blocks")
        self.checkpoint: Anchor | None = None
        self.path: HeaderPath | None = None
        """The only blocks that may be adopted at its heights: below a trusted one, known by their hashes."""
        self._held = False
        self.wrong_chain: Callable[[str], None] = lambda reason: None
        self._rivals = RivalBlocks(host, storage, self._backend, self._accuse)

    # For others

    @property
    def best_height(self) -> int:
        """The height that the network has, as far as it takes more than one liar to make it up."""
        own = self._host.participant.ledger.height
        return believed_height(own, self._queue.verified, self._sources.values(), self._host.now_ms())

    @property
    def syncing(self) -> bool:
        """Is the chain here behind what peers have, or may it be?"""
        return self._held or self.best_height > self._host.participant.ledger.height + 1

    @property
    def progress(self) -> Progress:
        """How far the chain here has come."""
        tip, now = self._host.participant.ledger.height, self._host.now_ms()
        useful = sum(each.rate is not None and not each.rests(now) for each in self._sources.values())
        return self._meter.progress(tip, self.best_height, useful, now)

    def hold(self, held: bool) -> None:
        """Ask for nothing and adopt nothing, as it is not known yet whose blocks follow the chain here."""
        self._held = held
        if held:
            self._queue.clear()

    # Peers

    def on_status(self, view: PeerView) -> None:
        """A peer told the height that it is working on: it has all below."""
        source = self._sources.get(view.peer.node_id)
        if source is None or source.view is not view:
            self._sources[view.peer.node_id] = Source(view)
        self._rivals.applied()
        self._rivals.on_status(view)
        # In health nothing follows from it; every one of many peers tells its status every second.
        if self._has_work((self._sources[view.peer.node_id],)):
            self.work()

    def peer_lost(self, view: PeerView) -> None:
        """A peer is gone: its range goes to another."""
        self._sources.pop(view.peer.node_id, None)
        self._rivals.peer_lost(view)
        self.work()

    def on_get_blocks(self, view: PeerView, message: wire.GetBlocks) -> None:
        """Send the blocks asked for, as many as fit into one message; none when they are not here."""
        node_id = view.peer.node_id
        if view.peer.queued_bytes > SEND_QUEUE_LIMIT or self._answering[node_id] >= ANSWERS_UNDER_WAY:
            return
        if not 0 <= message.from_height <= self._storage.ledger_height:
            view.peer.send(wire.Blocks(()))
            return
        self._answering[node_id] += 1
        work = self._storage.blocks_with_commits(message.from_height, min(message.count, RANGE), ANSWER_BYTES)
        work.addCallbacks(partial(self._answer, view), partial(self._unreadable, view))
        work.addBoth(lambda _: self._answers_no_more(node_id))

    def _answers_no_more(self, node_id: bytes) -> None:
        self._answering[node_id] -= 1
        if not self._answering[node_id]:
            # Node keys cost nothing: who asked once is not remembered.
            del self._answering[node_id]

    @staticmethod
    def _answer(view: PeerView, pairs: list[tuple[bytes, bytes]]) -> None:
        view.peer.send(wire.Blocks(tuple(wire.BlockWithCommit(*pair) for pair in pairs)))

    def _unreadable(self, view: PeerView, failure: Failure) -> None:
        # A node that joined by a snapshot has no blocks from before it.
        if failure.check(UnknownBlock) is None:
            self.log.failure("blocks cannot be read", failure)
        self._answer(view, [])

    def on_blocks(self, view: PeerView, message: wire.Blocks) -> None:
        """Blocks came that were asked for, perhaps long ago."""
        try:
            headers = [Header.decode(pair.block[:HEADER_SIZE]) for pair in message.blocks]
            commits = [Commit.decode(pair.commit) for pair in message.blocks]
            heights = [header.height for header in headers]
            if self._rivals.takes(view, heights):
                self._rivals.judge(view, headers[0], commits[0], heights[0])
                return
            request = self._answered(view, heights)
            for header, commit in zip(headers, commits, strict=True):
                check_names(header, commit)
            if self.path is not None and any(map(self.path.contradicts, headers)):
                self._accuse(view, "a block of another chain than the trusted one")
                return
        except (DecodeError, BlockInvalid) as error:
            self._accuse(view, f"a malformed block: {error}")
            return
        if request is not None:
            self._take(view, request, headers, commits, message)

    def _answered(self, view: PeerView, heights: list[int]) -> Request | None:
        source = self._sources.get(view.peer.node_id)
        if source is None:
            return None
        request, offence = source.answered(heights[0] if heights else None, self._host.now_ms())
        if offence or (request is not None and heights != [request.start + n for n in range(len(heights))]):
            self._accuse(view, "blocks of other heights than asked for")
            return None
        return request

    def _take(
        self, view: PeerView, request: Request, headers: list[Header], commits: list[Commit], message: wire.Blocks
    ) -> None:
        source = self._sources[view.peer.node_id]
        source.delivered(request, min(len(headers), request.count), self._host.now_ms())
        tip = self._host.participant.ledger.height
        if not headers and request.start == tip + 1:
            self._lacks(view, request.start)
        for header, commit, pair in list(zip(headers, commits, message.blocks, strict=True))[: request.count]:
            size = len(pair.block) + len(pair.commit)
            self._average += (size - self._average) // 8
            if header.height == tip + 1 or (header.height > tip and self._queue.bytes < 2 * MAX_BUFFER_BYTES):
                self._queue.add(Fetched(header, pair.block, commit, source, size))
        self.work()

    def _lacks(self, view: PeerView, height: int) -> None:
        """Said now and then: a node that only knows such peers never catches up."""
        now = self._host.now_ms()
        if view.height - 1 > height and now - self._told_lack > LACK_EVERY_MS:
            self._told_lack = now
            self.log.warn(
                "{peer} does not have block {height}, though it is at {tip}: it joined by a snapshot. Where nobody has "
                "that block any more, join anew: an empty data directory, with the keys",
                peer=view.peer,
                height=height,
                tip=view.height - 1,
            )

    def _accuse(self, view: PeerView, what: str) -> None:
        self.log.warn("{peer} sent {what}", peer=view.peer, what=what)
        source = self._sources.pop(view.peer.node_id, None)
        if source is not None:
            self._queue.drop_unchecked(source)
        view.peer.misbehaved(what)

    # Work

    def tick(self) -> None:
        """Call it some times a second: who is slow is noticed by the clock."""
        if self._has_work(self._sources.values()):
            self.work()

    def _has_work(self, sources: Iterable[Source]) -> bool:
        tip = self._host.participant.ledger.height
        return len(self._queue) > 0 or any(each.requests or each.view.height > tip + 1 for each in sources)

    def work(self) -> None:
        """Adopt what is here, check what came, ask for what is missing."""
        if self._held:
            return
        tip, now = self._host.participant.ledger.height, self._host.now_ms()
        self._rivals.applied()
        self._queue.drop_through(tip)
        if self._adopting is not None and self._adopting.height <= tip:
            self._adopting = None
        self._show_progress(tip, now)
        self._adopt_next()
        self._check_next()
        self._ask(now)

    def _show_progress(self, tip: int, now: int) -> None:
        if self.syncing:
            self._meter.note(tip, now)
            self._meter.show(self.progress, now)
        else:
            self._meter.reset()

    def _adopt_next(self) -> None:
        participant = self._host.participant
        fetched = self._queue.get(participant.ledger.height + 1)
        if fetched is None or fetched.block is None or self._adopting is not None or participant.syncing:
            return
        if fetched.header.previous != participant.ledger.block_hash:
            self._on_another_branch(fetched)
            return
        if self._contradicts_checkpoint(fetched):
            return
        self._adopting, block = fetched, fetched.block
        self._host.feed(lambda: self._adopt(fetched, block))

    def _adopt(self, fetched: Fetched, block: Block) -> None:
        if not self._host.participant.adopt(block, fetched.commit, self._host.now_ms(), checked=True):
            self._adopting = None

    def _contradicts_checkpoint(self, fetched: Fetched) -> bool:
        trusted = self.checkpoint
        if trusted is None or fetched.height != trusted.height or fetched.header.hash == trusted.block_hash:
            return False
        self._queue.clear()
        self.wrong_chain(
            f"the chain that peers sent has {display(fetched.header.hash)} at height {trusted.height}, but "
            f"{describe(trusted)} is trusted: the data directory holds a false chain, or the trusted hash is wrong"
        )
        return True

    def _on_another_branch(self, fetched: Fetched) -> None:
        """A quorum decided a block that does not follow ours: so another one was decided beside our tip."""
        if self.path is not None and self.path.hash_at(fetched.height) == fetched.header.hash:
            self._queue.clear()
            self.wrong_chain(
                f"the trusted chain has {display(fetched.header.previous)} at height {fetched.height - 1}, the data "
                f"directory {display(self._host.participant.ledger.block_hash)}: it holds a false chain, or the "
                "trusted hash is wrong"
            )
            return
        fetched.source.disbelieve(self._host.now_ms())
        self._queue.clear()
        self._rivals.judge(fetched.source.view, fetched.header, fetched.commit, fetched.height - 1)

    def bad_block(self, bad: fx.BadBlock) -> None:
        """The block being adopted breaks a rule, though a quorum decided it (R12, if that is a matter of today)."""
        fetched = self._adopting
        if fetched is None or fetched.height != bad.height:
            return
        self._adopting = None
        self._queue.drop(fetched.height)
        participant = self._host.participant
        if bad.decided and is_live(participant, self._host.now_ms()):
            reason = f"block {bad.height} was decided, and is invalid here ({bad.reason})"
            self._rivals.broken(reason, fetched.header, fetched.commit, participant.ledger.height)
        else:
            self._accuse(fetched.source.view, f"a false block {fetched.height}: {bad.reason}")
            self.work()

    # Checking

    def _check_next(self) -> None:
        if self._checking:
            return
        ledger = self._host.participant.ledger
        epochs = sets_by_epoch(ledger)
        batch = self._queue.to_check(ledger.height, epochs)
        if not batch:
            return
        self._checking = True
        work: Deferred[list[Block | str]] = self._storage.in_reading_thread(
            check_batch, ledger.chain_id, epochs, batch, self._backend
        )
        work.addCallbacks(partial(self._checked, batch), partial(self._unchecked, batch))

    def _checked(self, batch: list[Fetched], verdicts: list[Block | str]) -> None:
        self._checking = False
        for fetched, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Block):
                self._queue.checked(fetched, verdict)
            else:
                self._refuse(fetched, verdict)
        self.work()

    def _unchecked(self, batch: list[Fetched], failure: Failure) -> None:
        self._checking = False
        for fetched in batch:
            self._queue.drop(fetched.height)
        self.log.failure("blocks were not checked", failure)

    def _refuse(self, fetched: Fetched, reason: str) -> None:
        if self._queue.get(fetched.height) is fetched:
            self._queue.drop(fetched.height)
        self._accuse(fetched.source.view, f"a false block {fetched.height}: {reason}")

    # Asking

    def _ask(self, now: int) -> None:
        for source in self._sources.values():
            source.look_at_clock(now)
        tip = self._host.participant.ledger.height
        # The next one may be in store, or about to be: in health peers are often an instant ahead.
        needed = tip + 2 if self._host.participant.syncing else tip + 1
        ranges = Ranges(tuple(self._sources.values()), self._queue, needed, tip + AHEAD, now, self._has_room)
        for source, start, count in ranges.assign():
            if start == needed:
                self._make_room(needed)
            source.ask(start, count, now)
            source.view.peer.send(wire.GetBlocks(start, count))

    def _has_room(self, more: int) -> bool:
        under_way = sum(request.count for each in self._sources.values() for request in each.requests)
        return self._queue.bytes + (under_way + more) * self._average <= MAX_BUFFER_BYTES

    def _make_room(self, needed: int) -> None:
        while self._queue.bytes > MAX_BUFFER_BYTES and self._queue.drop_farthest(needed):
            continue

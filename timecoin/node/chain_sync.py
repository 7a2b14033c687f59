"""Fetching decided blocks from peers: ranges from several at once, adopted one after the other (protocol.md 10,
*Block sync*)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from timecoin.consensus import effects as fx
from timecoin.consensus.participant import Participant
from timecoin.node.gossip import SEND_QUEUE_LIMIT
from timecoin.node.peer_view import PeerView
from timecoin.node.storage_service import StorageService
from timecoin.p2p import messages as wire
from timecoin.primitives.block import HEADER_SIZE, Block, Commit, Header
from timecoin.primitives.codec import DecodeError

RANGE = 8
"""Blocks asked of one peer at a time."""
AHEAD = 32
"""Blocks fetched ahead of the tip; what lies further is not asked for."""
MAX_BUFFER_BYTES = 64 << 20
REQUEST_TIMEOUT_MS = 5_000
ANSWER_BYTES = (4 << 20) - (64 << 10)
_PROGRESS_EVERY = 50


class SyncHost(Protocol):
    """What drives the participant."""

    participant: Participant

    def now_ms(self) -> int:
        """The clock."""
        ...

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input of the participant."""
        ...


@dataclass(slots=True)
class _Request:
    """A range asked of a peer at ``asked`` milliseconds."""

    view: PeerView
    start: int
    count: int
    asked: int


@dataclass(slots=True)
class _Fetched:
    """A block that waits for its turn, still encoded, and who sent it."""

    height: int
    block: bytes
    commit: Commit
    view: PeerView
    size: int


class ChainSync:
    """Keeps the chain at the height of the peers. A peer that sends a false block is dropped, and the range asked of
    another."""

    log = Logger()

    def __init__(self, host: SyncHost, storage: StorageService) -> None:
        self._host = host
        self._storage = storage
        self._views: dict[bytes, PeerView] = {}
        self._requests: dict[bytes, _Request] = {}
        self._overdue: dict[bytes, _Request] = {}
        self._fetched: dict[int, _Fetched] = {}
        self._bytes = 0
        self._adopting: _Fetched | None = None
        self._started_at: int | None = None

    # For others

    @property
    def best_height(self) -> int:
        """The highest decided height that any connected peer told."""
        own = self._host.participant.ledger.height
        return max([own, *(view.height - 1 for view in self._views.values())])

    @property
    def syncing(self) -> bool:
        """Is the chain here behind what peers have?"""
        return self.best_height > self._host.participant.ledger.height + 1

    # Peers

    def on_status(self, view: PeerView) -> None:
        """A peer told the height that it is working on: it has all below."""
        self._views[view.peer.node_id] = view
        self.work()

    def peer_lost(self, view: PeerView) -> None:
        """A peer is gone: its range goes to another."""
        for known in (self._views, self._requests, self._overdue):
            known.pop(view.peer.node_id, None)
        self.work()

    def on_get_blocks(self, view: PeerView, message: wire.GetBlocks) -> None:
        """Send the blocks asked for, as many as fit into one message."""
        height = self._storage.ledger_height
        if not 0 < message.from_height <= height or view.peer.queued_bytes > SEND_QUEUE_LIMIT:
            return
        work = self._storage.blocks_with_commits(message.from_height, min(message.count, RANGE), ANSWER_BYTES)
        work.addCallbacks(
            lambda pairs: view.peer.send(wire.Blocks(tuple(wire.BlockWithCommit(*pair) for pair in pairs))),
            lambda failure: self.log.failure("blocks cannot be read", failure),
        )

    def on_blocks(self, view: PeerView, message: wire.Blocks) -> None:
        """Blocks came that were asked for, perhaps long ago; others are ignored."""
        try:
            heights = [Header.decode(pair.block[:HEADER_SIZE]).height for pair in message.blocks]
            commits = [Commit.decode(pair.commit) for pair in message.blocks]
        except DecodeError as error:
            self._accuse(view, f"a malformed block: {error}")
            return
        request = self._answered(view.peer.node_id, heights)
        if request is None:
            return
        if heights != list(range(request.start, request.start + len(heights))):
            self._accuse(view, "blocks of other heights than asked for")
            return
        for height, pair, commit in zip(heights[: request.count], message.blocks, commits, strict=False):
            self._keep(height, pair, commit, view)
        self.work()

    def _answered(self, node_id: bytes, heights: list[int]) -> _Request | None:
        """What a peer answers: what it owes longest, if its answer fits to that."""
        overdue = self._overdue.pop(node_id, None)
        if overdue is not None and heights[:1] == [overdue.start]:
            return overdue
        return self._requests.pop(node_id, None)

    def _keep(self, height: int, pair: wire.BlockWithCommit, commit: Commit, view: PeerView) -> None:
        if height not in self._fetched and height > self._host.participant.ledger.height:
            size = len(pair.block) + len(pair.commit)
            self._fetched[height] = _Fetched(height, pair.block, commit, view, size)
            self._bytes += size

    def _accuse(self, view: PeerView, what: str) -> None:
        self.log.warn("{peer} sent {what}", peer=view.peer, what=what)
        view.height = 0
        view.peer.misbehaved(what)

    # Work

    def work(self) -> None:
        """Adopt what is here, ask for what is missing."""
        self._forget_old()
        self._adopt_next()
        self._ask()

    def _forget_old(self) -> None:
        tip = self._host.participant.ledger.height
        for height in [height for height in self._fetched if height <= tip]:
            self._bytes -= self._fetched.pop(height).size
        if self._adopting is not None and self._adopting.height <= tip:
            self._adopting = None
            self._show_progress(tip)

    def _show_progress(self, tip: int) -> None:
        if self.syncing and tip % _PROGRESS_EVERY == 0:
            self.log.info("block sync: {tip} of {best}", tip=tip, best=self.best_height)

    def _adopt_next(self) -> None:
        participant = self._host.participant
        fetched = self._fetched.get(participant.ledger.height + 1)
        if fetched is None or self._adopting is not None or participant.syncing:
            return
        self._adopting = fetched
        self._host.feed(lambda: self._adopt(fetched))

    def _adopt(self, fetched: _Fetched) -> None:
        try:
            block = Block.decode(fetched.block)
        except DecodeError as error:
            self._refuse(fetched, str(error))
            return
        if not self._host.participant.adopt(block, fetched.commit, self._host.now_ms()):
            self._adopting = None

    def bad_block(self, bad: fx.BadBlock) -> None:
        """The block being adopted is not what a quorum decided: drop it and its sender, ask another."""
        if self._adopting is not None and self._adopting.height == bad.height:
            self._refuse(self._adopting, bad.reason)

    def _refuse(self, fetched: _Fetched, reason: str) -> None:
        self._adopting = None
        for height in [height for height, other in self._fetched.items() if other.view is fetched.view]:
            self._bytes -= self._fetched.pop(height).size
        self._accuse(fetched.view, f"a false block {fetched.height}: {reason}")
        self.work()

    def _ask(self) -> None:
        now = self._host.now_ms()
        for node_id, request in list(self._requests.items()):
            if now - request.asked > REQUEST_TIMEOUT_MS:
                # A slow answer is no offence, and is taken when it comes; but others are asked, too.
                self._overdue[node_id] = self._requests.pop(node_id)
                request.view.height = 0
        for view in sorted(self._views.values(), key=lambda view: view.peer.queued_bytes):
            if view.peer.node_id not in self._requests:
                self._ask_peer(view, now)

    def _ask_peer(self, view: PeerView, now: int) -> None:
        start = self._first_missing()
        last = min(view.height - 1, self._host.participant.ledger.height + AHEAD, start + RANGE - 1)
        if last < start or self._bytes > MAX_BUFFER_BYTES:
            return
        self._requests[view.peer.node_id] = _Request(view, start, last - start + 1, now)
        view.peer.send(wire.GetBlocks(start, last - start + 1))

    def _first_missing(self) -> int:
        participant = self._host.participant
        height = participant.ledger.height + 1
        if participant.syncing:
            # This one is being stored, or about to be: in health peers are often an instant ahead.
            height += 1
        asked = {
            number
            for request in self._requests.values()
            for number in range(request.start, request.start + request.count)
        }
        while height in self._fetched or height in asked:
            height += 1
        return height

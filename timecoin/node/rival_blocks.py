"""A rival of a block that is applied here, shown by a peer: with a quorum's commit it proves that a third or more of
the power broke the protocol (protocol.md R12). Never is one of the two chosen.

A peer's status names the hash of its tip. Where that is not ours, the block is asked of it, and its commit checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.consensus.decided import check_signed
from timecoin.consensus.participant import Participant
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.powerset import PowerSet
from timecoin.node.block_queue import sets_by_epoch
from timecoin.node.peer_view import PeerView
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit, Header
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.signing import SignatureBackend

LOOKED_BACK = 1_024
"""Heights of the present epoch and the one before whose hashes are known after a restart."""
_KNOWN_LIMIT = 8_192
_ASKED_LIMIT = 1_024


class RivalHost(Protocol):
    """What drives the participant."""

    participant: Participant

    def now_ms(self) -> int:
        """The clock."""
        ...

    def feed(self, work: Callable[[], None]) -> None:
        """Run an input of the participant."""
        ...


class OwnChain(Protocol):
    """What is read of the chain here: ``node.storage_service.StorageService``."""

    def headers_with_commits(self, start: int, count: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Encoded headers and commits from a height on."""
        ...

    def in_reading_thread(self, work: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        """Run work off the reactor."""
        ...


def is_live(participant: Participant, now: int) -> bool:
    """Is the chain here so young that no masternode of its last two epochs can have its collateral back?

    Half of the unbonding time is left for clocks, and for epochs that nobody closed. What is older proves nothing: a
    key that has nothing to lose signs anything.
    """
    params, ledger = participant.params, participant.ledger
    return now // 1_000 - ledger.last_closing_slot <= params.unbonding_epochs * params.epoch_seconds // 2


class RivalBlocks:
    """Compares peers' tips with the chain here. ``accuse(view, what)`` is told of a peer that cannot prove its tip."""

    log = Logger()

    def __init__(
        self,
        host: RivalHost,
        chain: OwnChain,
        backend: SignatureBackend,
        accuse: Callable[[PeerView, str], None],
    ) -> None:
        self._host = host
        self._chain = chain
        self._backend = backend
        self._accuse = accuse
        self._known: dict[int, tuple[int, Hash]] = {}
        self._asked: dict[tuple[bytes, Hash], None] = {}
        self._pending: dict[bytes, int] = {}
        self._filled = False

    # The chain here

    def applied(self) -> None:
        """The tip may have moved."""
        header = self._host.participant.ledger.header
        self._known[header.height] = (header.epoch, header.hash)
        while len(self._known) > _KNOWN_LIMIT:
            del self._known[next(iter(self._known))]
        if not self._filled:
            self._filled = True
            self._look_back(header.height)

    def _look_back(self, tip: int) -> None:
        first = max(1, tip - LOOKED_BACK)
        if first < tip:
            work = self._chain.headers_with_commits(first, tip - first)
            work.addCallbacks(self._fill, lambda failure: self.log.failure("headers do not read back", failure))

    def _fill(self, pairs: list[tuple[bytes, bytes]]) -> None:
        for encoded, _ in pairs:
            header = Header.decode(encoded)
            self._known.setdefault(header.height, (header.epoch, header.hash))

    def _is_ours(self, height: int, block_hash: Hash) -> bool:
        return self._known.get(height, (0, block_hash))[1] == block_hash

    # Peers' tips

    def on_status(self, view: PeerView) -> None:
        """A peer told its tip: if it is another one than ours, ask to see it."""
        status = view.status
        if not self._filled:
            self.applied()
        if status is None or not 0 < status.height - 1 <= self._host.participant.ledger.height:
            return
        height, node_id = status.height - 1, view.peer.node_id
        if self._is_ours(height, status.tip_hash) or (node_id, status.tip_hash) in self._asked:
            return
        self._asked[node_id, status.tip_hash] = None
        while len(self._asked) > _ASKED_LIMIT:
            del self._asked[next(iter(self._asked))]
        self._pending[node_id] = height
        view.peer.send(wire.GetBlocks(height, 1))

    def peer_lost(self, view: PeerView) -> None:
        """A peer is gone."""
        self._pending.pop(view.peer.node_id, None)

    def takes(self, view: PeerView, heights: list[int]) -> bool:
        """Is this the answer of a peer that was asked for its tip?"""
        if heights[:1] != [self._pending.get(view.peer.node_id)]:
            return False
        del self._pending[view.peer.node_id]
        return True

    def judge(self, view: PeerView, header: Header, commit: Commit, height: int) -> None:
        """A peer shows a block that cannot stand in the chain here beside the block of ``height``."""
        ledger = self._host.participant.ledger
        if header.height == height and self._is_ours(height, header.hash):
            return
        members = sets_by_epoch(ledger).get(header.epoch)
        if members is None or not self._counts(height):
            self._ignore(header, view)
            return
        work = self._chain.in_reading_thread(self._verdict, ledger.chain_id, header, commit, members)
        work.addCallback(lambda problem: self._judged(view, header, commit, height, problem))
        work.addErrback(lambda failure: self.log.failure("a rival block was not judged", failure))

    def _counts(self, height: int) -> bool:
        """R12 speaks of this epoch and the one before, applied while they mattered."""
        participant = self._host.participant
        epoch, _ = self._known.get(height, (-1, b""))
        return epoch >= participant.ledger.epoch - 1 and is_live(participant, self._host.now_ms())

    def _ignore(self, header: Header, view: PeerView) -> None:
        self.log.warn(
            "ignored: {peer} shows another block {height}, {block}, of epoch {epoch}: too old to prove anything",
            peer=view.peer,
            height=header.height,
            block=display(header.hash),
            epoch=header.epoch,
        )

    def _verdict(self, chain_id: Hash, header: Header, commit: Commit, members: PowerSet) -> str | None:
        try:
            check_signed(chain_id, header, commit, members, self._backend)
        except BlockInvalid as error:
            return str(error)
        return None

    def _judged(
        self, view: PeerView, header: Header, commit: Commit, height: int, problem: str | None
    ) -> Deferred[None] | None:
        if problem is not None:
            self._accuse(view, f"a false block {header.height}: {problem}")
            return None
        if header.height == height:
            return self.broken(f"two blocks were decided at height {height}", header, commit, height)
        return self.broken(f"block {header.height} was decided on another block {height}", header, commit, height)

    def broken(self, reason: str, header: Header, commit: Commit, height: int) -> Deferred[None]:
        """Stop for good: the block here at ``height`` and the decided one of ``header`` cannot both be."""

        def halt(pairs: list[tuple[bytes, bytes]]) -> None:
            proofs = (b"".join(pairs[0]) if pairs else b"", header.encode() + commit.encode())
            text = f"{reason}: {display(header.hash)}"
            self._host.feed(lambda: self._host.participant.decided_twice(text, proofs, self._host.now_ms()))

        return self._chain.headers_with_commits(height, 1).addCallback(halt)

"""Many items from many peers: each asked of somebody, of somebody else when it does not come, never of too many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from timecoin.node.snapshot_sync_desk import Desk, JoinPeer
from timecoin.p2p import messages as wire

K = TypeVar("K", bound=Hashable)

IN_FLIGHT_PER_PEER = 2
IN_FLIGHT = 16
"""Items under way at once, so that what comes is bounded by as many messages."""
TIMEOUT_MS = 15_000
"""A peer that takes longer rests; its answer is taken if it still comes."""
PATIENCE_MS = 3_000
"""An item that takes longer is asked of a second peer, if that one has nothing else to do."""
MAX_ASKED = 3
LACKING_MS = 30_000
"""A peer that said it has not got something is not asked for such things again for so long."""


class Fetch(Generic[K]):
    """Fetches items by key. ``ask(key)`` is the message that asks for one, ``holders()`` who may have it."""

    def __init__(
        self,
        desk: Desk,
        holders: Callable[[], Iterable[JoinPeer]],
        ask: Callable[[K], wire.Message],
        *,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._desk = desk
        self._holders = holders
        self._ask = ask
        self._limit = in_flight
        self._todo: deque[K] = deque()
        self._asked: dict[K, dict[bytes, int]] = {}
        self._late: dict[tuple[bytes, K], None] = {}
        self._lacking: dict[bytes, int] = {}
        self.answered_at = desk.now

    @property
    def is_idle(self) -> bool:
        """Is nothing asked for, and nothing to be?"""
        return not self._todo and not self._asked

    @property
    def waiting(self) -> int:
        """Items that are not here yet."""
        return len(self._todo) + len(self._asked)

    def add(self, keys: Iterable[K], *, first: bool = False) -> None:
        """These are wanted; ``first``: before all others."""
        if first:
            self._todo.extendleft(reversed(list(keys)))
        else:
            self._todo.extend(keys)

    def came(self, peer: JoinPeer, key: K) -> bool:
        """An answer about an item: was it asked of this peer and is it still of use? Then it is under way no more."""
        late = self._late.pop((peer.key, key), self) is None
        if key not in self._asked:
            # Somebody else was quicker, or it timed out and waits to be asked again.
            if late and key in self._todo:
                self._todo.remove(key)
                return self._arrived(peer)
            return False
        if peer.key not in self._asked[key] and not late:
            return False
        self._release(key)
        return self._arrived(peer)

    def _arrived(self, peer: JoinPeer) -> bool:
        peer.delivered()
        self.answered_at = self._desk.now
        return True

    def asked_of(self, peer: JoinPeer) -> list[K]:
        """What a peer owes, longest owed first."""
        late = [key for each, key in self._late if each == peer.key]
        return late + [key for key, asked in self._asked.items() if peer.key in asked]

    def lacks(self, peer: JoinPeer, key: K) -> None:
        """The peer says that it has not got it."""
        self._late.pop((peer.key, key), None)
        self._lacking[peer.key] = self._desk.now + LACKING_MS
        self._drop_asked(peer.key, key)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone: others are asked."""
        for key in [key for key, asked in self._asked.items() if peer.key in asked]:
            self._drop_asked(peer.key, key)
        self._late = {each: None for each in self._late if each[0] != peer.key}
        self._lacking.pop(peer.key, None)

    def _drop_asked(self, peer_key: bytes, key: K) -> None:
        asked = self._asked.get(key)
        if asked is None or asked.pop(peer_key, None) is None:
            return
        self._free(peer_key)
        if not asked:
            del self._asked[key]
            self._todo.appendleft(key)

    def _release(self, key: K) -> None:
        for peer_key in self._asked.pop(key):
            self._free(peer_key)

    def _free(self, peer_key: bytes) -> None:
        peer = self._desk.peers.get(peer_key)
        if peer is not None:
            peer.in_flight -= 1

    def stop(self) -> None:
        """Nothing of it is wanted any more."""
        for key in list(self._asked):
            self._release(key)
        self._todo.clear()

    # Asking

    def work(self, limit: int | None = None) -> None:
        """Ask whoever can be asked; nothing new while ``limit`` or more are under way."""
        self._give_up()
        limit = self._limit if limit is None else limit
        usable = sorted(self._usable(), key=lambda peer: (peer.in_flight, peer.failures))
        for depth in range(IN_FLIGHT_PER_PEER):
            for peer in usable:
                if peer.in_flight == depth and len(self._asked) < limit and self._todo:
                    self._ask_of(peer, self._todo.popleft())
        for peer in usable:
            if peer.in_flight == 0:
                self._take_over(peer)

    def _usable(self) -> list[JoinPeer]:
        now = self._desk.now
        return [
            peer
            for peer in self._holders()
            if peer.rests_until <= now and self._lacking.get(peer.key, 0) <= now and peer.key in self._desk.peers
        ]

    def _ask_of(self, peer: JoinPeer, key: K) -> None:
        self._asked.setdefault(key, {})[peer.key] = self._desk.now
        peer.in_flight += 1
        self._desk.send(peer, self._ask(key))

    def _take_over(self, peer: JoinPeer) -> None:
        for key, asked in self._asked.items():
            if peer.key not in asked and len(asked) < MAX_ASKED and self._desk.now - max(asked.values()) > PATIENCE_MS:
                self._ask_of(peer, key)
                return

    def _give_up(self) -> None:
        now = self._desk.now
        for key, asked in list(self._asked.items()):
            for peer_key in [peer_key for peer_key, at in asked.items() if now - at > TIMEOUT_MS]:
                peer = self._desk.peers.get(peer_key)
                if peer is not None:
                    peer.failed(now)
                self._late[peer_key, key] = None
                self._drop_asked(peer_key, key)

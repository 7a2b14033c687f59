"""Asks every node all the time what it tells its users, so that nothing it takes back goes unseen."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.functional.chaos.network import ChaosNet, ChaosNode

reactor: Any = _reactor
_POLL = 0.25
_PAGE = 1_000


class Watcher:
    """``told`` by word, then txid: the nodes that told it, and when it was first seen."""

    def __init__(self, net: ChaosNet) -> None:
        self.told: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.first_final: dict[str, float] = {}
        self.missed = 0
        self._net = net
        self._running = False
        self._loops: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin to ask."""
        self._running = True
        self._loops = [Deferred.fromCoroutine(self._follow(node)) for node in self._net.nodes]

    async def stop(self) -> None:
        """Ask no more."""
        self._running = False
        loops, self._loops = self._loops, []
        for loop in loops:
            await loop

    async def _follow(self, node: ChaosNode) -> None:
        life, since = None, 0
        while self._running:
            # Events are counted anew by each process.
            if node.child is not life:
                life, since = node.child, 0
            page = await node.ask("getfinalityevents", since, 0, _PAGE)
            if page is not None and node.child is life:
                since = self._take(node, page)
            if page is None or not page["events"]:
                await deferLater(reactor, _POLL)

    def _take(self, node: ChaosNode, page: dict[str, Any]) -> int:
        self.missed += page["missed"]
        now = reactor.seconds()
        for event in page["events"]:
            self.told[event["status"]][event["txid"]].add(node.name)
            if event["status"] in ("final", "archived"):
                self.first_final.setdefault(event["txid"], now)
        return int(page["next"])

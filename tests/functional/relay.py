"""A peer that has nothing of its own: it passes an honest node's answers on, and lies about some of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.functional.observer import BACKEND, make_identity
from tests.functional.support import HOST, Devnet, Node, until
from timecoin.node.key_files import new_key
from timecoin.p2p import messages as wire
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import CloseReason
from timecoin.p2p.service import P2PService

reactor: Any = _reactor
QUESTIONS = (
    wire.GetBlocks,
    wire.GetClosingHeaders,
    wire.GetSnapshots,
    wire.GetManifest,
    wire.GetState,
    wire.GetChunk,
    wire.GetHeaders,
)
ANSWERS = (
    wire.Blocks,
    wire.ClosingHeaders,
    wire.Snapshots,
    wire.ManifestPage,
    wire.StatePart,
    wire.Chunk,
    wire.Headers,
)
Lie = Callable[[wire.Message], wire.Message | None]


@implementer(IPeerListener)
class Relay:
    """``lie(answer)`` is what it says instead of an honest node's answer, None: nothing; ``boast`` is added to heights
    and epochs that it claims.
    """

    def __init__(self, net: Devnet, honest: Node, lie: Lie = lambda answer: answer, boast: int = 0) -> None:
        self._honest, self._lie, self._boast = honest, lie, boast
        self._port = 0
        self._waiting: dict[type[wire.Message], deque[Peer]] = {kind: deque() for kind in ANSWERS}
        self._upstream: Peer | None = None
        self._status: wire.Status | None = None
        self._secret = new_key(BACKEND)
        self.asked = self.lied = 0
        self.dropped: list[CloseReason] = []
        self.service = P2PService(
            reactor,
            Random(7),
            make_identity(net.genesis, self._secret, user_agent="/relay/"),
            BACKEND,
            self,
            P2PConfig(
                listen=(f"tcp:0:interface={HOST}",),
                pinned=(f"{honest.files.node_id}@{HOST}:{honest.files.p2p_port}",),
                allow_private=True,
            ),
        )

    async def start(self) -> None:
        """Listen, and be connected with the honest node."""
        self.service.startService()
        await self.service.listening
        self._port = self.service.ports[0].getHost().port
        await until(lambda: self._status is not None, "the relay hears the honest node")

    def stop(self) -> Deferred[None] | None:
        """Leave."""
        return self.service.stopService() if self.service.running else None

    @property
    def pinned(self) -> str:
        """How a node.ini names it."""
        return f"{BACKEND.public_key(self._secret).hex()}@{HOST}:{self._port}"

    # IPeerListener

    def peer_connected(self, peer: Peer) -> None:
        """The honest node, or a victim."""
        if peer.node_id.hex() == self._honest.files.node_id:
            self._upstream = peer
        else:
            self._tell(peer)

    def _tell(self, peer: Peer) -> None:
        status = self._status
        if status is not None:
            peer.send(
                wire.Status(
                    epoch=status.epoch + self._boast,
                    height=status.height + self._boast,
                    round=0,
                    step=0,
                    tip_hash=status.tip_hash,
                )
            )

    def peer_lost(self, peer: Peer, reason: CloseReason) -> None:
        """Somebody had enough, or has what it came for."""
        if peer is not self._upstream:
            self.dropped.append(reason)

    def message(self, peer: Peer, message: wire.Message) -> None:
        """Questions of victims go up, answers come down, changed."""
        if peer is self._upstream:
            self._from_honest(message)
        elif isinstance(message, QUESTIONS) and self._upstream is not None:
            self.asked += 1
            self._waiting[ANSWERS[QUESTIONS.index(type(message))]].append(peer)
            self._upstream.send(message)

    def _from_honest(self, message: wire.Message) -> None:
        if isinstance(message, wire.Status):
            self._status = message
            for peer in self.service.peers:
                if peer is not self._upstream:
                    self._tell(peer)
        elif isinstance(message, ANSWERS) and self._waiting[type(message)]:
            peer, said = self._waiting[type(message)].popleft(), self._lie(message)
            self.lied += said is not message
            if said is not None:
                peer.send(said)

"""What all stages of joining share: the peers at hand, the clock, and what is to be done next, as values.

Nothing here touches a socket, a disk or a thread: :meth:`Desk.take_effects` hands out what to do, and a simulator can
do it as well as a node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from timecoin.p2p import messages as wire
from timecoin.primitives.hashes import Hash
from timecoin.primitives.signing import SignatureBackend

FIRST_REST_MS, LONGEST_REST_MS = 5_000, 120_000


@dataclass(slots=True, eq=False)
class JoinPeer:
    """A connected peer. ``group`` is its network group, or its key where addresses tell nothing apart; ``epoch`` is the
    one that it says is open, 0 before it told; ``slow`` counts answers that were true, but late or short. ``chosen``:
    dialled from here; whoever dials us has chosen itself, and could come from as many groups as it likes.
    """

    key: bytes
    group: bytes
    name: str
    height: int = 0
    epoch: int = 0
    failures: int = 0
    slow: int = 0
    rests_until: int = 0
    in_flight: int = 0
    chosen: bool = True

    def failed(self, now: int) -> None:
        """It did not deliver: others are asked first for a while, which is all that a slow peer suffers."""
        self.failures += 1
        self.rests_until = now + min(LONGEST_REST_MS, FIRST_REST_MS << min(self.failures - 1, 8))

    def delivered(self) -> None:
        """It did."""
        self.failures = self.rests_until = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a peer."""

    peer: bytes
    message: wire.Message


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection with a peer that sent what no honest node sends, and discourage it."""

    peer: bytes
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Run ``run(backend)`` off the reactor, in the thread that writes if ``storing``; then hand this and the outcome,
    also an exception, to ``SnapshotSync.worked``.
    """

    run: Callable[[SignatureBackend], Any]
    then: Callable[[Any], None]
    storing: bool = False
    wrong: Callable[[Exception], None] | None = None
    """Takes the exceptions of ``expected``; others end the joining."""
    expected: tuple[type[Exception], ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the operator's log."""

    text: str
    loud: bool = False


Effect: TypeAlias = Send | Drop | Work | Note


@dataclass(slots=True)
class Desk:
    """The present state of the surroundings; stages write to it what they want done."""

    chain_id: Hash
    now: int = 0
    peers: dict[bytes, JoinPeer] = field(default_factory=dict)
    working: int = 0
    _effects: list[Effect] = field(default_factory=list)

    def send(self, peer: JoinPeer, message: wire.Message) -> None:
        """Ask a peer."""
        self._effects.append(Send(peer.key, message))

    def drop(self, peer: JoinPeer, reason: str) -> None:
        """End it with a liar."""
        if self.peers.pop(peer.key, None) is not None:
            self._effects.append(Drop(peer.key, reason))

    def work(self, work: Work) -> None:
        """Have something done elsewhere."""
        self.working += 1
        self._effects.append(work)

    def note(self, text: str, *, loud: bool = False) -> None:
        """Tell the operator."""
        self._effects.append(Note(text, loud))

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order."""
        effects, self._effects = self._effects, []
        return effects

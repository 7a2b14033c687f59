"""What a peer needs of the service that holds it, and the settings that all peers of a node share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from timecoin.p2p.handshake import Greeting, Identity
from timecoin.p2p.limits import MEMBER_BUDGETS, PUBLIC_BUDGETS, Budget, RateClass
from timecoin.p2p.messages import Message
from timecoin.p2p.outgoing import LANE_LIMITS
from timecoin.p2p.reasons import CloseReason
from timecoin.p2p.traffic import Traffic
from timecoin.primitives.signing import SignatureBackend

if TYPE_CHECKING:
    from timecoin.p2p.peer import Peer


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Times in ms, lane limits in bytes; the same for all peers of a node."""

    hello_timeout: int = 10_000
    idle_timeout: int = 60_000
    ping_interval: int = 20_000
    overload_limit: int = 60_000
    close_timeout: int = 3_000
    lane_limits: Sequence[int] = LANE_LIMITS
    public_budgets: Mapping[RateClass, Budget] = field(default_factory=lambda: PUBLIC_BUDGETS)
    member_budgets: Mapping[RateClass, Budget] = field(default_factory=lambda: MEMBER_BUDGETS)


class PeerOwner(Protocol):
    """What a peer needs of the service that holds it."""

    @property
    def identity(self) -> Identity:
        """Who we are."""
        ...

    @property
    def backend(self) -> SignatureBackend:
        """Verifies signatures."""
        ...

    @property
    def clock(self) -> IReactorTime:
        """Timers, and a time (Unix seconds, about) that goes on evenly."""
        ...

    def wall_ms(self) -> int:
        """Return the system clock, right or wrong, in milliseconds since the Unix epoch."""
        ...

    @property
    def random(self) -> Random:
        """Source of ping nonces."""
        ...

    @property
    def settings(self) -> PeerSettings:
        """Limits."""
        ...

    @property
    def traffic(self) -> Traffic:
        """Counters for all peers together."""
        ...

    def height(self) -> int:
        """Return our height, for the hello."""
        ...

    def admit(self, peer: Peer, greeting: Greeting) -> bytes | None:
        """Return the masternode id that the peer proved (None: none).

        Raises:
            Refused: the peer is turned away, and told why.
        """
        ...

    def established(self, peer: Peer) -> None:
        """Take an admitted peer."""
        ...

    def received(self, peer: Peer, message: Message) -> None:
        """Take a message of an established peer."""
        ...

    def ended(self, peer: Peer, reason: CloseReason) -> None:
        """Forget a peer that closes; called exactly once for every peer, established or not."""
        ...

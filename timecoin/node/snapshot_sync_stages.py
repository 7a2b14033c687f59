"""What all of joining is about: the stages, what the operator wants, where a snapshot goes, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.ledger.params import Parameters
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.header_path import HeaderPath
from timecoin.node.snapshot_sync_coins import Importing
from timecoin.node.snapshot_sync_desk import Desk
from timecoin.node.snapshot_sync_headers import Followed

SETTLE_MS = 2_000
"""After the first peer, or the first offer, others get so long to come, before anything is decided by what they say."""


class JoinStore(Protocol):
    """Where a snapshot goes; the thread that writes calls it."""

    def begin(
        self, manifest: Manifest, state: bytes, links: Sequence[ClosingLink], vouched: Anchor | None
    ) -> Importing:
        """Begin an import, in place of any begun before; ``vouched``: the block trusted from outside behind it."""
        ...

    def finish(self, importing: Importing) -> None:
        """Everything is here: make it the chain."""
        ...


class Stage(Enum):
    """How far joining has come."""

    PEERS = "looking for peers"
    ANCHOR = "looking for the trusted block"
    DESCENT = "following headers down from the trusted block"
    HEADERS = "following closing headers"
    AGREEMENT = "asking several peers for the newest closing header"
    REFUSED = "peers show different chains"
    OWN = "following headers down to the chain here"
    OFFERS = "looking for snapshots"
    LINKING = "following headers down to a snapshot"
    MANIFEST = "fetching a snapshot's manifest"
    BEGINNING = "beginning to import the snapshot"
    COINS = "fetching coins"
    BLOCKS = "fetching recent blocks"
    FINISHING = "putting the snapshot in place"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``imported``: the chain is the snapshot's; else why not, and block sync is to do it. ``checkpoint``: the newest
    closing block that was found trustworthy: no other one of its height may be adopted. ``path``: the same of whatever
    was found below the trusted block. ``contradiction``: the chain here is not the
    trusted block's, in a line for the operator.
    """

    imported: bool
    reason: str
    checkpoint: Anchor | None = None
    path: HeaderPath | None = None
    contradiction: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator wants. ``anchor``: a block that is trusted from outside; ``genesis_will_do``: the operator's
    word that block 0 is enough; ``snapshot``: whether to fetch one; ``ahead_epochs``: no joining unless peers are more
    than so many epochs ahead of ``own_epoch``. ``own_tip``: there is a chain here that is too old to be gone on with on
    the word of its own sets: what is looked for is what leads to it.
    """

    anchor: Anchor | None
    genesis_will_do: bool
    snapshot: bool
    ahead_epochs: int
    own_epoch: int = 1
    own_tip: Anchor | None = None


class Course:
    """How far joining has come: the present stage and since when, and the outcome in the end."""

    def __init__(self, params: Parameters, plan: Plan, store: JoinStore | None, desk: Desk) -> None:
        self.params, self.plan, self.store, self.desk = params, plan, store, desk
        self.stage = Stage.PEERS
        self.since = desk.now
        self.outcome: Outcome | None = None
        self.path: HeaderPath | None = None
        """What is known of the blocks below the trusted one."""

    @property
    def waited(self) -> int:
        """Milliseconds since the stage began."""
        return self.desk.now - self.since

    def enter(self, stage: Stage) -> None:
        """Go on with another stage, or begin this one again."""
        self.stage, self.since = stage, self.desk.now

    def end(
        self,
        reason: str,
        trusted: Followed | None = None,
        *,
        imported: bool = False,
        contradiction: str | None = None,
    ) -> None:
        """It is over; ``trusted`` is a chain that was proven or agreed on."""
        newest = None if trusted is None else trusted.newest.header
        checkpoint = None if newest is None or newest.height == 0 else Anchor(newest.height, newest.hash)
        self.outcome = Outcome(imported, reason, checkpoint, self.path, contradiction)
        self.enter(Stage.ENDED)

"""What is in a message, by what its bytes say; a bounded memory makes that cheap."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.p2p import messages as wire
from timecoin.primitives.codec import DecodeError

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode

REMEMBERED = 20_000
_EPOCH, _SIGNER = slice(32, 36), slice(68, 70)


def raw_statements(message: wire.Message) -> tuple[bytes, ...]:
    """The signed statements in a message, encoded."""
    if isinstance(message, wire.Bundles):
        return message.bundles
    if isinstance(message, wire.Proposal):
        return (message.proposal,)
    if isinstance(message, wire.Votes):
        return message.prevotes + message.precommits
    return message.prevotes if isinstance(message, wire.Pol) else ()


def place_of(raw: bytes) -> tuple[int, int]:
    """Epoch and signer index of a statement; of its first 70 bytes."""
    return int.from_bytes(raw[_EPOCH], "little"), int.from_bytes(raw[_SIGNER], "little")


def own_statements(node: ByzantineNode, message: wire.Message) -> list[bytes]:
    """Those of its statements that bear the node's own index in their epoch, as far as the node knows the set."""
    return [raw for raw in raw_statements(message) if place_of(raw)[1] == index_in(node, place_of(raw)[0])]


def index_in(node: ByzantineNode, epoch: int) -> int | None:
    """The node's signer index in S(epoch), if it is the open, the next or the previous one."""
    ledger = node.disk.ledger
    if node.operator is None:
        return None
    if epoch == ledger.epoch:
        return ledger.current.index_of_key(node.operator.public)
    members = ledger.following if epoch > ledger.epoch else ledger.previous_set
    return None if members is None else members.index_of_key(node.operator.public)


@lru_cache(REMEMBERED)
def bundle(raw: bytes) -> Bundle | None:
    """The bundle; None when it is none."""
    try:
        return Bundle.decode(raw)
    except DecodeError:
        return None


@lru_cache(REMEMBERED)
def prevote(raw: bytes) -> Prevote | None:
    """The prevote; None when it is none."""
    try:
        return Prevote.decode(raw)
    except DecodeError:
        return None


@lru_cache(REMEMBERED)
def precommit(raw: bytes) -> Precommit | None:
    """The precommit; None when it is none."""
    try:
        return Precommit.decode(raw)
    except DecodeError:
        return None


@lru_cache(256)
def proposal(raw: bytes) -> Proposal | None:
    """The proposal; None when it is none."""
    try:
        return Proposal.decode(raw)
    except DecodeError:
        return None

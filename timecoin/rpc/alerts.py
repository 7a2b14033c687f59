"""What an operator has to know at once, from the figures of the node: no figure here decides anything in consensus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypedDict

from timecoin.rpc.facade import NodeFacade

WARN_OFFSET_MS: Final = 1_000
"""From here on the clock is worth a warning (protocol.md section 9)."""
WARN_LATE_MS: Final = 50.0
"""A reactor that is later is kept from its work by something."""
POOL_FULL_PERCENT: Final = 80
LOW_DISK_BYTES: Final = 1 << 30
OVERDUE_MS: Final = 30_000
"""Closing blocks are due some rounds after their slot; more than this is a halt or the way to one."""


class Alert(TypedDict):
    """Something to look at: ``level`` error when money or votes wait for somebody to act."""

    level: Literal["error", "warning"]
    code: str
    text: str


def alerts(node: NodeFacade) -> list[Alert]:
    """All that is wrong now, errors first."""
    found = [*_of_consensus(node), *_of_network(node), *_of_machine(node)]
    return sorted(found, key=lambda alert: alert["level"])


def warnings(node: NodeFacade) -> list[str]:
    """The texts of what is wrong now, as Core's ``warnings``; catching up is no reason for one."""
    return [each["text"] for each in alerts(node) if each["code"] != "syncing"]


def _error(code: str, text: str) -> Alert:
    return {"level": "error", "code": code, "text": text}


def _warning(code: str, text: str) -> Alert:
    return {"level": "warning", "code": code, "text": text}


def _of_consensus(node: NodeFacade) -> Iterator[Alert]:
    info, chain, tip = node.consensus(), node.chain(), node.tip()
    if info.masternode_id is not None and info.abstains is not None:
        yield _error("silent", f"this masternode signs nothing: {info.abstains}")
    quorum = tip.current.total * 2 // 3 + 1
    if info.masternode_id is not None and info.connected_power < quorum:
        text = f"connected masternodes hold {info.connected_power} of {tip.current.total} power, a quorum is {quorum}"
        yield _error("no-quorum", text)
    if chain.returning is not None:
        text = "the chain here is older than the unbonding time: nothing is adopted or signed before it is known what "
        yield _error("old-chain", f"{text}leads on from it: {chain.returning}")
    if chain.syncing:
        yield _warning("syncing", f"at block {tip.height} of {max(chain.best_height, tip.height)}")
    late = node.now_ms() - info.next_slot * 1_000
    if late > OVERDUE_MS and not chain.syncing:
        yield _error("epoch-overdue", f"epoch {info.epoch} should have closed {late // 1_000} s ago")


def _of_network(node: NodeFacade) -> Iterator[Alert]:
    network = node.network_info()
    offset = abs(network.offset_ms)
    if offset > node.parameters.clock_tolerance:
        yield _error("clock", f"the clock is off by {network.offset_ms} ms: no blocks are proposed")
    elif offset > WARN_OFFSET_MS:
        yield _warning("clock", f"the clock is off by {network.offset_ms} ms")
    if network.inbound + network.outbound == 0 and len(node.tip().current) > 1:
        yield _error("alone", "connected to nobody")
    if not network.active:
        yield _error("network-off", "networking is switched off")


def _of_machine(node: NodeFacade) -> Iterator[Alert]:
    pool, lateness, free = node.pool(), node.reactor(), node.disk_free()
    if pool.usage * 100 > pool.max_bytes * POOL_FULL_PERCENT:
        yield _warning("pool", f"the pool holds {pool.usage:,} of {pool.max_bytes:,} bytes")
    if lateness.p99_ms > WARN_LATE_MS:
        yield _warning("late", f"one in a hundred events waits {lateness.p99_ms:.0f} ms or more for the reactor")
    if free is not None and free < LOW_DISK_BYTES:
        yield _error("disk", f"{free:,} bytes are free on the disk")

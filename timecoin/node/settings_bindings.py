"""What each setting works on: the tree is bound here to the parts of the running node."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from timecoin.node.consensus_service import ConsensusService
from timecoin.node.settings import Settings
from timecoin.node.storage_service import StorageService
from timecoin.node.wallet_service import WalletService
from timecoin.ops.logs import ROOMS, Levels
from timecoin.p2p.service import P2PService
from timecoin.push.hub import Hub
from timecoin.rpc.service import RpcService

if TYPE_CHECKING:
    from timecoin.ops.manhole import ManholeService


def bind_levels(settings: Settings, levels: Levels) -> None:
    """``log.*``."""
    settings.bind("log.level", levels.set_level)
    for room in ROOMS:
        settings.bind(f"log.{room}", _room_level(levels, room))


def _room_level(levels: Levels, room: str) -> Any:
    return lambda level: levels.set_room(room, None if level == "inherit" else level)


def bind_storage(settings: Settings, storage: StorageService) -> None:
    """``storage.*``."""

    def snapshots(wanted: bool) -> None:
        storage.makes_snapshots = wanted

    settings.bind("storage.merge_keys", storage.set_merge_keys)
    settings.bind("storage.pack_hours", storage.set_pack_hours)
    settings.bind("storage.packing", storage.set_packing, lambda: storage.is_packing)
    settings.bind("storage.snapshots", snapshots)


def bind_consensus(settings: Settings, consensus: ConsensusService) -> None:
    """``mempool.*``."""

    def max_bytes(size: int) -> None:
        consensus.participant.finality.pool.max_bytes = size

    settings.bind("mempool.max_bytes", max_bytes)


def bind_p2p(settings: Settings, p2p: P2PService) -> None:
    """``p2p.*``."""
    settings.bind("p2p.max_inbound", p2p.set_max_inbound)
    settings.bind("p2p.max_outbound", p2p.set_max_outbound)
    settings.bind("p2p.rate_percent", p2p.set_rate_percent)


def bind_rpc(settings: Settings, service: RpcService) -> None:
    """``rpc.*``; settings that RPC itself answers to."""
    factory, dispatcher = service.factory, service.dispatcher

    def limit(**values: Any) -> None:
        factory.limits = replace(factory.limits, **values)

    def max_batch(count: int) -> None:
        dispatcher.bounds = replace(dispatcher.bounds, batch=count)

    service.context.settings = settings
    settings.bind("rpc.max_batch", max_batch)
    settings.bind("rpc.max_connections", lambda value: limit(connections=value))
    settings.bind("rpc.max_request_bytes", lambda value: limit(request_bytes=value))
    settings.bind("rpc.timeout", lambda value: limit(timeout=value))


def bind_push(settings: Settings, hub: Hub) -> None:
    """``push.*``."""

    def limit(**values: Any) -> None:
        hub.limits = replace(hub.limits, **values)

    settings.bind("push.max_clients", lambda value: limit(clients=value))
    settings.bind("push.buffer", lambda value: limit(buffer=value))


def bind_wallets(settings: Settings, wallets: WalletService) -> None:
    """``wallet.*``."""
    settings.bind("wallet.gap_limit", wallets.set_gap_limit)
    settings.bind("wallet.payments_ahead", wallets.set_payments_ahead)


def bind_manhole(settings: Settings, manhole: ManholeService) -> None:
    """``manhole.*``."""

    def command_seconds(seconds: int) -> None:
        manhole.watch.limit = float(seconds)

    settings.bind("manhole.idle_minutes", lambda minutes: manhole.set_idle_seconds(60 * minutes))
    settings.bind("manhole.command_seconds", command_seconds)

"""The manhole of this node: its handles, its help, its service."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from timecoin.node.config import Config
from timecoin.node.manhole_handles import (
    ChainView,
    ConsensusView,
    FinalityView,
    MempoolView,
    NodeView,
    PeersView,
)
from timecoin.node.manhole_help import BANNER, Help
from timecoin.node.manhole_settings import SettingsView
from timecoin.node.manhole_wallet import wallet_handle
from timecoin.node.root import StartRefused
from timecoin.node.settings import Settings
from timecoin.ops.manhole import ManholeService
from timecoin.ops.manhole_access import KeysFileError
from timecoin.ops.manhole_hostkeys import HostKeyError
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.face_insight import Insight
from timecoin.rpc.face_wallet import Wallets


class NodeManhole(ManholeService):
    """The service, whose troubles at the start are one line for the operator."""

    def startService(self) -> Deferred[None]:
        """Listen; fails with ``StartRefused``."""
        return super().startService().addErrback(_refuse)


def _refuse(failure: Any) -> None:
    failure.trap(KeysFileError, HostKeyError)
    raise StartRefused(str(failure.value)) from failure.value


def handles(node: NodeFacade, settings: Settings, insight: Insight, wallets: Wallets | None) -> dict[str, object]:
    """The documented names of a session, in the order in which help shows them."""
    return {
        "node": NodeView(node),
        "chain": ChainView(node),
        "mempool": MempoolView(node),
        "finality": FinalityView(node),
        "peers": PeersView(node),
        "consensus": ConsensusView(node, insight),
        "settings": SettingsView(settings),
        **wallet_handle(wallets),
    }


def make_manhole(
    config: Config,
    reactor: Any,
    node: NodeFacade,
    settings: Settings,
    insight: Insight,
    wallets: Wallets | None = None,
) -> ManholeService:
    """The service as ``[manhole]`` wants it."""
    assert config.manhole.authorized_keys is not None

    def namespace() -> dict[str, Any]:
        names = handles(node, settings, insight, wallets)
        return {**names, "help": Help(names, service.watch.limit)}

    service = NodeManhole(
        reactor,
        config.manhole_endpoints,
        config.manhole.authorized_keys,
        config.data_dir,
        namespace,
        idle_seconds=60 * config.manhole.idle_minutes,
        banner=BANNER,
    )
    return service

"""The section [rpc] of node.ini as the RPC server wants it."""

from __future__ import annotations

from timecoin.node.config import RpcSection
from timecoin.rpc.auth import Users
from timecoin.rpc.dispatch import Bounds
from timecoin.rpc.server import Limits

_STRICT = {"auto": None, "yes": True, "no": False}


def rpc_options(rpc: RpcSection) -> tuple[Limits, Bounds, Users]:
    """Bounds on clients, bounds on the work of calls, and who may call."""
    return (
        Limits(rpc.max_connections, rpc.max_request_bytes, rpc.timeout, rpc.allow_ip),
        Bounds(
            batch=rpc.max_batch,
            cost=rpc.max_cost,
            queue=rpc.work_queue,
            answer_bytes=rpc.max_answer_bytes,
            seconds=rpc.call_seconds,
        ),
        Users(rpc.auth, rpc.whitelist, _STRICT[rpc.whitelist_default]),
    )

"""RPC methods about the node itself."""

from __future__ import annotations

from typing import TypedDict, cast

from timecoin.rpc.codec import JsonObject
from timecoin.rpc.errors import METHOD_NOT_FOUND, RpcError
from timecoin.rpc.openrpc import document
from timecoin.rpc.table import Context, method


def help_text(context: Context, command: str = "") -> str:
    """The list of methods by category, or how to call one of them.

    :param command: the method; left out for the list of all
    :returns: the text
    :error -32601: there is no such method
    """
    if command:
        found = context.methods.get(command)
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, f"help: unknown command: {command}")
        return found.text
    lines: list[str] = []
    for category in sorted({each.category for each in context.methods.values()}):
        members = sorted(each.usage for each in context.methods.values() if each.category == category)
        lines += [f"== {category} ==", *members, ""]
    return "\n".join(lines).rstrip()


def stop(context: Context) -> str:
    """Stop the node in an orderly way.

    :returns: a farewell; the node ends soon after it
    """
    context.node.stop()
    return "TimeCoin node stopping"


def uptime(context: Context) -> int:
    """How long the node has been running.

    :returns: seconds since the node started
    """
    return (context.node.now_ms() - context.node.started_ms()) // 1000


class ActiveCommand(TypedDict):
    """A call under way; ``duration`` in microseconds."""

    method: str
    duration: int


class ReactorLateness(TypedDict):
    """How late the reactor ran what was due, in milliseconds, over its newest samples."""

    samples: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float


class RpcInfo(TypedDict):
    """The RPC server at work. ``logpath``: the file of the node's log, empty when it goes elsewhere (standard output,
    syslog)."""

    active_commands: list[ActiveCommand]
    logpath: str
    reactor: ReactorLateness


def getrpcinfo(context: Context) -> RpcInfo:
    """The RPC server at work: calls under way, and how late the reactor is.

    :returns: the calls with their durations in microseconds, and the reactor's lateness in milliseconds
    """
    now, reactor = context.node.now_ms(), context.node.reactor()
    return {
        "active_commands": [
            {"method": each.method, "duration": 1000 * (now - each.since_ms)} for each in context.active.values()
        ],
        "logpath": context.log_path(),
        "reactor": {
            "samples": reactor.samples,
            "late_p50_ms": reactor.p50_ms,
            "late_p99_ms": reactor.p99_ms,
            "late_max_ms": reactor.max_ms,
        },
    }


class OpenRpcDocument(TypedDict):
    """A document in the sense of https://spec.open-rpc.org."""

    openrpc: str
    info: JsonObject
    methods: list[JsonObject]
    components: JsonObject


async def discover(context: Context) -> OpenRpcDocument:
    """The OpenRPC document of this node: all methods with their parameters, results and errors.

    :returns: the document
    """
    return cast(OpenRpcDocument, await context.aside(document, context.methods))


METHODS = (
    method("Control", discover, name="rpc.discover", while_starting=True, cost=10),
    method("Control", getrpcinfo),
    method("Control", help_text, name="help", while_starting=True),
    method("Control", stop, while_starting=True),
    method("Control", uptime, while_starting=True),
)

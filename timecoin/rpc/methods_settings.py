"""RPC methods about settings that take effect while the node runs."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypedDict

from timecoin.rpc.errors import INVALID_PARAMETER, METHOD_NOT_FOUND, MISC_ERROR, RpcError
from timecoin.rpc.face_settings import BadValue, SettingError, SettingsTree, Shown, UnknownSetting
from timecoin.rpc.kinds import Kind, expect
from timecoin.rpc.table import Context, method


def _read_value(value: Any, name: str) -> str | int | bool:
    expect(value, "string", "number", "bool")
    if not isinstance(value, str | int):
        raise RpcError(INVALID_PARAMETER, f"{name} must be a text, a whole number or a truth value")
    return value


VALUE: Final = Kind(
    "string, numeric or boolean",
    frozenset({"string", "number", "bool"}),
    _read_value,
    {"type": ["string", "integer", "boolean"]},
)
ValueArg = Annotated[str | int | bool, VALUE]


class SettingInfo(TypedDict):
    """A setting; ``origin`` is default, file (node.ini), kept (settings.json) or run time."""

    path: str
    value: str | int | bool
    origin: str
    configured: str
    allowed: str
    description: str
    persistable: bool


class SettingChange(TypedDict):
    """A change since the start; ``time`` in seconds since the Unix epoch."""

    time: int
    path: str
    before: str
    after: str
    by: str
    persisted: bool


class SettingsInfo(TypedDict):
    """The settings and what was changed."""

    settings: list[SettingInfo]
    changes: list[SettingChange]


def getsettings(context: Context, path: str = "") -> SettingsInfo:
    """The settings that can be changed while the node runs, and the changes since it started.

    :param path: a setting such as p2p.max_inbound, or a group such as p2p; left out for all
    :returns: the settings with what is allowed, and the changes to them, oldest first
    :error -8: there is no such setting
    """
    settings = _settings(context)
    try:
        shown = settings.describe(path)
    except SettingError as problem:
        raise _refused(problem) from None
    return {
        "settings": [_info(each) for each in shown],
        "changes": [
            {
                "time": each.time_ms // 1000,
                "path": each.path,
                "before": each.before,
                "after": each.after,
                "by": each.by,
                "persisted": each.kept,
            }
            for each in settings.changes()
            if not path or each.path == path or each.path.startswith(f"{path}.")
        ],
    }


async def setsetting(context: Context, path: str, value: ValueArg, persist: bool = False) -> SettingInfo:
    """Change a setting of the running node.

    :param path: the setting, such as p2p.max_inbound
    :param value: the new value, as in node.ini, or as a number or truth value
    :param persist: whether the next starts shall have it, too (settings.json in the data directory)
    :returns: the setting as it is now
    :error -8: there is no such setting, or it may not have this value; nothing has changed
    :error -1: the setting was not taken, or could not be stored; nothing has changed
    """
    settings = _settings(context)
    try:
        if persist:
            await settings.keep(path, value, _by(context))
        else:
            settings.set(path, value, _by(context))
        return _info(settings.show(path))
    except SettingError as problem:
        raise _refused(problem) from None


async def resetsetting(context: Context, path: str) -> SettingInfo:
    """Let a setting have the value of node.ini again, now and at the next starts.

    :param path: the setting, such as p2p.max_inbound
    :returns: the setting as it is now
    :error -8: there is no such setting
    :error -1: the setting was not taken, or could not be stored; nothing has changed
    """
    settings = _settings(context)
    try:
        await settings.reset(path, _by(context))
        return _info(settings.show(path))
    except SettingError as problem:
        raise _refused(problem) from None


def _settings(context: Context) -> SettingsTree:
    if context.settings is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found (no settings in this node)")
    return context.settings


def _refused(problem: SettingError) -> RpcError:
    code = INVALID_PARAMETER if isinstance(problem, UnknownSetting | BadValue) else MISC_ERROR
    return RpcError(code, str(problem))


def _by(context: Context) -> str:
    return f"RPC user {context.caller.user or '?'}"


def _info(shown: Shown) -> SettingInfo:
    return {
        "path": shown.path,
        "value": shown.value,
        "origin": shown.origin,
        "configured": shown.configured,
        "allowed": shown.allowed,
        "description": shown.doc,
        "persistable": shown.kept,
    }


METHODS = (
    method("Control", getsettings),
    method("Control", setsetting),
    method("Control", resetsetting),
)

"""A settings tree for RPC tests: the levels of two rooms' logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from timecoin.rpc.face_settings import SettingsTree, Shown
from timecoin.rpc.table import Context


class FakeSettings:
    """As much of ``rpc.face_settings.SettingsTree`` as the log's levels need."""

    def __init__(self) -> None:
        self.values = {"log.level": "info", "log.p2p": "inherit", "log.rpc": "debug", "p2p.max_inbound": "64"}

    def describe(self, prefix: str = "") -> Sequence[Shown]:
        return [Shown(path, text, text, "default", text, "", "", False) for path, text in self.values.items()]

    def set(self, path: str, value: str, by: str = "") -> None:
        self.values[path] = value


def with_rooms(context: Context) -> None:
    """Give a context such settings."""
    context.settings = cast(SettingsTree, FakeSettings())

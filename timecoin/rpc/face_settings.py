"""What RPC asks of the settings that change while the node runs: the only face between it and ``node.settings``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred


class SettingError(Exception):
    """A setting cannot be read or changed like this; nothing was changed. ``str()`` is one line."""


class UnknownSetting(SettingError):
    """There is no such setting."""


class BadValue(SettingError):
    """The value is not allowed."""


class NotAvailable(SettingError):
    """The part of the node that the setting works on does not run, or refused."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as people see it.

    ``value`` is a text, a whole number or a truth value, ``text`` the same as node.ini has it. ``origin`` is default,
    file, kept or run time. ``configured`` is what node.ini or the default says; ``kept``: whether a change may outlive
    the node.
    """

    path: str
    value: Any
    text: str
    origin: str
    configured: str
    allowed: str
    doc: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A change at run time (milliseconds since the Unix epoch); ``by`` names who asked for it."""

    time_ms: int
    path: str
    before: str
    after: str
    by: str
    kept: bool


class SettingsTree(Protocol):
    """The settings; see ``node.settings.Settings``."""

    def show(self, path: str) -> Shown:
        """A setting. Raises ``UnknownSetting``, ``NotAvailable``."""

    def describe(self, prefix: str = "") -> Sequence[Shown]:
        """All that can be set now, or those at and below ``prefix``. Raises ``UnknownSetting``."""

    def changes(self) -> Sequence[Change]:
        """What was changed since the start, oldest first; bounded."""

    def set(self, path: str, value: object, by: str = "") -> Any:
        """Change one until the node stops. Raises ``SettingError``."""

    def keep(self, path: str, value: object, by: str = "") -> Deferred[Any]:
        """Change one for the next starts, too. Fails with ``SettingError``."""

    def reset(self, path: str, by: str = "") -> Deferred[Any]:
        """Back to what node.ini says. Fails with ``SettingError``."""

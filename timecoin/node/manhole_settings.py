"""The settings tree as the manhole shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from timecoin.node.manhole_tables import Table, when
from timecoin.node.settings import Settings
from timecoin.ops.manhole_mistake import Mistake
from timecoin.ops.manhole_watch import shielded
from timecoin.rpc.face_settings import SettingError

_BY = "manhole"


@contextmanager
def _told() -> Iterator[None]:
    """A setting that is none, or a value that is not allowed, is a mistake and no fault of the node."""
    try:
        yield
    except SettingError as problem:
        raise Mistake(str(problem)) from None


def _tell(failure: Failure) -> Failure:
    return Failure(Mistake(str(failure.value))) if failure.check(SettingError) else failure


class SettingsView:
    """What can be changed while the node runs; the only handle that changes something."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def table(self) -> Table:
        """All settings, their values and where these come from."""
        return self.find("")

    def __repr__(self) -> str:
        return repr(self.table())

    def find(self, prefix: str = "") -> Table:
        """The settings below a path, such as "p2p"."""
        rows = [(each.path, each.text, each.origin, each.configured) for each in self._settings.describe(prefix)]
        return Table("settings", rows, ("path", "value", "origin", "in node.ini"))

    def get(self, path: str) -> Table:
        """One setting, with what it means and what is allowed."""
        with _told():
            shown = self._settings.show(path)
        rows = [
            ("value", shown.text),
            ("origin", shown.origin),
            ("in node.ini", shown.configured),
            ("allowed", shown.allowed),
            ("can be kept", shown.kept),
        ]
        return Table(path, rows, note=shown.doc)

    def set(self, path: str, value: Any) -> Any:
        """Change a setting until the node stops; shows its new value."""
        with _told():
            return shielded(partial(self._settings.set, path, value, _BY))

    def keep(self, path: str, value: Any) -> Deferred[Any]:
        """Change a setting for the next starts, too (settings.json in the data directory)."""
        with _told():
            return shielded(partial(self._settings.keep, path, value, _BY)).addErrback(_tell)

    def reset(self, path: str) -> Deferred[Any]:
        """Go back to what node.ini says, and keep nothing else."""
        with _told():
            return shielded(partial(self._settings.reset, path, _BY)).addErrback(_tell)

    def changes(self) -> Table:
        """What was changed since the start, and who did it."""
        rows = [(when(each.time_ms), each.path, each.before, each.after, each.by) for each in self._settings.changes()]
        return Table("changes", rows, ("time", "path", "before", "after", "by"))

"""What can be read and changed while the node runs: one tree of settings for RPC and the manhole.

A setting is declared in ``node.settings_table`` and *bound* by the wiring to the part of the node that it works on,
once that part exists; from then on it can be set. Only what really takes effect at run time is here. A change lasts
until the node stops, unless it is kept: then it is in ``settings.json`` in the data directory, which goes before
node.ini at the next start.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from timecoin.node.config_kinds import Kind
from timecoin.rpc.face_settings import BadValue, Change, NotAvailable, SettingError, Shown, UnknownSetting

T = TypeVar("T")
_MAX_CHANGES = 200
_MAX_TEXT = 200
_BASE = Path("/")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A declared setting: ``configured`` is its value as node.ini or the default has it, as text.

    ``in_file``: node.ini says so, it is not the default. ``kept``: whether a change may outlive the node.
    """

    path: str
    kind: Kind[T]
    doc: str
    configured: str
    in_file: bool = False
    kept: bool = True


@dataclass(slots=True)
class _Bound:
    apply: Callable[[Any], None]
    read: Callable[[], Any] | None


class Settings:
    """The tree. ``save`` writes the kept ones (path to text) and fires once that is durable, or fails with OSError."""

    _log = Logger()

    def __init__(
        self,
        declared: Iterable[Setting[Any]],
        kept: Mapping[str, str],
        save: Callable[[dict[str, str]], Deferred[None]],
        now_ms: Callable[[], int],
    ) -> None:
        """``kept`` are the values of settings.json. Raises ``SettingError`` when one of them is not allowed."""
        self._declared = {each.path: each for each in declared}
        self._save = save
        self._now_ms = now_ms
        self._lock = DeferredLock()
        self._bound: dict[str, _Bound] = {}
        self._texts = {path: each.configured for path, each in self._declared.items()}
        self._origins = {path: "file" if each.in_file else "default" for path, each in self._declared.items()}
        self._kept: dict[str, str] = {}
        self._changes: deque[Change] = deque(maxlen=_MAX_CHANGES)
        for path, text in kept.items():
            self._take_kept(path, text)

    def _take_kept(self, path: str, text: str) -> None:
        setting = self._find(path)
        if not setting.kept:
            raise BadValue(f"{path} cannot be kept")
        _read(setting, text)
        self._kept[path] = self._texts[path] = text
        self._origins[path] = "kept"

    @property
    def kept(self) -> dict[str, str]:
        """What outlives this run: paths to texts."""
        return dict(self._kept)

    def bind(self, path: str, apply: Callable[[Any], None], read: Callable[[], Any] | None = None) -> None:
        """Say what a setting works on; a kept value is applied now. ``read`` when the value changes by itself."""
        setting = self._declared[path]
        self._bound[path] = _Bound(apply, read)
        if path in self._kept:
            apply(_read(setting, self._texts[path]))
            self._log.info("setting {path} = {text} (kept in settings.json)", path=path, text=self._texts[path])

    # Reading

    def get(self, path: str) -> Any:
        """The value of a setting. Raises ``UnknownSetting``."""
        return self.show(path).value

    def show(self, path: str) -> Shown:
        """A setting with all that is to be said of it. Raises ``UnknownSetting``, ``NotAvailable``."""
        setting = self._find(path)
        bound = self._bound.get(path)
        if bound is None:
            raise NotAvailable(f"{path} works on a part of the node that does not run")
        value = _read(setting, self._texts[path]) if bound.read is None else bound.read()
        text = self._texts[path] if bound.read is None else _as_text(value)
        return Shown(
            path, value, text, self._origins[path], setting.configured, setting.kind.allowed, setting.doc, setting.kept
        )

    def describe(self, prefix: str = "") -> list[Shown]:
        """All settings that can be set now, or those at and below ``prefix``. Raises ``UnknownSetting`` for none."""
        paths = [path for path in self._declared if not prefix or path == prefix or path.startswith(prefix + ".")]
        if not paths:
            raise UnknownSetting(f"there is no setting {prefix[:_MAX_TEXT]!r}{self._guess(prefix)}")
        return [self.show(path) for path in paths if path in self._bound]

    def changes(self) -> tuple[Change, ...]:
        """What was changed since the start, oldest first."""
        return tuple(self._changes)

    # Changing

    def set(self, path: str, value: object, by: str = "") -> Any:
        """Change a setting until the node stops; returns its new value. Raises ``SettingError``: nothing has changed.

        ``value`` is text as in node.ini, or a number or truth value; ``by`` says in log and changes who wanted it.
        """
        setting, bound, text, read = self._prepare(path, value)
        return self._change(setting, bound, text, read, "run time", by)

    def keep(self, path: str, value: object, by: str = "") -> Deferred[Any]:
        """Change a setting for this run and the next ones; fires with its value once that is on disk."""
        return _to_the_end(self._lock.run(lambda: Deferred.fromCoroutine(self._keep(path, value, by))))

    def reset(self, path: str, by: str = "") -> Deferred[Any]:
        """Go back to what node.ini says, for good; fires with that value."""
        return _to_the_end(self._lock.run(lambda: Deferred.fromCoroutine(self._reset(path, by))))

    async def _keep(self, path: str, value: object, by: str) -> Any:
        setting, bound, text, read = self._prepare(path, value)
        if not setting.kept:
            raise BadValue(f"{path} cannot be kept")
        before, wanted = self._kept, {**self._kept, path: text}
        await self._write(wanted)
        try:
            return self._change(setting, bound, text, read, "kept", by)
        except SettingError:
            await self._write(before)
            raise

    async def _reset(self, path: str, by: str) -> Any:
        setting, bound, text, read = self._prepare(path, self._find(path).configured)
        if path in self._kept:
            await self._write({each: kept for each, kept in self._kept.items() if each != path})
        return self._change(setting, bound, text, read, "file" if setting.in_file else "default", by)

    def _prepare(self, path: str, value: object) -> tuple[Setting[Any], _Bound, str, Any]:
        setting = self._find(path)
        text = _as_text(value).strip()
        read = _read(setting, text)
        bound = self._bound.get(path)
        if bound is None:
            raise NotAvailable(f"{path} works on a part of the node that does not run")
        return setting, bound, text, read

    def _change(self, setting: Setting[Any], bound: _Bound, text: str, value: Any, origin: str, by: str) -> Any:
        path, before = setting.path, self.show(setting.path).text
        try:
            bound.apply(value)
        except Exception as problem:
            self._log.failure("setting {path} was not taken", path=path)
            raise NotAvailable(f"{path} was not taken: {problem}") from problem
        self._texts[path], self._origins[path] = text, origin
        self._changes.append(Change(self._now_ms(), path, before, text, by[:_MAX_TEXT], origin == "kept"))
        self._log.info("setting {path}: {before} -> {text}, by {by}", path=path, before=before, text=text, by=by or "?")
        return value

    async def _write(self, kept: dict[str, str]) -> None:
        try:
            await self._save(kept)
        except OSError as problem:
            raise NotAvailable(f"settings.json cannot be written: {problem.strerror or problem}") from None
        self._kept = kept

    def _find(self, path: str) -> Setting[Any]:
        found = self._declared.get(path)
        if found is None:
            raise UnknownSetting(f"there is no setting {path[:_MAX_TEXT]!r}{self._guess(path)}")
        return found

    def _guess(self, path: str) -> str:
        close = difflib.get_close_matches(path[:_MAX_TEXT], self._declared, n=1)
        return f" (did you mean {close[0]}?)" if close else ""


def _to_the_end(work: Deferred[T]) -> Deferred[T]:
    """The result of work that goes on when nobody waits for it any more: half-way, file and node would differ."""
    waiting: Deferred[T] = Deferred()
    work.addCallbacks(waiting.callback, waiting.errback)
    return waiting


def _read(setting: Setting[T], text: str) -> T:
    try:
        return setting.kind.read(text, _BASE)
    except (ValueError, KeyError, RuntimeError):
        raise BadValue(f"{setting.path} = {text[:_MAX_TEXT]!r}: must be {setting.kind.allowed}") from None


def _as_text(value: object) -> str:
    """A value as node.ini would have it. Raises ``BadValue`` for what has no such form."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    raise BadValue("a value is a text, a whole number or yes or no")

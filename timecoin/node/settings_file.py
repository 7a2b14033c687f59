"""``settings.json`` in the data directory: the settings that were changed at run time and shall stay changed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from timecoin.rpc.face_settings import SettingError
from timecoin.storage.files import read_optional, write_atomic

SETTINGS_FILE = "settings.json"
_MAX_BYTES = 1_000_000


def read_kept(path: Path) -> dict[str, str]:
    """Paths of settings to texts; nothing when there is no file. Raises ``SettingError`` with one line."""
    try:
        data = read_optional(path)
    except OSError as problem:
        raise SettingError(f"{path}: cannot be read: {problem.strerror}") from None
    if data is None:
        return {}
    if len(data) > _MAX_BYTES:
        raise SettingError(f"{path}: is larger than 1 MB")
    try:
        return msgspec.json.decode(data, type=dict[str, str])
    except msgspec.MsgspecError as problem:
        raise SettingError(f"{path}: must be a JSON object of texts: {problem}") from None


def write_kept(path: Path, kept: dict[str, str]) -> None:
    """Replace the file, durably; without settings it goes away. Raises OSError."""
    if kept:
        write_atomic(path, msgspec.json.format(msgspec.json.encode(dict(sorted(kept.items()))), indent=1) + b"\n")
    else:
        path.unlink(missing_ok=True)

"""The saved corpus: small files, a directory for each target."""

from __future__ import annotations

from pathlib import Path

SAVED = Path(__file__).with_name("corpus")
MAX_FILES, MAX_BYTES = 40, 1_500_000


def saved(target: str) -> list[bytes]:
    """The saved inputs of a target, in the order of their names."""
    folder = SAVED / target
    return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.is_dir() else []

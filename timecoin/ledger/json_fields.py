"""Taking an object of the genesis file apart, key by key; every error names the key it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .canonical import Json

_AMOUNT: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")


class GenesisError(ValueError):
    """A genesis that no network can start from; ``key`` is the culprit's path, as in ``parameters.dust``."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class Fields:
    """The object at ``path`` with exactly ``names`` as keys; raises GenesisError for any other shape."""

    def __init__(self, value: Json, path: str, names: Iterable[str]) -> None:
        if not isinstance(value, dict):
            raise GenesisError(path or "genesis", "must be an object")
        self._value = value
        self._path = path
        known = list(names)
        for key in sorted(value.keys() - set(known)):
            raise GenesisError(self.key(key), "unknown key")
        for key in known:
            if key not in value:
                raise GenesisError(self.key(key), "missing")

    def key(self, name: str) -> str:
        """Path of one key, for errors."""
        return f"{self._path}.{name}" if self._path else name

    def raw(self, name: str) -> Json:
        """The value as read."""
        return self._value[name]

    def integer(self, name: str, least: int = 0, most: int = 2**53 - 1) -> int:
        """An integer from ``least`` to ``most``."""
        value = self._value[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise GenesisError(self.key(name), "must be an integer")
        if not least <= value <= most:
            raise GenesisError(self.key(name), f"must be from {least} to {most}")
        return value

    def string(self, name: str) -> str:
        """A string."""
        value = self._value[name]
        if not isinstance(value, str):
            raise GenesisError(self.key(name), "must be a string")
        return value

    def amount(self, name: str) -> int:
        """Base units, written as a decimal string because they may pass 2^53."""
        text = self.string(name)
        if not _AMOUNT.fullmatch(text):
            raise GenesisError(self.key(name), "must be a string of decimal digits (base units)")
        return int(text)

    def data(self, name: str, size: int) -> bytes:
        """``size`` bytes, written in lower-case hexadecimal."""
        text = self.string(name)
        if not _HEX.fullmatch(text) or len(text) != 2 * size:
            raise GenesisError(self.key(name), f"must be {2 * size} lower-case hexadecimal digits")
        return bytes.fromhex(text)

    def items(self, name: str) -> list[tuple[str, Json]]:
        """The (path, item) pairs of a list."""
        value = self._value[name]
        if not isinstance(value, list):
            raise GenesisError(self.key(name), "must be a list")
        return [(f"{self.key(name)}[{i}]", item) for i, item in enumerate(value)]

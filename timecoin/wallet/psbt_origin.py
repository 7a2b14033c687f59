"""Where a key comes from: fingerprint of a master key and the path from there (BIP 32, as BIP 174 stores it)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from timecoin.wallet.paths import format_path
from timecoin.wallet.psbt_errors import MalformedPsbt

MAX_DEPTH: Final = 255
"""Steps of a path, at most: BIP 32 keeps the depth in one byte."""

_FINGERPRINT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class KeyOrigin:
    """``fingerprint``: 4 bytes; ``path``: child numbers, bit 31 set in hardened ones."""

    fingerprint: bytes
    path: tuple[int, ...] = ()

    @classmethod
    def decode(cls, data: bytes) -> KeyOrigin:
        """From the value of a BIP 32 derivation; raises :class:`MalformedPsbt`."""
        depth, odd = divmod(len(data) - _FINGERPRINT_BYTES, 4)
        if odd or not 0 <= depth <= MAX_DEPTH:
            raise MalformedPsbt("Invalid length for HD key path")
        return cls(data[:_FINGERPRINT_BYTES], struct.unpack_from(f"<{depth}I", data, _FINGERPRINT_BYTES))

    def encode(self) -> bytes:
        """Fingerprint ‖ child numbers, u32 each."""
        return self.fingerprint + struct.pack(f"<{len(self.path)}I", *self.path)

    @property
    def shown(self) -> str:
        """The path as people write it: ``m/84h/1h/0h/0/5``."""
        return "/".join(filter(None, ("m", format_path(self.path))))

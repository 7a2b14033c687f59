"""How the script book's entries stand in the store's tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from timecoin.ledger.networks import Network
from timecoin.primitives.codec import DecodeError, Reader, var_bytes

from .descriptors import Descriptor
from .errors import BadDescriptor, BadRecord

__all__ = [
    "DESCRIPTORS",
    "LABELS",
    "SCRIPTS",
    "BookEntry",
    "decode_entry",
    "decode_script",
    "encode_script",
    "script_key",
]

DESCRIPTORS: Final = "descriptors"
"""Descriptor id → what the book knows of it."""

SCRIPTS: Final = "scripts"
"""Number of the descriptor ‖ index (u32 each, big-endian) → used (u8) ‖ script."""

LABELS: Final = "labels"
"""Script → label (UTF-8)."""

_FORMAT: Final = 1
_TEXT_LIMIT: Final = 20_000


@dataclass(slots=True)
class BookEntry:
    """One descriptor of the book; ``number`` counts them as they were added and is never used again.

    ``scripts`` holds those of the indexes ``first`` ≤ i < ``end``; the rest is said at ``book.Listed``.
    """

    number: int
    descriptor: Descriptor
    chain: int
    active: bool
    created: int
    first: int
    next_index: int
    used: int
    label: str
    scripts: list[bytes] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The first index that is not watched."""
        return self.first + len(self.scripts)

    def encode(self) -> bytes:
        """The record, without the scripts."""
        numbers = (self.number, self.first, self.next_index, self.used)
        return b"".join(
            (
                bytes((_FORMAT, self.chain, self.active)),
                self.created.to_bytes(8, "little"),
                *(number.to_bytes(4, "little") for number in numbers),
                var_bytes(self.label.encode("utf-8")),
                var_bytes(self.descriptor.public_text.encode("ascii")),
            )
        )


def decode_entry(data: bytes, network: Network) -> BookEntry:
    """What :meth:`BookEntry.encode` gave, without scripts; ``BadRecord``."""
    try:
        reader = Reader(data)
        form, chain, active = reader.u8(), reader.u8(), reader.u8()
        created = reader.u64()
        number, first, next_index, used = reader.u32(), reader.u32(), reader.u32(), reader.u32()
        label = reader.var_bytes(_TEXT_LIMIT).decode("utf-8")
        text = reader.var_bytes(_TEXT_LIMIT).decode("ascii")
        reader.finish()
        descriptor = Descriptor.parse(text, network, checksum_required=True)
    except (DecodeError, UnicodeDecodeError, BadDescriptor) as error:
        raise BadRecord(f"a stored descriptor does not read back: {error}") from None
    if form != _FORMAT or chain > 1 or active > 1:
        raise BadRecord("a stored descriptor is of another version")
    return BookEntry(number, descriptor, chain, bool(active), created, first, next_index, used, label)


def script_key(number: int, index: int) -> bytes:
    """The key of a script in :data:`SCRIPTS`."""
    return number.to_bytes(4, "big") + index.to_bytes(4, "big")


def encode_script(script: bytes, used: bool) -> bytes:
    """The value of a script in :data:`SCRIPTS`."""
    return bytes((used,)) + script


def decode_script(key: bytes, value: bytes) -> tuple[int, int, bytes, bool]:
    """(number of the descriptor, index, script, used) of a record in :data:`SCRIPTS`; ``BadRecord``."""
    if len(key) != 8 or len(value) < 2 or value[0] > 1:
        raise BadRecord("a stored script does not read back")
    return int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big"), value[1:], bool(value[0])

"""JSON as RPC speaks it: exact decimals instead of floats both ways, amounts with eight places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeAlias

import msgspec

from timecoin.primitives.amounts import format_amount

#: An amount in a result: a JSON number of TIME with eight places, made by :func:`amount`.
Amount: TypeAlias = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]
#: A hash, txid or block hash in a result, as displayed: 64 lower-case hex digits.
HashText: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
#: Bytes in a result, as lower-case hex.
HexText: TypeAlias = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$")]
#: An object in a result whose members are described elsewhere.
JsonObject: TypeAlias = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"type": "object"})]

_MAX_NUMBER, _MAX_VALUES, _LOOK = 100, 50_000, 1 << 20


def _number(text: str) -> Decimal:
    """A number with a point or an exponent; no amount of digits that somebody would have to calculate with."""
    if len(text) > _MAX_NUMBER:
        raise ValueError("a number of too many digits")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number beyond all bounds") from None


_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(data: bytes) -> Any:
    """The value of a JSON text, ``Decimal`` for numbers with a point or exponent. Raises ValueError."""
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode(value: Any) -> bytes:
    """``value`` as JSON text."""
    return _encoder.encode(value)


def has_many_values(data: bytes) -> bool:
    """Whether a JSON text may hold over 50,000 values, which would take long to read: by its commas and opening
    brackets, also of those in strings."""
    found = 0
    for start in range(0, len(data) if len(data) > _MAX_VALUES else 0, _LOOK):
        found += sum(data.count(each, start, start + _LOOK) for each in (b",", b"[", b"{"))
        if found > _MAX_VALUES:
            return True
    return False


class Encoded:
    """JSON text in pieces that stands for the value it holds; it is put together once, with what is around it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = tuple(pieces)


_CHUNK, _DEPTH = 100, 2


def pieces(value: Any, depth: int = _DEPTH) -> Iterator[bytes]:
    """The JSON text of a value in pieces, large arrays and objects of the outer levels in steps."""
    if depth and isinstance(value, dict):
        yield from _object_pieces(value, depth)
    elif depth and isinstance(value, list) and len(value) > 1:
        yield from _array_pieces(value, depth)
    elif isinstance(value, msgspec.Raw):
        yield bytes(value)
    else:
        yield encode(value)


def _object_pieces(value: dict[Any, Any], depth: int) -> Iterator[bytes]:
    separator = b"{"
    for key, member in value.items():
        yield separator + encode(str(key)) + b":"
        yield from pieces(member, depth - 1)
        separator = b","
    yield b"}" if value else b"{}"


def _array_pieces(value: list[Any], depth: int) -> Iterator[bytes]:
    separator = b"["
    for start in range(0, len(value), _CHUNK):
        yield separator + encode(value[start : start + _CHUNK])[1:-1]
        separator = b","
    yield b"]"


def amount(units: int) -> Amount:
    """Base units as a JSON number of TIME with eight places, such as ``0.10000000``."""
    return msgspec.Raw(format_amount(units).encode("ascii"))

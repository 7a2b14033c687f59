"""JSON as RPC speaks it: exact decimals instead of floats both ways, amounts with eight places."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from timecoin.primitives.amounts import format_amount

_decoder = msgspec.json.Decoder(float_hook=Decimal)
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


def amount(units: int) -> msgspec.Raw:
    """Base units as a JSON number of TIME with eight places, such as ``0.10000000``."""
    return msgspec.Raw(format_amount(units).encode("ascii"))

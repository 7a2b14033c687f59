"""Amounts of money: base units inside, decimal TIME with eight places for people. No floats anywhere."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

__all__ = ["COIN", "DECIMALS", "AmountError", "format_amount", "parse_amount"]

DECIMALS: Final = 8

COIN: Final = 10**DECIMALS
"""Base units in one TIME."""

_LIMIT: Final = 1 << 63
_DECIMAL_TEXT: Final = re.compile(rf"([0-9]{{1,19}})(?:\.([0-9]{{1,{DECIMALS}}}))?")


class AmountError(ValueError):
    """Not an amount of TIME that base units can express."""


def format_amount(units: int) -> str:
    """``units`` base units as TIME with exactly eight decimals, such as ``-0.00000001``."""
    whole, rest = divmod(abs(units), COIN)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{DECIMALS}d}"


def _text_of(amount: str | int | Decimal) -> str:
    if isinstance(amount, str):
        return amount
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise AmountError(f"an amount is text, an int or a Decimal, not {type(amount).__name__}")
    if isinstance(amount, Decimal):
        return _plain(amount)
    return str(amount) if 0 <= amount < _LIMIT else "too many"


def _plain(amount: Decimal) -> str:
    """``amount`` without exponent or superfluous zeros; what is not an amount stays unparsable."""
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int) or not -30 < exponent < 20 or len(digits) > 40:
        return "not a finite amount"
    text = f"{abs(amount):f}"
    whole, _dot, rest = text.partition(".")
    rest = rest.rstrip("0")
    plain = f"{whole}.{rest}" if rest else whole
    return f"-{plain}" if sign and plain.strip("0.") else plain


def parse_amount(amount: str | int | Decimal) -> int:
    """Base units in ``amount`` TIME, exactly: ``"0.5"``, ``Decimal("0.5")`` and ``1`` (one TIME) are amounts.

    Text is ASCII digits with at most eight decimals: no sign, exponent, separator or space. Raises
    :class:`AmountError` for anything else, negative amounts, and 2**63 base units or more. Whether it exceeds
    ``max_money`` depends on the network and is not looked at.
    """
    match = _DECIMAL_TEXT.fullmatch(_text_of(amount))
    if match is None:
        raise AmountError(f"not an amount with at most {DECIMALS} decimals: {str(amount)[:40]!r}")
    whole, rest = match.group(1), match.group(2) or ""
    units = int(whole) * COIN + int(rest.ljust(DECIMALS, "0"))
    if units >= _LIMIT:
        raise AmountError(f"more than 2**63 base units: {str(amount)[:40]}")
    return units

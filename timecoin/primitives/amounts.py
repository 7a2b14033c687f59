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
_WHOLE_DIGITS: Final = 12
_LONGEST_FRACTION: Final = 40
_DECIMAL_TEXT: Final = re.compile(rf"[0-9]{{1,{_WHOLE_DIGITS}}}(?:\.[0-9]{{1,{DECIMALS}}})?")


class AmountError(ValueError):
    """Not an amount of TIME that base units can express."""


def format_amount(units: int) -> str:
    """``units`` base units as TIME with exactly eight decimals, such as ``-0.00000001``."""
    whole, rest = divmod(abs(units), COIN)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{DECIMALS}d}"


def _decimal(amount: str | int | Decimal) -> Decimal:
    if isinstance(amount, Decimal):
        return amount
    if isinstance(amount, str):
        if _DECIMAL_TEXT.fullmatch(amount) is None:
            raise AmountError(f"not digits with at most {DECIMALS} decimals: {amount[:40]!r}")
        return Decimal(amount)
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise AmountError(f"an amount is text, an int or a Decimal, not {type(amount).__name__}")
    if not -_LIMIT < amount < _LIMIT:
        raise AmountError("not below 2**63 base units")
    return Decimal(amount)


def _exact_units(amount: Decimal) -> int:
    """Only operations that a decimal context cannot round."""
    if not amount.is_finite():
        raise AmountError(f"not a finite amount: {amount}")
    if not amount:
        return 0
    exponent = amount.as_tuple().exponent
    if amount.adjusted() >= _WHOLE_DIGITS or not isinstance(exponent, int) or exponent < -_LONGEST_FRACTION:
        raise AmountError("the amount has too many digits")
    numerator, denominator = amount.as_integer_ratio()
    units, rest = divmod(numerator * COIN, denominator)
    if rest:
        raise AmountError(f"more than {DECIMALS} decimals: {amount}")
    return units


def parse_amount(amount: str | int | Decimal) -> int:
    """Base units in ``amount`` TIME, exactly: ``"0.5"``, ``Decimal("0.5")`` and ``1`` (one TIME) are amounts.

    Text is ASCII digits with at most eight decimals: no sign, exponent, separator or space. Raises
    :class:`AmountError` for anything else, negative amounts, and 2**63 base units or more. Whether it exceeds
    ``max_money`` depends on the network and is not looked at.
    """
    units = _exact_units(_decimal(amount))
    if not 0 <= units < _LIMIT:
        raise AmountError(f"negative, or not below 2**63 base units: {amount}")
    return units

"""Amounts: exact both ways, and nothing that is not an amount gets in."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.amounts import COIN, AmountError, format_amount, parse_amount

_MOST = (1 << 63) - 1


class FormatTests(SynchronousTestCase):
    def test_eight_decimals_always(self) -> None:
        for units, text in (
            (0, "0.00000000"),
            (1, "0.00000001"),
            (-1, "-0.00000001"),
            (COIN, "1.00000000"),
            (-COIN - 1, "-1.00000001"),
            (_MOST, "92233720368.54775807"),
        ):
            self.assertEqual(format_amount(units), text)


class ParseTests(SynchronousTestCase):
    def test_amounts(self) -> None:
        for amount, units in (
            ("0", 0),
            ("1", COIN),
            ("0.00000001", 1),
            ("007.5", 750_000_000),
            ("92233720368.54775807", _MOST),
            (0, 0),
            (3, 3 * COIN),
            (Decimal("0.1"), 10_000_000),
            (Decimal("1e-8"), 1),
            (Decimal("1e3"), 1000 * COIN),
            (Decimal("1.10000000000"), 110_000_000),
            (Decimal("-0"), 0),
            (Decimal("0e999999"), 0),
        ):
            self.assertEqual(parse_amount(amount), units, repr(amount))

    def test_refused(self) -> None:
        for amount in (
            "",
            " 1",
            "1 ",
            "1\n",
            "+1",
            "-1",
            "-0",
            ".5",
            "5.",
            "1e8",
            "1,5",
            "1_000",
            "0x1",
            "nan",
            "Infinity",
            "0.000000001",
            "0.000000000",
            "\u0661",
            "\uff11",
            "92233720368.54775808",
            "9" * 30,
            -1,
            1 << 63,
            10**5000,
            Decimal("-0.00000001"),
            Decimal("1e-9"),
            Decimal("1e-999999"),
            Decimal("1e999999"),
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("Infinity"),
            Decimal("-Infinity"),
        ):
            with self.assertRaises(AmountError):
                parse_amount(amount)

    def test_other_types(self) -> None:
        for amount in (True, False, 1.0, None, b"1"):
            with self.assertRaises(AmountError):
                parse_amount(amount)  # type: ignore[arg-type]

    def test_no_decimal_context_rounds(self) -> None:
        with localcontext() as context:
            context.prec = 3
            self.assertEqual(parse_amount(Decimal("92233720368.54775807")), _MOST)
            with self.assertRaises(AmountError):
                parse_amount(Decimal("1.00000000000000000000000000001"))

    @given(st.integers(0, _MOST))
    @settings(deadline=None, derandomize=True, max_examples=80, database=None)
    def test_round_trip(self, units: int) -> None:
        self.assertEqual(parse_amount(format_amount(units)), units)
        self.assertEqual(parse_amount(Decimal(format_amount(units))), units)

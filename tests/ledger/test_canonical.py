from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.canonical import CanonicalError, dumps, loads

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60, database=None)
LEAVES = st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text("aé😀z"), v, max_size=4)
)


class CanonicalTests(SynchronousTestCase):
    def test_rfc8785_sorting(self) -> None:
        """RFC 8785 section 3.2.3: keys by UTF-16 code units, so the emoji stands before the ligature."""
        value = {
            "€": "Euro Sign",
            "\r": "CR",
            "\ufb33": "Dalet",
            "1": "One",
            "😀": "Grin",
            "\x80": "Control",
            "ö": "o",
        }
        order = ["CR", "One", "Control", "o", "Euro Sign", "Grin", "Dalet"]
        text = dumps(value).decode()
        self.assertEqual(sorted(order, key=lambda v: text.index(f'"{v}"')), order)

    def test_no_white_space(self) -> None:
        self.assertEqual(dumps({"b": [1, -2], "a": "\x1f/\n"}), b'{"a":"\\u001f/\\n","b":[1,-2]}')

    def test_refused_text(self) -> None:
        refused = [
            b"1.0",
            b"1e3",
            b"NaN",
            b"-Infinity",
            b"true",
            b"null",
            b'{"a":1,"a":1}',
            b"[1] 2",
            b"",
            b"{",
        ]
        refused += [
            b"9007199254740992",
            b"-9007199254740992",
            b"9" * 5_000,
            b"\xff",
            b"\xef\xbb\xbf1",
            b"[" * 100_000,
        ]
        refused += [b'{"a":[{"b":1,"b":2}]}', b"[1,]", b"'a'"]
        for text in refused:
            self.assertRaises(CanonicalError, loads, text)

    def test_lone_surrogates_have_no_form(self) -> None:
        self.assertRaises(CanonicalError, dumps, loads(b'"\\ud800"'))

    def test_refused_values(self) -> None:
        for value in (1.5, True, None, {1: 2}, [b"a"], 2**53, {"a": [False]}):
            self.assertRaises(CanonicalError, dumps, value)

    @SETTINGS
    @given(VALUES)
    def test_round_trip(self, value: object) -> None:
        text = dumps(value)  # type: ignore[arg-type]
        self.assertEqual(loads(text), value)
        self.assertEqual(dumps(loads(text)), text)

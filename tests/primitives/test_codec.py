"""Compact sizes and the reader: canonical, bounded, and nothing consumed by a failure."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.codec import (
    DecodeError,
    NonCanonical,
    Reader,
    Truncated,
    compact_size,
    read_compact_size,
    var_bytes,
)

_ENCODINGS = {
    0: "00",
    1: "01",
    252: "fc",
    253: "fdfd00",
    255: "fdff00",
    0xFFFF: "fdffff",
    0x10000: "fe00000100",
    0xFFFFFFFF: "feffffffff",
    0x100000000: "ff0000000001000000",
    0xFFFFFFFFFFFFFFFF: "ffffffffffffffffff",
}


class CompactSizeTests(SynchronousTestCase):
    def test_encodings(self) -> None:
        for number, encoded in _ENCODINGS.items():
            self.assertEqual(compact_size(number).hex(), encoded)
            self.assertEqual(Reader(bytes.fromhex(encoded)).compact_size(), number)

    def test_longer_forms_are_refused(self) -> None:
        too_long = ("fd0000", "fdfc00", "fe00000000", "feffff0000", "ff" + "00" * 8, "ffffffffff00000000")
        for encoded in too_long:
            with self.assertRaises(NonCanonical, msg=encoded):
                Reader(bytes.fromhex(encoded)).compact_size()

    def test_every_truncation_is_refused(self) -> None:
        for encoded in _ENCODINGS.values():
            data = bytes.fromhex(encoded)
            for end in range(len(data)):
                with self.assertRaises(Truncated):
                    Reader(data[:end]).compact_size()

    def test_out_of_range(self) -> None:
        for number in (-1, 1 << 64):
            with self.assertRaises(ValueError):
                compact_size(number)

    @given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3))
    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    def test_round_trip_in_the_middle_of_data(self, number: int, rest: bytes) -> None:
        data = b"\x07" + compact_size(number) + rest
        self.assertEqual(read_compact_size(data, 1), (number, len(data) - len(rest)))


class ReaderTests(SynchronousTestCase):
    def test_fixed_widths(self) -> None:
        reader = Reader(bytes.fromhex("01" "0201" "04030201" "0807060504030201" "feffffffffffffff"))
        self.assertEqual(reader.u8(), 1)
        self.assertEqual(reader.u16(), 0x0102)
        self.assertEqual(reader.u32(), 0x01020304)
        self.assertEqual(reader.u64(), 0x0102030405060708)
        self.assertEqual(reader.i64(), -2)
        self.assertEqual(reader.remaining, 0)
        reader.finish()

    def test_a_failure_consumes_nothing(self) -> None:
        reader = Reader(b"\x05abc")
        for attempt in (
            reader.u64,
            lambda: reader.take(5),
            lambda: reader.take(-1),
            lambda: reader.var_bytes(10),
            lambda: reader.var_bytes(4),
            lambda: reader.count(1),
        ):
            with self.assertRaises(DecodeError):
                attempt()
            self.assertEqual(reader.position, 0)
        self.assertEqual(reader.take(4), b"\x05abc")

    def test_a_huge_announcement_allocates_nothing(self) -> None:
        reader = Reader(b"\xff" + b"\xff" * 8)
        for attempt in (lambda: reader.count(1), lambda: reader.var_bytes(1 << 64)):
            with self.assertRaises(Truncated):
                attempt()

    def test_var_bytes(self) -> None:
        reader = Reader(var_bytes(b"abc") + var_bytes(b""))
        self.assertEqual(reader.var_bytes(3), b"abc")
        self.assertEqual(reader.var_bytes(0), b"")
        with self.assertRaises(DecodeError):
            Reader(var_bytes(b"abc")).var_bytes(2)

    def test_finish_refuses_leftovers(self) -> None:
        with self.assertRaises(NonCanonical):
            Reader(b"\x00").finish()

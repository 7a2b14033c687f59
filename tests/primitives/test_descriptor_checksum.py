"""Checksums of descriptors: BIP 380's vectors, and embit as the oracle."""

from __future__ import annotations

from embit.descriptor.checksum import add_checksum
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.descriptor_checksum import _INPUT, with_checksum


class ChecksumTests(SynchronousTestCase):
    def test_published(self) -> None:
        # BIP 380, test vectors.
        self.assertEqual(with_checksum("raw(deadbeef)"), "raw(deadbeef)#89f8spxm")

    @settings(deadline=None, derandomize=True, max_examples=200, database=None)
    @given(st.text(_INPUT.replace("#", ""), max_size=90))
    def test_as_embit(self, text: str) -> None:
        self.assertEqual(with_checksum(text), add_checksum(text))

    def test_another_character(self) -> None:
        self.assertRaises(KeyError, with_checksum, "é")

"""The man pages are those of the commands as they are; ``python -m docs.manpages`` makes them anew."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from docs.manpages import PAGES, pages


class ManPagesTest(SynchronousTestCase):
    def test_they_are_made_of_the_commands(self) -> None:
        self.maxDiff = None
        self.assertEqual({path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.1")}, pages())

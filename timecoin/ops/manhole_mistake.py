"""What somebody at the manhole's prompt did wrong."""

from __future__ import annotations


class Mistake(Exception):
    """A handle was asked for what is not there, or wrongly; ``str()`` is one line, and all that is shown."""

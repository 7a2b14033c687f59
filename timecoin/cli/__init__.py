"""The ``timecoin`` command."""

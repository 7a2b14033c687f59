"""Every decoder of the node against bytes that nobody honest would send: ``python -m tests.fuzz --help``."""

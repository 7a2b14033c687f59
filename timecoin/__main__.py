"""``python -m timecoin``: the ``timecoin`` command."""

from timecoin.cli.main import main

main()

"""``timecoin wallet``: the wallets of a running node, over RPC.

Secrets are typed unseen or read from standard input, never given on the command line, where every process of the
machine could see them.
"""

from __future__ import annotations

import click

from timecoin.cli.lazy import LazyGroup

PLACES = {
    "address": "timecoin.cli.wallet_money:address",
    "backup": "timecoin.cli.wallet_files:backup",
    "balance": "timecoin.cli.wallet_money:balance",
    "create": "timecoin.cli.wallet_making:create",
    "history": "timecoin.cli.wallet_money:history",
    "labels": "timecoin.cli.wallet_money:labels",
    "list": "timecoin.cli.wallet_files:show_list",
    "load": "timecoin.cli.wallet_files:load",
    "lock": "timecoin.cli.wallet_keys:lock",
    "passphrase": "timecoin.cli.wallet_keys:passphrase",
    "rescan": "timecoin.cli.wallet_scan:rescan",
    "restore": "timecoin.cli.wallet_making:restore",
    "send": "timecoin.cli.wallet_money:send",
    "unload": "timecoin.cli.wallet_files:unload",
    "unlock": "timecoin.cli.wallet_keys:unlock",
    "words": "timecoin.cli.wallet_keys:words",
    "xpub": "timecoin.cli.wallet_keys:xpub",
}


@click.group(cls=LazyGroup, places=PLACES)
def wallet() -> None:
    """Make wallets, receive, pay.

    With several wallets loaded, --wallet NAME says which. Secrets are asked for unseen; when standard input is no
    terminal, they are read from it, one a line. Exit status: 0 done, 1 not reachable or not final, 2 wrong usage,
    otherwise the RPC error's code without its sign.
    """

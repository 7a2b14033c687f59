"""The wallets as the manhole shows them: balances and states, no keys, no words, nothing that signs."""

from __future__ import annotations

from timecoin.node.manhole_tables import Table
from timecoin.ops.manhole_mistake import Mistake
from timecoin.primitives.amounts import format_amount
from timecoin.rpc.face_wallet import OpenWallet, Wallets


class WalletView:
    """The loaded wallets, to be looked at; `timecoin wallet` and RPC spend."""

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets

    def table(self) -> Table:
        """Each wallet with what it has, by status (TIME)."""
        rows = [_row(self._wallets.get(name)) for name in self._wallets.loaded()]
        return Table("wallets", rows, ("name", "pending", "certified", "final", "archived", "watched", "scanning"))

    def __repr__(self) -> str:
        return repr(self.table())

    def get(self, name: str) -> Table:
        """One wallet: what is trusted, what is collateral, how far a scan is."""
        if name not in self._wallets.loaded():
            raise Mistake("there is no such wallet, or it is not loaded; wallet shows all")
        found = self._wallets.get(name)
        mine, scan = found.balances().mine, found.scanning
        rows = [
            ("trusted", format_amount(mine.trusted)),
            ("not trusted yet", format_amount(mine.untrusted)),
            ("locked as collateral", format_amount(mine.collateral)),
            ("unlocked", found.unlocked_until > 0),
            ("scan", None if scan is None else f"{100 * scan.progress:.1f} %, at height {scan.height}"),
        ]
        return Table(f"wallet {name}", rows)


def _row(wallet: OpenWallet) -> tuple[object, ...]:
    balances, scan = wallet.balances(), wallet.scanning
    mine = balances.mine
    amounts = (mine.pending, mine.certified, mine.final, mine.archived, balances.watched.total)
    return wallet.name, *map(format_amount, amounts), None if scan is None else f"{100 * scan.progress:.0f} %"


def wallet_handle(wallets: Wallets | None) -> dict[str, object]:
    """``wallet``, when the node has wallets."""
    return {} if wallets is None else {"wallet": WalletView(wallets)}

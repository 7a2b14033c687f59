"""What the pool and finality see of the decided chain."""

from __future__ import annotations

from typing import Protocol

from timecoin.ledger.coins import Coin
from timecoin.ledger.validation import CollateralLocks
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint


class ChainView(Protocol):
    """The decided tip; it moves on before ``Finality.apply`` is called for the new block."""

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """Return the coin in the UTXO set, or None."""
        ...

    def archived(self, txid: Hash) -> tuple[int, int] | None:
        """Return height and position of an archived transaction, or None."""
        ...

    @property
    def registry(self) -> CollateralLocks:
        """The registry as of the opening of the epoch."""
        ...

    @property
    def epoch(self) -> int:
        """The open epoch."""
        ...

    @property
    def height(self) -> int:
        """Height of the tip."""
        ...

    @property
    def last_closing_slot(self) -> int:
        """Slot time of the last closing block in Unix seconds."""
        ...

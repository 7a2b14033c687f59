"""What the genesis file tells about the network, as RPC asks for it before and after there is a chain."""

from __future__ import annotations

from timecoin.ledger.genesis import Genesis
from timecoin.ledger.params import Parameters


class GenesisFacts:
    """The network of a genesis."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis

    @property
    def network(self) -> str:
        """Its name."""
        return self._genesis.network

    @property
    def hrp(self) -> str:
        """The prefix of its addresses."""
        return self._genesis.network_info.hrp

    @property
    def parameters(self) -> Parameters:
        """Its parameters."""
        return self._genesis.parameters

"""The node as RPC sees it while it joins: everything but help, stop and uptime is answered with how far it has come."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.ledger.genesis import Genesis
from timecoin.node.genesis_facts import GenesisFacts


class WarmingUp(GenesisFacts):
    """What ``rpc.facade.NodeFacade`` is asked before there is a chain to speak of; ``state()`` goes into error -28."""

    def __init__(
        self, genesis: Genesis, state: Callable[[], str], now_ms: Callable[[], int], stop: Callable[[], None]
    ) -> None:
        super().__init__(genesis)
        self._state = state
        self._stop = stop
        self.now_ms = now_ms
        self._started = now_ms()

    def warming_up(self) -> str | None:
        """How far joining has come; never None."""
        return f"Joining the network: {self._state()}"

    def started_ms(self) -> int:
        """When the node started."""
        return self._started

    def stop(self) -> None:
        """Begin to stop the node."""
        self._stop()

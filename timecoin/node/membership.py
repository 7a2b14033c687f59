"""Masternodes as the network layer asks for them: who proves what, and where they are reached (protocol.md 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from timecoin.ledger.state import LedgerState
from timecoin.p2p.netaddress import NetAddress


class Membership:
    """A view on the ledger at the tip; ``own_key`` is this node's operator key, or None."""

    def __init__(self, ledger: Callable[[], LedgerState], own_key: bytes | None) -> None:
        self._ledger = ledger
        self._own_key = own_key

    def operator_key(self, masternode_id: bytes) -> bytes | None:
        """The operator key of a member of S(e) or S(e+1); None for anybody else."""
        ledger = self._ledger()
        for members in (ledger.current, ledger.following):
            for member in members.members:
                if member.masternode_id == masternode_id:
                    return member.operator_key
        return None

    def addresses(self) -> Iterator[tuple[bytes, NetAddress]]:
        """Id and address of every registered masternode but this one; of one without a port, none."""
        for entry in self._ledger().registry.entries:
            service = entry.service
            if entry.operator_key != self._own_key and not entry.is_leaving and service.port:
                yield entry.masternode_id, NetAddress(int(service.network), service.host, service.port)

    def own_id(self) -> bytes | None:
        """The id under which this node is registered."""
        if self._own_key is None:
            return None
        entry = self._ledger().registry.by_operator_key(self._own_key)
        if entry is not None:
            return entry.masternode_id
        for members in (self._ledger().current, self._ledger().following):
            index = members.index_of_key(self._own_key)
            if index is not None:
                return members.members[index].masternode_id
        return None

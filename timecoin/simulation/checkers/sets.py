"""Who may sign in which epoch, and whose keys belong to honest nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.state import LedgerState

if TYPE_CHECKING:
    from timecoin.simulation.node import Node


class Sets:
    """S(e) of each epoch that a decided block made known; ``newest`` is the highest that any honest node opened."""

    def __init__(self) -> None:
        self.newest = 1
        self._by_epoch: dict[int, PowerSet] = {}
        self._dishonest: set[bytes] = set()

    def learn(self, ledger: LedgerState) -> None:
        """The state after a decided block."""
        self._by_epoch[ledger.epoch] = ledger.current
        self._by_epoch[ledger.epoch + 1] = ledger.following
        self.newest = max(self.newest, ledger.epoch)

    def judge(self, nodes: Iterable[Node]) -> None:
        """Whose keys are honest: those that only honest nodes have."""
        self._dishonest = {node.operator.public for node in nodes if node.operator is not None and not node.honest}

    def of(self, epoch: int) -> PowerSet | None:
        """S(epoch), if it is known."""
        return self._by_epoch.get(epoch)

    def is_honest(self, operator_key: bytes) -> bool:
        """Does the key belong to honest nodes only?"""
        return operator_key not in self._dishonest

    def is_quorum(self, epoch: int, signers: Iterable[int]) -> bool:
        """Do these signers hold more than two thirds of S(epoch)? Counted here, not by the product."""
        members = self._by_epoch[epoch].members
        total = sum([member.power for member in members])
        return 3 * sum([members[signer].power for signer in set(signers)]) > 2 * total

"""What RPC asks of the node to prove things to others (protocol.md section 11)."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.primitives.hashes import Hash
from timecoin.proofs.values import Proof


class Proofs(Protocol):
    """Makes proofs of what the node knows."""

    def prove(self, txid: Hash, anchor: int, *, with_transaction: bool) -> Deferred[Proof]:
        """A proof that begins with the closing block at height ``anchor`` (0: block 0).

        Of finality while the transaction is final and its epoch open, of inclusion once it is archived. Fails with
        ``RpcError``: -5 unknown, -1 not final yet or not to be had here, -8 for an anchor that will not do.
        """
        ...

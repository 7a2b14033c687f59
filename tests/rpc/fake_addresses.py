"""An index of addresses for RPC tests: the first fund's address has one coin, received 7, and a payment in the pool."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twisted.internet.defer import Deferred, fail, succeed

from tests.rpc.fake_node import NETWORK
from timecoin.primitives import address
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc import face_addresses as face
from timecoin.rpc.table import Context

SCRIPT = NETWORK.genesis.allocations[NETWORK.funds[0].vout].script
ADDRESS = address.encode(SCRIPT, "timed")
COIN = make_outpoint(b"\7" * 32, 1)


class FakeIndex:
    """``rpc.face_addresses.Addresses``."""

    def __init__(self) -> None:
        self.problem: Exception | None = None

    def state(self) -> face.IndexState:
        return face.IndexState(self.problem is None, 0 if self.problem else 1, 1)

    def totals(self, scripts: Collection[bytes]) -> Deferred[face.Totals]:
        return fail(self.problem) if self.problem else succeed(face.Totals(5, 7, 2))

    def history(self, scripts: Collection[bytes], first: int, last: int) -> Deferred[Sequence[face.Occurrence]]:
        if self.problem:
            return fail(self.problem)
        found = [
            face.Occurrence(b"\7" * 32, SCRIPT, 7, 0, 1, 3),
            face.Occurrence(b"\6" * 32, SCRIPT, 0, 2, 5, 1),
        ]
        return succeed([each for each in found if first <= each.height <= last])

    def unspent(self, scripts: Collection[bytes]) -> Deferred[Sequence[face.UnspentCoin]]:
        return fail(self.problem) if self.problem else succeed([face.UnspentCoin(COIN, SCRIPT, 5, 1)])

    def pool(self, scripts: Collection[bytes]) -> Sequence[face.PoolOccurrence]:
        return [face.PoolOccurrence(b"\5" * 32, SCRIPT, "final", ((0, 3),), ((COIN, 5),))]


def indexed(context: Context) -> FakeIndex:
    """Give a context an index."""
    context.addresses = FakeIndex()
    return context.addresses


def building(context: Context) -> None:
    """Give a context an index that is not complete."""
    indexed(context).problem = face.IndexNotReady("block 0 of 1")


def overwhelmed(context: Context) -> None:
    """Give a context an index that would have to answer too much."""
    indexed(context).problem = face.TooMuch("more than 5 entries")

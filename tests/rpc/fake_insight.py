"""What a node tells of consensus and what it proves, for RPC tests."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, fail, succeed

from tests.proofs.story import STORY
from tests.rpc.fake_node import NETWORK, NOW_MS, FakeNode
from timecoin.ledger.expected import expected_sets
from timecoin.ledger.first import first_state
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint
from timecoin.proofs.values import Proof
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, RpcError
from timecoin.rpc.face_insight import CoinView, ConsensusView, EpochFigures, MemberView, RoundView, Vote
from timecoin.rpc.table import Context

BLOCK = b"\7" * 32


class FakeInsight:
    """Two masternodes of power 100 and 10; ``coins`` are the states of outpoints."""

    def __init__(self) -> None:
        self.coins: dict[OutPoint, CoinView] = {}

    def consensus_view(self) -> ConsensusView:
        ids = [NETWORK.genesis.registration_id(n) for n in range(2)]
        first = MemberView(ids[0], 100, True, 7, True, 1, Vote(BLOCK, True), Vote(BLOCK))
        second = MemberView(ids[1], 10, False, 3, False, None, Vote(None, False), None)
        now = RoundView(NOW_MS - 900, 1, BLOCK, (0, BLOCK), (1, BLOCK), (("propose", 3_500), ("prevote", 1_500)))
        return ConsensusView((first, second), now)

    def coin_view(self, outpoint: OutPoint) -> CoinView:
        return self.coins.get(outpoint, CoinView("unknown", None, None))

    def epoch_figures(self) -> Deferred[EpochFigures]:
        _, state, _ = first_state(NETWORK.genesis)
        return succeed(EpochFigures(3, 41, expected_sets(NETWORK.genesis.parameters, state)))


class FakeProofs:
    """Proves the payments of ``tests.proofs.story``."""

    def __init__(self) -> None:
        self.asked: list[tuple[Hash, int, bool]] = []
        self.refuses: RpcError | None = None

    def prove(self, txid: Hash, anchor: int, *, with_transaction: bool) -> Deferred[Proof]:
        self.asked.append((txid, anchor, with_transaction))
        if self.refuses is not None:
            return fail(self.refuses)
        proofs: list[Proof] = [STORY.finality(), STORY.signed(1, 0), STORY.signed(3, 1)]
        for proof in proofs:
            if proof.txid == txid:
                return succeed(proof if with_transaction else replace(proof, transaction=None))
        return fail(RpcError(INVALID_ADDRESS_OR_KEY, "No such mempool or blockchain transaction"))


def look(context: Context) -> FakeInsight:
    """Give the node insight."""
    context.insight = insight = FakeInsight()
    return insight


def prove(context: Context) -> FakeProofs:
    """Let the node make proofs."""
    context.proofs = proofs = FakeProofs()
    return proofs


def in_story(node: FakeNode) -> None:
    """The node's chain and clock are those of the story."""
    node.blocks = list(STORY.chain.blocks)
    state = STORY.chain.state
    node.tip = lambda: state  # type: ignore[method-assign]
    node.now_ms = lambda: (state.header.slot_time + 30) * 1_000  # type: ignore[method-assign]

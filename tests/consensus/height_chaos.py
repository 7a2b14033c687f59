"""
A whole random life of a height from one seed: bad wires, crashes and liars until some moment, then only
liars.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.consensus.height_network import Network
from tests.consensus.heights import (
    CHAIN_ID,
    EPOCH,
    HEIGHT,
    digest,
    fake_signature,
    make_content,
    make_precommit,
    make_prevote,
)
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.standing import Pol, Sendable
from timecoin.consensus.steps import Freshness
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote

#: Sets by power, and which of them lie: always less than a third.
CASTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((1, 1, 1, 1), (3,)),
    ((1, 1, 1, 1), (0,)),
    ((1, 1, 1, 1), ()),
    ((1,) * 7, (1, 4)),
    ((5, 3, 2, 2, 1), (1, 4)),
    ((9, 9, 9, 2, 1), (0,)),
    ((1, 1, 1), ()),
    ((1, 1), ()),
    ((1,), ()),
)

QUIET_LIMIT_MS = 240_000


class Liar:
    """Signs anything for its own index and shows anything to anyone; it hears all that is sent."""

    def __init__(self, network: Network, me: int, rng: Random) -> None:
        self.network, self.me, self.rng = network, me, rng
        self.help = rng.choice((0.0, 0.3, 0.9))
        self.round = 0
        self.contents: list[Content] = []
        network.puppets.append(self.hear)
        network.after(1, self.act)

    def hear(self, message: Sendable) -> None:
        self.round = max(self.round, message.round)
        if isinstance(message, Proposal) and message.content not in self.contents:
            self.contents.append(message.content)
        if self.rng.random() < self.help and not isinstance(message, Pol):
            self.second(message.round, message.block_hash)
        elif self.rng.random() < 0.5:
            self.lie()

    def second(self, round_: int, block: bytes) -> None:
        """Give them what they want, some not and each at another time: quorums that only few see."""
        members = self.network.members
        place = (members, self.me, round_, block)
        votes = (make_prevote(*place), make_precommit(*place))
        for target in self.network.nodes:
            for vote in votes:
                if self.rng.random() < 0.6:
                    self.network.after(self.rng.randrange(1, 1_500), lambda t=target, m=vote: self.tell(t, m))

    def act(self) -> None:
        self.lie()
        self.network.after(self.rng.randrange(50, 900), self.act)

    def lie(self) -> None:
        for target in self.network.nodes:
            for message in self.messages():
                self.network.after(self.rng.randrange(1, 200), lambda t=target, m=message: self.tell(t, m))

    def tell(self, target: int, message: Sendable) -> None:
        self.network.nodes[target].receive(message)

    def messages(self) -> list[Sendable]:
        rng, members = self.rng, self.network.members
        round_ = max(0, self.round + rng.choice((-1, 0, 0, 0, 1)))
        block = rng.choice([NIL, *(content.header.hash for content in self.contents)])
        told: list[Sendable] = []
        if rng.random() < 0.6:
            told.append(
                make_prevote(members, self.me, round_, block, fresh=block != NIL and rng.random() < 0.5)
            )
        if rng.random() < 0.6:
            told.append(make_precommit(members, self.me, round_, block))
        if rng.random() < 0.2:
            mine = make_prevote(members, self.me, max(0, round_ - 1), block)
            told.append(Pol(mine.round, block, (mine,) * 3))
        if round_ % len(members) == self.me and rng.random() < 0.7:
            told.append(self.proposal(round_))
        return told

    def proposal(self, round_: int) -> Proposal:
        rng = self.rng
        claimed = rng.choice((round_ - 1, rng.randrange(round_))) if round_ else NO_ROUND
        valid_round = claimed if rng.random() < 0.7 else NO_ROUND
        old = [content for content in self.contents if content.header.round <= valid_round]
        if old:
            content = rng.choice(old)
        else:
            valid_round, content = (
                NO_ROUND,
                make_content(self.network.members, round_, ("lie", rng.randrange(2))),
            )
            self.network.proposed.add(content.header.hash)
            self.contents.append(content)
        head = ProposalHead(
            CHAIN_ID, EPOCH, self.network.members.set_hash, self.me, HEIGHT, round_, valid_round,
            content.header.closing, content.header.hash, fake_signature(self.me),
        )  # fmt: skip
        return Proposal(head, content)


def live(seed: int, powers: Sequence[int], liars: Sequence[int], cls: type[Height] = Height) -> Network:
    """One life; fails on a contradiction or a fork (as the network does), or without a decision in time."""
    rng = Random(seed)
    calm = rng.choice((0, 5_000, 15_000, 60_000))
    slowest = rng.choice((100, 1_500, 6_000))
    kinds = (Proposal, Prevote, Precommit, Pol)
    loss = {(to, kind): rng.choice((0, 0, 0.3, 0.9)) for to in range(len(powers)) for kind in kinds}

    def delay(network: Network, _source: int, target: int, message: Sendable) -> int | None:
        if network.now >= calm:
            return rng.randrange(10, 120)
        return None if rng.random() < loss[target, type(message)] else rng.randrange(10, slowest)

    network = Network(powers, delay, cls, absent=liars)
    network.decisions_spread_from = calm
    for liar in liars:
        Liar(network, liar, rng)
    _schedule_troubles(network, rng, calm)
    network.run(calm + QUIET_LIMIT_MS)
    assert network.all_decided(), f"seed {seed}: no decision"
    return network


def _schedule_troubles(network: Network, rng: Random, calm: int) -> None:
    for node in network.nodes.values():
        if rng.random() < 0.3:
            # Acked what the others do not know: refuses what is fresh, until the others have heard of it.
            node.checks.demanded.add(digest("t"))
            node.txs = (digest("t"),)
        for _ in range(rng.choice((0, 0, 1, 3))):
            node_life = rng.randrange(1, max(2, calm))
            away = rng.randrange(0, 4_000)
            network.after(node_life, lambda node=node, away=away: node.crash(away) if node.up else None)
        if rng.random() < 0.2:
            node.checks.verdicts[make_content(network.members, 0, ("of", 0)).header.hash] = Freshness.WAIT
    network.after(calm + 20_000, lambda: _calm_checks(network))


def _calm_checks(network: Network) -> None:
    """Holders relay certificates and bodies: in the end every honest proposer includes what anybody acked."""
    for node in network.nodes.values():
        node.txs = (digest("t"),)
        node.checks.verdicts.clear()

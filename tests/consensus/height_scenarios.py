"""
Situations of a small network, each as a check of a machine class, so that mutants can be shown to fail them.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.consensus.height_network import Network
from tests.consensus.heights import digest, make_content, make_prevote, make_proposal
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.standing import Pol, Sendable
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote

Scenario = Callable[[type[Height]], None]

EVEN = (1, 1, 1, 1)


def lonely_lock(_network: Network, _source: int, target: int, message: Sendable) -> int | None:
    """Only 0 sees all prevotes of round 0: 1 and 2 never see each other's, 3 never sees that of 2."""
    lost = isinstance(message, Prevote) and message.round == 0
    return None if lost and (message.signer, target) in ((1, 2), (2, 1), (2, 3)) else 50


def decides_in_round_0(cls: type[Height]) -> None:
    for powers in ((1,), EVEN, (1,) * 7, (100, 10, 10, 1), (1000, 100, 10, 10, 1)):
        network = Network(powers, cls=cls).run(10_000)
        assert network.all_decided(), powers
        assert {node.height.decision[0] for node in network.nodes.values() if node.height.decision} == {0}
        # Three message delays: proposal, prevotes, precommits.
        assert max(node.decided_at for node in network.nodes.values()) <= 150


def silent_proposer_is_passed_over(cls: type[Height]) -> None:
    network = Network(EVEN, cls=cls, absent=(0,)).run(10_000)
    assert network.all_decided()
    assert max(node.decided_at for node in network.nodes.values()) == 3_000 + 100 + 150


def third_of_the_power_away_stops_the_network(cls: type[Height]) -> None:
    network = Network((1, 1, 1), cls=cls, absent=(2,)).run(200_000)
    assert not any(node.decided for node in network.nodes.values())


def split_votes_are_settled_in_the_next_round(cls: type[Height]) -> None:
    network = Network(EVEN, cls=cls)
    for me in (1, 2):
        network.nodes[me].checks.demanded.add(digest("acked"))
        network.nodes[me].txs = (digest("acked"),)
    network.run(30_000)
    assert network.all_decided()
    assert {node.height.decision[0] for node in network.nodes.values() if node.height.decision} == {1}


def halt_of_soundness(cls: type[Height]) -> None:
    """c acked t, the proposer left it out, a locked, b missed a prevote, z is gone: only a POL can bring c
    along.
    """

    def delay(_network: Network, source: int, target: int, message: Sendable) -> int | None:
        return None if source == 3 and target in (1, 2) and isinstance(message, Prevote) else 50

    network = Network(EVEN, delay, cls, sync=False)
    a, b, c, z = network.nodes.values()
    c.checks.demanded.add(digest("t"))
    c.txs = (digest("t"),)
    network.run(120)
    z.crash()
    network.run(60_000)
    first = make_content(network.members, 0, ("of", 0)).header.hash
    assert (b.height.round, c.height.round) > (0, 0), "the scene is not set"
    assert a.decided == b.decided == c.decided == first


def lonely_lock_wins_in_the_end(cls: type[Height]) -> None:
    """0 locks alone in round 0, 3 refuses all that is fresh: no other block can get a quorum, so 0 must bring
    them all along.
    """
    network = Network(EVEN, lonely_lock, cls, sync=False)
    network.nodes[3].checks.demanded.add(digest("t"))
    network.run(90_000)
    assert network.all_decided()
    assert network.nodes[0].decided == make_content(network.members, 0, ("of", 0)).header.hash
    decision = network.nodes[0].height.decision
    assert decision is not None and decision[0] == 4


def claimed_pol_cannot_fork(cls: type[Height]) -> None:
    """All but the liar's target decide in round 0; the liar proposes a rival in round 1 with a POL that never
    was.
    """

    def delay(network: Network, source: int, target: int, message: Sendable) -> int | None:
        # Nodes 1 and 2 lock, but see no third precommit; node 0 decides.
        return None if isinstance(message, Precommit) and message.round == 0 and target != 0 else 50

    network = Network(EVEN, delay, cls, absent=(3,), sync=False)
    network.run(2_000)
    decided = network.nodes[0].decided
    assert decided is not None
    # Round 3 is the liar's; the rival claims to be of round 2 with a quorum there.
    rival = make_content(network.members, 2, "rival", proposer=2)
    network.proposed.add(rival.header.hash)
    lie = make_proposal(network.members, 3, rival, 2)
    mine = make_prevote(network.members, 3, 2, rival.header.hash)
    support = make_prevote(network.members, 3, 3, rival.header.hash)
    for target in (1, 2):
        node = network.nodes[target]
        for round_ in range(3):
            node.receive(make_prevote(network.members, 3, round_ + 1, NIL))
        network.after(10, lambda node=node: node.receive(Pol(2, rival.header.hash, (mine, mine, mine))))
        for moment in range(500, 30_000, 500):
            network.after(moment, lambda node=node: node.receive(lie))
            network.after(moment, lambda node=node: node.receive(support))
    network.run(25_000)
    for target in (1, 2):
        sent = network.sent.items()
        voted = [body for (who, kind, _), body in sent if who == target and kind is not Proposal]
        assert not any(rival.header.hash in body for body in voted)


def equivocating_proposer_is_caught(cls: type[Height]) -> None:
    network = Network(EVEN, cls=cls, absent=(0,))
    blocks = [make_content(network.members, 0, tag) for tag in "ab"]
    network.proposed |= {block.header.hash for block in blocks}
    first, second = (make_proposal(network.members, 0, block) for block in blocks)
    for target, proposal in ((1, first), (2, second), (3, second)):
        network.send(0, target, proposal)
    for target in (1, 2, 3):
        network.send(0, target, make_prevote(network.members, 0, 0, second.block_hash))
    network.run(30_000)
    assert network.all_decided()
    assert {node.decided for node in network.nodes.values()} == {second.block_hash}
    assert 0 in network.nodes[1].accused


def laggard_catches_up(cls: type[Height]) -> None:
    """Cut off for 20 s while the others, without a quorum, get to later rounds."""

    def delay(network: Network, source: int, target: int, message: Sendable) -> int | None:
        return None if 3 in (source, target) and network.now < 20_000 else 50

    network = Network((1, 1, 1, 1), delay, cls, absent=(0,))
    network.run(60_000)
    assert network.all_decided()


def lost_messages_are_sent_again(cls: type[Height]) -> None:
    def delay(network: Network, source: int, target: int, message: Sendable) -> int | None:
        return None if network.now < 7_000 else 50

    network = Network(EVEN, delay, cls).run(60_000)
    assert network.all_decided()


SCENARIOS: dict[str, Scenario] = {
    name: value
    for name, value in list(globals().items())
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and name != "lonely_lock"
}

"""Several machines over virtual time, in memory: delays, losses, crashes with journals, and puppets that lie.

Every message that an honest node sends is checked against all that it ever sent: two different bodies of one
kind for one round fail the run at once, as do two decisions.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from tests.consensus.heights import (
    CHAIN_ID,
    EPOCH,
    HEIGHT,
    PARAMS,
    Checks,
    fake_signature,
    make_content,
    power_set,
)
from timecoin.consensus.proposal import Content, Proposal
from timecoin.consensus.standing import Pol, Sendable, messages_for, pol_of, standing
from timecoin.consensus.steps import (
    Broken,
    Decided,
    Effect,
    Equivocation,
    Message,
    NeedValue,
    SetTimeout,
    Sign,
    Timeout,
    Unjournaled,
    WantPol,
    WantProposal,
)
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import NIL, Precommit, Prevote

Delay = Callable[["Network", int, int, Sendable], int | None]
"""(network, from, to, message) → milliseconds, or None: lost."""

SYNC_MS = 1_000


class Node:
    """A machine with its journal. ``crash_at``: dies when it is about to carry out its effect of that number.
    """

    def __init__(self, network: Network, me: int, cls: type[Height]) -> None:
        self.network = network
        self.me = me
        self.cls = cls
        self.checks = Checks()
        self.journal: list[Message] = []
        self.txs: tuple[bytes, ...] = ()
        self.up = False
        self.gone = False
        self.lives = 0
        self.effects_done = 0
        self.crash_at: int | None = None
        self.crash_durable = False
        self.restart_after = 0
        self.decided: bytes | None = None
        self.decided_at = 0
        self.accused: set[int] = set()
        self.boot()

    def boot(self) -> None:
        members = self.network.members
        self.height = self.cls(
            params=PARAMS,
            chain_id=CHAIN_ID,
            epoch=EPOCH,
            height=HEIGHT,
            members=members,
            signer=self.me,
            proposer_of=lambda round_: round_ % len(members),
            checks=self.checks,
        )
        self.height.restore(self.journal)
        self.up = True
        self.lives += 1

    def start(self) -> None:
        self.height.start(self.network.now)
        self.pump()

    def crash(self, restart_after: int | None = None) -> None:
        """Die, for good unless ``restart_after`` milliseconds are given."""
        self.up = False
        self.gone = restart_after is None
        if restart_after is not None:
            self.network.after(restart_after, self.restart)

    def restart(self) -> None:
        if not self.up:
            self.boot()
            for message in self.journal:
                if message.signer == self.me:
                    self.network.broadcast(self.me, message)
            self.start()

    def receive(self, message: Sendable) -> None:
        if not self.up:
            return
        if isinstance(message, Pol):
            self.height.pol(message.round, message.block_hash, message.prevotes, self.network.now)
        elif isinstance(message, Proposal):
            self.height.proposal(message, self.network.now)
        elif isinstance(message, Prevote):
            self.height.prevote(message, self.network.now)
        else:
            self.height.precommit(message, self.network.now)
        self.pump()

    def fire(self, timeout: Timeout, life: int) -> None:
        if self.up and life == self.lives:
            self.height.timeout(timeout, self.network.now)
            self.pump()

    def pump(self) -> None:
        while self.up and (effects := self.height.take_effects()):
            for effect in effects:
                if not self._survives(effect):
                    return
                self._carry_out(effect)

    def _survives(self, effect: Effect) -> bool:
        if self.effects_done == self.crash_at:
            self.effects_done += 1
            if isinstance(effect, Sign) and self.crash_durable:
                self._make_durable(effect)
            self.crash(self.restart_after)
            return False
        self.effects_done += 1
        return True

    def _carry_out(self, effect: Effect) -> None:
        network = self.network
        if isinstance(effect, SetTimeout):
            life = self.lives
            network.after(effect.delay_ms, lambda: self.fire(effect.timeout, life))
        elif isinstance(effect, NeedValue):
            self.height.value(effect.round, network.content(self, effect.round), network.now)
        elif isinstance(effect, Sign):
            message = self._make_durable(effect)
            network.broadcast(self.me, message)
            self.receive(message)
        elif isinstance(effect, Decided):
            network.decide(self, effect.block_hash)
        elif isinstance(effect, Equivocation):
            self.accused.add(effect.first.signer)
        elif isinstance(effect, WantPol | WantProposal):
            network.after(1, lambda: network.answer_wants(self))
        else:
            assert not isinstance(effect, Broken | Unjournaled), effect

    def _make_durable(self, effect: Sign) -> Message:
        message = effect.draft.signed(fake_signature(self.me))
        if isinstance(message, Precommit) and not message.is_nil:
            carrier = self.height.proposal_of(message.block_hash)
            assert carrier is not None
            self.journal.append(carrier)
            self.journal.extend(self.height.prevotes_for(message.round, message.block_hash))
        self.journal.append(message)
        return message


class Network:
    """The nodes, their clock and the wires between them."""

    def __init__(
        self,
        powers: Sequence[int],
        delay: Delay = lambda _network, _from, _to, _message: 50,
        cls: type[Height] = Height,
        absent: Sequence[int] = (),
        sync: bool = True,
    ) -> None:
        self.members = power_set(powers)
        self.delay = delay
        self.now = 0
        self.decisions_spread_from = 0
        self.proposed: set[bytes] = set()
        self.sent: dict[tuple[int, type, int], bytes] = {}
        self.puppets: list[Callable[[Sendable], None]] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.nodes = {me: Node(self, me, cls) for me in range(len(powers)) if me not in absent}
        for node in self.nodes.values():
            self.after(0, node.start)
        if sync:
            self.after(SYNC_MS, self._sync)

    def after(self, delay: int, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, call))

    def run(self, until: int) -> Network:
        """Let time pass until ``until`` milliseconds or until everybody who is up decided."""
        while self._queue and self._queue[0][0] <= until and not self.all_decided():
            self.now, _, call = heapq.heappop(self._queue)
            call()
        return self

    def all_decided(self) -> bool:
        return all(node.decided is not None or node.gone for node in self.nodes.values())

    def content(self, node: Node, round_: int) -> Content:
        content = make_content(self.members, round_, ("of", node.me), node.txs, closing=round_ % 2 == 0)
        self.proposed.add(content.header.hash)
        return content

    def broadcast(self, source: int, message: Message) -> None:
        place = (source, type(message), message.round)
        assert self.sent.setdefault(place, message.body()) == message.body(), f"contradiction: {place}"
        for puppet in self.puppets:
            puppet(message)
        for target in self.nodes:
            if target != source:
                self.send(source, target, message)

    def send(self, source: int, target: int, message: Sendable) -> None:
        delay = self.delay(self, source, target, message)
        if delay is not None:
            self.after(delay, lambda: self.nodes[target].receive(message))

    def decide(self, node: Node, block_hash: bytes) -> None:
        decided = {other.decided for other in self.nodes.values()} - {None}
        assert decided <= {block_hash}, "two blocks were decided"
        assert block_hash in self.proposed, "nobody proposed this"
        node.decided, node.decided_at = block_hash, self.now

    def _sync(self) -> None:
        for source in self.nodes.values():
            for target in self.nodes.values():
                if source is not target and source.up and target.up:
                    self._serve(source, target)
        self.after(SYNC_MS, self._sync)

    def _serve(self, source: Node, target: Node) -> None:
        """As nodes do: commits to who is behind, else what its standing shows that it lacks."""
        if source.decided is not None and self.now < self.decisions_spread_from:
            return
        if source.decided is not None and target.decided is None:
            self._serve_decision(source, target)
        for message in messages_for(source.height, standing(target.height)):
            self.send(source.me, target.me, message)

    def _serve_decision(self, source: Node, target: Node) -> None:
        decision = source.height.decision
        if decision is None:
            return
        commit, carrier = source.height.commit(*decision), source.height.proposal_of(decision[1])
        if carrier is None or self.delay(self, source.me, target.me, carrier) is None:
            return
        target.height.committed(commit)
        if carrier.round <= target.height.round + 2:
            target.height.proposal(carrier)
        target.pump()

    def answer_wants(self, node: Node) -> None:
        if not node.up:
            return
        for want in node.height.wants():
            for other in self.nodes.values():
                found: Sendable | None
                if isinstance(want, WantPol):
                    found = pol_of(other.height, want.round, want.block_hash)
                else:
                    found = other.height.proposal_of(want.block_hash)
                if found is not None and other is not node and other.up:
                    self.send(other.me, node.me, found)


__all__ = ["NIL", "Network", "Node"]

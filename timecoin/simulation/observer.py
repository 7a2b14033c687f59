"""Sees all that is sent, stored and reported, and raises ``Violation`` at the first thing that must never be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import RecordKind
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.first import first_block
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import MalformedTransaction, Transaction
from timecoin.simulation.checkers.bounds import check_bounds
from timecoin.simulation.checkers.chain import Chain
from timecoin.simulation.checkers.liveness import Liveness
from timecoin.simulation.checkers.promises import Promises
from timecoin.simulation.checkers.sets import Sets
from timecoin.simulation.checkers.statements import Signed, Statements
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.node import Node
    from timecoin.simulation.world import World

_RECORDS: dict[int, type[Signed]] = {
    RecordKind.BUNDLE: Bundle,
    RecordKind.PROPOSAL: Proposal,
    RecordKind.PREVOTE: Prevote,
    RecordKind.PRECOMMIT: Precommit,
}
_MAX_BODIES = 50_000


class Observer:
    """Hears of everything and hands it to the checkers. What dishonest nodes report, store or do is not judged; what
    they sign is counted like anybody's."""

    def __init__(self, world: World) -> None:
        self._world = world
        first = first_block(world.genesis)
        self.sets = Sets()
        self.sets.learn(first.state)
        self.statements = Statements(self.sets, world.signatures, world.genesis.chain_id)
        self.chain = Chain(world.genesis, first.block, self.sets, self.statements)
        self.promises = Promises(self.sets, self.statements, self.chain)
        self.liveness = Liveness(world)
        self._last: wire.Message | None = None
        self._bodies: set[bytes] = set()
        self._judged = 0

    # Lives

    def booted(self, node: Node) -> None:
        """A node starts."""
        self.sets.judge(self._world.nodes)

    def crashed(self, node: Node) -> None:
        """A node lost everything but its disk."""

    def replaced(self, node: Node) -> None:
        """A node's disk was emptied, damaged, or an old copy put in its place."""
        self.promises.forgive(node)

    def made(self, tx: Transaction) -> None:
        """Somebody made a transaction."""
        self.statements.learn(tx)

    # Messages and records

    def sent(self, link: Link, message: wire.Message) -> None:
        """A message is on its way."""
        if message is self._last:
            return
        self._last = message
        source = link.source
        key = source.operator.public if source.operator is not None and source.honest else None
        if isinstance(message, wire.Bundles):
            self._look(Bundle, message.bundles, key)
        elif isinstance(message, wire.Proposal):
            self._look(Proposal, (message.proposal,), key)
        elif isinstance(message, wire.Votes):
            self._look(Prevote, message.prevotes, key)
            self._look(Precommit, message.precommits, key)
        elif isinstance(message, wire.Pol):
            self._look(Prevote, message.prevotes, None)
        elif isinstance(message, wire.Tx):
            self._learn(message.transactions)

    def _look(self, kind: type[Signed], raws: Sequence[bytes], key: bytes | None) -> None:
        for raw in raws:
            self.statements.see(kind, raw, durable=False, own_key=key)

    def _learn(self, raws: Sequence[bytes]) -> None:
        for raw in raws:
            if raw in self._bodies:
                continue
            if len(self._bodies) >= _MAX_BODIES:
                self._bodies.clear()
            self._bodies.add(raw)
            try:
                self.statements.learn(Transaction.decode(raw))
            except MalformedTransaction:
                continue

    def journaled(self, node: Node, records: Sequence[bytes]) -> None:
        """Records became durable."""
        for record in records:
            kind = _RECORDS.get(record[0])
            if kind is not None:
                self.statements.see(kind, record[1:], durable=True, own_key=None)
        if node.honest:
            self.promises.journaled(node, records)

    def rotated(self, node: Node, carry: Sequence[bytes]) -> None:
        """A journal began anew with these records."""

    # Blocks

    def stored(self, node: Node, assembled: Assembled, commit: Commit) -> None:
        """A decided block became durable."""
        if not node.honest:
            return
        header = assembled.block.header
        if self.chain.stored(node, assembled, commit):
            self.sets.learn(assembled.state)
            self.liveness.decided(header.height, commit)
            txids = [tx.txid for tx in assembled.block.transactions[1:]]
            self.promises.archived(txids, closes=header.epoch if header.closing else None)

    def applied(self, node: Node, archived: fx.BlockArchived) -> None:
        """A decided block was applied."""
        if node.honest:
            check_bounds(node)
            self._judge_closed()

    def _judge_closed(self) -> None:
        """Epochs that every honest masternode has left."""
        open_epochs = [node.epoch for node in self._world.nodes if node.honest]
        while self._judged + 1 < min(open_epochs, default=0):
            self._judged += 1
            self.statements.close(self._judged, self.chain.archived)

    # Reports

    def reported(self, node: Node, report: fx.Report) -> None:
        """Users of a node are told something."""
        if node.honest:
            self.promises.reported(node, report)

    def accused(self, node: Node, other: Node, code: str) -> None:
        """A node closed a connection because of what came over it."""
        if node.honest and other.honest:
            raise Violation("false_alarm", f"node {node.index} accuses node {other.index}: {code}")

    def bad_block(self, node: Node, bad: fx.BadBlock) -> None:
        """A block offered as decided was not."""

    def misbehaviour(self, node: Node, misbehaviour: fx.Misbehaviour) -> None:
        """A node saw what no honest masternode signs."""

    def halted(self, node: Node, halt: fx.Halt) -> None:
        """A node stopped for good."""
        if node.honest:
            raise Violation("false_alarm", f"node {node.index} halts: {halt.reason}")

    def finish(self) -> None:
        """The checks that need the end of a life."""
        honest = [node for node in self._world.nodes if node.honest]
        self.chain.finish(honest)
        self.promises.finish(honest)
        for epoch in sorted(self.statements.books):
            self.statements.close(epoch, self.chain.archived)
